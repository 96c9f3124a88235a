//! Staying in through the JSON door: labels of lost and superseded connections, leases, idle time, age, fences, presence.

mod support;
use support::lines::{at, by, open, view};
use support::random::Random;
use support::*;

use std::time::Duration;

use coedit::door::Acknowledge;
use coedit::{Config, IdleThen};
use serde_json::{Value, json};

const GRACE: u64 = 120_000;
const NOTHING: &str = r#"{"c":"version"}"#;

/// A door at [`START`], with a grace of two minutes and the settings of `set`.
fn door_with(set: impl FnOnce(Config) -> Config) -> Talk {
    let config = Config::new().reconnect_grace(Some(Duration::from_millis(GRACE)));
    let mut talk = Talk::new(set(config), Acknowledge::Auto);
    talk.say(at(0, NOTHING));
    talk
}

fn door() -> Talk {
    door_with(|config| config)
}

/// Opens a label and returns the token of its connection.
fn token(talk: &mut Talk, line: &str) -> String {
    talk.reply(line)["token"].as_str().expect("the reply has a token").to_owned()
}

fn resume(token: &str, label: &str) -> String {
    json!({"c": "resume", "token": token, "connection": label}).to_string()
}

fn notices(said: &[Value]) -> Vec<Value> {
    said.iter().filter_map(|line| line.get("notice").cloned()).collect()
}

/// The commands on a connection that need an open label.
fn needs_open(label: &str) -> Vec<String> {
    let mut lines: Vec<String> = ["change", "touch", "forcesave"].iter().map(|one| by(one, label)).collect();
    lines.push(json!({"c": "forcesave", "connection": label, "type": 3}).to_string());
    lines
}

fn connections(talk: &mut Talk, key: &str) -> Vec<(String, String, String)> {
    let reply = talk.reply(json!({"c": "connections", "key": key}).to_string());
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    let all = reply["connections"].as_array().unwrap().iter();
    all.map(|one| (text(one, "connection"), text(one, "access"), text(one, "state"))).collect()
}

fn is_listed(talk: &mut Talk, expected: &[(&str, &str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(label, access, state)| (label.to_string(), access.to_string(), state.to_string()))
        .collect();
    assert_eq!(connections(talk, "k"), expected);
}

#[test]
fn p11_without_a_grace_there_is_no_token_and_lost_is_close() {
    let mut talk = Talk::auto();
    assert_eq!(talk.reply(open("k", "a", "ann")).get("token"), None);
    assert_eq!(talk.reply(by("lost", "a")), json!({"error": 0}));
    assert_eq!(talk.error(by("lost", "a")), 1);
    assert_eq!(talk.error(by("close", "a")), 1);
}

#[test]
fn p11_lost_replies_the_lease_and_resume_replies_as_open_does_with_the_same_token() {
    let mut talk = door_with(|config| config.edit_limit(Some(1)));
    let token = token(&mut talk, &open("k", "a", "ann"));
    assert_eq!((token.len(), token.bytes().all(|byte| byte.is_ascii_hexdigit())), (56, true));
    assert_eq!(talk.say(by("lost", "a")), [json!({"reply": {"error": 0, "lease_ms": GRACE}})]);
    assert_eq!(talk.reply(open("k", "b", "ben"))["reason"], "connection-limit");
    let reply = json!({"error": 0, "id": 7, "connection": "a2", "access": "edit", "token": token});
    let line = json!({"c": "resume", "token": token, "connection": "a2", "id": 7, "attempt": 1}).to_string();
    assert_eq!(talk.say(line), [json!({"reply": reply})], "nothing is told");
    assert_eq!(talk.error(by("change", "a2")), 0);
    // Neither is a repeated open another one: it repeats the token.
    assert_eq!(
        talk.reply(open("k", "a2", "ann")),
        json!({"error": 0, "key": "k", "connection": "a2", "access": "edit", "token": token})
    );
    for other in [open("k", "a2", "ben"), open("x", "a2", "ann"), view("k", "a2", "ann", false)] {
        assert_eq!(talk.error(other), 5);
    }
}

#[test]
fn p11_on_a_lost_label_close_and_drop_work_and_anything_else_gets_error_5() {
    let mut talk = door();
    for end in ["close", "drop"] {
        talk.say(open("k", "a", "ann"));
        talk.say(open("k", "b", "ben"));
        talk.say(by("change", "a"));
        talk.say(by("lost", "a"));
        for line in needs_open("a").into_iter().chain([by("lost", "a")]) {
            assert_eq!(talk.say(&line), [json!({"reply": {"error": 5}})], "{line}");
        }
        is_listed(&mut talk, &[("a", "edit", "lost"), ("b", "edit", "live")]);
        let said = talk.say(by(end, "a"));
        assert_eq!(said[0], json!({"reply": {"error": 0}}));
        if end == "drop" {
            let dropped =
                json!({"type": "dropped", "connection": "a", "key": "k", "user": "ann", "cause": "drop"});
            assert_eq!(notices(&said), [dropped]);
            is_listed(&mut talk, &[("a", "view", "lost"), ("b", "edit", "live")]);
            assert_eq!(talk.error(by("change", "a")), 5);
            talk.say(by("close", "a"));
        }
        is_listed(&mut talk, &[("b", "edit", "live")]);
        assert_eq!(talk.error(by("close", "a")), 1, "it names nothing any more");
        talk.say(by("close", "b"));
    }
}

#[test]
fn p11_on_a_superseded_label_close_and_lost_forget_it_and_anything_else_gets_error_5() {
    for (alive, forget) in [(true, "close"), (true, "lost"), (false, "close"), (false, "lost")] {
        let mut talk = door();
        let token = token(&mut talk, &open("k", "a", "ann"));
        if !alive {
            talk.say(by("lost", "a"));
        }
        let said = talk.say(resume(&token, "b"));
        let superseded = json!({
            "type": "disconnected", "connection": "a", "key": "k", "user": "ann", "cause": "superseded", "code": 4010
        });
        assert_eq!(notices(&said), if alive { vec![superseded] } else { vec![] });
        is_listed(&mut talk, &[("b", "edit", "live")]);
        for line in needs_open("a")
            .into_iter()
            .chain([by("drop", "a"), json!({"c": "drop", "connection": "a", "for_ms": 9}).to_string()])
        {
            assert_eq!(talk.say(&line), [json!({"reply": {"error": 5}})], "{line}");
        }
        assert_eq!(talk.say(by(forget, "a")), [json!({"reply": {"error": 0}})]);
        for command in ["close", "lost", "change", "touch", "drop"] {
            assert_eq!(talk.error(by(command, "a")), 1, "{command}");
        }
        is_listed(&mut talk, &[("b", "edit", "live")]);
        assert_eq!(talk.error(by("change", "b")), 0);
        // A superseded label may be used again too.
        talk.say(resume(&token, "c"));
        assert_eq!(talk.error(by("change", "b")), 5);
        assert_eq!(talk.reply(open("k", "b", "ben"))["access"], "edit");
        is_listed(&mut talk, &[("c", "edit", "live"), ("b", "edit", "live")]);
        assert_eq!(talk.error(by("close", "b")), 0);
        is_listed(&mut talk, &[("c", "edit", "live")]);
    }
}

#[test]
fn p11_a_label_used_again_names_the_newest_connection_and_both_are_listed() {
    let mut talk = door();
    let first = token(&mut talk, &open("k", "a", "ann"));
    talk.say(by("lost", "a"));
    let second = token(&mut talk, &view("k", "a", "ben", true));
    assert_ne!(first, second);
    is_listed(&mut talk, &[("a", "edit", "lost"), ("a", "liveview", "live")]);
    assert_eq!(talk.error(by("touch", "a")), 0);
    assert_eq!(talk.error(by("change", "a")), 5, "it names the viewer");
    // The end of the first does not concern the label.
    let said = talk.say(at(GRACE, NOTHING));
    assert_eq!(
        notices(&said),
        [json!({"type": "disconnected", "connection": "a", "key": "k", "user": "ann", "cause": "lease"})]
    );
    is_listed(&mut talk, &[("a", "liveview", "live")]);
    assert_eq!(talk.error(by("touch", "a")), 0);
    // The same, and the first comes back.
    talk.say(by("lost", "a"));
    let third = token(&mut talk, &open("k", "a", "cleo"));
    let back = json!({"error": 0, "connection": "b", "access": "liveview", "token": second});
    assert_eq!(talk.say(resume(&second, "b")), [json!({"reply": back})]);
    assert_eq!(talk.error(by("change", "a")), 0, "it names cleo's connection still");
    is_listed(&mut talk, &[("b", "liveview", "live"), ("a", "edit", "live")]);
    assert_eq!(talk.error(by("close", "a")), 0);
    assert_eq!(talk.error(resume(&third, "z")), 1);
    is_listed(&mut talk, &[("b", "liveview", "live")]);
    assert_eq!(talk.error(by("close", "b")), 0);
}

#[test]
fn p11_a_resume_names_any_label_that_is_not_anothers_open_one() {
    let mut talk = door();
    let (ann, ben) = (token(&mut talk, &open("k", "a", "ann")), token(&mut talk, &open("k", "b", "ben")));
    // Another's open label.
    assert_eq!(talk.say(resume(&ann, "b")), [json!({"reply": {"error": 5}})]);
    talk.say(by("lost", "a"));
    assert_eq!(talk.say(resume(&ann, "b")), [json!({"reply": {"error": 5}})]);
    is_listed(&mut talk, &[("a", "edit", "lost"), ("b", "edit", "live")]);
    // Its own lost one.
    let reply = json!({"error": 0, "connection": "a", "access": "edit", "token": ann});
    assert_eq!(talk.say(resume(&ann, "a")), [json!({"reply": reply})]);
    is_listed(&mut talk, &[("a", "edit", "live"), ("b", "edit", "live")]);
    // Its own live one: the same reply, no notice.
    for _ in 0..2 {
        assert_eq!(talk.say(resume(&ann, "a")), [json!({"reply": reply})]);
    }
    assert_eq!(talk.error(by("change", "a")), 0);
    // Another's lost one: that connection stays lost, without a label of its own.
    talk.say(by("lost", "b"));
    let said = talk.say(resume(&ann, "b"));
    assert_eq!(said[0]["reply"]["access"], "edit");
    assert_eq!(notices(&said).len(), 1);
    is_listed(&mut talk, &[("b", "edit", "live"), ("b", "edit", "lost")]);
    assert_eq!(talk.reply(resume(&ben, "c"))["access"], "edit");
    is_listed(&mut talk, &[("b", "edit", "live"), ("c", "edit", "live")]);
    // Back onto a superseded one.
    assert_eq!(talk.reply(resume(&ann, "a"))["access"], "edit");
    assert_eq!(talk.error(by("change", "b")), 5);
    assert_eq!(talk.error(by("change", "a")), 0);
}

#[test]
fn p11_attempts_are_in_order() {
    let mut talk = door();
    let token = token(&mut talk, &open("k", "a", "ann"));
    let attempt = |label: &str, attempt: Value| {
        json!({"c": "resume", "token": token, "connection": label, "attempt": attempt}).to_string()
    };
    assert_eq!(talk.error(attempt("b", json!(2))), 0);
    assert_eq!(talk.say(attempt("c", json!(1))), [json!({"reply": {"error": 5}})]);
    assert_eq!(talk.say(resume(&token, "c")), [json!({"reply": {"error": 5}})], "absent is 0");
    assert_eq!(talk.error(by("change", "b")), 0);
    assert_eq!(talk.error(attempt("c", json!(2))), 0);
    assert_eq!((talk.error(by("change", "b")), talk.error(by("change", "c"))), (5, 0));
    for malformed in [json!(-1), json!(1.5), json!("3"), json!(true), json!([]), json!({})] {
        assert_eq!(talk.error(attempt("d", malformed)), 5);
    }
    assert_eq!(talk.error(attempt("d", json!(u64::MAX))), 0);
}

#[test]
fn p10_a_malformed_resume_changes_nothing() {
    let mut talk = door();
    let token = token(&mut talk, &open("k", "a", "ann"));
    let rows = [
        (json!({"connection": "b"}), 5),
        (json!({"token": token}), 5),
        (json!({"token": token, "connection": ""}), 5),
        (json!({"token": token, "connection": "l".repeat(241)}), 5),
        (json!({"token": 7, "connection": "b"}), 5),
        (json!({"token": null, "connection": "b"}), 5),
        (json!({"token": "", "connection": "b"}), 1),
        (json!({"token": "nonsense", "connection": "b"}), 1),
        (json!({"token": "0".repeat(56), "connection": "b"}), 1),
        (json!({"token": token.to_uppercase() + "0", "connection": "b"}), 1),
        (json!({"token": "0".repeat(100_000), "connection": "b"}), 1),
    ];
    for (mut line, error) in rows {
        line["c"] = "resume".into();
        assert_eq!(talk.say(line.to_string()), [json!({"reply": {"error": error}})], "{line}");
        is_listed(&mut talk, &[("a", "edit", "live")]);
    }
    assert_eq!(talk.error(by("change", "a")), 0);
}

#[test]
fn p11_after_the_grace_the_token_gets_error_1_and_the_label_names_nothing() {
    let mut talk = door();
    let token = token(&mut talk, &open("k", "a", "ann"));
    talk.say(by("change", "a"));
    talk.say(by("lost", "a"));
    assert_eq!(talk.say(at(GRACE - 1, NOTHING)).len(), 1);
    let said = talk.say(at(GRACE, NOTHING));
    assert_eq!(said.len(), 2);
    assert_eq!(
        said[0],
        json!({"notice": {"type": "disconnected", "connection": "a", "key": "k", "user": "ann", "cause": "lease"}})
    );
    assert_eq!(talk.error(resume(&token, "b")), 1);
    assert_eq!(talk.error(by("close", "a")), 1);
    assert!(talk.callbacks(at(GRACE + 9_999, NOTHING)).is_empty());
    let saves = talk.callbacks(at(GRACE + 10_000, NOTHING));
    assert_eq!(
        (saves.len(), &saves[0]["status"], &saves[0]["actions"][0]["userid"]),
        (1, &json!(2), &json!("ann"))
    );
}

#[test]
fn p11_a_reload_takes_the_seat_over_and_the_old_label_is_superseded() {
    let mut talk = door_with(|config| config.edit_limit(Some(1)));
    let old = token(&mut talk, &open("k", "a", "ann"));
    talk.say(by("lost", "a"));
    let would = json!({"c": "would_admit", "key": "k", "user": {"id": "ann"}}).to_string();
    assert_eq!(talk.reply(would), json!({"error": 0, "key": "k", "access": "edit"}));
    let said = talk.say(open("k", "b", "ann"));
    assert_eq!((said.len(), &said[0]["reply"]["access"]), (1, &json!("edit")));
    is_listed(&mut talk, &[("b", "edit", "live")]);
    assert_eq!(talk.error(resume(&old, "c")), 1);
    for line in needs_open("a").into_iter().chain([by("drop", "a")]) {
        assert_eq!(talk.error(&line), 5, "{line}");
    }
    assert_eq!(talk.error(by("close", "a")), 0);
    assert_eq!(talk.error(by("close", "a")), 1);
    // Under the same label.
    talk.say(by("lost", "b"));
    assert_eq!(talk.reply(open("k", "b", "ann"))["access"], "edit");
    assert_eq!(talk.error(by("change", "b")), 0);
    is_listed(&mut talk, &[("b", "edit", "live")]);
    assert_eq!(talk.error(by("close", "b")), 0);
    is_listed(&mut talk, &[]);
}

#[test]
fn p3_what_was_dropped_or_fenced_comes_back_as_a_viewer_with_the_reason() {
    for (line, reason) in [
        (json!({"c": "drop", "key": "k"}), "dropped"),
        (json!({"c": "drop", "connection": "a"}), "dropped"),
        (json!({"c": "fence", "key": "k"}), "fenced"),
        (json!({"c": "fence", "key": "k", "users": ["ann"], "for_ms": 1}), "fenced"),
    ] {
        let mut talk = door();
        let token = token(&mut talk, &open("k", "a", "ann"));
        talk.say(by("lost", "a"));
        talk.say(line.to_string());
        let back = json!({"error": 0, "connection": "b", "access": "view", "reason": reason, "token": token});
        assert_eq!(talk.say(resume(&token, "b")), [json!({"reply": back})]);
        assert_eq!(talk.error(by("change", "b")), 5);
        let again = json!({"error": 0, "key": "k", "connection": "b", "access": "view", "reason": reason, "token": token});
        assert_eq!(talk.reply(open("k", "b", "ann")), again);
    }
}

#[test]
fn p3_idle_connections_are_warned_and_lose_their_access() {
    let mut talk = door_with(|config| config.idle(Some(Duration::from_secs(600))));
    let token = token(&mut talk, &open("k", "a", "ann"));
    talk.say(view("k", "v", "vic", false));
    let warned = json!({"type": "expiring", "connection": "a", "key": "k", "user": "ann", "code": 4002, "in_ms": 60_000});
    assert_eq!(notices(&talk.say(at(540_000, NOTHING))), std::slice::from_ref(&warned));
    assert_eq!(talk.error(by("touch", "a")), 0);
    assert_eq!(talk.error(by("touch", "v")), 0);
    assert_eq!(notices(&talk.say(at(1_080_000, NOTHING))), [warned], "again after a touch");
    let access = json!({"type": "access", "connection": "a", "key": "k", "user": "ann", "access": "view", "cause": "idle"});
    let said = talk.say(at(1_140_000, NOTHING));
    assert_eq!(said[0], json!({"notice": access}));
    assert_eq!(talk.error(by("change", "a")), 5);
    let reply = json!({"error": 0, "key": "k", "connection": "a", "access": "view", "reason": "idle", "token": token});
    assert_eq!(talk.reply(open("k", "a", "ann")), reply);
    assert_eq!(talk.error(by("touch", "nobody")), 1);
}

#[test]
fn p3_idle_then_close_and_age_close_with_their_codes() {
    let mut talk = door_with(|config| {
        config
            .idle(Some(Duration::from_secs(600)))
            .idle_then(IdleThen::Close)
            .age(Some(Duration::from_secs(900)))
    });
    talk.say(open("k", "a", "ann"));
    talk.say(view("k", "v", "vic", false));
    talk.say(at(500_000, &by("touch", "a")));
    let ended = |label: &str, user: &str, cause: &str, code: u16| json!({"type": "disconnected", "connection": label, "key": "k", "user": user, "cause": cause, "code": code});
    let said = notices(&talk.say(at(600_000, NOTHING)));
    assert_eq!(said.last().unwrap(), &ended("v", "vic", "idle", 4002));
    assert_eq!(talk.error(by("close", "v")), 1, "its label names nothing");
    let said = notices(&talk.say(at(900_000, NOTHING)));
    let warned = json!({"type": "expiring", "connection": "a", "key": "k", "user": "ann", "code": 4003, "in_ms": 60_000});
    assert_eq!(said, [warned, ended("a", "ann", "age", 4003)]);
    assert_eq!(talk.error(by("touch", "a")), 1);
}

#[test]
fn p11_an_age_that_ran_out_while_lost_is_applied_right_after_the_resume() {
    let mut talk = door_with(|config| config.age(Some(Duration::from_secs(60))));
    let token = token(&mut talk, &open("k", "a", "ann"));
    talk.say(by("lost", "a"));
    assert!(notices(&talk.say(at(90_000, NOTHING))).is_empty());
    let said = talk.say(resume(&token, "b"));
    assert_eq!(said[0]["reply"]["access"], "edit");
    let ended = json!({"type": "disconnected", "connection": "b", "key": "k", "user": "ann", "cause": "age", "code": 4003});
    assert_eq!(notices(&said), [ended]);
    assert_eq!(said.last().unwrap()["callback"]["status"], 4);
    assert_eq!(talk.error(by("change", "b")), 1);
    assert_eq!(talk.error(by("close", "a")), 0, "a superseded label");
}

#[test]
fn p3_fences_are_set_listed_and_lifted() {
    let mut talk = Talk::auto();
    talk.say(at(0, &open("k", "a", "ann")));
    let said = talk.say(r#"{"c":"fence","key":"k","users":["ann","zoe"],"for_ms":60000,"id":1}"#);
    assert_eq!(said[0], json!({"reply": {"error": 0, "key": "k", "id": 1}}));
    let dropped = json!({"type": "dropped", "connection": "a", "key": "k", "user": "ann", "cause": "fence"});
    assert_eq!(notices(&said), [dropped]);
    assert_eq!(said.last().unwrap()["callback"]["status"], 4);
    assert_eq!(talk.reply(open("k", "b", "ann"))["reason"], "fenced");
    assert_eq!(talk.reply(view("k", "c", "zoe", true))["reason"], "fenced");
    assert_eq!(talk.reply(open("k", "a", "ann"))["reason"], "fenced", "an open that is repeated");
    talk.say(r#"{"c":"fence","key":"other"}"#);
    let until = START + 60_000;
    let fences = json!([
        {"key": "k", "user": "ann", "until": until},
        {"key": "k", "user": "zoe", "until": until},
        {"key": "other"},
    ]);
    assert_eq!(talk.say(r#"{"c":"fences"}"#), [json!({"reply": {"error": 0, "fences": fences}})]);
    talk.say(r#"{"c":"unfence","key":"k","users":["zoe"]}"#);
    assert_eq!(talk.reply(open("k", "d", "zoe"))["access"], "edit");
    talk.say(r#"{"c":"unfence","key":"other"}"#);
    talk.say(at(60_000, NOTHING));
    assert_eq!(talk.reply(r#"{"c":"fences"}"#), json!({"error": 0, "fences": []}));
    assert_eq!(talk.error(r#"{"c":"unfence","key":"nothing"}"#), 0);
}

#[test]
fn p10_a_fence_for_as_long_as_can_be_said_does_not_end() {
    let mut talk = Talk::auto();
    talk.say(at(0, r#"{"c":"fence","key":"k","for_ms":18446744073709551615}"#));
    assert_eq!(talk.reply(r#"{"c":"fences"}"#)["fences"][0]["key"], "k");
    assert_eq!(talk.error(r#"{"c":"fence","key":"k","for_ms":18446744073709551616}"#), 5);
    assert_eq!(talk.reply(at(100_000_000_000, &open("k", "a", "ann")))["reason"], "fenced");
    talk.end();
}

#[test]
fn p10_malformed_fences_get_their_codes() {
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    for (command, error) in [
        (r#""c":"fence""#, 1),
        (r#""c":"fence","key":"""#, 1),
        (r#""c":"fence","key":"a b","users":7"#, 1),
        (r#""c":"fence","key":"k","users":7"#, 5),
        (r#""c":"fence","key":"k","users":[""]"#, 5),
        (r#""c":"fence","key":"k","users":"ann""#, 5),
        (r#""c":"fence","key":"k","for_ms":-1"#, 5),
        (r#""c":"fence","key":"k","for_ms":1.5"#, 5),
        (r#""c":"fence","key":"k","for_ms":"9""#, 5),
        (r#""c":"unfence""#, 1),
        (r#""c":"unfence","key":"k","users":{}"#, 5),
        (r#""c":"drop","key":"k","for_ms":true"#, 5),
        (r#""c":"drop","key":"closed","for_ms":9"#, 1),
        (r#""c":"drop","connection":"a","for_ms":true"#, 5),
        (r#""c":"drop","connection":"z","for_ms":1"#, 1),
        (r#""c":"connections""#, 1),
        (r#""c":"connections","key":"a b""#, 1),
        (r#""c":"touch""#, 5),
    ] {
        assert_eq!(talk.error(format!("{{{command}}}")), error, "{command}");
        assert_eq!(talk.reply(r#"{"c":"fences"}"#)["fences"], json!([]), "{command}");
        assert_eq!(talk.error(by("change", "a")), 0);
    }
}

#[test]
fn p3_a_drop_for_a_time_keeps_its_cause_and_fences() {
    for line in [
        json!({"c": "drop", "key": "k", "users": ["ann"], "for_ms": 1000}),
        json!({"c": "drop", "key": "k", "users": "[\"ann\"]", "for_ms": 1000}),
        json!({"c": "drop", "connection": "a", "for_ms": 1000}),
    ] {
        let mut talk = Talk::auto();
        talk.say(at(0, &open("k", "a", "ann")));
        talk.say(open("k", "b", "ben"));
        let said = talk.say(line.to_string());
        let dropped =
            json!({"type": "dropped", "connection": "a", "key": "k", "user": "ann", "cause": "drop"});
        assert_eq!(notices(&said), [dropped]);
        assert_eq!(talk.reply(open("k", "c", "ann"))["reason"], "fenced");
        assert_eq!(talk.error(by("change", "b")), 0);
        assert_eq!(talk.reply(at(1_000, &open("k", "d", "ann")))["access"], "edit");
    }
    // Without a time it does not.
    let mut talk = Talk::auto();
    talk.say(open("k", "a", "ann"));
    talk.say(by("drop", "a"));
    assert_eq!(talk.reply(open("k", "c", "ann"))["access"], "edit");
}

#[test]
fn connections_lists_each_with_its_label_state_and_idle_time() {
    let mut talk = door();
    assert_eq!(
        talk.reply(r#"{"c":"connections","key":"k"}"#),
        json!({"error": 0, "key": "k", "connections": []})
    );
    talk.say(open("k", "a", "ann"));
    talk.say(at(5_000, &view("k", "v", "vic", false)));
    talk.say(at(30_000, &by("touch", "v")));
    talk.say(by("lost", "a"));
    let expected = json!([
        {"connection": "a", "user": "ann", "access": "edit", "state": "lost", "idle_ms": 42_000},
        {"connection": "v", "user": "vic", "access": "view", "state": "live", "idle_ms": 12_000},
    ]);
    assert_eq!(talk.reply(at(42_000, r#"{"c":"connections","key":"k"}"#))["connections"], expected);
}

#[test]
fn presence_is_told_where_the_host_asked_for_it() {
    let mut talk = door_with(|config| config.presence(true));
    let of = |kind: &str, access: &str| json!({"notice": {"type": kind, "key": "k", "user": "ann", "access": access}});
    let said = talk.say(view("k", "v", "ann", false));
    assert_eq!(said[1..], [of("joined", "view")]);
    let said = talk.say(open("k", "a", "ann"));
    assert_eq!(said[1], of("changed", "edit"), "before the callback");
    let said = talk.say(by("drop", "a"));
    assert_eq!((said[1]["notice"]["type"].as_str(), &said[2]), (Some("dropped"), &of("changed", "view")));
    assert_eq!(talk.say(by("close", "a")).len(), 1);
    talk.say(by("lost", "v"));
    let said = talk.say(at(GRACE, NOTHING));
    assert_eq!((said[0]["notice"]["cause"].as_str(), &said[1]), (Some("lease"), &of("left", "view")));
}

#[test]
fn p6_superseded_labels_that_nobody_closes_are_bounded() {
    let mut talk = door();
    let token = token(&mut talk, &open("k", "0", "ann"));
    let mut out = Vec::new();
    for flap in 0..70_000 {
        if flap % 2 == 0 {
            talk.door.line(by("lost", &flap.to_string()).as_bytes(), &mut out);
        }
        talk.door.line(resume(&token, &(flap + 1).to_string()).as_bytes(), &mut out);
        out.clear();
    }
    assert_eq!(talk.error(by("change", "70000")), 0);
    assert_eq!(talk.error(by("change", "69999")), 5);
    assert_eq!(talk.error(by("change", "0")), 1, "the oldest are forgotten");
    is_listed(&mut talk, &[("70000", "edit", "live")]);
}

#[test]
fn p11_the_end_of_a_replay_runs_leases_out_and_closes_nobody_else() {
    let mut talk = door_with(|config| config.reconnect_grace(Some(Duration::from_secs(86_400))));
    talk.say(open("k", "a", "ann"));
    talk.say(by("change", "a"));
    talk.say(by("lost", "a"));
    talk.say(open("other", "b", "ben"));
    let said = talk.end();
    assert_eq!(said[0]["notice"]["cause"], "lease");
    assert_eq!(said[1]["callback"]["status"], 2);
    assert_eq!(talk.door.engine().limits().edit.in_use, 1);
}

/// Random lines on a few labels, documents and users. Each gets one reply, an error changes nothing, and the engine is
/// consistent after each.
#[test]
fn p10_random_lines_of_staying_are_answered_and_an_error_changes_nothing() {
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let seconds = |count| Some(Duration::from_secs(count));
        let (edit, cap) = (*random.pick(&[None, Some(1), Some(2)]), *random.pick(&[None, Some(3)]));
        let times = [
            *random.pick(&[None, seconds(60)]),
            *random.pick(&[None, seconds(40)]),
            *random.pick(&[None, seconds(90)]),
        ];
        let then = *random.pick(&[IdleThen::View, IdleThen::Close]);
        let mut talk = door_with(|config| {
            let config =
                config.edit_limit(edit).max_connections(cap).reconnect_grace(times[0]).idle(times[1]);
            config.age(times[2]).idle_then(then).expiry_warning(Duration::from_secs(30)).presence(true)
        });
        let (mut tokens, mut now) = (vec!["0".repeat(48)], 0);
        for _ in 0..150 {
            let label = *random.pick(&["1", "2", "3", "4"]);
            let (key, user) = (*random.pick(&["a", "b"]), *random.pick(&["u", "v"]));
            let token = random.pick(&tokens).clone();
            let mut line = match random.below(16) {
                0..=2 => json!({"c": "open", "key": key, "connection": label, "user": {"id": user}}),
                3 => {
                    json!({"c": "open", "key": key, "connection": label, "user": {"id": user}, "mode": "view", "live": random.one_in(2)})
                }
                4 => json!({"c": "change", "connection": label}),
                5 => json!({"c": "close", "connection": label}),
                6 | 7 => json!({"c": "lost", "connection": label}),
                8..=10 => {
                    json!({"c": "resume", "connection": label, "token": token, "attempt": random.below(3)})
                }
                11 => json!({"c": "touch", "connection": label}),
                12 => json!({"c": "drop", "connection": label}),
                13 => {
                    json!({"c": *random.pick(&["fence", "drop"]), "key": key, "users": [user], "for_ms": random.below(60_000)})
                }
                14 => json!({"c": "unfence", "key": key}),
                _ => json!({"c": "would_admit", "key": key, "user": {"id": user}}),
            };
            if random.one_in(4) {
                now += u64::try_from(random.below(70_000)).unwrap();
                talk.say(at(now, NOTHING));
            }
            line["id"] = random.below(9).into();
            let before = (talk.door.engine().next_deadline(), is_now(&talk));
            let said = talk.say(line.to_string());
            let replies: Vec<&Value> = said.iter().filter_map(|line| line.get("reply")).collect();
            assert_eq!(replies.len(), 1);
            let error = replies[0]["error"].as_u64().unwrap();
            if error != 0 || line["c"] == "would_admit" {
                // The cap tells when it first refuses somebody.
                let others = said.iter().filter(|line| line["notice"]["pool"] != "max").count();
                assert_eq!(others, 1, "{line} {said:?}");
                assert_eq!((talk.door.engine().next_deadline(), is_now(&talk)), before, "{line}");
            }
            if let Some(token) = replies[0]["token"].as_str() {
                tokens.push(token.to_owned());
                // Whoever has it now may open its label again, and resume onto it.
                let again = talk.reply(resume(token, label));
                assert!(again["error"] == 0 || again["error"] == 1, "{again}");
            }
        }
        talk.end();
        talk.door.engine().validate().unwrap();
    }
}

/// Everything that a host can see of the connections and the fences.
fn is_now(talk: &Talk) -> String {
    let engine = talk.door.engine();
    let of = |name: &str| {
        (engine.connections(&key(name)), engine.participants(&key(name)), engine.editors(&key(name)))
    };
    format!("{:?} {:?} {:?} {:?}", of("a"), of("b"), engine.limits(), engine.fences())
}
