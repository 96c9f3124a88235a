//! Staying in: leases and resumes, idle time and age, fences, and who is there.

mod support;
use support::random::Random;
use support::*;

use std::collections::HashSet;
use std::time::Duration;

use coedit::{
    Access, ChangeError, Config, Connection, ConnectionError, ConnectionId, ConnectionState, DisconnectCause,
    Dropped, EditRequest, Engine, ErrorCode, Fence, FenceError, ForceSaveError, Grant, IdleThen, NamedUsers,
    Notice, OpenError, Reason, ResumeError, ResumeToken, SeatCount, Status, Timestamp, TransportError,
    UserId,
};

const GRACE: Duration = Duration::from_secs(120);
/// A limit and how it is set, the access of a lost connection of ann to `a`, and another claim: document, user, access.
type Row = (&'static str, Set, Access, (&'static str, &'static str), Access);
type Set = fn(Config) -> Config;
type SetTime = fn(Config, Duration) -> Config;

const EDIT: Grant = Grant { access: Access::Edit, reason: None };

fn uid(name: &str) -> UserId {
    id(name)
}

fn less(reason: Reason) -> Grant {
    Grant { access: Access::View, reason: Some(reason) }
}

/// An engine with a grace of two minutes, and the settings of `set`.
fn with_grace(set: impl FnOnce(Config) -> Config) -> World {
    World::new(|config| set(config.reconnect_grace(Some(GRACE))))
}

/// Loses a connection. Returns its id and its token.
fn lose(world: &World, tab: Connection) -> (ConnectionId, ResumeToken) {
    let (id, token) = (tab.id(), tab.token().unwrap());
    assert_eq!(tab.lost(), Ok(Some(GRACE)));
    world.engine.validate().unwrap();
    (id, token)
}

fn resume(world: &World, token: &ResumeToken) -> Connection {
    let tab = world.engine.resume(token, 0).unwrap();
    world.engine.validate().unwrap();
    tab
}

/// Moves the clock, but runs nothing: a host whose tick is late.
fn pass_late(world: &World, time: Duration) {
    world.clock.advance(time);
}

/// Returns a notice in a short form, without the key.
fn short(notice: &Notice) -> String {
    match notice {
        Notice::Dropped { user, cause, .. } => format!("dropped {user} {cause:?}"),
        Notice::Disconnected { user, cause, code, .. } => format!("disconnected {user} {cause:?} {code:?}"),
        Notice::Access { user, access, cause, .. } => format!("access {user} {access} {cause:?}"),
        Notice::Expiring { user, code, in_ms, .. } => format!("expiring {user} {code} {in_ms}"),
        Notice::Joined(one) => format!("joined {} {} {}", one.key, one.user, one.access),
        Notice::Left(one) => format!("left {} {} {}", one.key, one.user, one.access),
        Notice::Changed(one) => format!("changed {} {} {}", one.key, one.user, one.access),
        Notice::Limit { pool, level, in_use, .. } => format!("limit {pool:?} {level:?} {in_use}"),
        other => format!("{other:?}"),
    }
}

fn told(world: &World) -> Vec<String> {
    world.engine.validate().unwrap();
    world.take_notices().iter().map(short).collect()
}

/// Checks that every call through the id is refused: no such connection is open.
fn assert_gone(world: &World, id: ConnectionId) {
    let engine = &world.engine;
    assert_eq!(engine.change(id), Err(ChangeError::Unknown));
    assert_eq!(engine.touch(id), Err(TransportError::Unknown));
    assert_eq!(engine.lost(id), Err(TransportError::Unknown));
    assert_eq!(engine.close(id), Err(ConnectionError::Unknown));
    assert_eq!(engine.press_save(id), Err(ForceSaveError::UnknownConnection));
    assert_eq!(engine.submit_form(id), Err(ForceSaveError::UnknownConnection));
    assert_eq!(engine.drop_connection(id).unwrap_err(), ConnectionError::Unknown);
    assert!(engine.drop_connection_for(id, seconds(1)).is_err());
    assert_eq!(engine.adopt(id).unwrap_err(), ConnectionError::Unknown);
    assert_eq!((engine.access(id), engine.may_edit(id)), (None, false));
}

fn in_use(world: &World) -> [u32; 3] {
    let limits = world.engine.limits();
    [limits.edit.in_use, limits.live.in_use, limits.connections.in_use]
}

#[test]
fn p11_without_a_grace_a_lost_connection_is_closed_at_once() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    assert_eq!(ann.token(), None);
    let id = ann.id();
    assert_eq!(ann.lost(), Ok(None));
    assert_gone(&world, id);
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "4 -ann"]);
    // Idle time alone gives no lease either.
    let world = World::new(|config| config.idle(Some(seconds(60))));
    let ann = world.edit("doc", "ann");
    assert_eq!((ann.token(), ann.lost()), (None, Ok(None)));
    assert_eq!(in_use(&world), [0, 0, 0]);
    world.engine.validate().unwrap();
}

#[test]
fn p11_a_lost_connection_keeps_its_seat_at_a_full_limit_and_nobody_hears_of_it() {
    let world = with_grace(|config| config.edit_limit(Some(2)).presence(true));
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    ann.change().unwrap();
    world.acknowledge_all();
    told(&world);
    let (id, token) = lose(&world, ann);
    assert!(told(&world).is_empty() && world.acknowledge_all().is_empty());
    assert_eq!(world.open("doc", "cleo", Access::Edit).granted(), less(Reason::ConnectionLimit));
    assert_eq!(world.engine.info(&key("doc"), None).unwrap(), [uid("ann"), uid("ben")]);
    assert_eq!(world.engine.access(id), Some(Access::Edit));
    world.pass(Duration::from_millis(119_999));
    assert_eq!(world.acknowledge_all(), ["1 [ann ben]"], "the answer to the question alone");
    world.take_notices();
    let back = resume(&world, &token);
    assert_eq!((back.granted(), back.change(), back.token()), (EDIT, Ok(()), Some(token)));
    assert_ne!(back.id(), id);
    assert_gone(&world, id);
    assert!(told(&world).is_empty() && world.acknowledge_all().is_empty(), "nobody hears of a resume");
    assert_eq!(in_use(&world), [2, 0, 2]);
    drop((back, ben));
    assert_eq!(world.acknowledge_all(), ["1 -ann [ben]"]);
}

#[test]
fn p11_a_lost_connection_counts_in_every_limit() {
    use Access::{Edit, LiveView, View};
    let quota = NamedUsers { edit: Some(1), live: None, expire_days: 0 };
    let rows: [(Row, Option<Reason>); 6] = [
        (
            ("edit", |config| config.edit_limit(Some(1)), Edit, ("b", "ben"), Edit),
            Some(Reason::ConnectionLimit),
        ),
        (
            ("live", |config| config.live_limit(Some(1)), LiveView, ("b", "ben"), LiveView),
            Some(Reason::LiveViewLimit),
        ),
        (
            ("document", |config| config.document_limit(Some(1)), Edit, ("a", "ben"), Edit),
            Some(Reason::DocumentLimit),
        ),
        (("user", |config| config.user_limit(Some(1)), Edit, ("b", "ann"), Edit), Some(Reason::UserLimit)),
        (("cap", |config| config.max_connections(Some(1)), View, ("b", "ben"), View), None),
        (("named", |config| config.edit_limit(None), Edit, ("b", "ben"), Edit), Some(Reason::UserQuota)),
    ];
    for count in [SeatCount::Connections, SeatCount::UsersOfDocuments] {
        for ((what, set, held, (document, name), asked), reason) in rows {
            let set = |config| {
                let config = set(config).seat_count(count);
                if what == "named" { config.named_users(quota) } else { config }
            };
            let world = with_grace(set);
            let (_, token) = lose(&world, world.open("a", "ann", held));
            let opened = world.engine.open(&key(document), &user(name), asked);
            match reason {
                None => assert_eq!(opened.unwrap_err(), OpenError::TooMany),
                Some(reason) => assert_eq!(opened.unwrap().granted(), less(reason), "{what}"),
            }
            let answer = world.engine.would_admit(&key(document), &uid(name), asked);
            assert_eq!(answer, reason.map(less).ok_or(OpenError::TooMany));
            assert_eq!(resume(&world, &token).granted().access, held);
            world.engine.validate().unwrap();
        }
    }
}

#[test]
fn p11_where_seats_count_users_the_seat_passes_on_to_and_from_a_lost_tab() {
    let world = with_grace(|config| {
        config.edit_limit(Some(1)).user_limit(Some(1)).seat_count(SeatCount::UsersOfDocuments)
    });
    let (first, second) = (world.edit("doc", "ann"), world.edit("doc", "ann"));
    let (_, token) = lose(&world, first);
    assert_eq!(in_use(&world), [1, 0, 2]);
    second.close();
    assert_eq!(in_use(&world), [1, 0, 1]);
    assert_eq!(world.open("doc", "ben", Access::Edit).granted(), less(Reason::ConnectionLimit));
    let third = world.edit("doc", "ann");
    assert!(world.engine.connections(&key("doc")).len() == 2, "it shares the seat, and takes nothing over");
    let back = resume(&world, &token);
    drop(third);
    assert_eq!((back.may_edit(), in_use(&world)), (true, [1, 0, 1]));
    drop(back);
    assert_eq!(in_use(&world), [0, 0, 0]);
    world.engine.validate().unwrap();
}

#[test]
fn p3_no_call_of_a_lost_connection_changes_or_saves_anything() {
    let world = with_grace(|config| config);
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    let (id, token) = lose(&world, ann);
    let engine = &world.engine;
    assert_eq!(engine.change(id), Err(ChangeError::Lost));
    assert_eq!(ChangeError::Lost.code(), ErrorCode::Command);
    assert_eq!(engine.press_save(id), Err(ForceSaveError::ViewOnly));
    assert_eq!(engine.submit_form(id), Err(ForceSaveError::ViewOnly));
    assert_eq!(engine.touch(id), Err(TransportError::Lost));
    assert_eq!(engine.lost(id), Err(TransportError::Lost), "a second loss does not lengthen the lease");
    assert!(!engine.may_edit(id));
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
    // The command of the command service works: the document has unsaved changes.
    engine.force_save(&key("doc"), None).unwrap();
    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
    resume(&world, &token).close();
    assert_eq!(world.acknowledge_all(), Vec::<String>::new());
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

#[test]
fn p11_a_resume_of_a_connection_that_is_alive_supersedes_it() {
    let world = with_grace(|config| config.edit_limit(Some(1)).presence(true));
    let ann = world.edit("doc", "ann");
    let (old, token) = (ann.id(), ann.token().unwrap());
    world.acknowledge_all();
    told(&world);
    let back = resume(&world, &token);
    let superseded = Notice::Disconnected {
        connection: old,
        key: key("doc"),
        user: uid("ann"),
        cause: DisconnectCause::Superseded,
        code: Some(4010),
    };
    assert_eq!(world.take_notices(), [superseded]);
    assert_gone(&world, old);
    // The old handle closes nothing.
    drop(ann);
    assert_eq!((back.change(), in_use(&world)), (Ok(()), [1, 0, 1]));
    assert!(world.acknowledge_all().is_empty());
    // And again, on and on: the token stays the same.
    let mut tabs = vec![back];
    for _ in 0..10 {
        let last = tabs.last().unwrap().id();
        tabs.push(resume(&world, &token));
        assert_gone(&world, last);
        assert_eq!(told(&world), ["disconnected ann Superseded Some(4010)"]);
    }
    assert_eq!(in_use(&world), [1, 0, 1]);
    assert!(tabs.last().unwrap().may_edit());
}

#[test]
fn p11_a_delayed_attempt_never_displaces_its_successor() {
    let world = with_grace(|config| config);
    let (_, token) = lose(&world, world.edit("doc", "ann"));
    let attempt = |number| world.engine.resume(&token, number).map(Connection::into_id);
    let first = attempt(1).unwrap();
    let third = attempt(3).unwrap();
    assert_gone(&world, first);
    assert_eq!(attempt(2), Err(ResumeError::Stale));
    assert_eq!(attempt(0), Err(ResumeError::Stale));
    assert_eq!(ResumeError::Stale.code(), ErrorCode::Command);
    assert!(world.engine.may_edit(third), "a refused attempt changes nothing");
    world.engine.lost(third).unwrap();
    assert_eq!(attempt(2), Err(ResumeError::Stale), "also while it is lost");
    let again = attempt(3).unwrap();
    assert_gone(&world, third);
    let last = attempt(u64::MAX).unwrap();
    assert_gone(&world, again);
    assert!(world.engine.may_edit(last));
    assert_eq!(attempt(u64::MAX - 1), Err(ResumeError::Stale));
    world.engine.validate().unwrap();
}

#[test]
fn p10_a_token_of_nothing_resumes_nothing() {
    let world = with_grace(|config| config.edit_limit(Some(3)));
    let (ann, ben, cleo) = (world.edit("doc", "ann"), world.edit("doc", "ben"), world.edit("doc", "cleo"));
    let closed = ann.token().unwrap();
    ann.close();
    let (_, lost_and_closed) = {
        let (id, token) = lose(&world, ben);
        world.engine.close(id).unwrap();
        (id, token)
    };
    let (_, expired) = lose(&world, cleo);
    world.pass(GRACE);
    // The id of a connection that is open, with other random bits.
    let dan = world.edit("doc", "dan");
    let text = dan.token().unwrap().to_string();
    let flipped = if text.ends_with('0') { "1" } else { "0" };
    let guessed: ResumeToken = format!("{}{flipped}", &text[..55]).parse().unwrap();
    let nowhere: ResumeToken = "f".repeat(56).parse().unwrap();
    let zero: ResumeToken = "0".repeat(56).parse().unwrap();
    for (what, token) in [
        ("closed", closed),
        ("lost and closed", lost_and_closed),
        ("expired", expired),
        ("guessed", guessed),
        ("nowhere", nowhere),
        ("zero", zero),
    ] {
        assert_eq!(world.engine.resume(&token, 7).unwrap_err(), ResumeError::Unknown, "{what}");
        world.engine.validate().unwrap();
    }
    assert_eq!(ResumeError::Unknown.code(), ErrorCode::Key);
    assert!(dan.may_edit());
    for malformed in [
        "",
        "0",
        &"g".repeat(48),
        &text[..55],
        &format!("{text}0"),
        &text.to_uppercase(),
        "é".repeat(24).as_str(),
    ] {
        assert!(malformed.parse::<ResumeToken>().is_err() || *malformed == text, "{malformed}");
    }
    // Another engine's.
    let other = with_grace(|config| config.shards(64));
    for engine in [&other.engine, &World::plain().engine] {
        assert_eq!(engine.resume(&dan.token().unwrap(), 0).unwrap_err(), ResumeError::Unknown);
    }
    assert!(!format!("{dan:?}{world:?}", world = world.engine).contains(&text[16..]), "no log shows it");
}

#[test]
fn p3_what_was_dropped_or_fenced_meanwhile_comes_back_as_a_viewer() {
    type Act = fn(&World, ConnectionId);
    let ways: [(Act, Reason, &str); 5] = [
        (|world, _| drop(world.engine.drop_all(&key("doc")).unwrap()), Reason::Dropped, "dropped ann Drop"),
        (|world, id| drop(world.engine.drop_connection(id).unwrap()), Reason::Dropped, "dropped ann Drop"),
        (
            |world, _| drop(world.engine.drop_users(&key("doc"), &[uid("ann")]).unwrap()),
            Reason::Dropped,
            "dropped ann Drop",
        ),
        (
            |world, _| drop(world.engine.fence(&key("doc"), Some(&[uid("ann")]), None).unwrap()),
            Reason::Fenced,
            "dropped ann Fence",
        ),
        (
            |world, _| drop(world.engine.fence(&key("doc"), None, Some(seconds(1))).unwrap()),
            Reason::Fenced,
            "dropped ann Fence",
        ),
    ];
    for asked in [Access::Edit, Access::LiveView] {
        for (act, reason, notice) in ways {
            let world = with_grace(|config| config.edit_limit(Some(1)).live_limit(Some(1)));
            let (id, token) = lose(&world, world.open("doc", "ann", asked));
            told(&world);
            act(&world, id);
            assert!(told(&world).contains(&notice.to_owned()));
            assert_eq!(in_use(&world), [0, 0, 1], "its seat is free at once");
            world.pass(seconds(2));
            let back = resume(&world, &token);
            assert_eq!((back.granted(), back.change()), (less(reason), Err(ChangeError::ViewOnly)));
            let infos = world.engine.connections(&key("doc"));
            assert_eq!((infos.len(), infos[0].access), (1, Access::View));
            back.close();
            assert_eq!(in_use(&world), [0, 0, 0]);
        }
    }
}

#[test]
fn p11_the_end_of_a_lease_is_a_leave() {
    let world = with_grace(|config| config.edit_limit(Some(1)));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    world.acknowledge_all();
    let (id, _) = lose(&world, ann);
    assert!(world.engine.next_deadline().unwrap() <= Timestamp::from_millis(START).after(GRACE));
    world.pass(Duration::from_millis(119_999));
    assert!(told(&world).iter().all(|notice| notice.starts_with("limit")));
    assert_eq!(in_use(&world), [1, 0, 1]);
    world.pass(Duration::from_millis(1));
    assert_eq!(told(&world), ["limit Edit Clear 0", "disconnected ann Lease None"]);
    assert_gone(&world, id);
    assert_eq!(in_use(&world), [0, 0, 0]);
    // The save delay starts now.
    world.pass(Duration::from_millis(9_999));
    assert!(world.acknowledge_all().is_empty());
    world.pass(Duration::from_millis(1));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert!(!world.engine.is_open(&key("doc")));
}

#[test]
fn p11_an_unchanged_document_is_closed_when_the_last_lease_ends() {
    let world = with_grace(|config| config);
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    world.acknowledge_all();
    lose(&world, ann);
    world.pass(seconds(60));
    lose(&world, ben);
    world.pass(seconds(60));
    assert_eq!(world.acknowledge_all(), ["1 -ann [ben]"]);
    world.pass(seconds(60));
    assert_eq!(world.acknowledge_all(), ["4 -ben"]);
}

#[test]
fn p11_a_lost_viewer_causes_no_callback_and_comes_back() {
    let world = with_grace(|config| config.max_connections(Some(2)).live_limit(Some(1)));
    let (viewer, live) = (world.open("doc", "vic", Access::View), world.open("doc", "liv", Access::LiveView));
    let (_, vic) = lose(&world, viewer);
    let (_, liv) = lose(&world, live);
    assert_eq!(world.engine.open(&key("doc"), &user("ben"), Access::View).unwrap_err(), OpenError::TooMany);
    let back = [resume(&world, &vic), resume(&world, &liv)];
    assert_eq!(back.each_ref().map(|tab| tab.granted().access), [Access::View, Access::LiveView]);
    let [vic, liv] = back.map(|tab| lose(&world, tab));
    world.pass(GRACE);
    for (id, token) in [vic, liv] {
        assert_gone(&world, id);
        assert_eq!(world.engine.resume(&token, 0).unwrap_err(), ResumeError::Unknown);
    }
    assert_eq!((in_use(&world), world.acknowledge_all().len()), ([0, 0, 0], 0));
}

#[test]
fn p11_a_close_ends_a_lease_at_once() {
    let world = with_grace(|config| config.edit_limit(Some(1)));
    let ann = world.edit("doc", "ann");
    world.acknowledge_all();
    let (id, token) = lose(&world, ann);
    world.take_notices();
    world.engine.close(id).unwrap();
    assert_eq!(told(&world), ["limit Edit Clear 0"], "the transport closed it and hears nothing");
    assert_eq!(world.acknowledge_all(), ["4 -ann"]);
    assert_gone(&world, id);
    assert_eq!(world.engine.resume(&token, 0).unwrap_err(), ResumeError::Unknown);
    // An adopted one closes likewise.
    let (id, _) = lose(&world, world.edit("doc", "ann"));
    drop(world.engine.adopt(id).unwrap());
    assert_eq!(in_use(&world), [0, 0, 0]);
}

#[test]
fn p5_a_shutdown_ends_every_lease_at_once_and_hands_out_the_save() {
    let world = with_grace(|config| config);
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    world.acknowledge_all();
    let (_, token) = lose(&world, ann);
    let end = world.engine.begin_shutdown(seconds(30));
    assert_eq!(told(&world), ["disconnected ann ShutDown Some(4001)"]);
    assert_eq!(world.engine.resume(&token, 0).unwrap_err(), ResumeError::ShutDown);
    assert_eq!(ResumeError::ShutDown.code(), ErrorCode::Internal);
    assert_eq!(world.ack().status, Status::Save);
    assert_eq!(end.report().unwrap().saved, 1);
}

#[test]
fn p1_a_due_lease_is_ended_before_anybody_is_refused_although_the_tick_is_late() {
    use Access::{Edit, LiveView, View};
    let rows: [Row; 5] = [
        ("edit", |config| config.edit_limit(Some(1)), Edit, ("b", "ben"), Edit),
        ("live", |config| config.live_limit(Some(1)), LiveView, ("b", "ben"), LiveView),
        ("document", |config| config.document_limit(Some(1)), Edit, ("a", "ben"), Edit),
        ("user", |config| config.user_limit(Some(1)), Edit, ("b", "ann"), Edit),
        ("cap", |config| config.max_connections(Some(1)), View, ("b", "ben"), View),
    ];
    for (what, set, held, (document, name), asked) in rows {
        // The documents may be in one shard or in two.
        for shards in [1, 64] {
            let world = with_grace(|config| set(config.shards(shards)));
            lose(&world, world.open("a", "ann", held));
            pass_late(&world, GRACE);
            let answer = world.engine.would_admit(&key(document), &uid(name), asked);
            let got = world.engine.open(&key(document), &user(name), asked).map(|tab| tab.granted());
            let expected = Ok(Grant { access: asked, reason: None });
            assert_eq!((got, answer), (expected, expected), "{what}");
            world.engine.validate().unwrap();
        }
    }
}

#[test]
fn p1_whoever_is_idle_for_too_long_is_ended_before_anybody_is_refused() {
    for then in [IdleThen::View, IdleThen::Close] {
        let world = World::new(|config| config.edit_limit(Some(1)).idle(Some(seconds(60))).idle_then(then));
        let ann = world.edit("a", "ann");
        pass_late(&world, seconds(60));
        let ben = world.edit("b", "ben");
        assert!(!ann.may_edit() && ben.may_edit());
        world.engine.validate().unwrap();
    }
    let world = World::new(|config| config.edit_limit(Some(1)).age(Some(seconds(60))));
    let ann = world.edit("a", "ann");
    pass_late(&world, seconds(60));
    assert!(world.edit("b", "ben").may_edit() && ann.access().is_none());
}

#[test]
fn p11_a_resume_after_the_lease_is_refused_although_the_tick_is_late() {
    let world = with_grace(|config| config);
    let ann = world.edit("doc", "ann");
    world.acknowledge_all();
    let (id, token) = lose(&world, ann);
    pass_late(&world, GRACE);
    assert_eq!(world.engine.resume(&token, 0).unwrap_err(), ResumeError::Unknown);
    assert_gone(&world, id);
    assert_eq!(told(&world), ["disconnected ann Lease None"]);
    assert_eq!(world.acknowledge_all(), ["4 -ann"]);
}

#[test]
fn p11_a_reloaded_page_takes_over_the_seat_of_its_lost_connection() {
    let limits: [Set; 4] = [
        |config| config.edit_limit(Some(1)),
        |config| config.document_limit(Some(1)),
        |config| config.user_limit(Some(1)),
        |config| config.max_connections(Some(1)),
    ];
    for set in limits {
        let world = with_grace(|config| set(config).presence(true));
        let ann = world.edit("doc", "ann");
        ann.change().unwrap();
        world.acknowledge_all();
        let (old, token) = lose(&world, ann);
        told(&world);
        let answer = world.engine.would_admit(&key("doc"), &uid("ann"), Access::Edit);
        assert_eq!(answer, Ok(EDIT));
        assert_eq!(world.engine.access(old), Some(Access::Edit), "`would_admit` takes nothing over");
        let new = world.edit("doc", "ann");
        assert_gone(&world, old);
        assert_ne!(new.token(), Some(token));
        assert_eq!(world.engine.resume(&token, 0).unwrap_err(), ResumeError::Unknown);
        assert!(told(&world).is_empty() && world.acknowledge_all().is_empty());
        assert_eq!((in_use(&world), new.change()), ([1, 0, 1], Ok(())));
        let usage = world.engine.usage().unwrap().hour;
        assert_eq!((usage.opens, usage.edit.max, usage.users), (2, 1, 1));
        // The new connection has a lease of its own.
        let (_, token) = lose(&world, new);
        assert!(resume(&world, &token).may_edit());
    }
}

/// Nobody has run what is due.
#[test]
fn p12_a_viewer_who_asks_has_the_seat_of_a_lease_that_has_run_out() {
    let world = with_grace(|config| config.edit_limit(Some(1)));
    let (ann, ben) = (world.edit("doc", "ann"), world.open("doc", "ben", Access::Edit));
    lose(&world, ann);
    world.clock.advance(GRACE);
    assert_eq!(ben.request_edit(), Ok(EditRequest::Granted));
    assert!(ben.may_edit());
}

#[test]
fn p11_a_take_over_brings_the_new_name_of_the_user() {
    let world = with_grace(|config| config.edit_limit(Some(1)));
    let ann = world.edit("doc", "ann");
    lose(&world, ann);
    let named = user("ann").named("Ann").unwrap();
    let new = world.engine.open(&key("doc"), &named, Access::Edit).unwrap();
    assert!(new.may_edit());
    let [holder] = &world.engine.holders(9)[..] else { panic!("one holder") };
    assert_eq!(holder.name.as_deref(), Some("Ann"));
}

#[test]
fn p11_a_take_over_is_of_a_lost_editing_connection_of_the_same_user_and_document() {
    let world = with_grace(|config| config.edit_limit(Some(2)));
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("other", "ben"));
    let refused = |document, name| world.open(document, name, Access::Edit).granted();
    assert_eq!(refused("doc", "ann"), less(Reason::ConnectionLimit), "it is alive");
    lose(&world, ann);
    lose(&world, ben);
    assert_eq!(refused("doc", "ben"), less(Reason::ConnectionLimit), "another document");
    assert_eq!(refused("doc", "cleo"), less(Reason::ConnectionLimit), "another user");
    assert_eq!(world.open("doc", "ann", Access::View).granted().access, Access::View);
    // A seat that is free is taken instead.
    world.engine.set_edit_limit(Some(3)).unwrap();
    let more = world.edit("doc", "ann");
    assert_eq!(in_use(&world)[0], 3);
    // Draining, and a fence, are no want of a seat.
    world.engine.drain();
    assert_eq!(refused("doc", "ann"), less(Reason::Draining));
    world.engine.undrain();
    world.engine.fence(&key("other"), None, None).unwrap();
    assert_eq!(refused("other", "ben"), less(Reason::Fenced));
    drop(more);
    world.engine.validate().unwrap();
}

#[test]
fn p11_three_thousand_tabs_lose_the_line_at_once_and_all_come_back_as_editors() {
    const TABS: u32 = 3_000;
    let world = with_grace(|config| config.edit_limit(Some(TABS)).max_connections(Some(TABS)).presence(true));
    let mut random = Random::new(11);
    let name = |n: u32| (format!("doc-{}", n % 300), format!("user-{}", n % 900));
    let mut tabs: Vec<Option<Connection>> = (0..TABS)
        .map(|n| {
            let (document, user) = name(n);
            Some(world.edit(&document, &user))
        })
        .collect();
    world.acknowledge_all();
    told(&world);
    for round in 0..3 {
        let tokens: Vec<ResumeToken> =
            tabs.iter().map(|tab| tab.as_ref().unwrap().token().unwrap()).collect();
        // The host noticed some of them only after the client was back.
        let mut order: Vec<usize> = (0..tabs.len()).collect();
        for n in (1..tabs.len()).rev() {
            order.swap(n, random.below(n + 1));
        }
        let mut old = Vec::new();
        for tab in &mut tabs {
            if !random.one_in(3) {
                old.extend(tab.take().map(lose_quietly));
            }
        }
        world.engine.validate().unwrap();
        assert_eq!(world.engine.limits().edit.in_use, TABS);
        world.pass(Duration::from_millis(119_999));
        for (count, n) in order.into_iter().enumerate() {
            let back = world.engine.resume(&tokens[n], round).unwrap();
            assert_eq!(back.granted(), EDIT);
            if let Some(alive) = tabs[n].replace(back) {
                old.push(alive.into_id());
            }
            if count % 500 == 0 {
                world.engine.validate().unwrap();
                assert!(world.engine.open(&key("x"), &user("new"), Access::Edit).is_err());
            }
        }
        world.engine.validate().unwrap();
        for id in old {
            assert_eq!(world.engine.change(id), Err(ChangeError::Unknown));
        }
        assert!(tabs.iter().flatten().all(Connection::may_edit));
        let mut notices = world.take_notices();
        // The cap refuses those who try meanwhile.
        notices.retain(|notice| !matches!(notice, Notice::Limit { .. }));
        let superseded = |notice: &Notice| {
            matches!(notice, Notice::Disconnected { cause: DisconnectCause::Superseded, .. })
        };
        assert!(notices.iter().all(superseded));
        assert!(world.acknowledge_all().is_empty(), "nobody heard of it");
        assert_eq!((in_use(&world), world.engine.documents()), ([TABS, 0, TABS], 300));
        world.pass(seconds(600));
        assert!(tabs.iter().flatten().all(Connection::may_edit), "no lease is left");
    }
    let hour = world.engine.usage().unwrap().hour;
    assert_eq!((hour.opens, hour.edit.max, hour.edit.min), (u64::from(TABS), TABS, 0));
    drop(tabs);
    assert_eq!(in_use(&world), [0, 0, 0]);
}

fn lose_quietly(tab: Connection) -> ConnectionId {
    let id = tab.id();
    tab.lost().unwrap();
    id
}

#[test]
fn p9_leases_idle_time_age_and_saves_fall_due_in_this_order() {
    let set = |config: Config| {
        config
            .shards(1)
            .idle(Some(seconds(60)))
            .age(Some(seconds(60)))
            .expiry_warning(Duration::ZERO)
            .reconnect_grace(Some(seconds(60)))
    };
    let world = World::new(set);
    let [old, idle, lost] = ["old", "idle", "lost"].map(|name| world.edit(name, name));
    let due = seconds(60);
    world.clock.advance(Duration::ZERO);
    assert_eq!(lost.lost(), Ok(Some(due)));
    world.pass(seconds(30));
    old.touch().unwrap();
    world.take_notices();
    world.pass(seconds(30));
    let expected = [
        "disconnected lost Lease None",
        "access idle view Idle",
        "disconnected idle Age Some(4003)",
        "disconnected old Age Some(4003)",
    ];
    assert_eq!(told(&world), expected);
    drop((old, idle));
}

#[test]
fn p11_a_late_tick_ends_many_leases_and_the_books_are_right() {
    let world = with_grace(|config| config.shards(1));
    for n in 0..1_000 {
        lose(&world, world.open(&format!("doc-{}", n % 50), &format!("user-{n}"), Access::Edit));
    }
    world.callbacks.try_iter().for_each(|delivery| drop(delivery.acked()));
    pass_late(&world, GRACE);
    assert!(world.edit("new", "new").may_edit());
    world.engine.tick();
    assert_eq!(in_use(&world), [0, 0, 0]);
    let statuses = world.acknowledge_statuses();
    assert_eq!(statuses.iter().filter(|status| status.number() == 4).count(), 51);
    world.engine.validate().unwrap();
}

#[test]
fn p11_limits_that_change_meanwhile_leave_a_lost_connection_its_seat() {
    let world = with_grace(|config| config);
    let (_, token) = lose(&world, world.edit("doc", "ann"));
    world.engine.set_edit_limit(Some(0)).unwrap();
    world.engine.set_document_limit(Some(0)).unwrap();
    world.engine.set_max_connections(Some(0)).unwrap();
    world.engine.set_named_users(NamedUsers { edit: Some(0), live: Some(0), expire_days: 0 }).unwrap();
    // From now on users are counted, the lost connection as well.
    world.engine.set_user_limit(Some(1)).unwrap();
    world.engine.validate().unwrap();
    let back = resume(&world, &token);
    assert_eq!((back.granted(), back.change()), (EDIT, Ok(())));
    for limit in [Engine::set_edit_limit, Engine::set_document_limit, Engine::set_max_connections] {
        limit(&world.engine, None).unwrap();
    }
    world.engine.set_named_users(NamedUsers::default()).unwrap();
    assert_eq!(world.open("else", "ann", Access::Edit).granted(), less(Reason::UserLimit));
    let (_, token) = lose(&world, back);
    world.engine.set_user_limit(None).unwrap();
    world.engine.set_user_limit(Some(1)).unwrap();
    resume(&world, &token).close();
    assert_eq!(world.open("else", "ann", Access::Edit).granted(), EDIT);
    world.engine.validate().unwrap();
}

#[test]
fn p11_tokens_are_random_bits_unless_the_clock_is_manual() {
    let tokens = || {
        let engine = Engine::new(Config::new().timer(false).shards(1).reconnect_grace(Some(GRACE))).unwrap();
        let tabs: Vec<Connection> =
            (0..100).map(|_| engine.open(&key("doc"), &user("ann"), Access::View).unwrap()).collect();
        let tokens: Vec<ResumeToken> = tabs.iter().filter_map(Connection::token).collect();
        (engine, tabs, tokens)
    };
    let (engine, _tabs, own) = tokens();
    let (.., others) = tokens();
    let secrets: HashSet<String> =
        own.iter().chain(&others).map(|token| token.to_string()[16..].to_owned()).collect();
    assert_eq!(secrets.len(), 200);
    // The ids are the same, and the tokens of another engine are of no use.
    for (own, other) in own.iter().zip(&others) {
        assert_eq!(own.to_string()[..16], other.to_string()[..16]);
        assert_eq!(engine.resume(other, 0).unwrap_err(), ResumeError::Unknown);
    }
    assert!(engine.resume(&own[0], 0).is_ok());
    // By a manual clock runs are the same.
    let once = || with_grace(|config| config).edit("doc", "ann").token();
    assert_eq!(once(), once());
}

// Idle time and age.

fn idle_world(then: IdleThen) -> World {
    World::new(|config| config.idle(Some(seconds(600))).idle_then(then).reconnect_grace(Some(GRACE)))
}

#[test]
fn p3_an_idle_connection_is_warned_and_then_view_only() {
    let world = idle_world(IdleThen::View);
    let tabs =
        [Access::Edit, Access::LiveView, Access::View].map(|access| world.open("doc", access.name(), access));
    tabs[0].change().unwrap();
    world.acknowledge_all();
    world.pass(seconds(539));
    assert!(told(&world).is_empty());
    world.pass(seconds(1));
    assert_eq!(told(&world), ["expiring edit 4002 60000", "expiring liveview 4002 60000"], "not the viewer");
    world.pass(Duration::from_millis(59_999));
    assert!(told(&world).is_empty() && tabs[0].may_edit());
    world.pass(Duration::from_millis(1));
    assert_eq!(told(&world), ["access edit view Idle", "access liveview view Idle"]);
    assert_eq!(tabs[0].change(), Err(ChangeError::ViewOnly));
    assert_eq!((in_use(&world), tabs[1].access()), ([0, 0, 3], Some(Access::View)));
    let adopted = world.engine.adopt(tabs[0].id()).unwrap();
    assert_eq!(adopted.granted(), less(Reason::Idle));
    adopted.into_id();
    // It is no drop: the save has its delay.
    assert!(world.acknowledge_all().is_empty());
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -edit [edit]"]);
    told(&world);
    world.pass(seconds(100_000));
    assert!(told(&world).is_empty() && in_use(&world) == [0, 0, 3], "a viewer stays");
}

#[test]
fn p3_an_idle_connection_is_closed_and_so_is_an_idle_viewer() {
    let world = idle_world(IdleThen::Close);
    let tabs = [Access::Edit, Access::LiveView, Access::View]
        .map(|access| world.open("doc", access.name(), access).into_id());
    world.pass(seconds(540));
    assert_eq!(told(&world).len(), 3);
    world.pass(seconds(60));
    let expected = [
        "disconnected edit Idle Some(4002)",
        "disconnected liveview Idle Some(4002)",
        "disconnected view Idle Some(4002)",
    ];
    assert_eq!(told(&world), expected);
    for id in tabs {
        assert_gone(&world, id);
    }
    assert_eq!(in_use(&world), [0, 0, 0]);
    assert_eq!(world.acknowledge_all(), ["1 +edit [edit]", "4 -edit"]);
}

#[test]
fn p3_a_touch_a_change_and_a_resume_count_as_active_and_are_warned_again() {
    type Act = fn(&World, Connection) -> Connection;
    let ways: [Act; 5] = [
        |_, tab| {
            tab.touch().unwrap();
            tab
        },
        |_, tab| {
            tab.change().unwrap();
            tab
        },
        |world, tab| {
            world.engine.touch(tab.id()).unwrap();
            tab
        },
        |world, tab| resume(world, &tab.token().unwrap()),
        |world, tab| {
            let (_, token) = lose(world, tab);
            resume(world, &token)
        },
    ];
    for warning in [60, 400, 600, 900] {
        for act in ways {
            let world = World::new(|config| {
                let config = config.idle(Some(seconds(600))).expiry_warning(seconds(warning));
                config.reconnect_grace(Some(GRACE))
            });
            let mut tab = world.edit("doc", "ann");
            world.pass(seconds(599));
            assert_eq!(told(&world).len(), 1);
            tab = act(&world, tab);
            let mut warned = told(&world);
            let left = 600_u64.saturating_sub(warning);
            if left > 0 {
                world.pass(seconds(left - 1));
                warned.extend(told(&world));
                assert!(warned.iter().all(|one| one.starts_with("disconnected")), "{warned:?}");
                world.pass(seconds(1));
            }
            world.engine.tick();
            warned.extend(told(&world));
            warned.retain(|one| one.starts_with("expiring"));
            assert_eq!(
                warned,
                [format!("expiring ann 4002 {}", (600 - left) * 1000)],
                "warned {warning} s before"
            );
            world.pass(seconds(600 - left - 1));
            assert!(tab.may_edit() && told(&world).is_empty());
            world.pass(seconds(1));
            assert_eq!((told(&world), tab.may_edit()), (vec!["access ann view Idle".to_owned()], false));
            world.engine.validate().unwrap();
        }
    }
}

#[test]
fn a_refused_call_is_no_activity() {
    let world = idle_world(IdleThen::Close);
    let viewer = world.open("doc", "vic", Access::View);
    world.pass(seconds(599));
    assert_eq!(viewer.change(), Err(ChangeError::ViewOnly));
    assert!(world.engine.press_save(viewer.id()).is_err());
    world.pass(seconds(1));
    assert_eq!(viewer.access(), None);
}

#[test]
fn p11_idle_time_leaves_a_lost_connection_alone() {
    for then in [IdleThen::View, IdleThen::Close] {
        let world = World::new(|config| {
            config.idle(Some(seconds(60))).idle_then(then).reconnect_grace(Some(seconds(600)))
        });
        let ann = world.edit("doc", "ann");
        world.pass(seconds(30));
        told(&world);
        let token = ann.token().unwrap();
        ann.lost().unwrap();
        world.pass(seconds(599));
        assert!(told(&world).is_empty());
        assert_eq!(in_use(&world), [1, 0, 1]);
        // It resumes, and is active.
        let back = resume(&world, &token);
        world.pass(seconds(59));
        assert!(back.may_edit());
        world.pass(seconds(1));
        assert!(!back.may_edit());
    }
}

#[test]
fn p3_an_old_connection_is_warned_and_closed_however_active_it_is() {
    let world = World::new(|config| config.age(Some(seconds(3_600))));
    let (ann, vic) = (world.edit("doc", "ann"), world.open("doc", "vic", Access::View));
    ann.change().unwrap();
    for _ in 0..59 {
        world.pass(seconds(60));
        assert_eq!((ann.touch(), ann.change()), (Ok(()), Ok(())));
    }
    assert_eq!(told(&world), ["expiring ann 4003 60000", "expiring vic 4003 60000"]);
    world.pass(Duration::from_millis(59_999));
    assert!(ann.may_edit() && told(&world).is_empty(), "a touch does not warn again");
    world.pass(Duration::from_millis(1));
    assert_eq!(told(&world), ["disconnected ann Age Some(4003)", "disconnected vic Age Some(4003)"]);
    assert_gone(&world, ann.id());
    assert_gone(&world, vic.id());
    assert_eq!(world.acknowledge_statuses().len(), 1);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

#[test]
fn p11_an_age_that_ran_out_while_lost_is_applied_right_after_the_resume() {
    let world = World::new(|config| config.age(Some(seconds(60))).reconnect_grace(Some(seconds(600))));
    let ann = world.edit("doc", "ann");
    world.acknowledge_all();
    world.engine.tick();
    told(&world);
    let token = ann.token().unwrap();
    ann.lost().unwrap();
    world.pass(seconds(100));
    assert!(told(&world).is_empty());
    let back = world.engine.resume(&token, 0).unwrap();
    assert_eq!(told(&world), ["disconnected ann Age Some(4003)"]);
    assert_gone(&world, back.id());
    assert_eq!(world.acknowledge_all(), ["4 -ann"]);
    assert_eq!(world.engine.resume(&token, 0).unwrap_err(), ResumeError::Unknown);
    // A warning that fell due meanwhile comes right after it too.
    let world = World::new(|config| config.age(Some(seconds(600))).reconnect_grace(Some(seconds(900))));
    let ann = world.edit("doc", "ann");
    let token = ann.token().unwrap();
    ann.lost().unwrap();
    world.pass(seconds(570));
    assert!(told(&world).is_empty());
    let back = world.engine.resume(&token, 0).unwrap();
    assert_eq!(told(&world), ["expiring ann 4003 30000"]);
    world.pass(seconds(30));
    assert_eq!(back.access(), None);
}

#[test]
fn p11_a_page_that_takes_a_seat_over_has_an_age_of_its_own() {
    let world = World::new(|config| {
        config.age(Some(seconds(600))).edit_limit(Some(1)).reconnect_grace(Some(seconds(600)))
    });
    let ann = world.edit("doc", "ann");
    world.pass(seconds(500));
    ann.lost().unwrap();
    let new = world.edit("doc", "ann");
    world.pass(seconds(599));
    assert!(new.may_edit());
    world.pass(seconds(1));
    assert_eq!(new.access(), None);
}

#[test]
fn idle_times_are_exact_to_a_second_with_and_without_a_limit() {
    for idle in [None, Some(seconds(10_000))] {
        let world = World::new(|config| config.idle(idle));
        let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
        world.pass(Duration::from_millis(90_500));
        ben.touch().unwrap();
        world.pass(Duration::from_millis(7_300));
        let infos = world.engine.connections(&key("doc"));
        let found: Vec<_> =
            infos.iter().map(|one| (one.connection, one.user.id().as_str(), one.access, one.state)).collect();
        let live = ConnectionState::Live;
        assert_eq!(found, [(ann.id(), "ann", Access::Edit, live), (ben.id(), "ben", Access::Edit, live)]);
        for (info, expected) in infos.iter().zip([97_800_u64, 7_300]) {
            let idle = u64::try_from(info.idle.as_millis()).unwrap();
            assert!(idle.abs_diff(expected) < 1_000, "{idle} ms instead of {expected}");
        }
        let holders = world.engine.holders(9);
        let active: Vec<_> =
            holders.iter().map(|one| (one.user.as_str(), one.active.as_millis() - START)).collect();
        assert_eq!(active, [("ann", 0), ("ben", 90_000)]);
        ann.change().unwrap();
        assert_eq!(world.engine.holders(9)[1].active.as_millis() - START, 97_000);
    }
    let world = with_grace(|config| config);
    assert!(world.engine.connections(&key("doc")).is_empty());
    let (id, token) = lose(&world, world.edit("doc", "ann"));
    world.pass(seconds(100));
    let info = &world.engine.connections(&key("doc"))[0];
    assert_eq!((info.connection, info.state, info.idle), (id, ConnectionState::Lost, seconds(100)));
    let back = resume(&world, &token);
    let info = &world.engine.connections(&key("doc"))[0];
    assert_eq!((info.connection, info.state, info.idle), (back.id(), ConnectionState::Live, seconds(0)));
    assert_eq!(world.engine.holders(1)[0].active.as_millis() - START, 100_000);
}

// Fences.

fn fence(name: Option<&str>, until: Option<u64>) -> Fence {
    Fence {
        key: key("doc"),
        user: name.map(uid),
        until: until.map(|seconds| Timestamp::from_millis(START + seconds * 1000)),
    }
}

#[test]
fn p3_a_fenced_user_is_dropped_and_refused_until_the_time_is_over() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    let live = world.open("doc", "ann", Access::LiveView);
    world.acknowledge_all();
    let users = [uid("ann"), uid("zoe")];
    let dropped = world.engine.fence(&key("doc"), Some(&users), Some(seconds(60))).unwrap();
    assert_eq!(dropped, Dropped { connections: vec![ann.id(), live.id()], unmatched: vec![uid("zoe")] });
    assert_eq!(told(&world), ["dropped ann Fence", "dropped ann Fence"]);
    assert_eq!(world.acknowledge_all(), ["1 -ann [ben]"]);
    assert_eq!((ann.change(), ben.change()), (Err(ChangeError::ViewOnly), Ok(())));
    assert_eq!(world.engine.fences(), [fence(Some("ann"), Some(60)), fence(Some("zoe"), Some(60))]);
    for asked in [Access::Edit, Access::LiveView] {
        for name in ["ann", "zoe"] {
            assert_eq!(world.open("doc", name, asked).granted(), less(Reason::Fenced));
            assert_eq!(world.engine.would_admit(&key("doc"), &uid(name), asked), Ok(less(Reason::Fenced)));
        }
    }
    assert_eq!(
        world.open("doc", "ann", Access::View).granted(),
        Grant { access: Access::View, reason: None }
    );
    assert_eq!(world.open("else", "ann", Access::Edit).granted(), EDIT);
    world.pass(Duration::from_millis(59_999));
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), less(Reason::Fenced));
    // It ends on time also if the tick is late.
    pass_late(&world, Duration::from_millis(1));
    assert!(world.engine.fences().is_empty());
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), EDIT);
    assert_eq!(ann.access(), Some(Access::View), "who was dropped stays a viewer");
    world.engine.tick();
    world.engine.validate().unwrap();
}

#[test]
fn p3_a_fence_of_everybody_needs_no_open_document() {
    let world = World::plain();
    assert_eq!(world.engine.fence(&key("doc"), None, None).unwrap(), Dropped::default());
    assert!(!world.engine.is_open(&key("doc")) && world.engine.documents() == 0);
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), less(Reason::Fenced));
    world.pass(seconds(1_000_000));
    assert_eq!(world.open("doc", "ben", Access::LiveView).granted(), less(Reason::Fenced));
    assert_eq!(world.engine.fences(), [fence(None, None)]);
    // Users are not excepted from it.
    world.engine.unfence(&key("doc"), Some(&[uid("ann")]));
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), less(Reason::Fenced));
    world.engine.unfence(&key("else"), None);
    assert_eq!(world.engine.fences().len(), 1);
    world.engine.unfence(&key("doc"), None);
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), EDIT);
    assert!(world.engine.fences().is_empty());
}

#[test]
fn p3_a_later_fence_of_the_same_user_replaces_the_earlier() {
    let world = World::plain();
    let ann = || [uid("ann")];
    let set = |time: Option<u64>| world.engine.fence(&key("doc"), Some(&ann()), time.map(seconds)).unwrap();
    set(None);
    set(Some(10));
    assert_eq!(world.engine.fences(), [fence(Some("ann"), Some(10))]);
    set(Some(5));
    set(Some(20));
    world.pass(seconds(10));
    assert_eq!(world.engine.fences(), [fence(Some("ann"), Some(20))]);
    set(None);
    world.pass(seconds(100));
    assert_eq!(world.engine.fences(), [fence(Some("ann"), None)]);
    // One of everybody is another fence, and the end of one does not lift the other.
    world.engine.fence(&key("doc"), None, Some(seconds(10))).unwrap();
    assert_eq!(world.engine.fences(), [fence(None, Some(120)), fence(Some("ann"), None)]);
    world.engine.unfence(&key("doc"), Some(&ann()));
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), less(Reason::Fenced));
    world.pass(seconds(10));
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), EDIT);
    // A fence for no time at all drops, and is over.
    let tab = world.edit("doc", "ann");
    world.engine.fence(&key("doc"), None, Some(Duration::ZERO)).unwrap();
    assert!(!tab.may_edit() && world.engine.fences().is_empty());
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), EDIT);
    world.engine.validate().unwrap();
}

#[test]
fn p3_a_drop_for_a_time_keeps_its_cause_and_fences() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    let again = world.edit("doc", "ann");
    ann.change().unwrap();
    world.engine.drop_connection_for(ann.id(), seconds(10)).unwrap().unwrap();
    assert_eq!(told(&world), ["dropped ann Drop", "dropped ann Drop"], "a fence is of the user");
    assert_eq!(world.engine.fences(), [fence(Some("ann"), Some(10))]);
    assert!(!again.may_edit() && ben.may_edit());
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), less(Reason::Fenced));
    world.engine.drop_for(&key("doc"), None, seconds(5)).unwrap();
    assert_eq!(told(&world), ["dropped ben Drop"]);
    assert_eq!(world.engine.fences(), [fence(None, Some(5)), fence(Some("ann"), Some(10))]);
    // A drop is how a host gets a save.
    assert_eq!(world.acknowledge_all().last().unwrap(), "2 -ben [ann]");
    world.pass(seconds(5));
    assert_eq!(world.open("doc", "ben", Access::Edit).granted(), EDIT);
    assert_eq!(world.open("doc", "ann", Access::Edit).granted(), less(Reason::Fenced));
    assert_eq!(
        world.engine.drop_connection_for(ConnectionId::from_bits(7), seconds(1)).unwrap_err(),
        ConnectionError::Unknown
    );
}

#[test]
fn p6_there_are_at_most_65_536_fences_each_user_one() {
    let world = World::plain();
    let users =
        |from: usize, to: usize| -> Vec<_> { (from..to).map(|n| uid(&format!("user-{n}"))).collect() };
    let set = |document: &str, users: &[UserId], time| world.engine.fence(&key(document), Some(users), time);
    for part in 0..16 {
        set(&format!("doc-{part}"), &users(0, 4_095), None).unwrap();
        world.engine.fence(&key(&format!("doc-{part}")), None, Some(seconds(60))).unwrap();
    }
    assert_eq!(world.engine.fences().len(), 65_536);
    let ann = world.edit("new", "ann");
    assert_eq!(set("new", &[uid("ann")], None), Err(FenceError::TooMany));
    assert_eq!(FenceError::TooMany.code(), ErrorCode::Internal);
    assert!(ann.may_edit() && told(&world).is_empty(), "nothing has changed");
    assert!(world.engine.drop_connection_for(ann.id(), seconds(1)).unwrap().is_err() && ann.may_edit());
    set("doc-3", &users(0, 4_095), Some(seconds(70))).unwrap();
    assert_eq!(set("doc-3", &users(4_000, 4_096), None), Err(FenceError::TooMany), "all or none");
    assert_eq!(world.engine.fences().len(), 65_536);
    // Those that have ended make room although the tick is late.
    pass_late(&world, seconds(60));
    set("new", &users(0, 16), None).unwrap();
    assert_eq!(set("new", &[uid("ann")], None), Err(FenceError::TooMany));
    world.engine.unfence(&key("doc-0"), None);
    set("new", &[uid("ann")], None).unwrap();
    assert!(!ann.may_edit());
    for part in 0..16 {
        world.engine.unfence(&key(&format!("doc-{part}")), None);
    }
    world.engine.unfence(&key("new"), Some(&users(0, 100)));
    assert_eq!(world.engine.fences().len(), 1);
    world.pass(seconds(100));
    world.engine.validate().unwrap();
}

#[test]
fn p2_the_reason_is_the_narrowest() {
    let quota = NamedUsers { edit: Some(2), live: None, expire_days: 0 };
    let world = World::new(|config| {
        config.document_limit(Some(1)).user_limit(Some(1)).edit_limit(Some(2)).named_users(quota)
    });
    let asked = |document: &str, name: &str| world.open(document, name, Access::Edit).granted().reason;
    let (_a, b) = (world.edit("a", "ann"), world.edit("b", "ben"));
    assert_eq!(asked("c", "cleo"), Some(Reason::UserQuota));
    assert_eq!(asked("c", "ann"), Some(Reason::UserLimit));
    assert_eq!(asked("a", "ben"), Some(Reason::DocumentLimit));
    // A save in hand comes before the limits.
    b.change().unwrap();
    world.acknowledge_all();
    drop(b);
    world.pass(seconds(10));
    let save = world.take();
    assert_eq!(asked("b", "cleo"), Some(Reason::Saving));
    assert_eq!(asked("b", "ann"), Some(Reason::Saving));
    world.engine.fence(&key("b"), None, None).unwrap();
    assert_eq!(asked("b", "ann"), Some(Reason::Fenced));
    world.engine.drain();
    assert_eq!(asked("b", "ann"), Some(Reason::Draining));
    assert_eq!(world.open("b", "ann", Access::LiveView).granted(), less(Reason::Fenced));
    world.engine.undrain();
    save.ack();
    world.engine.set_named_users(NamedUsers::default()).unwrap();
    let _b = world.edit("c", "ben");
    assert_eq!(asked("d", "cleo"), Some(Reason::ConnectionLimit));
}

#[test]
fn p3_while_draining_a_resume_keeps_its_seat() {
    let world = with_grace(|config| config);
    let (_, token) = lose(&world, world.edit("doc", "ann"));
    world.engine.drain();
    let back = resume(&world, &token);
    assert_eq!((back.granted(), back.change()), (EDIT, Ok(())));
}

// Who is there.

#[test]
fn presence_is_off_by_default() {
    let world = World::plain();
    drop(world.edit("doc", "ann"));
    world.open("doc", "ann", Access::LiveView).close();
    assert!(told(&world).is_empty());
}

#[test]
fn joined_changed_and_left_are_told_in_order_and_once_for_all_tabs_of_a_user() {
    let world = World::new(|config| {
        config.presence(true).reconnect_grace(Some(GRACE)).edit_limit(Some(2)).warn_at(100)
    });
    let view = world.open("doc", "ann", Access::View);
    assert_eq!(told(&world), ["joined doc ann view"]);
    let live = world.open("doc", "ann", Access::LiveView);
    assert_eq!(told(&world), ["changed doc ann liveview"]);
    let first = world.edit("doc", "ann");
    assert_eq!(told(&world), ["changed doc ann edit"]);
    let second = world.edit("doc", "ann");
    assert_eq!(told(&world), ["limit Edit Warning 2"]);
    drop(first);
    assert_eq!(told(&world), ["limit Edit Clear 1"], "another tab still edits");
    let ben = world.open("doc", "ben", Access::LiveView);
    let elsewhere = world.edit("else", "ann");
    assert_eq!(told(&world), ["joined doc ben liveview", "limit Edit Warning 2", "joined else ann edit"]);
    // Nobody hears of a loss and a resume.
    let (_, token) = lose(&world, second);
    let second = resume(&world, &token);
    assert!(told(&world).is_empty());
    world.engine.drop_users(&key("doc"), &[uid("ann")]).unwrap();
    let expected = ["limit Edit Clear 1", "dropped ann Drop", "dropped ann Drop", "changed doc ann view"];
    assert_eq!(told(&world), expected);
    drop((second, live));
    assert!(told(&world).is_empty());
    view.close();
    assert_eq!(told(&world), ["left doc ann view"]);
    lose(&world, ben);
    world.pass(GRACE);
    assert_eq!(told(&world), ["disconnected ben Lease None", "left doc ben liveview"]);
    world.engine.fence(&key("else"), None, None).unwrap();
    assert_eq!(told(&world), ["dropped ann Fence", "changed else ann view"]);
    drop(elsewhere);
    assert_eq!(told(&world), ["left else ann view"]);
    let same_user_again = world.open("else", "ben", Access::Edit);
    assert_eq!(told(&world), ["joined else ben view"]);
    drop(same_user_again);
    assert_eq!(told(&world), ["left else ben view"]);
}

#[test]
fn settings_of_staying_have_bounds() {
    let (least, most) = (Duration::from_millis(1), seconds(30 * 86_400));
    let settings: [(&str, SetTime); 3] = [
        ("reconnect_grace", |config, time| config.reconnect_grace(Some(time))),
        ("idle", |config, time| config.idle(Some(time))),
        ("age", |config, time| config.age(Some(time))),
    ];
    for (name, set) in settings {
        for fits in [least, most] {
            assert!(Engine::new(set(Config::new(), fits)).is_ok());
        }
        for out in [Duration::ZERO, most + least] {
            assert_eq!(Engine::new(set(Config::new(), out)).unwrap_err().setting, name);
        }
    }
    assert!(Engine::new(Config::new().expiry_warning(most + least)).is_err());
}
