//! A shard: some of the documents, and the connections to them. Its methods take `&mut self`; the one lock over it
//! stands in [`Registry`](super::Registry).

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::connections::{Connection, Connections};
use super::{Pools, Waiting};
use crate::access::{Access, Dropped, Grant, Reason};
use crate::callback::Callback;
use crate::error::{ChangeError, OpenError};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notice::Notice;
use crate::session::{NONE, Rules, Session, Settled, StayId, Verdict};
use crate::time::Timestamp;

/// Some of the documents.
#[derive(Debug)]
pub(super) struct Shard {
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
    forgotten: usize,
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
pub(super) struct After {
    /// Documents that enter the ready queue.
    pub(super) ready: SmallVec<[u32; 2]>,
    pub(super) notices: Vec<Notice>,
    /// Seats of connections that are gone or were demoted: edit, live view.
    pub(super) freed: [u32; 2],
    /// The shard's earliest deadline is to be read again.
    pub(super) deadlines_moved: bool,
    /// Documents a shutdown waited for that are done.
    pub(super) done: usize,
    /// To be dropped.
    pub(super) garbage: SmallVec<[Box<Session>; 1]>,
    pub(super) settled: Option<Settled>,
}

/// What a call needs to know of the engine.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) rules: &'a Rules,
    pub(super) pools: &'a Pools,
    pub(super) waiting: &'a Waiting,
    /// The present, read before the lock was taken.
    pub(super) now: Timestamp,
    /// The engine is draining: no edit access is given out, and saves are due without a delay.
    pub(super) draining: bool,
}

/// Which connections a drop is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whom<'a> {
    Everybody,
    Users(&'a [UserId]),
}

impl Shard {
    pub(super) fn new(number: u32, of: u32) -> Self {
        Shard {
            number,
            of,
            table: HashTable::new(),
            documents: Vec::new(),
            free: NONE,
            connections: Connections::new(u32::MAX / of),
            deadlines: BTreeSet::new(),
            open: 0,
            forgotten: 0,
        }
    }

    pub(super) fn open_documents(&self) -> usize {
        self.open
    }

    pub(super) fn earliest_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(due, _)| *due)
    }

    /// The document `key`, if the engine knows anything of it.
    pub(super) fn find(&self, key: &DocumentKey, hash: u64) -> Option<u32> {
        self.table
            .find(hash, |place| self.session(*place).is_some_and(|session| session.key() == key))
            .copied()
    }

    pub(super) fn find_open(&self, key: &DocumentKey, hash: u64) -> Option<u32> {
        self.find(key, hash).filter(|place| self.session(*place).is_some_and(Session::is_open))
    }

    pub(super) fn session(&self, place: u32) -> Option<&Session> {
        Some(&self.documents.get(place as usize)?.document.as_ref()?.session)
    }

    /// Runs `act` on the session and then does what follows from it for the shard.
    pub(super) fn update<R>(
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

/// Connections.
impl Shard {
    pub(super) fn open(
        &mut self,
        key: &DocumentKey,
        hash: u64,
        user: &User,
        asked: Access,
        context: Context<'_>,
        after: &mut After,
    ) -> Result<(ConnectionId, Grant), OpenError> {
        let found = self.find(key, hash);
        let places_left = self.free != NONE || self.documents.len() < NONE as usize;
        if !self.connections.has_room() || (found.is_none() && !places_left) {
            return Err(OpenError::Full);
        }
        let saving = found.and_then(|place| self.session(place)).is_some_and(Session::is_saving);
        let refused = |reason| (Grant { access: Access::View, reason: Some(reason) }, None);
        let granted = |seat| (Grant { access: asked, reason: None }, seat);
        let (grant, seat) = match asked {
            Access::View => granted(None),
            Access::Edit if context.draining => refused(Reason::Draining),
            Access::Edit if saving => refused(Reason::Saving),
            Access::Edit => match context.pools.edit.try_take() {
                None => refused(Reason::ConnectionLimit),
                seat => granted(seat),
            },
            Access::LiveView => match context.pools.live.try_take() {
                None => refused(Reason::LiveViewLimit),
                seat => granted(seat),
            },
        };
        let place = found.unwrap_or_else(|| self.insert(key, hash, context.waiting));
        let joined = self.update(place, context, after, |session| {
            let stay = session.join(context.rules, user, grant.access);
            (stay, session.stay(stay).first_connection)
        });
        let Some((stay, next)) = joined else {
            return Err(OpenError::Full);
        };
        let connection = Connection { document: place, stay, access: grant.access, previous: NONE, next };
        let (slot, generation) = self.connections.insert(connection);
        self.link(slot, place, stay, next);
        // From here on the connection's entry stands for the seat.
        seat.into_iter().for_each(crate::seats::Seats::keep);
        Ok((self.id(slot, generation), grant))
    }

    /// Closes a connection. False if it is not open.
    pub(super) fn close(&mut self, id: ConnectionId, context: Context<'_>, after: &mut After) -> bool {
        let slot = id.place() / self.of;
        let Some(connection) = self.connection(id).copied() else {
            return false;
        };
        self.unlink(&connection);
        self.connections.remove(slot);
        after.free_seats(connection.access, 1);
        self.update(connection.document, context, after, |session| {
            session.leave(context.rules, connection.stay, context.now, context.draining);
        });
        true
    }

    pub(super) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(id.place() / self.of, id.generation())
    }

    pub(super) fn change(
        &mut self,
        id: ConnectionId,
        context: Context<'_>,
        after: &mut After,
    ) -> Result<(), ChangeError> {
        let connection = self.connection(id).copied().ok_or(ChangeError::Unknown)?;
        if connection.access != Access::Edit {
            return Err(ChangeError::ViewOnly);
        }
        self.update(connection.document, context, after, |session| {
            session.change(context.rules, connection.stay, context.now);
        });
        Ok(())
    }

    /// Makes edit and live-view connections view-only.
    pub(super) fn drop_access(
        &mut self,
        place: u32,
        whom: Whom<'_>,
        context: Context<'_>,
        after: &mut After,
    ) -> Dropped {
        let mut dropped = Dropped::default();
        let Some(session) = self.session(place) else {
            return dropped;
        };
        match whom {
            Whom::Everybody => {
                for stay in session.stays_above_view() {
                    self.demote(place, stay, context, after, &mut dropped);
                }
            }
            Whom::Users(users) => {
                for user in users {
                    let [view, live, edit] =
                        self.session(place).map_or([None; 3], |session| session.stays_of(user));
                    if view.or(live).or(edit).is_none() {
                        dropped.unmatched.push(user.clone());
                    }
                    for stay in [edit, live].into_iter().flatten() {
                        self.demote(place, stay, context, after, &mut dropped);
                    }
                }
            }
        }
        self.follow_up(place, context, after);
        dropped
    }

    /// Makes one connection view-only. None if it is not open.
    pub(super) fn drop_connection(
        &mut self,
        id: ConnectionId,
        context: Context<'_>,
        after: &mut After,
    ) -> Option<Dropped> {
        let connection = self.connection(id).copied()?;
        let mut dropped = Dropped::default();
        if connection.access > Access::View {
            self.unlink(&connection);
            let place = connection.document;
            let viewing = self.update(place, context, after, |session| {
                session.demote(context.rules, connection.stay, 1, context.now)
            });
            self.become_viewer(id.place() / self.of, viewing.unwrap_or(NONE), after, &mut dropped);
        }
        Some(dropped)
    }

    fn demote(
        &mut self,
        place: u32,
        stay: StayId,
        context: Context<'_>,
        after: &mut After,
        dropped: &mut Dropped,
    ) {
        let Some(document) = self.documents[place as usize].document.as_mut() else {
            return;
        };
        let count = document.session.stay(stay).connections;
        let mut slots = Vec::with_capacity(count as usize);
        let mut next = document.session.stay(stay).first_connection;
        while let Some((connection, _)) = self.connections.at(next) {
            slots.push(next);
            next = connection.next;
        }
        let viewing = document.session.demote(context.rules, stay, count, context.now);
        // The list begins with the latest.
        for slot in slots.into_iter().rev() {
            self.become_viewer(slot, viewing, after, dropped);
        }
    }

    fn become_viewer(&mut self, slot: u32, stay: StayId, after: &mut After, dropped: &mut Dropped) {
        let Some((connection, generation)) = self.connections.at(slot) else {
            return;
        };
        after.free_seats(connection.access, 1);
        let place = connection.document;
        let Some(document) = self.documents[place as usize].document.as_ref() else {
            return;
        };
        let next = document.session.stay(stay).first_connection;
        *connection = Connection { document: place, stay, access: Access::View, previous: NONE, next };
        let id = self.id(slot, generation);
        dropped.connections.push(id);
        after.notices.push(Notice::Dropped {
            connection: id,
            key: document.session.key().clone(),
            user: document.session.stay(stay).user.id().clone(),
        });
        self.link(slot, place, stay, next);
    }

    /// Puts a connection, whose `next` is set, at the head of its stay's list.
    fn link(&mut self, slot: u32, place: u32, stay: StayId, next: u32) {
        if let Some((next, _)) = self.connections.at(next) {
            next.previous = slot;
        }
        if let Some(document) = self.documents[place as usize].document.as_mut() {
            document.session.stay_mut(stay).first_connection = slot;
        }
    }

    fn unlink(&mut self, connection: &Connection) {
        if let Some((next, _)) = self.connections.at(connection.next) {
            next.previous = connection.previous;
        }
        if let Some((previous, _)) = self.connections.at(connection.previous) {
            previous.next = connection.next;
        } else if let Some(document) = self.documents[connection.document as usize].document.as_mut() {
            document.session.stay_mut(connection.stay).first_connection = connection.next;
        }
    }

    fn id(&self, slot: u32, generation: u32) -> ConnectionId {
        ConnectionId::new(slot * self.of + self.number, generation)
    }
}

/// Time and the storage.
impl Shard {
    /// Lets up to `most` deadlines fall due and says which documents they let enter the ready queue.
    pub(super) fn fall_due(
        &mut self,
        most: usize,
        context: Context<'_>,
        after: &mut After,
        ready: &mut Vec<(Timestamp, DocumentKey, u32)>,
    ) -> bool {
        for _ in 0..most {
            let Some((due, place)) = self.deadlines.first().copied().filter(|(due, _)| *due <= context.now)
            else {
                return false;
            };
            let handle = |session: &mut Session| {
                session.handle_timeout(context.rules, context.now);
                session.key().clone()
            };
            let key = self.update(place, context, after, handle);
            ready.extend(after.ready.drain(..).zip(key).map(|(place, key)| (due, key, place)));
        }
        true
    }

    /// The next callback of a document that stood in the ready queue.
    pub(super) fn take(
        &mut self,
        place: u32,
        context: Context<'_>,
        after: &mut After,
    ) -> Option<Arc<Callback>> {
        let standing = self.documents.get_mut(place as usize)?;
        standing.queued = false;
        if standing.document.is_none() {
            context.waiting.inherited_entry_left();
        }
        self.update(place, context, after, Session::take)?
    }

    pub(super) fn settle(
        &mut self,
        place: u32,
        verdict: Verdict,
        kept_at: Option<Arc<str>>,
        again_at_once: bool,
        context: Context<'_>,
        after: &mut After,
    ) {
        let settled = self.update(place, context, after, |session| {
            let settled = session.settle(context.rules, verdict, kept_at, context.now, again_at_once);
            (settled, session.key().clone())
        });
        let Some((settled, key)) = settled else { return };
        match settled.forgotten {
            Some(true) => self.forgotten += 1,
            Some(false) => self.forgotten -= 1,
            None => {}
        }
        after.notices.extend(settled.given_up.map(|status| Notice::Storage { key, status }));
        after.settled = Some(settled);
    }

    pub(super) fn delete_forgotten(&mut self, place: u32, context: Context<'_>, after: &mut After) -> bool {
        let deleted = self.update(place, context, after, Session::delete_forgotten).unwrap_or(false);
        self.forgotten -= usize::from(deleted);
        deleted
    }

    /// The documents that are forgotten, and where each was kept.
    pub(super) fn forgotten(&self) -> impl Iterator<Item = &Session> {
        let all = if self.forgotten > 0 { self.documents.as_slice() } else { &[] };
        let sessions = all.iter().filter_map(|place| Some(&place.document.as_ref()?.session));
        sessions.filter(|session| session.is_forgotten())
    }

    /// Lets every save and every retry that waits for its time be due at once.
    pub(super) fn hurry(&mut self, context: Context<'_>, after: &mut After) {
        let waiting: Vec<u32> = self.deadlines.iter().map(|(_, place)| *place).collect();
        for place in waiting {
            self.update(place, context, after, Session::hurry);
        }
    }

    /// Closes every connection and counts the documents that still have something to tell.
    pub(super) fn shut_down(&mut self, context: Context<'_>, after: &mut After) -> usize {
        let open: Vec<u32> = self.connections.open().map(|(slot, _)| slot).collect();
        for slot in open {
            if let Some((_, generation)) = self.connections.at(slot) {
                let id = self.id(slot, generation);
                self.close(id, context, after);
            }
        }
        self.hurry(context, after);
        let mut awaited = 0;
        for document in self.documents.iter_mut().filter_map(|place| place.document.as_mut()) {
            document.awaited = !document.session.is_told();
            awaited += usize::from(document.awaited);
        }
        awaited
    }
}

/// The shard's own books.
impl Shard {
    fn insert(&mut self, key: &DocumentKey, hash: u64, waiting: &Waiting) -> u32 {
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
                    waiting.inherited_entry_left();
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
        if document.session.came_and_went() && context.waiting.are_too_many() {
            document.session.forget_untold();
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
            self.remove(place, context.waiting, after);
        }
    }

    fn remove(&mut self, place: u32, waiting: &Waiting, after: &mut After) {
        let standing = &mut self.documents[place as usize];
        let Some(document) = standing.document.take() else {
            return;
        };
        standing.next_free = self.free;
        self.free = place;
        if standing.queued {
            waiting.entry_outlived_its_document();
        }
        if let Ok(entry) = self.table.find_entry(document.hash, |other| *other == place) {
            entry.remove();
        }
        after.garbage.push(Box::new(document.session));
    }

    /// Recounts everything. Returns the seats that connections hold: edit, live view.
    pub(super) fn validate(&self, rules: &Rules) -> Result<[u32; 2], String> {
        let mut counted = std::collections::HashMap::<(u32, StayId), u32>::new();
        let mut seats = [0; 2];
        for (slot, connection) in self.connections.open() {
            *counted.entry((connection.document, connection.stay)).or_default() += 1;
            match connection.access {
                Access::Edit => seats[0] += 1,
                Access::LiveView => seats[1] += 1,
                Access::View => {}
            }
            let stay = self.session(connection.document).map(|session| session.stay(connection.stay));
            if stay.map(|stay| stay.access) != Some(connection.access) {
                return Err(format!("connection {slot} and its stay differ in access"));
            }
        }
        let (mut documents, mut open, mut forgotten, mut deadlines) = (0, 0, 0, 0);
        let mut connections = [0; 3];
        for (place, standing) in (0..).zip(&self.documents) {
            let Some(Document { session, hash, deadline, open: counted_open, .. }) = &standing.document
            else {
                continue;
            };
            session.validate(rules)?;
            documents += 1;
            open += usize::from(session.is_open());
            forgotten += usize::from(session.is_forgotten());
            deadlines += usize::from(deadline.is_some());
            for access in crate::access::ACCESSES {
                connections[access as usize] += session.connections(access);
            }
            let in_order = self.find(session.key(), *hash) == Some(place)
                && session.next_deadline() == *deadline
                && deadline.is_none_or(|due| self.deadlines.contains(&(due, place)))
                && session.is_open() == *counted_open
                && (standing.queued || !session.has_next())
                && !session.is_over();
            if !in_order {
                return Err(format!("document {} is not in order: {session:?}", session.key()));
            }
            for (stay, connections) in session.connections_by_stay() {
                if counted.remove(&(place, stay)).unwrap_or(0) != connections {
                    return Err(format!("stay {stay} of {} has other connections", session.key()));
                }
            }
        }
        let sums = [documents, open, forgotten, deadlines, connections.iter().sum::<u32>() as usize];
        let totals =
            [self.table.len(), self.open, self.forgotten, self.deadlines.len(), self.connections.len()];
        if sums != totals || seats != [connections[2], connections[1]] {
            return Err(format!("shard {}: totals {totals:?} and {seats:?}, counted {sums:?}", self.number));
        }
        Ok(seats)
    }
}

impl After {
    fn free_seats(&mut self, access: Access, count: u32) {
        match access {
            Access::Edit => self.freed[0] += count,
            Access::LiveView => self.freed[1] += count,
            Access::View => {}
        }
    }
}
