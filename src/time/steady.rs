//! Steady time: what delays, pauses and time-outs run on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// A moment of steady time, in milliseconds. Steady time never goes back, whatever happens to the wall clock.
///
/// It begins with the wall time at which the engine began. So with a manual clock both are the same number, and buckets of
/// steady time begin at midnight until the wall clock is corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Later than every other moment.
    pub(crate) const NEVER: Moment = Moment(u64::MAX);

    pub(crate) const fn from_millis(millis: u64) -> Self {
        Moment(millis)
    }

    pub(crate) const fn as_millis(self) -> u64 {
        self.0
    }

    /// This moment plus `duration`, rounded up to whole milliseconds, so that no delay gets shorter.
    pub(crate) fn after(self, duration: Duration) -> Self {
        let millis = u64::from(duration.subsec_nanos().div_ceil(1_000_000));
        Moment(self.0.saturating_add(duration.as_secs().saturating_mul(1000)).saturating_add(millis))
    }

    /// This moment less `duration`.
    pub(crate) fn before(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Moment(self.0.saturating_sub(millis))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub(crate) fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The present time, in both kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Now {
    /// What delays run on.
    pub(crate) steady: Moment,
    /// What is told: the time of a change, the day on which a named user came.
    pub(crate) wall: Timestamp,
}

impl Now {
    /// What the wall clock shows at `moment`, or would have shown, if it runs as it does now.
    pub(crate) fn wall_at(self, moment: Moment) -> Timestamp {
        let ahead = self.wall.after(moment.since(self.steady));
        Timestamp::from_millis(ahead.as_millis().saturating_sub(self.steady.0.saturating_sub(moment.0)))
    }
}
