//! A clock that tells steady time: what it has told so far, and how the wall clock differs from it.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::{Clock, Moment, Now, Timestamp};

/// Turns the steady time of a clock into moments, and follows its wall clock.
#[derive(Debug)]
pub(super) struct Follower {
    /// What the clock's steady time was at the beginning, and the moment of that.
    began: (Duration, u64),
    /// The latest moment. A clock with two sources of time may be a few milliseconds apart from itself.
    latest: AtomicU64,
    /// Wall time less steady time, in milliseconds.
    offset: AtomicI64,
    /// When a coarse reading looks at the wall clock again.
    look_again_at: AtomicU64,
}

/// So often a coarse reading looks at the wall clock, in milliseconds.
const LOOK_AGAIN: u64 = 1_000;

/// The wall clock is taken to run with the steady one if it is off by no more than this, in milliseconds: they are read
/// one after the other, and in whole milliseconds. It keeps the offset from being written all the time.
const NOISE: u64 = 2;

impl Follower {
    /// `steady` and `wall` are what the clock shows.
    pub(super) fn new(steady: Duration, wall: Timestamp) -> Self {
        let start = wall.as_millis();
        Follower {
            began: (steady, start),
            latest: AtomicU64::new(start),
            offset: AtomicI64::new(0),
            look_again_at: AtomicU64::new(start.saturating_add(LOOK_AGAIN)),
        }
    }

    pub(super) fn now(&self, clock: &dyn Clock) -> Now {
        let steady = self.moment(clock.steady());
        let wall = clock.now();
        let offset = wall.as_millis().cast_signed().saturating_sub_unsigned(steady);
        if offset.abs_diff(self.offset.load(Ordering::SeqCst)) > NOISE {
            self.offset.store(offset, Ordering::SeqCst);
        }
        Now { steady: Moment::from_millis(steady), wall }
    }

    /// Reads the coarse steady time alone. The wall time follows from what the wall clock showed within the last second.
    pub(super) fn coarse(&self, clock: &dyn Clock) -> Now {
        let steady = self.moment(clock.coarse_steady());
        if steady >= self.look_again_at.load(Ordering::SeqCst) {
            self.look_again_at.store(steady.saturating_add(LOOK_AGAIN), Ordering::SeqCst);
            return self.now(clock);
        }
        let wall = steady.saturating_add_signed(self.offset.load(Ordering::SeqCst));
        Now { steady: Moment::from_millis(steady), wall: Timestamp::from_millis(wall) }
    }

    /// The moment of a reading of steady time, in milliseconds. Never before an earlier result in the same thread.
    fn moment(&self, reading: Option<Duration>) -> u64 {
        let (began, start) = self.began;
        let passed = reading.map_or(Duration::ZERO, |steady| steady.saturating_sub(began));
        let passed = passed.as_secs().saturating_mul(1000).saturating_add(u64::from(passed.subsec_millis()));
        let moment = start.saturating_add(passed);
        let latest = self.latest.load(Ordering::SeqCst);
        if moment > latest { self.latest.fetch_max(moment, Ordering::SeqCst).max(moment) } else { latest }
    }
}
