//! The unsaved changes of a document, and what is to become of them.

use std::sync::Arc;

use super::changes::Changes;
use super::outstanding::Verdict;
use super::phase::{Phase, Step};
use crate::callback::Status;
use crate::ids::User;
use crate::time::{Moment, Timestamp};

/// Changes that no acknowledged save of status 2 holds.
#[derive(Debug)]
pub(crate) struct Unsaved {
    pub(crate) changes: Changes,
    pub(crate) phase: Phase,
    /// When the timer force saves them. It counts only while somebody edits.
    pub(crate) force_save_at: Option<Moment>,
    /// The number of the last change of the save that was given up, while the document is listed as forgotten: until a
    /// save that holds it is acknowledged, or the host deletes it.
    pub(crate) forgotten: Option<u64>,
    /// Where the host keeps the file of the save that was given up.
    pub(crate) kept_at: Option<Arc<str>>,
    /// Where the host would keep the file of the save that is under way, should it be given up.
    pub(crate) would_keep_at: Option<Arc<str>>,
    /// The number of the first delivery that is a save of these changes.
    pub(crate) first_save: Option<u64>,
    /// How often a save of these changes has failed.
    pub(crate) failures: usize,
    /// Whether a drop asked for the save: whoever waits lets it be made first.
    pub(crate) is_awaited: bool,
}

impl Unsaved {
    /// The first change after number `saved`.
    pub(crate) fn first(saved: u64, user: &User, now: Timestamp) -> Self {
        Unsaved {
            changes: Changes::first(saved, user, now),
            phase: Phase::Edited,
            force_save_at: None,
            forgotten: None,
            first_save: None,
            failures: 0,
            is_awaited: false,
            kept_at: None,
            would_keep_at: None,
        }
    }

    /// Changes of another process, to which the caller adds the rest.
    pub(super) fn restored(changes: Changes) -> Self {
        Unsaved {
            changes,
            phase: Phase::Edited,
            force_save_at: None,
            forgotten: None,
            kept_at: None,
            would_keep_at: None,
            first_save: None,
            failures: 0,
            is_awaited: false,
        }
    }

    /// Moves to the next phase.
    pub(crate) fn step(&mut self, step: Step) {
        self.phase = self.phase.after(step);
    }

    /// Returns true if a save that is acknowledged late is the one that closes the document: it holds every change, and
    /// nobody edited since it was handed out.
    pub(super) fn would_close(&self, late: &Verdict) -> bool {
        late.status == Status::Save
            && self.are_held_by(late)
            && self.phase.was_tried()
            && self.changes.last() == late.reach
    }

    /// Returns true if a save that is acknowledged late holds something of these changes that no save holds yet. That one
    /// was given up counts until the document is no longer forgotten.
    pub(super) fn lacks(&self, late: &Verdict) -> bool {
        let was_given_up =
            late.status == Status::Save && self.forgotten.is_some_and(|forgotten| forgotten <= late.reach);
        let is_save = matches!(late.status, Status::Save | Status::ForceSave);
        is_save && self.are_held_by(late) && (was_given_up || late.reach > self.changes.force_saved())
    }

    /// Returns true if the save was handed out since the first of these changes, so that it can hold any.
    fn are_held_by(&self, late: &Verdict) -> bool {
        self.first_save.is_some_and(|first| first <= late.number)
    }

    /// Takes the document off the list of forgotten ones.
    pub(crate) fn unlist(&mut self) {
        self.kept_at = None;
        self.forgotten = None;
    }
}
