//! When to look at what: at most one time for each slot of a table.

use std::collections::BTreeSet;

use crate::time::Moment;
use crate::work::{self, Item};

/// Times to look at the slots of a table. One may be too early, but not too late. So a deadline that moves on, as most do,
/// changes nothing here. A slot that is vacated keeps its time until then.
#[derive(Debug, Default)]
pub(super) struct Looks {
    by_time: BTreeSet<(Moment, u32)>,
    /// By slot. `NEVER` if there is none.
    times: Vec<Moment>,
}

impl Looks {
    /// Sees to it that somebody looks at the slot by `due`. Returns `due` if that is the earliest of all.
    pub(super) fn look_by(&mut self, slot: u32, due: Moment) -> Option<Moment> {
        let at = slot as usize;
        if self.times.len() <= at {
            self.times.resize(at + 1, Moment::NEVER);
        }
        let before = self.times[at];
        if before <= due {
            return None;
        }
        if before < Moment::NEVER {
            self.by_time.remove(&(before, slot));
        }
        self.by_time.insert((due, slot));
        self.times[at] = due;
        (self.earliest() == due).then_some(due)
    }

    /// The earliest time. `NEVER` if there is none.
    pub(super) fn earliest(&self) -> Moment {
        self.by_time.first().map_or(Moment::NEVER, |(due, _)| *due)
    }

    /// Takes the slot that somebody is to look at first, if that is by `now`. It may be vacant.
    pub(super) fn take_first_due(&mut self, now: Moment) -> Option<u32> {
        self.by_time.first().filter(|(due, _)| *due <= now)?;
        work::item(Item::Deadline, 1);
        let (_, slot) = self.by_time.pop_first()?;
        self.times[slot as usize] = Moment::NEVER;
        Some(slot)
    }

    /// Takes at most `most` of the slots that somebody is to look at by `now`. Some may be vacant.
    pub(super) fn take_due(&mut self, now: Moment, most: usize) -> Vec<u32> {
        std::iter::from_fn(|| self.take_first_due(now)).take(most).collect()
    }

    /// Returns true if somebody looks at the slot by `due`.
    pub(super) fn agrees(&self, slot: u32, due: Moment) -> bool {
        let time = self.times.get(slot as usize).copied().unwrap_or(Moment::NEVER);
        due == Moment::NEVER || (time <= due && self.by_time.contains(&(time, slot)))
    }

    /// Checks that each slot has at most one time.
    pub(super) fn validate(&self) -> Result<(), String> {
        let slots = self.times.iter().filter(|time| **time < Moment::NEVER).count();
        if slots == self.by_time.len() {
            Ok(())
        } else {
            Err(format!("{slots} looks, listed {}", self.by_time.len()))
        }
    }
}
