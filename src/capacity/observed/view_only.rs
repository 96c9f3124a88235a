//! How many connections are view-only at one time, and for how long, for every limit at once.

use std::cmp::Reverse;
use std::time::Duration;

use super::history_max::HistoryMax;
use crate::time::Timestamp;

/// Under a limit of n, the connections with numbers above n are view-only until they close.
#[derive(Clone, Debug)]
pub(super) struct ViewOnly {
    /// The use of each number, from 1 up.
    numbers: Vec<NumberHeld>,
    /// For each limit, the view-only connections. The samples are labelled so that of equal ones the earliest stays.
    connections: HistoryMax<Reverse<Timestamp>>,
    /// The highest number of an open connection, or zero.
    highest: usize,
    latest: Timestamp,
}

#[derive(Clone, Copy, Debug, Default)]
struct NumberHeld {
    /// When the connection with this number opened, if it is open.
    since: Option<Timestamp>,
    /// How long this number was in use before, in milliseconds.
    held: u64,
    /// How long this was the highest number in use, in milliseconds.
    highest: u64,
}

impl ViewOnly {
    pub(super) fn new() -> Self {
        ViewOnly {
            numbers: Vec::new(),
            connections: HistoryMax::new(),
            highest: 0,
            latest: Timestamp::default(),
        }
    }

    /// Adds the time up to `at`. It must not be earlier than in the call before.
    pub(super) fn advance_to(&mut self, at: Timestamp) {
        let passed = at.as_millis() - self.latest.as_millis();
        self.latest = at;
        if let Some(number) = self.highest.checked_sub(1).and_then(|index| self.numbers.get_mut(index)) {
            number.highest += passed;
        }
    }

    pub(super) fn record_open(&mut self, number: u32) {
        let index = number as usize - 1;
        if self.numbers.len() <= index {
            self.numbers.resize(index + 1, NumberHeld::default());
        }
        self.numbers[index].since = Some(self.latest);
        self.highest = self.highest.max(index + 1);
        self.connections.add(number, 1);
        self.connections.sample(Reverse(self.latest));
    }

    pub(super) fn record_close(&mut self, number: u32) {
        let Some(closed) = self.numbers.get_mut(number as usize - 1) else { return };
        let Some(since) = closed.since.take() else { return };
        closed.held += self.latest.as_millis() - since.as_millis();
        self.connections.add(number, -1);
        // Each open lifts the highest number by one at most, so that this is one step on average.
        while self.highest > 0 && self.numbers[self.highest - 1].since.is_none() {
            self.highest -= 1;
        }
    }

    /// Returns the most connections that were view-only at one time, and when there were first so many.
    pub(super) fn peak(&self, limit: u32) -> Option<(u32, Timestamp)> {
        self.connections.highest(limit).map(|(connections, Reverse(at))| (connections, at))
    }

    /// Returns how long at least one connection was view-only.
    pub(super) fn time(&self, limit: u32) -> Duration {
        Duration::from_millis(self.above(limit).map(|number| number.highest).sum())
    }

    /// Returns how long connections were view-only, added up.
    pub(super) fn sum(&self, limit: u32) -> Duration {
        let open =
            |number: &NumberHeld| number.since.map_or(Duration::ZERO, |since| self.latest.since(since));
        self.above(limit).map(|number| Duration::from_millis(number.held) + open(number)).sum()
    }

    fn above(&self, limit: u32) -> impl Iterator<Item = &NumberHeld> {
        self.numbers.iter().skip(limit as usize)
    }
}
