//! The number of open connections over time, in bounded memory. It is meant for a chart.

use crate::time::Timestamp;

/// An interval of a recording, with the highest number of connections that were open in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The beginning of the interval. It ends where the next one begins.
    pub from: Timestamp,
    /// The highest number of connections that were open at the same time, if none were refused.
    pub peak: u32,
    /// The highest number that a new connection got. Zero if no connection began in the interval.
    highest_number: u32,
}

impl Interval {
    /// Returns true if an open in this interval would have fallen back under `limit`.
    pub fn has_fallbacks(&self, limit: u32) -> bool {
        self.highest_number > limit
    }
}

/// Intervals of equal length. When there would be too many, their length is doubled.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    start: Timestamp,
    /// The length of an interval, in milliseconds.
    interval: u64,
    /// For each interval, the peak and the highest number of a new connection.
    peaks: Vec<(u32, u32)>,
}

/// The largest number of intervals: more than a chart has pixels across.
const INTERVALS_MAX: usize = 2_000;

impl Timeline {
    pub(super) fn new(start: Timestamp) -> Self {
        Timeline { start, interval: 1, peaks: Vec::new() }
    }

    /// Records that `before` connections were open up to `at` and `now` are open from then on. `number` is the number of the
    /// connection that began at `at`, or zero.
    ///
    /// `at` must not be earlier than in the call before. Costs one step for each interval that has passed.
    pub(super) fn add(&mut self, at: Timestamp, before: u32, now: u32, number: u32) {
        let passed = at.as_millis().saturating_sub(self.start.as_millis());
        while self.index(passed) >= INTERVALS_MAX {
            self.double_interval();
        }
        let index = self.index(passed);
        if self.peaks.len() <= index {
            self.peaks.resize(index + 1, (before, 0));
        }
        if let Some((peak, highest_number)) = self.peaks.last_mut() {
            *peak = now.max(*peak);
            *highest_number = number.max(*highest_number);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Interval> + '_ {
        self.peaks.iter().zip(0_u64..).map(|(&(peak, highest_number), index)| Interval {
            from: Timestamp::from_millis(self.start.as_millis() + index * self.interval),
            peak,
            highest_number,
        })
    }

    fn index(&self, passed: u64) -> usize {
        usize::try_from(passed / self.interval).unwrap_or(usize::MAX)
    }

    /// Merges the intervals in pairs.
    fn double_interval(&mut self) {
        self.interval *= 2;
        let pairs = self.peaks.chunks(2);
        self.peaks = pairs
            .map(|pair| pair.iter().fold((0, 0), |max, next| (max.0.max(next.0), max.1.max(next.1))))
            .collect();
    }
}
