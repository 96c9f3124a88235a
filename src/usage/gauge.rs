//! The highest and the lowest count of the whole engine, which do not follow from those of its shards.

use super::history::Course;
use crate::sync::{AtomicU64, Ordering};

/// The extremes of one count since the last collection, kept by whoever moves the count and without a lock.
///
/// All that moves the count must say so here afterwards. Nearly always that is one load and one comparison of a word that
/// is seldom written: keep gauges away from words that are written often.
///
/// The count moves, then its gauge is looked at; a collection sets the gauge back, then looks at the count. So no value
/// falls between two collections: one that is reached during a collection is in the time before it or in the time after.
/// Hence `SeqCst`, which is free where loads are ordered anyway.
#[derive(Debug)]
pub(super) struct Gauge {
    /// The highest count in the upper half. In the lower the last 32 bits of the millisecond at which it was first
    /// reached, inverted: of two equal counts the greater word is the earlier.
    highest: AtomicU64,
    lowest: AtomicU64,
}

impl Gauge {
    /// The gauge of a count that is zero.
    pub(super) fn new(now: u64) -> Self {
        Gauge { highest: AtomicU64::new(pack(0, now)), lowest: AtomicU64::new(0) }
    }

    /// The count has just become `count`, by rising.
    pub(super) fn rose(&self, count: u32, now: u64) {
        if count > unpack(self.highest.load(Ordering::SeqCst)).0 {
            self.highest.fetch_max(pack(count, now), Ordering::SeqCst);
        }
    }

    /// The count has just become `count`, by falling.
    pub(super) fn fell(&self, count: u32) {
        if u64::from(count) < self.lowest.load(Ordering::SeqCst) {
            self.lowest.fetch_min(u64::from(count), Ordering::SeqCst);
        }
    }

    /// The extremes from `from`, the last collection, to `to`, which must be less than 24 days later; the area is left
    /// empty. A new time begins at `next`, with the present count as its only one.
    pub(super) fn take(&self, present: impl Fn() -> u32, from: u64, to: u64, next: u64) -> Course {
        let count = present();
        let (highest, low_bits) = unpack(self.highest.swap(pack(count, next), Ordering::SeqCst));
        let lowest = self.lowest.swap(u64::from(count), Ordering::SeqCst);
        // The count may have moved between the look and the swap.
        let count = present();
        self.rose(count, next);
        self.fell(count);
        let highest_at = restore(low_bits, from).clamp(from, to.max(from));
        Course { area: 0, lowest: u32::try_from(lowest).unwrap_or(u32::MAX), highest, highest_at }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the last bits are what is kept")]
fn pack(count: u32, at: u64) -> u64 {
    u64::from(count) << 32 | u64::from(!(at as u32))
}

/// The count, and the last 32 bits of its millisecond.
#[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, !(word as u32))
}

/// The moment nearest to `near` whose last 32 bits these are.
#[expect(clippy::cast_possible_truncation, reason = "the last bits are what is compared")]
#[expect(clippy::cast_possible_wrap, reason = "a bit before is a small negative number")]
fn restore(low_bits: u32, near: u64) -> u64 {
    let distance = low_bits.wrapping_sub(near as u32) as i32;
    near.saturating_add_signed(i64::from(distance))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extremes(course: Course) -> (u32, u32, u64) {
        (course.lowest, course.highest, course.highest_at)
    }

    #[test]
    fn the_first_time_of_the_highest_count_is_kept() {
        let gauge = Gauge::new(100);
        gauge.rose(1, 101);
        gauge.rose(2, 102);
        gauge.fell(1);
        gauge.rose(2, 103);
        assert_eq!(extremes(gauge.take(|| 2, 100, 200, 200)), (0, 2, 102));
        gauge.fell(1);
        gauge.rose(2, 250);
        assert_eq!(extremes(gauge.take(|| 2, 200, 300, 500)), (1, 2, 200));
        assert_eq!(extremes(gauge.take(|| 2, 500, 600, 600)), (2, 2, 500));
    }

    #[test]
    fn of_two_that_reach_the_same_count_the_earlier_is_kept() {
        let gauge = Gauge::new(0);
        gauge.highest.fetch_max(pack(7, 20), Ordering::SeqCst);
        gauge.highest.fetch_max(pack(7, 10), Ordering::SeqCst);
        assert_eq!(extremes(gauge.take(|| 7, 0, 60, 60)), (0, 7, 10));
    }

    #[test]
    fn moments_are_whole_again_and_within_the_time() {
        for from in [0, 59_999, (1 << 32) - 1, 1 << 32, 1_700_611_200_000] {
            let gauge = Gauge::new(from);
            gauge.rose(1, from + 59_000);
            assert_eq!(extremes(gauge.take(|| 1, from, from + 60_000, from)), (0, 1, from + 59_000));
            gauge.rose(2, from.saturating_sub(3));
            assert_eq!(extremes(gauge.take(|| 2, from, from + 60_000, from)), (1, 2, from));
            gauge.rose(3, from + 60_005);
            assert_eq!(extremes(gauge.take(|| 3, from, from + 60_000, from)), (2, 3, from + 60_000));
        }
    }

    #[test]
    fn a_count_that_moves_while_it_is_collected_is_not_missed() {
        let gauge = Gauge::new(0);
        let looks = std::cell::Cell::new(0);
        // Somebody comes between the first look and the swap, and finds the old highest count above.
        gauge.rose(9, 1);
        let present = || {
            looks.set(looks.get() + 1);
            if looks.get() == 1 { 3 } else { 4 }
        };
        assert_eq!(extremes(gauge.take(present, 0, 60, 60)), (0, 9, 1));
        assert_eq!(extremes(gauge.take(|| 3, 60, 120, 120)), (3, 4, 60));
    }
}
