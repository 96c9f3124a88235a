//! The busiest hour and the busiest quarter of an hour, which slide by minutes.
//!
//! The last sixty minutes are kept one by one. At the end of each minute, the hour and the quarter that end with it are
//! offered to the buckets in which they begin. Each bucket keeps the busiest. So a window finds the busiest of all that
//! begin within it, and the cost does not depend on the traffic.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::BusyPeriod;
use super::buckets::MINUTE;
use super::totals::{PeriodTotals, Present, wall_at};
use crate::access::Access;
use crate::time::Now;

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
    edit: u64,
    /// Users who had no edit access for want of a seat of the engine, times milliseconds.
    denied: u64,
    /// The highest number of edit connections.
    highest: u32,
    /// The opens that got edit access.
    edits: u32,
    /// The users whom the engine's limit refused edit access.
    refused: u32,
}

impl BusyLoad {
    /// A period of so many minutes in which nothing changed.
    pub(super) fn constant(start: u64, minutes: u64, present: &Present) -> Self {
        let time = minutes * MINUTE;
        let highest = present.counts[Access::Edit.index()];
        let (edit, denied) = (u64::from(highest) * time, u64::from(present.denied[0]) * time);
        BusyLoad { start, edit, denied, highest, edits: 0, refused: 0 }
    }

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
    fn add(&mut self, minute: &BusyLoad) {
        self.edit += minute.edit;
        self.denied += minute.denied;
        self.highest = self.highest.max(minute.highest);
        self.edits = self.edits.saturating_add(minute.edits);
        self.refused = self.refused.saturating_add(minute.refused);
    }

    /// Takes one minute away at the beginning, and adds one at the end.
    fn slide(&mut self, left: &BusyLoad, minute: &BusyLoad) {
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
        let from = wall_at(now, (start * MINUTE).max(since));
        (offered > 0.0).then_some(BusyPeriod { from, average, offered, max: highest, edits, refused })
    }
}

/// The last minutes, the oldest first: as many as the longest sliding period has. The last one may not be over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct RecentMinutes {
    minutes: VecDeque<BusyLoad>,
    /// The periods that end with the last minute. They are summed up as minutes come and go, so that an idle hour costs as
    /// much as an hour of minutes.
    #[serde(skip)]
    sums: BusyLoads,
}

impl RecentMinutes {
    pub(super) fn new() -> Self {
        RecentMinutes { minutes: VecDeque::with_capacity(KEPT), sums: BusyLoads::default() }
    }

    /// Adds what happened in (a part of) the minute that contains `from`.
    pub(super) fn add(&mut self, from: u64, totals: &PeriodTotals) {
        let edit = &totals.connections[Access::Edit.index()];
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        self.push(&BusyLoad {
            start: from / MINUTE,
            edit: u64::try_from(edit.area).unwrap_or(u64::MAX >> 8),
            denied: totals.denials.lost[0],
            highest: edit.highest,
            edits: narrow(totals.edits),
            refused: totals.denials.refused[0],
        });
    }

    /// Adds (a part of) a minute in which nothing changed.
    pub(super) fn add_idle(&mut self, from: u64, to: u64, present: &Present) {
        let minute = BusyLoad::constant(from / MINUTE, 1, present);
        let part = |area: u64| area / MINUTE * (to - from);
        self.push(&BusyLoad { edit: part(minute.edit), denied: part(minute.denied), ..minute });
    }

    fn push(&mut self, minute: &BusyLoad) {
        if let Some(last) = self.minutes.back_mut().filter(|last| last.start >= minute.start) {
            last.add(minute);
            self.sums.iter_mut().for_each(|sum| sum.add(minute));
            return;
        }
        let follows = self.minutes.back().is_some_and(|last| last.start + 1 == minute.start);
        if !follows {
            self.minutes.clear();
        }
        let left = LENGTHS.map(|length| {
            let at = self.minutes.len().checked_sub(usize::try_from(length).unwrap_or(KEPT))?;
            self.minutes.get(at).copied()
        });
        if self.minutes.len() == KEPT {
            self.minutes.pop_front();
        }
        self.minutes.push_back(*minute);
        for (place, left) in left.into_iter().enumerate() {
            let is_highest =
                |left: &BusyLoad| left.highest >= self.sums[place].highest && left.highest > minute.highest;
            match left {
                Some(left) if !is_highest(&left) => self.sums[place].slide(&left, minute),
                _ => self.sums[place] = self.sum(LENGTHS[place]),
            }
        }
    }

    /// The periods that end with the last minute. Time before the first minute counts as idle.
    pub(super) fn loads(&self) -> &BusyLoads {
        &self.sums
    }

    /// The last minutes, as many as `length`.
    fn sum(&self, length: u64) -> BusyLoad {
        let end = self.minutes.back().map_or(0, |last| last.start + 1);
        let start = end.saturating_sub(length);
        let mut load = BusyLoad { start, ..BusyLoad::default() };
        let inside = self.minutes.iter().rev().take_while(|minute| minute.start >= start);
        inside.for_each(|minute| load.add(minute));
        load
    }

    /// Sums up what a snapshot holds.
    pub(super) fn restored(&mut self) {
        self.sums = LENGTHS.map(|length| self.sum(length));
    }

    pub(super) fn move_back(&mut self, by: u64) {
        self.minutes.iter_mut().for_each(|minute| minute.move_back(by));
        self.restored();
    }

    /// Checks that no more are kept than may be, in order, and that their sums fit.
    pub(super) fn is_in_order(&self, end: u64) -> bool {
        let starts = || self.minutes.iter().map(|minute| minute.start);
        self.minutes.len() <= KEPT
            && starts().zip(starts().skip(1)).all(|(one, next)| one + 1 == next)
            && starts().all(|start| start <= end / MINUTE)
            && self.minutes.iter().all(BusyLoad::fits)
    }

    /// The allocated bytes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.minutes.capacity() * size_of::<BusyLoad>()
    }
}

/// So many minutes are kept.
const KEPT: usize = 60;
