//! What a document has open with its storage: unsaved changes, untold events, a callback in hand.
//!
//! Most documents at any time have nothing open, so it stands in a box of its own, and boxes are used again.

use std::sync::Arc;

use super::changes::Changes;
use super::outbox::Outbox;
use super::phase::{Phase, Step};
use super::roster::StayId;
use crate::ids::User;
use crate::time::Timestamp;

/// What is open with the storage.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(super) outbox: Outbox,
    pub(super) unsaved: Option<Box<Unsaved>>,
    /// The number of the last change that was saved or deleted. Remembered only as long as a force save may be asked
    /// for or under way, which would claim to hold later ones otherwise.
    pub(super) settled_changes: u64,
}

/// Changes that no acknowledged save of status 2 holds, and what is to become of them.
#[derive(Debug)]
pub(crate) struct Unsaved {
    pub(super) changes: Changes,
    pub(super) phase: Phase,
    /// When they are to be force saved. It counts while somebody edits; one that passed while nobody did is overdue as
    /// soon as somebody comes.
    pub(super) force_save_at: Option<Timestamp>,
    /// Whether the document is listed as forgotten: from the moment its save is given up until a later one is
    /// acknowledged or the host deletes it.
    pub(super) forgotten: bool,
    /// Where the host put the file of the save that was given up.
    pub(super) kept_at: Option<Arc<str>>,
    /// Where it would put that of the save under way.
    pub(super) would_keep_at: Option<Arc<str>>,
}

impl Pending {
    /// Whether it takes no memory beside itself.
    pub(super) fn is_small(&self) -> bool {
        self.outbox.is_small()
    }

    /// Whether nothing is open.
    #[inline]
    pub(super) fn is_nothing(&self) -> bool {
        self.unsaved.is_none() && self.outbox.is_empty()
    }

    /// The leave that the storage is not told of before the save.
    pub(super) fn withheld(&self) -> Option<StayId> {
        self.unsaved.as_ref()?.phase.withheld()
    }

    /// Whether the storage is to hear of anything now.
    #[inline]
    pub(super) fn has_next(&self) -> bool {
        match self.unsaved.as_ref().map(|unsaved| unsaved.phase) {
            Some(Phase::Closing { due, failures, .. }) if !self.outbox.in_flight() => {
                due.is_none() || (failures == 0 && self.outbox.has_next())
            }
            _ => self.outbox.has_next(),
        }
    }

    /// When anything of this falls due.
    #[inline]
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        match (&self.unsaved, self.outbox.retry_at()) {
            (None, retry) => retry,
            (Some(unsaved), None) => unsaved.next_deadline(),
            (Some(unsaved), Some(retry)) => Some(unsaved.next_deadline().map_or(retry, |due| due.min(retry))),
        }
    }

    /// A change by `user`.
    pub(super) fn change(&mut self, user: &User, now: Timestamp, most_turns: usize) {
        match &mut self.unsaved {
            Some(unsaved) => unsaved.changes.add(user, now, most_turns),
            None => self.unsaved = Some(Box::new(Unsaved::first(self.settled_changes, user, now))),
        }
    }

    /// Nothing is unsaved any more. Returns what is to be freed.
    pub(super) fn settle_changes(&mut self) -> Option<Box<Unsaved>> {
        let unsaved = self.unsaved.take();
        self.settled_changes = unsaved.as_ref().map_or(self.settled_changes, |these| these.changes.last());
        unsaved
    }
}

impl Unsaved {
    /// The first change after the one with the number `before`.
    fn first(before: u64, user: &User, now: Timestamp) -> Self {
        Unsaved {
            changes: Changes::first(before, user, now),
            phase: Phase::Edited,
            force_save_at: None,
            forgotten: false,
            kept_at: None,
            would_keep_at: None,
        }
    }

    /// When anything of this falls due.
    fn next_deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Closing { due, .. } => due,
            Phase::Edited => self.force_save_at,
            _ => None,
        }
    }

    pub(super) fn step(&mut self, step: Step) {
        self.phase = self.phase.after(step);
    }

    /// Takes the document off the list of forgotten ones. Whether it was on it.
    pub(super) fn unlist(&mut self) -> bool {
        self.kept_at = None;
        std::mem::take(&mut self.forgotten)
    }
}
