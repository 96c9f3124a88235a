//! The past of an engine in bounded memory: buckets for the last year.
//!
//! Numbers of milliseconds are steady time. It becomes wall time in the report, by what the wall clock shows at the time of
//! the report.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Usage;
use super::buckets::{WINDOWS, WindowBuckets};
use super::busiest::RecentMinutes;
use super::busy_load::{LENGTHS, MINUTE};
use super::denied::DeniedCase;
use super::months::Months;
use super::sketch::Sketch;
use super::totals::{PeriodTotals, Present, wall_at};
use crate::time::Now;

/// Everything up to the last collection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct UsageHistory {
    /// The beginning of the engine.
    since: u64,
    /// The time of the last collection.
    end: u64,
    /// The time of the last look, in both kinds.
    now: Now,
    /// Two earlier looks, at least a minute apart. The first one is the older.
    looks: [Now; 2],
    windows: [WindowBuckets; 5],
    months: Months,
    #[serde(default)]
    recent: RecentMinutes,
    /// Only in a snapshot: the users whom a limit refused and who are there.
    #[serde(default)]
    denied: Vec<(u64, DeniedCase)>,
    /// As of the last collection.
    #[serde(skip)]
    present: Present,
}

impl UsageHistory {
    pub(super) fn new(now: Now) -> Self {
        let since = now.steady.as_millis();
        UsageHistory {
            since,
            end: since,
            now,
            looks: [now; 2],
            windows: WINDOWS.map(WindowBuckets::new),
            months: Months::new(),
            recent: RecentMinutes::new(),
            denied: Vec::new(),
            present: Present::default(),
        }
    }

    /// The past of another process goes on at `now`. If it is later than that, since the wall clock was set back meanwhile, all
    /// of it is moved back. Errors if it cannot be one.
    pub(super) fn restored(mut self, now: Now) -> Result<Self, ()> {
        let windows = self.windows.iter().zip(WINDOWS).all(|(one, window)| one.is_in_order(window, self.end));
        let end = now.steady.as_millis();
        let recent =
            self.recent.is_in_order(self.end) && self.denied.iter().all(|(_, case)| case.fits(self.end));
        if self.since > self.end || !windows || !recent || !self.months.is_in_order() {
            return Err(());
        }
        self.recent.restored();
        self.move_back(self.end.saturating_sub(end));
        self.add_idle(Present::default(), end);
        (self.now, self.looks) = (now, [now; 2]);
        Ok(self)
    }

    fn move_back(&mut self, by: u64) {
        self.since = self.since.saturating_sub(by);
        self.end -= by;
        if by > 0 {
            self.windows.iter_mut().for_each(|window| window.move_back(by));
            self.recent.move_back(by);
            self.denied.iter_mut().for_each(|(_, case)| case.move_back(by));
        }
    }

    /// The users whom a limit refused, of a snapshot.
    pub(super) fn denied_mut(&mut self) -> &mut Vec<(u64, DeniedCase)> {
        &mut self.denied
    }

    /// Follows the wall clock. Labels are right by what it shows now.
    pub(super) fn follow(&mut self, now: Now) {
        let [_, last] = self.looks;
        if now.steady >= last.steady.after(Duration::from_millis(MINUTE)) {
            self.looks = [last, now];
        }
        self.now = now;
    }

    /// The time of the last collection.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Adds the period from the last collection to `end`, which is in the same minute or at its end. `users` are those who
    /// opened, by the access that they got.
    pub(super) fn add(&mut self, totals: &PeriodTotals, users: &[Sketch; 3], end: u64) {
        let from = self.end;
        for window in &mut self.windows {
            if let Some(bucket) = window.bucket_at(from) {
                bucket.merge(totals);
            }
        }
        self.recent.add(from, totals);
        self.keep_busiest();
        // A wall clock that is ahead for less than a minute does not count.
        self.months.add(wall_at(self.now, from).min(wall_at(self.looks[0], from)), users);
        self.end = self.end.max(end);
    }

    /// Adds a period from the last collection to `end` in which nothing happened. Costs one step for each bucket, not for
    /// each minute.
    pub(super) fn add_idle(&mut self, present: Present, end: u64) {
        let from = self.end;
        self.present = present;
        self.windows.iter_mut().for_each(|window| window.add_idle(&present, from, end));
        self.end = self.end.max(end);
        // The sliding periods that begin before this time. The windows know those that begin and end in it.
        let first = end.min((from / MINUTE + LENGTHS[0]) * MINUTE);
        for (from, to) in minutes(from, first) {
            self.recent.add_idle(from, to, &self.present);
            self.keep_busiest();
        }
        for (from, to) in minutes(first.max(end.saturating_sub(LENGTHS[0] * MINUTE)), end) {
            self.recent.add_idle(from, to, &self.present);
        }
    }

    /// Offers the sliding periods that end with the last minute to all windows.
    fn keep_busiest(&mut self) {
        let loads = self.recent.loads();
        self.windows.iter_mut().for_each(|window| window.keep_busiest(loads, self.since));
    }

    /// The bytes that it uses, including itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let windows = self.windows.iter().map(WindowBuckets::bytes).sum::<usize>();
        size_of::<Self>() + windows + self.months.bytes() + self.recent.bytes()
    }

    /// Returns the usage up to the last collection. Costs up to 9 µs for each bucket, 8 ms in all.
    pub(super) fn report(&self) -> Usage {
        let [hour, day, week, month, year] = self
            .windows
            .each_ref()
            .map(|window| window.report((self.since, self.end), &self.present, self.now));
        let (since, at) = (wall_at(self.now, self.since), wall_at(self.now, self.end));
        Usage { at, since, hour, day, week, month, year, months: self.months.report(since, at) }
    }
}

/// Each minute, or part of a minute, between two times.
fn minutes(from: u64, to: u64) -> impl Iterator<Item = (u64, u64)> {
    let next = move |time: u64| to.min((time / MINUTE + 1) * MINUTE);
    let begins = std::iter::successors(Some(from), move |time| Some(next(*time)));
    begins.take_while(move |time| *time < to).map(move |time| (time, next(time)))
}
