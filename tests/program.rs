//! The program `coedit`: its output, its options and its exit codes.
#![cfg(feature = "cli")]

#[path = "support/program.rs"]
mod program;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use program::{coedit, open, text};

const SESSION: &str = concat!(
    r#"{"at":1700611200000,"c":"open","key":"report","connection":"a","user":{"id":"ann"}}"#,
    "\n",
    r#"{"at":1700611201000,"c":"change","connection":"a"}"#,
    "\n",
    r#"{"at":1700611202000,"c":"close","connection":"a"}"#,
    "\n",
);

#[test]
fn replay_prints_replies_callbacks_and_a_summary() {
    let output = coedit(&["replay", "-"], SESSION);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 6, "three replies, two callbacks and a notice: {lines:?}");
    assert!(lines[0].starts_with(r#"{"reply":{"error":0,"key":"report""#), "{}", lines[0]);
    assert!(lines[4].contains(r#""status":2"#), "replay runs the clock until the save: {}", lines[4]);
    assert_eq!(lines[5], r#"{"notice":{"type":"saved","key":"report","status":2}}"#);
    for row in
        ["operations          3", "callbacks           1 x status 1, 1 x status 2", "saves acknowledged  1"]
    {
        assert!(text(&output.stderr).contains(row), "{row} in {}", text(&output.stderr));
    }
}

#[test]
fn quiet_prints_only_the_summary() {
    let trace = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/clownschool.jsonl");
    let output = coedit(&["replay", "--quiet", "--edit-connections", "1", trace], "");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let summary = text(&output.stderr);
    for row in [
        "operations          3859",
        "replies             2020 x error 5",
        "opens               1 edit, 2 view",
        "fallbacks           2 connection-limit",
        "peak of editing     1 connections at 2023-11-22T03:57:12.000Z",
        "documents           1",
        "refused             2 users: 0 edited within a minute, 0 within five, 0 later, 2 never, 0 not yet\n",
        "minutes lost        51.1 connection-limit\n",
        "busiest hour        edit 0.90, 2.69 wanted, at most 1, from 2023-11-22T03:52:00.000Z\n",
        "last hour           edit 0 to 1, average 0.89, most at 2023-11-22T03:57:12.000Z; 3 opens, 2 fallbacks, 3 users\n",
        "                    view 0 to 1, average 0.85, most at 2023-11-22T03:57:18.000Z\n",
    ] {
        assert!(summary.contains(row), "{row} in {summary}");
    }
}

#[test]
fn json_prints_the_same_summary_as_one_object() {
    let trace = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/clownschool.jsonl");
    let output = coedit(&["replay", "--quiet", "--json", "--edit-connections", "1", trace], "");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert_eq!(text(&output.stdout).lines().count(), 1, "one line, for `jq`");
    let mut summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(summary["wall_ms"].as_f64().is_some_and(|millis| millis > 0.0), "{summary}");
    let plan = coedit(&["plan", "--usage", "-"], text(&output.stdout));
    assert!(text(&plan.stdout).contains("3 opens in the year"), "`plan` reads it: {plan:?}");
    let hour = &summary["usage"]["hour"];
    assert_eq!((&hour["opens"], &hour["edit"]["max"]), (&json!(3), &json!(1)));
    for member in ["wall_ms", "usage"] {
        summary.as_object_mut().unwrap().remove(member);
    }
    let expected = json!({
        "operations": 3859,
        "errors": {"5": 2020},
        "opens": {"edit": 1, "view": 2},
        "fallbacks": {"connection-limit": 2},
        "peak": 1,
        "peak_at": "2023-11-22T03:57:12.000Z",
        "documents": 1,
        "callbacks": {"1": 1, "2": 1},
        "saves": 1,
        "forgotten": 0,
    });
    assert_eq!(summary, expected);
}

#[test]
fn the_json_summary_is_on_standard_output_only_if_nothing_else_is() {
    for command in [&["serve"][..], &["replay", "-"]] {
        let run = |options: &[&str]| coedit(&[command, &["--no-usage"], options].concat(), SESSION);
        let (plain, json, quiet) = (run(&[]), run(&["--json"]), run(&["--json", "--quiet"]));
        let lines = |output: &[u8]| text(output).lines().count();
        assert_eq!((lines(&json.stdout), lines(&plain.stdout)), (6, 6), "the lines stay what they are");
        for (summary, nothing) in [(&json.stderr, &b""[..]), (&quiet.stdout, &quiet.stderr)] {
            let summary: Value = serde_json::from_slice(summary).unwrap();
            assert_eq!((&summary["operations"], &summary["saves"]), (&json!(3), &json!(1)));
            assert_eq!((&summary["errors"], &summary["usage"]), (&json!({}), &Value::Null));
            assert!(nothing.is_empty());
        }
    }
    let unsaved = coedit(&["serve", "--quiet", "--json", "--ack", "manual", "--shutdown", "0"], SESSION);
    assert_eq!((unsaved.status.code(), text(&unsaved.stderr)), (Some(3), "coedit: not saved: report\n"));
    assert_eq!(serde_json::from_slice::<Value>(&unsaved.stdout).unwrap()["callbacks"], json!({"1": 1}));
}

/// One open a day for twenty days. A window with no more opens than the shorter one before is left out.
#[test]
fn the_summary_leaves_out_windows_that_add_nothing() {
    let day = |n: u64| {
        open("a", &n.to_string(), &format!("user-{n}")).replacen(
            '{',
            &format!(r#"{{"at":{},"#, 1_700_611_200_000 + n * 86_400_000),
            1,
        )
    };
    let input: String = (0..20).map(day).collect();
    let output = coedit(&["replay", "--quiet", "--edit-connections", "15", "-"], &input);
    let summary = text(&output.stderr);
    let rows = [
        "last hour           edit 15 to 15, average 15.00, most at 2023-12-10T23:00:00.000Z; 1 opens, 1 fallbacks, 1 users\n",
        "                    view 4 to 5, average 4.00, most at 2023-12-11T00:00:00.000Z\n",
        "last 24 hours       edit 15 to 15, average 15.00, most at 2023-12-10T00:00:00.000Z; 2 opens, 2 fallbacks, 2 users\n",
        "last 7 days         edit 12 to 15, average 14.57, most at 2023-12-06T00:00:00.000Z; 8 opens, 5 fallbacks, 8 users\n",
        "last 30 days        edit 0 to 15, average 6.00, most at 2023-12-06T00:00:00.000Z; 20 opens, 5 fallbacks, 20 users\n",
    ];
    for row in rows {
        assert!(summary.contains(row), "{row} in {summary}");
    }
    assert!(!summary.contains("last 365 days") && !summary.contains("live view"), "{summary}");
}

#[test]
fn serve_answers_each_line_at_once_and_stops_at_the_end_of_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coedit"))
        .args(["serve", "--save-delay", "0", "--ack", "manual"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut send = |line: &str| writeln!(input, "{line}").unwrap();
    let mut expect = |part: &str| {
        let line = lines.next().unwrap();
        assert!(line.contains(part), "{part} in {line}");
    };
    send(r#"{"c":"open","key":"report","connection":"a","user":{"id":"ann"}}"#);
    expect(r#""access":"edit""#);
    expect(r#""status":1"#);
    send(r#"{"c":"change","connection":"a","id":7}"#);
    expect(r#""id":7"#);
    send(r#"{"c":"ack","key":"report","error":0}"#);
    expect(r#"{"reply":{"error":0,"key":"report"}}"#);
    send(r#"{"c":"close","connection":"a"}"#);
    expect(r#"{"reply":{"error":0}}"#);
    expect(r#""status":2"#);
    drop(input);
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(3), "nobody can acknowledge the save any more");
}

#[test]
fn malformed_lines_get_one_reply_each() {
    let too_long = "x".repeat((1 << 20) + 1);
    let input = format!("{too_long}\nnot json\n{SESSION}{{\"c\":\"version\"}}");
    for command in [&["serve", "--save-delay", "0"][..], &["replay", "-"]] {
        let output = coedit(command, &input);
        assert_eq!(output.status.code(), Some(0));
        let lines: Vec<&str> = text(&output.stdout).lines().collect();
        let replies: Vec<&&str> = lines.iter().filter(|line| line.starts_with(r#"{"reply""#)).collect();
        assert_eq!(replies.len(), 6, "one reply a line, also for a last line without a newline: {lines:?}");
        assert_eq!(replies[..2], [r#"{"reply":{"error":5}}"#; 2].each_ref());
        assert!(replies[5].contains("version"), "{}", replies[5]);
    }
    let quiet = coedit(&["serve", "--quiet"], SESSION);
    assert!(quiet.stdout.is_empty() && text(&quiet.stderr).contains("operations          3"));
}

#[test]
fn serve_saves_while_no_input_arrives() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coedit"))
        .args(["serve", "--save-delay", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(SESSION.as_bytes()).unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(
        lines.into_iter().any(|line| line.contains(r#""status":2"#)),
        "the save is written while the input is still open"
    );
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The statuses of the callbacks in an output.
fn statuses(output: &[u8]) -> Vec<&str> {
    let callbacks = text(output).lines().filter(|line| line.starts_with(r#"{"callback""#));
    callbacks.filter_map(|line| line.split(r#""status":"#).nth(1)?.get(..1)).collect()
}

#[test]
fn p5_at_the_end_of_the_input_every_save_is_handed_out() {
    let still_in = open("report", "a", "ann") + r#"{"c":"change","connection":"a"}"# + "\n";
    let left = still_in.clone() + r#"{"c":"close","connection":"a"}"# + "\n";
    for (input, closes) in [(left, false), (still_in, true)] {
        let output = coedit(&["serve"], &input);
        assert_eq!((statuses(&output.stdout), output.status.code()), (vec!["1", "2"], Some(0)));
        let closed = r#"{"notice":{"type":"disconnected","connection":"a","key":"report","user":"ann","cause":"shutdown","code":4001}}"#;
        assert_eq!(text(&output.stdout).contains(closed), closes, "{}", text(&output.stdout));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn p5_what_is_not_saved_by_the_deadline_is_named_and_sets_the_exit_code() {
    let input = ["b", "a"]
        .map(|key| open(key, key, "ann") + &format!("{{\"c\":\"change\",\"connection\":\"{key}\"}}\n"));
    let options = ["serve", "--ack", "manual", "--shutdown", "0"];
    let output = coedit(&options, &input.concat());
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (Some(3), "coedit: not saved: a\ncoedit: not saved: b\n")
    );
}

/// The save is acknowledged only after the signal, and the program waits for it.
#[cfg(unix)]
#[test]
fn p5_on_sigterm_and_sigint_requests_are_answered_until_all_is_saved() {
    for signal in ["-TERM", "-INT"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_coedit"))
            .args(["serve", "--ack", "manual", "--save-delay", "0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut until = |wanted: &str| lines.find(|line| line.contains(wanted)).expect("the line is written");
        input
            .write_all((open("report", "a", "ann") + "{\"c\":\"change\",\"connection\":\"a\"}\n").as_bytes())
            .unwrap();
        until(r#""status":1"#);
        until(r#""reply""#);
        let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        until(r#""type":"disconnected""#);
        let ack =
            |status: &str| format!("{{\"c\":\"ack\",\"key\":\"report\",\"error\":0,\"id\":{status}}}\n");
        input.write_all(ack("1").as_bytes()).unwrap();
        until(r#""status":2"#);
        input.write_all(open("report", "b", "ben").as_bytes()).unwrap();
        until(r#""error":3"#);
        input.write_all(ack("2").as_bytes()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "all is saved while the input is still open");
        drop(input);
    }
}

#[test]
fn p5_a_host_restarts_while_people_type() {
    let file = std::env::temp_dir().join(format!("coedit-snapshot-{}.json", std::process::id()));
    let path = file.to_str().unwrap();
    let options = ["--edit-connections", "1", "--reconnect-grace", "60000"];
    let input = open("report", "a", "ann") + "{\"c\":\"change\",\"connection\":\"a\"}\n";
    let first = coedit(&[&["serve", "--snapshot", path][..], &options].concat(), &input);
    assert_eq!((statuses(&first.stdout), first.status.code()), (vec!["1"], Some(0)), "no leave and no save");
    let token = text(&first.stdout).split(r#""token":""#).nth(1).unwrap().split('"').next().unwrap();
    let input = format!("{{\"c\":\"resume\",\"token\":\"{token}\",\"connection\":\"a\"}}\n");
    let second = coedit(&[&["serve", "--restore", path][..], &options].concat(), &input);
    assert!(text(&second.stdout).starts_with(r#"{"reply":{"error":0,"connection":"a","access":"edit""#));
    assert_eq!(
        (statuses(&second.stdout), second.status.code()),
        (vec!["2"], Some(0)),
        "ann's change is saved"
    );
    std::fs::write(&file, "{}").unwrap();
    let damaged = coedit(&["serve", "--restore", path], "");
    assert_eq!(damaged.status.code(), Some(1));
    assert!(text(&damaged.stderr).contains(path), "{}", text(&damaged.stderr));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn closing_the_output_early_is_not_an_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coedit"))
        .args(["replay", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/clownschool.jsonl")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn errors_set_the_exit_code() {
    let missing = coedit(&["replay", "no-such-file.jsonl"], "");
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).starts_with("coedit: no-such-file.jsonl: "), "{}", text(&missing.stderr));
    for arguments in [
        &["replay"][..],
        &["serve", "--ack", "never"],
        &["serve", "--edit-connections", "-1"],
        &["replay", "--save-delay", "99999999999999", "-"],
        &["replay", "--edit-connections", "4294967295", "-"],
        &["replay", "--document-connections", "4294967295", "-"],
        &["serve", "--user-connections", "4294967295"],
        &["serve", "--max-connections", "many"],
        &["replay", "--named-editors", "4294967295", "-"],
        &["replay", "--named-viewers", "-1", "-"],
        &["serve", "--named-days", "36501"],
        &["serve", "--warn-at", "0"],
        &["serve", "--warn-at", "101"],
        &["serve", "--count", "documents"],
        &["serve", "--host-version", ""],
        &["serve", "--shards", "3"],
        &["serve", "--turns", "0"],
        &["serve", "--retry-pauses", "1,x"],
        &["serve", "--save-patience", "99999999999999"],
        &["serve", "--ack-timeout", "99999999999999"],
        &["serve", "--shutdown", "99999999999999"],
        &["replay", "--shutdown", "1", "-"],
        &[],
    ] {
        assert_eq!(coedit(arguments, "").status.code(), Some(2), "{arguments:?}");
    }
}
