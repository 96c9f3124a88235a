//! The books of a shard: which documents are open, forgotten, awaited, and when to look at each.

use std::collections::BTreeSet;

use super::ready::DocumentId;
use crate::session::{Context, Session, Stage};
use crate::time::Moment;

/// The books of a shard.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// When to look at a document, at most one entry for each slot. An entry may be too early, but not too late. So a
    /// deadline that moves on, as most do, changes nothing here.
    looks: BTreeSet<(Moment, DocumentId)>,
    /// The entry of each slot. `NEVER` if there is none.
    look_times: Vec<Moment>,
    /// The documents whose save was given up.
    forgotten: BTreeSet<DocumentId>,
    /// The documents that a shutdown waits for.
    awaited: BTreeSet<DocumentId>,
    /// How many documents are open.
    open: usize,
}

/// What the books say of one document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BookEntry {
    pub(super) open: bool,
    pub(super) forgotten: bool,
}

/// What an update of the books asks for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BookChanges {
    /// The shard's earliest deadline, if it is earlier than before.
    pub(super) earlier: Option<Moment>,
    /// A shutdown waits for this document from now on, or no longer.
    pub(super) awaited: Option<bool>,
}

impl BookEntry {
    pub(super) fn of(session: &Session) -> Self {
        BookEntry { open: session.is_open(), forgotten: session.is_forgotten() }
    }
}

impl Books {
    /// Brings the entry of a document up to date after a call on its session.
    pub(super) fn update(
        &mut self,
        cx: &Context<'_>,
        (document, entry): (DocumentId, &mut BookEntry),
        session: &Session,
    ) -> BookChanges {
        let before = std::mem::replace(entry, BookEntry::of(session));
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
        let earlier = self.look_at(cx, document, session);
        BookChanges { earlier, awaited: self.update_awaited(cx, document, session) }
    }

    /// Sees to it that somebody looks at the document in time. Returns its deadline if that is the earliest of all.
    pub(super) fn look_at(
        &mut self,
        cx: &Context<'_>,
        document: DocumentId,
        session: &Session,
    ) -> Option<Moment> {
        session.next_deadline(cx).and_then(|due| self.look_by(document, due))
    }

    /// Sees to it that somebody looks at the document by `due`. Returns `due` if that is the earliest of all.
    fn look_by(&mut self, document: DocumentId, due: Moment) -> Option<Moment> {
        let slot = document as usize;
        if self.look_times.len() <= slot {
            self.look_times.resize(slot + 1, Moment::NEVER);
        }
        let before = self.look_times[slot];
        if before <= due {
            return None;
        }
        if before < Moment::NEVER {
            self.looks.remove(&(before, document));
        }
        self.looks.insert((due, document));
        self.look_times[slot] = due;
        (self.earliest_deadline() == Some(due)).then_some(due)
    }

    fn update_awaited(&mut self, cx: &Context<'_>, document: DocumentId, session: &Session) -> Option<bool> {
        if cx.stage == Stage::Running {
            return None;
        }
        let awaited = !session.is_settled();
        let changed = if awaited { self.awaited.insert(document) } else { self.awaited.remove(&document) };
        changed.then_some(awaited)
    }

    /// How many documents are open.
    pub(super) fn open_documents(&self) -> usize {
        self.open
    }

    pub(super) fn forgotten(&self) -> impl Iterator<Item = DocumentId> {
        self.forgotten.iter().copied()
    }

    pub(super) fn earliest_deadline(&self) -> Option<Moment> {
        self.looks.first().map(|(due, _)| *due)
    }

    /// Takes at most `most` of the documents that somebody is to look at by `now`. Some may be gone.
    pub(super) fn take_due(&mut self, now: Moment, most: usize) -> Vec<DocumentId> {
        let due: Vec<_> = self.looks.iter().take_while(|(due, _)| *due <= now).take(most).copied().collect();
        for look in &due {
            self.looks.remove(look);
            self.look_times[look.1 as usize] = Moment::NEVER;
        }
        due.into_iter().map(|(_, document)| document).collect()
    }

    /// Returns true if the books say this of a document.
    pub(super) fn agrees(&self, document: DocumentId, entry: BookEntry, deadline: Option<Moment>) -> bool {
        let look_at = self.look_times.get(document as usize).copied().unwrap_or(Moment::NEVER);
        deadline.is_none_or(|due| look_at <= due && self.looks.contains(&(look_at, document)))
            && self.forgotten.contains(&document) == entry.forgotten
    }

    /// How many documents are open and are forgotten.
    pub(super) fn totals(&self) -> [usize; 2] {
        [self.open, self.forgotten.len()]
    }

    /// Checks that each slot has at most one entry.
    pub(super) fn validate(&self) -> Result<(), String> {
        let slots = self.look_times.iter().filter(|look_at| **look_at < Moment::NEVER).count();
        if slots == self.looks.len() {
            Ok(())
        } else {
            Err(format!("{slots} looks, {} listed", self.looks.len()))
        }
    }
}
