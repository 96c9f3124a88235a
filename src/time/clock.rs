//! The clocks: the trait, the system's clock, and one that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::Timestamp;

/// Tells the engine the time.
///
/// The engine uses two kinds of time:
///
/// - *Wall time* ([`now`](Self::now)) labels what is told, such as `lastsave`, and counts calendar days and months. It may be
///   set back or ahead at any moment.
/// - *Steady time* ([`steady`](Self::steady)) runs save delays, pauses, time-outs, idle time, and the windows of
///   [`Usage`](crate::Usage). It never goes back and never jumps.
///
/// A clock may show the wall time alone. The engine then adds up its forward steps: a step back adds nothing, but a step
/// ahead counts as time that has passed, and delays end early. Implement `steady` to avoid that.
///
/// The engine calls a clock from any thread, and holds no lock while it does.
///
/// ```
/// use coedit::{Clock, Timestamp};
/// use std::time::{Duration, Instant, SystemTime};
///
/// struct HostClock(Instant);
///
/// impl Clock for HostClock {
///     fn now(&self) -> Timestamp {
///         SystemTime::now().into()
///     }
///
///     fn steady(&self) -> Option<Duration> {
///         Some(self.0.elapsed())
///     }
/// }
///
/// let clock = HostClock(Instant::now());
/// assert!(clock.now() > Timestamp::default() && clock.steady() <= clock.steady());
/// ```
pub trait Clock: Send + Sync + 'static {
    /// Returns what the wall clock shows. It may go back between two calls, or jump ahead.
    ///
    /// It should cost tens of nanoseconds.
    fn now(&self) -> Timestamp;

    /// Returns the wall time with an error of some milliseconds. Default: the same as [`now`](Self::now).
    ///
    /// The engine calls it in every open, close and change, unless the clock tells [`steady`](Self::steady) time. Then it
    /// calls [`coarse_steady`](Self::coarse_steady) instead, and `now` once a second. Override it if there is a cheaper way.
    fn coarse(&self) -> Timestamp {
        self.now()
    }

    /// Returns the time since a fixed moment, on a clock that never goes back. Default: `None`, there is no such clock.
    ///
    /// A clock returns `Some` always or never. The moment may be any, such as the start of the machine. Whether the time
    /// goes on while the machine is suspended is up to the clock.
    fn steady(&self) -> Option<Duration> {
        None
    }

    /// Returns [`steady`](Self::steady) time with an error of some milliseconds. Default: the same as `steady`.
    ///
    /// The engine calls it in every open, close and change: for its usage statistics, for when a user was last active, and
    /// for when a document was last changed. A delay that begins with such a call may be wrong by as much as the error.
    /// Override it if there is a cheaper way.
    fn coarse_steady(&self) -> Option<Duration> {
        self.steady()
    }

    /// Returns true if the host sets the time, and so expects reproducible runs. Default: false.
    ///
    /// If true, the engine hashes document keys in the same way in every run. Do not use that where strangers choose
    /// the keys: they could choose keys with equal hashes.
    fn is_manual(&self) -> bool {
        false
    }
}

/// The system's clocks: its wall clock, and its monotonic clock for steady time.
///
/// It follows the wall clock: after a correction, or after the machine was suspended, labels are right again within a second.
/// Delays do not notice. Whether a delay goes on while the machine is suspended depends on the system: on Linux and macOS
/// it stands still, as the [`Instant`] of the standard library does.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
    started_coarse: coarsetime::Instant,
}

impl SystemClock {
    /// Makes a clock. Its steady time begins now.
    pub fn new() -> Self {
        let started_coarse = coarsetime::Instant::now_without_cache_update();
        SystemClock { started: Instant::now(), started_coarse }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn steady(&self) -> Option<Duration> {
        Some(self.started.elapsed())
    }

    /// Returns the time of the operating system's last tick, 1 to 10 ms ago. It costs a quarter of
    /// [`steady`](Self::steady).
    fn coarse_steady(&self) -> Option<Duration> {
        if cfg!(target_vendor = "apple") {
            // The coarse clock there goes on while the machine is suspended, and the precise one does not.
            return self.steady();
        }
        let passed = coarsetime::Instant::now_without_cache_update().duration_since(self.started_coarse);
        Some(passed.into())
    }
}

/// A clock that moves only when it is told to: for tests, simulations and replays. Steady time and wall time are the same.
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

    fn steady(&self) -> Option<Duration> {
        (**self).steady()
    }

    fn coarse_steady(&self) -> Option<Duration> {
        (**self).coarse_steady()
    }

    fn is_manual(&self) -> bool {
        (**self).is_manual()
    }
}
