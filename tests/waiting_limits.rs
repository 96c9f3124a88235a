//! P12: what those who wait see of the limits, and the limits of those who wait.

mod support;
use support::*;

use coedit::{Access, Connection, EditRequest, Reason};

/// How many are counted as waiting: for a seat of the engine, of a document, of a user, and for the end of a save.
fn waiting(world: &World) -> [u32; 4] {
    let counts = world.engine.limits().waiting;
    [counts.edit, counts.document, counts.user, counts.saving]
}

/// Lets many wait, without the checks of [`World::wait`].
fn wait_all<'a>(world: &World, tabs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Connection> {
    let wait = |(key, name): (&str, &str)| {
        let tab = world.open(key, name, Access::Edit);
        assert!(matches!(tab.request_edit(), Ok(EditRequest::Waiting { .. })));
        tab
    };
    tabs.map(wait).collect()
}

#[test]
fn p1_p9_seats_that_pass_on_never_count_twice_in_the_usage() {
    let world = World::new(|config| config.edit_limit(Some(2)));
    let editors = ["ann", "ben"].map(|name| world.edit("a", name));
    let waiters = ["cleo", "dan"].map(|name| world.wait("b", name));
    // The hour that is looked at begins with two who edit.
    world.pass(seconds(2 * 3600));
    assert_eq!(world.engine.drop_all(&key("a")).unwrap().connections.len(), 2);
    assert!(waiters.iter().all(Connection::may_edit));
    world.pass(seconds(60));
    let edit = world.engine.usage().unwrap().hour.edit;
    assert_eq!((edit.min, edit.max), (0, 2), "both seats are given back, and then they pass on");
    drop(editors);
}

#[test]
fn seats_that_are_kept_for_the_next_tick_have_no_editor() {
    let world = World::new(|config| config.edit_limit(Some(300)));
    let names: Vec<String> = (0..300).map(|number| format!("u{number}")).collect();
    let editors: Vec<Connection> = names.iter().map(|name| world.edit("a", name)).collect();
    let waiters = wait_all(&world, names.iter().map(|name| (name.as_str(), name.as_str())));
    world.engine.drop_all(&key("a")).unwrap();
    let granted = waiters.iter().filter(|tab| tab.may_edit()).count();
    assert!(granted < 300, "the rest is left to the next tick");
    world.engine.validate().unwrap();
    assert_eq!(world.engine.limits().edit.in_use, 300, "no newcomer gets them");
    world.engine.tick();
    assert!(waiters.iter().all(Connection::may_edit));
    drop(editors);
}

#[test]
fn p12_draining_frees_the_seats_that_are_given_back() {
    let world = World::new(|config| config.edit_limit(Some(1)));
    let ann = world.edit("a", "ann");
    let ben = world.wait("b", "ben");
    world.engine.drain();
    ann.release_edit().unwrap();
    assert_eq!(world.engine.limits().edit.in_use, 0);
    world.engine.undrain();
    assert!(ben.may_edit());
}

#[test]
fn p12_a_raised_limit_of_documents_serves_those_who_wait_at_more_than_256_of_them() {
    let world = World::new(|config| config.document_limit(Some(1)));
    let names: Vec<String> = (0..600).map(|number| format!("d{number}")).collect();
    let editors: Vec<Connection> = names.iter().map(|name| world.edit(name, "ann")).collect();
    let waiters = wait_all(&world, names.iter().map(|name| (name.as_str(), "ben")));
    world.engine.set_document_limit(Some(2)).unwrap();
    world.engine.tick();
    assert!(waiters.iter().all(Connection::may_edit));
    drop(editors);
}

#[test]
fn p12_whoever_waits_for_a_full_document_waits_on_there_while_it_is_saved() {
    let world = World::new(|config| config.document_limit(Some(1)));
    let ann = world.edit("a", "ann");
    let ben = world.wait("a", "ben");
    ann.change().unwrap();
    world.engine.set_document_limit(Some(0)).unwrap();
    drop(ann);
    world.ack();
    world.pass(seconds(10));
    let save = world.take();
    world.engine.set_document_limit(Some(0)).unwrap();
    assert_eq!((waiting(&world), ben.granted().reason), ([0, 1, 0, 0], Some(Reason::DocumentLimit)));
    world.engine.set_document_limit(Some(1)).unwrap();
    assert_eq!(waiting(&world), [0, 0, 0, 1], "the limit has room, and the save stops it");
    save.ack();
    assert!(ben.may_edit());
}

#[test]
fn p12_whoever_waits_for_a_seat_of_its_own_waits_on_there_while_the_document_is_full() {
    let world = World::new(|config| config.user_limit(Some(1)));
    let ann = world.edit("a", "ann");
    let second = world.wait("b", "ann");
    let ben = world.edit("b", "ben");
    world.engine.set_document_limit(Some(1)).unwrap();
    world.engine.set_user_limit(Some(1)).unwrap();
    assert_eq!((waiting(&world), second.granted().reason), ([0, 0, 1, 0], Some(Reason::UserLimit)));
    drop(ann);
    assert_eq!(waiting(&world), [0, 1, 0, 0], "the document stops it then");
    drop(ben);
    assert!(second.may_edit());
}
