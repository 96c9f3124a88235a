//! What the readers of `coedit plan --trace` say about input that is not readable, odd or empty.
#![cfg(feature = "cli")]

#[path = "support/traces.rs"]
mod traces;

use traces::read::{Columns, EventNames, Format, LogFormat, Settings, TimeFormat};
use traces::{
    Stay, as_requests, assert_same_figures, error, random_stays, read_with, recording, sentences, settings,
};

const RFCS: &str = include_str!("data/rfcs.jsonl");

const EVENTS: &str = "time,user,document,event\n1763974800,ann,report,open\n1763975400,ann,report,close\n";

#[test]
fn unreadable_lines_are_counted_and_shown() {
    let lines = |bad: &str| {
        EVENTS.to_owned() + &"1763975400,ben,report,open\n1763975500,ben,report,close\n".repeat(100) + bad
    };
    let bad = "yesterday,ben,report,open\n1763975600,ben\n";
    let (recording, report) = read_with(settings(), &lines(bad)).unwrap();
    assert_eq!((report.lines, report.unreadable, recording.observe(0).opens()), (204, 2, 101));
    let said = report.sentences();
    assert_eq!(
        said[0],
        "2 of 204 lines are not readable: line 204: `yesterday` is not a time in ISO 8601; line 205: 2 fields in place of 4"
    );
    // Three of 205 are more than 1 in 100.
    let refused = error(settings(), &lines(&(bad.to_owned() + "1763975600,ben,report,hug\n")));
    assert!(refused.starts_with("3 of 205 lines are not readable: line 204: "), "{refused}");
    assert!(
        refused.contains("line 206: the event `hug` is not known: name the events with `--events`"),
        "{refused}"
    );
    assert!(refused.ends_with("; `--unreadable` allows more"), "{refused}");
    let lenient = Settings { unreadable: 0.02, ..settings() };
    assert_eq!(read_with(lenient, &lines(&(bad.to_owned() + "x\n"))).unwrap().1.unreadable, 3);
}

#[test]
fn a_stray_quote_damages_only_its_line() {
    let csv = EVENTS.to_owned()
        + "1763975400,\"ben,report,open\n1763975500,cleo,report,open\n1763975600,cleo,report,close\n";
    let (recording, report) = read_with(Settings { unreadable: 0.5, ..settings() }, &csv).unwrap();
    assert_eq!(recording.observe(0).opens(), 2);
    assert_eq!(report.sentences(), ["1 of 5 lines is not readable: line 4: a quote is not closed"]);
}

#[test]
fn shuffled_lines_are_put_in_order() {
    let stays = random_stays(200);
    let mut lines: Vec<String> = Vec::new();
    for Stay { label, user, document, open, close } in stays.iter().rev() {
        lines.push(format!("{close},{user},{document},close,{label}\n"));
        lines.push(format!("{open},{user},{document},open,{label}\n"));
    }
    let csv = "time,user,document,event,connection\n".to_owned() + &lines.concat();
    let (found, report) = read_with(settings(), &csv).unwrap();
    let expected = recording(settings(), &as_requests(&stays));
    assert_same_figures(&found, &expected);
    let said = report.sentences().concat();
    assert!(
        said.contains(" lines are earlier than a line before, by up to ") && said.ends_with("put in order"),
        "{said}"
    );
    // Requests are replayed as they are.
    let requests = r#"{"at":1763974900000,"c":"open","key":"a","connection":"x","user":{"id":"ann"}}
{"at":1763974800000,"c":"close","connection":"x"}"#;
    let said = sentences(settings(), requests);
    assert_eq!(
        said,
        [
            "1 line is earlier than a line before, by up to 100 seconds: they count at the time of that line, as in `replay`"
        ]
    );
}

#[test]
fn a_wrong_unit_of_time_is_said() {
    let seconds = r#"{"at":1763974800,"c":"open","key":"a","connection":"x","user":{"id":"ann"}}
{"at":1763978400,"c":"close","connection":"x"}"#;
    let said = sentences(settings(), seconds).concat();
    assert!(
        said.starts_with("the times begin at 1970-01-21T09:59:34.800Z: are seconds taken for milliseconds?"),
        "{said}"
    );
    // A number alone tells its unit.
    let with = |format: &str| Settings { time_format: format.parse().unwrap(), ..settings() };
    assert_eq!(sentences(settings(), EVENTS), Vec::<String>::new());
    assert!(
        sentences(with("ms"), EVENTS)
            .concat()
            .contains("are seconds taken for milliseconds? They are taken as milliseconds.")
    );
    let millis = EVENTS.replace("00,ann", "00000,ann");
    assert_eq!(recording(settings(), &millis), recording(settings(), EVENTS));
    assert_eq!(recording(settings(), &EVENTS.replace("00,ann", "00.000,ann")), recording(settings(), EVENTS));
    let refused = error(with("s"), &millis);
    assert!(
        refused.contains("`1763974800000` seconds are after the year 9999: is the unit right?"),
        "{refused}"
    );
    assert!(
        sentences(with("s"), &(EVENTS.to_owned() + "9763975400,ann,report,close\n"))
            .concat()
            .contains("decades apart")
    );
}

#[test]
fn times_are_read_in_every_form() {
    let expected = recording(settings(), EVENTS);
    let forms = [
        ("auto", ["2025-11-24T09:00:00Z", "2025-11-24 10:10:00+01:00"]),
        ("iso", ["2025-11-24T09:00:00.000Z", "2025-11-24T04:10:00-05:00"]),
        ("auto", ["24/Nov/2025:09:00:00 +0000", "24/Nov/2025:10:10:00 +0100"]),
        ("%d.%m.%Y %H:%M %z", ["24.11.2025 09:00 +0000", "24.11.2025 10:10 +0100"]),
        ("auto", ["1763974800000000", "1763975400000000"]),
    ];
    for (format, [open, close]) in forms {
        let csv = format!("time,user,document,event\n{open},ann,report,open\n{close},ann,report,close\n");
        let settings = Settings { time_format: format.parse().unwrap(), ..settings() };
        assert_eq!(recording(settings, &csv), expected, "{open}");
    }
    let naive =
        "time,user,document,event\n24.11.2025 09:00,ann,report,open\n24.11.2025 09:10,ann,report,close\n";
    let settings = Settings { time_format: "%d.%m.%Y %H:%M".parse().unwrap(), ..settings() };
    let (found, report) = read_with(settings, naive).unwrap();
    assert_eq!(found, expected);
    assert_eq!(report.sentences(), ["2 times have no offset from UTC: they count as UTC"]);
    assert!("yesterday".parse::<TimeFormat>().is_err());
}

#[test]
fn what_does_not_fit_together_is_said() {
    let rows = "2025-11-24T09:00:00Z,ann,open,edit\n2025-11-24T09:00:01Z,vic,open,view\n2025-11-24T09:00:02Z,vic,close,view\n\
                2025-11-24T09:00:03Z,zoe,close,edit\n";
    let said = sentences(settings(), &format!("time,user,event,mode\n{rows}"));
    assert_eq!(
        said,
        [
            "1 open is view-only and does not count",
            "1 close has no open before it: it does not count",
            "1 connection never closes: it is open up to the end"
        ]
    );
    let named = Settings { events: "open=in,close=out".parse().unwrap(), ..settings() };
    let csv = "time,user,event\n2025-11-24T09:00:00Z,ann,in\n2025-11-24T09:00:05Z,ann,save\n2025-11-24T09:00:09Z,ann,out\n";
    assert_eq!(
        sentences(named, csv),
        ["1 event has a name that `--events` does not have: it does not count"]
    );
    let again = "time,connection,event\n2025-11-24T09:00:00Z,a,open\n2025-11-24T09:00:05Z,a,open\n2025-11-24T09:00:09Z,a,close\n";
    assert_eq!(
        sentences(settings(), again),
        ["1 open names a connection that is open already: it changes nothing"]
    );
    let gap = "time,value\n".to_owned()
        + &[0, 60, 120, 180, 3780, 3840].map(|at| format!("{},5\n", 1_763_974_800 + at)).concat();
    assert_eq!(
        sentences(settings(), &gap),
        ["1 gap is without samples, the longest of 60.0 minutes: it counts as empty"]
    );
    let counter = r#"[{"metric":{"__name__":"opens_total"},"values":[[1763974800,"1"],[1763974860,"2"]]}]"#;
    assert_eq!(
        sentences(settings(), counter),
        ["opens_total counts up: a plan needs how many are open at a time"]
    );
}

/// Asserts that a text is refused, and how the message begins.
fn assert_refused(settings: Settings, text: &str, expected: &str) {
    let said = error(settings, text);
    assert!(said.starts_with(expected), "{said}\nin place of\n{expected}");
}

#[test]
fn a_file_that_is_something_else_is_refused() {
    for (text, expected) in [
        ("", "there is nothing in it"),
        ("\n \r\n", "there is nothing in it"),
        ("open,close,user\n", "there is nothing in it"),
        ("when,who\n5,ann\n", "read as CSV: the columns must have a time and an event"),
        (r#"{"at":5,"event":"open"}"#, "1 of 1 line is not readable: line 1: it has no command in `c`"),
        (r#"{"at":5,"c":"open"}"#, "1 of 1 line is not readable: line 1: a replay refuses this `open`"),
        (r#"{"at":5,"c":"usage"}"#, "nobody opens a document for editing"),
        ("[]", "there is nothing in it; the query found no series"),
        ("{\n", "read as Prometheus: this is no answer of Prometheus: EOF"),
        (
            r#"{"status":"error","error":"parse error"}"#,
            "read as Prometheus: Prometheus answered with an error: parse error",
        ),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
            "read as Prometheus: the answer is a vector: ask for a range",
        ),
        ("time,level\n1763974800,0\n", "nobody opens a document for editing; every level is 0"),
        (
            "time,level\n1763974800,NaN\n",
            "1 of 1 line is not readable: line 2: the level `NaN` is not a number from 0",
        ),
        (
            "open,close\n1763974800,1763974700\n",
            "1 of 1 line is not readable: line 2: it closes before it opens",
        ),
    ] {
        assert_refused(settings(), text, expected);
    }
}

#[test]
fn options_that_do_not_fit_the_file_are_refused() {
    let columns = |text: &str| Settings { columns: text.parse().unwrap(), ..settings() };
    for (settings, text, expected) in [
        (
            columns("user=who"),
            EVENTS,
            "read as CSV: no column `who`; there are: `time`, `user`, `document`, `event`",
        ),
        (columns("user=who"), RFCS, "read as JSON lines: `--columns` is not for this format"),
        (
            Settings { format: Some(Format::Nginx), ..settings() },
            EVENTS,
            "3 of 3 lines are not readable: line 1: `time,user,document,event` has no $remote_user",
        ),
        (
            Settings { log_format: Some("$msec $status".parse().unwrap()), ..settings() },
            "1 101",
            "read as nginx: the log format needs a time",
        ),
    ] {
        assert_refused(settings, text, expected);
    }
    assert!("a=b".parse::<Columns>().is_err() && "user".parse::<Columns>().is_err());
    assert!("hug=b".parse::<EventNames>().is_err());
    assert!("$a$b".parse::<LogFormat>().is_err() && "none".parse::<LogFormat>().is_err());
}
