//! The books of a shard: which documents are open, forgotten, awaited, and when each has a deadline.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::ready::DocumentId;
use crate::session::Session;
use crate::time::Timestamp;

/// The books of a shard.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// The next deadline of each document that has one.
    deadlines: BTreeSet<(Timestamp, DocumentId)>,
    /// The documents whose save was given up.
    forgotten: BTreeSet<DocumentId>,
    /// The documents that the end of the engine waits for.
    awaited: BTreeSet<DocumentId>,
    /// How many documents are open.
    open: usize,
}

/// What the books say of one document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BookEntry {
    pub(super) deadline: Option<Timestamp>,
    pub(super) open: bool,
    pub(super) forgotten: bool,
}

/// What an update of the books asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BookChanges {
    /// A deadline of the shard changed.
    pub(super) deadline_moved: bool,
    /// The end of the engine need not wait for this document any more.
    pub(super) settled: bool,
}

impl BookEntry {
    pub(super) fn of(session: &Session) -> Self {
        BookEntry {
            deadline: session.next_deadline(),
            open: session.is_open(),
            forgotten: session.is_forgotten(),
        }
    }
}

impl Books {
    /// Brings the entry of a document up to date after a call on its session.
    pub(super) fn update(
        &mut self,
        document: DocumentId,
        entry: &mut BookEntry,
        session: &Session,
    ) -> BookChanges {
        let before = std::mem::replace(entry, BookEntry::of(session));
        let deadline_moved = before.deadline != entry.deadline;
        if deadline_moved {
            before.deadline.map(|due| self.deadlines.remove(&(due, document)));
            self.deadlines.extend(entry.deadline.map(|due| (due, document)));
        }
        match (before.open, entry.open) {
            (false, true) => self.open += 1,
            (true, false) => self.open -= 1,
            _ => {}
        }
        match (before.forgotten, entry.forgotten) {
            (false, true) => drop(self.forgotten.insert(document)),
            (true, false) => drop(self.forgotten.remove(&document)),
            _ => {}
        }
        let settled = !self.awaited.is_empty() && session.is_settled() && self.awaited.remove(&document);
        BookChanges { deadline_moved, settled }
    }

    /// The end of the engine waits for this document.
    pub(super) fn wait_for(&mut self, document: DocumentId) {
        self.awaited.insert(document);
    }

    /// How many documents are open.
    pub(super) fn open_documents(&self) -> usize {
        self.open
    }

    pub(super) fn forgotten(&self) -> impl Iterator<Item = DocumentId> {
        self.forgotten.iter().copied()
    }

    pub(super) fn earliest_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// At most `most` deadlines after `cursor`, up to `until`.
    pub(super) fn due(
        &self,
        cursor: Bound<(Timestamp, DocumentId)>,
        until: Timestamp,
        most: usize,
    ) -> Vec<(Timestamp, DocumentId)> {
        let later = self.deadlines.range((cursor, Bound::Unbounded));
        later.take_while(|(due, _)| *due <= until).take(most).copied().collect()
    }

    /// Returns true if the books say this of a document.
    pub(super) fn agrees(&self, document: DocumentId, entry: BookEntry) -> bool {
        entry.deadline.is_none_or(|due| self.deadlines.contains(&(due, document)))
            && self.forgotten.contains(&document) == entry.forgotten
    }

    /// How many documents are open, are forgotten, and have a deadline.
    pub(super) fn totals(&self) -> [usize; 3] {
        [self.open, self.forgotten.len(), self.deadlines.len()]
    }
}
