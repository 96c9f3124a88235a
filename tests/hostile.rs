//! Hostile and faulty callers: floods, lines of the maximum length, endless lines, names whose hashes collide, and
//! random lines. Each line gets one reply, and a refused line changes nothing.
//!
//! `COEDIT_SEEDS=100 cargo test --release --test hostile` runs the random lines with 100 seeds, `COEDIT_SEED=7`
//! with the seed 7 alone.

mod support;

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use coedit::door::{Acknowledge, Door, LINE_MAX, Lines};
use coedit::{Access, ChangeError, Config, Connection, ConnectionId, Notice};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use support::lines::{State, open};
use support::random::Random;
use support::replay::Replay;
use support::{START, Settle, Talk, World, id, key, parsed, user};

const KEYS: [&str; 4] = ["k", "closing", "lost", "another"];

fn state(talk: &Talk) -> State {
    State::of(talk, &KEYS)
}

/// A door with documents in different states. `k` has the editor `a`, an unsaved change, the viewer `v` and an
/// outstanding callback. `closing` waits for its save delay. `lost` is forgotten.
fn populated() -> Talk {
    let mut talk = Talk::new(Config::new().retry_pauses(Vec::new()), Acknowledge::Manual);
    let ack = |key: &str, error| json!({"c": "ack", "key": key, "error": error}).to_string();
    for (key, label) in [("lost", "x"), ("closing", "c"), ("k", "a")] {
        let mut first: Value = serde_json::from_str(&open(key, label, "ann")).unwrap();
        first["at"] = START.into();
        for line in [first.to_string(), ack(key, 0), json!({"c": "change", "connection": label}).to_string()]
        {
            assert_eq!(talk.error(line), 0);
        }
    }
    for line in [
        r#"{"c":"drop","key":"lost"}"#,
        &ack("lost", 1),
        &ack("lost", 0),
        r#"{"c":"close","connection":"x"}"#,
        r#"{"c":"close","connection":"c"}"#,
        r#"{"c":"open","key":"k","connection":"v","user":{"id":"ben","name":"Ben"},"mode":"view"}"#,
        r#"{"c":"info","key":"k","userdata":"asked"}"#,
    ] {
        assert_eq!(talk.error(line), 0, "{line}");
    }
    let state = state(&talk);
    assert_eq!((state.documents, state.limits.edit.in_use, state.participants[0].len()), (3, 1, 2));
    assert_eq!((state.forgotten.contains("lost"), &state.outstanding[..2]), (true, &[true, false][..]));
    talk
}

// Floods.

/// A number in four characters, so that 100,000 of them fit into one line.
fn short(number: usize) -> String {
    let digits = b"0123456789abcdefghijklmnopqrstuvwxyz";
    (0..4).rev().map(|place| char::from(digits[number / 36_usize.pow(place) % 36])).collect()
}

#[test]
fn a_drop_of_100_000_users_is_done_in_one_request() {
    const NAMED: usize = 100_000;
    /// One of this many named users edits the document. Equally many other users edit it too.
    const PRESENT: usize = 10;
    let array = Value::from((0..NAMED).map(short).collect::<Vec<_>>());
    assert_eq!(array.as_array().unwrap().iter().map(Value::as_str).collect::<HashSet<_>>().len(), NAMED);
    for users in [array.clone(), array.to_string().into()] {
        let line = json!({"c": "drop", "key": "k", "users": users}).to_string();
        assert!(line.len() <= LINE_MAX, "{}", line.len());
        let config = Config::new().callbacks(false).edit_limit(Some(50_000));
        let mut door = Door::replay(config, Acknowledge::Auto).unwrap();
        let engine = door.engine().clone();
        let opened = |name: String| engine.open(&key("k"), &user(&name), Access::Edit).unwrap();
        let named: Vec<Connection> = (0..NAMED).step_by(PRESENT).map(|one| opened(short(one))).collect();
        let others: Vec<Connection> =
            (0..NAMED / PRESENT).map(|one| opened(format!("other-{one}"))).collect();

        let mut out = Vec::new();
        door.line(line.as_bytes(), &mut out);
        let said = parsed(&out);
        assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k"}}));
        assert!(said[1..].iter().all(|line| line["notice"]["type"] == "dropped"), "one reply");
        let told: Vec<&str> = said[1..].iter().map(|line| line["notice"]["user"].as_str().unwrap()).collect();
        let dropped: Vec<String> = (0..NAMED).step_by(PRESENT).map(short).collect();
        assert_eq!(told, dropped, "the notices have the order of the line");
        assert!(named.iter().all(|tab| tab.access() == Some(Access::View)));
        assert!(others.iter().all(Connection::may_edit));
        assert_eq!((engine.limits().edit.in_use as usize, engine.editors(&key("k")).len()), (10_000, 10_000));
        assert_eq!(engine.participants(&key("k")).len(), 20_000);
        engine.validate().unwrap();
        drop((named, others));
        assert_eq!((engine.documents(), engine.limits().edit.in_use), (0, 0));
        engine.validate().unwrap();
    }
}

#[test]
fn a_user_with_20_000_tabs_can_be_dropped_and_closed() {
    const TABS: u32 = 20_000;
    let world = World::new(|config| config.edit_limit(Some(TABS + 1)));
    let doc = key("doc");
    let mut tabs: Vec<ConnectionId> = Vec::new();
    let ben = world.edit("doc", "ben");
    for _ in 0..TABS {
        tabs.push(world.edit("doc", "ann").into_id());
    }
    assert_eq!(world.open("doc", "ann", Access::Edit).granted().access, Access::View, "the limit is reached");
    world.engine.validate().unwrap();
    let present = world.engine.participants(&doc);
    assert_eq!(present.iter().map(|one| one.connections).collect::<Vec<_>>(), [1, TABS]);
    assert_eq!(world.engine.editors(&doc), [id("ben"), id("ann")]);
    world.engine.change(tabs[7]).unwrap();

    let dropped = world.engine.drop_users(&doc, &[id("ann"), id("ann")]).unwrap();
    assert_eq!(dropped.connections, tabs, "each connection once, in order of joining");
    assert!(dropped.unmatched.is_empty());
    assert!(tabs.iter().all(|tab| world.engine.change(*tab) == Err(ChangeError::ViewOnly)));
    assert_eq!(world.engine.limits().edit.in_use, 1);
    assert_eq!(world.engine.participants(&doc)[1].connections, TABS);
    let (dropped, limits): (Vec<Notice>, Vec<Notice>) =
        world.take_notices().into_iter().partition(|notice| matches!(notice, Notice::Dropped { .. }));
    assert_eq!((dropped.len(), limits.len()), (TABS as usize, 3), "warning, reached and clear, each once");
    world.engine.validate().unwrap();

    let mut random = Random::new(20);
    while !tabs.is_empty() {
        let chosen = random.below(tabs.len());
        let tab = tabs.swap_remove(chosen);
        world.engine.close(tab).unwrap();
        if tabs.len().is_multiple_of(5_000) {
            world.engine.validate().unwrap();
            let left: u32 = world.engine.participants(&doc).iter().map(|one| one.connections).sum();
            assert_eq!(left as usize, tabs.len() + 1);
        }
    }
    drop(ben);
    world.pass(support::seconds(10));
    let mut replay = Replay::new(0);
    world.callbacks.try_iter().for_each(|delivery| replay.settled(&delivery.acked(), true));
    replay.assert_balanced();
    assert_eq!((replay.saved(&doc).as_millis(), world.engine.documents()), (START, 0));
    world.engine.validate().unwrap();
}

// Long lines.

/// A line of the maximum length: `head`, then `unit` as often as it fits, then `tail`, then spaces.
fn filled(head: &str, unit: &str, tail: &str) -> Vec<u8> {
    let times = (LINE_MAX - head.len() - tail.len()) / unit.len();
    let mut line = format!("{head}{}{tail}", unit.repeat(times)).into_bytes();
    line.resize(LINE_MAX, b' ');
    line
}

#[test]
fn p10_every_line_of_1_mib_gets_one_reply_and_a_refused_one_changes_nothing() {
    let mut talk = populated();
    let rows: [(&str, &str, &str, u64); 35] = [
        // Long strings, with and without escapes.
        (r#"{"c":"info","key":"k","userdata":""#, "x", r#""}"#, 5),
        (r#"{"c":"info","key":"k","userdata":""#, r"\u0041", r#""}"#, 5),
        (r#"{"c":"open","key":"k","connection":"new","user":{"id":""#, "x", r#""}}"#, 5),
        (r#"{"c":"open","key":"k","connection":"new","user":{"id":""#, r"\ud83d\ude00", r#""}}"#, 5),
        (r#"{"c":"open","key":"k","connection":"new","user":{"id":"u","name":""#, "é", r#""}}"#, 5),
        (r#"{"c":"open","key":"k","connection":""#, "x", r#"","user":{"id":"u"}}"#, 5),
        (r#"{"c":"open","key":"k","connection":"new","user":{"id":"u"},"mode":""#, "x", r#""}"#, 5),
        (r#"{"c":"meta","key":"k","meta":{"title":""#, r"\n", r#""}}"#, 5),
        (r#"{"c":"ack","key":"k","error":0,"url":""#, "/", r#""}"#, 5),
        (r#"{"c":"drop","key":""#, "k", r#""}"#, 1),
        (r#"{"c":""#, "drop", r#"","key":"k"}"#, 5),
        (r#"{"c":"drop","key":"k","users":""#, "x", r#""}"#, 5),
        (r#"{"c":"getForgotten","key":"lost","x":""#, r"\\", r#""}"#, 0),
        (r#"{"c":"version","id":""#, "é", r#""}"#, 0),
        // Many members.
        (r#"{"c":"getForgotten","key":"lost","#, r#""x":1,"#, r#""x":1}"#, 0),
        (r"{", r#""c":"drop","key":"k","#, r#""c":"getForgotten","key":"lost"}"#, 0),
        (r#"{"c":"open","key":"k","connection":"new","user":{"#, r#""id":"u","#, r#""id":7}}"#, 5),
        (r#"{"c":"meta","key":"k","meta":{"#, r#""x":{},"#, r#""y":0}}"#, 5),
        (r#"{"c":"drop","key":"k","#, r#""x":1,"#, "}", 5),
        // Deep and long values.
        (r#"{"c":"drop","key":"k","users":"#, "[", "", 5),
        (r#"{"c":"drop","key":"k","x":"#, r#"{"x":"#, "", 5),
        (r#"{"c":"drop","key":"k","users":["#, r#""","#, r#"""]}"#, 5),
        (r#"{"c":"drop","key":"k","users":["#, r#""u","#, r"7]}", 5),
        (r#"{"c":"drop","key":"k","users":[["#, r#""u","#, r#""u"]]}"#, 5),
        (r#"{"c":"drop","key":"k","users":"["#, r#"\"u\","#, r#"7]"}"#, 5),
        (r#"{"c":"drop","key":["#, "[],", "[]]}", 1),
        // Numbers.
        (r#"{"c":"drop","key":"k","at":"#, "9", "}", 5),
        (r#"{"c":"drop","key":"k","at":-"#, "9", "}", 0),
        (r#"{"c":"ack","key":"k","error":0"#, "0", "}", 5),
        // Lines of one repeated character, and padding.
        ("", " ", r#"{"c":"getForgotten","key":"lost"}"#, 0),
        ("", "\0", "", 5),
        ("", "[", "", 5),
        ("", "\"", "", 5),
        ("", "\\", "", 5),
        (r#"{"c":"getForgotten","key":"lost"}"#, "\0", "", 5),
    ];
    for (head, unit, tail, error) in rows {
        let before = state(&talk);
        let said = talk.say(filled(head, unit, tail));
        assert_eq!(said[0]["reply"]["error"], error, "{head}{unit}{tail}");
        assert!(said[1..].iter().all(|line| line["reply"].is_null()), "one reply to {head}{unit}{tail}");
        if error != 0 {
            assert_eq!((said.len(), state(&talk)), (1, before), "{head}{unit}{tail}");
        } else if head.contains('-') {
            // The drop succeeded, so the door must be populated again.
            talk = populated();
        }
    }
    let said = talk.say(vec![0xff; LINE_MAX]);
    assert_eq!(said, [json!({"reply": {"error": 5}})]);

    // A valid line is run, whatever its length.
    let deep =
        format!(r#"{{"c":"getForgotten","key":"lost","x":{}{}}}"#, "[".repeat(500_000), "]".repeat(500_000));
    assert_eq!(talk.reply(deep), json!({"error": 0, "key": "lost", "url": ""}));
    let said = talk.say(filled(r#"{"c":"drop","key":"k","users":["#, r#""ann","#, r#""ann"]}"#));
    assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k"}}));
    assert_eq!(said.len(), 2, "named 170,000 times, dropped once: {said:?}");
    assert_eq!(said[1]["notice"]["type"], "dropped");
    talk = populated();
    let said = talk.say(filled(r#"{"c":"drop","key":"k","users":"["#, r#"\"ann\","#, r#"\"ann\"]"}"#));
    assert_eq!((said[0]["reply"]["error"].as_u64(), said.len()), (Some(0), 2));
    let label = "é".repeat(120);
    let line = filled(&open("k", &label, "cat").replace('}', ""), " ", "}}");
    assert_eq!(talk.reply(line), json!({"error": 0, "key": "k", "connection": label, "access": "edit"}));
}

#[test]
fn an_endless_line_is_buffered_up_to_the_maximum_length_and_gets_one_reply() {
    const BYTE: u8 = b'1';
    /// Counts the buffered bytes in the `Debug` output, which is the only public view of the buffer.
    fn kept(lines: &Lines) -> usize {
        format!("{lines:?}").matches("49").count()
    }
    for piece in [1_000, 4_096, 1_000_000, 3 * LINE_MAX] {
        let (mut lines, mut fed) = (Lines::default(), 0);
        let piece = vec![BYTE; piece];
        while fed < 5 * LINE_MAX {
            lines.feed(&piece, |_| panic!("no line has ended"));
            fed += piece.len();
            // Counting is slow, so check only the start, both sides of the bound, and the end.
            let at_bound = fed.abs_diff(LINE_MAX) <= piece.len();
            if fed < 10_000 || at_bound || fed >= 5 * LINE_MAX {
                assert_eq!(kept(&lines), if fed <= LINE_MAX { fed } else { 0 }, "after {fed}");
            }
        }
        let mut door = populated();
        let before = state(&door);
        let mut out = Vec::new();
        let mut answer = |line: Option<&[u8]>| match line {
            Some(line) => door.door.line(line, &mut out),
            None => door.door.too_long(&mut out),
        };
        lines.end(&mut answer);
        lines.end(&mut answer);
        lines.feed(b"\n", &mut answer);
        let said = parsed(&out);
        // The second reply answers the empty line.
        assert_eq!(said, [json!({"reply": {"error": 5}}), json!({"reply": {"error": 5}})]);
        assert_eq!(state(&door), before);
    }
}

#[test]
fn a_nul_does_not_end_a_line_and_utf_16_is_refused_line_by_line() {
    let line = r#"{"c":"drop","key":"k"}"#;
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let nul_ended = format!("{line}\0{line}\0");
    let padded = format!("\0\0{line}\n");
    // In UTF-16 a NUL follows the byte of the line end. It becomes the start of the next line.
    // A byte order mark is ignored only at the start of the first line.
    let streams: [(&[u8], usize); 5] = [
        (nul_ended.as_bytes(), 1),
        (padded.as_bytes(), 1),
        (b"\0\n\0\0\n\0", 3),
        (&wide(&format!("{line}\n{line}\n")), 3),
        (b"\n\xef\xbb\xbf{\"c\":\"drop\",\"key\":\"k\"}\n", 2),
    ];
    for (stream, replies) in streams {
        let mut talk = populated();
        let before = state(&talk);
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        let mut each = |line: Option<&[u8]>| talk.door.line(line.unwrap(), &mut out);
        for byte in stream {
            lines.feed(&[*byte], &mut each);
        }
        lines.end(&mut each);
        assert_eq!(parsed(&out), vec![json!({"reply": {"error": 5}}); replies], "{stream:?}");
        assert_eq!(state(&talk), before, "{stream:?}");
    }
}

// Names whose hashes collide.

/// Names of 16 characters whose unkeyed standard hashes, as document keys or user ids, have the same low bits. They
/// would collide in the engine if its hash had no secret.
fn colliding<N: Hash>(count: usize, name: impl Fn(&str) -> N) -> Vec<String> {
    const LOW: u64 = 0xffff;
    let text = |number: usize| format!("{number:016x}");
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let hash = |text: &String| hasher.hash_one(name(text)) & LOW;
    let wanted = hash(&text(0));
    (0..).map(text).filter(|text| hash(text) == wanted).take(count).collect()
}

#[test]
fn all_names_with_colliding_hashes_are_found() {
    const NAMES: usize = 40;
    let (keys, ids) = (colliding(NAMES + 1, key), colliding(NAMES + 1, id));
    let (unknown, keys) = keys.split_last().unwrap();
    let (stranger, ids) = ids.split_last().unwrap();

    // One document for each key, and one document with all users.
    let world = World::new(|config| config.shards(1));
    let mut tabs = Vec::new();
    for (number, (name, user)) in keys.iter().zip(ids).enumerate() {
        tabs.push((world.edit(name, "ann"), world.edit("doc", user)));
        assert_eq!(
            (world.engine.documents(), world.engine.editors(&key("doc")).len()),
            (number + 2, number + 1)
        );
    }
    world.engine.validate().unwrap();
    for (number, (name, user)) in keys.iter().zip(ids).enumerate() {
        assert!(world.engine.is_open(&key(name)));
        assert_eq!(world.engine.editors(&key(name)), [id("ann")]);
        tabs[number].0.change().unwrap();
        let dropped = world.engine.drop_users(&key("doc"), &[id(user)]).unwrap();
        assert_eq!((dropped.connections, dropped.unmatched), (vec![tabs[number].1.id()], Vec::new()));
    }
    assert_eq!(world.engine.participants(&key("doc")).len(), NAMES);
    assert!(!world.engine.is_open(&key(unknown)));
    assert_eq!(world.engine.drop_users(&key("doc"), &[id(stranger)]).unwrap().unmatched, [id(stranger)]);
    world.engine.validate().unwrap();

    let mut random = Random::new(8);
    while !tabs.is_empty() {
        let chosen = random.below(tabs.len());
        drop(tabs.swap_remove(chosen));
        world.engine.validate().unwrap();
    }
    let mut replay = Replay::new(0);
    for delay in [0, 10] {
        world.pass(support::seconds(delay));
        world.callbacks.try_iter().for_each(|delivery| replay.settled(&delivery.acked(), true));
    }
    replay.assert_balanced();
    assert!(keys.iter().all(|name| replay.saved(&key(name)).as_millis() == START));
    assert_eq!(world.engine.documents(), 0);
}

// Random lines.

/// Valid lines of every command.
const LINES: [&str; 22] = [
    r#"{"c":"open","key":"k","connection":"new","user":{"id":"cat","name":"Cat"},"mode":"edit","live":false}"#,
    r#"{"c":"open","key":"another","connection":"b","user":{"id":"b\u00e9n"},"mode":"view","live":true}"#,
    r#"{"c":"open","key":"closing","connection":"back","user":{"id":"ann"}}"#,
    r#"{"c":"open","key":"k","connection":"a","user":{"id":"ann"}}"#,
    r#"{"c":"change","connection":"a"}"#,
    r#"{"c":"change","connection":"new","id":1}"#,
    r#"{"c":"close","connection":"v"}"#,
    r#"{"c":"lost","connection":"a"}"#,
    r#"{"c":"forcesave","connection":"a","type":1}"#,
    r#"{"c":"forcesave","connection":"a","type":3}"#,
    r#"{"c":"forcesave","key":"k","userdata":"u"}"#,
    r#"{"c":"info","key":"k","userdata":"some \"data\""}"#,
    r#"{"c":"info","key":"closing","id":{"a":[1,2,null]}}"#,
    r#"{"c":"drop","key":"k","users":["ann","ben"]}"#,
    r#"{"c":"drop","key":"k","users":"[\"ann\"]","token":"x.y.z"}"#,
    r#"{"c":"meta","key":"k","meta":{"title":"A title"}}"#,
    r#"{"c":"version","iat":1700000000,"exp":1.5e3}"#,
    r#"{"c":"license"}"#,
    r#"{"c":"getForgottenList","key":""}"#,
    r#"{"c":"getForgotten","key":"lost"}"#,
    r#"{"c":"deleteForgotten","key":"lost"}"#,
    r#"{"c":"ack","key":"k","error":0,"url":"somewhere"}"#,
];

/// Text that mutations insert.
const FRAGMENTS: [&str; 36] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\0",
    "\t",
    "\r",
    " ",
    "null",
    "true",
    "-1",
    "0",
    "1e999",
    "0.5",
    "\\u0000",
    "\\ud800",
    "\u{1F600}",
    "\"c\":",
    "\"key\":",
    "\"connection\":",
    "\"user\":",
    "\"users\":",
    "\"at\":1700611300000,",
    "\"error\":1,",
    "\"type\":2,",
    "\"k\"",
    "\"lost\"",
    "\"ann\"",
    "[[[[",
    "}}",
    "{}",
    "\"\"",
];

/// A valid line after some random changes of its bytes or its members.
fn mutated(random: &mut Random) -> Vec<u8> {
    let line = *random.pick(&LINES);
    if random.one_in(3) {
        return with_wrong_member(line, random);
    }
    let mut line = line.as_bytes().to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(line.len() + 1);
        let end = (at + random.below(12)).min(line.len());
        let fragment = random.pick(&FRAGMENTS).as_bytes();
        match random.below(7) {
            0 => drop(line.splice(at..end, [])),
            1 => drop(line.splice(at..at, fragment.iter().copied())),
            2 => drop(line.splice(at..end, fragment.iter().copied())),
            3 => line.truncate(at),
            4 => {
                let copy = line[at..end].to_vec();
                drop(line.splice(at..at, copy));
            }
            5 => line.extend_from_slice(random.pick(&LINES).as_bytes()),
            _ if at < line.len() => line[at] ^= 1 << random.below(8),
            _ => line.push(random.next().to_le_bytes()[0]),
        }
    }
    line
}

/// Valid JSON in which a member is missing, comes from another line, or has a wrong value.
fn with_wrong_member(line: &str, random: &mut Random) -> Vec<u8> {
    let mut line: Value = serde_json::from_str(line).unwrap();
    let other: Value = serde_json::from_str(LINES[random.below(LINES.len())]).unwrap();
    let members = line.as_object_mut().unwrap();
    let name = random.pick(&members.keys().cloned().collect::<Vec<_>>()).clone();
    let long = "x".repeat(5_000);
    let values = [
        json!(null),
        json!(7),
        json!(-1),
        json!(0),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!("a b"),
        json!(long),
        json!(["ann"]),
        json!({"id": "u"}),
        json!("k"),
        json!("\u{0}"),
        json!(1e300),
    ];
    match random.below(3) {
        0 => drop(members.remove(&name)),
        1 => members.extend(other.as_object().unwrap().clone()),
        _ => drop(members.insert(name, random.pick(&values).clone())),
    }
    line.to_string().into_bytes()
}

/// Up to 199 random bytes, in half of the cases ASCII only.
fn random_bytes(random: &mut Random) -> Vec<u8> {
    let length = random.below(200);
    let ascii = random.one_in(2);
    let byte = |random: &mut Random| random.next().to_le_bytes()[0];
    (0..length).map(|_| if ascii { byte(random) & 0x7f } else { byte(random) }).collect()
}

fn is_json(line: &[u8]) -> bool {
    std::str::from_utf8(line).is_ok_and(|text| serde_json::from_str::<&RawValue>(text).is_ok())
}

/// Says one line and returns the error code. Asserts that there is one readable reply and that a refused line changes
/// nothing.
fn assert_one_reply(talk: &mut Talk, line: &[u8]) -> u64 {
    let shown = String::from_utf8_lossy(line).into_owned();
    let before = state(talk);
    let said = talk.say(line);
    let read: Option<Value> = serde_json::from_slice(line).ok();
    let at = read.as_ref().map_or(shown.contains("at\""), |read| read.get("at").is_some());
    let replies: Vec<usize> = (0..said.len()).filter(|line| said[*line]["reply"].is_object()).collect();
    // With an `at`, the lines of earlier deadlines come before the reply.
    assert!(
        replies.len() == 1 && (replies[0] == 0 || at),
        "there is one reply, and it is the first line: {shown}"
    );
    let said_kind = |line: &Value| {
        let members: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        matches!(members[..], ["reply" | "notice"] | ["callback", "delivery"])
    };
    assert!(said.iter().all(said_kind), "{shown}");
    let reply = said[replies[0]]["reply"].as_object().unwrap();
    let error = reply["error"].as_u64().unwrap_or_else(|| panic!("the reply has no code: {shown}"));
    assert!([0, 1, 3, 4, 5].contains(&error), "{error}: {shown}");
    match &read {
        Some(Value::Object(read)) => {
            assert_eq!((reply.get("key"), reply.get("id")), (read.get("key"), read.get("id")), "{shown}");
        }
        Some(_) => assert_eq!(said[0], json!({"reply": {"error": 5}}), "{shown}"),
        // The door accepts huge numbers and lone surrogates in unknown members, `Value` does not.
        None => assert!(error != 0 || is_json(line), "invalid JSON was accepted: {shown}"),
    }
    if error != 0 && !at {
        assert_eq!(said.len(), 1, "{shown}");
        assert_eq!(state(talk), before, "{shown}");
    }
    error
}

/// [`Lines`] never passes on such a line, but a host that splits the stream itself may.
#[test]
fn a_request_that_contains_a_line_end_gets_a_reply_of_one_line() {
    for line in ["{\"c\":\"version\",\"id\":[\n1]}", "{\"c\":\"info\",\"key\":{\n}}"] {
        let mut out = Vec::new();
        populated().door.line(line.as_bytes(), &mut out);
        let said = String::from_utf8(out).unwrap();
        assert_eq!(said.lines().count(), 1, "the reply to {line:?} is {said:?}");
    }
}

#[test]
fn p10_a_random_line_gets_one_reply_and_a_refused_one_changes_nothing() {
    const LINES_PER_SEED: usize = 20_000;
    /// After this many lines the test starts with a new door, because most documents of the old one are closed by then.
    const LINES_PER_DOOR: usize = 100;
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    let seeds = match number("COEDIT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("COEDIT_SEEDS").unwrap_or(1),
    };
    for seed in seeds {
        let mut random = Random::new(seed);
        let mut replies = [0; 7];
        for _ in 0..LINES_PER_SEED / LINES_PER_DOOR {
            let mut talk = populated();
            for _ in 0..LINES_PER_DOOR {
                let mut line =
                    if random.one_in(10) { random_bytes(&mut random) } else { mutated(&mut random) };
                // A line contains no line end.
                line.retain(|byte| *byte != b'\n');
                let error = assert_one_reply(&mut talk, &line);
                replies[usize::try_from(error).unwrap()] += 1;
            }
            talk.end();
            talk.door.engine().validate().unwrap();
        }
        for error in [0, 1, 4, 5] {
            assert!(replies[error] > 50, "seed {seed}: {replies:?}");
        }
    }
}
