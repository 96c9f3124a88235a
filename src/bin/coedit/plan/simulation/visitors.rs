//! Who comes, and what became of the opens.

use coedit::Timestamp;

/// Who comes on the simulated day.
#[derive(Clone, Copy)]
pub(crate) struct Visitors {
    /// The load of the busiest hour, in erlangs.
    pub(crate) load: f64,
    /// The mean stay in minutes.
    pub(crate) stay: f64,
    /// `None` if nothing is known but the load.
    pub(crate) group: Option<Group>,
}

/// A group of known size. Each document of a user is open once or not at all.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    pub(crate) users: u32,
    /// The number of users times the documents of each.
    pub(crate) documents: u32,
}

/// The number of opens, and how many of them fell back to view-only.
#[derive(Clone, Copy, Default)]
pub(crate) struct OpenCount {
    pub(crate) opens: u32,
    pub(crate) fallbacks: u32,
}

impl OpenCount {
    /// Returns the share of the opens that fell back.
    pub(crate) fn share(self) -> f64 {
        f64::from(self.fallbacks) / f64::from(self.opens.max(1))
    }
}

/// Returns the time some minutes after another.
pub(super) fn after(from: Timestamp, minutes: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
    let millis = (minutes * 60_000.0) as u64;
    Timestamp::from_millis(from.as_millis().saturating_add(millis))
}
