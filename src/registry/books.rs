//! The books of a shard: which documents are open, forgotten, awaited, and when to look at each.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::looks::Looks;
use super::ready::DocumentId;
use crate::session::{Context, Session, Stage};
use crate::time::Moment;
use crate::work::{self, Item};

/// The books of a shard.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// When to look at each document.
    pub(super) looks: Looks,
    /// The documents whose save was given up.
    forgotten: BTreeSet<DocumentId>,
    /// The documents that the end waits for.
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
        session.next_deadline(cx).and_then(|due| self.looks.look_by(document, due))
    }

    fn update_awaited(&mut self, cx: &Context<'_>, document: DocumentId, session: &Session) -> Option<bool> {
        let awaited = match cx.stage {
            Stage::Running => return None,
            Stage::Suspending => session.is_outstanding(),
            Stage::ShuttingDown | Stage::Ended => !session.is_settled(),
        };
        let changed = if awaited { self.awaited.insert(document) } else { self.awaited.remove(&document) };
        changed.then_some(awaited)
    }

    /// How many documents are open.
    pub(super) fn open_documents(&self) -> usize {
        self.open
    }

    /// At most `most` of the forgotten documents: the first ones, or those `after` one.
    pub(super) fn forgotten(
        &self,
        after: Option<DocumentId>,
        most: usize,
    ) -> impl Iterator<Item = DocumentId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let some = self.forgotten.range((from, Bound::Unbounded)).take(most);
        work::each(Item::Forgotten, some).copied()
    }

    /// How many documents are forgotten.
    pub(super) fn forgotten_documents(&self) -> usize {
        self.forgotten.len()
    }

    /// Returns true if the books say this of a document.
    pub(super) fn agrees(&self, document: DocumentId, entry: BookEntry, deadline: Option<Moment>) -> bool {
        self.looks.agrees(document, deadline.unwrap_or(Moment::NEVER))
            && self.forgotten.contains(&document) == entry.forgotten
    }

    /// How many documents are open and are forgotten.
    pub(super) fn totals(&self) -> [usize; 2] {
        [self.open, self.forgotten.len()]
    }
}
