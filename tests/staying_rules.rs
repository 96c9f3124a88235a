//! Rules of staying in that long random histories found broken.

mod support;
use support::*;

use std::time::Duration;

use coedit::{Access, Config, Engine, Notice, Snapshot};

/// Idle to view is not about viewers: one who has been idle for as long does not go before those whom it is about.
#[test]
fn p9_at_one_moment_idle_time_goes_before_the_age_of_a_viewer() {
    let world = World::new(|config| {
        let config = config.shards(1).expiry_warning(Duration::ZERO);
        config.idle(Some(seconds(60))).age(Some(seconds(60)))
    });
    let viewer = world.open("doc", "viewer", Access::View);
    let editor = world.edit("doc", "editor");
    world.take_notices();
    world.pass(seconds(60));
    let told: Vec<String> = world.take_notices().iter().map(short).collect();
    assert_eq!(told, ["editor becomes a viewer", "editor is closed", "viewer is closed"]);
    drop((viewer, editor));
}

/// The connection that is replaced was not counted, so it is not taken off the count either.
#[test]
fn p11_a_page_takes_its_seat_over_where_no_usage_is_recorded() {
    let world = World::new(|config| {
        let config = config.edit_limit(Some(1)).usage(false);
        config.reconnect_grace(Some(seconds(60)))
    });
    assert_eq!(world.edit("doc", "ann").lost(), Ok(Some(seconds(60))));
    let reloaded = world.edit("doc", "ann");
    assert_eq!((reloaded.may_edit(), world.engine.usage()), (true, None));
    world.engine.validate().unwrap();
}

/// Suspends an engine whose connections have no tokens, and restores it.
fn restart(world: World, set: impl FnOnce(Config) -> Config) -> World {
    let World { engine, clock, .. } = world;
    let json = serde_json::to_string(&engine.suspend(seconds(0))).unwrap();
    let snapshot: Snapshot = serde_json::from_str(&json).unwrap();
    let engine = Engine::restore(set(Config::new().shards(4)).clock(clock.clone()), snapshot).unwrap();
    World { callbacks: engine.callbacks(), notices: engine.notices(), engine, clock }
}

#[test]
fn a_document_that_everybody_left_in_a_restart_is_not_open() {
    for callbacks in [true, false] {
        let world = World::new(|config| config.callbacks(callbacks));
        let viewer = world.open("doc", "viewer", Access::View);
        let editor = (!callbacks).then(|| world.edit("doc", "editor"));
        let world = restart(world, |config| config.callbacks(callbacks));
        assert_eq!((world.engine.documents(), world.engine.remaining().documents), (0, vec![]));
        assert_eq!(world.acknowledge_all(), [] as [&str; 0], "callbacks {callbacks}");
        drop((viewer, editor));
    }
}

#[test]
fn p4_whoever_left_in_a_restart_and_comes_back_is_told_as_one_who_left_and_came() {
    let world = World::plain();
    let (ann, ben) = (world.edit("doc", "ann"), world.edit("doc", "ben"));
    world.acknowledge_all();
    let world = restart(world, |config| config);
    let back = world.edit("doc", "ben");
    assert_eq!(world.acknowledge_all(), ["1 -ann [ben]", "4 -ben", "1 +ben [ben]"]);
    drop((ann, ben, back));
}

#[test]
fn p5_a_document_that_everybody_left_in_a_restart_is_closed_before_others() {
    let world = World::plain();
    let tabs = [world.edit("first", "ann"), world.edit("second", "ben")];
    let world = restart(world, |config| config);
    world.ack();
    let next = world.take();
    assert_eq!(next.callback().status.number(), 4, "{:?}", next.callback());
    drop(tabs);
}

fn short(notice: &Notice) -> String {
    match notice {
        Notice::Access { user, .. } => format!("{user} becomes a viewer"),
        Notice::Disconnected { user, .. } => format!("{user} is closed"),
        other => format!("{other:?}"),
    }
}
