//! The lines of the JSON door: connections, acknowledgements, the clock, the order of lines, the end of the input.

mod support;
use support::lines::{at, by, handed_out, open, view};
use support::*;

use std::sync::Arc;

use coedit::door::{Acknowledge, Door};
use coedit::{Config, Engine, ManualClock, Timestamp, VERSION};
use serde_json::{Value, json};

fn ack(key: &str, error: u8) -> String {
    json!({"c": "ack", "key": key, "error": error}).to_string()
}

const NOTHING: &str = r#"{"c":"version"}"#;

/// The reply to an `open`.
fn opened(key: &str, label: &str, access: &str, reason: Option<&str>) -> Value {
    let mut reply = json!({"error": 0, "key": key, "connection": label, "access": access});
    if let Some(reason) = reason {
        reply["reason"] = reason.into();
    }
    reply
}

/// A short form of each line of an output: `reply 0`, `notice meta`, `callback k 1`.
fn kinds(said: &[Value]) -> Vec<String> {
    let kind = |line: &Value| {
        let (kind, body) = line.as_object().unwrap().iter().next().unwrap();
        match &**kind {
            "reply" => format!("reply {}", body["error"]),
            "notice" => format!("notice {}", body["type"].as_str().unwrap()),
            _ => format!("callback {} {}", body["key"].as_str().unwrap(), body["status"]),
        }
    };
    said.iter().map(kind).collect()
}

/// A door with the document `key`, whose only editor changed it and left at [`START`].
fn closing(acknowledge: Acknowledge, key: &str) -> Talk {
    closing_with(Config::new(), acknowledge, key)
}

fn closing_with(config: Config, acknowledge: Acknowledge, key: &str) -> Talk {
    let mut talk = Talk::new(config, acknowledge);
    talk.say(at(0, &open(key, key, "ann")));
    if acknowledge == Acknowledge::Manual {
        assert_eq!(talk.error(ack(key, 0)), 0);
    }
    talk.say(by("change", key));
    assert_eq!(kinds(&talk.say(by("close", key))), ["reply 0"]);
    talk
}

#[test]
fn open_gives_the_requested_access() {
    for (more, access) in [
        ("", "edit"),
        (r#","mode":"edit""#, "edit"),
        (r#","mode":"view""#, "view"),
        (r#","mode":"view","live":false"#, "view"),
        (r#","mode":"view","live":true"#, "liveview"),
        (r#","live":false"#, "edit"),
        (r#","mode":"edit","live":false,"more":[]"#, "edit"),
    ] {
        let mut talk = Talk::auto();
        let line = format!(r#"{{"c":"open","key":"k","connection":"a","user":{{"id":"ann"}}{more}}}"#);
        assert_eq!(talk.reply(&line), opened("k", "a", access, None), "{more}");
        assert_eq!(talk.error(by("change", "a")), if access == "edit" { 0 } else { 5 }, "{more}");
        let limits = talk.door.engine().limits();
        let seats = (u32::from(access == "edit"), u32::from(access == "liveview"));
        assert_eq!((limits.edit.in_use, limits.live.in_use), seats, "{more}");
    }
}

#[test]
fn open_causes_a_callback_only_for_editors() {
    let mut talk = Talk::auto();
    assert_eq!(
        talk.say(open("k", "a", "ann")),
        [
            json!({"reply": opened("k", "a", "edit", None)}),
            handed_out(
                1,
                json!({"key": "k", "status": 1, "users": ["ann"], "actions": [{"type": 1, "userid": "ann"}]})
            ),
        ]
    );
    for live in [true, false] {
        let access = if live { "liveview" } else { "view" };
        assert_eq!(
            talk.say(view("k", access, "vic", live)),
            [json!({"reply": opened("k", access, access, None)})]
        );
    }
    for label in ["liveview", "view"] {
        assert_eq!(talk.say(by("close", label)), [json!({"reply": {"error": 0}})]);
    }
}

#[test]
fn p2_past_a_limit_one_is_let_in_view_only_with_the_reason() {
    let config = || Config::new().edit_limit(Some(1)).live_limit(Some(1));
    let mut talk = Talk::new(config(), Acknowledge::Auto);
    talk.say(open("k", "a", "ann"));
    talk.say(view("k", "l", "liv", true));
    assert_eq!(talk.reply(open("other", "b", "ben")), opened("other", "b", "view", Some("connection-limit")));
    assert_eq!(talk.reply(view("k", "m", "mo", true)), opened("k", "m", "view", Some("live-view-limit")));
    assert_eq!(talk.reply(view("k", "v", "vic", false)), opened("k", "v", "view", None));
    assert_eq!(talk.error(by("change", "b")), 5);
    talk.say(by("close", "a"));
    talk.say(by("close", "l"));
    assert_eq!(talk.reply(open("other", "c", "ben")), opened("other", "c", "edit", None));
    assert_eq!(talk.reply(view("k", "n", "mo", true)), opened("k", "n", "liveview", None));
    assert_eq!(talk.error(by("change", "b")), 5, "ben stays view-only after a seat became free");

    let mut none = Talk::new(Config::new().edit_limit(Some(0)).live_limit(Some(0)), Acknowledge::Auto);
    assert_eq!(none.reply(open("k", "a", "ann")), opened("k", "a", "view", Some("connection-limit")));
    assert_eq!(none.reply(view("k", "l", "liv", true)), opened("k", "l", "view", Some("live-view-limit")));
}

#[test]
fn p2_while_a_save_is_outstanding_an_open_gets_view_access() {
    let mut talk = closing(Acknowledge::Manual, "k");
    assert_eq!(
        kinds(&talk.say(at(10_000, &open("k", "b", "ben")))),
        ["callback k 2", "reply 0"],
        "the save was due before the open"
    );
    assert_eq!(talk.reply(open("k", "c", "cara")), opened("k", "c", "view", Some("saving")));
    assert_eq!(talk.reply(view("k", "l", "liv", true)), opened("k", "l", "liveview", None));
    assert_eq!(talk.reply(open("other", "d", "dan")), opened("other", "d", "edit", None));
    assert_eq!(talk.error(by("change", "c")), 5);
    talk.say(ack("k", 0));
    assert_eq!(talk.reply(open("k", "e", "eve")), opened("k", "e", "edit", None));
}

#[test]
fn a_draining_engine_gives_no_edit_access_and_saves_at_once() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    talk.say(by("change", "a"));
    talk.door.engine().drain();
    assert_eq!(talk.reply(open("k", "b", "ben")), opened("k", "b", "view", Some("draining")));
    assert_eq!(talk.reply(view("k", "l", "liv", true)), opened("k", "l", "liveview", None));
    assert_eq!(kinds(&talk.say(by("close", "a"))), ["reply 0", "callback k 2", "notice saved"]);
}

#[test]
fn opening_an_open_label_again_repeats_the_reply_and_changes_nothing() {
    let mut talk = Talk::new(Config::new().edit_limit(Some(1)), Acknowledge::Auto);
    talk.say(open("k", "a", "ann"));
    talk.say(open("k", "b", "ben"));
    for (line, answer) in [
        (open("k", "a", "ann"), opened("k", "a", "edit", None)),
        (open("k", "b", "ben"), opened("k", "b", "view", Some("connection-limit"))),
    ] {
        assert_eq!(talk.say(&line), [json!({"reply": answer})], "{line}");
    }
    for (key, user) in [("k", "ben"), ("other", "ann"), ("other", "ben"), ("k", "Ann")] {
        assert_eq!(
            talk.say(open(key, "a", user)),
            [json!({"reply": {"error": 5, "key": key}})],
            "{key} {user}"
        );
    }
    for live in [false, true] {
        assert_eq!(talk.error(view("k", "a", "ann", live)), 5, "another mode, live {live}");
    }
    let engine = talk.door.engine();
    assert_eq!((engine.limits().edit.in_use, engine.documents()), (1, 1));
    let connections: Vec<u32> = engine.participants(&key("k")).iter().map(|one| one.connections).collect();
    assert_eq!(connections, [1, 1]);
    let said = talk.say(by("close", "a"));
    assert_eq!(kinds(&said), ["reply 0", "notice limit", "callback k 4"], "one close is enough");
    assert_eq!(
        talk.reply(open("other", "a", "cara")),
        opened("other", "a", "edit", None),
        "a closed label can be used again"
    );
}

#[test]
fn close_and_lost_have_the_same_effect() {
    for end in ["close", "lost"] {
        let mut talk = Talk::auto();
        for (label, user) in [("a", "ann"), ("b", "ben")] {
            talk.say(open("k", label, user));
        }
        assert_eq!(
            talk.say(by(end, "a")),
            [
                json!({"reply": {"error": 0}}),
                handed_out(
                    3,
                    json!({"key": "k", "status": 1, "users": ["ben"], "actions": [{"type": 0, "userid": "ann"}]})
                ),
            ]
        );
        for command in ["close", "lost", "change", "forcesave"] {
            for label in ["a", "never"] {
                assert_eq!(
                    talk.say(by(command, label)),
                    [json!({"reply": {"error": 1}})],
                    "{command} {label}"
                );
            }
        }
        assert_eq!(
            talk.say(by(end, "b")),
            [
                json!({"reply": {"error": 0}}),
                handed_out(4, json!({"key": "k", "status": 4, "actions": [{"type": 0, "userid": "ben"}]})),
            ]
        );
        assert_eq!(talk.door.engine().limits().edit.in_use, 0);
    }
}

#[test]
fn p3_only_a_connection_with_edit_access_can_change() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    talk.say(view("k", "v", "ann", false));
    talk.say(view("k", "l", "ann", true));
    for (label, error) in [("a", 0), ("v", 5), ("l", 5), ("never", 1)] {
        assert_eq!(talk.say(by("change", label)), [json!({"reply": {"error": error}})], "{label}");
    }
    talk.say(r#"{"c":"drop","key":"k","users":["ann"]}"#);
    assert_eq!(talk.say(by("change", "a")), [json!({"reply": {"error": 5}})]);
}

#[test]
fn a_connection_can_force_a_save_by_the_button_or_a_form() {
    for (more, kind) in [("", 1), (r#","type":1"#, 1), (r#","type":3"#, 3)] {
        let mut talk = Talk::auto();
        let ask = format!(r#"{{"c":"forcesave","connection":"b"{more}}}"#);
        talk.say(at(0, &open("k", "a", "ann")));
        talk.say(open("k", "b", "ben"));
        assert_eq!(talk.say(&ask), [json!({"reply": {"error": 4}})], "nothing was changed");
        talk.say(at(1, &by("change", "a")));
        let saved = json!({
            "key": "k", "status": 6, "users": ["ann"], "actions": [{"type": 2, "userid": "ben"}],
            "forcesavetype": kind, "lastsave": "2023-11-22T00:00:00.001Z",
            "history": {
                "changes": [{"created": "2023-11-22 00:00:00", "user": {"id": "ann", "name": "ann"}}],
                "serverVersion": VERSION,
            },
        });
        let notice = json!({"notice": {"type": "saved", "key": "k", "status": 6}});
        assert_eq!(talk.say(at(2, &ask)), [json!({"reply": {"error": 0}}), handed_out(3, saved), notice]);
        assert_eq!(
            talk.say(&ask),
            [json!({"reply": {"error": 4}})],
            "nothing was changed since the last force save"
        );
        talk.say(by("change", "a"));
        talk.say(by("close", "b"));
        assert_eq!(talk.say(&ask), [json!({"reply": {"error": 1}})]);
    }
}

#[test]
fn only_a_connection_that_may_edit_can_press_save_or_submit_a_form() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    for (label, live) in [("v", false), ("l", true)] {
        talk.say(view("k", label, "ben", live));
    }
    let press =
        |label: &str, kind: u8| json!({"c": "forcesave", "connection": label, "type": kind}).to_string();
    let refused = |talk: &mut Talk, labels: &[&str]| {
        for line in labels.iter().flat_map(|label| [press(label, 1), press(label, 3)]) {
            assert_eq!(talk.say(&line), [json!({"reply": {"error": 5}})], "{line}");
        }
    };
    refused(&mut talk, &["v", "l"]);
    talk.say(by("change", "a"));
    refused(&mut talk, &["v", "l"]);
    // A dropped connection may not either, whether a save is under way or the document is edited again.
    let said = talk.say(r#"{"c":"drop","key":"k","users":["ann"]}"#);
    assert_eq!(kinds(&said), ["reply 0", "notice dropped", "callback k 2", "notice saved"]);
    refused(&mut talk, &["a", "v", "l"]);
    talk.say(open("k", "b", "cara"));
    talk.say(by("change", "b"));
    refused(&mut talk, &["a", "v", "l"]);
    assert_eq!(kinds(&talk.say(press("b", 1))), ["reply 0", "callback k 6", "notice saved"]);
}

#[test]
fn a_notice_tells_of_a_save_that_is_given_up_and_of_one_that_is_acknowledged() {
    let mut talk = Talk::new(with_three_retries(Config::new()), Acknowledge::Manual);
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(ack("k", 0));
    talk.say(by("change", "a"));
    let fail_until = |talk: &mut Talk, mut now: u64| {
        for pause in [1_000, 2_000, 4_000] {
            assert_eq!(kinds(&talk.say(ack("k", 1))), ["reply 0"], "a retry is still to come");
            now += pause;
            talk.say(at(now, NOTHING));
        }
        talk.say(ack("k", 1))
    };
    assert_eq!(kinds(&talk.say(by("forcesave", "a"))), ["reply 0", "callback k 6"]);
    let given_up = fail_until(&mut talk, 0);
    assert_eq!(kinds(&given_up), ["reply 0", "notice storage", "callback k 7"]);
    assert_eq!(given_up[1], json!({"notice": {"type": "storage", "key": "k", "status": 6}}));
    assert_eq!(kinds(&talk.say(ack("k", 0))), ["reply 0"], "a 7 saves nothing");
    assert_eq!(kinds(&talk.say(by("forcesave", "a"))), ["reply 0", "callback k 6"]);
    assert_eq!(talk.say(ack("k", 0))[1], json!({"notice": {"type": "saved", "key": "k", "status": 6}}));
    talk.say(by("change", "a"));
    talk.say(by("close", "a"));
    talk.say(at(20_000, NOTHING));
    let given_up = fail_until(&mut talk, 20_000);
    assert_eq!(kinds(&given_up), ["reply 0", "notice storage", "callback k 3"]);
    assert_eq!(given_up[1], json!({"notice": {"type": "storage", "key": "k", "status": 2}}));
    assert_eq!(kinds(&talk.say(ack("k", 0))), ["reply 0"]);
    assert_eq!(talk.reply(r#"{"c":"getForgottenList"}"#)["keys"], json!(["k"]));
    // The next save of the document is acknowledged.
    talk.say(open("k", "b", "ben"));
    talk.say(ack("k", 0));
    talk.say(r#"{"c":"drop","key":"k"}"#);
    assert_eq!(talk.say(ack("k", 0))[1], json!({"notice": {"type": "saved", "key": "k", "status": 2}}));
}

#[test]
fn ack_settles_the_outstanding_callback() {
    let mut talk = Talk::manual();
    assert_eq!(kinds(&talk.say(open("k", "a", "ann"))), ["reply 0", "callback k 1"]);
    assert_eq!(kinds(&talk.say(open("other", "o", "ann"))), ["reply 0", "callback other 1"]);
    assert_eq!(kinds(&talk.say(open("k", "b", "ben"))), ["reply 0"], "one at a time");
    assert_eq!(
        talk.say(ack("k", 0)),
        [
            json!({"reply": {"error": 0, "key": "k"}}),
            handed_out(
                3,
                json!({"key": "k", "status": 1, "users": ["ann", "ben"], "actions": [{"type": 1, "userid": "ben"}]})
            ),
        ]
    );
    assert_eq!(talk.say(ack("k", 0)), [json!({"reply": {"error": 0, "key": "k"}})]);
    assert!(talk.door.engine().is_outstanding(&key("other")));
    assert_eq!(talk.error(ack("k", 0)), 5, "no callback of k is outstanding");
    assert_eq!(talk.say(ack("never", 0)), [json!({"reply": {"error": 1, "key": "never"}})]);
}

#[test]
fn ack_settles_the_last_callback_of_a_closed_document() {
    let mut talk = Talk::manual();
    talk.say(open("k", "a", "ann"));
    talk.say(by("close", "a"));
    assert_eq!(kinds(&talk.say(ack("k", 0))), ["reply 0", "callback k 4"]);
    assert!(talk.door.engine().is_open(&key("k")), "the 4 is not settled");
    assert_eq!(talk.say(ack("k", 0)), [json!({"reply": {"error": 0, "key": "k"}})]);
    assert!(!talk.door.engine().is_open(&key("k")));
    assert_eq!(talk.error(ack("k", 0)), 1, "the document is closed");
}

#[test]
fn a_failed_callback_is_retried_after_growing_pauses() {
    let mut talk = Talk::new(with_three_retries(Config::new()), Acknowledge::Manual);
    let came = talk.callbacks(at(0, &open("k", "a", "ann")));
    talk.say(open("k", "b", "ben"));
    let mut due = 0;
    for pause in [1_000, 2_000, 4_000] {
        assert_eq!(talk.say(ack("k", 1)), [json!({"reply": {"error": 0, "key": "k"}})]);
        assert_eq!(talk.error(ack("k", 0)), 5, "a callback that waits for its retry is not outstanding");
        due += pause;
        assert_eq!(kinds(&talk.say(at(due - 1, NOTHING))), ["reply 0"]);
        let again = talk.say(at(due, NOTHING));
        assert_eq!(kinds(&again), ["callback k 1", "reply 0"]);
        assert_eq!(again[0]["callback"], came[0], "the retry is the same callback");
    }
    assert_eq!(
        talk.say(ack("k", 1)),
        [
            json!({"reply": {"error": 0, "key": "k"}}),
            json!({"notice": {"type": "storage", "key": "k", "status": 1}}),
            handed_out(
                5,
                json!({"key": "k", "status": 1, "users": ["ann", "ben"], "actions": [{"type": 1, "userid": "ben"}]})
            ),
        ],
        "the callback is given up, and the next one is handed out"
    );
}

#[test]
fn get_forgotten_returns_the_url_of_the_ack() {
    for (more, kept) in [(r#","url":"https://store/k.docx""#, "https://store/k.docx"), ("", "")] {
        let mut talk = Talk::new(Config::new().retry_pauses(vec![seconds(1)]), Acknowledge::Manual);
        talk.say(at(0, &open("k", "a", "ann")));
        talk.say(ack("k", 0));
        talk.say(by("change", "a"));
        talk.say(by("close", "a"));
        assert_eq!(kinds(&talk.say(at(10_000, NOTHING))), ["callback k 2", "reply 0"]);
        talk.say(ack("k", 1));
        assert_eq!(talk.error(r#"{"c":"getForgotten","key":"k"}"#), 1, "a retry is still to come");
        assert_eq!(kinds(&talk.say(at(11_000, NOTHING))), ["callback k 2", "reply 0"]);
        let given_up = format!(r#"{{"c":"ack","key":"k","error":1{more}}}"#);
        assert_eq!(kinds(&talk.say(given_up)), ["reply 0", "notice storage", "callback k 3"]);
        assert_eq!(
            talk.reply(r#"{"c":"getForgotten","key":"k"}"#),
            json!({"error": 0, "key": "k", "url": kept})
        );
    }
}

#[test]
fn a_door_with_automatic_acknowledgement_refuses_ack() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    for line in
        [ack("k", 0), ack("k", 1), json!({"c": "ack", "key": "k", "error": 0, "url": "u"}).to_string()]
    {
        assert_eq!(talk.say(&line), [json!({"reply": {"error": 5, "key": "k"}})], "{line}");
    }
    assert_eq!(
        kinds(&talk.say(open("k", "b", "ben"))),
        ["reply 0", "callback k 1"],
        "the door acknowledged the first callback"
    );
}

#[test]
fn p9_at_moves_the_clock_and_runs_every_deadline_on_the_way_in_order() {
    let config = Config::new().force_save_interval(Some(seconds(60)));
    let mut talk = Talk::new(config, Acknowledge::Auto);
    for (time, key) in [(0, "z"), (1_000, "m"), (2_000, "a")] {
        talk.say(at(time, &open(key, key, "ann")));
        talk.say(by("change", key));
    }
    talk.say(at(3_000, &open("c", "c", "ann")));
    talk.say(by("change", "c"));
    for (time, key) in [(5_000, "m"), (6_000, "z"), (7_000, "a")] {
        assert_eq!(kinds(&talk.say(at(time, &by("close", key)))), ["reply 0"]);
    }
    assert_eq!(kinds(&talk.say(at(14_999, NOTHING))), ["reply 0"], "nothing is due yet");
    assert_eq!(
        kinds(&talk.say(at(15_000, NOTHING))),
        ["callback m 2", "notice saved", "reply 0"],
        "a save is due at its exact time"
    );
    let meta = r#"{"c":"meta","key":"c","meta":{"title":"T"}}"#;
    assert_eq!(
        kinds(&talk.say(at(3_600_000, meta))),
        [
            "callback z 2",
            "notice saved",
            "callback a 2",
            "notice saved",
            "callback c 6",
            "notice saved",
            "reply 0",
            "notice meta"
        ]
    );
    assert_eq!(talk.door.engine().next_deadline(), None);
}

#[test]
fn p9_an_earlier_at_counts_as_now() {
    let mut talk = Talk::auto();
    talk.say(at(5_000, &open("k", "a", "ann")));
    talk.say(at(1_000, &by("change", "a")));
    let early = r#"{"at":-1,"c":"forcesave","key":"k"}"#;
    assert_eq!(talk.callbacks(early)[0]["lastsave"], "2023-11-22T00:00:05.000Z");
    talk.say(at(2_000, &by("change", "a")));
    talk.say(r#"{"at":0,"c":"close","connection":"a"}"#);
    assert_eq!(talk.callbacks(at(14_999, NOTHING)), [] as [Value; 0]);
    let saved = talk.callbacks(at(15_000, NOTHING));
    assert_eq!((&saved[0]["status"], &saved[0]["lastsave"]), (&json!(2), &json!("2023-11-22T00:00:05.000Z")));
}

#[test]
fn the_reply_comes_before_the_notices_and_they_before_the_callbacks() {
    let mut talk = Talk::auto();
    talk.say(at(0, &open("k", "a", "ann")));
    talk.say(open("late", "l", "ann"));
    for label in ["a", "l"] {
        talk.say(by("change", label));
    }
    talk.say(by("close", "l"));
    assert_eq!(
        kinds(&talk.say(at(20_000, r#"{"c":"drop","key":"k"}"#))),
        ["callback late 2", "notice saved", "reply 0", "notice dropped", "callback k 2", "notice saved"],
        "lines of earlier deadlines come before the reply, and those of an acknowledgement after its callback"
    );
}

#[test]
fn the_end_of_a_replay_moves_the_clock_until_nothing_is_due() {
    let mut talk = closing(Acknowledge::Auto, "k");
    talk.say(at(4_000, &open("later", "b", "ben")));
    talk.say(by("change", "b"));
    talk.say(by("close", "b"));
    assert_eq!(kinds(&talk.end()), ["callback k 2", "notice saved", "callback later 2", "notice saved"]);
    assert_eq!(talk.end(), [] as [Value; 0]);

    // Nobody acknowledges any more: each delivery runs out, and the save is given up after its last retry.
    let config = Config::new().retry_pauses([seconds(1)]);
    let mut waiting = closing_with(config, Acknowledge::Manual, "k");
    assert_eq!(kinds(&waiting.say(at(10_000, NOTHING))), ["callback k 2", "reply 0"]);
    waiting.say(ack("k", 1));
    assert_eq!(
        kinds(&waiting.end()),
        ["callback k 2", "notice storage", "callback k 3", "callback k 3", "notice storage"]
    );
    assert_eq!(waiting.door.engine().forgotten().len(), 1);

    let mut edited = Talk::auto();
    edited.say(open("k", "a", "ann"));
    edited.say(by("change", "a"));
    assert_eq!(edited.end(), [] as [Value; 0], "nothing is saved while somebody edits");
}

#[test]
fn p9_at_has_no_effect_in_real_time() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
    let engine = Engine::new(Config::new().shards(4).clock(clock.clone())).unwrap();
    let mut talk = Talk { door: Door::new(engine, Acknowledge::Auto) };
    talk.say(open("k", "a", "ann"));
    talk.say(by("change", "a"));
    talk.say(by("close", "a"));
    assert_eq!(kinds(&talk.say(at(3_600_000, NOTHING))), ["reply 0"]);
    assert_eq!(talk.end(), [] as [Value; 0], "only callbacks that are due now are delivered");
    clock.advance(seconds(10));
    assert_eq!(kinds(&talk.end()), ["callback k 2", "notice saved"]);

    talk.say(open("k", "a", "ann"));
    talk.say(by("change", "a"));
    talk.say(by("close", "a"));
    let mut out = Vec::new();
    let due = talk.door.tick(&mut out).unwrap();
    assert_eq!((due.as_millis(), out.len()), (START + 20_000, 0), "tick returns the next deadline");
    clock.move_to(due);
    assert_eq!(talk.door.tick(&mut out), None);
    assert_eq!(kinds(&parsed(&out)), ["callback k 2", "notice saved"]);
}
