//! Fences of more users than are worked through under one hold of a lock: as for a few, all or none.

mod support;
use support::*;

use coedit::{Access, Connection, FenceError, Reason, UserId};

/// More than are worked through at once.
const MANY: usize = 700;
const FENCES_MAX: usize = 65_536;

fn users(from: usize, to: usize) -> Vec<UserId> {
    (from..to).map(|number| id(&format!("user-{number:05}"))).collect()
}

#[test]
fn p3_many_users_are_fenced_as_a_few_are() {
    let world = World::plain();
    let names = ["user-00003", "user-00400", "user-00699", "ann"];
    let tabs = names.map(|name| world.edit("doc", name));
    world.acknowledge_all();
    let dropped = world.engine.fence(&key("doc"), Some(&users(0, MANY)), Some(seconds(60))).unwrap();
    assert_eq!(dropped.connections, tabs[..3].iter().map(Connection::id).collect::<Vec<_>>());
    let mut unmatched = users(0, MANY);
    unmatched.retain(|user| names.iter().all(|name| id(name) != *user));
    assert_eq!(dropped.unmatched, unmatched);
    assert_eq!(tabs.each_ref().map(Connection::may_edit), [false, false, false, true]);
    assert_eq!(world.engine.fences().len(), MANY);
    assert_eq!(world.open("doc", "user-00500", Access::Edit).granted().reason, Some(Reason::Fenced));
    // They end on time, and the tick that is due then frees what they took.
    world.assert_due_by(60_000);
    world.pass(seconds(60));
    assert!(world.engine.fences().is_empty());
    assert!(world.edit("doc", "user-00500").may_edit());
    world.engine.validate().unwrap();
}

#[test]
fn p3_many_users_are_dropped_as_a_few_are() {
    let world = World::plain();
    let tab = world.edit("doc", "user-00400");
    let dropped = world.engine.drop_users(&key("doc"), &users(0, MANY)).unwrap();
    assert_eq!(dropped.connections, [tab.id()]);
    let mut unmatched = users(0, MANY);
    unmatched.remove(400);
    assert_eq!(dropped.unmatched, unmatched);
    assert!(!tab.may_edit());
}

#[test]
fn p6_a_user_who_is_named_twice_takes_the_room_of_one_fence() {
    let world = World::plain();
    let twice: Vec<UserId> = users(0, MANY).into_iter().chain(users(0, MANY)).collect();
    for _ in 0..=FENCES_MAX / MANY {
        world.engine.fence(&key("doc"), Some(&twice), None).unwrap();
    }
    assert_eq!(world.engine.fences().len(), MANY);
    // Exactly the rest of the room is left.
    world.engine.fence(&key("else"), Some(&users(0, FENCES_MAX - MANY)), None).unwrap();
    assert_eq!(world.engine.fence(&key("else"), Some(&[id("ann")]), None), Err(FenceError::TooMany));
    world.engine.unfence(&key("doc"), Some(&twice));
    // Also where there is room for just these.
    world.engine.fence(&key("doc"), Some(&twice), None).unwrap();
    world.engine.unfence(&key("else"), None);
    world.engine.unfence(&key("doc"), Some(&twice));
    assert!(world.engine.fences().is_empty());
    world.engine.fence(&key("doc"), Some(&users(0, FENCES_MAX)), None).unwrap();
    world.engine.validate().unwrap();
}

#[test]
fn p10_many_fences_without_room_change_nothing_and_those_that_ended_make_room() {
    let world = World::plain();
    world.engine.fence(&key("old"), Some(&users(0, FENCES_MAX - MANY)), Some(seconds(10))).unwrap();
    let tab = world.edit("doc", "user-00003");
    let set = || world.engine.fence(&key("doc"), Some(&users(0, MANY + 1)), None);
    assert_eq!(set(), Err(FenceError::TooMany));
    assert_eq!(world.engine.fences().len(), FENCES_MAX - MANY);
    assert!(tab.may_edit());
    // The time of the old ones is over, though no tick has run.
    world.clock.advance(seconds(10));
    set().unwrap();
    assert!(!tab.may_edit());
    assert_eq!(world.engine.fences().len(), MANY + 1);
    world.engine.validate().unwrap();
}

/// The fences that have ended were of the same users: each needs room again.
#[test]
fn p6_fences_that_ended_are_counted_anew() {
    let world = World::plain();
    world.engine.fence(&key("else"), Some(&users(0, FENCES_MAX - MANY)), None).unwrap();
    let set = |to, time| world.engine.fence(&key("doc"), Some(&users(0, to)), time);
    set(MANY, Some(seconds(10))).unwrap();
    world.clock.advance(seconds(10));
    assert_eq!(set(MANY + 1, None), Err(FenceError::TooMany));
    set(MANY, None).unwrap();
    assert_eq!(world.engine.fences().len(), FENCES_MAX);
    world.engine.validate().unwrap();
}

/// Nobody has the document open, so nothing else of it falls due.
#[test]
fn p3_many_fences_of_a_closed_document_end_on_time() {
    let world = World::plain();
    world.engine.fence(&key("doc"), Some(&users(0, MANY)), Some(seconds(60))).unwrap();
    world.assert_due_by(60_000);
    world.pass(seconds(60));
    assert!(world.engine.fences().is_empty());
}
