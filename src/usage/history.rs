//! The last year in buckets, the last months in sketches: all in fixed memory.

use std::collections::VecDeque;

use super::sketch::Sketch;
use super::{Level, Month, Usage, Window};
use crate::access::{Access, REASONS};
use crate::time::Timestamp;

pub(super) const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The windows, each with the width of its buckets, in milliseconds. Buckets begin at multiples of their width.
const WINDOWS: [(u64, u64); 5] =
    [(HOUR, MINUTE), (DAY, 15 * MINUTE), (7 * DAY, HOUR), (30 * DAY, 6 * HOUR), (365 * DAY, DAY)];

/// Months that are reported: the last twelve and the present one.
const MONTHS: usize = 13;

/// One count over some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// Connections times milliseconds.
    pub(super) area: u128,
    pub(super) lowest: u32,
    pub(super) highest: u32,
    /// When it was reached first, in milliseconds.
    pub(super) highest_at: u64,
}

/// What happened in some time. The default is that of no time at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    /// By access, the least first.
    pub(super) courses: [Course; 3],
    pub(super) opens: u64,
    /// Those that got edit access.
    pub(super) edits: u64,
    pub(super) fallbacks: [u64; REASONS.len()],
    /// Who opened.
    pub(super) users: Sketch,
}

impl Default for Course {
    fn default() -> Self {
        Course { area: 0, lowest: u32::MAX, highest: 0, highest_at: u64::MAX }
    }
}

impl Course {
    /// A count that stood at `count` between these two moments.
    fn constant(count: u32, from: u64, to: u64) -> Self {
        let area = u128::from(count) * u128::from(to - from);
        Course { area, lowest: count, highest: count, highest_at: from }
    }

    fn merge(&mut self, other: &Course) {
        self.area += other.area;
        self.lowest = self.lowest.min(other.lowest);
        if other.highest > self.highest {
            (self.highest, self.highest_at) = (other.highest, other.highest_at);
        } else if other.highest == self.highest {
            self.highest_at = self.highest_at.min(other.highest_at);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "rounds to 53 bits")]
    fn level(&self, from: u64, to: u64) -> Level {
        let average = if to > from { self.area as f64 / (to - from) as f64 } else { 0.0 };
        let [min, max] = [self.lowest.min(self.highest), self.highest];
        Level {
            min,
            // What a race between threads or a rounding took past the extremes.
            average: average.clamp(f64::from(min), f64::from(max)),
            max,
            max_at: Timestamp::from_millis(self.highest_at),
        }
    }
}

impl Sums {
    fn merge(&mut self, other: &Sums) {
        for (ours, theirs) in self.courses.iter_mut().zip(&other.courses) {
            ours.merge(theirs);
        }
        self.opens += other.opens;
        self.edits += other.edits;
        for (ours, theirs) in self.fallbacks.iter_mut().zip(other.fallbacks) {
            *ours += theirs;
        }
        self.users.merge(&other.users);
    }
}

/// The buckets of one window, the oldest first.
#[derive(Debug)]
struct Ring {
    window: u64,
    width: u64,
    buckets: VecDeque<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// Its beginning divided by its width.
    number: u64,
    sums: Sums,
}

impl Ring {
    fn new((window, width): (u64, u64)) -> Self {
        Ring { window, width, buckets: VecDeque::with_capacity(most(window, width)) }
    }

    /// The bucket that a moment falls in. Moments come in order.
    fn bucket(&mut self, moment: u64) -> Option<&mut Sums> {
        let number = moment / self.width;
        if self.buckets.back().is_none_or(|last| last.number < number) {
            let oldest = number.saturating_sub(self.window / self.width);
            while self.buckets.front().is_some_and(|bucket| bucket.number < oldest) {
                self.buckets.pop_front();
            }
            self.buckets.push_back(Bucket { number, sums: Sums::default() });
        }
        self.buckets.back_mut().map(|bucket| &mut bucket.sums)
    }

    /// The counts stood still. Skips what is out of the window at the end of it.
    fn idle(&mut self, counts: [u32; 3], from: u64, to: u64) {
        let mut from = from.max(self.beginning(to));
        while from < to {
            let end = to.min((from / self.width + 1) * self.width);
            if let Some(sums) = self.bucket(from) {
                for (course, count) in sums.courses.iter_mut().zip(counts) {
                    course.merge(&Course::constant(count, from, end));
                }
            }
            from = end;
        }
    }

    /// The bucket boundary at or before the moment that is a window before `at`.
    fn beginning(&self, at: u64) -> u64 {
        let first = at.saturating_sub(self.window);
        first - first % self.width
    }

    fn report(&self, since: u64, at: u64) -> Window {
        let mut sums = Sums::default();
        let beginning = self.beginning(at);
        for bucket in self.buckets.iter().filter(|bucket| bucket.number >= beginning / self.width) {
            sums.merge(&bucket.sums);
        }
        let from = beginning.max(since);
        let level = |access: Access| sums.courses[access.place()].level(from, at);
        let fallbacks = REASONS.into_iter().zip(sums.fallbacks).filter(|(_, count)| *count > 0);
        Window {
            from: Timestamp::from_millis(from),
            to: Timestamp::from_millis(at),
            edit: level(Access::Edit),
            live: level(Access::LiveView),
            view: level(Access::View),
            opens: sums.opens,
            edits: sums.edits,
            fallbacks: fallbacks.collect(),
            users: sums.users.estimate(),
        }
    }
}

/// How many buckets there are at most: those of the window, and one because it begins within another.
const fn most(window: u64, width: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "some hundreds")]
    let full = (window / width) as usize;
    full + 1
}

/// Who was given access in one calendar month.
#[derive(Debug, Default)]
struct Named {
    month: Timestamp,
    edit: Sketch,
    live: Sketch,
}

/// All that is kept of the past, up to the last collection.
#[derive(Debug)]
pub(super) struct History {
    since: u64,
    /// The last collection.
    to: u64,
    rings: [Ring; 5],
    /// The months in which somebody was given access, the oldest first.
    months: VecDeque<Named>,
}

impl History {
    pub(super) fn new(now: Timestamp) -> Self {
        let since = now.as_millis();
        let months = VecDeque::with_capacity(MONTHS);
        History { since, to: since, rings: WINDOWS.map(Ring::new), months }
    }

    /// The last collection.
    pub(super) fn to(&self) -> u64 {
        self.to
    }

    /// What happened from the last collection to `to`, which is in the same minute or its end. `users`: who opened, by the
    /// access that they got.
    pub(super) fn add(&mut self, sums: &Sums, users: &[Sketch; 3], to: u64) {
        let from = self.to;
        for ring in &mut self.rings {
            if let Some(bucket) = ring.bucket(from) {
                bucket.merge(sums);
            }
        }
        let [_, live, edit] = users;
        if !live.is_empty() || !edit.is_empty() {
            self.named(Timestamp::from_millis(from).month(), edit, live);
        }
        self.to = self.to.max(to);
    }

    /// From the last collection to `to` the counts stood still and nobody opened. Costs a step a bucket, not a minute.
    pub(super) fn idle(&mut self, counts: [u32; 3], to: u64) {
        let from = self.to;
        self.rings.iter_mut().for_each(|ring| ring.idle(counts, from, to));
        self.to = self.to.max(to);
    }

    fn named(&mut self, month: Timestamp, edit: &Sketch, live: &Sketch) {
        if self.months.back().is_none_or(|last| last.month < month) {
            if self.months.len() == MONTHS {
                self.months.pop_front();
            }
            self.months.push_back(Named { month, ..Named::default() });
        }
        if let Some(last) = self.months.back_mut() {
            last.edit.merge(edit);
            last.live.merge(live);
        }
    }

    /// The bytes that it takes, itself counted in.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        let buckets = |ring: &Ring| ring.buckets.capacity() * size_of::<Bucket>();
        let sketches =
            |ring: &Ring| ring.buckets.iter().map(|bucket| bucket.sums.users.bytes()).sum::<usize>();
        let months = self.months.iter().map(|named| named.edit.bytes() + named.live.bytes()).sum::<usize>();
        let rings = self.rings.iter().map(|ring| buckets(ring) + sketches(ring)).sum::<usize>();
        size_of::<Self>() + rings + self.months.capacity() * size_of::<Named>() + months
    }

    /// All of it, as of the last collection. Some tenths of a millisecond at most.
    pub(super) fn report(&self) -> Usage {
        let [hour, day, week, month, year] =
            self.rings.each_ref().map(|ring| ring.report(self.since, self.to));
        let (since, at) = (Timestamp::from_millis(self.since), Timestamp::from_millis(self.to));
        Usage { at, since, hour, day, week, month, year, months: self.months() }
    }

    /// The months of the engine's life, the oldest first, those without anybody too.
    fn months(&self) -> Vec<Month> {
        let since = Timestamp::from_millis(self.since).month();
        let mut month = Timestamp::from_millis(self.to).month();
        let mut months = Vec::with_capacity(MONTHS);
        loop {
            let named = self.months.iter().find(|named| named.month == month);
            let count = |sketch: fn(&Named) -> &Sketch| named.map_or(0, |named| sketch(named).estimate());
            months.push(Month {
                from: month,
                edit: count(|named| &named.edit),
                live: count(|named| &named.live),
            });
            if months.len() == MONTHS || month <= since {
                break;
            }
            month = Timestamp::from_millis(month.as_millis() - 1).month();
        }
        months.reverse();
        months
    }
}
