//! Builds request lines, and compares the visible state of an engine.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

use coedit::{Limits, Participant, Timestamp};
use serde_json::{Value, json};

use super::{START, Talk, key};

/// A line that opens `label` on `key` with edit access.
pub fn open(key: &str, label: &str, user: &str) -> String {
    json!({"c": "open", "key": key, "connection": label, "user": {"id": user}}).to_string()
}

/// A line that opens `label` on `key` with live-view or view access.
pub fn view(key: &str, label: &str, user: &str, live: bool) -> String {
    json!({"c": "open", "key": key, "connection": label, "user": {"id": user}, "mode": "view", "live": live})
        .to_string()
}

/// A line with a command on one connection.
pub fn by(command: &str, label: &str) -> String {
    json!({"c": command, "connection": label}).to_string()
}

/// The line with a callback, and with the number of its delivery.
#[expect(clippy::needless_pass_by_value, reason = "most callers make the callback for it")]
pub fn handed_out(number: u64, callback: Value) -> Value {
    json!({"callback": callback, "delivery": number})
}

/// Adds an `at` to `line`: `millis` milliseconds after [`START`].
pub fn at(millis: u64, line: &str) -> String {
    line.replacen('{', &format!(r#"{{"at":{},"#, START + millis), 1)
}

/// Everything that a host can see of an engine and of some of its documents.
#[derive(Debug, PartialEq)]
pub struct State {
    pub participants: Vec<Vec<Participant>>,
    pub documents: usize,
    pub limits: Limits,
    pub deadline: Option<Timestamp>,
    pub forgotten: String,
    pub outstanding: Vec<bool>,
}

impl State {
    /// Validates the engine and reads its state.
    pub fn of(talk: &Talk, keys: &[&str]) -> Self {
        let engine = talk.door.engine();
        engine.validate().unwrap();
        State {
            participants: keys.iter().map(|name| engine.participants(&key(name))).collect(),
            documents: engine.documents(),
            limits: engine.limits(),
            deadline: engine.next_deadline(),
            forgotten: format!("{:?}", engine.forgotten()),
            outstanding: keys.iter().map(|name| engine.is_outstanding(&key(name))).collect(),
        }
    }
}
