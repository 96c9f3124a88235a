//! Runs `coedit plan`, and reads what it prints.
#![allow(dead_code, reason = "each test file uses only a part")]

#[path = "program.rs"]
mod program;

use std::fmt::Write as _;

pub(crate) use program::{coedit, text};
use serde_json::Value;

pub(crate) fn table_of(arguments: &[&str], input: &str) -> String {
    let output = coedit(&[&["plan"], arguments].concat(), input);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    let table = text(&output.stdout).to_owned();
    let fits = |line: &str| line == line.trim_end() && line.chars().count() <= 110;
    assert!(table.lines().all(fits), "{table}");
    table
}

pub(crate) fn json_of(arguments: &[&str], input: &str) -> Value {
    let output = coedit(&[&["plan", "--json"], arguments].concat(), input);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{arguments:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn assert_refused(arguments: &[&str], reason: &str) {
    let output = coedit(&[&["plan"], arguments].concat(), "");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
    assert!(text(&output.stderr).contains(reason), "{reason} in {}", text(&output.stderr));
}

pub(crate) fn answer(plan: &Value, by: &str) -> u64 {
    let answers = plan["answers"].as_array().unwrap();
    let found = answers.iter().find(|answer| answer["by"] == by);
    found.unwrap_or_else(|| panic!("no answer by {by} in {}", plan["answers"]))["connections"]
        .as_u64()
        .unwrap()
}

/// Asserts that a text has all of the parts. The words of a part may be on two lines.
pub(crate) fn assert_contains(text: &str, parts: &[&str]) {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text_in_words = words(text);
    for part in parts {
        assert!(text_in_words.contains(&words(part)), "{part} in\n{text}");
    }
}

pub(crate) const OFFICE: [&str; 4] = ["--users", "800", "--docs-per-user", "1.3"];

pub(crate) fn office<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&OFFICE[..], more].concat()
}

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const DAY: u64 = 24 * 60 * MINUTE;
/// A Monday, at midnight.
pub(crate) const MONDAY: u64 = 1_699_833_600_000;

/// A fortnight: every working day at nine, some users open a document for half an hour. More of them on Mondays. As CSV.
pub(crate) fn fortnight() -> String {
    let mut csv = "open,close,user,document\n".to_owned();
    for day in (0..14).filter(|day| day % 7 < 5) {
        let users = if day % 7 == 0 { 40 } else { 20 + day };
        for user in 0..users {
            let open = MONDAY + day * DAY + 9 * 60 * MINUTE + user * 1_000;
            writeln!(csv, "{open},{},user-{user},document-{}", open + 30 * MINUTE, user % 5).unwrap();
        }
    }
    csv
}
