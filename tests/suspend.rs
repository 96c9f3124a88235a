//! An engine that is suspended, and one that is restored from its snapshot.

mod support;

use std::sync::Arc;

use coedit::*;
use serde_json::Value;
use support::*;

const GRACE: u64 = 120;

fn config() -> Config {
    Config::new().shards(4).reconnect_grace(Some(seconds(GRACE)))
}

fn world(set: impl FnOnce(Config) -> Config) -> World {
    World::new(|config| set(config.reconnect_grace(Some(seconds(GRACE)))))
}

/// Suspends an engine and restores it, as the next process would, at the same time.
fn restart(world: World, set: impl FnOnce(Config) -> Config) -> World {
    let World { engine, clock, .. } = world;
    let json = serde_json::to_string(&engine.suspend(seconds(0))).unwrap();
    restore(&json, &clock, set).unwrap()
}

fn restore(
    json: &str,
    clock: &Arc<ManualClock>,
    set: impl FnOnce(Config) -> Config,
) -> Result<World, String> {
    let snapshot: Snapshot = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let engine =
        Engine::restore(set(config()).clock(clock.clone()), snapshot).map_err(|error| error.to_string())?;
    engine.validate()?;
    Ok(World { callbacks: engine.callbacks(), notices: engine.notices(), engine, clock: clock.clone() })
}

#[test]
fn p11_a_restart_keeps_every_seat_and_the_storage_hears_nothing() {
    let world = world(|config| config.edit_limit(Some(2)));
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    let cleo = world.open("doc", "cleo", Access::Edit);
    ann.change().unwrap();
    let tokens = [&ann, &ben, &cleo].map(|one| one.token().unwrap());
    world.acknowledge_all();
    let world = restart(world, |config| config.edit_limit(Some(2)));
    assert_eq!(world.engine.limits().edit.in_use, 2);
    assert!(!world.open("doc", "dan", Access::Edit).may_edit(), "both seats are kept");
    let back = tokens.map(|token| world.engine.resume(&token, 1).unwrap());
    assert_eq!(back.each_ref().map(Connection::may_edit), [true, true, false]);
    assert_eq!(back[2].granted().reason, Some(Reason::ConnectionLimit));
    assert_eq!(world.acknowledge_all(), [] as [&str; 0]);
    assert_eq!(world.engine.editors(&key("doc")), [id("ann"), id("ben")]);
    back[1].change().unwrap();
    drop(back);
    world.pass(seconds(10));
    assert_eq!(world.acknowledge_all(), ["1 -ann [ben]", "2 -ben [ben]"]);
}

#[test]
fn p5_what_is_unsaved_is_saved_by_the_restored_engine() {
    let world = world(|config| config);
    let editing = world.edit("edited", "ann");
    editing.change().unwrap();
    let closing = world.edit("closing", "ben");
    closing.change().unwrap();
    closing.close();
    world.acknowledge_all();
    let saving = world.edit("saving", "cleo");
    saving.change().unwrap();
    saving.close();
    world.pass(seconds(9));
    world.acknowledge_all();
    world.pass(seconds(1));
    // The save of `closing` was acknowledged; that of `saving` is out when the engine is suspended.
    let world = restart(world, |config| config);
    let states: Vec<_> = world.engine.unsaved().into_iter().map(|one| (one.key, one.state)).collect();
    assert_eq!(
        states,
        [
            (key("closing"), DocumentState::Closing),
            (key("edited"), DocumentState::Edited),
            (key("saving"), DocumentState::Closing)
        ]
    );
    world.pass(seconds(GRACE));
    world.pass(seconds(10));
    let mut saved = world.acknowledge_all();
    saved.sort();
    assert_eq!(saved, ["2 -ann [ann]", "2 -ben [ben]", "2 -cleo [cleo]"]);
    assert!(world.engine.unsaved().is_empty());
}

#[test]
fn a_delivery_that_is_out_may_be_settled_until_the_engine_is_suspended() {
    let world = world(|config| config);
    let tab = world.edit("doc", "ann");
    let token = tab.token().unwrap();
    let delivery = world.take();
    let engine = world.engine.clone();
    let suspending = std::thread::spawn(move || engine.suspend(seconds(3600)));
    while world.engine.info(&key("doc"), None).is_ok() {
        std::thread::yield_now();
    }
    assert_eq!(tab.change(), Err(ChangeError::Unknown));
    assert_eq!(world.engine.open(&key("doc"), &user("ben"), Access::Edit).unwrap_err(), OpenError::ShutDown);
    assert_eq!(delivery.ack(), Answered::InTime);
    let json = serde_json::to_string(&suspending.join().unwrap()).unwrap();
    assert!(world.callbacks.recv().is_err());
    drop(tab);
    let world = restore(&json, &world.clock, |config| config).unwrap();
    let back = world.engine.resume(&token, 0).unwrap();
    assert!(back.may_edit());
    assert_eq!(world.acknowledge_all(), [] as [&str; 0], "it knows that ann joined");
}

#[test]
fn a_callback_that_was_out_is_handed_out_again() {
    let world = world(|config| config.retry_pauses([]));
    let tab = world.edit("doc", "ann");
    tab.change().unwrap();
    world.ack();
    world.engine.force_save(&key("doc"), Some("pressed")).unwrap();
    let out = world.take();
    let token = tab.token().unwrap();
    let world = restart(world, |config| config);
    assert_eq!(out.ack(), Answered::Late);
    let again = world.take();
    assert_eq!(
        (again.callback().status, again.callback().userdata.as_deref()),
        (Status::ForceSave, Some("pressed"))
    );
    assert!(again.number() > 1 << 32);
    again.ack();
    assert!(world.engine.resume(&token, 0).is_ok());
}

#[test]
fn p4_a_restored_engine_tells_what_happens_one_by_one() {
    let world = world(|config| config);
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    ann.close();
    world.ack();
    world.pass(seconds(10));
    world.take().fail();
    let _quiet = world.edit("quiet", "cleo").into_id();
    world.ack();
    let world = restart(world, |config| config);
    let waiting: Vec<_> = world.engine.remaining().documents.into_iter().map(|one| one.key).collect();
    assert_eq!(waiting, [key("doc")], "of the other nothing is left to be told");
    let ben = world.edit("doc", "ben");
    world.edit("doc", "dan").close();
    assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ben [ben]", "1 +dan [ben dan]", "1 -dan [ben]"]);
    drop(ben);
}

#[test]
fn a_connection_without_a_token_leaves_at_once() {
    let world = World::plain();
    let _ann = world.edit("doc", "ann");
    world.acknowledge_all();
    let world = restart(world, |config| config);
    assert_eq!(world.acknowledge_all(), ["4 -ann"]);
    assert_eq!(world.engine.documents(), 0);
}

#[test]
fn p1_under_a_lower_limit_the_first_to_join_keep_their_seats() {
    let world = world(|config| config);
    let open = |(document, name)| {
        world.clock.advance(seconds(1));
        let tab = world.edit(document, name);
        (tab.token().unwrap(), tab.into_id())
    };
    let tabs = [("b", "ann"), ("a", "ben"), ("a", "cleo")].map(open);
    world.acknowledge_all();
    let world = restart(world, |config| config.edit_limit(Some(2)));
    let back = tabs.map(|(token, _)| world.engine.resume(&token, 0).unwrap());
    assert_eq!(back.each_ref().map(Connection::may_edit), [true, true, false]);
    assert_eq!(back[2].granted().reason, Some(Reason::ConnectionLimit));
    assert_eq!(world.acknowledge_all(), ["1 -cleo [ben]"], "the storage counted all three");
}

#[test]
fn p1_past_a_lower_cap_a_connection_leaves_at_once() {
    let world = world(|config| config);
    let tabs =
        ["ann", "ben"].map(|name| world.edit("doc", name)).map(|tab| (tab.token().unwrap(), tab.into_id()));
    world.acknowledge_all();
    let world = restart(world, |config| config.max_connections(Some(1)));
    assert_eq!(world.acknowledge_all(), ["1 -ben [ann]"]);
    let back = tabs.map(|(token, _)| world.engine.resume(&token, 0).map(Connection::into_id));
    assert_eq!(back.map(|one| one.is_ok()), [true, false]);
}

#[test]
fn a_snapshot_of_a_running_engine_changes_nothing() {
    let world = world(|config| config);
    let tab = world.edit("doc", "ann");
    tab.change().unwrap();
    let json = serde_json::to_string(&world.engine.snapshot()).unwrap();
    tab.change().unwrap();
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]"]);
    let crashed = restore(&json, &world.clock, |config| config).unwrap();
    assert_eq!(crashed.engine.unsaved().len(), 1);
    let back = crashed.engine.resume(&tab.token().unwrap(), 0).unwrap();
    assert_eq!(crashed.acknowledge_all(), ["1 +ann [ann]"], "it was not told when the snapshot was taken");
    drop((back, tab));
}

#[test]
fn fences_named_users_and_forgotten_documents_are_kept() {
    let named = NamedUsers { edit: Some(2), live: None, expire_days: 30 };
    let world = world(|config| config.named_users(named).retry_pauses([]).save_delay(seconds(0)));
    let tab = world.edit("doc", "ann");
    tab.change().unwrap();
    tab.close();
    world.ack();
    world.take().fail();
    world.ack();
    world.engine.fence(&key("other"), Some(&[id("mal")]), Some(seconds(60))).unwrap();
    world.engine.fence(&key("third"), None, None).unwrap();
    let fences = world.engine.fences();
    let license = world.engine.license();
    let usage = world.engine.usage().unwrap();
    let world = restart(world, |config| config.named_users(named));
    assert_eq!(world.engine.fences(), fences);
    assert_eq!(world.engine.license(), license);
    assert_eq!(world.engine.forgotten().len(), 1);
    assert_eq!(world.engine.usage().unwrap(), usage);
    assert!(world.open("other", "mal", Access::Edit).granted().reason == Some(Reason::Fenced));
    world.engine.retry_forgotten(&key("doc")).unwrap();
    assert_eq!(world.acknowledge_all(), ["2 [ann]"]);
}

/// The seed of the hashes is the same only under a manual clock.
#[test]
fn p9_a_user_who_comes_back_after_a_restart_is_the_same_user_in_the_usage() {
    let config = || Config::new().reconnect_grace(Some(seconds(GRACE))).timer(false);
    let open = |engine: &Engine, name| engine.open(&key("doc"), &user(name), Access::Edit).unwrap();
    let engine = Engine::new(config()).unwrap();
    let opened = ["ann", "ben"].map(|name| open(&engine, name));
    let engine = Engine::restore(config(), engine.suspend(seconds(0))).unwrap();
    let again = ["ann", "cleo"].map(|name| open(&engine, name));
    assert_eq!(engine.usage().unwrap().hour.users, 3);
    drop((opened, again));
}

/// The process before counted nothing.
#[test]
fn p9_the_usage_of_a_restored_engine_begins_with_those_who_are_kept() {
    let world = world(|config| config.usage(false));
    let _tabs = ["ann", "ben"].map(|name| world.open("doc", name, Access::Edit));
    let world = restart(world, |config| config);
    assert_eq!(world.engine.usage().unwrap().hour.edit.max, 2);
}

/// The snapshot names users by their order. Somebody who has gone was there first, and another one has that place now.
#[test]
fn p4_a_leave_that_was_out_is_told_of_the_same_user_after_a_restart() {
    let world = world(|config| config.retry_pauses([seconds(1)]));
    let [ann, ben] = ["ann", "ben"].map(|name| world.edit("doc", name));
    ann.close();
    world.acknowledge_all();
    let cleo = world.edit("doc", "cleo");
    world.acknowledge_all();
    ben.close();
    world.take().fail();
    let world = restart(world, |config| config.retry_pauses([seconds(1)]));
    world.pass(seconds(1));
    assert_eq!(world.acknowledge_all(), ["1 -ben [cleo]"]);
    drop(cleo);
}

#[test]
fn p11_a_suspended_engine_knows_no_token() {
    let world = world(|config| config);
    let tab = world.edit("doc", "ann");
    let (engine, token) = (world.engine.clone(), tab.token().unwrap());
    assert_eq!(engine.token(tab.id()), Some(token));
    world.engine.suspend(seconds(0));
    assert_eq!(engine.token(tab.id()), None);
    assert_eq!(engine.resume(&token, 1).unwrap_err(), ResumeError::ShutDown);
}

#[test]
fn a_restart_knows_which_changes_a_force_save_holds() {
    let world = world(|config| config);
    let tabs = ["held", "exposed"].map(|key| world.edit(key, "ann"));
    for tab in &tabs {
        tab.change().unwrap();
    }
    world.engine.press_save(tabs[0].id()).unwrap();
    world.acknowledge_all();
    world.pass(seconds(3));
    let seen = |world: &World| {
        let exposed = ["held", "exposed"].map(|document| world.engine.is_unsaved(&key(document)));
        (exposed, world.engine.stats().oldest_unsaved_ms)
    };
    assert_eq!(seen(&world), ([false, true], Some(3_000)));
    let world = restart(world, |config| config);
    assert_eq!(seen(&world), ([false, true], Some(3_000)));
}

/// The next process may count named users of another access: those of the old one do not count under its limit later.
#[test]
fn named_users_are_restored_only_where_they_are_limited() {
    let named = |edit, live| NamedUsers { edit, live, expire_days: 30 };
    let world = world(|config| config.named_users(named(Some(2), None)));
    drop(world.edit("doc", "ann"));
    world.acknowledge_all();
    let world = restart(world, |config| config.named_users(named(None, Some(5))));
    world.engine.set_named_users(named(Some(1), Some(5))).unwrap();
    assert_eq!(world.engine.license().quota.users, []);
    assert!(world.edit("doc", "ben").may_edit());
}

#[test]
fn a_snapshot_says_how_many_documents_it_has() {
    let world = world(|config| config);
    let _tabs = ["a", "b", "c"].map(|name| world.edit(name, "ann"));
    assert_eq!(world.engine.snapshot().documents(), 3);
}

#[test]
fn p10_an_unknown_version_and_a_damaged_snapshot_are_refused() {
    let world = world(|config| config);
    let tab = world.edit("doc", "ann");
    tab.change().unwrap();
    let json = serde_json::to_value(world.engine.snapshot()).unwrap();
    let with = |path: &str, value: Value| {
        let mut json = json.clone();
        *json.pointer_mut(path).unwrap() = value;
        restore(&json.to_string(), &world.clock, |config| config).map(|_| ()).unwrap_err()
    };
    assert_eq!(with("/version", 2.into()), "the snapshot has another version");
    for (path, value) in [
        ("/documents/0/unsaved/changes/last", 0.into()),
        ("/documents/0/unsaved/phase", "Forgotten".into()),
        ("/documents/0/participants/0/told", u32::MAX.into()),
        ("/documents/0/waiting", serde_json::json!([{ "Left": 0 }, { "Left": 0 }])),
        ("/documents/0/waiting", serde_json::json!([{ "Joined": 7 }])),
        ("/stays/0/token", "xyz".into()),
    ] {
        assert_eq!(with(path, value), "the snapshot is damaged", "{path}");
    }
    assert_eq!(format!("{:?}", world.engine.snapshot()), "Snapshot { version: 1, documents: 1, .. }");
}
