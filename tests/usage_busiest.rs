//! The busiest hour and the busiest quarter of an hour, with exact numbers on a manual clock.

mod support;
use support::*;

use coedit::{Access, BusyPeriod, Config, Connection, Engine, Snapshot, Timestamp, Usage};
use serde_json::Value;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_millis(START + secs * 1_000)
}

fn usage(world: &World) -> Usage {
    world.engine.usage().unwrap()
}

/// Beginning, average, offered load, highest number, opens that got edit access, refused users.
fn brief(busiest: Option<BusyPeriod>) -> (Timestamp, [f64; 2], [u32; 3]) {
    let BusyPeriod { from, average, offered, max, edits, refused, .. } = busiest.unwrap();
    (from, [average, offered], [max, edits, refused])
}

/// A class of 40 opens at one moment, to a limit of 20, and closes 45 minutes later. An hour before, ann edits alone.
fn class(limit: u32, stay: bool) -> World {
    let world = World::new(|config| config.edit_limit(Some(limit)).reconnect_grace(Some(seconds(60))));
    let ann = world.edit("exam", "ann");
    world.pass(seconds(3_600));
    drop(ann);
    world.pass(seconds(37 * 60));
    let class: Vec<Connection> =
        (0..40).map(|number| world.open("exam", &format!("student-{number}"), Access::Edit)).collect();
    let is_there = |tab: &Connection| stay || tab.access() == Some(Access::Edit);
    let class: Vec<Connection> = class.into_iter().filter(is_there).collect();
    world.pass(seconds(45 * 60));
    drop(class);
    world.pass(seconds(3 * 3_600));
    world
}

#[test]
fn the_busiest_hour_begins_with_any_minute_and_counts_those_who_were_refused() {
    assert_eq!(START % 3_600_000, 0, "the engine begins with an hour");
    let bell = 3_600 + 37 * 60;
    for stay in [true, false] {
        let usage = usage(&class(21, stay));
        for window in [&usage.day, &usage.week, &usage.month, &usage.year] {
            // The first of the equally busy hours, with 45 minutes of the class.
            let (from, loads, counts) = brief(window.busiest_hour);
            assert_eq!((from, loads, counts), (at(bell - 15 * 60), [15.75, 30.0], [21, 21, 19]), "{stay}");
            let (from, loads, counts) = brief(window.busiest_quarter);
            assert_eq!((from, loads[0], counts), (at(bell), 21.0, [21, 21, 19]));
            assert!((loads[1] - 40.0).abs() < 1e-9, "{loads:?}");
        }
        let hour = usage.hour;
        assert_eq!((hour.busiest_hour, hour.busiest_quarter), (None, None), "nothing in the last hour");
    }
}

#[test]
fn p9_a_restart_keeps_the_busiest_hours_and_an_older_snapshot_has_none() {
    let world = class(21, true);
    let before = usage(&world);
    let snapshot = serde_json::to_value(world.engine.suspend(seconds(0))).unwrap();
    let restore = |json: &Value| {
        let snapshot: Snapshot = serde_json::from_value(json.clone()).unwrap();
        let config = Config::new().edit_limit(Some(21)).clock(world.clock.clone());
        Engine::restore(config, snapshot).unwrap()
    };
    let restored = restore(&snapshot).usage().unwrap();
    assert_eq!(restored.year, before.year);
    assert_eq!(restored.day, before.day);
    let mut old = snapshot;
    let history = old["usage"].as_object_mut().unwrap();
    for member in ["recent", "denied"] {
        history.remove(member).unwrap();
    }
    for window in history["windows"].as_array_mut().unwrap() {
        for bucket in window["buckets"].as_array_mut().unwrap() {
            let totals = bucket["totals"].as_object_mut().unwrap();
            assert!(totals.remove("busiest").is_some() && totals.remove("denials").is_some());
        }
    }
    let engine = restore(&old);
    let restored = engine.usage().unwrap();
    assert_eq!((restored.year.edit, restored.year.opens), (before.year.edit, before.year.opens));
    assert_eq!((restored.year.busiest_hour, restored.year.denials.refused.len()), (None, 0));
    let _ann = engine.open(&key("a"), &user("ann"), Access::Edit).unwrap();
    world.clock.advance(seconds(3_600));
    let (_, loads, counts) = brief(engine.usage().unwrap().year.busiest_hour);
    assert_eq!((loads, counts), ([1.0, 1.0], [1, 1, 0]));
}
