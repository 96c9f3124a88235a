//! Any bytes to the JSON door: never a panic; every line is answered by exactly one reply that is valid JSON; an error
//! leaves the engine's books in order and its state as it was.
#![no_main]

use coedit::door::{Acknowledge, Door, Lines};
use coedit::{Config, DocumentKey, NamedUsers, SeatCount};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The documents whose state is looked at: those of the seeds.
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
    let mut door = Door::replay(config, acknowledge).expect("the settings are in their bounds");
    // In pieces, as a stream comes.
    let piece = usize::from(settings >> 3) + 1;
    let mut lines = Lines::default();
    for bytes in stream.chunks(piece * 7) {
        lines.feed(bytes, |line| answer(&mut door, line));
    }
    lines.end(|line| answer(&mut door, line));
    let mut out = Vec::new();
    door.end(&mut out);
    assert_eq!(replies(&out).len(), 0, "the end is no request");
    door.engine().validate().expect("the books are in order");
});

fn answer(door: &mut Door, line: Option<&[u8]>) {
    let before = state(door);
    let mut out = Vec::new();
    match line {
        Some(line) => door.line(line, &mut out),
        None => door.too_long(&mut out),
    }
    let replies = replies(&out);
    let [reply] = replies.as_slice() else { panic!("{} replies to one line", replies.len()) };
    let error = reply["error"].as_u64().expect("a reply has a code");
    assert!(matches!(error, 0 | 1 | 3 | 4 | 5), "no such code is sent: {error}");
    // A request that is well-formed may move the clock by its `at`, and what is due then happens.
    let moves_time = line.is_some_and(|line| line.windows(2).any(|two| two == b"at" || two == br"\u"));
    if error != 0 && !moves_time {
        assert_eq!(state(door), before, "an error changed something");
    }
    door.engine().validate().expect("the books are in order");
}

/// The replies among the lines, each of which must be one JSON object.
fn replies(out: &[u8]) -> Vec<Value> {
    assert!(out.is_empty() || out.ends_with(b"\n"));
    let text = std::str::from_utf8(out).expect("what goes out is text");
    let parsed = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("what goes out is JSON"));
    parsed.filter_map(|line| line.get("reply").cloned()).collect()
}

/// All that can be observed.
fn state(door: &Door) -> String {
    let engine = door.engine();
    let keys = KEYS.map(|key| DocumentKey::new(key).expect("a key"));
    let documents =
        keys.map(|key| (engine.participants(&key), engine.editors(&key), engine.is_outstanding(&key)));
    let (limits, forgotten) = (engine.limits(), engine.forgotten());
    format!("{documents:?} {} {limits:?} {forgotten:?} {:?}", engine.documents(), engine.next_deadline())
}
