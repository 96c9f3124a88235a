//! Feeds arbitrary bytes to the JSON door. The door must not panic. Every line must get exactly one reply, which is
//! valid JSON. After an error the engine must be consistent and its state unchanged.
#![no_main]

use std::time::Duration;

use coedit::door::{Acknowledge, Door, Lines};
use coedit::{Config, DocumentKey, IdleThen, NamedUsers, SeatCount};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The documents whose state is compared. The seeds use the same keys.
const KEYS: [&str; 3] = ["a", "b", "report"];

fuzz_target!(|input: &[u8]| {
    let Some(([settings, limits], stream)) = input.split_first_chunk() else { return };
    let acknowledge = if settings & 1 == 0 { Acknowledge::Auto } else { Acknowledge::Manual };
    let few = |bits: u8| [None, Some(2), Some(1), Some(0)][usize::from(bits & 3)];
    let edit = few(3 - (settings >> 1 & 3));
    let named = NamedUsers { edit: few(limits >> 4), live: few(limits >> 4), expire_days: 1 };
    let config = Config::new().edit_limit(edit).live_limit(edit).shards(2).named_users(named);
    let config = config.document_limit(few(*limits)).user_limit(few(limits >> 2));
    let config = config.max_connections((limits >> 6 & 1 == 1).then_some(3));
    let count = if limits >> 7 == 0 { SeatCount::Connections } else { SeatCount::UsersOfDocuments };
    let config = config.seat_count(count);
    // The piece that is fed also says for how long connections stay.
    let time = |bit: u8, seconds: u64| (settings >> bit & 1 == 1).then(|| Duration::from_secs(seconds));
    let config = config.reconnect_grace(time(3, 60)).idle(time(4, 600)).age(time(5, 3_600));
    let then = if settings >> 6 & 1 == 0 { IdleThen::View } else { IdleThen::Close };
    let config = config.idle_then(then).presence(settings >> 7 == 1);
    let mut door = Door::replay(config, acknowledge).expect("the settings are within their bounds");
    // Feed the stream in pieces, as a transport would.
    let piece = usize::from(settings >> 3) + 1;
    let mut lines = Lines::default();
    for bytes in stream.chunks(piece * 7) {
        lines.feed(bytes, |line| answer(&mut door, line));
    }
    lines.end(|line| answer(&mut door, line));
    let mut out = Vec::new();
    door.end(&mut out);
    assert_eq!(replies(&out).len(), 0, "the end of the input gets no reply");
    door.engine().validate().expect("the engine is consistent");
});

/// Gives one line to the door and checks the reply. `None` is a line that was too long.
fn answer(door: &mut Door, line: Option<&[u8]>) {
    let before = state(door);
    let mut out = Vec::new();
    match line {
        Some(line) => door.line(line, &mut out),
        None => door.too_long(&mut out),
    }
    let replies = replies(&out);
    let [reply] = replies.as_slice() else { panic!("{} replies to one line", replies.len()) };
    let error = reply["error"].as_u64().expect("a reply has an error code");
    assert!(matches!(error, 0 | 1 | 3 | 4 | 5), "the door never sends this code: {error}");
    // A valid request with an `at` moves the clock and runs what is due, even if its command fails.
    let moves_time = line.is_some_and(|line| line.windows(2).any(|two| two == b"at" || two == br"\u"));
    if error != 0 && !moves_time {
        assert_eq!(state(door), before, "an error changed something");
    }
    door.engine().validate().expect("the engine is consistent");
}

/// Returns the replies in the output. Every line of the output must be valid JSON.
fn replies(out: &[u8]) -> Vec<Value> {
    assert!(out.is_empty() || out.ends_with(b"\n"));
    let text = std::str::from_utf8(out).expect("the output is UTF-8");
    let parsed = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("every line of the output is JSON"));
    parsed.filter_map(|line| line.get("reply").cloned()).collect()
}

/// Describes everything that a host can see of the engine and of these documents.
fn state(door: &Door) -> String {
    let engine = door.engine();
    let keys = KEYS.map(|key| DocumentKey::new(key).expect("the keys are valid"));
    let documents =
        keys.map(|key| (engine.participants(&key), engine.editors(&key), engine.is_outstanding(&key)));
    let (limits, forgotten) = (engine.limits(), engine.forgotten());
    format!("{documents:?} {} {limits:?} {forgotten:?} {:?}", engine.documents(), engine.next_deadline())
}
