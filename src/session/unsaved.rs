//! The unsaved changes of a document, and what is to become of them.

use std::sync::Arc;

use super::changes::Changes;
use super::phase::{Phase, Step};
use crate::ids::User;
use crate::time::Timestamp;

/// Changes that no acknowledged save of status 2 holds.
#[derive(Debug)]
pub(crate) struct Unsaved {
    pub(crate) changes: Changes,
    pub(crate) phase: Phase,
    /// When the timer force saves them. It counts only while somebody edits.
    pub(crate) force_save_at: Option<Timestamp>,
    /// Whether the document is listed as forgotten: from the moment its save is given up until a later save is
    /// acknowledged or the host deletes it.
    pub(crate) forgotten: bool,
    /// Where the host keeps the file of the save that was given up.
    pub(crate) kept_at: Option<Arc<str>>,
    /// Where the host would keep the file of the save that is under way, should it be given up.
    pub(crate) would_keep_at: Option<Arc<str>>,
}

impl Unsaved {
    /// The first change after number `saved`.
    pub(crate) fn first(saved: u64, user: &User, now: Timestamp) -> Self {
        Unsaved {
            changes: Changes::first(saved, user, now),
            phase: Phase::Edited,
            force_save_at: None,
            forgotten: false,
            kept_at: None,
            would_keep_at: None,
        }
    }

    /// Moves to the next phase.
    pub(crate) fn step(&mut self, step: Step) {
        self.phase = self.phase.after(step);
    }

    /// When the save or the timed force save falls due.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Closing { due, .. } => due,
            Phase::Edited => self.force_save_at,
            Phase::Viewed | Phase::Saving { .. } | Phase::Forgotten => None,
        }
    }

    /// Takes the document off the list of forgotten ones.
    pub(crate) fn unlist(&mut self) {
        self.kept_at = None;
        self.forgotten = false;
    }
}
