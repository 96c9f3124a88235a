//! The opens of each day of a recording.

use std::collections::VecDeque;

use super::worst_period::WorstPeriod;
use crate::time::Timestamp;

/// The days of a recording, in local time. Days without opens are left out.
#[derive(Clone, Debug)]
pub(super) struct Days {
    /// Local time minus UTC, in milliseconds.
    offset: i128,
    /// The days that are over.
    over: VecDeque<Day>,
    /// The latest day, and how often each number from 1 up was given on it.
    latest: Option<(i128, Vec<u32>)>,
}

#[derive(Clone, Debug)]
pub(super) struct Day {
    /// The number of the day since the Unix epoch, in local time.
    pub(super) date: i128,
    /// For each limit from 0 up, the opens with higher numbers. The first are all opens. The last is zero.
    above: Vec<u32>,
}

/// A day, in milliseconds.
const DAY: i128 = 86_400_000;

/// A week, in days.
pub(super) const WEEK: i128 = 7;

/// The largest number of days that are kept: 53 weeks.
const DAYS_MAX: usize = 371;

impl Days {
    /// `utc_offset` is in minutes.
    pub(super) fn new(utc_offset: i32) -> Self {
        Days { offset: i128::from(utc_offset) * 60_000, over: VecDeque::new(), latest: None }
    }

    pub(super) fn record_open(&mut self, at: Timestamp, number: u32) {
        let date = (i128::from(at.as_millis()) + self.offset).div_euclid(DAY);
        if self.latest.as_ref().is_some_and(|(latest, _)| *latest != date) {
            self.over.extend(self.latest.take().map(Day::new));
            if self.over.len() >= DAYS_MAX {
                self.over.pop_front();
            }
        }
        let (_, counts) = self.latest.get_or_insert_with(|| (date, Vec::new()));
        let index = number as usize - 1;
        if counts.len() <= index {
            counts.resize(index + 1, 0);
        }
        counts[index] += 1;
    }

    /// Returns the days with opens, oldest first.
    pub(super) fn all(&self) -> Vec<Day> {
        self.over.iter().cloned().chain(self.latest.clone().map(Day::new)).collect()
    }

    /// Returns the day with most fallbacks. Of equally bad days, the last.
    pub(super) fn worst(&self, limit: u32) -> Option<WorstPeriod> {
        let latest = self.latest.clone().map(Day::new);
        let worst = self.over.iter().chain(&latest).max_by_key(|day| day.fallbacks(limit))?;
        let from = u64::try_from(worst.date * DAY - self.offset).unwrap_or(0);
        let fallbacks = worst.fallbacks(limit);
        let worst = WorstPeriod { from: Timestamp::from_millis(from), opens: worst.fallbacks(0), fallbacks };
        Some(worst).filter(|worst| worst.fallbacks > 0)
    }
}

impl Day {
    fn new((date, mut above): (i128, Vec<u32>)) -> Self {
        above.push(0);
        let mut sum = 0;
        for count in above.iter_mut().rev() {
            sum += *count;
            *count = sum;
        }
        Day { date, above }
    }

    pub(super) fn fallbacks(&self, limit: u32) -> u64 {
        self.above.get(limit as usize).map_or(0, |fallbacks| u64::from(*fallbacks))
    }

    /// The highest number that was given.
    pub(super) fn highest_number(&self) -> u32 {
        u32::try_from(self.above.len() - 1).unwrap_or(u32::MAX)
    }
}
