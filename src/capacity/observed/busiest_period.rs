//! The busiest period of a recording: the hour, or other length of time, with the highest load, wherever it begins.
//!
//! Telephone engineers take the busiest clock hour. But a class that fills from 9:37 to 10:22 is in two clock hours, and each
//! of them has half of its load.

use crate::time::Timestamp;
use std::collections::VecDeque;

/// Finds the busiest period of one length. Stores the changes within the latest period only.
///
/// The load of the period that ends at a time changes evenly between two events, and between the times at which an event
/// leaves the period. So it is highest at one of these times, and the result is exact.
#[derive(Clone, Debug)]
pub(super) struct BusiestPeriod {
    /// The length of the period, in milliseconds.
    length: u64,
    /// The levels within the latest period, oldest first. The first one began before the period.
    levels: VecDeque<Level>,
    /// Connections times milliseconds within the latest period.
    held: u128,
    /// The beginning of the busiest period, and what it held.
    busiest: Option<(u64, u128)>,
}

/// A number of open connections, up to a time.
#[derive(Clone, Copy, Debug)]
struct Level {
    until: u64,
    open: u32,
}

impl BusiestPeriod {
    pub(super) fn new(length: u64) -> Self {
        BusiestPeriod { length, levels: VecDeque::new(), held: 0, busiest: None }
    }

    /// Adds the time between `from` and `to`, in which `open` connections were open. `from` must be the `to` of the call
    /// before. The cost does not depend on the length of that time. It is constant on average.
    pub(super) fn add(&mut self, from: Timestamp, to: Timestamp, open: u32) {
        let (mut now, to) = (from.as_millis(), to.as_millis());
        if self.levels.is_empty() {
            // Nothing was open before the recording.
            self.levels.push_back(Level { until: now, open: 0 });
            self.busiest = Some((now, 0));
        }
        match self.levels.back_mut() {
            Some(level) if level.open == open => level.until = to,
            _ => self.levels.push_back(Level { until: to, open }),
        }
        while let Some(&oldest) = self.levels.front() {
            // The end of the period when its beginning reaches the end of the oldest level.
            let leaves = oldest.until.saturating_add(self.length);
            let end = leaves.min(to);
            self.held += u128::from(open) * u128::from(end - now);
            self.held -= u128::from(oldest.open) * u128::from(end - now);
            now = end;
            self.compare(oldest, now);
            if leaves > to || self.levels.len() == 1 {
                break;
            }
            self.levels.pop_front();
        }
    }

    /// Compares the period that ends `now` with the busiest so far. Of equally busy periods, the first stays.
    fn compare(&mut self, oldest: Level, now: u64) {
        if self.busiest.is_none_or(|(_, held)| self.held > held) {
            // While nothing was open at its beginning, the period can begin later and hold the same.
            let begins = if oldest.open == 0 { oldest.until } else { now.saturating_sub(self.length) };
            self.busiest = Some((begins, self.held));
        }
    }

    /// Returns the beginning of the busiest period and its load in erlangs.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the milliseconds of a period are exact for a billion connections"
    )]
    pub(super) fn load(&self) -> Option<(Timestamp, f64)> {
        let (begins, held) = self.busiest?;
        Some((Timestamp::from_millis(begins), held as f64 / self.length as f64))
    }
}
