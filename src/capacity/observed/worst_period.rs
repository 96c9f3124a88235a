//! The worst hour or day of a recording.

use crate::time::Timestamp;

/// An hour, in milliseconds.
pub(super) const HOUR: u64 = 3_600_000;

/// The worst hour or day of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorstPeriod {
    /// When the hour or day begins.
    pub from: Timestamp,
    /// The number of opens in it.
    pub opens: u64,
    /// How many of them would have fallen back.
    pub fallbacks: u64,
}

impl WorstPeriod {
    /// The share of the opens in this period that would have fallen back.
    pub fn share(&self) -> f64 {
        ratio(self.fallbacks, self.opens)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
pub(super) fn ratio(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}
