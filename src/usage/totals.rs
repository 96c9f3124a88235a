//! What happened in a period, and what a report says of it.

use serde::{Deserialize, Serialize};

use super::busy_load::{BusyLoad, BusyLoads, MINUTE};
use super::denied::{DenialTotals, LIMITS};
use super::sketch::Sketch;
use super::{Level, Waits};
use crate::access::{Access, REASONS};
use crate::time::{Moment, Now, Timestamp};

/// The number of connections with one access over a period.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct CountSummary {
    /// Connections times milliseconds.
    pub(super) area: u128,
    pub(super) lowest: u32,
    pub(super) highest: u32,
    /// The time at which the highest count was first reached, in milliseconds.
    pub(super) highest_at: u64,
}

/// What happened in a period. The default value is that of an empty period.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct PeriodTotals {
    /// By access, from view to edit.
    pub(super) connections: [CountSummary; 3],
    pub(super) opens: u64,
    /// The opens that got edit access.
    pub(super) edits: u64,
    pub(super) fallbacks: [u64; REASONS.len()],
    #[serde(default)]
    pub(super) waits: WaitTotals,
    #[serde(default)]
    pub(super) denials: DenialTotals,
    /// The busiest of the sliding periods that begin in this one.
    #[serde(default)]
    pub(super) busiest: BusyLoads,
    /// The users who opened.
    pub(super) users: Sketch,
}

/// What stays as it is while nothing happens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Present {
    /// Connections, by access.
    pub(super) counts: [u32; 3],
    /// Users whom a limit refused edit access, by limit.
    pub(super) denied: [u32; LIMITS.len()],
}

impl Present {
    /// A sliding period of so many minutes in which nothing changed.
    pub(super) fn busy_load(&self, start: u64, minutes: u64) -> BusyLoad {
        let time = minutes * MINUTE;
        let highest = self.counts[Access::Edit.index()];
        let (edit, denied) = (u64::from(highest) * time, u64::from(self.denied[0]) * time);
        BusyLoad { start, edit, denied, highest, edits: 0, refused: 0 }
    }
}

/// How many waited for edit access, and for how long those waited who were granted it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct WaitTotals {
    pub(super) begun: u32,
    pub(super) granted: u32,
    /// The sum, in seconds.
    pub(super) seconds: u32,
    pub(super) longest: u32,
}

impl WaitTotals {
    pub(super) fn add(&mut self, other: &WaitTotals) {
        self.begun = self.begun.saturating_add(other.begun);
        self.granted = self.granted.saturating_add(other.granted);
        self.seconds = self.seconds.saturating_add(other.seconds);
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn report(&self) -> Waits {
        let average = if self.granted == 0 { 0.0 } else { f64::from(self.seconds) / f64::from(self.granted) };
        Waits { begun: self.begun, granted: self.granted, average_s: average, longest_s: self.longest }
    }
}

impl Default for CountSummary {
    fn default() -> Self {
        CountSummary { area: 0, lowest: u32::MAX, highest: 0, highest_at: u64::MAX }
    }
}

impl CountSummary {
    /// The summary of a count that did not change between `from` and `to`.
    pub(super) fn constant(count: u32, from: u64, to: u64) -> Self {
        let area = u128::from(count) * u128::from(to - from);
        CountSummary { area, lowest: count, highest: count, highest_at: from }
    }

    pub(super) fn merge(&mut self, other: &CountSummary) {
        self.area += other.area;
        self.lowest = self.lowest.min(other.lowest);
        if other.highest > self.highest {
            (self.highest, self.highest_at) = (other.highest, other.highest_at);
        } else if other.highest == self.highest {
            self.highest_at = self.highest_at.min(other.highest_at);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "rounds to 53 bits")]
    pub(super) fn level(&self, from: u64, to: u64, now: Now) -> Level {
        let average = if to > from { self.area as f64 / (to - from) as f64 } else { 0.0 };
        let [min, max] = [self.lowest.min(self.highest), self.highest];
        Level {
            min,
            // A race between threads or a rounding can put the average outside the extremes.
            average: average.clamp(f64::from(min), f64::from(max)),
            max,
            max_at: wall_at(now, self.highest_at),
        }
    }
}

impl PeriodTotals {
    /// Returns true if sums of a few hundred such do not overflow.
    pub(super) fn fits(&self) -> bool {
        let counts = [self.opens, self.edits].into_iter().chain(self.fallbacks);
        counts.into_iter().all(|count| count < 1 << 48)
            && self.connections.iter().all(|summary| summary.area < 1 << 96)
            && self.denials.fits()
            && self.busiest.iter().all(BusyLoad::fits)
    }

    /// Adds a period between `from` and `to` in which nothing changed.
    pub(super) fn add_idle(&mut self, present: &Present, from: u64, to: u64) {
        for (summary, count) in self.connections.iter_mut().zip(present.counts) {
            summary.merge(&CountSummary::constant(count, from, to));
        }
        for (lost, count) in self.denials.lost.iter_mut().zip(present.denied) {
            *lost = lost.saturating_add(u64::from(count) * (to - from));
        }
    }

    pub(super) fn merge(&mut self, other: &PeriodTotals) {
        for (ours, theirs) in self.connections.iter_mut().zip(&other.connections) {
            ours.merge(theirs);
        }
        self.opens += other.opens;
        self.edits += other.edits;
        self.waits.add(&other.waits);
        self.denials.add(&other.denials);
        self.keep_busiest(&other.busiest);
        for (ours, theirs) in self.fallbacks.iter_mut().zip(other.fallbacks) {
            *ours += theirs;
        }
        self.users.merge(&other.users);
    }

    /// Keeps the busiest sliding periods.
    pub(super) fn keep_busiest(&mut self, loads: &BusyLoads) {
        self.busiest.iter_mut().zip(loads).for_each(|(ours, theirs)| ours.keep_busier(theirs));
    }
}

/// What the wall clock showed at a time, by what it shows now.
pub(super) fn wall_at(now: Now, millis: u64) -> Timestamp {
    now.wall_at(Moment::from_millis(millis))
}
