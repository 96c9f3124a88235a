//! The highest and lowest count of the whole engine. The shards cannot know them: their own extremes do not add up.

use super::totals::CountSummary;
use crate::sync::{AtomicU64, Ordering};

/// The extremes of one count since the last collection. It works without a lock.
///
/// Whoever changes the count reports the new value here afterwards. A report is nearly always one load and one comparison,
/// because the extremes seldom change. Keep gauges on cache lines that are seldom written.
///
/// A caller first changes the count and then looks at the gauge. A collection first resets the gauge and then looks at the
/// count. So no value is lost between two collections: a value that is reached during a collection belongs to the period
/// before it or to the period after it. This needs `SeqCst`, which costs nothing extra for loads on x86.
#[derive(Debug)]
pub(super) struct Gauge {
    /// The upper half is the highest count. The lower half is the time in milliseconds at which that count was first
    /// reached: its low 32 bits, inverted, so that of two equal counts the earlier one has the greater word.
    highest: AtomicU64,
    lowest: AtomicU64,
}

impl Gauge {
    /// Creates the gauge of a count that is zero.
    pub(super) fn new(now: u64) -> Self {
        Gauge { highest: AtomicU64::new(pack(0, now)), lowest: AtomicU64::new(0) }
    }

    /// Records that the count has just risen to `count`.
    pub(super) fn record_rise(&self, count: u32, now: u64) {
        if count > unpack(self.highest.load(Ordering::SeqCst)).0 {
            self.highest.fetch_max(pack(count, now), Ordering::SeqCst);
        }
    }

    /// Records that the count has just fallen to `count`.
    pub(super) fn record_fall(&self, count: u32) {
        if u64::from(count) < self.lowest.load(Ordering::SeqCst) {
            self.lowest.fetch_min(u64::from(count), Ordering::SeqCst);
        }
    }

    /// Returns the extremes between `from`, the last collection, and `to`, which is less than 24 days later. The area of
    /// the summary is zero. The next period begins at `next` with the present count as its only value.
    pub(super) fn collect(&self, present: impl Fn() -> u32, from: u64, to: u64, next: u64) -> CountSummary {
        let count = present();
        let (highest, low_bits) = unpack(self.highest.swap(pack(count, next), Ordering::SeqCst));
        let lowest = self.lowest.swap(u64::from(count), Ordering::SeqCst);
        // The count may have changed between the first read and the swaps.
        let count = present();
        self.record_rise(count, next);
        self.record_fall(count);
        let highest_at = restore(low_bits, from).clamp(from, to.max(from));
        CountSummary { area: 0, lowest: u32::try_from(lowest).unwrap_or(u32::MAX), highest, highest_at }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only the low bits are stored")]
fn pack(count: u32, at: u64) -> u64 {
    u64::from(count) << 32 | u64::from(!(at as u32))
}

/// Returns the count and the low 32 bits of its time.
#[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, !(word as u32))
}

/// Returns the time nearest to `near` that has these low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "only the low bits are compared")]
#[expect(clippy::cast_possible_wrap, reason = "a time shortly before `near` is a small negative distance")]
fn restore(low_bits: u32, near: u64) -> u64 {
    let distance = low_bits.wrapping_sub(near as u32) as i32;
    near.saturating_add_signed(i64::from(distance))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extremes(summary: CountSummary) -> (u32, u32, u64) {
        (summary.lowest, summary.highest, summary.highest_at)
    }

    #[test]
    fn the_gauge_keeps_the_first_time_of_the_highest_count() {
        let gauge = Gauge::new(100);
        gauge.record_rise(1, 101);
        gauge.record_rise(2, 102);
        gauge.record_fall(1);
        gauge.record_rise(2, 103);
        assert_eq!(extremes(gauge.collect(|| 2, 100, 200, 200)), (0, 2, 102));
        gauge.record_fall(1);
        gauge.record_rise(2, 250);
        assert_eq!(extremes(gauge.collect(|| 2, 200, 300, 500)), (1, 2, 200));
        assert_eq!(extremes(gauge.collect(|| 2, 500, 600, 600)), (2, 2, 500));
    }

    #[test]
    fn the_earlier_of_two_equal_counts_wins() {
        let gauge = Gauge::new(0);
        gauge.highest.fetch_max(pack(7, 20), Ordering::SeqCst);
        gauge.highest.fetch_max(pack(7, 10), Ordering::SeqCst);
        assert_eq!(extremes(gauge.collect(|| 7, 0, 60, 60)), (0, 7, 10));
    }

    #[test]
    fn the_time_is_restored_and_kept_within_the_period() {
        for from in [0, 59_999, (1 << 32) - 1, 1 << 32, 1_700_611_200_000] {
            let gauge = Gauge::new(from);
            gauge.record_rise(1, from + 59_000);
            assert_eq!(extremes(gauge.collect(|| 1, from, from + 60_000, from)), (0, 1, from + 59_000));
            gauge.record_rise(2, from.saturating_sub(3));
            assert_eq!(extremes(gauge.collect(|| 2, from, from + 60_000, from)), (1, 2, from));
            gauge.record_rise(3, from + 60_005);
            assert_eq!(extremes(gauge.collect(|| 3, from, from + 60_000, from)), (2, 3, from + 60_000));
        }
    }

    #[test]
    fn a_count_that_changes_during_a_collection_is_not_missed() {
        let gauge = Gauge::new(0);
        let reads = std::cell::Cell::new(0);
        // The count rises between the first read and the swap. That thread finds the old highest count, which is above.
        gauge.record_rise(9, 1);
        let present = || {
            reads.set(reads.get() + 1);
            if reads.get() == 1 { 3 } else { 4 }
        };
        assert_eq!(extremes(gauge.collect(present, 0, 60, 60)), (0, 9, 1));
        assert_eq!(extremes(gauge.collect(|| 3, 60, 120, 120)), (3, 4, 60));
    }
}
