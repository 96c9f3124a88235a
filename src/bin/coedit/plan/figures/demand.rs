//! The load that is planned for, and the formulas for it.

use coedit::capacity::{
    OutOfBounds, connections_for, connections_for_group, connections_for_staying, engset, engset_staying,
    erlang_b,
};
use serde::Serialize;

/// A load, and the group that it comes from if its size is known.
#[derive(Clone, Copy)]
pub(crate) struct Demand {
    /// In erlangs.
    pub(crate) load: f64,
    /// The size of the group, and the share of it that is at work.
    pub(crate) group: Option<(u32, f64)>,
}

/// A formula, or the trace. The names in JSON are part of the program's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Formula {
    Observed,
    ErlangB,
    Engset,
    EngsetStaying,
}

/// Above this load, the Markov chains of those who stay take longer than a second in a debug build.
pub(super) const CHAIN_LOAD_MAX: f64 = 1_000.0;

impl Demand {
    pub(crate) fn of_users(users: u32, docs_per_user: f64, concurrent: f64) -> Self {
        let group = rounded_up(f64::from(users) * docs_per_user);
        let load = f64::from(users) * docs_per_user * concurrent;
        // If the group was rounded up, the load stays as given.
        Demand { load, group: Some((group, load / f64::from(group))) }
    }

    /// Returns the connections that are enough by Engset's formula, if the size of the group is known.
    pub(super) fn engset(&self, share: f64) -> Result<Option<u32>, OutOfBounds> {
        self.group.map(|(users, at_work)| connections_for_group(users, at_work, share)).transpose()
    }

    /// The same users, so many times as many.
    pub(super) fn times(self, factor: f64) -> Self {
        let load = self.load * factor;
        let group = self.group.map(|(users, at_work)| {
            let grown = rounded_up(f64::from(users) * factor);
            (grown, (f64::from(users) * factor * at_work / f64::from(grown)).min(1.0))
        });
        Demand { load, group }
    }

    /// Returns the share of opens that fall back by Erlang B, or by Engset's formula.
    pub(super) fn share(&self, by: Formula, connections: u32) -> Result<f64, OutOfBounds> {
        match (by, self.group) {
            (Formula::Engset, Some((users, at_work))) => engset(users, at_work, connections),
            _ => erlang_b(self.load, connections),
        }
    }

    /// The group, if the formula for viewers who stay is fast enough for it.
    fn staying_group(&self) -> Option<(u32, f64)> {
        self.group.filter(|_| self.load <= CHAIN_LOAD_MAX)
    }

    /// Returns the connections that are enough if refused users stay as viewers.
    pub(super) fn staying(&self, share: f64) -> Result<Option<u32>, OutOfBounds> {
        let group = self.staying_group();
        group.map(|(users, at_work)| connections_for_staying(users, at_work, share)).transpose()
    }

    /// Returns the share of opens that fall back if refused users stay as viewers.
    pub(super) fn staying_share(&self, connections: u32) -> Result<Option<f64>, OutOfBounds> {
        let group = self.staying_group();
        group.map(|(users, at_work)| engset_staying(users, at_work, connections)).transpose()
    }

    /// Returns the connections that are enough by each formula.
    pub(crate) fn answers(&self, share: f64) -> Result<Vec<(Formula, u32)>, OutOfBounds> {
        let mut answers = vec![(Formula::ErlangB, connections_for(self.load, share)?)];
        answers.extend(self.engset(share)?.map(|connections| (Formula::Engset, connections)));
        answers.extend(self.staying(share)?.map(|connections| (Formula::EngsetStaying, connections)));
        Ok(answers)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn rounded_up(count: f64) -> u32 {
    // A rounding error can lift a whole number slightly.
    (count - 1e-9).ceil() as u32
}
