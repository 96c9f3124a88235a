//! The limits of a document, of a user and of the engine: alone, together, and changed while the engine runs. Each open is
//! preceded by `would_admit`: see `support::limits`.

mod support;
use support::limits::{LimitState, granted, open_and_close, open_checked, refused, try_open_checked};
use support::*;

use coedit::Access::{Edit, LiveView, View};
use coedit::{Access, Config, Connection, Engine, NamedUsers, OpenError, Reason};

fn named(edit: Option<u32>, live: Option<u32>) -> NamedUsers {
    NamedUsers { edit, live, expire_days: 30 }
}

#[test]
fn p2_each_limit_refuses_for_its_own_reason() {
    type Set = fn(Config) -> Config;
    type Request = (&'static str, &'static str, Access);
    // The limit, an open that takes its seat, an open that it refuses, the reason, and an open that it grants.
    let rows: [(Set, Request, Request, Reason, Request); 6] = [
        (
            |c| c.edit_limit(Some(1)),
            ("a", "ann", Edit),
            ("b", "ann", Edit),
            Reason::ConnectionLimit,
            ("a", "ben", LiveView),
        ),
        (
            |c| c.live_limit(Some(1)),
            ("a", "ann", LiveView),
            ("b", "ann", LiveView),
            Reason::LiveViewLimit,
            ("a", "ann", Edit),
        ),
        (
            |c| c.document_limit(Some(1)),
            ("a", "ann", Edit),
            ("a", "ben", Edit),
            Reason::DocumentLimit,
            ("b", "ben", Edit),
        ),
        (
            |c| c.user_limit(Some(1)),
            ("a", "ann", Edit),
            ("b", "ann", Edit),
            Reason::UserLimit,
            ("a", "ben", Edit),
        ),
        (
            |c| c.named_users(named(Some(1), None)),
            ("a", "ann", Edit),
            ("a", "ben", Edit),
            Reason::UserQuota,
            ("b", "ann", Edit),
        ),
        (
            |c| c.named_users(named(None, Some(1))),
            ("a", "ann", LiveView),
            ("a", "ben", LiveView),
            Reason::UserQuota,
            ("a", "ben", Edit),
        ),
    ];
    for (set, first, second, reason, third) in rows {
        let world = World::new(set);
        let open = |(document, name, asked)| open_checked(&world, document, name, asked);
        let ann = open(first);
        assert_eq!(ann.granted(), granted(first.2), "{reason}");
        let other = open(second);
        assert_eq!((other.granted(), other.access()), (refused(reason), Some(View)));
        assert_eq!(open(third).granted(), granted(third.2), "{reason} does not apply to {third:?}");
        assert_eq!(open(("a", "zoe", View)).granted(), granted(View), "a viewer takes no seat");
        world.engine.drop_connection(ann.id()).unwrap();
        let again = if reason == Reason::UserQuota { refused(reason) } else { granted(second.2) };
        assert_eq!(
            open(second).granted(),
            again,
            "{reason}: a drop frees the seat, but the named user still counts"
        );
    }
}

#[test]
fn p2_of_several_full_limits_the_narrowest_gives_the_reason() {
    let world = World::plain();
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    drop(ann);
    world.acknowledge_all();
    world.pass(seconds(10));
    let save = world.take();
    let engine = &world.engine;
    engine.set_document_limit(Some(0)).unwrap();
    engine.set_user_limit(Some(0)).unwrap();
    engine.set_named_users(named(Some(0), Some(0))).unwrap();
    engine.set_edit_limit(Some(0)).unwrap();
    engine.set_live_limit(Some(0)).unwrap();
    let reason = |asked| open_and_close(&world, "doc", "ben", asked).reason;
    assert_eq!(reason(Edit), Some(Reason::Saving));
    save.acked();
    assert_eq!(reason(Edit), Some(Reason::DocumentLimit));
    engine.set_document_limit(Some(1)).unwrap();
    assert_eq!(reason(Edit), Some(Reason::UserLimit));
    engine.set_user_limit(Some(1)).unwrap();
    assert_eq!((reason(Edit), reason(LiveView)), (Some(Reason::UserQuota), Some(Reason::UserQuota)));
    engine.set_named_users(named(Some(1), Some(1))).unwrap();
    assert_eq!(
        (reason(Edit), reason(LiveView)),
        (Some(Reason::ConnectionLimit), Some(Reason::LiveViewLimit))
    );
    engine.set_edit_limit(Some(1)).unwrap();
    engine.set_live_limit(Some(1)).unwrap();
    assert_eq!((reason(Edit), reason(LiveView), reason(View)), (None, None, None));
    engine.set_document_limit(Some(0)).unwrap();
    engine.drain();
    assert_eq!(
        (reason(Edit), reason(LiveView)),
        (Some(Reason::Draining), None),
        "live view is granted while draining"
    );
}

/// Seats are taken all or nothing: if a wider limit refuses, no narrower limit loses a seat.
#[test]
fn p1_a_refused_open_takes_no_seat_of_any_limit() {
    let all = |config: Config| {
        config
            .document_limit(Some(2))
            .user_limit(Some(2))
            .named_users(named(Some(2), None))
            .edit_limit(Some(1))
    };
    let world = World::new(all);
    let ben = open_checked(&world, "b", "ben", Edit);
    let viewers: Vec<Connection> = (0..5).map(|_| open_checked(&world, "a", "ann", Edit)).collect();
    assert!(viewers.iter().all(|tab| tab.granted() == refused(Reason::ConnectionLimit)));
    let counts: Vec<_> =
        world.engine.license().quota.users.iter().map(|one| one.userid.to_string()).collect();
    assert_eq!(counts, ["ben"], "a refused user does not count as a named user");
    world.engine.set_edit_limit(Some(4)).unwrap();
    let first = open_checked(&world, "a", "ann", Edit);
    let second = open_checked(&world, "a", "ann", Edit);
    assert_eq!(
        (first.granted(), second.granted()),
        (granted(Edit), granted(Edit)),
        "both seats of the user are free"
    );
    assert_eq!(open_and_close(&world, "a", "ann", Edit), refused(Reason::DocumentLimit));
    assert_eq!(open_and_close(&world, "c", "ann", Edit), refused(Reason::UserLimit));
    assert_eq!(open_and_close(&world, "c", "cara", Edit), refused(Reason::UserQuota));
    assert_eq!(open_and_close(&world, "a", "ben", Edit), refused(Reason::DocumentLimit));
    let third = open_checked(&world, "c", "ben", Edit);
    assert_eq!(third.granted(), granted(Edit));
    world.engine.set_user_limit(None).unwrap();
    assert_eq!(open_and_close(&world, "c", "ben", Edit), refused(Reason::ConnectionLimit));
    drop((ben, viewers, first, second, third));
    world.acknowledge_all();
    assert_eq!((world.engine.limits().edit.in_use, world.engine.documents()), (0, 0));
}

#[test]
fn p1_a_limit_of_a_user_set_later_counts_the_open_connections() {
    let world = World::plain();
    let mut tabs: Vec<Connection> =
        ["a", "b", "c", "a"].map(|document| open_checked(&world, document, "ann", Edit)).into();
    let _ben = open_checked(&world, "a", "ben", Edit);
    let limit = |limit| {
        world.engine.set_user_limit(limit).unwrap();
        world.engine.validate().unwrap();
        assert_eq!(world.engine.limits().user, limit);
    };
    let ann = || open_and_close(&world, "d", "ann", Edit);
    limit(Some(4));
    assert_eq!(ann(), refused(Reason::UserLimit));
    drop(tabs.pop());
    assert_eq!(ann(), granted(Edit));
    // If the limit is lower than the use, open connections keep their seats.
    limit(Some(1));
    world.engine.drop_connection(tabs[0].id()).unwrap();
    world.engine.close(tabs.pop().unwrap().into_id()).unwrap();
    assert_eq!((tabs[1].may_edit(), ann()), (true, refused(Reason::UserLimit)));
    world.engine.drop_users(&key("b"), &[id("ann")]).unwrap();
    assert_eq!(ann(), granted(Edit));
    // After the limit was off, it counts the connections that are open now.
    limit(None);
    let more: Vec<Connection> = (0..3).map(|_| open_checked(&world, "e", "ann", Edit)).collect();
    drop(tabs);
    for (max, answer) in
        [(3, refused(Reason::UserLimit)), (4, granted(Edit)), (0, refused(Reason::UserLimit))]
    {
        limit(Some(max));
        assert_eq!(ann(), answer, "three are open under a limit of {max}");
    }
    limit(None);
    limit(Some(1));
    drop(more);
    assert_eq!(
        (ann(), open_and_close(&world, "d", "ben", Edit)),
        (granted(Edit), refused(Reason::UserLimit))
    );
}

#[test]
fn p1_a_changed_limit_of_a_document_holds_from_then_on() {
    let world = World::plain();
    let mut tabs: Vec<Connection> =
        (0..3).map(|n| open_checked(&world, "a", &format!("user-{n}"), Edit)).collect();
    world.engine.set_document_limit(Some(2)).unwrap();
    assert!(tabs.iter().all(Connection::may_edit));
    for _ in 0..2 {
        assert_eq!(open_and_close(&world, "a", "zoe", Edit), refused(Reason::DocumentLimit));
        assert_eq!(open_and_close(&world, "other", "zoe", Edit), granted(Edit));
        drop(tabs.pop());
    }
    assert_eq!(open_and_close(&world, "a", "zoe", Edit), granted(Edit));
    world.engine.set_document_limit(Some(0)).unwrap();
    assert_eq!(open_and_close(&world, "new", "zoe", Edit), refused(Reason::DocumentLimit));
    world.engine.set_document_limit(None).unwrap();
    assert_eq!(open_and_close(&world, "a", "zoe", Edit), granted(Edit));
}

#[test]
fn p1_the_maximum_of_connections_holds_for_every_access_and_its_error_changes_nothing() {
    let world = World::new(|config| config.max_connections(Some(3)).edit_limit(Some(1)));
    let tabs = [("a", Edit), ("a", Edit), ("b", View)]
        .map(|(document, asked)| open_checked(&world, document, "ann", asked));
    world.acknowledge_all();
    let before = LimitState::of(&world);
    for (document, asked) in [("a", Edit), ("a", View), ("b", LiveView), ("new", View)] {
        assert_eq!(try_open_checked(&world, document, "ben", asked).err(), Some(OpenError::TooMany));
    }
    assert_eq!((LimitState::of(&world), world.acknowledge_all()), (before, vec![]));
    assert!(!world.engine.is_open(&key("new")) && world.engine.participants(&key("a")).len() == 1);
    // A drop closes no connection.
    world.engine.drop_all(&key("a")).unwrap();
    assert_eq!(try_open_checked(&world, "a", "ben", Edit).err(), Some(OpenError::TooMany));
    let [first, rest @ ..] = tabs;
    assert_eq!(first.lost(), Ok(None));
    assert_eq!(world.engine.limits().connections.in_use, 2);
    let ben = open_checked(&world, "new", "ben", Edit);
    assert_eq!((ben.granted(), rest.len()), (granted(Edit), 2));
    assert_eq!(try_open_checked(&world, "new", "ben", Edit).err(), Some(OpenError::TooMany));
}

#[test]
fn p1_a_maximum_of_connections_set_later_counts_the_open_connections() {
    let world = World::plain();
    let mut tabs: Vec<Connection> = ["a", "b", "c", "d"]
        .iter()
        .zip([Edit, LiveView, View, Edit])
        .map(|(document, asked)| open_checked(&world, document, "ann", asked))
        .collect();
    let full = || try_open_checked(&world, "x", "ben", View).err() == Some(OpenError::TooMany);
    let cap = |cap, in_use| {
        world.engine.set_max_connections(cap).unwrap();
        let limit = world.engine.limits().connections;
        assert_eq!((limit.limit, limit.in_use), (cap, in_use));
    };
    cap(Some(4), 4);
    assert!(full());
    cap(Some(2), 4);
    drop(tabs.pop());
    assert!(full() && tabs.len() == 3);
    cap(None, 3);
    assert!(!full());
    tabs.push(open_checked(&world, "e", "cara", View));
    cap(Some(5), 4);
    assert!(!full());
    cap(Some(0), 4);
    tabs.clear();
    assert!(full());
    cap(Some(1), 0);
    assert!(!full());
}

#[test]
fn p10_a_limit_out_of_its_bounds_changes_nothing() {
    let world = World::new(|config| config.user_limit(Some(3)).named_users(named(Some(4), None)));
    let before = LimitState::of(&world);
    let (engine, over) = (&world.engine, Some(u32::MAX));
    let many_days = NamedUsers { expire_days: 36_501, ..NamedUsers::default() };
    let answers = [
        engine.set_document_limit(over),
        engine.set_user_limit(over),
        engine.set_max_connections(over),
        engine.set_named_users(named(over, None)),
        engine.set_named_users(named(None, over)),
        engine.set_named_users(many_days),
    ];
    let settings = answers.map(|answer| answer.unwrap_err().setting);
    let names = [
        "document_limit",
        "user_limit",
        "max_connections",
        "named_users.edit",
        "named_users.live",
        "named_users.expire_days",
    ];
    assert_eq!((settings, LimitState::of(&world)), (names, before));
    let configs: [fn(Config) -> Config; 8] = [
        |c| c.document_limit(Some(u32::MAX)),
        |c| c.user_limit(Some(u32::MAX)),
        |c| c.max_connections(Some(u32::MAX)),
        |c| c.named_users(named(Some(u32::MAX), None)),
        |c| c.named_users(named(None, Some(u32::MAX))),
        |c| c.named_users(NamedUsers { expire_days: 36_501, ..NamedUsers::default() }),
        |c| c.warn_at(0),
        |c| c.warn_at(101),
    ];
    let refused = configs.map(|set| Engine::new(set(Config::new())).unwrap_err().setting);
    assert_eq!((&refused[..6], &refused[6..]), (&names[..], &["warn_at"; 2][..]));
}
