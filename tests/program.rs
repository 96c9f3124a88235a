//! The program: what it prints, where, and how it ends.
#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

const SESSION: &str = concat!(
    r#"{"at":1700611200000,"c":"open","key":"report","connection":"a","user":{"id":"ann"}}"#,
    "\n",
    r#"{"at":1700611201000,"c":"change","connection":"a"}"#,
    "\n",
    r#"{"at":1700611202000,"c":"close","connection":"a"}"#,
    "\n",
);

fn coedit(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coedit"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_replay_prints_lines_and_a_summary() {
    let output = coedit(&["replay", "-"], SESSION);
    assert_eq!(output.status.code(), Some(0));
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 5, "three replies and two callbacks: {lines:?}");
    assert!(lines[0].starts_with(r#"{"reply":{"error":0,"key":"report""#), "{}", lines[0]);
    assert!(lines[4].contains(r#""status":2"#), "the clock ran on to the save: {}", lines[4]);
    for row in
        ["operations          3", "callbacks           1 x status 1, 1 x status 2", "saves acknowledged  1"]
    {
        assert!(text(&output.stderr).contains(row), "{row} in {}", text(&output.stderr));
    }
}

#[test]
fn quiet_leaves_only_the_summary() {
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
    ] {
        assert!(summary.contains(row), "{row} in {summary}");
    }
}

#[test]
fn serving_answers_each_line_before_the_next_and_ends_with_the_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_coedit"))
        .args(["serve", "--save-delay", "0", "--ack", "manual"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut say = |line: &str| writeln!(input, "{line}").unwrap();
    let mut hear = |part: &str| {
        let line = lines.next().unwrap();
        assert!(line.contains(part), "{part} in {line}");
    };
    say(r#"{"c":"open","key":"report","connection":"a","user":{"id":"ann"}}"#);
    hear(r#""access":"edit""#);
    hear(r#""status":1"#);
    say(r#"{"c":"change","connection":"a","id":7}"#);
    hear(r#""id":7"#);
    say(r#"{"c":"ack","key":"report","error":0}"#);
    hear(r#"{"reply":{"error":0,"key":"report"}}"#);
    say(r#"{"c":"close","connection":"a"}"#);
    hear(r#"{"reply":{"error":0}}"#);
    hear(r#""status":2"#);
    drop(input);
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn clumsy_input_is_answered_line_by_line() {
    let too_long = "x".repeat((1 << 20) + 1);
    let input = format!("{too_long}\nnot json\n{SESSION}{{\"c\":\"version\"}}");
    for command in [&["serve", "--save-delay", "0"][..], &["replay", "-"]] {
        let output = coedit(command, &input);
        assert_eq!(output.status.code(), Some(0));
        let lines: Vec<&str> = text(&output.stdout).lines().collect();
        let replies: Vec<&&str> = lines.iter().filter(|line| line.starts_with(r#"{"reply""#)).collect();
        assert_eq!(replies.len(), 6, "one reply a line, the last without an end too: {lines:?}");
        assert_eq!(replies[..2], [r#"{"reply":{"error":5}}"#; 2].each_ref());
        assert!(replies[5].contains("version"), "{}", replies[5]);
    }
    let quiet = coedit(&["serve", "--quiet"], SESSION);
    assert!(quiet.stdout.is_empty() && text(&quiet.stderr).contains("operations          3"));
}

/// Time passes while nothing is said.
#[test]
fn serving_lets_time_pass() {
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
        "the save comes with the input still open"
    );
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_pipe_is_no_failure() {
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
fn exit_codes_tell_what_was_wrong() {
    let missing = coedit(&["replay", "no-such-file.jsonl"], "");
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).starts_with("coedit: no-such-file.jsonl: "), "{}", text(&missing.stderr));
    for arguments in [
        &["replay"][..],
        &["serve", "--ack", "never"],
        &["serve", "--edit-connections", "-1"],
        &["replay", "--save-delay", "99999999999999", "-"],
        &["replay", "--edit-connections", "4294967295", "-"],
        &[],
    ] {
        assert_eq!(coedit(arguments, "").status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_help_names_every_option() {
    let output = coedit(&["replay", "--help"], "");
    let help = text(&output.stdout);
    for option in
        ["--edit-connections", "--live-connections", "--save-delay", "--ack", "--quiet", "`-` reads"]
    {
        assert!(help.contains(option), "{option} in {help}");
    }
    assert_eq!(
        coedit(&["--version"], "").stdout,
        format!("coedit {}\n", env!("CARGO_PKG_VERSION")).into_bytes()
    );
}
