//! What `coedit plan` can be asked of a trace, and what it answers.
#![cfg(feature = "cli")]

#[path = "support/planning.rs"]
mod planning;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use coedit::Timestamp;
use coedit::capacity::{Observed, connections_for_group};
use planning::{
    DAY, MINUTE, MONDAY, answer, assert_contains, assert_refused, coedit, fortnight, json_of, table_of, text,
};
use serde_json::Value;

#[test]
fn a_trace_says_what_its_worst_hour_and_day_would_have_been() {
    let plan = json_of(&["--trace", "-", "--limit", "30,35", "--limit", "10"], &fortnight());
    let under = plan["under"].as_array().unwrap();
    let limits: Vec<u64> = under.iter().map(|under| under["connections"].as_u64().unwrap()).collect();
    assert_eq!(limits, [answer(&plan, "observed"), 30, 35, 10], "the first answer, and each limit");
    let at_30 = &under[1];
    // Ten users too many on two Mondays, and one on the second Friday, which has 31.
    assert_eq!(at_30["fallbacks"], 21);
    let nine = |day: u64, user: u64| {
        Timestamp::from_millis(MONDAY + day * DAY + 9 * 60 * MINUTE + user * 1_000).to_string()
    };
    let hour = serde_json::json!({"from": nine(7, 30), "opens": 10, "fallbacks": 10, "share": 1.0});
    assert_eq!(at_30["worst_hour"], hour);
    let midnight = Timestamp::from_millis(MONDAY + 7 * DAY).to_string();
    let day = serde_json::json!({"from": midnight, "opens": 40, "fallbacks": 10, "share": 0.25});
    assert_eq!(at_30["worst_day"], day);
    assert_eq!((&at_30["users_hit"], &at_30["view_only_peak"]), (&10.into(), &10.into()));
    assert_eq!(at_30["view_only_peak_at"], nine(0, 39));
    assert_eq!(at_30["view_only_sum_minutes"], 21.0 * 30.0);
    assert_eq!(plan["weeks"]["days"], 12, "from a Monday to the second Friday");
    assert!(plan["weeks"]["low"].as_u64() <= plan["weeks"]["high"].as_u64());
    // All 40 users are there for 15 minutes or nearly so.
    let group = connections_for_group(40, plan["trace"]["quarter_load"].as_f64().unwrap() / 40.0, 0.01);
    assert_eq!(answer(&plan, "engset"), u64::from(group.unwrap()));

    let table = table_of(&["--trace", "-", "--limit", "30", "--utc-offset", "+02:00"], &fortnight());
    assert_contains(
        &table,
        &[
            "under 30 21 of",
            "worst hour 10 of 10 opens, 100 %, from 2023-11-20T11:00:30.000+02:00",
            "worst day 10 of 40 opens, 25 %, from 2023-11-20T00:00:00.000+02:00",
            "users hit 10 of 40 users at least once",
            "view-only at most 10 connections at one time, at 2023-11-13T11:00:39.000+02:00",
        ],
    );
}

/// At midnight in New York, it is five in the morning in Greenwich.
#[test]
fn days_begin_at_midnight_in_local_time() {
    let plan = json_of(&["--trace", "-", "--limit", "0", "--utc-offset", "-05:00"], &fortnight());
    assert_eq!(plan["under"][1]["worst_day"]["from"], "2023-11-20T05:00:00.000Z");
    for wrong in ["2", "+2:00", "+15:00", "+02:60", "02:00", "+0200", "+é:00"] {
        assert_refused(&["--users", "5", "--utc-offset", wrong], "an offset such as +02:00");
    }
}

#[test]
fn the_interval_over_weeks_is_that_of_the_library() {
    let mut observed = Observed::new();
    let mut csv = "open,close\n".to_owned();
    for day in 0..14 {
        let noon = MONDAY + day * DAY + DAY / 2;
        let class: Vec<_> =
            (0..10 + day % 3).map(|_| observed.record_open(Timestamp::from_millis(noon))).collect();
        for _ in &class {
            writeln!(csv, "{noon},{}", noon + MINUTE).unwrap();
        }
        let end = Timestamp::from_millis(noon + MINUTE);
        for connection in class {
            observed.record_close(connection, end);
        }
    }
    let range = observed.limit_range(0.01).unwrap().unwrap();
    let plan = json_of(&["--trace", "-"], &csv);
    assert_eq!(plan["weeks"], serde_json::json!({"low": range.low, "high": range.high, "days": range.days}));
    assert!(plan["under"][0].get("users_hit").is_none(), "the users are not known");
}

#[test]
fn the_table_of_a_trace_has_four_columns_at_most() {
    let table = table_of(&["--trace", "-", "--limit", "20,38"], &fortnight());
    assert_contains(&table, &["connections observed Erlang B Engset viewers stay who says so"]);
}

/// Replays requests with the program, and returns its opens, fallbacks and peak.
fn replayed(input: &str, options: &[&str]) -> (Value, Value, Value) {
    let output = coedit(&[&["replay", "-", "--quiet", "--json"], options].concat(), input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fallbacks = &figures["fallbacks"];
    let refused: u64 = fallbacks.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    let opens = figures["opens"]["edit"].as_u64().unwrap_or(0) + refused;
    (opens.into(), fallbacks.clone(), figures["peak"].clone())
}

/// The first sessions of `tests/data/rfcs.jsonl`, moved into some days, so that they meet each other.
fn crowded_requests() -> String {
    let rfcs = include_str!("data/rfcs.jsonl");
    let mut lines: Vec<Value> =
        rfcs.lines().take(500).map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        let at = line["at"].as_u64().unwrap();
        line["at"] = (1_700_000_000_000 + at / 200).into();
        if line["c"] == "open" {
            let key = line["key"].as_str().unwrap();
            line["key"] = key[..1].into();
        }
    }
    let mut open: BTreeSet<String> = BTreeSet::new();
    for line in &lines {
        let label = line["connection"].as_str().unwrap().to_owned();
        if line["c"] == "close" {
            open.remove(&label)
        } else {
            open.insert(label)
        };
    }
    let end = lines.iter().map(|line| line["at"].as_u64().unwrap()).max().unwrap();
    let close = |label| serde_json::json!({"at": end, "c": "close", "connection": label});
    lines.extend(open.into_iter().map(close));
    lines.iter().map(|line| line.to_string() + "\n").collect()
}

#[test]
fn a_what_if_is_a_replay_with_the_same_settings() {
    let requests = crowded_requests();
    for settings in [
        &["--idle", "0.25"][..],
        &["--document-connections", "2"],
        &["--idle", "0.1", "--document-connections", "3"],
    ] {
        let asked = [&["--trace", "-", "--limit", "3,6"], settings].concat();
        let plan = json_of(&asked, &requests);
        let cases = plan["what_if"]["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 4, "no limit, the first answer, and two limits");
        for case in cases {
            let mut options: Vec<String> = Vec::new();
            if let Some(limit) = case["connections"].as_u64() {
                options.extend(["--edit-connections".to_owned(), limit.to_string()]);
            }
            for pair in settings.chunks(2) {
                let millis = |minutes: &str| (minutes.parse::<f64>().unwrap() * 60_000.0).to_string();
                let value = if pair[0] == "--idle" { millis(pair[1]) } else { pair[1].to_owned() };
                options.extend([pair[0].to_owned(), value]);
            }
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let found = (case["opens"].clone(), case["fallbacks"].clone(), case["peak"].clone());
            assert_eq!(found, replayed(&requests, &options), "{options:?}");
        }
        let refused = |case: &Value| case["share"].as_f64().unwrap();
        assert!(refused(&cases[2]) > 0.0, "the limit refuses somebody: {}", cases[2]);
        assert_contains(&table_of(&asked, &requests), &["what if", "under 3", "no limit"]);
    }
}

/// A document limit for the connections of a CSV file.
#[test]
fn connections_of_other_formats_are_replayed_too() {
    let plan = json_of(&["--trace", "-", "--document-connections", "6"], &fortnight());
    let no_limit = &plan["what_if"]["cases"][0];
    // On both Mondays, each document has two users too many.
    assert_eq!(no_limit["fallbacks"], serde_json::json!({"document-limit": 21}));
    for wrong in [["--users", "--idle"], ["--opens-per-hour", "--docs-per-user"], ["--usage", "--concurrent"]]
    {
        let [source, option] = wrong;
        assert_refused(&[source, "5", option, "1"], "cannot be used with");
    }
}
