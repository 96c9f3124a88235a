//! P12: waiting for edit access: who gets the next seat, in which order, and what ends a place.

mod support;
use support::*;

use std::time::Duration;

use coedit::{
    Access, AccessCause, Config, Connection, EditRequest, Engine, NamedUsers, Notice, Reason, RequestError,
    SeatCount,
};

const GRACE: Duration = Duration::from_secs(120);

fn waiting(reason: Reason, position: u32) -> EditRequest {
    EditRequest::Waiting { reason, position }
}

fn limited(limit: u32) -> World {
    World::new(|config| config.edit_limit(Some(limit)).reconnect_grace(Some(GRACE)))
}

/// The users who were granted access since the last call, in order.
fn granted(world: &World) -> Vec<String> {
    world.engine.validate().unwrap();
    let granted = |notice: &Notice| match notice {
        Notice::Access { user, access: Access::Edit, cause: AccessCause::Granted, .. } => {
            Some(user.to_string())
        }
        _ => None,
    };
    world.take_notices().iter().filter_map(granted).collect()
}

fn waiting_in_all(engine: &Engine) -> u32 {
    let waiting = engine.limits().waiting;
    waiting.edit + waiting.document + waiting.user + waiting.saving
}

#[test]
fn p12_a_freed_seat_passes_to_the_first_waiter_and_not_to_a_newcomer() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let [ben, cleo] = ["ben", "cleo"].map(|name| world.wait(name, name));
    assert_eq!([ben.position(), cleo.position()], [Some(1), Some(2)]);
    assert_eq!(world.engine.limits().waiting.edit, 2);
    drop(ann);
    assert_eq!(granted(&world), ["ben"]);
    assert!(ben.may_edit());
    assert_eq!((ben.position(), cleo.position()), (None, Some(1)));
    assert_eq!(world.open("d", "dan", Access::Edit).granted().reason, Some(Reason::ConnectionLimit));
    drop(ben);
    assert_eq!(granted(&world), ["cleo"]);
    assert_eq!(waiting_in_all(&world.engine), 0);
    drop(cleo);
    assert!(world.open("d", "dan", Access::Edit).may_edit(), "nobody waits");
}

#[test]
fn p12_a_free_seat_is_given_at_once_without_a_notice() {
    let world = limited(1);
    let tab = world.open("a", "ann", Access::View);
    world.take_notices();
    assert_eq!(tab.request_edit(), Ok(EditRequest::Granted));
    assert_eq!(tab.request_edit(), Ok(EditRequest::Granted), "it edits already");
    assert_eq!(granted(&world), Vec::<String>::new());
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
    tab.release_edit().unwrap();
    assert_eq!(tab.access(), Some(Access::View));
    assert_eq!(world.acknowledge_all(), ["4 -ann"]);
}

#[test]
fn p12_newcomers_are_held_back_while_somebody_waits_but_not_by_a_lost_waiter() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let ben = world.wait("b", "ben");
    let token = ben.token().unwrap();
    ben.lost().unwrap();
    drop(ann);
    assert_eq!(granted(&world), Vec::<String>::new());
    let cleo = world.edit("c", "cleo");
    let ben = world.engine.resume(&token, 0).unwrap();
    assert_eq!((ben.access(), ben.position()), (Some(Access::View), Some(1)));
    drop(cleo);
    assert_eq!(granted(&world), ["ben"]);
    assert!(ben.may_edit());
}

#[test]
fn p12_a_lost_waiter_that_resumes_while_a_seat_is_free_edits_without_a_notice() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let ben = world.wait("b", "ben");
    let token = ben.token().unwrap();
    ben.lost().unwrap();
    drop(ann);
    let ben = world.engine.resume(&token, 0).unwrap();
    assert_eq!(ben.granted().access, Access::Edit);
    assert_eq!(granted(&world), Vec::<String>::new());
}

#[test]
fn p12_a_lost_waiter_keeps_its_ticket_for_its_lease() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let [ben, cleo] = ["ben", "cleo"].map(|name| world.wait(name, name));
    let token = ben.token().unwrap();
    ben.lost().unwrap();
    assert_eq!(cleo.position(), Some(2), "lost waiters count");
    let ben = world.engine.resume(&token, 0).unwrap();
    assert_eq!(ben.position(), Some(1));
    drop(ann);
    assert_eq!(granted(&world), ["ben"]);
    drop(ben);
    let dan = world.wait("d", "dan");
    cleo.lost().unwrap();
    world.pass(GRACE);
    assert_eq!(world.engine.limits().waiting.edit, 0);
    assert!(!dan.may_edit() || granted(&world) == ["cleo", "dan"]);
}

#[test]
fn p12_each_limit_has_a_queue_and_a_waiter_stands_only_in_one() {
    let world = World::new(|config| config.edit_limit(Some(3)).document_limit(Some(1)).user_limit(Some(1)));
    let ann = world.edit("a", "ann");
    let ben = world.edit("b", "ben");
    let at_document = world.open("a", "cleo", Access::Edit);
    assert_eq!(at_document.request_edit(), Ok(waiting(Reason::DocumentLimit, 1)));
    let at_user = world.open("c", "ann", Access::Edit);
    assert_eq!(at_user.request_edit(), Ok(waiting(Reason::UserLimit, 1)));
    let dan = world.edit("d", "dan");
    let at_engine = world.open("e", "eve", Access::Edit);
    assert_eq!(at_engine.request_edit(), Ok(waiting(Reason::ConnectionLimit, 1)));
    let counts = world.engine.limits().waiting;
    assert_eq!((counts.edit, counts.document, counts.user, counts.saving), (1, 1, 1, 0));
    assert_eq!(world.engine.would_wait_at(&key("a"), &id("zoe")), Ok(Some(2)));
    assert_eq!(world.engine.would_wait_at(&key("z"), &id("zoe")), Ok(Some(2)));
    // One call frees a seat of all three limits: the lowest ticket comes first, and the engine has one seat only.
    drop(ann);
    assert_eq!(granted(&world), ["cleo"]);
    assert_eq!(world.engine.connections(&key("c"))[0].position, Some(1));
    drop(ben);
    assert_eq!(granted(&world), ["ann"], "it moved to the engine's queue with its ticket");
    drop(dan);
    assert_eq!(granted(&world), ["eve"]);
    drop((at_document, at_user, at_engine));
    world.engine.validate().unwrap();
}

#[test]
fn p12_a_waiter_whose_own_limit_is_full_is_skipped_and_stays_in_its_queue() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let ben = world.wait("b", "ben");
    world.engine.set_document_limit(Some(0)).unwrap();
    world.engine.set_live_limit(Some(1)).unwrap();
    let counts = world.engine.limits().waiting;
    assert_eq!((counts.edit, counts.document), (1, 0), "its turn has not come");
    drop(ann);
    let counts = world.engine.limits().waiting;
    assert_eq!((counts.edit, counts.document), (0, 1), "the document stops it then");
    world.engine.set_document_limit(None).unwrap();
    assert_eq!((granted(&world), ben.may_edit()), (vec!["ben".into()], true));
}

#[test]
fn p12_named_users_fences_and_draining_have_no_queue() {
    let quota = NamedUsers { edit: Some(1), expire_days: 1, ..NamedUsers::default() };
    let world = World::new(|config| config.named_users(quota));
    let ann = world.edit("a", "ann");
    let ben = world.open("a", "ben", Access::Edit);
    assert_eq!(ben.request_edit(), Ok(EditRequest::Refused(Reason::UserQuota)));
    world.engine.fence(&key("a"), Some(&[id("ben")]), None).unwrap();
    assert_eq!(ben.request_edit(), Ok(EditRequest::Refused(Reason::Fenced)));
    world.engine.drain();
    assert_eq!(ben.request_edit(), Ok(EditRequest::Refused(Reason::Draining)));
    assert_eq!((ben.position(), waiting_in_all(&world.engine)), (None, 0));
    assert_eq!(world.engine.would_wait_at(&key("a"), &id("zoe")), Ok(None));
    drop(ann);
}

#[test]
fn p12_whoever_is_to_become_a_named_user_holds_nobody_back() {
    let world = World::new(|config| config.user_limit(Some(0)));
    let waiters = [("a", "ann"), ("b", "ben"), ("c", "ann")].map(|(key, name)| world.wait(key, name));
    let named = |edit| NamedUsers { edit: Some(edit), expire_days: 1, ..NamedUsers::default() };
    world.engine.set_named_users(named(0)).unwrap();
    world.engine.set_user_limit(None).unwrap();
    assert_eq!((granted(&world), waiting_in_all(&world.engine)), (vec![], 0));
    world.engine.set_named_users(named(1)).unwrap();
    assert_eq!(granted(&world), ["ann", "ann"], "she counts by now");
    world.pass(seconds(3 * 86_400));
    assert_eq!((granted(&world), waiters[1].may_edit()), (vec!["ben".into()], true));
}

#[test]
fn p12_undraining_serves_those_for_whom_a_named_users_place_came_meanwhile() {
    let world = World::new(|config| config.user_limit(Some(0)));
    let waiters = [("a", "ann"), ("b", "ben")].map(|(key, name)| world.wait(key, name));
    let named = |edit| NamedUsers { edit: Some(edit), expire_days: 1, ..NamedUsers::default() };
    world.engine.set_named_users(named(0)).unwrap();
    world.engine.set_user_limit(None).unwrap();
    world.engine.drain();
    world.engine.set_named_users(named(1)).unwrap();
    assert_eq!(granted(&world), Vec::<String>::new());
    world.engine.undrain();
    assert_eq!((granted(&world), waiters[0].may_edit()), (vec!["ann".into()], true));
    world.engine.drain();
    world.pass(seconds(3 * 86_400));
    assert_eq!(granted(&world), Vec::<String>::new());
    world.engine.undrain();
    assert_eq!((granted(&world), waiters[1].may_edit()), (vec!["ben".into()], true), "her days are over");
}

#[test]
fn p12_while_draining_nobody_is_granted_and_undraining_serves() {
    let world = limited(2);
    let tabs = [world.edit("a", "ann"), world.edit("a", "ben")];
    let [cleo, dan] = ["cleo", "dan"].map(|name| world.wait(name, name));
    world.engine.drain();
    drop(tabs);
    assert_eq!(granted(&world), Vec::<String>::new());
    assert_eq!(cleo.request_edit(), Ok(waiting(Reason::ConnectionLimit, 1)), "places are kept");
    world.engine.undrain();
    assert_eq!(granted(&world), ["cleo", "dan"]);
    assert!(dan.may_edit());
}

#[test]
fn p12_while_draining_a_place_that_another_tab_takes_over_keeps_its_line_and_reason() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let ben = world.wait("b", "ben");
    let second = world.open("b", "ben", Access::View);
    world.engine.drain();
    assert_eq!(second.request_edit(), Ok(waiting(Reason::ConnectionLimit, 1)));
    assert_eq!(ben.position(), None);
    let grant = world.engine.adopt(second.id()).unwrap().granted();
    assert_eq!(grant.reason, Some(Reason::ConnectionLimit));
    world.engine.undrain();
    drop(ann);
}

#[test]
fn p12_a_raised_limit_lets_in_as_many_as_fit_in_order() {
    let world = limited(0);
    let names: Vec<String> = (0..600).map(|number| format!("u{number}")).collect();
    let tabs: Vec<Connection> = names.iter().map(|name| world.wait(name, name)).collect();
    world.engine.set_edit_limit(Some(400)).unwrap();
    let in_call = granted(&world);
    assert!(!in_call.is_empty() && in_call.len() <= 256, "{}", in_call.len());
    // The rest is left to the next tick, which is due at once.
    world.assert_due_by(0);
    assert_eq!(world.open("x", "xena", Access::Edit).access(), Some(Access::View));
    world.engine.tick();
    let all: Vec<String> = in_call.into_iter().chain(granted(&world)).collect();
    assert_eq!(all, names[..400]);
    assert_eq!(tabs[400].position(), Some(1));
    assert_eq!(world.engine.limits().edit.in_use, 400);
    world.engine.set_edit_limit(None).unwrap();
    world.engine.tick();
    assert_eq!(granted(&world), names[400..]);
}

#[test]
fn p1_a_lowered_limit_passes_no_seat_on() {
    let world = limited(2);
    let [ann, ben] = ["ann", "ben"].map(|name| world.edit("a", name));
    let cleo = world.wait("b", "cleo");
    world.engine.set_edit_limit(Some(1)).unwrap();
    drop(ann);
    assert_eq!((granted(&world), world.engine.limits().edit.in_use), (vec![], 1));
    drop(ben);
    assert_eq!((granted(&world), world.engine.limits().edit.in_use), (vec!["cleo".into()], 1));
    drop(cleo);
}

#[test]
fn p12_a_user_has_one_place_on_a_document() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let first = world.wait("b", "ben");
    let other = world.wait("c", "cleo");
    let second = world.open("b", "ben", Access::View);
    assert_eq!(second.request_edit(), Ok(waiting(Reason::ConnectionLimit, 1)), "the place with its ticket");
    assert_eq!((first.position(), world.engine.limits().waiting.edit), (None, 2));
    drop(ann);
    assert!(second.may_edit() && !first.may_edit() && !other.may_edit());
}

#[test]
fn p12_a_drop_or_a_fence_ends_the_places_of_those_it_names() {
    for fence in [false, true] {
        let world = limited(1);
        let ann = world.edit("a", "ann");
        let [ben, cleo] = ["ben", "cleo"].map(|name| world.wait("a", name));
        world.take_notices();
        let users = [id("ben"), id("ann")];
        if fence {
            world.engine.fence(&key("a"), Some(&users), None).unwrap();
        } else {
            world.engine.drop_users(&key("a"), &users).unwrap();
        }
        let notices = world.take_notices();
        let named = |notice: &Notice, tab: &Connection| matches!(notice, Notice::Dropped { connection, .. } if *connection == tab.id());
        assert!(notices.iter().any(|notice| named(notice, &ben)), "{notices:?}");
        assert!(notices.iter().any(|notice| named(notice, &ann)), "{notices:?}");
        assert!(cleo.may_edit() && !ben.may_edit() && ben.position().is_none());
        let again = ben.request_edit();
        let expected =
            if fence { EditRequest::Refused(Reason::Fenced) } else { waiting(Reason::ConnectionLimit, 1) };
        assert_eq!(again, Ok(expected), "a dropped viewer may ask again at once: only a fence prevents it");
        world.engine.validate().unwrap();
    }
}

#[test]
fn p5_a_drop_of_the_last_editor_gets_its_save_before_the_documents_waiters_edit() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    ann.change().unwrap();
    let ben = world.wait("a", "ben");
    world.engine.drop_users(&key("a"), &[id("ann")]).unwrap();
    assert_eq!((granted(&world), ben.position()), (vec![], Some(1)));
    let counts = world.engine.limits().waiting;
    assert_eq!((counts.edit, counts.saving), (0, 1));
    let join = world.take();
    assert_eq!(summary(&join.acked()), "1 +ann [ann]");
    let save = world.take();
    assert_eq!(save.callback().status.number(), 2);
    assert_eq!(world.open("a", "cleo", Access::Edit).granted().reason, Some(Reason::Saving));
    save.ack();
    assert_eq!(granted(&world), ["ben"]);
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]"]);
}

#[test]
fn p12_nobody_waits_for_a_save_that_was_given_up_and_is_tried_again() {
    let world = World::new(|config| config.retry_pauses([]));
    let ann = world.edit("a", "ann");
    ann.change().unwrap();
    world.acknowledge_all();
    world.engine.drop_all(&key("a")).unwrap();
    world.take().fail();
    world.acknowledge_all();
    world.engine.retry_forgotten(&key("a")).unwrap();
    assert_eq!(ann.request_edit(), Ok(EditRequest::Granted), "no drop asked for this save");
    world.engine.validate().unwrap();
}

#[test]
fn p12_where_the_last_editor_leaves_and_a_waiter_comes_in_one_call_nothing_closes() {
    for changes in [false, true] {
        let world = limited(1);
        let ann = world.edit("a", "ann");
        if changes {
            ann.change().unwrap();
        }
        let ben = world.wait("a", "ben");
        assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
        drop(ann);
        assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ben [ben]"], "changes: {changes}");
        drop(ben);
        world.pass(seconds(60));
        assert_eq!(world.acknowledge_all(), [if changes { "2 -ben [ann]" } else { "4 -ben" }]);
    }
}

#[test]
fn p12_waiters_for_a_save_are_served_when_it_is_settled() {
    let world = World::new(|config| config.save_delay(Duration::ZERO));
    let ann = world.edit("a", "ann");
    ann.change().unwrap();
    world.acknowledge_all();
    drop(ann);
    let save = world.take();
    let ben = world.open("a", "ben", Access::Edit);
    assert_eq!(ben.granted().reason, Some(Reason::Saving));
    assert_eq!(ben.request_edit(), Ok(waiting(Reason::Saving, 1)));
    let cleo = world.open("a", "cleo", Access::Edit);
    assert_eq!(cleo.request_edit(), Ok(waiting(Reason::Saving, 2)));
    world.engine.validate().unwrap();
    save.ack();
    assert_eq!(granted(&world), ["ben", "cleo"]);
    assert_eq!(world.acknowledge_all(), ["1 +ben [ben]", "1 +cleo [ben cleo]"]);
}

#[test]
fn p12_a_live_viewer_who_is_granted_frees_its_live_seat() {
    let world = World::new(|config| config.edit_limit(Some(1)).live_limit(Some(1)));
    let ann = world.edit("a", "ann");
    let ben = world.open("a", "ben", Access::LiveView);
    assert_eq!(ben.request_edit(), Ok(waiting(Reason::ConnectionLimit, 1)));
    assert_eq!(ben.access(), Some(Access::LiveView));
    drop(ann);
    assert_eq!((granted(&world), world.engine.limits().live.in_use), (vec!["ben".into()], 0));
    assert_eq!(world.open("a", "cleo", Access::LiveView).access(), Some(Access::LiveView));
    ben.release_edit().unwrap();
    assert_eq!(ben.access(), Some(Access::View));
}

#[test]
fn p12_who_needs_no_seat_is_not_held_back() {
    let world = World::new(|config| config.edit_limit(Some(1)).seat_count(SeatCount::UsersOfDocuments));
    let ann = world.edit("a", "ann");
    let ben = world.wait("b", "ben");
    let second = world.edit("a", "ann");
    drop(ann);
    assert!(!ben.may_edit());
    drop(second);
    assert!(ben.may_edit());
    world.engine.validate().unwrap();
}

#[test]
fn p12_a_place_ends_with_its_connection_and_with_release_edit() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let [ben, cleo, dan] = ["ben", "cleo", "dan"].map(|name| world.wait(name, name));
    drop(ben);
    cleo.release_edit().unwrap();
    drop(ann);
    assert_eq!((granted(&world), dan.may_edit()), (vec!["dan".into()], true));
}

#[test]
fn p12_refused_calls_change_nothing() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let ben = world.wait("b", "ben");
    let (gone, lost) = (world.open("c", "cleo", Access::Edit).id(), ben.id());
    let token = ben.token().unwrap();
    ben.lost().unwrap();
    assert_eq!(world.engine.request_edit(gone), Err(RequestError::Unknown));
    assert_eq!(world.engine.release_edit(gone), Err(RequestError::Unknown));
    assert_eq!(world.engine.request_edit(lost), Err(RequestError::Lost));
    assert_eq!(world.engine.release_edit(lost), Err(RequestError::Lost));
    assert_eq!(world.engine.position(lost), Some(1));
    let ben = world.engine.resume(&token, 0).unwrap();
    world.engine.begin_shutdown(seconds(1));
    assert_eq!(world.engine.request_edit(ben.id()), Err(RequestError::Unknown));
    drop((ann, ben));
}

#[test]
fn p12_at_most_65_536_wait() {
    let world = World::new(|config| config.edit_limit(Some(0)).usage(false));
    let tabs: Vec<Connection> = (0..65_537)
        .map(|number| world.open(&format!("d{}", number % 64), &format!("u{number}"), Access::Edit))
        .collect();
    for tab in &tabs[..65_536] {
        assert!(tab.request_edit().is_ok());
    }
    let last = &tabs[65_536];
    assert_eq!(last.request_edit(), Err(RequestError::TooMany));
    assert_eq!(RequestError::TooMany.code().number(), 3);
    assert_eq!(tabs[65_535].position(), Some(65_536));
    tabs[0].release_edit().unwrap();
    assert_eq!(last.request_edit(), Ok(waiting(Reason::ConnectionLimit, 65_536)));
}

#[test]
fn waits_count_in_usage() {
    let world = limited(1);
    let ann = world.edit("a", "ann");
    let [ben, cleo] = ["ben", "cleo"].map(|name| world.wait(name, name));
    world.pass(seconds(10));
    drop(ann);
    world.pass(seconds(20));
    drop(ben);
    let hour = world.engine.usage().unwrap().hour;
    assert_eq!((hour.opens, hour.waits.begun, hour.waits.granted), (3, 2, 2));
    assert_eq!((hour.waits.average_s, hour.waits.longest_s), (20.0, 30));
    drop(cleo);
}

#[test]
fn p11_waiters_are_restored_with_their_tickets() {
    let config = || Config::new().edit_limit(Some(1)).reconnect_grace(Some(GRACE)).shards(4);
    let world = World::new(|_| config());
    let ann = world.edit("a", "ann");
    let [ben, cleo] = ["ben", "cleo"].map(|name| world.wait(name, name));
    let tokens = [&ann, &ben, &cleo].map(|tab| tab.token().unwrap());
    let text = serde_json::to_string(&world.engine.suspend(seconds(1))).unwrap();
    let engine =
        Engine::restore(config().clock(world.clock.clone()), serde_json::from_str(&text).unwrap()).unwrap();
    engine.validate().unwrap();
    assert_eq!(engine.limits().waiting.edit, 2);
    let [ann_back, cleo_back] = [&tokens[0], &tokens[2]].map(|token| engine.resume(token, 0).unwrap());
    assert!(ann_back.may_edit());
    let ben_back = engine.resume(&tokens[1], 0).unwrap();
    assert_eq!([ben_back.position(), cleo_back.position()], [Some(1), Some(2)]);
    drop(ann_back);
    assert!(ben_back.may_edit() && !cleo_back.may_edit());
    engine.validate().unwrap();
    drop((ann, ben, cleo));
}

const IDLE: Duration = Duration::from_secs(600);
const WARNING: Duration = Duration::from_secs(60);

fn with_takeover(limit: u32, warning: Duration) -> World {
    World::new(|config| {
        let config = config.edit_limit(Some(limit)).reconnect_grace(Some(GRACE));
        config.idle_when_wanted(Some(IDLE)).expiry_warning(warning)
    })
}

/// What the transport heard of access, in a short form.
fn heard(world: &World) -> Vec<String> {
    world.engine.validate().unwrap();
    let short = |notice: &Notice| match notice {
        Notice::Access { user, access, cause, .. } => Some(format!("{user} {access} {cause:?}")),
        Notice::Expiring { user, code, in_ms, .. } => Some(format!("{user} {code} {in_ms}")),
        _ => None,
    };
    world.take_notices().iter().filter_map(short).collect()
}

#[test]
fn p12_the_longest_idle_editor_is_warned_and_loses_its_seat_to_the_first_waiter() {
    let world = with_takeover(2, WARNING);
    let ann = world.edit("a", "ann");
    world.pass(seconds(100));
    let ben = world.edit("b", "ben");
    ben.change().unwrap();
    world.pass(seconds(400));
    let [cleo, dan] = ["cleo", "dan"].map(|name| world.wait(name, name));
    assert_eq!(heard(&world), Vec::<String>::new(), "idle for 500 s and 400 s");
    world.pass(seconds(40));
    assert_eq!(heard(&world), ["ann 4002 60000"]);
    world.pass(seconds(60));
    assert_eq!(heard(&world), ["ann view Wanted", "cleo edit Granted"]);
    assert_eq!((ann.access(), cleo.may_edit(), dan.position()), (Some(Access::View), true, Some(1)));
    // Ben is warned and shows that he is there.
    world.pass(seconds(40));
    assert_eq!(heard(&world), ["ben 4002 60000"]);
    ben.touch().unwrap();
    world.pass(seconds(530));
    assert_eq!(heard(&world), ["cleo 4002 60000"]);
    world.pass(seconds(9));
    drop(dan);
    world.pass(seconds(1000));
    assert_eq!(heard(&world), Vec::<String>::new(), "never without a waiter");
    assert!(ben.may_edit() && cleo.may_edit());
    // Whoever waits now causes a new warning.
    let eve = world.wait("e", "eve");
    assert_eq!(heard(&world), ["cleo 4002 60000"]);
    world.pass(seconds(59));
    assert!(!eve.may_edit());
    world.pass(seconds(1));
    assert_eq!(heard(&world), ["cleo view Wanted", "eve edit Granted"]);
}

#[test]
fn p12_without_a_warning_a_request_takes_an_idle_seat_over_at_once() {
    let world = with_takeover(1, Duration::ZERO);
    let ann = world.edit("a", "ann");
    ann.change().unwrap();
    world.pass(IDLE);
    let ben = world.open("b", "ben", Access::Edit);
    assert_eq!((ben.access(), heard(&world)), (Some(Access::View), vec![]), "an open never does");
    assert_eq!(ben.request_edit(), Ok(EditRequest::Granted));
    assert_eq!(heard(&world), ["ann view Wanted"]);
    // Nothing unsaved of it is lost.
    world.acknowledge_all();
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
}

/// Its request frees a seat, but that passes to an earlier waiter: it waits on at the limit that stops it.
#[test]
fn p12_a_request_that_frees_a_seat_for_an_earlier_waiter_waits_on() {
    let world = World::new(|config| {
        let config = config.edit_limit(Some(1)).user_limit(Some(1)).expiry_warning(Duration::ZERO);
        let quota = NamedUsers { edit: Some(1), ..NamedUsers::default() };
        config.idle_when_wanted(Some(IDLE)).named_users(quota)
    });
    let ann = world.edit("a", "ann");
    let second = world.open("b", "ann", Access::Edit);
    assert_eq!(second.request_edit(), Ok(waiting(Reason::UserLimit, 1)));
    world.pass(seconds(86_400));
    let ben = world.open("c", "ben", Access::Edit);
    assert_eq!(ben.request_edit(), Ok(waiting(Reason::ConnectionLimit, 1)));
    assert_eq!((ann.may_edit(), second.may_edit(), ben.may_edit()), (false, true, false));
    world.engine.validate().unwrap();
}

#[test]
fn p12_nobody_waits_for_the_save_of_a_drop_after_somebody_edits_again() {
    let world = World::plain();
    let (ann, ben) = (world.edit("a", "ann"), world.open("a", "ben", Access::View));
    ann.change().unwrap();
    world.acknowledge_all();
    world.engine.drop_users(&key("a"), &[id("ann")]).unwrap();
    drop(world.edit("a", "cleo"));
    assert_eq!(ben.request_edit(), Ok(EditRequest::Granted));
}

#[test]
fn p12_a_takeover_happens_only_if_it_lets_the_waiter_in() {
    let set = |config: Config| {
        let config = config.edit_limit(Some(2)).document_limit(Some(1)).user_limit(Some(1));
        config.idle_when_wanted(Some(IDLE)).expiry_warning(Duration::ZERO)
    };
    let world = World::new(set);
    let ann = world.edit("a", "ann");
    let ben = world.edit("b", "ben");
    world.pass(IDLE);
    ben.touch().unwrap();
    let second = world.open("c", "ben", Access::Edit);
    assert_eq!(second.request_edit(), Ok(waiting(Reason::UserLimit, 1)));
    assert!(ann.may_edit() && ben.may_edit());
    world.engine.set_edit_limit(Some(1)).unwrap();
    let cleo = world.open("d", "cleo", Access::Edit);
    assert_eq!(cleo.request_edit(), Ok(waiting(Reason::ConnectionLimit, 1)));
    assert!(ann.may_edit(), "past a lowered limit one seat lets nobody in");
    let dan = world.open("a", "dan", Access::Edit);
    assert_eq!(dan.request_edit(), Ok(waiting(Reason::DocumentLimit, 1)));
    assert!(ann.may_edit(), "the seat would pass to cleo, or to nobody");
    world.engine.set_edit_limit(Some(3)).unwrap();
    assert!(cleo.may_edit());
    world.pass(seconds(1));
    drop(dan);
    let dan = world.open("a", "dan", Access::Edit);
    assert_eq!(dan.request_edit(), Ok(EditRequest::Granted), "a limit of the document");
    assert!(!ann.may_edit());
    world.engine.validate().unwrap();
}

/// No tick came since the lease of the editor is over.
#[test]
fn p1_a_waiter_that_resumes_is_not_refused_for_a_lease_that_is_due() {
    for documents in [["a", "a"], ["a", "b"], ["a", "c"]] {
        let world = limited(1);
        let ann = world.edit(documents[0], "ann");
        let ben = world.wait(documents[1], "ben");
        let token = ben.token().unwrap();
        ann.lost().unwrap();
        world.pass(seconds(60));
        ben.lost().unwrap();
        world.clock.advance(seconds(60));
        let back = world.engine.resume(&token, 0).unwrap();
        assert_eq!((back.granted().access, back.access()), (Access::Edit, Some(Access::Edit)));
        world.engine.validate().unwrap();
    }
}

#[test]
fn p12_a_lost_editor_is_left_alone() {
    let world = with_takeover(1, Duration::ZERO);
    let ann = world.edit("a", "ann");
    let ben = world.wait("b", "ben");
    world.pass(seconds(599));
    let token = ann.token().unwrap();
    ann.lost().unwrap();
    world.pass(seconds(2));
    assert_eq!(heard(&world), Vec::<String>::new());
    let ann = world.engine.resume(&token, 0).unwrap();
    assert!(ann.may_edit() && !ben.may_edit());
    world.pass(IDLE);
    assert_eq!(heard(&world), ["ann view Wanted", "ben edit Granted"]);
}
