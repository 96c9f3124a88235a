//! Checks that callbacks and licenses survive a round trip through serde: callbacks parsed from arbitrary bytes, and
//! the ones that the JSON door writes.
#![no_main]

use coedit::door::{Acknowledge, Door, Lines};
use coedit::{Callback, Config, License};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    // Read the input as a callback.
    if let Ok(callback) = serde_json::from_slice::<Callback>(input) {
        round_trip(&callback);
    }
    // Read the input as requests, and check the callbacks and replies in the output.
    let mut door = Door::replay(Config::new().shards(1), Acknowledge::Auto)
        .expect("the settings are within their bounds");
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    lines.feed(input, |line| {
        if let Some(line) = line {
            door.line(line, &mut out);
        }
    });
    door.end(&mut out);
    for line in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let value: Value = serde_json::from_slice(line).expect("every line of the output is JSON");
        if let Some(callback) = value.get("callback") {
            let typed =
                serde_json::from_value::<Callback>(callback.clone()).expect("the callback can be read");
            assert_eq!(serde_json::to_value(&typed).expect("the callback can be written"), *callback);
            round_trip(&typed);
        }
        if value["reply"].get("license").is_some() {
            let license: License =
                serde_json::from_value(value["reply"].clone()).expect("the license can be read");
            assert_eq!(license, door.engine().license());
        }
    }
});

/// Asserts that writing and reading the callback gives an equal one, and that absent members are not written as `null`.
fn round_trip(callback: &Callback) {
    let text = serde_json::to_string(callback).expect("the callback can be written");
    assert_eq!(
        serde_json::from_str::<Callback>(&text).expect("the written callback can be read"),
        *callback,
        "{text}"
    );
    let value: Value = serde_json::from_str(&text).expect("the written callback is JSON");
    let members = value.as_object().expect("the written callback is an object").values();
    assert!(members.into_iter().all(|member| !member.is_null()), "no member is null: {text}");
}
