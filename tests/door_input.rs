//! The input of the JSON door: every bound at its limit and one past it, and the order of errors. Bad input of any kind
//! gets one readable reply and changes nothing.

mod support;
use support::lines::State;
use support::*;

use coedit::door::{Acknowledge, LINE_MAX, Lines};
use coedit::{Config, Timestamp};
use serde_json::{Value, json};

/// A request that opens `label` on `key` with edit access.
fn open(key: &str, label: &str, user: &str) -> Value {
    json!({"c": "open", "key": key, "connection": label, "user": {"id": user}})
}

fn change(label: &str) -> Value {
    json!({"c": "change", "connection": label})
}

const KEYS: [&str; 3] = ["k", "closing", "lost"];

fn state(talk: &Talk) -> State {
    State::of(talk, &KEYS)
}

/// A door at [`START`] with documents in different states. `k` has the editor `a`, an unsaved change, and the
/// viewers `l` and `v`. `closing` waits for its save delay. `lost` is forgotten.
fn populated() -> Talk {
    let mut talk = Talk::new(Config::new().retry_pauses(Vec::new()), Acknowledge::Manual);
    let ack = |talk: &mut Talk, key: &str, error: u8| {
        assert_eq!(talk.error(json!({"c": "ack", "key": key, "error": error, "url": "u"}).to_string()), 0);
    };
    for (name, label) in [("lost", "x"), ("closing", "c"), ("k", "a")] {
        let mut line = open(name, label, "ann");
        line["at"] = START.into();
        talk.say(line.to_string());
        ack(&mut talk, name, 0);
        assert_eq!(talk.error(change(label).to_string()), 0);
    }
    talk.say(r#"{"c":"drop","key":"lost"}"#);
    ack(&mut talk, "lost", 1);
    ack(&mut talk, "lost", 0);
    for label in ["x", "c"] {
        talk.say(json!({"c": "close", "connection": label}).to_string());
    }
    for (label, live) in [("l", true), ("v", false)] {
        let mut line = open("k", label, label);
        line["mode"] = "view".into();
        line["live"] = live.into();
        talk.say(line.to_string());
    }
    let state = state(&talk);
    assert_eq!((state.documents, state.limits.edit.in_use, state.limits.live.in_use), (3, 1, 1));
    assert_eq!(state.deadline.map(Timestamp::as_millis), Some(START + 10_000));
    assert_eq!((talk.door.engine().forgotten().len(), state.participants[0].len()), (1, 3));
    talk
}

/// Says a line and asserts that it is refused: one readable reply with this error, no other output, no change.
fn assert_refused(talk: &mut Talk, line: impl AsRef<[u8]>, error: u64) -> Value {
    let line = line.as_ref();
    let shown = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
    let before = state(talk);
    let said = talk.say(line);
    assert_eq!(said.len(), 1, "{shown}");
    assert_eq!(said[0]["reply"]["error"], error, "{shown}");
    assert_eq!(state(talk), before, "{shown}");
    said[0]["reply"].clone()
}

fn assert_all_refused<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = (L, u64)>) {
    let mut talk = populated();
    for (line, error) in lines {
        assert_refused(&mut talk, line, error);
    }
}

/// `text` as a JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn nested(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

/// Feeds the pieces of a stream and returns the output.
fn stream(talk: &mut Talk, parts: &[&[u8]]) -> Vec<Value> {
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    let mut each = |line: Option<&[u8]>| match line {
        Some(line) => talk.door.line(line, &mut out),
        None => talk.door.too_long(&mut out),
    };
    for part in parts {
        lines.feed(part, &mut each);
    }
    lines.end(&mut each);
    parsed(&out)
}

/// The line `{"c":"drop","key":"k","x":"…"}` of `length` bytes.
fn long_line(length: usize) -> Vec<u8> {
    let (head, tail) = (r#"{"c":"drop","key":"k","x":""#, r#""}"#);
    format!("{head}{}{tail}", "x".repeat(length - head.len() - tail.len())).into_bytes()
}

#[test]
fn a_key_has_1_to_128_of_the_allowed_characters() {
    let every = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._=";
    for key in ["k", &"k".repeat(128), every, ".", "..", "=-_."] {
        let mut talk = Talk::auto();
        let reply = talk.reply(open(key, "a", "ann").to_string());
        assert_eq!((&reply["error"], &reply["key"]), (&json!(0), &json!(key)));
    }
    let mut talk = populated();
    let mut bad: Vec<String> =
        ["", "é", "k\u{e9}", "ｋ", "\u{1F600}", "k\0", "\u{7f}"].map(Into::into).to_vec();
    bad.push("k".repeat(129));
    bad.push("k".repeat(100_000));
    bad.extend((' '..='~').filter(|one| !every.contains(*one)).map(|one| format!("k{one}")));
    for text in bad {
        for line in [open(&text, "new", "ann"), json!({"c": "info", "key": text})] {
            let reply = assert_refused(&mut talk, line.to_string(), 1);
            assert_eq!(reply, json!({"error": 1, "key": text}));
        }
    }
}

#[test]
fn a_user_id_has_1_to_240_bytes_and_no_control_characters() {
    let good = [
        "u".to_owned(),
        "u".repeat(240),
        "é".repeat(120),
        "\u{1F600}".repeat(60),
        "\"\\/ <b>{}[]".to_owned(),
        "\u{200b}\u{a0}".to_owned(),
    ];
    for id in &good {
        let mut talk = Talk::auto();
        assert_eq!(talk.error(open("k", "a", id).to_string()), 0, "{id}");
        assert_eq!(talk.reply(r#"{"c":"info","key":"k"}"#)["users"], json!([id]));
        let said = talk.say(json!({"c": "drop", "key": "k", "users": [id]}).to_string());
        assert_eq!(said[1]["notice"]["user"], json!(id));
    }
    let bad = [
        String::new(),
        "u".repeat(241),
        format!("{}u", "é".repeat(120)),
        format!("u{}", "\u{1F600}".repeat(60)),
        "\0".to_owned(),
        "u\n".to_owned(),
        "u\u{1f}".to_owned(),
        "u\u{7f}".to_owned(),
        "u\u{85}".to_owned(),
    ];
    let mut talk = populated();
    for id in &bad {
        assert_refused(&mut talk, open("k", "new", id).to_string(), 5);
        assert_refused(&mut talk, json!({"c": "drop", "key": "k", "users": ["ann", id]}).to_string(), 5);
        assert_refused(
            &mut talk,
            json!({"c": "drop", "key": "k", "users": json!(["ann", id]).to_string()}).to_string(),
            5,
        );
    }
}

#[test]
fn user_ids_are_compared_byte_for_byte() {
    let mut talk = Talk::auto();
    let ids = ["\u{e9}", "e\u{301}", "Ann", "ann", "ann "];
    for id in ids {
        talk.say(open("k", id, id).to_string());
    }
    assert_eq!(talk.reply(r#"{"c":"info","key":"k"}"#)["users"], json!(ids));
    talk.say(json!({"c": "drop", "key": "k", "users": ["ann", "\u{e9}"]}).to_string());
    assert_eq!(talk.reply(r#"{"c":"info","key":"k"}"#)["users"], json!(["e\u{301}", "Ann", "ann "]));
}

#[test]
fn names_userdata_and_labels_are_bounded_in_bytes() {
    let named = |name: String| {
        let mut line = open("k", "new", "ann");
        line["user"]["name"] = name.into();
        line
    };
    let info = |userdata: String| json!({"c": "info", "key": "k", "userdata": userdata});
    let forcesave = |userdata: String| json!({"c": "forcesave", "key": "k", "userdata": userdata});
    let label = |label: String| open("k", &label, "ann");
    let rows: [(&dyn Fn(String) -> Value, usize); 4] =
        [(&named, 1_024), (&info, 4_096), (&forcesave, 4_096), (&label, 240)];
    for (line, most) in rows {
        for text in ["x".repeat(most), "é".repeat(most / 2), "\0".repeat(most), "x".to_owned()] {
            assert_eq!(populated().error(line(text).to_string()), 0, "{most}");
        }
        for text in ["x".repeat(most + 1), format!("{}x", "é".repeat(most / 2)), "\0".repeat(most + 1)] {
            assert_all_refused([(line(text).to_string(), 5)]);
        }
    }
    for line in [named(String::new()), info(String::new()), forcesave(String::new())] {
        assert_eq!(populated().error(line.to_string()), 0, "{line}");
    }
    for command in ["open", "change", "close", "lost", "forcesave"] {
        for bad in ["", &"x".repeat(241)] {
            let mut line = open("k", bad, "ann");
            line["c"] = command.into();
            assert_all_refused([(line.to_string(), 5)]);
        }
    }
}

#[test]
fn userdata_is_returned_unchanged() {
    let texts = ["a\0b", "\u{1F600}\"\\/\n\u{7f}", "{\"error\":1}", &"é".repeat(2_048), " "];
    for text in texts {
        let mut talk = Talk::auto();
        talk.say(open("k", "a", "ann").to_string());
        talk.say(change("a").to_string());
        for command in ["info", "forcesave"] {
            let line = json!({"c": command, "key": "k", "userdata": text}).to_string();
            assert_eq!(talk.callbacks(line)[0]["userdata"], text, "{command}");
        }
    }
}

#[test]
fn a_line_has_at_most_1_mib_and_a_longer_one_is_skipped() {
    assert_eq!(LINE_MAX, 1_048_576);
    let next = br#"{"c":"info","key":"k","id":"next"}"#;
    let (most, over) = (long_line(LINE_MAX), long_line(LINE_MAX + 1));
    let is_next =
        |line: &Value| line["reply"] == json!({"error": 0, "key": "k", "id": "next", "users": ["ann"]});

    let mut talk = populated();
    let before = state(&talk);
    for parts in [&[&over, &b"\n"[..], next, b"\n"][..], &[&[&over, &b"\n"[..], next, b"\n"].concat()]] {
        let said = stream(&mut talk, parts);
        assert_eq!(said[0], json!({"reply": {"error": 5}}));
        assert!(is_next(&said[1]), "the drop in the long line had no effect: {}", said[1]);
    }
    let tenfold = vec![b'['; 10 * LINE_MAX];
    let said = stream(&mut talk, &[&tenfold, &tenfold, b"\n", next]);
    assert_eq!(said[0], json!({"reply": {"error": 5}}));
    assert!(is_next(&said[1]));
    assert_eq!((said.len(), stream(&mut talk, &[&over])), (2, vec![json!({"reply": {"error": 5}})]));
    assert_eq!(state(&talk).participants, before.participants);

    for parts in [&[&most, &b"\n"[..], next][..], &[&[&most, &b"\n"[..], next].concat()]] {
        let said = stream(&mut populated(), parts);
        assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k"}}));
        assert_eq!(
            said.last().unwrap()["reply"]["users"],
            json!([]),
            "the drop in a line of the maximum length was done"
        );
    }
}

#[test]
fn the_output_does_not_depend_on_how_the_stream_is_split() {
    let text =
        b"{\"c\":\"version\",\"id\":1}\n\n{\"c\":\"version\",\"id\":2}\r\n{]\n{\"c\":\"version\",\"id\":3}";
    let expected = [
        json!({"error": 0, "id": 1, "version": coedit::VERSION}),
        json!({"error": 5}),
        json!({"error": 0, "id": 2, "version": coedit::VERSION}),
        json!({"error": 5}),
        json!({"error": 0, "id": 3, "version": coedit::VERSION}),
    ]
    .map(|reply| json!({"reply": reply}));
    for size in [1, 2, 7, text.len()] {
        let parts: Vec<&[u8]> = text.chunks(size).collect();
        assert_eq!(stream(&mut Talk::auto(), &parts), expected, "{size} bytes at a time");
    }
}

#[test]
fn errors_come_in_the_order_key_parameters_existence_state() {
    let mut talk = populated();
    for (line, error) in [
        // The form of the key, whatever else is wrong.
        (r#"{"c":"open","key":"a b","connection":"","user":7,"mode":"x"}"#, 1),
        (r#"{"c":"open","connection":"","user":7}"#, 1),
        (r#"{"c":"info","key":"a b","userdata":7,"at":"x"}"#, 1),
        (r#"{"c":"drop","key":"a b","users":7}"#, 1),
        (r#"{"c":"forcesave","key":"a b","userdata":7}"#, 1),
        (r#"{"c":"meta","key":"a b"}"#, 1),
        (r#"{"c":"ack","key":"a b"}"#, 1),
        (r#"{"c":"getForgotten","key":"a b","at":"x"}"#, 1),
        // The form of the other parameters, although the document or connection does not exist.
        (r#"{"c":"info","key":"never","userdata":7}"#, 5),
        (r#"{"c":"info","key":"never","at":"x"}"#, 5),
        (r#"{"c":"drop","key":"never","users":7}"#, 5),
        (r#"{"c":"forcesave","key":"never","userdata":7}"#, 5),
        (r#"{"c":"meta","key":"never"}"#, 5),
        (r#"{"c":"ack","key":"never"}"#, 5),
        (r#"{"c":"getForgotten","key":"never","at":"x"}"#, 5),
        (r#"{"c":"change","connection":"never","at":"x"}"#, 5),
        (r#"{"c":"forcesave","connection":"never","type":2}"#, 5),
        // Existence.
        (r#"{"c":"info","key":"never"}"#, 1),
        (r#"{"c":"drop","key":"never","users":[]}"#, 1),
        (r#"{"c":"forcesave","key":"never"}"#, 1),
        (r#"{"c":"ack","key":"never","error":0}"#, 1),
        (r#"{"c":"getForgotten","key":"k"}"#, 1),
        (r#"{"c":"deleteForgotten","key":"k"}"#, 1),
        (r#"{"c":"change","connection":"never"}"#, 1),
        (r#"{"c":"close","connection":"never"}"#, 1),
        (r#"{"c":"lost","connection":"never"}"#, 1),
        (r#"{"c":"forcesave","connection":"never"}"#, 1),
        // State. The form of the parameters comes first.
        (r#"{"c":"change","connection":"v"}"#, 5),
        (r#"{"c":"ack","key":"k","error":0}"#, 5),
        (r#"{"c":"open","key":"k","connection":"a","user":{"id":"ben"}}"#, 5),
        (r#"{"c":"open","key":"a b","connection":"a","user":{"id":"ben"}}"#, 1),
    ] {
        assert_refused(&mut talk, line, error);
    }
    talk.say(r#"{"c":"forcesave","key":"k"}"#);
    for (line, error) in [
        (r#"{"c":"forcesave","key":"k"}"#, 4),
        (r#"{"c":"forcesave","connection":"a"}"#, 4),
        (r#"{"c":"forcesave","key":"k","userdata":7}"#, 5),
        (r#"{"c":"forcesave","connection":"a","type":2}"#, 5),
    ] {
        assert_refused(&mut talk, line, error);
    }
}

#[test]
fn p10_bad_input_changes_nothing() {
    assert_all_refused(
        [
            "",
            " ",
            "\r",
            "null",
            "true",
            "7",
            "\"k\"",
            "[]",
            r#"[{"c":"drop","key":"k"}]"#,
            "{",
            "}",
            "{}",
            "{]",
            "not json",
            r#"{"c":"drop","key":"k"}}"#,
            r#"{"c":"drop","key":"k"} {"c":"drop","key":"k"}"#,
            r#"{"c":"drop","key":"k","#,
            r#"{"c":"drop","key":"k",}"#,
            r#"{"c":"drop","key":"k" "x":1}"#,
            r"{'c':'drop','key':'k'}",
            r#"{c:"drop",key:"k"}"#,
            r#"{"c":"drop","key":"k","x":01}"#,
            r#"{"c":"drop","key":"k","x":NaN}"#,
            r#"{"c":"drop","key":"k","x":"\x"}"#,
            r#"{"c":"drop","key":"k","x":"\u12"}"#,
            "{\"c\":\"drop\",\"key\":\"k\",\"x\":\"\0\"}",
            "{\"c\":\"drop\",\"key\":\"k\",\"x\":\"\t\"}",
            "{\"c\":\"drop\",\"key\":\"k\"}\0",
            "{\"c\":\"drop\"\0,\"key\":\"k\"}",
        ]
        .map(|line| (line, 5)),
    );
}

#[test]
fn p10_invalid_utf_8_changes_nothing() {
    for bad in
        [&b"\xff"[..], b"\xc3", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\0\xff"]
    {
        for (before, after) in [
            (r#"{"c":"drop","key":"k","x":""#, r#""}"#),
            (r#"{"c":"drop","key":"k"#, r#""}"#),
            (r#"{"c":"drop","key":"k","users":["ann"#, r#""]}"#),
            (r#"{"c":"drop","key":"k",""#, r#"":1}"#),
            ("", r#"{"c":"drop","key":"k"}"#),
        ] {
            let reply =
                assert_refused(&mut populated(), [before.as_bytes(), bad, after.as_bytes()].concat(), 5);
            assert_eq!(reply, json!({"error": 5}));
        }
    }
}

#[test]
fn p10_a_parameter_of_the_wrong_type_changes_nothing() {
    let good = [
        json!({
            "c": "open", "key": "k", "connection": "new", "user": {"id": "u", "name": "U"},
            "mode": "edit", "live": false,
        }),
        json!({"c": "change", "connection": "a"}),
        json!({"c": "close", "connection": "a"}),
        json!({"c": "lost", "connection": "a"}),
        json!({"c": "forcesave", "connection": "a", "type": 1}),
        json!({"c": "forcesave", "key": "k", "userdata": "u"}),
        json!({"c": "info", "key": "k", "userdata": "u"}),
        json!({"c": "drop", "key": "k", "users": ["ann"]}),
        json!({"c": "meta", "key": "k", "meta": {"title": "T"}}),
        json!({"c": "getForgotten", "key": "lost"}),
        json!({"c": "deleteForgotten", "key": "lost"}),
    ];
    let wrong = json!({
        "c": [7, true, [], {}, null, "", "Drop", "drop "],
        "key": [7, -1.5, true, false, [], {}, null, "", ["k"], {"k": 1}],
        "connection": [7, true, [], {}, "", ["a"]],
        "user": [
            null, 7, "ann", true, [], ["ann"], {}, {"name": "U"}, {"id": 7}, {"id": null}, {"id": ["u"]},
            {"id": "u", "name": 7}, {"id": "u", "name": []}, {"id": "u", "name": {}}, {"id": "u", "name": true},
        ],
        "mode": [7, true, [], {}, "", "Edit", "comment"],
        "live": [0, 1, "true", "", [], {}],
        "type": [0, 2, 4, -1, "1", true, [], {}],
        "userdata": [7, true, [], {}],
        "users": [
            7, true, {}, "", "ann", "7", "{}", "[7]", "[", "[\"\"]",
            [7], [null], [["ann"]], ["ann", 7], [{"id": "ann"}],
        ],
        "meta": [null, 7, "T", true, [], ["T"], {}, {"Title": "T"}, {"title": 7}, {"title": null}, {"title": ["T"]}],
        "at": ["0", "", 1.5, true, [], {}],
    });
    for line in &good {
        assert_eq!(populated().error(line.to_string()), 0, "{line}");
        let mut talk = populated();
        for (member, values) in wrong.as_object().unwrap() {
            if line.get(member).is_none() && member != "at" {
                continue;
            }
            for value in values.as_array().unwrap() {
                let mut bad = line.clone();
                bad[member] = value.clone();
                assert_refused(&mut talk, bad.to_string(), if member == "key" { 1 } else { 5 });
            }
        }
        let required = |member: &str| match member {
            "connection" => line["c"] != "forcesave",
            _ => ["c", "key", "user", "meta"].contains(&member),
        };
        for member in line.as_object().unwrap().keys().filter(|member| required(member)) {
            let mut bad = line.clone();
            bad.as_object_mut().unwrap().remove(member);
            assert_refused(&mut talk, bad.to_string(), if member == "key" { 1 } else { 5 });
        }
    }
}

#[test]
fn p10_a_malformed_ack_settles_nothing() {
    let mut talk = populated();
    talk.say(r#"{"c":"info","key":"k"}"#);
    assert!(talk.door.engine().is_outstanding(&key("k")));
    for (line, error) in [
        (r#"{"c":"ack","key":"k"}"#, 5),
        (r#"{"c":"ack","key":"k","error":null}"#, 5),
        (r#"{"c":"ack","key":"k","error":"0"}"#, 5),
        (r#"{"c":"ack","key":"k","error":0,"url":7}"#, 5),
        (r#"{"c":"ack","key":"k","error":0,"at":"x"}"#, 5),
        (r#"{"c":"ack","error":0}"#, 1),
        (r#"{"c":"ack","key":"K","error":0}"#, 1),
    ] {
        assert_refused(&mut talk, line, error);
    }
    assert_eq!(talk.error(r#"{"c":"ack","key":"k","error":0}"#), 0);
}

#[test]
fn p10_a_refused_line_does_not_move_the_clock() {
    let late = START + 3_600_000;
    assert_all_refused([
        (format!(r#"{{"at":{late},"c":"unheardOf"}}"#), 5),
        (format!(r#"{{"at":{late},"c":"info","key":"a b"}}"#), 1),
        (format!(r#"{{"at":{late},"c":"info","key":"k","userdata":7}}"#), 5),
        (format!(r#"{{"at":{late},"c":"change","connection":""}}"#), 5),
        (format!(r#"{{"at":{late},"c":"version""#), 5),
    ]);
}

#[test]
fn p10_huge_numbers_change_nothing() {
    let digits = "9".repeat(400);
    let mut talk = populated();
    for number in
        ["1e999", "-1e999", &digits, &format!("-{digits}"), "1e-999999999999", &format!("0.{digits}")]
    {
        for (before, after) in [
            (r#"{"c":"open","key":"k","connection":"new","user":{"id":"#, "}}"),
            (r#"{"c":"open","key":"k","connection":"new","user":"#, "}"),
            (r#"{"c":"open","key":"k","connection":"#, r#","user":{"id":"u"}}"#),
            (r#"{"c":"drop","key":"k","users":["ann","#, "]}"),
            (r#"{"c":"drop","key":"k","users":"["#, r#"]"}"#),
            (r#"{"c":"info","key":"k","userdata":"#, "}"),
            (r#"{"c":"forcesave","connection":"a","type":"#, "}"),
            (r#"{"c":"meta","key":"k","meta":{"title":"#, "}}"),
            (r#"{"c":"#, "}"),
        ] {
            assert_refused(&mut talk, format!("{before}{number}{after}"), 5);
        }
        let ignored = format!(r#"{{"c":"getForgotten","key":"lost","x":[{number}]}}"#);
        assert_eq!(talk.error(ignored), 0, "a number in an unknown member may have any size");
    }
    for number in ["1e999", "0.5", &digits, "18446744073709551616"] {
        assert_refused(&mut talk, format!(r#"{{"c":"drop","key":"k","at":{number}}}"#), 5);
    }
}

#[test]
fn p10_deep_nesting_changes_nothing() {
    let mut talk = populated();
    for levels in [100, 100_000] {
        let deep = nested(levels);
        let objects = format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
        for deep in [&deep, &objects] {
            for (before, after) in [
                (r#"{"c":"drop","key":"k","users":"#, "}"),
                (r#"{"c":"drop","key":"k","users":["ann","#, "]}"),
                (r#"{"c":"info","key":"k","userdata":"#, "}"),
                (r#"{"c":"open","key":"k","connection":"new","user":"#, "}"),
                (r#"{"c":"open","key":"k","connection":"new","user":{"id":"#, "}}"),
                (r#"{"c":"meta","key":"k","meta":"#, "}"),
                (r#"{"c":"meta","key":"k","meta":{"title":"#, "}}"),
                (r#"{"c":"change","connection":"#, "}"),
                (r#"{"c":"#, "}"),
            ] {
                assert_refused(&mut talk, format!("{before}{deep}{after}"), 5);
            }
            let ignored = format!(r#"{{"x":{deep},"c":"getForgotten","key":"lost","token":{deep}}}"#);
            assert_eq!(talk.error(ignored), 0, "an unknown member may nest to any depth");
        }
        assert_refused(&mut talk, &deep, 5);
        assert_refused(&mut talk, format!(r#"{{"c":"drop","key":"k","users":{}}}"#, quoted(&deep)), 5);
        assert_refused(&mut talk, format!(r#"{{"c":"drop","key":"k","x":{}}}"#, "[".repeat(levels)), 5);
    }
    let deep: Value = serde_json::from_str(&nested(100)).unwrap();
    let line = format!(r#"{{"c":"drop","key":{},"id":{}}}"#, nested(100), nested(100));
    assert_eq!(assert_refused(&mut talk, line, 1), json!({"error": 1, "key": deep, "id": deep}));
}

/// A reply repeats `key` and `id` verbatim, and every line is valid JSON. For these values that is impossible. So the
/// line must be refused with a readable reply, and the test does not check what the reply repeats.
#[test]
fn p10_a_key_or_id_that_cannot_be_echoed_is_refused_with_a_readable_reply() {
    let mut talk = populated();
    let deep = nested(100_000);
    // Depths around 128, where common readers stop.
    let depths = (124..130).map(nested).chain([deep]);
    let odd = [r#""\ud800""#, r#""\udc00x""#, r#"["\ud800"]"#, "1e999", "[-1e999]"].map(str::to_owned);
    for value in odd.into_iter().chain(depths) {
        for line in [
            format!(r#"{{"c":"drop","key":{value}}}"#),
            format!(r#"{{"c":"drop","key":"k","id":{value}}}"#),
            format!(r#"{{"c":"drop","id":{value},"key":{value}}}"#),
        ] {
            let before = state(&talk);
            let said = talk.say(&line);
            assert_eq!(said.len(), 1, "{value:.40}");
            assert!([1, 5].contains(&said[0]["reply"]["error"].as_u64().unwrap()), "{value:.40}");
            assert_eq!(state(&talk), before, "{value:.40}");
        }
    }
}

#[test]
fn p10_lone_surrogates_and_nuls_change_nothing() {
    for text in [r"\ud800", r"\udc00", r"\ud83dx", r"\ud83d\ud83d", r"\udfff\ud800"] {
        assert_all_refused(
            [
                format!(r#"{{"c":"open","key":"k","connection":"new","user":{{"id":"{text}"}}}}"#),
                format!(r#"{{"c":"open","key":"k","connection":"new","user":{{"id":"u","name":"{text}"}}}}"#),
                format!(r#"{{"c":"open","key":"k","connection":"{text}","user":{{"id":"u"}}}}"#),
                format!(r#"{{"c":"info","key":"k","userdata":"{text}"}}"#),
                format!(r#"{{"c":"drop","key":"k","users":["ann","{text}"]}}"#),
                format!(r#"{{"c":"meta","key":"k","meta":{{"title":"{text}"}}}}"#),
                format!(r#"{{"c":"{text}"}}"#),
            ]
            .map(|line| (line, 5)),
        );
        let ignored = format!(r#"{{"c":"getForgotten","key":"lost","x":"{text}"}}"#);
        assert_eq!(populated().error(ignored), 0, "{text} is in an unknown member");
    }
    for text in [r"\u0000", r"u\u0000", r"\u0001"] {
        assert_all_refused([
            (format!(r#"{{"c":"info","key":"{text}"}}"#), 1),
            (format!(r#"{{"c":"drop","key":"k{text}"}}"#), 1),
            (format!(r#"{{"c":"open","key":"k","connection":"new","user":{{"id":"{text}"}}}}"#), 5),
            (format!(r#"{{"c":"drop","key":"k","users":["ann","{text}"]}}"#), 5),
        ]);
    }
    let pair = r#"{"c":"open","key":"k","connection":"new","user":{"id":"\ud83d\ude00"}}"#;
    let mut talk = populated();
    assert_eq!(talk.error(pair), 0);
    assert_eq!(talk.reply(r#"{"c":"info","key":"k"}"#)["users"], json!(["ann", "\u{1F600}"]));
}

#[test]
fn the_last_of_two_members_with_the_same_name_counts() {
    let mut talk = populated();
    let line = r#"{"c":"drop","key":"k","c":"getForgotten","key":"k","key":"lost","id":1,"id":2}"#;
    assert_eq!(talk.say(line), [json!({"reply": {"error": 0, "key": "lost", "id": 2, "url": "u"}})]);
    assert_refused(&mut talk, r#"{"c":"drop","key":"k","key":"a b"}"#, 1);
    assert_refused(&mut talk, r#"{"c":"drop","key":"k","users":["ann"],"users":7}"#, 5);
    assert_refused(&mut talk, r#"{"c":"open","key":"k","connection":"n","user":{"id":"u","id":7}}"#, 5);
    assert_eq!(
        talk.reply(r#"{"c":"drop","key":"k","users":["ann"],"users":[]}"#),
        json!({"error": 0, "key": "k"})
    );
    assert_eq!(talk.error(r#"{"c":"change","connection":"v","connection":"a"}"#), 0, "ann was not dropped");
    let escaped = r#"{"\u0063":"getForgotten","k\u0065y":"l\u006fst"}"#;
    assert_eq!(
        talk.reply(escaped),
        json!({"error": 0, "key": "lost", "url": "u"}),
        "escapes in the name of a member are decoded"
    );
}

#[test]
fn a_null_member_counts_as_absent() {
    for (line, members) in [
        (json!({"c": "info", "key": "k"}), &["userdata", "meta", "at", "token", "connection"][..]),
        (json!({"c": "forcesave", "key": "k"}), &["userdata", "meta", "at"]),
        (json!({"c": "forcesave", "connection": "a"}), &["type", "meta", "at"]),
        (open("k", "new", "u"), &["mode", "live", "meta", "at"]),
        (change("a"), &["at", "user", "meta"]),
    ] {
        let mut with_nulls = line.clone();
        for member in members {
            with_nulls[*member] = Value::Null;
        }
        assert_eq!(populated().say(with_nulls.to_string()), populated().say(line.to_string()), "{line}");
        assert_eq!(populated().error(with_nulls.to_string()), 0, "{line}");
    }
    let mut line = open("k", "new", "u");
    line["user"]["name"] = Value::Null;
    assert_eq!(populated().error(line.to_string()), 0);
}

/// Callbacks write years with four digits.
#[test]
fn an_at_is_accepted_up_to_the_end_of_the_year_9999_and_refused_after_it() {
    let mut talk = Talk::auto();
    let last = Timestamp::MAX.as_millis();
    assert_eq!(talk.error(json!({"c": "version", "at": last + 1}).to_string()), 5);
    assert_eq!(talk.error(json!({"c": "version", "at": last}).to_string()), 0);
}
