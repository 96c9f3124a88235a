//! The JSON door: reads requests and writes replies, one line each.

use coedit::door::{Acknowledge, Door, Lines};
use coedit::{Config, Engine};

use crate::measure::{Scale, clock_cost, line, median, per, timed};

/// A recorded trace of eleven years of real sessions.
pub(crate) const TRACE: &[u8] = include_bytes!("../../tests/data/rfcs.jsonl");

pub(crate) fn compare(scale: Scale) {
    println!("\nthe JSON door, with automatic acknowledgement");
    let cost = clock_cost();
    let tabs = scale.of(1000, 20);
    let (mut door, mut out) = (open_door(tabs), Vec::new());
    let changes: Vec<u8> = (0..tabs).flat_map(change).collect();
    let visits: Vec<u8> =
        (0..tabs).flat_map(|tab| [open(tab, "visitor"), close("visitor")].concat()).collect();
    let kinds = [("change", &changes, tabs), ("open and close, with callbacks", &visits, 2 * tabs)];
    for (name, requests, count) in kinds {
        let mut round = || {
            out.clear();
            per(timed(cost, || feed(&mut door, requests, &mut out)).0, count)
        };
        round();
        let mut rounds: Vec<f64> = (0..scale.rounds()).map(|_| round()).collect();
        let each = median(&mut rounds);
        line(&format!("{name}: one request"), each, "ns");
        line("  requests per second on one core", 1e3 / each, "million");
    }

    // A smoke run replays the first lines of the trace.
    let trace = &TRACE[..if scale.smoke {
        TRACE.iter().take(20_000).rposition(|byte| *byte == b'\n').unwrap()
    } else {
        TRACE.len()
    }];
    let mut rounds: Vec<f64> = (0..scale.rounds()).map(|_| timed(cost, || replay(trace)).0 / 1e6).collect();
    line("replay of rfcs.jsonl", median(&mut rounds), "ms");
}

/// Returns a door with open tabs, each on a document of its own.
pub(crate) fn open_door(tabs: usize) -> Door {
    let mut door = Door::new(Engine::new(Config::new()).unwrap(), Acknowledge::Auto);
    let mut out = Vec::new();
    for tab in 0..tabs {
        feed(&mut door, &open(tab, &format!("tab-{tab}")), &mut out);
    }
    door
}

pub(crate) fn change(tab: usize) -> Vec<u8> {
    format!("{{\"c\":\"change\",\"connection\":\"tab-{tab}\"}}\n").into()
}

pub(crate) fn open(document: usize, tab: &str) -> Vec<u8> {
    let key = format!("document-{document}");
    let user = format!(r#"{{"id":"user-of-{tab}"}}"#);
    format!("{{\"c\":\"open\",\"key\":\"{key}\",\"connection\":\"{tab}\",\"user\":{user}}}\n").into()
}

pub(crate) fn close(tab: &str) -> Vec<u8> {
    format!("{{\"c\":\"close\",\"connection\":\"{tab}\"}}\n").into()
}

/// Splits the requests into lines, as the program does, and passes them to the door.
pub(crate) fn feed(door: &mut Door, requests: &[u8], out: &mut Vec<u8>) {
    Lines::default().feed(requests, |line| door.line(line.unwrap(), out));
}

pub(crate) fn replay(trace: &[u8]) -> usize {
    let mut door = Door::replay(Config::new().edit_limit(Some(20)), Acknowledge::Auto).unwrap();
    let (mut lines, mut out, mut written) = (Lines::default(), Vec::new(), 0);
    lines.feed(trace, |line| {
        door.line(line.unwrap(), &mut out);
        written += out.len();
        out.clear();
    });
    door.end(&mut out);
    written + out.len()
}
