//! Counters and gauges: each counts what its documentation says, and nothing else.

mod support;

use coedit::{
    Access, CloseCounts, Config, ConnectionCounts, DocumentCounts, IdleThen, Reason, Stats, Status,
};
use support::{World, key, seconds};

/// Handed out, acknowledged, failed, timed out, given up.
fn fates(all: &Stats, status: Status) -> [u64; 5] {
    let counts = all.callbacks.get(&status).copied().unwrap_or_default();
    [counts.handed_out, counts.acknowledged, counts.failed, counts.timed_out, counts.given_up]
}

#[test]
fn opens_are_counted_by_what_they_asked_for_and_got_and_refusals_by_reason() {
    let world = World::new(|config| config.edit_limit(Some(1)).max_connections(Some(4)));
    let tabs =
        [("ann", Access::Edit), ("ben", Access::Edit), ("cleo", Access::View), ("dan", Access::LiveView)];
    let tabs = tabs.map(|(name, asked)| world.open("x", name, asked));
    assert!(world.engine.open(&key("x"), &support::user("eve"), Access::Edit).is_err());
    let stats = world.engine.stats();
    assert_eq!(stats.opens.asked, [(Access::Edit, 2), (Access::View, 1), (Access::LiveView, 1)].into());
    assert_eq!(stats.opens.got, [(Access::Edit, 1), (Access::View, 2), (Access::LiveView, 1)].into());
    assert_eq!(stats.refusals, [(Reason::ConnectionLimit, 1), (Reason::ConnectionCap, 1)].into());
    drop(tabs);
    let after = world.engine.stats();
    assert_eq!((after.closes.closed, after.connections.len()), (4, 0));
    assert_eq!((after.opens, after.refusals), (stats.opens, stats.refusals), "counters never go back");
}

#[test]
fn every_close_is_counted_once_by_its_cause() {
    let world = World::new(|config| {
        let config = config.reconnect_grace(Some(seconds(60))).idle(Some(seconds(600)));
        config.idle_then(IdleThen::Close).age(Some(seconds(1_000)))
    });
    let [ann, ben, cleo, dan] = ["ann", "ben", "cleo", "dan"].map(|name| world.edit("x", name));
    ann.close();
    ben.lost().unwrap();
    world.pass(seconds(60)); // ben's lease
    world.engine.set_edit_limit(Some(2)).unwrap();
    let token = cleo.token().unwrap();
    cleo.lost().unwrap();
    let cleo = world.edit("x", "cleo"); // a page that was reloaded without its token
    assert_eq!(world.engine.resume(&token, 0).err(), Some(coedit::ResumeError::Unknown));
    world.pass(seconds(540)); // dan is idle
    assert_eq!(dan.access(), None);
    cleo.touch().unwrap();
    world.pass(seconds(400));
    cleo.touch().unwrap();
    world.pass(seconds(60)); // cleo is old: her seat is, since it was opened
    let fay = world.edit("x", "fay");
    let stats = world.engine.stats();
    let closes = |shutdown| {
        let mut closes = CloseCounts::default();
        (closes.closed, closes.lease, closes.idle) = (1, 1, 1);
        (closes.age, closes.superseded, closes.shutdown) = (1, 1, shutdown);
        closes
    };
    assert_eq!((stats.closes, stats.leases_expired), (closes(0), 1));
    world.engine.begin_shutdown(seconds(1));
    let stats = world.engine.stats();
    assert_eq!(stats.closes, closes(1));
    let opened: u64 = stats.opens.got.values().sum();
    assert_eq!(opened, 6, "as many as were closed");
    drop((fay, cleo, dan));
    assert_eq!(world.engine.stats().closes, closes(1));
}

#[test]
fn resumes_promotions_and_changes_are_counted() {
    let world = World::new(|config| config.edit_limit(Some(1)).reconnect_grace(Some(seconds(60))));
    let (ann, ben) = (world.edit("x", "ann"), world.open("x", "ben", Access::Edit));
    ann.change().unwrap();
    ben.change().unwrap_err();
    ben.request_edit().unwrap();
    let token = ann.token().unwrap();
    ann.lost().unwrap();
    let lost = ConnectionCounts::default();
    let connections = world.engine.stats().connections;
    assert_eq!((connections[&Access::Edit].live, connections[&Access::Edit].lost), (0, 1));
    assert_ne!(connections[&Access::View], lost);
    let ann = world.engine.resume(&token, 1).unwrap();
    ann.release_edit().unwrap(); // ben's turn
    assert!(ben.may_edit());
    ben.release_edit().unwrap();
    ann.request_edit().unwrap(); // at once
    let stats = world.engine.stats();
    assert_eq!((stats.resumes, stats.promotions, stats.changes), (1, 2, 1));
    let waiting = (stats.waiting.edit, stats.opens.got[&Access::Edit]);
    assert_eq!(waiting, (0, 1), "a promotion is no open");
    ben.request_edit().unwrap();
    assert_eq!(world.engine.stats().waiting.edit, 1);
}

#[test]
fn the_fate_of_every_callback_is_counted_by_its_status() {
    let world = World::new(|config| config.retry_pauses([seconds(1)]).ack_timeout(Some(seconds(60))));
    let ann = world.edit("x", "ann");
    assert_eq!(world.engine.stats().ready, 1);
    let hung = world.take();
    assert_eq!(world.engine.stats().ready, 0);
    world.pass(seconds(60));
    assert_eq!(fates(&world.engine.stats(), Status::Editing), [1, 0, 0, 1, 0]);
    hung.fail(); // late: it is counted already
    world.pass(seconds(1));
    world.take().fail();
    assert_eq!(fates(&world.engine.stats(), Status::Editing), [2, 0, 1, 1, 1]);

    ann.change().unwrap();
    drop(ann);
    world.pass(seconds(10));
    let slow = world.take();
    world.pass(seconds(60));
    assert_eq!(fates(&world.engine.stats(), Status::Save), [1, 0, 0, 1, 0]);
    slow.ack(); // late, but it holds what is unsaved
    assert_eq!(fates(&world.engine.stats(), Status::Save), [1, 1, 0, 1, 0]);
    assert_eq!((world.engine.documents(), world.engine.stats().documents), (0, DocumentCounts::default()));
}

#[test]
fn a_callback_that_a_save_overtakes_has_timed_out() {
    let world = World::new(|config| config.save_delay(seconds(0)).save_patience(seconds(5)));
    let ann = world.edit("x", "ann");
    let hung = world.take();
    ann.change().unwrap();
    drop(ann);
    world.pass(seconds(5));
    let save = world.take();
    assert_eq!(save.callback().status, Status::Save);
    let stats = world.engine.stats();
    assert_eq!(
        (fates(&stats, Status::Editing), fates(&stats, Status::Save)),
        ([1, 0, 0, 1, 0], [1, 0, 0, 0, 0])
    );
    save.ack();
    hung.ack();
    assert_eq!(fates(&world.engine.stats(), Status::Editing), [1, 0, 0, 1, 0], "late");
}

#[test]
fn gauges_tell_where_documents_stand_and_how_old_the_oldest_things_are() {
    let world = World::new(|config| config.retry_pauses([seconds(30)]));
    let [clean, edited] = [world.edit("clean", "ann"), world.edit("edited", "ben")];
    world.acknowledge_all();
    edited.change().unwrap();
    let [closing, telling] = [world.edit("closing", "cleo"), world.edit("telling", "dan")];
    closing.change().unwrap();
    drop(closing);
    let documents = world.engine.stats().documents;
    let stands = |counts: DocumentCounts| {
        let DocumentCounts { settled, edited, closing, saving, retrying, forgotten, telling, .. } = counts;
        [settled, edited, closing, saving, retrying, forgotten, telling]
    };
    assert_eq!(stands(documents), [1, 1, 1, 0, 0, 0, 1]);
    world.pass(seconds(7));
    let stats = world.engine.stats();
    assert_eq!((stats.oldest_callback_ms, stats.oldest_unsaved_ms, stats.ready), (None, Some(7_000), 2));

    world.acknowledge_all();
    world.pass(seconds(3));
    let save = world.take();
    world.pass(seconds(2));
    let stats = world.engine.stats();
    assert_eq!((stands(stats.documents), stats.oldest_callback_ms), ([2, 1, 0, 1, 0, 0, 0], Some(2_000)));
    save.fail();
    assert_eq!(stands(world.engine.stats().documents), [2, 1, 0, 0, 1, 0, 0]);
    world.pass(seconds(30));
    world.take().fail();
    let stats = world.engine.stats();
    assert_eq!((stands(stats.documents), stats.forgotten), ([2, 1, 0, 0, 0, 1, 0], 1));
    drop((clean, edited, telling));
}

#[test]
fn the_age_of_a_callback_goes_on_over_its_attempts() {
    let world = World::new(|config| config.retry_pauses([seconds(1), seconds(1)]));
    let _ann = world.edit("x", "ann");
    world.take().fail();
    world.pass(seconds(1));
    world.take().fail();
    world.pass(seconds(1));
    let held = world.take();
    assert_eq!(world.engine.stats().oldest_callback_ms, Some(2_000));
    held.ack();
    assert_eq!(world.engine.stats().oldest_callback_ms, None);
}

#[test]
fn a_restored_engine_counts_from_zero_and_knows_what_is_there() {
    let world = World::new(|config| config.reconnect_grace(Some(seconds(60))));
    let ann = world.edit("x", "ann");
    ann.change().unwrap();
    let snapshot = world.engine.suspend(seconds(0));
    let config = Config::new().reconnect_grace(Some(seconds(60))).clock(world.clock.clone());
    let engine = coedit::Engine::restore(config, snapshot).unwrap();
    let stats = engine.stats();
    assert_eq!((stats.changes, stats.opens.got.len(), stats.documents.edited), (0, 0, 1));
    assert_eq!(stats.connections[&Access::Edit].lost, 1);
}

#[test]
fn the_text_for_prometheus_has_every_number_once() {
    let world = World::new(|config| config.edit_limit(Some(1)));
    let tabs = [world.edit("x", "ann"), world.open("x", "ben", Access::Edit)];
    tabs[0].change().unwrap();
    world.acknowledge_all();
    world.pass(seconds(2));
    let text = world.engine.stats().to_prometheus();
    for line in [
        "coedit_opens_total{access=\"edit\"} 1",
        "coedit_opens_asked_total{access=\"edit\"} 2",
        "coedit_refusals_total{reason=\"connection-limit\"} 1",
        "coedit_changes_total 1",
        "coedit_connections{access=\"view\",state=\"live\"} 1",
        "coedit_callbacks_acknowledged_total{status=\"1\"} 1",
        "coedit_documents{state=\"edited\"} 1",
        "coedit_waiters{limit=\"edit\"} 0",
        "coedit_oldest_unsaved_change_seconds 2.000",
    ] {
        assert_eq!(text.lines().filter(|other| *other == line).count(), 1, "{line}\n{text}");
    }
    // The format: each metric has its help, its type and its samples together, and no sample comes twice.
    let mut samples: Vec<&str> = Vec::new();
    let mut metric = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            metric = help.split(' ').next().unwrap();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert_eq!(kind.split(' ').next().unwrap(), metric);
            assert_eq!(metric.ends_with("_total"), kind.ends_with(" counter"), "{kind}");
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(sample.split('{').next().unwrap(), metric);
            value.parse::<f64>().unwrap();
            samples.push(sample);
        }
    }
    let count = samples.len();
    samples.sort_unstable();
    samples.dedup();
    assert!(count == samples.len() && count > 70, "{count}");
}

#[test]
fn the_json_of_the_counters_is_read_back() {
    let world = World::plain();
    let _tab = world.edit("x", "ann");
    world.acknowledge_all();
    let stats = world.engine.stats();
    let json = serde_json::to_string(&stats).unwrap();
    assert_eq!(serde_json::from_str::<Stats>(&json).unwrap(), stats);
    assert!(json.contains(r#""callbacks":{"1":{"handed_out":1,"acknowledged":1,"#), "{json}");
}

#[test]
fn a_force_save_ends_the_age_of_unsaved_changes_but_the_document_stays_listed() {
    let world = World::plain();
    let ann = world.edit("x", "ann");
    world.acknowledge_all();
    let oldest = || world.engine.stats().oldest_unsaved_ms;
    ann.change().unwrap();
    world.pass(seconds(2));
    ann.change().unwrap();
    world.pass(seconds(3));
    world.engine.press_save(ann.id()).unwrap();
    let save = world.take();
    world.pass(seconds(1));
    ann.change().unwrap(); // after what the force save holds
    assert_eq!((oldest(), world.engine.is_unsaved(&key("x"))), (Some(6_000), true));
    world.pass(seconds(2));
    save.ack();
    assert_eq!((oldest(), world.engine.is_unsaved(&key("x"))), (Some(2_000), true));
    assert!(!world.engine.unsaved()[0].force_saved);
    world.engine.press_save(ann.id()).unwrap();
    world.acknowledge_all();
    assert_eq!((oldest(), world.engine.is_unsaved(&key("x"))), (None, false));
    let listed = &world.engine.unsaved()[0];
    assert_eq!((listed.state, listed.force_saved), (coedit::DocumentState::Edited, true));
    world.pass(seconds(1));
    ann.change().unwrap();
    world.pass(seconds(3));
    assert_eq!((oldest(), world.engine.is_unsaved(&key("x"))), (Some(3_000), true));
    drop(ann);
    world.pass(seconds(10));
    world.acknowledge_all();
    assert_eq!((oldest(), world.engine.is_unsaved(&key("x"))), (None, false));
}

#[test]
fn overlapping_force_saves_never_hide_an_unsaved_change() {
    let world = World::plain();
    let ann = world.edit("x", "ann");
    world.acknowledge_all();
    for second in 0..3 {
        ann.change().unwrap();
        world.engine.press_save(ann.id()).unwrap();
        world.pass(seconds(1));
        let age = world.engine.stats().oldest_unsaved_ms;
        assert_eq!(age, Some(1_000 * (second + 1)));
    }
    world.ack(); // the first of three
    assert_eq!(world.engine.stats().oldest_unsaved_ms, Some(3_000), "too high rather than too low");
    assert!(world.engine.is_unsaved(&key("x")));
    world.acknowledge_all();
    assert!(!world.engine.is_unsaved(&key("x")));
}
