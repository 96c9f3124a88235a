//! A pool of seats: a limit and the seats in use, in one word that is changed by compare-and-swap.

use super::watch::Watch;
use crate::limits::{LIMIT_MAX, Limit};
use crate::notice::Pool;
use crate::sync::{Apart, AtomicU64, Ordering};
use crate::work::{self, Item};

/// Stands for "no limit" in a word.
const NO_LIMIT: u32 = LIMIT_MAX + 1;
/// Marks a word while somebody waits for a seat.
const QUEUED: u64 = 1 << 31;

/// Seats under a limit, with the notices about it.
///
/// The limit and the seats in use are one word, so that no interleaving of takers with a change of the limit lets anybody
/// past it. All threads write this word, so it shares its cache line with nothing that they only read.
///
/// The word has a mark while somebody waits for a seat. Then no newcomer takes one, and none that is given back becomes free.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct SeatPool {
    /// The limit in the upper half, the seats in use in the lower, below the mark.
    word: AtomicU64,
    watch: Apart<Watch>,
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
    /// `watch` is of the same limit.
    pub(super) fn new(limit: Option<u32>, watch: Watch) -> Self {
        SeatPool { word: AtomicU64::new(pack(limit.unwrap_or(NO_LIMIT), 0)), watch: Apart::new(watch) }
    }

    /// Takes a seat. `None` if as many as the limit are in use. It `tells` that somebody is refused then.
    pub(super) fn try_take(&self, tells: bool) -> Option<SeatGuard<'_>> {
        let take = |word| is_free(word).then(|| word + 1);
        match self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
            Ok(before) => Some(SeatGuard { pool: self, in_use: in_use(before) + 1, kept: false }),
            Err(_) => {
                if tells {
                    self.watch.refused(|| self.read());
                }
                None
            }
        }
    }

    /// Takes a seat for somebody who waits. Returns how many are in use with it, or `None` if as many as the limit are.
    pub(super) fn take_in_turn(&self) -> Option<u32> {
        let take = |word| is_free(word & !QUEUED).then(|| word + 1);
        let in_use = in_use(self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).ok()?) + 1;
        self.tell(in_use);
        Some(in_use)
    }

    /// Returns true if a seat is free now, for a newcomer.
    pub(super) fn has_free(&self) -> bool {
        is_free(self.word.load(Ordering::SeqCst))
    }

    /// Returns true if a seat is free for somebody who waits.
    pub(super) fn has_room(&self) -> bool {
        is_free(self.word.load(Ordering::SeqCst) & !QUEUED)
    }

    /// Frees a seat that was kept. Returns how many are still in use.
    pub(super) fn free(&self) -> u32 {
        let in_use = in_use(self.word.fetch_sub(1, Ordering::SeqCst)) - 1;
        self.tell(in_use);
        in_use
    }

    /// The same of so many.
    pub(super) fn free_some(&self, seats: u32) {
        if seats > 0 {
            let in_use = in_use(self.word.fetch_sub(u64::from(seats), Ordering::SeqCst)) - seats;
            self.tell(in_use);
        }
    }

    /// The same as [`free`](Self::free), unless somebody waits.
    pub(super) fn free_unless_queued(&self) -> Option<u32> {
        let free = |word| (word & QUEUED == 0).then(|| word - 1);
        let in_use = in_use(self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, free).ok()?) - 1;
        self.tell(in_use);
        Some(in_use)
    }

    /// Somebody waits from now on, or nobody.
    pub(super) fn set_queued(&self, queued: bool) {
        if queued {
            self.word.fetch_or(QUEUED, Ordering::SeqCst);
        } else {
            self.word.fetch_and(!QUEUED, Ordering::SeqCst);
        }
    }

    /// Changes the limit. Whoever holds a seat keeps it.
    pub(super) fn set_limit(&self, limit: Option<u32>) {
        let set = |word| Some(pack(limit.unwrap_or(NO_LIMIT), 0) | word & u64::from(u32::MAX));
        let set = || {
            // The closure never gives up, so there is no failure to handle.
            let _ = self.word.fetch_update(Ordering::SeqCst, Ordering::SeqCst, set);
        };
        self.watch.set_limit(limit, set, || self.read());
    }

    /// The limit, and how many seats are in use.
    pub(super) fn read(&self) -> Limit {
        let word = self.word.load(Ordering::SeqCst);
        let limit = unpack(word).0;
        Limit { limit: (limit != NO_LIMIT).then_some(limit), in_use: in_use(word) }
    }

    /// Tells what the limit has come to with so many in use, if it has.
    fn tell(&self, in_use: u32) {
        work::item(self.item(), 1);
        if self.watch.is_due(in_use) {
            self.watch.update(|| self.read());
        }
    }
}

impl SeatPool {
    fn item(&self) -> Item {
        match self.watch.pool() {
            Pool::Live => Item::LiveSeat,
            Pool::Max => Item::CapSeat,
            _ => Item::EditSeat,
        }
    }
}

impl SeatGuard<'_> {
    /// Leaves the seat taken. It is freed by [`SeatPool::free`]. Returns how many seats were in use with it at the moment
    /// at which it was taken.
    pub(super) fn keep(mut self) -> u32 {
        self.kept = true;
        self.pool.tell(self.in_use);
        self.in_use
    }
}

impl Drop for SeatGuard<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.pool.free();
        }
    }
}

/// A count without a limit, on a cache line of its own.
///
/// Whoever changes it then looks at the gauge of usage, and a collection of usage resets the gauge and then looks here. All four
/// are sequentially consistent, so one of the two sees the other.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Adds one. Returns how many there are.
    pub(super) fn rise(&self) -> u32 {
        unpack(self.0.fetch_add(1, Ordering::SeqCst)).1 + 1
    }

    /// Takes one away. Returns how many are left.
    pub(super) fn fall(&self) -> u32 {
        unpack(self.0.fetch_sub(1, Ordering::SeqCst)).1 - 1
    }

    pub(super) fn get(&self) -> u32 {
        unpack(self.0.load(Ordering::SeqCst)).1
    }
}

/// A limit that nobody counts under here.
///
/// Whoever raises it then looks whether anybody waits, and whoever begins to wait then looks here once more. All four are
/// sequentially consistent, so one of the two sees the other, and nobody waits at a limit that has room.
#[derive(Debug)]
#[cfg_attr(test, derive(Default))]
pub(super) struct AtomicLimit(AtomicU64);

impl AtomicLimit {
    pub(super) fn new(limit: Option<u32>) -> Self {
        AtomicLimit(AtomicU64::new(limit.map_or(u64::MAX, u64::from)))
    }

    pub(super) fn get(&self) -> Option<u32> {
        u32::try_from(self.0.load(Ordering::SeqCst)).ok()
    }

    pub(super) fn set(&self, limit: Option<u32>) {
        self.0.store(limit.map_or(u64::MAX, u64::from), Ordering::SeqCst);
    }
}

fn pack(limit: u32, in_use: u32) -> u64 {
    u64::from(limit) << 32 | u64::from(in_use)
}

/// Returns true if a seat is free, for a newcomer.
fn is_free(word: u64) -> bool {
    word & QUEUED == 0 && in_use(word) < unpack(word).0
}

/// The seats in use. There are fewer than two billion.
fn in_use(word: u64) -> u32 {
    unpack(word & !QUEUED).1
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of the word")]
fn unpack(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::notices::NoticeBoard;

    fn pool(limit: Option<u32>) -> SeatPool {
        SeatPool::new(limit, Watch::new(Pool::Edit, limit, 70, Arc::new(NoticeBoard::new(0))))
    }

    #[test]
    fn p1_seats_end_at_the_limit_and_are_free_after_a_drop() {
        let pool = pool(Some(2));
        let first = pool.try_take(true);
        let second = pool.try_take(true);
        assert!(first.is_some() && second.is_some() && pool.try_take(true).is_none());
        drop(first);
        assert_eq!(pool.read().in_use, 1);
        assert!(pool.try_take(true).is_some());
    }

    #[test]
    fn a_kept_seat_is_freed_through_the_pool() {
        let pool = pool(Some(1));
        pool.try_take(true).unwrap().keep();
        assert!(pool.try_take(true).is_none());
        assert_eq!((pool.free(), pool.read().in_use), (0, 0));
    }

    #[test]
    fn a_lower_limit_leaves_those_who_hold_a_seat() {
        let pool = pool(None);
        assert_eq!(pool.read().limit, None);
        let inside: Vec<_> = (0..3).map_while(|_| pool.try_take(true)).collect();
        pool.set_limit(Some(1));
        assert_eq!((inside.len(), pool.read()), (3, Limit { limit: Some(1), in_use: 3 }));
        drop(inside);
        let one = pool.try_take(true);
        assert!(one.is_some() && pool.try_take(true).is_none());
        pool.set_limit(Some(0));
        assert!(pool.try_take(true).is_none());
    }

    #[test]
    fn p1_threads_never_pass_the_limit() {
        let pool = pool(Some(3));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..if cfg!(miri) { 10 } else { 2_000 } {
                        let seat = pool.try_take(true);
                        assert!(pool.read().in_use <= 3);
                        drop(seat);
                    }
                });
            }
        });
        assert_eq!(pool.read().in_use, 0);
    }

    /// Runs two calls in two threads, again and again. Each writes something and then reads what the other one writes: one
    /// of the two sees the other.
    fn one_sees_the_other<T: Default + Sync>(one: fn(&T) -> bool, other: fn(&T) -> bool) {
        for round in 0..if cfg!(miri) { 20 } else { 1_000 } {
            let (shared, done) = (T::default(), AtomicBool::new(false));
            std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    let sees = one(&shared);
                    // No pair: the other thread may read old values.
                    done.store(true, Ordering::Relaxed);
                    sees
                });
                // No pair: every other time the calls come one after the other, but nothing orders their memory.
                while round % 2 == 0 && !done.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                let sees = other(&shared);
                assert!(thread.join().unwrap() || sees);
            });
        }
    }

    #[test]
    fn a_thread_that_rises_sees_a_collection_of_usage_or_is_seen_by_it() {
        one_sees_the_other::<(Count, AtomicBool)>(
            |(count, is_reset)| count.rise() == 1 && is_reset.load(Ordering::SeqCst),
            |(count, is_reset)| {
                is_reset.store(true, Ordering::SeqCst);
                count.get() == 1
            },
        );
    }

    #[test]
    fn p12_a_thread_that_raises_a_limit_sees_who_waits_or_is_seen_by_it() {
        one_sees_the_other::<(AtomicLimit, AtomicBool)>(
            |(limit, waits)| {
                limit.set(Some(2));
                waits.load(Ordering::SeqCst)
            },
            |(limit, waits)| {
                waits.store(true, Ordering::SeqCst);
                limit.get() == Some(2)
            },
        );
    }
}
