//! P10: snapshots that were cut short, changed, or made up. Each is refused with a clear error, or gives an engine in which
//! everything holds: it counts right, hands out, saves, and can be suspended and restored again. Nothing panics.

mod support;

use std::sync::Arc;

use coedit::*;
use serde_json::{Value, json};
use support::*;

const GRACE: u64 = 120;
/// The deadlines that are run after a restore.
const STEPS: usize = 12;

fn config() -> Config {
    let named_users = NamedUsers { edit: Some(50), live: Some(9), expire_days: 30 };
    Config::new().shards(4).reconnect_grace(Some(seconds(GRACE))).named_users(named_users)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(START + 1_000_000)))
}

fn restore_with(config: Config, clock: &Arc<ManualClock>, json: &str) -> Result<Engine, String> {
    let snapshot: Snapshot = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let engine = Engine::restore(config.clock(clock.clone()), snapshot).map_err(|error| error.to_string())?;
    engine.validate().unwrap();
    Ok(engine)
}

fn restore(json: &Value) -> Result<Engine, String> {
    restore_with(config(), &clock(), &json.to_string())
}

fn settle(delivery: Delivery, is_well: bool) {
    let _ = if is_well { delivery.ack() } else { delivery.fail() };
}

/// A snapshot with something of everything.
fn rich() -> Value {
    let world = World::new(|_| config().force_save_interval(Some(seconds(5))).retry_pauses([seconds(50)]));
    let World { engine, clock, .. } = &world;
    let named = |id: &str| user(id).named("A name").unwrap();
    let open = |document: &str, name: &str| engine.open(&key(document), &named(name), Access::Edit).unwrap();
    let settle_all = || drop(world.acknowledge_statuses());
    let retrying = open("retrying", "dan");
    let forgotten = open("forgotten", "eve");
    let forced = open("forced", "fay");
    for tab in [&retrying, &forgotten, &forced] {
        tab.change().unwrap();
    }
    settle_all();
    forgotten.close();
    world.pass(seconds(10));
    // The save of one fails twice, the timer force saves the others.
    for _ in 0..2 {
        for delivery in world.callbacks.try_iter() {
            let is_well = delivery.callback().key != key("forgotten");
            settle(delivery, is_well);
        }
        world.pass(seconds(50));
    }
    forced.change().unwrap();
    forced.into_id();
    retrying.close();
    world.pass(seconds(10));
    for mut delivery in world.callbacks.try_iter() {
        delivery.kept_at("here").unwrap();
        delivery.fail();
    }
    clock.advance(seconds(1));
    let (ann, ben) = (open("edited", "ann"), open("edited", "ben"));
    world.take().fail();
    ann.change().unwrap();
    ben.change().unwrap();
    engine.force_save(&key("edited"), Some("userdata")).unwrap();
    ben.into_id();
    ann.lost().unwrap();
    drop(open("edited", "cleo"));
    engine.set_document_limit(Some(1)).unwrap();
    for name in ["zoe", "yan"] {
        let waits = engine.open(&key("edited"), &named(name), Access::View).unwrap();
        assert!(matches!(waits.request_edit(), Ok(EditRequest::Waiting { .. })));
        waits.into_id();
    }
    engine.open(&key("live"), &named("lou"), Access::LiveView).unwrap().into_id();
    let closing = open("closing", "gus");
    closing.change().unwrap();
    drop(closing);
    engine.fence(&key("edited"), Some(&[id("mal")]), Some(seconds(60))).unwrap();
    engine.fence(&key("other"), None, None).unwrap();
    serde_json::to_value(engine.snapshot()).unwrap()
}

/// Every path of a JSON value, as a pointer.
fn paths(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, member)| paths(member, &format!("{path}/{name}"), found));
        }
        // The buckets of usage are alike.
        Value::Array(items) => {
            let first = items.iter().enumerate().take(if path.starts_with("/usage") { 2 } else { 8 });
            first.for_each(|(at, item)| paths(item, &format!("{path}/{at}"), found));
        }
        _ => {}
    }
}

/// Other values for one, of the same kind and of others.
fn others(value: &Value) -> Vec<Value> {
    let mut others = vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(1),
        json!(u64::from(u32::MAX)),
        json!(u64::MAX / 4),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("9999-12-31T23:59:59.999Z"),
        json!([]),
        json!({}),
        json!([[], []]),
    ];
    match value {
        Value::Array(items) => {
            others.extend(items.first().map(|first| json!([first])));
            others.push(Value::Array(items.iter().chain(items).cloned().collect()));
            others.push(Value::Array(items.iter().rev().cloned().collect()));
            others.push(Value::Array(items.iter().cycle().take(items.len() * 300).cloned().collect()));
        }
        Value::Number(number) => {
            let near = number.as_u64().map(|number| [number.saturating_sub(1), number.saturating_add(1)]);
            others.extend(near.into_iter().flatten().map(Value::from));
        }
        Value::String(text) => others.push(json!(text.repeat(300))),
        Value::Object(members) => {
            for name in members.keys() {
                let mut fewer = members.clone();
                fewer.remove(name);
                others.push(Value::Object(fewer));
            }
        }
        _ => {}
    }
    others.retain(|other| other != value);
    others
}

/// Uses an engine that was made of a changed snapshot, until nothing falls due. Then it is suspended and restored.
fn use_up(engine: &Engine, clock: &ManualClock, original: &Value) {
    let callbacks = engine.callbacks();
    for stay in original["stays"].as_array().unwrap() {
        let token: ResumeToken = stay["token"].as_str().unwrap().parse().unwrap();
        if let Ok(back) = engine.resume(&token, u64::MAX) {
            let _ = back.change();
            let _ = engine.press_save(back.id());
            let _ = back.into_id();
        }
    }
    for document in ["edited", "retrying", "forced", "live", "new"].map(key) {
        let tab = engine.open(&document, &user("ann"), Access::Edit).unwrap();
        let _ = tab.change();
        let _ = engine.force_save(&document, None);
    }
    engine.validate().unwrap();
    let _ = (engine.limits(), engine.usage(), engine.license(), engine.fences(), engine.forgotten());
    let again = serde_json::to_string(&engine.snapshot()).unwrap();
    let next = Arc::new(ManualClock::new(clock.now()));
    restore_with(config(), &next, &again).unwrap_or_else(|error| panic!("{error}: {again}"));
    for step in 0..STEPS {
        for delivery in callbacks.try_iter().take(STEPS) {
            settle(delivery, step % 3 > 0);
        }
        engine.validate().unwrap();
        clock.advance(seconds(7));
        engine.tick();
    }
    let usage = engine.usage().unwrap();
    assert!(usage.since <= usage.at);
}

/// Every document of the snapshot is saved in the end, or listed as forgotten.
fn assert_nothing_waits_for_ever(engine: &Engine, clock: &ManualClock) {
    let callbacks = engine.callbacks();
    for document in engine.remaining().documents {
        for one in engine.connections(&document.key) {
            engine.close(one.connection).unwrap();
        }
    }
    for _ in 0..STEPS {
        callbacks.try_iter().for_each(|delivery| settle(delivery, true));
        clock.advance(seconds(10 * 24 * 3600));
        engine.tick();
    }
    for one in engine.remaining().documents {
        assert_eq!(one.state, DocumentState::Forgotten, "{one:?}");
    }
}

/// Returns true if the changed snapshot was taken.
fn try_changed(changed: &Value, original: &Value) -> bool {
    let clock = clock();
    match restore_with(config(), &clock, &changed.to_string()) {
        Ok(engine) => {
            use_up(&engine, &clock, original);
            assert_nothing_waits_for_ever(&engine, &clock);
            true
        }
        Err(error) => {
            assert!(!error.is_empty());
            false
        }
    }
}

#[test]
fn p10_a_changed_snapshot_is_refused_or_gives_an_engine_in_which_all_holds() {
    let original = rich();
    assert!(try_changed(&original, &original));
    let mut all = Vec::new();
    paths(&original, "", &mut all);
    let mut replaced = Vec::new();
    for path in &all {
        let value = original.pointer(path).unwrap();
        replaced.extend(others(value).into_iter().map(|other| (path, other)));
        // The same value of a sibling: another document's, another connection's.
        for from in ["0", "1", "2"] {
            for to in ["0", "1", "2"] {
                let sibling = path.replacen(&format!("/{from}/"), &format!("/{to}/"), 1);
                replaced.extend(original.pointer(&sibling).map(|other| (path, other.clone())));
            }
        }
    }
    let part = if std::env::var_os("COEDIT_HOSTILE").is_some() { 1 } else { 23 };
    let (mut refused, mut taken) = (0, 0);
    for (path, other) in replaced.into_iter().step_by(part) {
        let mut damaged = original.clone();
        *damaged.pointer_mut(path).unwrap() = other.clone();
        let attempt = std::panic::AssertUnwindSafe(|| try_changed(&damaged, &original));
        match std::panic::catch_unwind(attempt) {
            Ok(true) => taken += 1,
            Ok(false) => refused += 1,
            Err(panic) => {
                eprintln!("{path} = {}", other.to_string().chars().take(200).collect::<String>());
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{} paths, {refused} changes refused, {taken} taken", all.len());
}

#[test]
fn p10_a_snapshot_that_was_cut_short_is_refused() {
    let text = rich().to_string();
    for length in (0..text.len()).step_by(97).chain(text.len() - 3..text.len()) {
        let error = restore_with(config(), &clock(), &text[..length]).map(drop).unwrap_err();
        assert!(!error.is_empty());
    }
}

#[test]
fn p10_numbers_at_their_limits_and_twins_are_refused() {
    let original = rich();
    let document = |name: &str| {
        let documents = original["documents"].as_array().unwrap();
        let place = documents.iter().position(|one| one["key"] == name).unwrap();
        format!("/documents/{place}")
    };
    let (edited, live) = (document("edited"), document("live"));
    let (closing, forgotten, forced) = (document("closing"), document("forgotten"), document("forced"));
    let refusal = "the snapshot is damaged";
    let waits = |place: &usize| !original["stays"][place]["ticket"].is_null();
    let waiters: Vec<usize> = (0..original["stays"].as_array().unwrap().len()).filter(waits).collect();
    let ticket = |waiter: usize| format!("/stays/{}/ticket", waiters[waiter]);
    let next_epoch = original["epoch"].as_u64().unwrap() + 1;
    let of_next = format!("{next_epoch:08x}{}", &original["stays"][0]["token"].as_str().unwrap()[8..]);
    for (path, value) in [
        ("/version".to_owned(), json!(u32::MAX)),
        ("/epoch".to_owned(), json!(u32::MAX)),
        ("/deliveries".to_owned(), json!(u64::MAX)),
        ("/stays/0/token".to_owned(), original["stays"][1]["token"].clone()),
        ("/stays/0/id".to_owned(), original["stays"][1]["id"].clone()),
        ("/stays/0/token".to_owned(), json!(of_next)),
        (ticket(0), original.pointer(&ticket(1)).unwrap().clone()),
        (format!("{live}/saved_changes"), json!(u64::MAX)),
        (format!("{live}/key"), json!("edited")),
        (format!("{live}/participants/0/connections/0/id"), original["stays"][0]["id"].clone()),
        (format!("{edited}/outstanding/failures"), json!(u64::MAX)),
        (format!("{edited}/outstanding/kind/Joined"), json!(5)),
        (format!("{edited}/waiting/1/ForceSave/reach/last"), json!(3)),
        (format!("{edited}/unsaved/phase"), json!("Forgotten")),
        (format!("{edited}/unsaved/failures"), json!(u64::MAX)),
        (format!("{forced}/outstanding/copy/key"), json!("edited")),
        (format!("{forced}/outstanding/copy/status"), json!(7)),
        (format!("{closing}/unsaved/phase/Closing/leaver"), json!(1)),
        (format!("{edited}/participants/0/told"), json!(u32::MAX)),
        (
            format!("{edited}/participants/1/user"),
            original.pointer(&format!("{edited}/participants/0/user")).unwrap().clone(),
        ),
        (format!("{closing}/unsaved/phase/Closing/left/secs"), json!(u64::MAX)),
        (format!("{forgotten}/unsaved/forgotten"), json!(1_000)),
        (format!("{forgotten}/unsaved/changes/turns"), json!([])),
    ] {
        let mut damaged = original.clone();
        *damaged.pointer_mut(&path).unwrap_or_else(|| panic!("{path}")) = value;
        let expected = if path == "/version" { "the snapshot has another version" } else { refusal };
        assert_eq!(restore(&damaged).map(drop), Err(expected.to_owned()), "{path}");
    }
}

#[test]
fn p10_a_document_that_is_forgotten_while_somebody_edits_is_refused() {
    let mut damaged = rich();
    let documents = damaged["documents"].as_array_mut().unwrap();
    let edited = documents.iter_mut().find(|one| one["key"] == "edited").unwrap();
    edited["unsaved"]["phase"] = json!("Forgotten");
    edited["unsaved"]["forgotten"] = json!(2);
    assert_eq!(restore(&damaged).map(drop), Err("the snapshot is damaged".to_owned()));
}

/// The host's clock was ahead and was corrected, or another machine's is behind.
#[test]
fn p5_a_snapshot_of_a_later_time_is_restored() {
    let original = rich();
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START - 500_000)));
    let engine = restore_with(config(), &clock, &original.to_string()).unwrap();
    let unsaved: Vec<_> = engine.unsaved().into_iter().map(|one| one.key).collect();
    assert_eq!(unsaved, ["closing", "edited", "forced", "forgotten", "retrying"].map(key));
    let usage = engine.usage().unwrap();
    let later = restore(&original).unwrap().usage().unwrap();
    assert_eq!((usage.week.opens, usage.week.edit.max), (later.week.opens, later.week.edit.max));
    assert!(usage.at == clock.now() && usage.since < usage.at && usage.week.edit.max_at <= usage.at);
    use_up(&engine, &clock, &original);
}

/// Seats that the limits do not allow are not given.
#[test]
fn p1_seats_above_the_limits_are_not_restored() {
    let original = rich();
    for limit in 0..3 {
        let config = config().edit_limit(Some(limit)).live_limit(Some(0)).document_limit(Some(1));
        let engine = restore_with(config, &clock(), &original.to_string()).unwrap();
        let limits = engine.limits();
        assert_eq!((limits.edit.in_use, limits.live.in_use), (limit.min(2), 0));
    }
}
