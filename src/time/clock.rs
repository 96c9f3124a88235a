//! The clocks: the trait, the system's clock, and one that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Timestamp;

/// Tells the engine the time.
///
/// The engine calls it from any thread, and holds no lock while it does.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    ///
    /// It should cost tens of nanoseconds. It may go back between two calls; the engine's time of a document does not.
    fn now(&self) -> Timestamp;

    /// Returns the current time with an error of some milliseconds. Default: the same as [`now`](Self::now).
    ///
    /// The engine calls it in every open, close and change: for its usage statistics, for when a user was last active,
    /// and for when a document was last changed. A save delay, or an interval of force saves, that begins with such a call
    /// counts from it, and so may end some milliseconds early. Override it if there is a cheaper way.
    fn coarse(&self) -> Timestamp {
        self.now()
    }

    /// Returns true if the host sets the time, and so expects reproducible runs. Default: false.
    ///
    /// If true, the engine hashes document keys in the same way in every run. Do not use that where strangers choose
    /// the keys: they could choose keys with equal hashes.
    fn is_manual(&self) -> bool {
        false
    }
}

/// The system's clock. It reads the wall clock once, in [`new`](Self::new), and is monotonic from then on.
///
/// So a wall clock that is set back delays no save. On the other hand the clock does not follow later corrections of the
/// wall clock: the times in callbacks keep the error that the wall clock had at the start.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
    started_coarse: coarsetime::Instant,
    wall_at_start: Timestamp,
}

impl SystemClock {
    /// Makes a clock that starts at the current wall time.
    pub fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_at_start = Timestamp::from_millis(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
        let started_coarse = coarsetime::Instant::now_without_cache_update();
        SystemClock { started: Instant::now(), started_coarse, wall_at_start }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp::from_millis(self.wall_at_start.0.saturating_add(millis))
    }

    /// Returns the time of the operating system's last tick, 1 to 10 ms ago. It costs a quarter of [`now`](Self::now).
    fn coarse(&self) -> Timestamp {
        let passed = coarsetime::Instant::now_without_cache_update().duration_since(self.started_coarse);
        Timestamp::from_millis(self.wall_at_start.0.saturating_add(passed.as_millis()))
    }
}

/// A clock that moves only when it is told to: for tests, simulations and replays.
///
/// ```
/// use coedit::{Clock, ManualClock, Timestamp};
/// use std::time::Duration;
///
/// let clock = ManualClock::new(Timestamp::from_millis(1_000));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.now(), Timestamp::from_millis(3_000));
/// ```
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Makes a clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        ManualClock(AtomicU64::new(start.0))
    }

    /// Moves the clock forward by `duration`, rounded up to whole milliseconds.
    pub fn advance(&self, duration: Duration) {
        let later = |now| Some(Timestamp(now).after(duration).0);
        // The closure always returns a value, so this cannot fail.
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
    }

    /// Moves the clock forward to `time`. Does nothing if the clock is there or later.
    pub fn move_to(&self, time: Timestamp) {
        self.0.fetch_max(time.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn is_manual(&self) -> bool {
        true
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn coarse(&self) -> Timestamp {
        (**self).coarse()
    }

    fn is_manual(&self) -> bool {
        (**self).is_manual()
    }
}
