//! The load of one sliding period.

use serde::{Deserialize, Serialize};

use super::BusyPeriod;
use crate::time::{Moment, Now};

/// A minute, in milliseconds.
pub(super) const MINUTE: u64 = 60_000;

/// The lengths of the sliding periods, in minutes.
pub(super) const LENGTHS: [u64; 2] = [60, 15];

/// The busiest period of each of the [`LENGTHS`].
pub(super) type BusyLoads = [BusyLoad; LENGTHS.len()];

/// The load of one sliding period. The default value is that of an idle one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BusyLoad {
    /// The number of its first minute.
    pub(super) start: u64,
    /// Edit connections times milliseconds.
    pub(super) edit: u64,
    /// Users who had no edit access for want of a seat of the engine, times milliseconds.
    pub(super) denied: u64,
    /// The highest number of edit connections.
    pub(super) highest: u32,
    /// The opens that got edit access.
    pub(super) edits: u32,
    /// The users whom the engine's limit refused edit access.
    pub(super) refused: u32,
}

impl BusyLoad {
    /// Keeps the busier of two periods. Of equally busy ones, that which refused more, and then the earlier one. What is
    /// known of the same period later replaces what was known before.
    pub(super) fn keep_busier(&mut self, other: &BusyLoad) {
        let rank = |load: &BusyLoad| (load.edit + load.denied, load.refused);
        let (ours, theirs) = (rank(self), rank(other));
        let is_busier = theirs > ours || (theirs == ours && theirs.0 > 0 && other.start < self.start);
        if is_busier || (other.start == self.start && theirs == ours) {
            *self = *other;
        }
    }

    /// Returns true if nobody edited or wanted to.
    pub(super) fn is_idle(&self) -> bool {
        self.edit == 0 && self.denied == 0 && self.refused == 0
    }

    /// Adds one more minute, with the same first minute.
    pub(super) fn add(&mut self, minute: &BusyLoad) {
        self.edit += minute.edit;
        self.denied += minute.denied;
        self.highest = self.highest.max(minute.highest);
        self.edits = self.edits.saturating_add(minute.edits);
        self.refused = self.refused.saturating_add(minute.refused);
    }

    /// Takes one minute away at the beginning, and adds one at the end.
    pub(super) fn slide(&mut self, left: &BusyLoad, minute: &BusyLoad) {
        self.add(minute);
        self.start += 1;
        self.edit = self.edit.saturating_sub(left.edit);
        self.denied = self.denied.saturating_sub(left.denied);
        self.edits = self.edits.saturating_sub(left.edits);
        self.refused = self.refused.saturating_sub(left.refused);
    }

    /// Returns true if sums of a few such do not overflow.
    pub(super) fn fits(&self) -> bool {
        [self.start, self.edit, self.denied].into_iter().all(|number| number < 1 << 56)
    }

    /// Moves the beginning back by so many milliseconds.
    pub(super) fn move_back(&mut self, by: u64) {
        self.start = self.start.saturating_sub(by.div_ceil(MINUTE));
    }

    /// `None` if nobody edited and nobody wanted to.
    #[expect(clippy::cast_precision_loss, reason = "exact for up to two billion connections")]
    pub(super) fn report(&self, minutes: u64, since: u64, now: Now) -> Option<BusyPeriod> {
        let BusyLoad { start, edit, denied, highest, edits, refused } = *self;
        let time = (minutes * MINUTE) as f64;
        let (average, denied) = (edit as f64 / time, denied as f64 / time);
        // Those who left soon would have stayed as long as the others, but not beyond the period.
        let (refused_count, edits_count) = (f64::from(refused), f64::from(edits));
        let as_others = if edits == 0 { 1.0 } else { (average / edits_count).min(1.0) };
        let offered = average + denied.max(refused_count * as_others);
        let from = now.wall_at(Moment::from_millis((start * MINUTE).max(since)));
        (offered > 0.0).then_some(BusyPeriod { from, average, offered, max: highest, edits, refused })
    }
}
