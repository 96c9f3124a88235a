//! `coedit plan`: the table, the JSON object, the exit codes, and the analysis of a trace compared with replays.
#![cfg(feature = "cli")]

#[path = "support/program.rs"]
mod program;

use std::process::Output;

use coedit::capacity::{connections_for, connections_for_group, engset, erlang_b};
use coedit::door::{Acknowledge, Door, Lines, Tally};
use coedit::{Access, Config};
use program::{coedit, text};
use serde_json::Value;

const CLOWNSCHOOL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/clownschool.jsonl");
const RFCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/rfcs.jsonl");

fn plan(arguments: &[&str], input: &str) -> Output {
    coedit(&[&["plan"], arguments].concat(), input)
}

fn table(arguments: &[&str]) -> String {
    let output = plan(arguments, "");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    text(&output.stdout).to_owned()
}

fn json(arguments: &[&str], input: &str) -> Value {
    let output = plan(&[arguments, &["--json"]].concat(), input);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn answer<'a>(plan: &'a Value, by: &str) -> &'a Value {
    let found = plan["answers"].as_array().unwrap().iter().find(|answer| answer["by"] == by);
    found.unwrap_or_else(|| panic!("no answer by {by} in {}", plan["answers"]))
}

const OFFICE: [&str; 6] = ["--users", "200", "--docs-per-user", "1.5", "--concurrent", "0.6"];

#[test]
fn the_table_compares_the_formulas_with_the_rule_of_thumb() {
    let table = table(&OFFICE);
    for row in [
        "load                180.00 connections",
        "        195     1.78 % 1 in 56        0.89 % 1 in 113       0.68 % 1 in 147    enough by Engset\n",
        "        200     1.03 % 1 in 97        0.24 % 1 in 418       0.20 % 1 in 491    thumb: one a user\n",
        "        201     0.92 % 1 in 109       0.18 % 1 in 567       0.15 % 1 in 654    enough by Erlang B\n",
        "two a user: 400, 199 more than needed, 2.0 times as many\n",
    ] {
        assert!(table.contains(row), "{row} in\n{table}");
    }
    assert!(table.lines().all(|line| line == line.trim_end() && line.len() <= 110), "{table}");
}

#[test]
fn the_json_object_agrees_with_the_library() {
    let plan = json(&[&OFFICE[..], &["--share", "0.02", "--limit", "150"]].concat(), "");
    assert_eq!((&plan["target"], &plan["load"]), (&0.02.into(), &180.0.into()));
    let crowd = serde_json::json!({"users": 200, "docs_per_user": 1.5, "concurrent": 0.6, "group": 300});
    assert_eq!(plan["crowd"], crowd);
    assert!(plan.get("trace").is_none());
    let answers = [
        ("erlang-b", connections_for(180.0, 0.02).unwrap()),
        ("engset", connections_for_group(300, 0.6, 0.02).unwrap()),
        ("thumb", 200),
        ("thumb-all-at-work", 400),
        ("limit", 150),
    ];
    for (by, connections) in answers {
        let answer = answer(&plan, by);
        assert_eq!(answer["connections"], connections, "{by}");
        let close = |share: &Value, exact: f64| (share.as_f64().unwrap() - exact).abs() < 1e-15;
        assert!(close(&answer["erlang_b"], erlang_b(180.0, connections).unwrap()), "{by}");
        assert!(close(&answer["engset"], engset(300, 0.6, connections).unwrap()), "{by}");
        assert!(answer.get("observed").is_none());
    }
    let limits = plan["limits"].as_array().unwrap();
    assert!(limits.iter().zip(0..).all(|(limit, connections)| limit["connections"] == connections));
    assert!(limits.len() > 400, "the limits reach the rule of thumb: {}", limits.len());
}

#[test]
fn opens_and_stays_give_a_load() {
    let plan = json(&["--opens-per-hour", "40", "--stay", "30"], "");
    assert_eq!((&plan["load"], &plan["crowd"]["stay"]), (&20.0.into(), &30.0.into()));
    assert_eq!(answer(&plan, "erlang-b")["connections"], 30);
    assert_eq!(plan["answers"].as_array().unwrap().len(), 1, "without users there is no rule of thumb");
    // A long list of limits skips some.
    let plan = json(&["--users", "1000000"], "");
    let limits = plan["limits"].as_array().unwrap().len();
    assert!((1_000..2_100).contains(&limits), "{limits}");
}

fn replay(trace: &str, limit: u32) -> Tally {
    let mut door = Door::replay(Config::new().edit_limit(Some(limit)), Acknowledge::Auto).unwrap();
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    lines.feed(trace.as_bytes(), |line| {
        door.line(line.unwrap(), &mut out);
        out.clear();
    });
    door.tally().clone()
}

/// Compares the plan of a trace with a replay of the trace under each limit. Both must have the same fallbacks. The peak of a
/// replay must be the peak of the plan, or the limit if that is lower.
fn assert_plan_agrees_with_replays(path: &str, trace: &str, limits: &[u32]) {
    // With a file, the program does not read standard input.
    let input = if path == "-" { trace } else { "" };
    let output = plan(&["--trace", path, "--limit", "700", "--json", "--unreadable", "0.1"], input);
    assert_eq!(output.status.code(), Some(0));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(plan.get("notes").is_none(), output.stderr.is_empty());
    let listed = plan["limits"].as_array().unwrap().iter().chain([answer(&plan, "limit")]);
    let peak = plan["trace"]["peak"].as_u64().unwrap();
    for &limit in limits {
        let tally = replay(trace, limit);
        let fallbacks = tally.fallbacks.values().sum::<u64>();
        let figures =
            listed.clone().find(|listed| listed["connections"] == limit).expect("the limit is listed");
        assert_eq!(figures["fallbacks"], fallbacks, "limit {limit}");
        assert_eq!(plan["trace"]["opens"], tally.opens.get(&Access::Edit).unwrap_or(&0) + fallbacks);
        assert_eq!(peak.min(limit.into()), u64::from(tally.peak), "limit {limit}");
        if u64::from(limit) >= peak {
            assert_eq!(plan["trace"]["peak_at"], tally.peak_at.unwrap().to_string());
        }
    }
}

#[test]
fn the_plan_of_clownschool_agrees_with_replays() {
    assert_plan_agrees_with_replays(CLOWNSCHOOL, include_str!("data/clownschool.jsonl"), &[0, 1, 2, 3, 700]);
}

#[test]
fn the_plan_of_rfcs_agrees_with_replays() {
    assert_plan_agrees_with_replays(RFCS, include_str!("data/rfcs.jsonl"), &[1, 2, 3, 5, 8, 20, 100, 700]);
}

/// The trace has drops, repeated opens of a label, viewers, errors, and lines that are not requests.
#[test]
fn the_plan_of_an_unusual_trace_agrees_with_replays() {
    let open = |at: u32, label: &str, user: &str, more: &str| {
        format!(
            r#"{{"at":{at},"c":"open","key":"report","connection":"{label}","user":{{"id":"{user}"}}{more}}}"#
        )
    };
    let trace = [
        open(1_000, "a", "ann", ""),
        open(2_000, "v", "vic", r#","mode":"view","live":true"#),
        open(3_000, "b", "ben", r#","token":1e999"#),
        open(3_500, "b", "ben", ""),
        open(3_600, "b", "eve", ""),
        "not json".to_owned(),
        r#"{"at":4000,"c":"drop","key":"report","users":["ann","vic"]}"#.to_owned(),
        open(4_500, "a", "ann", ""),
        open(5_000, "c", "cleo", ""),
        open(5_000, "d", "dan", ""),
        r#"{"at":6000,"c":"close","connection":"a"}"#.to_owned(),
        r#"{"at":6000,"c":"close","connection":"a"}"#.to_owned(),
        r#"{"at":5000,"c":"lost","connection":"\u0062"}"#.to_owned(),
        open(6_000, "b", "ben", ""),
        open(7_000, "a", "ann", ""),
        r#"{"at":9000,"c":"drop","key":"report"}"#.to_owned(),
        open(9_500, "e", "eve", ""),
        r#"{"c":"change","connection":"e"}"#.to_owned(),
        open(90_000, "e2", "eve", r#","c":"close","connection":"e""#),
        open(90_001, "f", "fay", ""),
        String::new(),
    ]
    .join("\n");
    assert_plan_agrees_with_replays("-", &trace, &[0, 1, 2, 3, 4, 5, 6, 700]);
    let strict = plan(&["--trace", "-"], &trace);
    assert_eq!((strict.status.code(), strict.stdout.len()), (Some(2), 0));
    let output = plan(&["--trace", "-", "--json", "--unreadable", "0.1"], &trace);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let notes = plan["notes"].as_array().unwrap();
    assert!(notes[0].as_str().unwrap().starts_with("2 of 20 lines are not readable: line 5: "), "{notes:?}");
    let lines: Vec<&str> = text(&output.stderr).lines().map(|line| &line["coedit: -: ".len()..]).collect();
    assert_eq!(lines, notes.iter().map(|note| note.as_str().unwrap()).collect::<Vec<_>>());
    assert_eq!((&plan["trace"]["peak"], &plan["trace"]["users"]), (&4.into(), &6.into()));
    assert_eq!(plan["trace"]["peak_at"], "1970-01-01T00:00:07.000Z");
}

#[test]
fn errors_set_the_exit_code() {
    for arguments in [
        &[][..],
        &["--users", "0"],
        &["--users", "5", "--trace", RFCS],
        &["--users", "9000000"],
        &["--users", "8000000", "--docs-per-user", "40"],
        &["--users", "5", "--concurrent", "1.1"],
        &["--users", "5", "--concurrent", "NaN"],
        &["--users", "5", "--docs-per-user", "-1"],
        &["--users", "5", "--share", "0"],
        &["--users", "5", "--share", "1"],
        &["--users", "5", "--limit", "20000000"],
        &["--concurrent", "0.5"],
        &["--opens-per-hour", "5"],
        &["--opens-per-hour", "1e300", "--stay", "1e300"],
        &["--trace", RFCS, "--stay", "5"],
        &["--users", "30000", "--svg", "/nowhere/at/all.svg"],
    ] {
        let output = plan(arguments, "");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        assert!(!output.stderr.is_empty());
    }
    let missing = plan(&["--trace", "no-such-file.jsonl"], "");
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).starts_with("coedit: no-such-file.jsonl: "), "{}", text(&missing.stderr));
    let empty = plan(&["--trace", "-"], "{\"c\":\"version\"}\n");
    assert_eq!(empty.status.code(), Some(1));
    assert_eq!(text(&empty.stderr), "coedit: -: nobody opens a document for editing\n");
    let unreadable = plan(&["--trace", "-", "--trace-format", "json"], "not json\n");
    assert_eq!(unreadable.status.code(), Some(2));
    assert_eq!(
        text(&unreadable.stderr),
        "coedit: -: 1 of 1 line is not readable: line 1: it is not a JSON object; `--unreadable` allows more\n"
    );
    assert_eq!(plan(&["--users", "3", "--svg", "/nowhere/at/all.svg"], "").status.code(), Some(1));
}

#[test]
fn the_help_names_every_option_and_every_figure() {
    let help = table(&["--help"]);
    for option in [
        "--users",
        "--docs-per-user",
        "--concurrent",
        "--opens-per-hour",
        "--stay",
        "--trace",
        "--share",
        "--columns",
        "--log-format",
    ] {
        assert!(help.contains(option), "{option} in {help}");
    }
    for figure in ["--limit", "--json", "--svg", "answers  ", "limits  ", "`erlang_b`", "thumb-all-at-work"] {
        assert!(help.contains(figure), "{figure} in {help}");
    }
}

#[test]
fn a_recorded_usage_gives_the_offered_load() {
    let mut door = Door::replay(Config::new().edit_limit(Some(2)), Acknowledge::Auto).unwrap();
    let mut out = Vec::new();
    for user in ["ann", "ben", "cleo"] {
        let open = format!(
            r#"{{"at":1700000000000,"c":"open","key":"k","connection":"{user}","user":{{"id":"{user}"}}}}"#
        );
        door.line(open.as_bytes(), &mut out);
    }
    out.clear();
    door.line(br#"{"at":1700003600000,"c":"usage"}"#, &mut out);
    let line = text(&out);
    // Two users edit for the whole hour and a third is refused, so the offered load is three connections.
    let found = json(&["--usage", "-"], line);
    assert!((found["load"].as_f64().unwrap() - 3.0).abs() < 0.1, "{found}");
    assert_eq!((&found["crowd"]["refused"], &found["crowd"]["peak"]), (&Value::from(1), &Value::from(2)));
    let bare: Value = serde_json::from_str(line).unwrap();
    assert_eq!(json(&["--usage", "-"], &bare["reply"]["usage"].to_string()), found);
    let refused = plan(&["--usage", "-"], "{}");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("missing field"), "{}", text(&refused.stderr));
}

/// A series has no opens, so the formula alone answers, for the busiest hour.
#[test]
fn a_series_gives_the_load_of_its_busiest_hour() {
    // Ten connections, then forty for an hour, at 09:00 and 10:00.
    let level = |minute: u64| if minute < 60 { 10 } else { 40 };
    let samples: Vec<Value> = (0..120)
        .map(|minute| serde_json::json!([1_763_974_800 + minute * 60, level(minute).to_string()]))
        .collect();
    let answer_text = serde_json::json!({"status": "success", "data": {"resultType": "matrix",
        "result": [{"metric": {}, "values": samples}]}});
    let found = json(&["--trace", "-"], &answer_text.to_string());
    assert_eq!((&found["load"], &found["crowd"]["average"]), (&40.0.into(), &25.0.into()));
    assert_eq!(
        (&found["crowd"]["peak"], &found["crowd"]["peak_at"]),
        (&40.into(), &"2025-11-24T10:00:00.000Z".into())
    );
    assert_eq!(answer(&found, "erlang-b")["connections"], connections_for(40.0, 0.01).unwrap());
    assert!(found.get("trace").is_none() && found.get("notes").is_none());
}
