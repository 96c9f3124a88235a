//! The past of an engine in bounded memory: buckets for the last year.
//!
//! Numbers of milliseconds are steady time. It becomes wall time in the report, by what the wall clock shows at the time of
//! the report.

use std::collections::VecDeque;
use std::time::Duration;

use super::months::Months;
use serde::{Deserialize, Serialize};

use super::sketch::Sketch;
use super::{Level, Usage, Waits, Window};
use crate::access::{Access, REASONS};
use crate::time::{Moment, Now, Timestamp};

pub(super) const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The length of each window and the width of its buckets, in milliseconds. A bucket begins at a multiple of its width.
const WINDOWS: [(u64, u64); 5] =
    [(HOUR, MINUTE), (DAY, 15 * MINUTE), (7 * DAY, HOUR), (30 * DAY, 6 * HOUR), (365 * DAY, DAY)];

/// The number of connections with one access over a period.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct CountSummary {
    /// Connections times milliseconds.
    pub(super) area: u128,
    pub(super) lowest: u32,
    pub(super) highest: u32,
    /// The time at which the highest count was first reached, in milliseconds.
    pub(super) highest_at: u64,
}

/// What happened in a period. The default value is that of an empty period.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct PeriodTotals {
    /// By access, from view to edit.
    pub(super) connections: [CountSummary; 3],
    pub(super) opens: u64,
    /// The opens that got edit access.
    pub(super) edits: u64,
    pub(super) fallbacks: [u64; REASONS.len()],
    #[serde(default)]
    pub(super) waits: WaitTotals,
    /// The users who opened.
    pub(super) users: Sketch,
}

/// How many waited for edit access, and for how long those waited who were granted it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct WaitTotals {
    pub(super) begun: u32,
    pub(super) granted: u32,
    /// The sum, in seconds.
    pub(super) seconds: u32,
    pub(super) longest: u32,
}

impl WaitTotals {
    pub(super) fn add(&mut self, other: &WaitTotals) {
        self.begun = self.begun.saturating_add(other.begun);
        self.granted = self.granted.saturating_add(other.granted);
        self.seconds = self.seconds.saturating_add(other.seconds);
        self.longest = self.longest.max(other.longest);
    }

    fn waits(&self) -> Waits {
        let average = if self.granted == 0 { 0.0 } else { f64::from(self.seconds) / f64::from(self.granted) };
        Waits { begun: self.begun, granted: self.granted, average_s: average, longest_s: self.longest }
    }
}

impl Default for CountSummary {
    fn default() -> Self {
        CountSummary { area: 0, lowest: u32::MAX, highest: 0, highest_at: u64::MAX }
    }
}

impl CountSummary {
    /// The summary of a count that did not change between `from` and `to`.
    fn constant(count: u32, from: u64, to: u64) -> Self {
        let area = u128::from(count) * u128::from(to - from);
        CountSummary { area, lowest: count, highest: count, highest_at: from }
    }

    fn merge(&mut self, other: &CountSummary) {
        self.area += other.area;
        self.lowest = self.lowest.min(other.lowest);
        if other.highest > self.highest {
            (self.highest, self.highest_at) = (other.highest, other.highest_at);
        } else if other.highest == self.highest {
            self.highest_at = self.highest_at.min(other.highest_at);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "rounds to 53 bits")]
    fn level(&self, from: u64, to: u64, now: Now) -> Level {
        let average = if to > from { self.area as f64 / (to - from) as f64 } else { 0.0 };
        let [min, max] = [self.lowest.min(self.highest), self.highest];
        Level {
            min,
            // A race between threads or a rounding can put the average outside the extremes.
            average: average.clamp(f64::from(min), f64::from(max)),
            max,
            max_at: wall_at(now, self.highest_at),
        }
    }
}

impl PeriodTotals {
    /// Returns true if sums of a few hundred such do not overflow.
    fn fits(&self) -> bool {
        let counts = [self.opens, self.edits].into_iter().chain(self.fallbacks);
        counts.into_iter().all(|count| count < 1 << 48)
            && self.connections.iter().all(|summary| summary.area < 1 << 96)
    }

    fn merge(&mut self, other: &PeriodTotals) {
        for (ours, theirs) in self.connections.iter_mut().zip(&other.connections) {
            ours.merge(theirs);
        }
        self.opens += other.opens;
        self.edits += other.edits;
        self.waits.add(&other.waits);
        for (ours, theirs) in self.fallbacks.iter_mut().zip(other.fallbacks) {
            *ours += theirs;
        }
        self.users.merge(&other.users);
    }
}

/// The buckets of one window, the oldest first. A bucket in which nothing was recorded may be missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WindowBuckets {
    length: u64,
    width: u64,
    buckets: VecDeque<Bucket>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Bucket {
    /// The beginning of the bucket divided by its width.
    index: u64,
    totals: PeriodTotals,
}

impl WindowBuckets {
    fn new((length, width): (u64, u64)) -> Self {
        WindowBuckets { length, width, buckets: VecDeque::with_capacity(max_buckets(length, width)) }
    }

    /// Returns the bucket that contains `time`, which must not be earlier than in the call before.
    fn bucket_at(&mut self, time: u64) -> Option<&mut PeriodTotals> {
        let index = time / self.width;
        if self.buckets.back().is_none_or(|last| last.index < index) {
            let oldest = index.saturating_sub(self.length / self.width);
            while self.buckets.front().is_some_and(|bucket| bucket.index < oldest) {
                self.buckets.pop_front();
            }
            self.buckets.push_back(Bucket { index, totals: PeriodTotals::default() });
        }
        self.buckets.back_mut().map(|bucket| &mut bucket.totals)
    }

    /// Records that the counts did not change between `from` and `to`. Skips what is outside the window that ends at `to`.
    fn add_idle(&mut self, counts: [u32; 3], from: u64, to: u64) {
        let mut from = from.max(self.beginning(to));
        while from < to {
            let end = to.min((from / self.width + 1) * self.width);
            if let Some(totals) = self.bucket_at(from) {
                for (summary, count) in totals.connections.iter_mut().zip(counts) {
                    summary.merge(&CountSummary::constant(count, from, end));
                }
            }
            from = end;
        }
    }

    /// Checks that the buckets are those of a window that ends at `end`, in order, and that their sums fit.
    fn is_in_order(&self, (length, width): (u64, u64), end: u64) -> bool {
        let indexes = || self.buckets.iter().map(|bucket| bucket.index);
        (self.length, self.width) == (length, width)
            && self.buckets.len() <= max_buckets(length, width)
            && indexes().zip(indexes().skip(1)).all(|(one, next)| one < next)
            && indexes().all(|index| index <= end / width)
            && self.buckets.iter().all(|bucket| bucket.totals.fits())
    }

    /// Moves everything back by so many milliseconds, rounded up to whole buckets.
    fn move_back(&mut self, by: u64) {
        let buckets = by.div_ceil(self.width);
        self.buckets.retain(|bucket| bucket.index >= buckets);
        for bucket in &mut self.buckets {
            bucket.index -= buckets;
            for summary in bucket.totals.connections.iter_mut().filter(|one| one.highest_at != u64::MAX) {
                summary.highest_at = summary.highest_at.saturating_sub(by);
            }
        }
    }

    /// Returns the beginning of the window that ends at `end`, rounded down to the beginning of a bucket.
    fn beginning(&self, end: u64) -> u64 {
        let first = end.saturating_sub(self.length);
        first - first % self.width
    }

    fn report(&self, since: u64, end: u64, now: Now) -> Window {
        let mut totals = PeriodTotals::default();
        let beginning = self.beginning(end);
        for bucket in self.buckets.iter().filter(|bucket| bucket.index >= beginning / self.width) {
            totals.merge(&bucket.totals);
        }
        let from = beginning.max(since);
        let level = |access: Access| totals.connections[access.index()].level(from, end, now);
        let fallbacks = REASONS.into_iter().zip(totals.fallbacks).filter(|(_, count)| *count > 0);
        Window {
            waits: totals.waits.waits(),
            from: wall_at(now, from),
            to: wall_at(now, end),
            edit: level(Access::Edit),
            live: level(Access::LiveView),
            view: level(Access::View),
            opens: totals.opens,
            edits: totals.edits,
            fallbacks: fallbacks.collect(),
            users: totals.users.estimate(),
        }
    }
}

/// The largest number of buckets: those of the window, and one more because the window begins within a bucket.
const fn max_buckets(length: u64, width: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "some hundred")]
    let full = (length / width) as usize;
    full + 1
}

/// What the wall clock showed at a time, by what it shows now.
fn wall_at(now: Now, millis: u64) -> Timestamp {
    now.wall_at(Moment::from_millis(millis))
}

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
        }
    }

    /// The past of another process goes on at `now`. If it is later than that, since the wall clock was set back meanwhile, all
    /// of it is moved back. Errors if it cannot be one.
    pub(super) fn restored(mut self, now: Now) -> Result<Self, ()> {
        let windows = self.windows.iter().zip(WINDOWS).all(|(one, window)| one.is_in_order(window, self.end));
        let end = now.steady.as_millis();
        if self.since > self.end || !windows || !self.months.is_in_order() {
            return Err(());
        }
        self.move_back(self.end.saturating_sub(end));
        self.add_idle([0; 3], end);
        (self.now, self.looks) = (now, [now; 2]);
        Ok(self)
    }

    fn move_back(&mut self, by: u64) {
        self.since = self.since.saturating_sub(by);
        self.end -= by;
        if by > 0 {
            self.windows.iter_mut().for_each(|window| window.move_back(by));
        }
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
        // A wall clock that is ahead for less than a minute does not count.
        self.months.add(wall_at(self.now, from).min(wall_at(self.looks[0], from)), users);
        self.end = self.end.max(end);
    }

    /// Adds a period from the last collection to `end` in which nothing happened. Costs one step for each bucket, not for
    /// each minute.
    pub(super) fn add_idle(&mut self, counts: [u32; 3], end: u64) {
        let from = self.end;
        self.windows.iter_mut().for_each(|window| window.add_idle(counts, from, end));
        self.end = self.end.max(end);
    }

    /// The bytes that it uses, including itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let buckets = |window: &WindowBuckets| window.buckets.capacity() * size_of::<Bucket>();
        let sketches = |window: &WindowBuckets| {
            window.buckets.iter().map(|bucket| bucket.totals.users.bytes()).sum::<usize>()
        };
        let windows = self.windows.iter().map(|window| buckets(window) + sketches(window)).sum::<usize>();
        size_of::<Self>() + windows + self.months.bytes()
    }

    /// Returns the usage up to the last collection. Costs up to 9 µs for each bucket, 8 ms in all.
    pub(super) fn report(&self) -> Usage {
        let [hour, day, week, month, year] =
            self.windows.each_ref().map(|window| window.report(self.since, self.end, self.now));
        let (since, at) = (wall_at(self.now, self.since), wall_at(self.now, self.end));
        Usage { at, since, hour, day, week, month, year, months: self.months.report(since, at) }
    }
}
