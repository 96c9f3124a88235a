//! P12: which idle editor loses its seat to whoever waits, at which limit, and what the storage hears of it.

mod support;
use support::*;

use std::time::Duration;

use coedit::{Access, Config, EditRequest, Notice, Reason, SeatCount};

const IDLE: Duration = Duration::from_secs(600);
const WARNING: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

fn world(warning: Duration, set: impl FnOnce(Config) -> Config) -> World {
    World::new(|config| set(config.idle_when_wanted(Some(IDLE)).expiry_warning(warning)))
}

/// Who was warned, lost access, or was granted it, since the last call.
fn heard(world: &World) -> Vec<String> {
    world.engine.validate().unwrap();
    let short = |notice: &Notice| match notice {
        Notice::Access { user, access, .. } => Some(format!("{user} {access}")),
        Notice::Expiring { user, .. } => Some(format!("{user} warned")),
        _ => None,
    };
    world.take_notices().iter().filter_map(short).collect()
}

/// A seat of a document, too, goes to whoever waits already, once its editor is idle for long enough.
#[test]
fn p12_an_editor_who_becomes_idle_gives_its_seat_to_a_waiter_of_its_document() {
    for warning in [Duration::ZERO, WARNING] {
        let world = world(warning, |config| config.document_limit(Some(1)));
        let (ann, zoe) = (world.edit("a", "ann"), world.edit("z", "zoe"));
        let ben = world.wait("a", "ben");
        world.pass(IDLE.saturating_sub(warning + MILLISECOND));
        assert_eq!(heard(&world), Vec::<String>::new());
        world.pass(MILLISECOND);
        if !warning.is_zero() {
            assert_eq!(heard(&world), ["ann warned"]);
            world.pass(warning);
        }
        assert_eq!(heard(&world), ["ann view", "ben edit"]);
        assert!(!ann.may_edit() && ben.may_edit() && zoe.may_edit());
    }
}

#[test]
fn p12_of_a_documents_idle_editors_only_the_longest_idle_is_warned_for_one_waiter() {
    let world = world(WARNING, |config| config.document_limit(Some(3)));
    let [ann, ben, cleo] = ["ann", "ben", "cleo"].map(|name| world.edit("doc", name));
    world.pass(seconds(10));
    ann.touch().unwrap();
    world.pass(seconds(10));
    cleo.touch().unwrap();
    world.pass(IDLE);
    let _dan = world.wait("doc", "dan");
    assert_eq!(heard(&world), ["ben warned"]);
    world.pass(WARNING);
    assert_eq!(heard(&world), ["ben view", "dan edit"]);
    assert!(ann.may_edit() && !ben.may_edit() && cleo.may_edit());
}

/// Its own seat elsewhere came back, and then the document stops it: an editor there is idle for long already.
#[test]
fn p12_a_waiter_who_moves_to_another_limit_has_the_seat_of_an_idle_editor_there() {
    let world = world(Duration::ZERO, |config| config.user_limit(Some(1)));
    let (ann, elsewhere) = (world.edit("a", "ann"), world.edit("b", "ben"));
    let ben = world.wait("a", "ben");
    world.pass(IDLE);
    world.engine.set_document_limit(Some(1)).unwrap();
    assert_eq!(heard(&world), Vec::<String>::new());
    drop(elsewhere);
    world.engine.tick();
    assert_eq!(heard(&world), ["ann view", "ben edit"]);
    assert!(!ann.may_edit() && ben.may_edit());
}

/// Nobody who is there waits when the editor becomes idle.
#[test]
fn p12_a_lost_waiter_who_resumes_has_the_seat_of_an_idle_editor() {
    let set = |config: Config| config.reconnect_grace(Some(IDLE * 2)).edit_limit(Some(1));
    let world = world(Duration::ZERO, set);
    let (ann, ben) = (world.edit("a", "ann"), world.wait("b", "ben"));
    let token = ben.token().unwrap();
    world.engine.lost(ben.into_id()).unwrap();
    world.pass(IDLE);
    assert_eq!(heard(&world), Vec::<String>::new());
    let ben = world.engine.resume(&token, 1).unwrap();
    assert!(ben.may_edit() && !ann.may_edit());
}

#[test]
fn p12_nobody_is_warned_while_the_engine_drains() {
    let world = world(WARNING, |config| config.edit_limit(Some(1)));
    let (ann, ben) = (world.edit("a", "ann"), world.wait("b", "ben"));
    world.engine.drain();
    world.pass(IDLE);
    assert_eq!(heard(&world), Vec::<String>::new());
    assert!(ann.may_edit() && ben.position() == Some(1));
}

/// An editor whose seat somebody may have loses its access, or comes back on another line: nobody may have its seat then.
#[test]
fn p12_an_idle_editor_who_edits_no_longer_or_resumes_has_no_seat_to_give() {
    let set = |config: Config| config.idle(Some(IDLE * 2)).reconnect_grace(Some(IDLE)).edit_limit(Some(2));
    let world = world(Duration::ZERO, set);
    let [ann, ben] = ["ann", "ben"].map(|name| world.edit("doc", name));
    world.pass(IDLE);
    let token = ben.token().unwrap();
    world.engine.lost(ben.into_id()).unwrap();
    let ben = world.engine.resume(&token, 1).unwrap();
    assert_eq!(heard(&world), Vec::<String>::new());
    world.pass(IDLE);
    assert_eq!(heard(&world), ["ann view"]);
    assert!(!ann.may_edit() && ben.may_edit());
}

/// The one who lets a waiter in and the waiter are of different documents: the storage hears of both at once.
#[test]
fn p4_the_storage_hears_of_both_when_an_idle_editor_gives_its_seat_up() {
    for at_once in [true, false] {
        let world = world(Duration::ZERO, |config| config.edit_limit(Some(1)));
        let _ann = world.edit("a", "ann");
        world.acknowledge_all();
        let _ben = if at_once {
            world.pass(IDLE);
            let ben = world.open("b", "ben", Access::Edit);
            assert_eq!(ben.request_edit(), Ok(EditRequest::Granted));
            ben
        } else {
            let ben = world.wait("b", "ben");
            world.pass(IDLE);
            assert_eq!(heard(&world), ["ann view", "ben edit"]);
            ben
        };
        let mut told = world.acknowledge_all();
        told.sort();
        assert_eq!(told, ["1 +ben [ben]", "4 -ann"], "at once: {at_once}");
    }
}

#[test]
fn p12_a_user_with_two_seats_gives_the_longest_idle_one_up() {
    let world = world(Duration::ZERO, |config| config.edit_limit(Some(2)));
    let (first, second) = (world.edit("a", "ann"), world.edit("a", "ann"));
    let ben = world.wait("b", "ben");
    world.pass(seconds(1));
    second.touch().unwrap();
    world.pass(IDLE.saturating_sub(seconds(1)));
    assert_eq!(heard(&world), ["ann view", "ben edit"]);
    assert!(!first.may_edit() && second.may_edit() && ben.may_edit());
}

/// One tab of two that share a seat frees none.
#[test]
fn p12_a_tab_whose_seat_another_one_needs_is_left_alone() {
    let count = SeatCount::UsersOfDocuments;
    let world = world(Duration::ZERO, |config| config.edit_limit(Some(1)).seat_count(count));
    let (first, second) = (world.edit("a", "ann"), world.edit("a", "ann"));
    let ben = world.wait("b", "ben");
    world.pass(seconds(1));
    second.touch().unwrap();
    world.pass(IDLE.saturating_sub(seconds(1)));
    assert_eq!(heard(&world), Vec::<String>::new());
    assert!(first.may_edit() && second.may_edit() && !ben.may_edit());
}

#[test]
fn p12_an_idle_editor_who_was_dropped_is_no_longer_warned() {
    let world = world(WARNING, |config| config.edit_limit(Some(2)));
    let (ann, ben) = (world.edit("a", "ann"), world.edit("b", "ben"));
    world.pass(IDLE);
    world.engine.drop_users(&key("a"), &[id("ann")]).unwrap();
    ben.release_edit().unwrap();
    assert_eq!(heard(&world), Vec::<String>::new());
    let _others = ["c", "d"].map(|name| world.edit(name, name));
    let eve = world.wait("e", "eve");
    world.pass(MILLISECOND);
    assert_eq!(heard(&world), Vec::<String>::new());
    assert!(!ann.may_edit() && !ben.may_edit() && !eve.may_edit());
}

/// Waiters of more documents than are looked at in one go begin to wait for a seat of their document at one moment.
#[test]
fn p12_idle_editors_of_many_documents_give_their_seats_up_at_one_moment() {
    const DOCUMENTS: usize = 600;
    let world = world(Duration::ZERO, |config| config.document_limit(Some(1)).user_limit(Some(1)));
    let _editing = world.edit("elsewhere", "ann");
    let names: Vec<String> = (0..DOCUMENTS).map(|number| format!("doc-{number}")).collect();
    let waiters: Vec<_> = names.iter().map(|name| world.open(name, "ann", Access::Edit)).collect();
    for waiter in &waiters {
        assert!(matches!(waiter.request_edit(), Ok(EditRequest::Waiting { reason: Reason::UserLimit, .. })));
    }
    let editors: Vec<_> = names.iter().map(|name| world.edit(name, name)).collect();
    world.pass(IDLE);
    world.engine.set_user_limit(None).unwrap();
    world.engine.tick();
    let granted = waiters.iter().filter(|waiter| waiter.may_edit()).count();
    let editing = editors.iter().filter(|editor| editor.may_edit()).count();
    assert_eq!((granted, editing), (DOCUMENTS, 0));
    world.engine.validate().unwrap();
}
