//! P12 through the JSON door: `requestEdit`, `releaseEdit`, places in line, and the notices.

mod support;
use support::*;

use std::time::Duration;

use coedit::Config;
use coedit::door::Acknowledge;
use serde_json::{Value, json};

fn door(set: impl FnOnce(Config) -> Config) -> Talk {
    Talk::new(set(Config::new().edit_limit(Some(1))), Acknowledge::Auto)
}

fn open(key: &str, label: &str, user: &str) -> String {
    json!({"c": "open", "key": key, "connection": label, "user": {"id": user}}).to_string()
}

fn command(name: &str, label: &str) -> String {
    json!({"c": name, "connection": label}).to_string()
}

/// The lines without the callbacks.
fn replies_and_notices(lines: Vec<Value>) -> Vec<Value> {
    lines.into_iter().filter(|line| line.get("callback").is_none()).collect()
}

fn granted(label: &str, key: &str, user: &str) -> Value {
    let access = json!({"type": "access", "connection": label, "key": key, "user": user, "access": "edit", "cause": "granted"});
    json!({"notice": access})
}

#[test]
fn p12_a_viewer_waits_and_is_granted_by_a_notice_of_the_call_that_frees_the_seat() {
    let mut talk = door(|config| config);
    talk.say(open("a", "ann", "ann"));
    for (label, position) in [("ben", 1), ("cleo", 2)] {
        assert_eq!(talk.reply(open("b", label, label))["reason"], "connection-limit");
        let expected =
            json!({"error": 0, "access": "view", "reason": "connection-limit", "position": position});
        assert_eq!(talk.reply(command("requestEdit", label)), expected);
        assert_eq!(talk.reply(command("requestEdit", label)), expected, "the same again");
    }
    let listed = talk.reply(json!({"c": "connections", "key": "b"}).to_string());
    assert_eq!(listed["connections"][1]["position"], 2);
    let would = json!({"c": "would_admit", "key": "z", "user": {"id": "zoe"}}).to_string();
    assert_eq!(talk.reply(would)["position"], 3);
    assert_eq!(talk.reply(command("releaseEdit", "cleo")), json!({"error": 0, "access": "view"}));
    let said = replies_and_notices(talk.say(command("close", "ann")));
    assert_eq!(said, [json!({"reply": {"error": 0}}), granted("ben", "b", "ben")]);
    let again = json!({"error": 0, "key": "b", "connection": "ben", "access": "edit"});
    assert_eq!(talk.reply(open("b", "ben", "ben")), again);
    assert_eq!(talk.reply(command("requestEdit", "ben")), json!({"error": 0, "access": "edit"}));
    let said = replies_and_notices(talk.say(command("releaseEdit", "ben")));
    assert_eq!(said[0], json!({"reply": {"error": 0, "access": "view"}}));
    assert!(said[1..].iter().all(|line| line["notice"]["type"] == "limit"), "{said:?}");
}

#[test]
fn p12_a_lost_waiter_hears_its_position_when_it_resumes() {
    let mut talk = door(|config| config.reconnect_grace(Some(Duration::from_secs(60))));
    talk.say(open("a", "ann", "ann"));
    let token = talk.reply(open("b", "ben", "ben"))["token"].clone();
    talk.say(command("requestEdit", "ben"));
    talk.say(command("lost", "ben"));
    for name in ["requestEdit", "releaseEdit"] {
        assert_eq!(talk.error(command(name, "ben")), 5);
        assert_eq!(talk.error(command(name, "nobody")), 1);
        assert_eq!(talk.error(json!({"c": name}).to_string()), 5);
    }
    let resume = json!({"c": "resume", "token": token, "connection": "ben2"}).to_string();
    let back = talk.reply(&resume);
    assert_eq!((&back["access"], &back["position"]), (&json!("view"), &json!(1)));
    assert_eq!(talk.reply(&resume), back, "onto its own live label: the same reply");
    talk.say(command("lost", "ben2"));
    talk.say(command("close", "ann"));
    let said = talk.say(json!({"c": "resume", "token": token, "connection": "ben3"}).to_string());
    assert_eq!(said[0]["reply"]["access"], "edit");
    assert!(said.iter().all(|line| line["notice"]["type"] != "access"), "{said:?}");
}

#[test]
fn p12_refusals_without_a_queue_say_so() {
    let mut talk = door(|config| config);
    talk.say(open("a", "ann", "ann"));
    talk.say(open("a", "ben", "ben"));
    talk.say(json!({"c": "fence", "key": "a", "users": ["ben"]}).to_string());
    let fenced = json!({"error": 0, "access": "view", "reason": "fenced"});
    assert_eq!(talk.reply(command("requestEdit", "ben")), fenced);
    talk.say(r#"{"c":"drain"}"#);
    let draining = json!({"error": 0, "access": "view", "reason": "draining"});
    assert_eq!(talk.reply(command("requestEdit", "ben")), draining);
}

#[test]
fn p12_a_drop_ends_the_places_of_those_it_names_before_its_seats_pass() {
    let mut talk = door(|config| config);
    talk.say(open("a", "ann", "ann"));
    for (key, label) in [("a", "ben"), ("b", "cleo")] {
        talk.say(open(key, label, label));
        talk.say(command("requestEdit", label));
    }
    let said = replies_and_notices(talk.say(json!({"c": "drop", "key": "a"}).to_string()));
    let dropped = |label: &str| json!({"notice": {"type": "dropped", "connection": label, "key": "a", "user": label, "cause": "drop"}});
    let expected = [
        json!({"reply": {"error": 0, "key": "a"}}),
        dropped("ben"),
        dropped("ann"),
        granted("cleo", "b", "cleo"),
    ];
    assert_eq!(said, expected);
}
