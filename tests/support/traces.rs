//! Traces for the readers of `coedit plan --trace`.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

#[path = "../../src/bin/coedit/plan/read/mod.rs"]
pub mod read;

#[path = "random.rs"]
mod random;

use std::collections::HashSet;

use coedit::capacity::Observed;
use read::{ReadError, Recording, Report, Settings, TraceReader};

pub fn settings() -> Settings {
    Settings {
        format: None,
        columns: read::Columns::default(),
        events: read::EventNames::default(),
        time_format: read::TimeFormat::default(),
        log_format: None,
        log_path: None,
        unreadable: 0.01,
    }
}

pub fn read_with(settings: Settings, text: &str) -> Result<(Recording, Report), ReadError> {
    let mut reader = TraceReader::new(settings);
    // Pieces of an odd size cut lines anywhere.
    for piece in text.as_bytes().chunks(997) {
        reader.feed(piece)?;
    }
    reader.end()
}

/// Reads a text about which there is nothing to say.
pub fn recording(settings: Settings, text: &str) -> Recording {
    let (recording, report) = read_with(settings, text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(report.sentences(), Vec::<String>::new());
    recording
}

/// Returns what is said about a text that has a recording.
pub fn sentences(settings: Settings, text: &str) -> Vec<String> {
    read_with(settings, text).unwrap_or_else(|error| panic!("{error}")).1.sentences()
}

pub fn error(settings: Settings, text: &str) -> String {
    read_with(settings, text).expect_err("the text is refused").to_string()
}

/// A connection of a trace.
pub struct Stay {
    pub label: String,
    pub user: String,
    pub document: String,
    pub open: u64,
    pub close: u64,
}

/// Writes the connections as requests, with closes before opens at the same time.
pub fn as_requests(stays: &[Stay]) -> String {
    let mut lines = Vec::new();
    for Stay { label, user, document, open, close } in stays {
        let request = format!(
            r#"{{"at":{open},"c":"open","key":"{document}","connection":"{label}","user":{{"id":"{user}"}}}}"#
        );
        lines.push(((*open, 1), request));
        lines.push(((*close, 0), format!(r#"{{"at":{close},"c":"close","connection":"{label}"}}"#)));
    }
    lines.sort_by_key(|(at, _)| *at);
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

/// Makes connections whose times are all different.
pub fn random_stays(count: u64) -> Vec<Stay> {
    let mut random = random::Random::new(7);
    let stay = |number: u64| {
        let open = START + number * 10_000 + random.next() % 4_999 * 2;
        Stay {
            label: format!("c{number}"),
            user: format!("user-{}", random.below(40)),
            document: format!("document-{}", random.below(20)),
            open,
            // Even numbers are opens, odd ones closes.
            close: open + 1 + random.next() % 1_000_000 * 2,
        }
    };
    let mut stays: Vec<Stay> = (0..count).map(stay).collect();
    let mut closes = HashSet::new();
    stays.retain(|stay| closes.insert(stay.close));
    stays
}

/// 2025-11-24T09:00:00Z.
pub const START: u64 = 1_763_974_800_000;

/// Asserts that two recordings have the same figures.
pub fn assert_same_figures(one: &Recording, other: &Recording) {
    let (one, other) = (one.observe(0), other.observe(0));
    assert_eq!(one.opens(), other.opens());
    assert_eq!(one.mean_duration(), other.mean_duration());
    assert_same_course(&one, &other);
    for limit in 0..one.peak().unwrap().0 {
        assert_eq!(one.fallbacks(limit), other.fallbacks(limit), "limit {limit}");
    }
}

/// Asserts that two recordings have the same number of connections at any time.
pub fn assert_same_course(one: &Observed, other: &Observed) {
    assert_eq!(one.span(), other.span());
    assert_eq!(one.peak(), other.peak());
    assert_eq!(one.busiest_hour(), other.busiest_hour());
    assert!((one.load() - other.load()).abs() < 1e-12, "{} and {}", one.load(), other.load());
}
