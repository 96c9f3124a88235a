//! A shard: some of the documents and the connections to them. Its methods take `&mut self`. The lock over it stands in
//! [`Registry`](super::Registry).

use std::collections::BTreeSet;
use std::hash::BuildHasher;

use hashbrown::HashTable;
use slab::Slab;
use slotmap::{DefaultKey, Key, KeyData, SlotMap};

use super::books::{BookChanges, BookEntry, Books};
use super::fences::Fences;
use super::ready::{DocumentId, Queued, Ready};
use super::stay::StayRules;
use super::stays::Stays;
use crate::access::{Access, Grant};
use crate::config::Config;
use crate::error::OpenError;
use crate::hash::Hasher;
use crate::ids::{ConnectionId, DocumentKey};
use crate::session::{Blanks, Context, Lane, ParticipantId, Session};
use crate::stats::Counters;
use crate::time::Moment;
use crate::usage::Meter;
use crate::work::{self, AT_ONCE, Item};

/// Some of the documents.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) numbering: Numbering,
    /// Finds documents by key.
    index: HashTable<DocumentId>,
    documents: Slab<Slot>,
    /// Slots whose document is gone while entries of theirs are still in the lanes of ready documents. A new document
    /// takes such a slot first, with its entries, so that a host that takes nothing makes the lanes grow no further.
    orphans: BTreeSet<DocumentId>,
    pub(super) connections: SlotMap<DefaultKey, Place>,
    pub(super) stays: Stays,
    pub(super) fences: Fences,
    pub(super) books: Books,
    /// Whether the seats of users are counted.
    pub(super) counts_users: bool,
    pub(super) meter: Meter,
    pub(super) counters: Counters,
    pub(super) blanks: Blanks,
    /// Whether the engine is being suspended: no call finds anything.
    frozen: bool,
    /// How often the lock was taken to change something.
    pub(super) calls: u64,
}

/// A document, and what the shard's books say of it.
#[derive(Debug)]
struct Slot {
    /// `None` in an orphan.
    session: Option<Box<Session>>,
    /// In which lanes of ready documents it is.
    queued: Queued,
    entry: BookEntry,
}

impl Slot {
    fn session(&self) -> &Session {
        self.session.as_deref().expect("a document that is referred to has a session")
    }

    fn session_mut(&mut self) -> &mut Session {
        self.session.as_deref_mut().expect("a document that is referred to has a session")
    }
}

/// Where a connection is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) document: DocumentId,
    pub(super) participant: ParticipantId,
}

/// How the connections of all shards are numbered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbering {
    shard: u32,
    /// The number of shards is two to the power of this.
    bits: u32,
}

/// What follows from an update of a shard once the lock is released.
#[derive(Debug)]
pub(super) struct ShardChanges {
    /// The lane in which the document is to wait, if it is not there.
    pub(super) ready: Option<Lane>,
    pub(super) books: BookChanges,
    /// The session of a document that is over.
    pub(super) over: Option<Box<Session>>,
}

impl Numbering {
    /// The shard of a connection.
    pub(super) fn shard_of(id: ConnectionId, shards: usize) -> usize {
        id.place() as usize & (shards - 1)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves of the key")]
    pub(super) fn id(self, key: DefaultKey) -> ConnectionId {
        let bits = key.data().as_ffi();
        ConnectionId::new((bits as u32) << self.bits | self.shard, (bits >> 32) as u32)
    }

    /// The slot of a connection.
    pub(super) fn slot(self, id: ConnectionId) -> u32 {
        id.place() >> self.bits
    }

    /// `None` for a number that no connection ever has.
    pub(super) fn key(self, id: ConnectionId) -> Option<DefaultKey> {
        let slot = id.place() >> self.bits;
        let key = KeyData::from_ffi(u64::from(id.generation()) << 32 | u64::from(slot)).into();
        (self.id(key) == id).then_some(key)
    }
}

/// The users of a document that is due may be worked through so often: to catch up with them, to drop what waits, and to forget
/// what was told of them.
const WALKS_OF_DUE: usize = 3;

impl Shard {
    pub(super) fn new(shard: u32, shards: u32, config: &Config, now: Moment) -> Self {
        Shard {
            numbering: Numbering { shard, bits: shards.trailing_zeros() },
            index: HashTable::new(),
            documents: Slab::new(),
            orphans: BTreeSet::new(),
            connections: SlotMap::new(),
            stays: Stays::new(StayRules::new(config), config.clock.is_manual()),
            fences: Fences::default(),
            books: Books::default(),
            counts_users: config.user_limit.is_some(),
            meter: Meter::new(now),
            counters: Counters::default(),
            blanks: Blanks::default(),
            frozen: false,
            calls: 0,
        }
    }
}

/// Documents.
impl Shard {
    /// Finds a document of which the engine knows anything.
    #[inline]
    pub(super) fn find(&self, key: &DocumentKey, hash: u64) -> Option<DocumentId> {
        if self.frozen {
            return None;
        }
        self.index.find(hash, |document| self.session(*document).key() == key).copied()
    }

    /// From now on no call finds anything.
    pub(super) fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Finds an open document.
    pub(super) fn find_open(&self, key: &DocumentKey, hash: u64) -> Option<DocumentId> {
        self.find(key, hash).filter(|document| self.session(*document).is_open())
    }

    /// Adds a document. It takes over the slot of an orphan if there is one.
    pub(super) fn insert(&mut self, key: &DocumentKey, hasher: &Hasher, ready: &Ready) -> DocumentId {
        let session = Some(Box::new(Session::new(key.clone())));
        let document = match self.orphans.pop_first() {
            Some(orphan) => {
                ready.take_surplus(1);
                self.documents[orphan as usize].session = session;
                orphan
            }
            None => {
                let slot = Slot { session, queued: Queued::default(), entry: BookEntry::default() };
                u32::try_from(self.documents.insert(slot)).expect("the room was checked")
            }
        };
        let documents = &self.documents;
        let hash = |document: &DocumentId| {
            work::item(Item::IndexEntry, 1);
            hasher.hash_one(documents[*document as usize].session().key())
        };
        self.index.insert_unique(hash(&document), document, hash);
        document
    }

    pub(super) fn session(&self, document: DocumentId) -> &Session {
        work::visit(Item::Document, document);
        self.documents[document as usize].session()
    }

    pub(super) fn session_mut(&mut self, document: DocumentId) -> &mut Session {
        work::visit(Item::Document, document);
        self.documents[document as usize].session_mut()
    }

    /// The session in a slot, if there is one.
    pub(super) fn session_at(&mut self, document: DocumentId) -> Option<&mut Session> {
        work::visit(Item::Document, document);
        self.documents.get_mut(document as usize)?.session.as_deref_mut()
    }

    /// The session of a document, and the blank callbacks.
    pub(super) fn session_and_blanks(&mut self, document: DocumentId) -> (&mut Session, &mut Blanks) {
        (self.documents[document as usize].session_mut(), &mut self.blanks)
    }

    /// The documents from `from` on, with their sessions.
    pub(super) fn sessions(&self, from: usize) -> impl Iterator<Item = (DocumentId, &Session)> {
        let slots = work::each(Item::Slot, from..self.documents.capacity());
        let slots = slots.filter_map(|at| Some((at, self.documents.get(at)?)));
        slots.filter_map(|(at, slot)| Some((u32::try_from(at).ok()?, &**slot.session.as_ref()?)))
    }

    /// The document with this number, if there is one.
    pub(super) fn document_at(&self, number: usize) -> Option<DocumentId> {
        work::item(Item::Slot, 1);
        self.documents.get(number)?.session.as_ref()?;
        u32::try_from(number).ok()
    }

    /// The same, and how many items are in its lists.
    pub(super) fn document_and_items(&self, number: usize) -> (Option<DocumentId>, usize) {
        let document = self.document_at(number);
        (document, document.map_or(0, |document| self.documents[document as usize].session().items()))
    }

    /// Takes some of the documents that somebody is to look at by `now`. They and what is in their lists, as often as it may be
    /// worked through, are at most [`AT_ONCE`] items, and the rest of one document. Some may be gone.
    pub(super) fn take_due_documents(&mut self, now: Moment) -> Vec<DocumentId> {
        let (mut due, mut items) = (Vec::new(), 0);
        while items < AT_ONCE
            && let Some(document) = self.books.looks.take_first_due(now)
        {
            let session = self.documents.get(document as usize).and_then(|slot| slot.session.as_ref());
            items += 1 + WALKS_OF_DUE * session.map_or(0, |session| session.items());
            due.push(document);
        }
        due
    }

    /// No document has this number or a higher one.
    pub(super) fn documents_end(&self) -> usize {
        self.documents.capacity()
    }

    /// Errors if there is no number for one more connection, or for its document unless that was found.
    pub(super) fn check_room(&self, found: Option<DocumentId>) -> Result<(), OpenError> {
        let most = (u32::MAX >> self.numbering.bits) as usize;
        let has_room = self.connections.len() < most && (found.is_some() || self.documents.len() < most);
        if has_room { Ok(()) } else { Err(OpenError::Full) }
    }

    /// A document left a lane of ready ones. Returns false if it is gone.
    pub(super) fn dequeue(&mut self, document: DocumentId, lane: Lane, ready: &Ready) -> bool {
        let slot = &mut self.documents[document as usize];
        let is_there = slot.session.is_some();
        if slot.queued.entries() > usize::from(is_there) {
            ready.take_surplus(1);
        }
        slot.queued.remove(lane);
        if !is_there && slot.queued.is_empty() {
            self.documents.remove(document as usize);
            self.orphans.remove(&document);
        }
        is_there
    }
}

/// Connections.
impl Shard {
    /// Adds a connection. `join` adds it to the session.
    pub(super) fn connect(
        &mut self,
        document: DocumentId,
        join: impl FnOnce(&mut Session, ConnectionId) -> ParticipantId,
    ) -> ConnectionId {
        let Shard { connections, documents, numbering, .. } = self;
        let session = documents[document as usize].session_mut();
        let place = |key| Place { document, participant: join(session, numbering.id(key)) };
        let key = connections.insert_with_key(place);
        numbering.id(key)
    }

    /// Removes a connection, but not yet from its session. `None` if it is not open.
    pub(super) fn disconnect(&mut self, id: ConnectionId) -> Option<Place> {
        let place = self.place(id)?;
        self.connections.remove(self.numbering.key(id)?);
        if self.stays.is_on() {
            self.stays.close(self.numbering.slot(id), id);
        }
        Some(place)
    }

    pub(super) fn place(&self, id: ConnectionId) -> Option<Place> {
        if self.frozen {
            return None;
        }
        work::visit(Item::Connection, id.to_bits());
        self.connections.get(self.numbering.key(id)?).copied()
    }

    /// What a connection may do. `None` if it is not open.
    pub(super) fn access(&self, id: ConnectionId) -> Option<Access> {
        let Place { document, participant } = self.place(id)?;
        Some(self.session(document).access(participant, id))
    }

    /// What a connection was given, as far as it still has it. `None` if it is not open.
    pub(super) fn grant(&self, id: ConnectionId) -> Option<Grant> {
        let Place { document, participant } = self.place(id)?;
        Some(self.session(document).grant(participant, id))
    }
}

/// The books.
impl Shard {
    /// Brings the books up to date after a call on a session, and queues the document if it became ready. A document that
    /// is over is removed.
    pub(super) fn update(&mut self, document: DocumentId, cx: &Context<'_>, ready: &Ready) -> ShardChanges {
        work::visit(Item::Document, document);
        let slot = &mut self.documents[document as usize];
        let session = slot.session.as_mut().expect("a document that is referred to has a session");
        if session.came_and_went() && ready.has_too_many() {
            session.forget_untold(cx);
        }
        let lane = session.lane().filter(|lane| !slot.queued.contains(*lane));
        if let Some(lane) = lane {
            if !slot.queued.is_empty() {
                ready.add_surplus(1);
            }
            slot.queued.insert(lane);
        }
        let books = self.books.update(cx, (document, &mut slot.entry), session);
        let over = session.is_over();
        let over = if over { self.remove(document, cx.hasher, ready) } else { None };
        ShardChanges { ready: lane, books, over }
    }

    /// Brings the deadline of a document up to date after a callback was handed out, which changes nothing else in the books.
    /// Returns it if it is the earliest of all.
    pub(super) fn update_deadline(&mut self, document: DocumentId, cx: &Context<'_>) -> Option<Moment> {
        let session = self.documents[document as usize].session();
        self.books.look_at(cx, document, session)
    }

    fn remove(&mut self, document: DocumentId, hasher: &Hasher, ready: &Ready) -> Option<Box<Session>> {
        let hash = hasher.hash_one(self.session(document).key());
        let entry = self.index.find_entry(hash, |other| *other == document);
        entry.expect("every document is indexed").remove();
        if self.documents[document as usize].queued.is_empty() {
            self.documents.remove(document as usize).session
        } else {
            self.orphans.insert(document);
            ready.add_surplus(1);
            self.documents[document as usize].session.take()
        }
    }
}

/// The totals of a shard.
#[derive(Debug, Default, PartialEq, Eq)]
struct ShardTotals {
    documents: usize,
    orphans: usize,
    /// How many documents are open, and are forgotten.
    books: [usize; 2],
    /// By access.
    connections: [u32; 3],
}

/// Recounting.
impl Shard {
    /// Recounts every total from scratch.
    pub(super) fn validate(&self, cx: &Context<'_>, metered: bool) -> Result<(), String> {
        let mut counted = ShardTotals::default();
        self.books.looks.validate()?;
        self.stays.looks.validate()?;
        for (document, session) in self.sessions(0) {
            session.validate(cx)?;
            self.validate_slot(document, cx)?;
            self.validate_connections(document)?;
            self.count(document, &mut counted);
        }
        counted.orphans = self.documents.len() - counted.documents;
        let connections = if metered { self.meter.counts() } else { counted.connections };
        let totals = ShardTotals {
            documents: self.index.len(),
            orphans: self
                .orphans
                .iter()
                .filter(|orphan| !self.documents[**orphan as usize].queued.is_empty())
                .count(),
            books: self.books.totals(),
            connections,
        };
        let listed = counted.connections.iter().sum::<u32>() as usize;
        self.meter.validate()?;
        let (stays, named, strangers) = self.stays.totals();
        if stays != if self.stays.is_on() { listed } else { 0 } || named > listed || strangers > 0 {
            return Err(format!("{stays} stays, {named} named, {strangers} not idle, counted {listed}"));
        }
        if counted == totals && listed == self.connections.len() {
            Ok(())
        } else {
            Err(format!("totals {totals:?}, counted {counted:?}"))
        }
    }

    fn validate_slot(&self, document: DocumentId, cx: &Context<'_>) -> Result<(), String> {
        let (slot, session) = (&self.documents[document as usize], self.session(document));
        let in_order = self.find(session.key(), cx.hasher.hash_one(session.key())) == Some(document)
            && slot.entry == BookEntry::of(session)
            && self.books.agrees(document, slot.entry, session.next_deadline(cx))
            && session.lane().is_none_or(|lane| slot.queued.contains(lane))
            && !session.is_over();
        if in_order { Ok(()) } else { Err(format!("document {} is not in order: {slot:?}", session.key())) }
    }

    fn validate_connections(&self, document: DocumentId) -> Result<(), String> {
        for (participant, member) in self.session(document).members() {
            for tab in &member.tabs {
                let place = self.place(tab.connection).map(|place| (place.document, place.participant));
                if place != Some((document, participant)) {
                    return Err(format!("connection {:?} is at {place:?}", tab.connection));
                }
                self.stays.validate(self.numbering.slot(tab.connection), tab.connection, tab.access)?;
            }
        }
        Ok(())
    }

    fn count(&self, document: DocumentId, totals: &mut ShardTotals) {
        let BookEntry { open, forgotten } = self.documents[document as usize].entry;
        totals.documents += 1;
        for (total, more) in totals.books.iter_mut().zip([open, forgotten]) {
            *total += usize::from(more);
        }
        for tab in self.session(document).members().flat_map(|(_, member)| &member.tabs) {
            totals.connections[tab.access.index()] += 1;
        }
    }
}
