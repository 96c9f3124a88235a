//! Seats: how many connections may have an access at one time, counted by one compare-and-swap.

use crate::access::Access;
use crate::config::LIMIT_MAX;
use crate::sync::{AtomicU64, Ordering};

/// Stands for "no limit" inside.
const NO_LIMIT: u32 = LIMIT_MAX + 1;

/// The seats of the engine.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) edit: SeatPool,
    pub(crate) live: SeatPool,
}

impl Pools {
    /// Frees the seat that a connection with this access kept.
    pub(crate) fn free(&self, access: Access) {
        match access {
            Access::Edit => drop(self.edit.held()),
            Access::LiveView => drop(self.live.held()),
            Access::View => {}
        }
    }
}

/// A counter of seats under a limit.
///
/// Both live in one word, so that no interleaving of takers with a change of the limit lets anybody past it.
#[derive(Debug)]
pub(crate) struct SeatPool {
    /// The limit in the upper half, the seats in use in the lower.
    word: AtomicU64,
}

/// A seat that is held. Dropped, it is free again.
///
/// A connection's entry in its shard holds its seat without keeping this guard: [`keep`](Seat::keep) hands the seat
/// to the entry, and whoever removes the entry gets it back with [`SeatPool::held`].
#[derive(Debug)]
#[must_use = "a seat that nobody keeps is free again"]
pub(crate) struct Seat<'a> {
    pool: &'a SeatPool,
}

impl SeatPool {
    pub(crate) fn new(limit: Option<u32>) -> Self {
        SeatPool { word: AtomicU64::new(pack(limit.unwrap_or(NO_LIMIT), 0)) }
    }

    /// Takes one seat, unless as many as the limit are in use.
    pub(crate) fn try_take(&self) -> Option<Seat<'_>> {
        let take = |word| {
            let (limit, in_use) = unpack(word);
            (in_use < limit).then(|| word + 1)
        };
        self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        Some(Seat { pool: self })
    }

    /// The guard of a seat that was kept before.
    fn held(&self) -> Seat<'_> {
        Seat { pool: self }
    }

    /// Changes the limit. Whoever holds a seat keeps it, also past a lower limit.
    pub(crate) fn set_limit(&self, limit: Option<u32>) {
        let set = |word| Some(pack(limit.unwrap_or(NO_LIMIT), unpack(word).1));
        // The closure never gives up, so there is no failure to look at.
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, set);
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
    /// Leaves the seat taken: from now on the connection's entry stands for it.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.pool.word.fetch_sub(1, Ordering::AcqRel);
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
        let pool = SeatPool::new(Some(2));
        let first = pool.try_take();
        let second = pool.try_take();
        assert!(first.is_some() && second.is_some() && pool.try_take().is_none());
        drop(first);
        assert_eq!(pool.in_use(), 1);
        assert!(pool.try_take().is_some());
    }

    #[test]
    fn a_kept_seat_comes_back_through_the_pool() {
        let pool = SeatPool::new(Some(1));
        pool.try_take().unwrap().keep();
        assert!(pool.try_take().is_none());
        drop(pool.held());
        assert_eq!(pool.in_use(), 0);
    }

    #[test]
    fn a_lower_limit_leaves_those_who_are_in() {
        let pool = SeatPool::new(None);
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
        let pool = SeatPool::new(Some(3));
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
