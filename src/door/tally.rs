//! What went through a door, counted.

use std::collections::{BTreeMap, HashSet};

use crate::access::{Access, Grant, Reason};
use crate::callback::Status;
use crate::error::ErrorCode;
use crate::ids::DocumentKey;
use crate::time::Timestamp;

/// What went through a door so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lines, each of which was answered.
    pub operations: u64,
    /// Replies with an error, by its code.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// Opens, by what they got.
    pub opens: BTreeMap<Access, u64>,
    /// Opens that got less than they asked for, by why.
    pub fallbacks: BTreeMap<Reason, u64>,
    /// Most connections with edit access at one time.
    pub peak: u32,
    /// When there were so many for the first time; only in a replay.
    pub peak_at: Option<Timestamp>,
    /// Callbacks handed out, tries again counted in, by status.
    pub callbacks: BTreeMap<Status, u64>,
    /// Saves of status 2 and 6 that were acknowledged.
    pub saves: u64,
    documents: HashSet<DocumentKey>,
}

impl Tally {
    /// How many documents were opened; only counted in a replay.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    pub(super) fn replied(&mut self, error: Option<ErrorCode>) {
        self.operations += 1;
        if let Some(error) = error {
            *self.errors.entry(error).or_default() += 1;
        }
    }

    pub(super) fn opened(&mut self, grant: Grant, editing: u32, key: &DocumentKey, at: Option<Timestamp>) {
        *self.opens.entry(grant.access).or_default() += 1;
        if let Some(reason) = grant.reason {
            *self.fallbacks.entry(reason).or_default() += 1;
        }
        if editing > self.peak {
            (self.peak, self.peak_at) = (editing, at);
        }
        // A door in real time may live for years: it keeps no list of all documents ever.
        if at.is_some() && !self.documents.contains(key) {
            self.documents.insert(key.clone());
        }
    }

    pub(super) fn told(&mut self, status: Status) {
        *self.callbacks.entry(status).or_default() += 1;
    }

    pub(super) fn acknowledged(&mut self, status: Status) {
        self.saves += u64::from(matches!(status, Status::Save | Status::ForceSave));
    }
}
