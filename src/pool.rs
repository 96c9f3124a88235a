//! A pool of seats: a count under a limit, moved by one compare-and-swap, and a watch over how full it is.

use crate::config::LIMIT_MAX;
use crate::notice::LimitLevel;
use crate::sync::{Apart, AtomicU64, AtomicUsize, Ordering};

/// Stands for "no limit" inside.
const NO_LIMIT: u32 = LIMIT_MAX + 1;

/// A counter of seats under a limit.
///
/// Both live in one word, so that no interleaving of takers with a change of the limit lets anybody past it.
///
/// All threads meet here, and at nothing that stands beside it.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct SeatPool {
    /// The limit in the upper half, the seats in use in the lower.
    word: AtomicU64,
    pub(crate) watch: Apart<Watch>,
}

/// A seat that is held. Dropped, it is free again.
///
/// A connection's entry in its shard holds its seat without keeping this guard: [`keep`](Seat::keep) hands the seat
/// to the entry, and whoever removes the entry frees it with [`SeatPool::free`].
#[derive(Debug)]
#[must_use = "a seat that nobody keeps is free again"]
pub(crate) struct Seat<'a> {
    pool: &'a SeatPool,
    /// The seats in use with this one, at the moment at which it was taken.
    in_use: u32,
}

impl SeatPool {
    /// `percent`: of the limit, from which on it is nearly full.
    pub(crate) fn new(limit: Option<u32>, percent: u32) -> Self {
        let word = AtomicU64::new(pack(limit.unwrap_or(NO_LIMIT), 0));
        SeatPool { word, watch: Apart::new(Watch::new(limit, percent)) }
    }

    /// Takes one seat, unless as many as the limit are in use.
    pub(crate) fn try_take(&self) -> Option<Seat<'_>> {
        let take = |word| {
            let (limit, in_use) = unpack(word);
            (in_use < limit).then(|| word + 1)
        };
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        Some(Seat { pool: self, in_use: unpack(before).1 + 1 })
    }

    /// Whether a seat is free now.
    pub(crate) fn has_free(&self) -> bool {
        let (limit, in_use) = unpack(self.word.load(Ordering::Acquire));
        in_use < limit
    }

    /// Takes so many seats for connections that are there already, whatever the limit. Returns how many are in use then.
    pub(crate) fn add(&self, count: u32) -> u32 {
        let before = self.word.fetch_add(u64::from(count), Ordering::AcqRel);
        unpack(before).1 + count
    }

    /// Frees so many seats that were kept. Returns how many are in use then.
    pub(crate) fn free(&self, count: u32) -> u32 {
        let before = self.word.fetch_sub(u64::from(count), Ordering::AcqRel);
        unpack(before).1 - count
    }

    /// Changes the limit. Whoever holds a seat keeps it, also past a lower limit.
    pub(crate) fn set_limit(&self, limit: Option<u32>) {
        let set = |word| Some(pack(limit.unwrap_or(NO_LIMIT), unpack(word).1));
        // The closure never gives up, so there is no failure to look at.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, set);
        self.watch.set(limit);
    }

    pub(crate) fn limit(&self) -> Option<u32> {
        let limit = unpack(self.word.load(Ordering::Acquire)).0;
        (limit != NO_LIMIT).then_some(limit)
    }

    pub(crate) fn in_use(&self) -> u32 {
        unpack(self.word.load(Ordering::Acquire)).1
    }
}

impl Seat<'_> {
    /// Leaves the seat taken: from now on the connection's entry stands for it. Returns how many were in use with it.
    pub(crate) fn keep(self) -> u32 {
        let in_use = self.in_use;
        std::mem::forget(self);
        in_use
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.pool.free(1);
    }
}

/// Watches how full a pool is, and says so once at each turn: when it comes near its limit, when it first has to refuse
/// somebody, and when it is clear again, ten points of a hundred below where it came near. In between nothing is said, so
/// that a pool at its limit does not flap.
#[derive(Debug)]
pub(crate) struct Watch {
    percent: u32,
    /// Nearly full from so many on in the upper half; clear with fewer than so many in the lower.
    marks: AtomicU64,
    /// What was said last: 0 clear, 1 warning, 2 reached.
    said: AtomicUsize,
}

const CLEAR: usize = 0;
const WARNING: usize = 1;
const REACHED: usize = 2;

/// Points of a hundred between where a warning comes and where it goes.
const HYSTERESIS: u32 = 10;

impl Watch {
    pub(crate) fn new(limit: Option<u32>, percent: u32) -> Self {
        let watch = Watch { percent, marks: AtomicU64::new(0), said: AtomicUsize::new(CLEAR) };
        watch.set(limit);
        watch
    }

    pub(crate) fn set(&self, limit: Option<u32>) {
        let part = |percent: u32, limit: u32| u64::from(limit) * u64::from(percent);
        let near = |limit| part(self.percent, limit).div_ceil(100);
        // A limit of none is never clear, however few there are.
        let clear = |limit| u64::from(limit > 0) + part(self.percent.saturating_sub(HYSTERESIS), limit) / 100;
        let marks = limit.map_or(pack(NO_LIMIT, NO_LIMIT), |limit| near(limit).max(1) << 32 | clear(limit));
        self.marks.store(marks, Ordering::Release);
    }

    /// Whether a pool is nearly full with so many.
    #[inline]
    pub(crate) fn is_near(&self, in_use: u32) -> bool {
        in_use >= unpack(self.marks.load(Ordering::Acquire)).0
    }

    /// So many are in use after one was taken.
    pub(crate) fn rose(&self, in_use: u32) -> Option<LimitLevel> {
        (self.is_near(in_use) && self.turns(CLEAR, WARNING)).then_some(LimitLevel::Warning)
    }

    /// Somebody was refused.
    pub(crate) fn refused(&self) -> Option<LimitLevel> {
        (self.turns(CLEAR, REACHED) || self.turns(WARNING, REACHED)).then_some(LimitLevel::Reached)
    }

    /// Whether a pool is clear with so many and something else was said of it.
    #[inline]
    pub(crate) fn is_clear(&self, in_use: u32) -> bool {
        self.said.load(Ordering::Acquire) != CLEAR && in_use < unpack(self.marks.load(Ordering::Acquire)).1
    }

    /// So many are in use after one was freed.
    pub(crate) fn fell(&self, in_use: u32) -> Option<LimitLevel> {
        let turns = || self.turns(WARNING, CLEAR) || self.turns(REACHED, CLEAR);
        (self.is_clear(in_use) && turns()).then_some(LimitLevel::Clear)
    }

    /// So many are in use, and the limit was changed.
    pub(crate) fn turned(&self, in_use: u32) -> Option<LimitLevel> {
        self.fell(in_use).or_else(|| self.rose(in_use))
    }

    /// Whether it was `from` and is `to` now: of many threads one says so.
    fn turns(&self, from: usize, to: usize) -> bool {
        self.said.load(Ordering::Acquire) == from
            && self.said.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
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
    fn p1_seats_end_at_the_limit_and_come_back_by_drop() {
        let pool = SeatPool::new(Some(2), 70);
        let first = pool.try_take();
        let second = pool.try_take();
        assert!(first.is_some() && second.is_some() && pool.try_take().is_none());
        drop(first);
        assert_eq!(pool.in_use(), 1);
        assert!(pool.try_take().is_some());
    }

    #[test]
    fn a_kept_seat_comes_back_through_the_pool() {
        let pool = SeatPool::new(Some(1), 70);
        pool.try_take().unwrap().keep();
        assert!(pool.try_take().is_none());
        assert_eq!((pool.free(1), pool.in_use()), (0, 0));
    }

    #[test]
    fn a_watch_speaks_once_a_turn() {
        let watch = Watch::new(Some(10), 70);
        let rose: Vec<_> =
            (1..=10).filter_map(|count| watch.rose(count).map(|level| (count, level))).collect();
        assert_eq!(rose, [(7, LimitLevel::Warning)]);
        assert_eq!((watch.refused(), watch.refused()), (Some(LimitLevel::Reached), None));
        // Up and down between clear and full: nothing.
        assert_eq!((watch.fell(9), watch.rose(10), watch.refused(), watch.fell(7)), (None, None, None, None));
        assert_eq!((watch.fell(6), watch.fell(5)), (Some(LimitLevel::Clear), None));
        assert_eq!((watch.rose(6), watch.rose(7)), (None, Some(LimitLevel::Warning)));
        watch.set(None);
        assert_eq!((watch.fell(7), watch.rose(1 << 30)), (Some(LimitLevel::Clear), None));
        watch.set(Some(0));
        assert_eq!((watch.rose(0), watch.refused()), (None, Some(LimitLevel::Reached)));
        assert_eq!((watch.fell(0), watch.refused()), (None, None), "with no seat at all it is never clear");
    }

    #[test]
    fn a_lower_limit_leaves_those_who_are_in() {
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
