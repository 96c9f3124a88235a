//! The buckets of one window.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Window;
use super::busy_load::{BusyLoads, LENGTHS, MINUTE};
use super::totals::{PeriodTotals, Present, wall_at};
use crate::access::{Access, REASONS};
use crate::time::Now;

const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The length of each window and the width of its buckets, in milliseconds. A bucket begins at a multiple of its width.
pub(super) const WINDOWS: [(u64, u64); 5] =
    [(HOUR, MINUTE), (DAY, 15 * MINUTE), (7 * DAY, HOUR), (30 * DAY, 6 * HOUR), (365 * DAY, DAY)];

/// The buckets of one window, the oldest first. A bucket in which nothing was recorded may be missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct WindowBuckets {
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
    pub(super) fn new((length, width): (u64, u64)) -> Self {
        WindowBuckets {
            length,
            width,
            buckets: VecDeque::with_capacity(max_buckets(length, width).min(ROOM)),
        }
    }

    /// Returns the bucket that contains `time`, which must not be earlier than in the call before.
    pub(super) fn bucket_at(&mut self, time: u64) -> Option<&mut PeriodTotals> {
        let index = time / self.width;
        if self.buckets.back().is_none_or(|last| last.index < index) {
            let oldest = index.saturating_sub(self.length / self.width);
            while self.buckets.front().is_some_and(|bucket| bucket.index < oldest) {
                self.buckets.pop_front();
            }
            if self.buckets.len() == self.buckets.capacity() {
                let missing = max_buckets(self.length, self.width).saturating_sub(self.buckets.len());
                self.buckets.reserve_exact(missing.clamp(1, ROOM));
            }
            self.buckets.push_back(Bucket { index, totals: PeriodTotals::default() });
        }
        self.buckets.back_mut().map(|bucket| &mut bucket.totals)
    }

    /// Records that the counts did not change between `from` and `to`. Skips what is outside the window that ends at `to`.
    pub(super) fn add_idle(&mut self, present: &Present, from: u64, to: u64) {
        let mut from = from.max(self.beginning(to));
        while from < to {
            let end = to.min((from / self.width + 1) * self.width);
            if let Some(totals) = self.bucket_at(from) {
                totals.add_idle(present, from, end);
                // A sliding period that begins here and ends in the same idle time.
                let start = from.div_ceil(MINUTE);
                for (busiest, length) in totals.busiest.iter_mut().zip(LENGTHS) {
                    if start * MINUTE < end && (start + length) * MINUTE <= to {
                        busiest.keep_busier(&present.busy_load(start, length));
                    }
                }
            }
            from = end;
        }
    }

    /// Offers each sliding period to the bucket in which it begins, if that is kept. One that begins before `since`, the
    /// beginning of the engine, counts as begun then.
    pub(super) fn keep_busiest(&mut self, loads: &BusyLoads, since: u64) {
        for (length, load) in loads.iter().enumerate().filter(|(_, load)| !load.is_idle()) {
            let index = (load.start * MINUTE).max(since) / self.width;
            if let Some(bucket) = self.find(index) {
                bucket.totals.busiest[length].keep_busier(load);
            }
        }
    }

    fn find(&mut self, index: u64) -> Option<&mut Bucket> {
        // From the last bucket on, mostly none is missing.
        let back = usize::try_from(self.buckets.back()?.index.checked_sub(index)?).ok()?;
        let at = match self.buckets.len().checked_sub(back + 1) {
            Some(at) if self.buckets[at].index == index => at,
            _ => self.buckets.binary_search_by_key(&index, |bucket| bucket.index).ok()?,
        };
        self.buckets.get_mut(at)
    }

    /// Checks that the buckets are those of a window that ends at `end`, in order, and that their sums fit.
    pub(super) fn is_in_order(&self, (length, width): (u64, u64), end: u64) -> bool {
        let indexes = || self.buckets.iter().map(|bucket| bucket.index);
        (self.length, self.width) == (length, width)
            && self.buckets.len() <= max_buckets(length, width)
            && indexes().zip(indexes().skip(1)).all(|(one, next)| one < next)
            && indexes().all(|index| index <= end / width)
            && self.buckets.iter().all(|bucket| bucket.totals.fits())
    }

    /// Moves everything back by so many milliseconds, rounded up to whole buckets.
    pub(super) fn move_back(&mut self, by: u64) {
        let buckets = by.div_ceil(self.width);
        self.buckets.retain(|bucket| bucket.index >= buckets);
        for bucket in &mut self.buckets {
            bucket.index -= buckets;
            for summary in bucket.totals.connections.iter_mut().filter(|one| one.highest_at != u64::MAX) {
                summary.highest_at = summary.highest_at.saturating_sub(by);
            }
            bucket.totals.busiest.iter_mut().for_each(|load| load.move_back(by));
        }
    }

    /// The allocated bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let sketches = self.buckets.iter().map(|bucket| bucket.totals.users.bytes());
        self.buckets.capacity() * size_of::<Bucket>() + sketches.sum::<usize>()
    }

    /// Returns the beginning of the window that ends at `end`, rounded down to the beginning of a bucket.
    fn beginning(&self, end: u64) -> u64 {
        let first = end.saturating_sub(self.length);
        first - first % self.width
    }

    pub(super) fn report(&self, (since, end): (u64, u64), present: &Present, now: Now) -> Window {
        let mut totals = PeriodTotals::default();
        let beginning = self.beginning(end);
        for bucket in self.buckets.iter().filter(|bucket| bucket.index >= beginning / self.width) {
            totals.merge(&bucket.totals);
        }
        let from = beginning.max(since);
        let level = |access: Access| totals.connections[access.index()].level(from, end, now);
        let [hour, quarter] = totals.busiest;
        let fallbacks = REASONS.into_iter().zip(totals.fallbacks).filter(|(_, count)| *count > 0);
        Window {
            waits: totals.waits.report(),
            denials: totals.denials.report(present.denied),
            busiest_hour: hour.report(LENGTHS[0], since, now),
            busiest_quarter: quarter.report(LENGTHS[1], since, now),
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

/// Room is made for so many buckets at a time, so that a young engine is small.
const ROOM: usize = 64;

/// The largest number of buckets: those of the window, and one more because the window begins within a bucket.
const fn max_buckets(length: u64, width: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "some hundred")]
    let full = (length / width) as usize;
    full + 1
}
