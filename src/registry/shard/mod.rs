//! A shard: some of the documents, and the connections to them. Its methods take `&mut self`; the one lock over it
//! stands in [`Registry`](super::Registry).

mod access;
mod connections;
mod validate;

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::ready::Ready;
use crate::callback::Callback;
use crate::ids::DocumentKey;
use crate::notice::Notice;
use crate::seats::Pools;
use crate::session::{NONE, Outbox, Pace, Rules, Session, Settled, Verdict};
use crate::time::Timestamp;
pub(crate) use access::Whom;
use connections::Connections;

/// Some of the documents.
#[derive(Debug)]
pub(crate) struct Shard {
    number: u32,
    /// How many shards there are.
    of: u32,
    /// Places in `documents`, by the hash of the key.
    table: HashTable<u32>,
    documents: Vec<Place>,
    /// The first of the free places, which are linked.
    free: u32,
    connections: Connections,
    /// The next deadline of each document that has one.
    deadlines: BTreeSet<(Timestamp, u32)>,
    open: usize,
    forgotten: BTreeSet<u32>,
    /// How often the lock was taken to change anything: tells whether a recount of all shards is of one moment.
    pub(crate) calls: u64,
}

/// A place for a document.
#[derive(Debug)]
struct Place {
    /// Whether the place stands in the ready queue. Outlives the document: whoever moves in next inherits the entry,
    /// so that the queue never holds more entries than there are places.
    queued: bool,
    next_free: u32,
    document: Option<Document>,
}

#[derive(Debug)]
struct Document {
    session: Session,
    hash: u64,
    /// Its entry in the shard's deadlines.
    deadline: Option<Timestamp>,
    /// Whether it counts as open in the shard's total.
    open: bool,
    /// Whether a shutdown waits for it.
    awaited: bool,
}

/// What a call leaves to do once the lock is released.
#[derive(Debug, Default)]
pub(crate) struct After {
    /// Documents that enter the ready queue.
    pub(crate) ready: SmallVec<[u32; 2]>,
    pub(crate) notices: Vec<Notice>,
    /// The shard's earliest deadline is to be read again.
    pub(crate) deadlines_moved: bool,
    /// Documents a shutdown waited for that are done.
    pub(crate) done: usize,
    /// To be freed.
    pub(crate) garbage: (Option<Settled>, Option<Outbox>, SmallVec<[Box<Session>; 1]>),
}

/// What a call needs to know of the engine.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) pools: &'a Pools,
    pub(crate) ready: &'a Ready,
    /// The present, read before the lock was taken.
    pub(crate) now: Timestamp,
    /// The engine is draining: no edit access is given out, and saves are due without a delay.
    pub(crate) draining: bool,
    /// No handle is left: failures are tried again without a pause.
    pub(crate) shut_down: bool,
}

/// A document that is to enter the ready queue: when it fell due, its key, its place.
pub(crate) type Due = (Timestamp, DocumentKey, u32);

impl Shard {
    pub(crate) fn new(number: u32, of: u32) -> Self {
        Shard {
            number,
            of,
            table: HashTable::new(),
            documents: Vec::new(),
            free: NONE,
            connections: Connections::new(u32::MAX / of),
            deadlines: BTreeSet::new(),
            open: 0,
            forgotten: BTreeSet::new(),
            calls: 0,
        }
    }

    pub(crate) fn open_documents(&self) -> usize {
        self.open
    }

    pub(crate) fn earliest_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// The document `key`, if the engine knows anything of it.
    pub(crate) fn find(&self, key: &DocumentKey, hash: u64) -> Option<u32> {
        self.table
            .find(hash, |place| self.session(*place).is_some_and(|session| session.key() == key))
            .copied()
    }

    pub(crate) fn find_open(&self, key: &DocumentKey, hash: u64) -> Option<u32> {
        self.find(key, hash).filter(|place| self.session(*place).is_some_and(Session::is_open))
    }

    pub(crate) fn session_of(&self, key: &DocumentKey, hash: u64) -> Option<&Session> {
        self.find(key, hash).and_then(|place| self.session(place))
    }

    pub(crate) fn session(&self, place: u32) -> Option<&Session> {
        Some(&self.documents.get(place as usize)?.document.as_ref()?.session)
    }

    /// Runs `act` on the session and then does what follows from it for the shard.
    pub(crate) fn update<R>(
        &mut self,
        place: u32,
        context: Context<'_>,
        after: &mut After,
        act: impl FnOnce(&mut Session) -> R,
    ) -> Option<R> {
        let document = self.documents.get_mut(place as usize)?.document.as_mut()?;
        let result = act(&mut document.session);
        self.follow_up(place, context, after);
        Some(result)
    }
}

/// Time and the storage.
impl Shard {
    /// Lets up to `most` deadlines fall due. Whether there may be more.
    pub(crate) fn fall_due(
        &mut self,
        most: usize,
        context: Context<'_>,
        after: &mut After,
        ready: &mut Vec<Due>,
    ) -> bool {
        for _ in 0..most {
            let Some((due, place)) = self.deadlines.first().copied().filter(|(due, _)| *due <= context.now)
            else {
                return false;
            };
            self.update(place, context, after, |session| session.handle_timeout(context.rules, context.now));
            self.collect(due, after, ready);
        }
        true
    }

    /// Lets saves and retries that wait for their time be due at once, up to `most` from `cursor` on. Whether there may
    /// be more.
    pub(crate) fn hurry(
        &mut self,
        most: usize,
        cursor: &mut Option<(Timestamp, u32)>,
        context: Context<'_>,
        after: &mut After,
        ready: &mut Vec<Due>,
    ) -> bool {
        let from = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let waiting: Vec<_> = self.deadlines.range((from, Bound::Unbounded)).take(most).copied().collect();
        for (due, place) in &waiting {
            self.update(*place, context, after, Session::hurry);
            self.collect(*due, after, ready);
        }
        *cursor = waiting.last().copied();
        waiting.len() == most
    }

    /// Takes what is to enter the ready queue out of `after`, so that it can be put in an order across shards.
    fn collect(&self, due: Timestamp, after: &mut After, ready: &mut Vec<Due>) {
        for place in after.ready.drain(..) {
            ready.extend(self.session(place).map(|session| (due, session.key().clone(), place)));
        }
    }

    /// The next callback of a document that stood in the ready queue.
    pub(crate) fn take(
        &mut self,
        place: u32,
        context: Context<'_>,
        after: &mut After,
    ) -> Option<Arc<Callback>> {
        let standing = self.documents.get_mut(place as usize)?;
        standing.queued = false;
        if standing.document.is_none() {
            context.ready.inherited_entry_left();
        }
        self.update(place, context, after, Session::take)?
    }

    pub(crate) fn settle(
        &mut self,
        place: u32,
        verdict: Verdict,
        kept_at: Option<Arc<str>>,
        context: Context<'_>,
        after: &mut After,
    ) {
        let settled = self.update(place, context, after, |session| {
            let settled = session.settle(
                context.rules,
                verdict,
                kept_at,
                context.now,
                Pace::at_once_if(context.shut_down),
            );
            (settled, session.key().clone())
        });
        let Some((settled, key)) = settled else { return };
        after.notices.extend(settled.given_up.map(|status| Notice::Storage { key, status }));
        self.list(place, settled, after);
    }

    /// False if it was not forgotten.
    pub(crate) fn delete_forgotten(&mut self, place: u32, context: Context<'_>, after: &mut After) -> bool {
        let settled = self.update(place, context, after, Session::delete_forgotten).unwrap_or_default();
        let deleted = settled.forgotten.is_some();
        self.list(place, settled, after);
        deleted
    }

    /// Keeps the list of forgotten documents.
    fn list(&mut self, place: u32, settled: Settled, after: &mut After) {
        match settled.forgotten {
            Some(true) => self.forgotten.insert(place),
            Some(false) => self.forgotten.remove(&place),
            None => false,
        };
        after.garbage.0 = Some(settled);
    }

    /// The documents that are forgotten.
    pub(crate) fn forgotten(&self) -> impl Iterator<Item = &Session> {
        self.forgotten.iter().filter_map(|place| self.session(*place))
    }

    /// Closes every connection and counts the documents that still have something to tell. All in one go: no handle is
    /// left that could wait for it.
    pub(crate) fn shut_down(
        &mut self,
        context: Context<'_>,
        after: &mut After,
        ready: &mut Vec<Due>,
    ) -> usize {
        for place in (0..).take(self.documents.len()) {
            for slot in self.connections_of(place) {
                if let Some((_, generation)) = self.connections.at(slot) {
                    let id = self.id(slot, generation);
                    self.close(id, context, after);
                }
            }
        }
        self.collect(context.now, after, ready);
        self.hurry(usize::MAX, &mut None, context, after, ready);
        let mut awaited = 0;
        for document in self.documents.iter_mut().filter_map(|place| place.document.as_mut()) {
            document.awaited = !document.session.is_told();
            awaited += usize::from(document.awaited);
        }
        awaited
    }

    /// The connections of a document, by stay.
    fn connections_of(&mut self, place: u32) -> Vec<u32> {
        let Some(session) = self.session(place) else { return Vec::new() };
        let firsts: Vec<u32> = session
            .stays()
            .filter(|(_, stay)| stay.connections > 0)
            .map(|(_, stay)| stay.first_connection)
            .collect();
        firsts.into_iter().flat_map(|first| self.chain(first)).collect()
    }
}

/// The shard's own books.
impl Shard {
    fn insert(&mut self, key: &DocumentKey, hash: u64, ready: &Ready) -> u32 {
        let document = Some(Document {
            session: Session::new(key.clone()),
            hash,
            deadline: None,
            open: false,
            awaited: false,
        });
        let place = self.free;
        let place = match self.documents.get_mut(place as usize) {
            Some(standing) => {
                self.free = standing.next_free;
                standing.document = document;
                if standing.queued {
                    ready.inherited_entry_left();
                }
                place
            }
            None => {
                self.documents.push(Place { queued: false, next_free: NONE, document });
                u32::try_from(self.documents.len() - 1).unwrap_or(NONE)
            }
        };
        let documents = &self.documents;
        let hash_of =
            |place: &u32| documents[*place as usize].document.as_ref().map_or(0, |document| document.hash);
        self.table.insert_unique(hash, place, hash_of);
        place
    }

    /// After every call that may have changed a session.
    fn follow_up(&mut self, place: u32, context: Context<'_>, after: &mut After) {
        let standing = &mut self.documents[place as usize];
        let Some(document) = standing.document.as_mut() else {
            return;
        };
        if document.session.came_and_went() && context.ready.are_too_many() {
            after.garbage.1 = document.session.forget_untold();
        }
        if !standing.queued && document.session.has_next() {
            standing.queued = true;
            after.ready.push(place);
        }
        let deadline = document.session.next_deadline();
        if deadline != document.deadline {
            if let Some(old) = document.deadline {
                self.deadlines.remove(&(old, place));
            }
            self.deadlines.extend(deadline.map(|new| (new, place)));
            document.deadline = deadline;
            after.deadlines_moved = true;
        }
        let open = document.session.is_open();
        if open != document.open {
            document.open = open;
            self.open = if open { self.open + 1 } else { self.open - 1 };
        }
        if document.awaited && document.session.is_told() {
            document.awaited = false;
            after.done += 1;
        }
        if document.session.is_over() {
            self.remove(place, context.ready, after);
        }
    }

    fn remove(&mut self, place: u32, ready: &Ready, after: &mut After) {
        let standing = &mut self.documents[place as usize];
        let Some(document) = standing.document.take() else {
            return;
        };
        standing.next_free = self.free;
        self.free = place;
        if standing.queued {
            ready.entry_outlived_its_document();
        }
        if let Ok(entry) = self.table.find_entry(document.hash, |other| *other == place) {
            entry.remove();
        }
        after.garbage.2.push(Box::new(document.session));
    }
}
