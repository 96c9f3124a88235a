//! The readers of `coedit plan --trace`: every format gives the recording of the requests that it was made from.
#![cfg(feature = "cli")]

#[path = "support/traces.rs"]
mod traces;

use std::collections::HashMap;
use std::fmt::Write as _;

use coedit::Timestamp;
use serde_json::Value;
use traces::read::{Recording, Settings};
use traces::{
    START, Stay, as_requests, assert_same_course, assert_same_figures, error, random_stays, read_with,
    recording, sentences, settings,
};

const CLOWNSCHOOL: &str = include_str!("data/clownschool.jsonl");
const RFCS: &str = include_str!("data/rfcs.jsonl");

fn requests(trace: &str) -> impl Iterator<Item = Value> + '_ {
    trace.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// Returns the connections of a trace, in order of opening.
fn stays(trace: &str) -> Vec<Stay> {
    let (mut stays, mut positions): (Vec<Stay>, HashMap<String, usize>) = Default::default();
    for request in requests(trace) {
        let (at, text) =
            (request["at"].as_u64().unwrap(), |value: &Value| value.as_str().unwrap().to_owned());
        let label = text(&request["connection"]);
        match request["c"].as_str().unwrap() {
            "open" => {
                positions.insert(label.clone(), stays.len());
                let (user, document) = (text(&request["user"]["id"]), text(&request["key"]));
                stays.push(Stay { label, user, document, open: at, close: 0 });
            }
            "close" => stays[positions[&label]].close = at,
            _ => {}
        }
    }
    stays
}

#[expect(clippy::cast_precision_loss, reason = "exact for times of today")]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

fn iso8601(millis: u64) -> String {
    Timestamp::from_millis(millis).to_string()
}

/// Asserts that an event CSV with the names of connections is the same recording, to the last change.
#[test]
fn a_csv_of_events_equals_its_requests() {
    for trace in [CLOWNSCHOOL, RFCS] {
        let users: HashMap<String, (String, String)> =
            stays(trace).into_iter().map(|stay| (stay.label, (stay.user, stay.document))).collect();
        let mut csv = "time,user,document,event,connection\n".to_owned();
        for request in requests(trace) {
            let label = request["connection"].as_str().unwrap();
            let (at, event, (user, document)) =
                (&request["at"], request["c"].as_str().unwrap(), &users[label]);
            writeln!(csv, "{at},{user},{document},{event},{label}").unwrap();
        }
        assert_eq!(recording(settings(), &csv), recording(settings(), trace));
    }
}

#[test]
fn a_csv_of_events_without_names_pairs_users_and_documents() {
    let stays = random_stays(3_000);
    let mut rows: Vec<(u64, String)> = Vec::new();
    for Stay { user, document, open, close, .. } in &stays {
        rows.push((*open, format!("{},{user},{document},join", iso8601(*open))));
        rows.push((*close, format!("{},{user},{document},leave", iso8601(*close))));
    }
    rows.sort();
    let csv = rows.iter().fold("at,user,doc,action".to_owned(), |csv, (_, row)| csv + "\r\n" + row);
    let (found, expected) =
        (recording(settings(), &csv).observe(0), recording(settings(), &as_requests(&stays)));
    // Which of two tabs of a user closes is not known, so a fallback may be another.
    assert_same_course(&found, &expected.observe(0));
    assert_eq!(found.opens(), expected.observe(0).opens());
}

#[test]
fn a_csv_of_intervals_equals_its_requests() {
    for stays in [stays(CLOWNSCHOOL), stays(RFCS), random_stays(3_000)] {
        let mut csv = "\u{feff}Started;Ended;Document;Email\n".to_owned();
        for Stay { user, document, open, close, .. } in &stays {
            writeln!(csv, "{open};{close};\"{document};\"\"a\"\"\";{user}").unwrap();
        }
        let settings = Settings { columns: "close=ended,user=email".parse().unwrap(), ..settings() };
        let expected = recording(self::settings(), &as_requests(&stays));
        assert_same_figures(&recording(settings.clone(), &csv), &expected);
    }
}

/// Where all times differ, nothing depends on the order of the lines.
#[test]
fn intervals_may_be_in_any_order() {
    let stays = random_stays(1_000);
    let row = |Stay { open, close, .. }: &Stay| format!("{open},{}\n", seconds(close - open));
    let csv: String = stays.iter().rev().map(row).collect();
    let expected = recording(settings(), &as_requests(&stays));
    assert_same_figures(&recording(settings(), &format!("start,duration\n{csv}")), &expected);
}

fn nginx_line(stay: &Stay, time: &str) -> String {
    let Stay { user, document, open, close, .. } = stay;
    let seconds = seconds(close - open);
    let request = format!("GET /7.5/doc/{document}/c/?EIO=4&transport=websocket HTTP/1.1");
    format!(r#"10.1.2.3 - {user} [{time}] "{request}" 101 812 "-" "Mozilla/5.0 (X11; \x22)" {seconds:.3}"#)
}

#[test]
fn an_nginx_log_equals_its_requests() {
    let mut stays = random_stays(3_000);
    let expected = recording(settings(), &as_requests(&stays));
    stays.sort_by_key(|stay| stay.close);
    let format = r#"$remote_addr - $remote_user [$msec] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" ${request_time}"#;
    let settings = Settings {
        log_format: Some(format.parse().unwrap()),
        log_path: Some("/doc/{document}/c".parse().unwrap()),
        ..settings()
    };
    let line =
        |stay: &Stay| nginx_line(stay, &format!("{}.{:03}", stay.close / 1000, stay.close % 1000)) + "\n";
    let found = recording(settings, &stays.iter().map(line).collect::<String>());
    let (Recording::Connections(found), Recording::Connections(expected)) = (found, expected) else {
        panic!()
    };
    assert_eq!((found.users, found.documents), (expected.users, expected.documents));
    assert_same_figures(&Recording::Connections(found), &Recording::Connections(expected));
}

#[test]
fn the_usual_nginx_log_needs_no_options() {
    // The usual time has whole seconds, and an offset.
    let stay = |user: &str, open: u64, close: u64| Stay {
        label: user.to_owned(),
        user: user.to_owned(),
        document: "report".to_owned(),
        open: START + open * 1000,
        close: START + close * 1000,
    };
    let stays = [stay("ann", 5, 600), stay("ben", 100, 900), stay("cleo", 700, 1000)];
    let times = ["24/Nov/2025:10:10:00 +0100", "24/Nov/2025:09:15:00 +0000", "24/Nov/2025:04:16:40 -0500"];
    let log: String = stays.iter().zip(times).map(|(stay, time)| nginx_line(stay, time) + "\n").collect();
    assert_eq!(recording(settings(), &log), recording(settings(), &as_requests(&stays)));

    let other =
        r#"10.1.2.3 - - [24/Nov/2025:09:15:00 +0000] "GET /favicon.ico HTTP/1.1" 200 99 "-" "-" 0.001"#;
    let said = sentences(settings(), &format!("{log}{other}\n{other}\n"));
    assert_eq!(said, ["2 lines are not of an editor's WebSocket: they do not count"]);
    let elsewhere = Settings { log_path: Some("/sheet/".parse().unwrap()), ..settings() };
    assert_eq!(
        error(elsewhere, &log),
        "nobody opens a document for editing; 3 lines are not of an editor's WebSocket: they do not count"
    );
}

/// Samples every 15 seconds, and requests that open and close at the time of a sample.
#[test]
fn a_series_of_prometheus_has_the_course_of_its_requests() {
    let mut stays = random_stays(500);
    for stay in &mut stays {
        stay.open = stay.open.div_ceil(15_000) * 15_000;
        stay.close = stay.close.div_ceil(15_000) * 15_000;
    }
    stays.retain(|stay| stay.open < stay.close);
    let first = stays.iter().map(|stay| stay.open).min().unwrap();
    let last = stays.iter().map(|stay| stay.close).max().unwrap();
    let times = || (first..last).step_by(15_000);
    let level = |at, part: u64| {
        let open = |stay: &&Stay| stay.open <= at && at < stay.close && stay.open / 15_000 % 2 == part;
        stays.iter().filter(open).count()
    };
    // Two instances, whose sum is the number of connections.
    let series = |part| {
        let values: Vec<Value> =
            times().map(|at| serde_json::json!([seconds(at), level(at, part).to_string()])).collect();
        serde_json::json!({"metric": {"__name__": "coedit_connections"}, "values": values})
    };
    let data = serde_json::json!({"resultType": "matrix", "result": [series(0), series(1)]});
    let expected = recording(settings(), &as_requests(&stays)).observe(0);
    let answer = serde_json::json!({"status": "success", "data": data});
    for text in
        [answer.to_string(), serde_json::to_string_pretty(&answer).unwrap(), data["result"].to_string()]
    {
        let (found, report) = read_with(settings(), &text).unwrap();
        assert_eq!(report.sentences(), ["the levels of 2 series are added up"]);
        assert_same_course(&found.observe(0), &expected);
    }
    // The same as CSV, with a column for each instance.
    let mut csv = "Time,a,b\n".to_owned();
    for at in times() {
        writeln!(csv, "{},{},{}", iso8601(at), level(at, 0), level(at, 1)).unwrap();
    }
    let settings = Settings { columns: "level=a,level=b".parse().unwrap(), ..settings() };
    assert_same_course(&recording(settings, &csv).observe(0), &expected);
}
