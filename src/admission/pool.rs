//! A pool of seats: a limit and the seats in use, in one word that is changed by compare-and-swap.

use super::watch::Watch;
use crate::limits::LIMIT_MAX;
use crate::sync::{Apart, AtomicU64, Ordering};

/// Stands for "no limit" in a word.
const NO_LIMIT: u32 = LIMIT_MAX + 1;

/// Seats under a limit.
///
/// The limit and the seats in use are one word, so that no interleaving of takers with a change of the limit lets anybody
/// past it. All threads write this word, so it shares its cache line with nothing that they only read.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct SeatPool {
    /// The limit in the upper half, the seats in use in the lower.
    word: AtomicU64,
    pub(super) watch: Apart<Watch>,
}

/// A seat that was taken. It is free again when this is dropped, unless it is [kept](Self::keep).
#[derive(Debug)]
#[must_use = "a seat that is dropped is free again"]
pub(super) struct SeatGuard<'a> {
    pool: &'a SeatPool,
    in_use: u32,
    kept: bool,
}

impl SeatPool {
    /// The pool warns from `percent` of its limit on.
    pub(super) fn new(limit: Option<u32>, percent: u32) -> Self {
        let word = AtomicU64::new(pack(limit.unwrap_or(NO_LIMIT), 0));
        SeatPool { word, watch: Apart::new(Watch::new(limit, percent)) }
    }

    /// Takes a seat. `None` if as many as the limit are in use.
    pub(super) fn try_take(&self) -> Option<SeatGuard<'_>> {
        let take = |word| {
            let (limit, in_use) = unpack(word);
            (in_use < limit).then(|| word + 1)
        };
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        Some(SeatGuard { pool: self, in_use: unpack(before).1 + 1, kept: false })
    }

    /// Returns true if a seat is free now.
    pub(super) fn has_free(&self) -> bool {
        let (limit, in_use) = unpack(self.word.load(Ordering::Acquire));
        in_use < limit
    }

    /// Takes seats whatever the limit. Returns how many are in use with them.
    pub(super) fn add(&self, count: u32) -> u32 {
        let before = self.word.fetch_add(u64::from(count), Ordering::AcqRel);
        unpack(before).1 + count
    }

    /// Frees seats that were kept or added. Returns how many are still in use.
    pub(super) fn free(&self, count: u32) -> u32 {
        let before = self.word.fetch_sub(u64::from(count), Ordering::AcqRel);
        unpack(before).1 - count
    }

    /// Changes the limit. Whoever holds a seat keeps it.
    pub(super) fn set_limit(&self, limit: Option<u32>) {
        let set = |word| Some(pack(limit.unwrap_or(NO_LIMIT), unpack(word).1));
        // The closure never gives up, so there is no failure to handle.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, set);
        self.watch.set(limit);
    }

    pub(super) fn limit(&self) -> Option<u32> {
        let limit = unpack(self.word.load(Ordering::Acquire)).0;
        (limit != NO_LIMIT).then_some(limit)
    }

    pub(super) fn in_use(&self) -> u32 {
        unpack(self.word.load(Ordering::Acquire)).1
    }
}

impl SeatGuard<'_> {
    /// Leaves the seat taken. It is freed by [`SeatPool::free`]. Returns how many seats were in use with it at the moment
    /// at which it was taken.
    pub(super) fn keep(mut self) -> u32 {
        self.kept = true;
        self.in_use
    }
}

impl Drop for SeatGuard<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.pool.free(1);
        }
    }
}

/// A limit that nobody counts under here.
#[derive(Debug)]
pub(super) struct AtomicLimit(AtomicU64);

impl AtomicLimit {
    pub(super) fn new(limit: Option<u32>) -> Self {
        AtomicLimit(AtomicU64::new(limit.map_or(u64::MAX, u64::from)))
    }

    pub(super) fn get(&self) -> Option<u32> {
        u32::try_from(self.0.load(Ordering::Acquire)).ok()
    }

    pub(super) fn set(&self, limit: Option<u32>) {
        self.0.store(limit.map_or(u64::MAX, u64::from), Ordering::Release);
    }
}

fn pack(limit: u32, in_use: u32) -> u64 {
    u64::from(limit) << 32 | u64::from(in_use)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_seats_end_at_the_limit_and_are_free_after_a_drop() {
        let pool = SeatPool::new(Some(2), 70);
        let first = pool.try_take();
        let second = pool.try_take();
        assert!(first.is_some() && second.is_some() && pool.try_take().is_none());
        drop(first);
        assert_eq!(pool.in_use(), 1);
        assert!(pool.try_take().is_some());
    }

    #[test]
    fn a_kept_seat_is_freed_through_the_pool() {
        let pool = SeatPool::new(Some(1), 70);
        pool.try_take().unwrap().keep();
        assert!(pool.try_take().is_none());
        assert_eq!((pool.free(1), pool.in_use()), (0, 0));
    }

    #[test]
    fn a_lower_limit_leaves_those_who_hold_a_seat() {
        let pool = SeatPool::new(None, 70);
        assert_eq!(pool.limit(), None);
        let inside: Vec<_> = (0..3).map_while(|_| pool.try_take()).collect();
        pool.set_limit(Some(1));
        assert_eq!((inside.len(), pool.in_use(), pool.limit()), (3, 3, Some(1)));
        drop(inside);
        let one = pool.try_take();
        assert!(one.is_some() && pool.try_take().is_none());
        pool.set_limit(Some(0));
        assert!(pool.try_take().is_none());
    }

    #[test]
    fn p1_threads_never_pass_the_limit() {
        let pool = SeatPool::new(Some(3), 70);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let seat = pool.try_take();
                        assert!(pool.in_use() <= 3);
                        drop(seat);
                    }
                });
            }
        });
        assert_eq!(pool.in_use(), 0);
    }
}
