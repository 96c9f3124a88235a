//! The busiest hour and the busiest quarter of an hour, which slide by minutes.
//!
//! The last sixty minutes are kept one by one. At the end of each minute, the hour and the quarter that end with it are
//! offered to the buckets in which they begin. Each bucket keeps the busiest. So a window finds the busiest of all that
//! begin within it, and the cost does not depend on the traffic.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::busy_load::{BusyLoad, BusyLoads, LENGTHS, MINUTE};
use super::totals::{PeriodTotals, Present};
use crate::access::Access;

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
        let minute = present.busy_load(from / MINUTE, 1);
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
