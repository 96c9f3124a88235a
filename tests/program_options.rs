//! The options of the program `coedit`.
#![cfg(feature = "cli")]

#[path = "support/program.rs"]
mod program;

use program::{coedit, open, text};

/// The options of each setting of `Config`. The clock and the timer are the program's own.
const OPTIONS: [(&str, &[&str]); 28] = [
    ("edit_limit", &["--edit-connections <N>"]),
    ("live_limit", &["--live-connections <N>"]),
    ("document_limit", &["--document-connections <N>"]),
    ("user_limit", &["--user-connections <N>"]),
    ("named_users", &["--named-editors <N>", "--named-viewers <N>", "--named-days <DAYS>"]),
    ("max_connections", &["--max-connections <N>"]),
    ("seat_count", &["--count <COUNT>"]),
    ("warn_at", &["--warn-at <PERCENT>"]),
    ("usage", &["--no-usage"]),
    ("save_delay", &["--save-delay <MS>"]),
    ("save_patience", &["--save-patience <MS>"]),
    ("ack_timeout", &["--ack-timeout <MS>"]),
    ("retry_pauses", &["--retry-pauses <MS,MS,...>"]),
    ("force_save_interval", &["--force-save-interval <MS>"]),
    ("drop_deadline", &["--shutdown <MS>"]),
    ("timer", &[]),
    ("version", &["--host-version <TEXT>"]),
    ("callbacks", &["--no-callbacks"]),
    ("reconnect_grace", &["--reconnect-grace <MS>"]),
    ("idle", &["--idle <MS>"]),
    ("idle_then", &["--idle-then <IDLE_THEN>"]),
    ("idle_when_wanted", &["--idle-when-wanted <MS>"]),
    ("age", &["--age <MS>"]),
    ("expiry_warning", &["--expiry-warning <MS>"]),
    ("presence", &["--participants"]),
    (
        "bounds",
        &["--waiting-actions <N>", "--waiting-documents <N>", "--asked <N>", "--turns <N>", "--notices <N>"],
    ),
    ("shards", &["--shards <N>"]),
    ("clock", &[]),
];

/// The names of the methods that set a setting, in the order of the source.
fn setters() -> Vec<&'static str> {
    let source = include_str!("../src/config/mod.rs");
    let methods = source.lines().filter_map(|line| line.trim().strip_prefix("pub fn "));
    methods.filter_map(|method| method.split_once("(mut self").map(|(name, _)| name)).collect()
}

#[test]
fn the_help_names_an_option_for_every_setting() {
    let mut names = OPTIONS.map(|(name, _)| name).to_vec();
    let mut setters = setters();
    names.sort_unstable();
    setters.sort_unstable();
    assert_eq!(setters, names);
    let output = coedit(&["serve", "--help"], "");
    let help = text(&output.stdout);
    for option in OPTIONS.iter().flat_map(|(_, options)| *options) {
        assert!(help.contains(&format!("  {option} ")), "{option} in {help}");
    }
}

#[test]
fn the_help_groups_the_options() {
    let groups = [
        ("Limits:", "--edit-connections"),
        ("Storage:", "--ack"),
        ("Staying and waiting:", "--reconnect-grace"),
        ("Bounds:", "--waiting-actions"),
        ("Output:", "--quiet"),
    ];
    for (command, last) in [("replay", None), ("serve", Some(("Start and end:", "--shutdown")))] {
        let output = coedit(&[command, "--help"], "");
        let help = text(&output.stdout);
        let mut rest = help;
        for (heading, first) in groups.into_iter().chain(last) {
            let (_, group) = rest.split_once(&format!("\n{heading}\n")).expect(heading);
            assert!(group.trim_start().starts_with(first), "{heading} in {help}");
            rest = group;
        }
        assert_eq!(help.contains("\nArguments:\n  <FILE>  The file"), command == "replay");
    }
    let version = format!("coedit {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&coedit(&["--version"], "").stdout), version);
}

/// Ann opens `a` twice and `b` once for editing, and Ben opens `a`. Then both open the live view of `a`.
fn six_opens() -> String {
    let live =
        |label: &str, user: &str| open("a", label, user).replace("}}", r#"},"mode":"view","live":true}"#);
    [
        open("a", "1", "ann"),
        open("a", "2", "ann"),
        open("b", "3", "ann"),
        open("a", "4", "ben"),
        live("5", "ann"),
        live("6", "ben"),
    ]
    .concat()
}

#[test]
fn each_option_sets_its_limit() {
    let rows: [(&[&str], [&str; 6]); 9] = [
        (&[], ["edit", "edit", "edit", "edit", "liveview", "liveview"]),
        (
            &["--edit-connections", "1"],
            ["edit", "connection-limit", "connection-limit", "connection-limit", "liveview", "liveview"],
        ),
        (&["--live-connections", "1"], ["edit", "edit", "edit", "edit", "liveview", "live-view-limit"]),
        (
            &["--document-connections", "1"],
            ["edit", "document-limit", "edit", "document-limit", "liveview", "liveview"],
        ),
        (
            &["--document-connections", "1", "--count", "users"],
            ["edit", "edit", "edit", "document-limit", "liveview", "liveview"],
        ),
        (&["--user-connections", "1"], ["edit", "user-limit", "user-limit", "edit", "liveview", "liveview"]),
        (
            &["--named-editors", "1", "--named-days", "0"],
            ["edit", "edit", "edit", "user-quota", "liveview", "liveview"],
        ),
        (&["--named-viewers", "1"], ["edit", "edit", "edit", "edit", "liveview", "user-quota"]),
        (
            &["--max-connections", "2"],
            ["edit", "edit", r#""error":3"#, r#""error":3"#, r#""error":3"#, r#""error":3"#],
        ),
    ];
    for (options, answers) in rows {
        for command in [&["serve"][..], &["replay", "-"]] {
            let output = coedit(&[command, options].concat(), &six_opens());
            assert_eq!(output.status.code(), Some(0));
            let replies: Vec<&str> =
                text(&output.stdout).lines().filter(|line| line.starts_with(r#"{"reply""#)).collect();
            assert_eq!(replies.len(), 6);
            for (reply, answer) in replies.iter().zip(answers) {
                assert!(reply.contains(answer), "{options:?}: {answer} in {reply}");
            }
        }
    }
}

#[test]
fn named_days_and_warn_at_take_effect() {
    let input =
        format!("{}{}\n", six_opens().replacen('{', r#"{"at":1700611200000,"#, 1), r#"{"c":"license"}"#);
    let options = ["replay", "-", "--named-editors", "4", "--warn-at", "50"];
    for (days, expire) in [(None, "2023-12-23"), (Some("7"), "2023-11-30")] {
        let days = days.map_or(vec![], |days| vec!["--named-days", days]);
        let output = coedit(&[&options[..], &days].concat(), &input);
        let out = text(&output.stdout);
        assert!(out.contains(&format!(r#"{{"userid":"ann","expire":"{expire}T00:00:00.000Z"}}"#)), "{out}");
        let warning = r#"{"notice":{"type":"limit","pool":"users","level":"warning","in_use":2,"limit":4}}"#;
        assert_eq!(out.matches(warning).count(), 1, "{out}");
    }
}

#[test]
fn every_setting_of_staying_is_an_option() {
    let lines = [
        r#"{"at":1000,"c":"open","key":"k","connection":"a","user":{"id":"ann"}}"#,
        r#"{"at":1000,"c":"lost","connection":"a"}"#,
        r#"{"at":1000,"c":"open","key":"k","connection":"v","user":{"id":"vic"},"mode":"view"}"#,
        r#"{"at":2000,"c":"open","key":"k","connection":"b","user":{"id":"ben"}}"#,
        r#"{"at":9000,"c":"version"}"#,
    ];
    let options = ["--reconnect-grace", "500", "--age", "4000", "--expiry-warning", "100", "--participants"];
    let ends = |idle: &[&str]| {
        let output = coedit(&[&["replay", "-"], &options[..], idle].concat(), &lines.join("\n"));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let notices = text(&output.stdout).lines().filter(|line| line.starts_with(r#"{"notice":"#));
        let members = ["joined", "left", "lease", "4002", "4003", "expiring", r#""type":"access""#];
        let notices: Vec<&str> = notices.collect();
        members.map(|member| notices.iter().filter(|notice| notice.contains(member)).count())
    };
    assert_eq!(ends(&[]), [3, 3, 1, 0, 4, 2, 0]);
    assert_eq!(ends(&["--idle", "3000", "--idle-then", "close"]), [3, 3, 1, 4, 0, 2, 0]);
    assert_eq!(ends(&["--idle", "3000", "--idle-then", "view"])[2..], [1, 1, 4, 3, 1]);
    for wrong in [
        ["--reconnect-grace", "0"],
        ["--idle", "-1"],
        ["--age", "x"],
        ["--idle-then", "leave"],
        ["--idle-when-wanted", "0"],
    ] {
        assert_eq!(coedit(&["replay", "-", wrong[0], wrong[1]], "").status.code(), Some(2), "{wrong:?}");
    }
}
