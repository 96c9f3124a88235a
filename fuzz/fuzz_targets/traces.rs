//! Reads arbitrary bytes as the file of `coedit plan --trace`. No reader may panic, the pieces in which a file arrives
//! must not matter, and what is read is in order.
#![no_main]

#[path = "../../src/bin/coedit/plan/read/mod.rs"]
mod read;

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use read::recording::{Connections, EventKind, Levels};
use read::{Format, ReadError, Recording, Report, Settings, TraceReader};

fuzz_target!(|input: &[u8]| {
    let Some(([options, times], file)) = input.split_first_chunk() else { return };
    let settings = settings(*options, *times);
    let whole = read_in_pieces(&settings, file, file.len());
    let pieces = read_in_pieces(&settings, file, usize::from(*times) + 1);
    assert_eq!(format!("{whole:?}"), format!("{pieces:?}"), "the pieces matter");
    match whole {
        Ok((recording, report)) => {
            check_report(&report);
            match &recording {
                Recording::Connections(connections) => check_connections(connections, &recording),
                Recording::Levels(levels) => check_levels(levels, &recording),
            }
        }
        Err(ReadError::Unreadable(report) | ReadError::Empty(report)) => check_report(&report),
        Err(error @ ReadError::Input(_)) => assert!(!error.to_string().is_empty()),
    }
});

fn settings(options: u8, times: u8) -> Settings {
    let formats =
        [None, Some(Format::Json), Some(Format::Csv), Some(Format::Nginx), Some(Format::Prometheus)];
    let columns =
        if options & 1 == 1 { "time=when,user=who,event=level,level=a,level=b" } else { "time=msec" };
    let time_format =
        ["auto", "iso", "%d.%m.%Y %H:%M", "s", "ms", "%s", "%c %Z", "%"][usize::from(times & 7)];
    let log_format = "$msec $status $request_time $request".parse().expect("the log format is correct");
    Settings {
        format: formats[usize::from(options >> 4) % formats.len()],
        columns: if options & 1 == 1 {
            columns.parse().expect("the columns are correct")
        } else {
            Default::default()
        },
        events: match options >> 2 & 1 {
            1 => "open=in,close=out,change=x".parse().expect("the names are correct"),
            _ => Default::default(),
        },
        time_format: time_format.parse().expect("the time format is correct"),
        log_format: (options >> 1 & 1 == 1).then_some(log_format),
        log_path: (options >> 3 & 1 == 1).then(|| "/doc/{document}/c".parse().expect("the path is correct")),
        unreadable: if times >> 7 == 1 { 0.01 } else { 1.0 },
    }
}

fn read_in_pieces(settings: &Settings, file: &[u8], size: usize) -> Result<(Recording, Report), ReadError> {
    let mut reader = TraceReader::new(settings.clone());
    for piece in file.chunks(size.max(1)) {
        reader.feed(piece)?;
    }
    reader.end()
}

fn check_report(report: &Report) {
    assert!(report.unreadable <= report.lines, "{report:?}");
    assert!((0.0..=1.0).contains(&report.share_unreadable()), "{report:?}");
    assert_eq!(report.examples.is_empty(), report.unreadable == 0, "{report:?}");
    for sentence in report.sentences() {
        assert!(!sentence.contains(char::is_control), "{sentence:?}");
    }
}

fn check_connections(connections: &Connections, recording: &Recording) {
    assert!(connections.events.is_sorted_by_key(|event| event.at), "the events are in order");
    let (mut open, mut opened) = (HashSet::new(), 0);
    for event in &connections.events {
        match event.kind {
            EventKind::Open => {
                assert_eq!(event.connection, opened, "connections are numbered as they open");
                opened += 1;
                open.insert(event.connection);
            }
            EventKind::Change => assert!(open.contains(&event.connection), "who changes is open"),
            EventKind::Close => assert!(open.remove(&event.connection), "who closes is open"),
        }
    }
    assert_eq!(opened as usize, connections.identities.len());
    assert!(connections.events.iter().all(|event| event.at <= connections.end));
    let observed = recording.observe(0);
    assert_eq!(observed.opens(), u64::from(opened));
    assert_eq!(observed.open_connections() as usize, open.len());
    assert!(connections.users.is_none_or(|users| users > 0 && users <= opened));
    assert!(connections.documents.is_none_or(|documents| documents > 0 && documents <= opened));
}

fn check_levels(levels: &Levels, recording: &Recording) {
    assert!(levels.samples.is_sorted_by_key(|(at, _)| *at), "the samples are in order");
    let highest = levels.samples.iter().map(|(_, level)| *level).max();
    // The analysis works through every connection of a rise.
    if highest.is_some_and(|highest| highest < 100_000) && levels.samples.len() < 100 {
        let peak = recording.observe(0).peak().map(|(peak, _)| peak);
        assert_eq!(peak, highest, "the peak is the highest level");
    }
}
