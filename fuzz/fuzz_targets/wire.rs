//! Callbacks survive a round trip through serde, and so does all that a door says.
#![no_main]

use coedit::door::{Acknowledge, Door, Lines};
use coedit::{Callback, Config, License};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    // As a callback itself: what is read is written in a form that is read as the same.
    if let Ok(callback) = serde_json::from_slice::<Callback>(input) {
        round_trip(&callback);
    }
    // And as requests whose callbacks and replies are looked at.
    let mut door =
        Door::replay(Config::new().shards(1), Acknowledge::Auto).expect("the settings are in their bounds");
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    lines.feed(input, |line| {
        if let Some(line) = line {
            door.line(line, &mut out);
        }
    });
    door.end(&mut out);
    for line in out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let value: Value = serde_json::from_slice(line).expect("what goes out is JSON");
        if let Some(callback) = value.get("callback") {
            let typed =
                serde_json::from_value::<Callback>(callback.clone()).expect("a callback is read back");
            assert_eq!(serde_json::to_value(&typed).expect("and written"), *callback);
            round_trip(&typed);
        }
        if value["reply"].get("license").is_some() {
            let license: License =
                serde_json::from_value(value["reply"].clone()).expect("a license is read back");
            assert_eq!(license, door.engine().license());
        }
    }
});

fn round_trip(callback: &Callback) {
    let text = serde_json::to_string(callback).expect("a callback is written");
    assert_eq!(serde_json::from_str::<Callback>(&text).expect("and read"), *callback, "{text}");
    let value: Value = serde_json::from_str(&text).expect("it is JSON");
    let members = value.as_object().expect("an object").values();
    assert!(
        members.into_iter().all(|member| !member.is_null()),
        "a member that does not apply is absent: {text}"
    );
}
