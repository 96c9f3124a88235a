//! A shard: some of the documents, and the connections to them. Its methods take `&mut self`; the one lock over it
//! stands in [`Registry`](super::Registry).

mod access;
mod connections;
mod documents;
mod free_numbers;
mod holders;
mod slab;
mod validate;

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::ops::{Bound, Deref};
use std::sync::Arc;

use super::hasher::KeyHasher;
use super::modes::Mode;
use super::ready::{Location, Ready, Staged};
use crate::callback::Callback;
use crate::config::Config;
use crate::error::InfoError;
use crate::ids::{DocumentKey, UserId};
use crate::notice::Notice;
use crate::seats::Seats;
use crate::session::{Before, Pace, Rules, Session, Settled, Spares, Standing, TooMany, Verdict};
use crate::table::{Numbers, Rest};
use crate::time::Timestamp;
use crate::usage::{Meter, Recorder};
pub(crate) use access::{Closed, Whom};
pub(crate) use connections::Numbering;
use connections::{Connections, SlotChunk};
use documents::{Documents, PlaceChunk};
pub(crate) use holders::Idlest;
pub(crate) use validate::Taken;

/// Some of the documents.
#[derive(Debug)]
pub(crate) struct Shard {
    numbering: Numbering,
    /// Places in `documents`, by the hash of the key.
    table: Numbers,
    documents: Documents,
    connections: Connections,
    spares: Spares,
    /// What the connections come to over time.
    pub(super) meter: Meter,
    /// Whether the seats of users are counted, since a limit of a user was set.
    counts_users: bool,
    /// Whether connections are counted under a cap, since one was set.
    capped: bool,
    /// The next deadline of each document that has one.
    deadlines: BTreeSet<(Timestamp, u32)>,
    /// Documents that are to enter the ready queue.
    pub(super) staged: Staged,
    open: usize,
    forgotten: BTreeSet<u32>,
    /// The documents that a shutdown waits for.
    awaited: BTreeSet<u32>,
    /// How often the lock was taken to change anything: tells whether a recount of all shards is of one moment.
    pub(crate) calls: u64,
}

/// What a call leaves to do once the lock is released.
#[derive(Debug, Default)]
pub(crate) struct After {
    /// The document enters the ready queue.
    pub(crate) ready: Option<u32>,
    /// The shard's earliest deadline is to be read again.
    pub(crate) deadlines_moved: bool,
    /// What it is then.
    pub(crate) earliest: u64,
    /// What most calls do not leave.
    pub(crate) more: Option<Box<More>>,
}

/// What few calls leave: notices, the end of a shutdown's wait, and what is freed where no lock is held because it can be
/// large.
#[derive(Debug, Default)]
pub(crate) struct More {
    pub(crate) notices: Vec<Notice>,
    /// Documents a shutdown waited for that are done.
    pub(crate) done: usize,
    settled: Option<Box<Settled>>,
    too_many: Vec<TooMany>,
    over: Vec<Session>,
    places: Vec<PlaceChunk>,
    slots: Vec<SlotChunk>,
    #[expect(clippy::vec_box, reason = "they come in boxes")]
    tables: Vec<Box<Rest>>,
}

impl After {
    /// Whether there is anything but a document that is ready.
    #[inline]
    pub(crate) fn is_more(&self) -> bool {
        self.more.is_some() || self.deadlines_moved
    }

    #[cold]
    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Keeps notices, if anybody listens.
    fn teller(&mut self, context: &Context<'_>) -> impl FnMut(Notice) {
        move |notice| {
            if context.mode.is_listened_to() {
                self.more().notices.push(notice);
            }
        }
    }
}

/// What all shards of an engine have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) rules: Rules,
    pub(crate) seats: Seats,
    /// None if usage is not recorded.
    pub(crate) recorder: Option<Recorder>,
    pub(crate) ready: Ready,
    pub(crate) hasher: KeyHasher,
}

/// What a call needs to know of the engine.
pub(crate) struct Context<'a> {
    pub(crate) common: &'a Common,
    /// The present, read before the lock was taken; a coarse one, or none at all, where no delay starts.
    pub(crate) now: Timestamp,
    pub(crate) mode: Mode,
}

impl Deref for Context<'_> {
    type Target = Common;

    fn deref(&self) -> &Common {
        self.common
    }
}

/// A document that is to enter the ready queue: when it fell due, its key, and where it is.
pub(crate) type Due = (Timestamp, DocumentKey, Location);

impl Shard {
    pub(crate) fn new(number: u32, of: u32, config: &Config, now: Timestamp) -> Self {
        Shard {
            numbering: Numbering { shard: number, bits: of.trailing_zeros() },
            table: Numbers::default(),
            documents: Documents::new(),
            connections: Connections::new(u32::MAX / of),
            spares: Spares::default(),
            meter: Meter::new(now),
            counts_users: config.user_limit.is_some(),
            capped: config.max_connections.is_some(),
            deadlines: BTreeSet::new(),
            staged: Staged::new(),
            open: 0,
            forgotten: BTreeSet::new(),
            awaited: BTreeSet::new(),
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
    #[inline(always)]
    pub(crate) fn find(&self, key: &DocumentKey, hash: u64) -> Option<u32> {
        self.table.find(hash, |place| self.session(place).is_some_and(|session| session.key() == key))
    }

    pub(crate) fn find_open(&self, key: &DocumentKey, hash: u64) -> Option<u32> {
        self.find(key, hash).filter(|place| self.session(*place).is_some_and(Session::is_open))
    }

    pub(crate) fn session_of(&self, key: &DocumentKey, hash: u64) -> Option<&Session> {
        self.find(key, hash).and_then(|place| self.session(place))
    }

    pub(crate) fn session(&self, place: u32) -> Option<&Session> {
        self.documents.get(place)
    }

    /// Runs `act` on the session and then does what follows from it for the shard.
    #[inline]
    pub(crate) fn update<R>(
        &mut self,
        place: u32,
        context: &Context<'_>,
        after: &mut After,
        act: impl FnOnce(&mut Session, &mut Spares) -> R,
    ) -> Option<R> {
        let session = self.documents.get_mut(place)?;
        let before = session.before();
        let result = act(session, &mut self.spares);
        self.follow_up(place, before, context, after);
        Some(result)
    }
}

/// Time and the storage.
impl Shard {
    /// Lets up to `most` deadlines fall due. Whether there may be more.
    pub(crate) fn fall_due(
        &mut self,
        most: usize,
        context: &Context<'_>,
        after: &mut After,
        ready: &mut Vec<Due>,
    ) -> bool {
        for _ in 0..most {
            let Some((due, place)) = self.deadlines.first().copied().filter(|(due, _)| *due <= context.now)
            else {
                return false;
            };
            self.update(place, context, after, |session, _| {
                session.handle_timeout(&context.rules, context.now);
            });
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
        context: &Context<'_>,
        after: &mut After,
        ready: &mut Vec<Due>,
    ) -> bool {
        let from = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        let waiting: Vec<_> = self.deadlines.range((from, Bound::Unbounded)).take(most).copied().collect();
        for (due, place) in &waiting {
            self.update(*place, context, after, |session, _| session.hurry());
            self.collect(*due, after, ready);
        }
        *cursor = waiting.last().copied();
        waiting.len() == most
    }

    /// Takes what is to enter the ready queue out of `after`, so that it can be put in an order across shards.
    fn collect(&self, due: Timestamp, after: &mut After, ready: &mut Vec<Due>) {
        if let Some(place) = after.ready.take() {
            let location = Location { shard: self.numbering.shard, place };
            ready.extend(self.session(place).map(|session| (due, session.key().clone(), location)));
        }
    }

    /// Who edits an open document, which the storage is told too.
    pub(crate) fn info(
        &mut self,
        place: u32,
        userdata: Option<Arc<str>>,
        context: &Context<'_>,
        after: &mut After,
    ) -> Result<Vec<UserId>, InfoError> {
        let session = self.documents.get_mut(place).ok_or(InfoError::NotOpen)?;
        let before = session.before();
        let answer = session.info(&context.rules, &mut self.spares, userdata);
        // A question ends nothing: there is nothing to give back.
        let stands = session.standing();
        self.note(place, before, stands, after);
        answer
    }

    /// The next callback of a document that stood in the ready queue.
    pub(crate) fn take(
        &mut self,
        place: u32,
        context: &Context<'_>,
        after: &mut After,
    ) -> Option<Box<Callback>> {
        self.documents.set_queued(place, false);
        if self.session(place).is_none() {
            context.ready.inherited_entry_left();
        }
        let session = self.documents.get_mut(place)?;
        let before = session.before();
        let callback = session.take();
        if callback.is_none() {
            // Nothing was left to tell after all.
            self.follow_up(place, before, context, after);
        }
        callback
    }

    pub(crate) fn settle(
        &mut self,
        place: u32,
        verdict: Verdict,
        kept_at: Option<Arc<str>>,
        context: &Context<'_>,
        after: &mut After,
    ) {
        let retry = Pace::at_once_if(context.mode.is_shut_down());
        let settled = self.update(place, context, after, |session, _| {
            session.settle(&context.rules, verdict, kept_at, context.now, retry)
        });
        let Some(settled) = settled.flatten() else { return };
        if let Some(callback) = &settled.given_up {
            let Callback { key, status, .. } = &**callback;
            after.more().notices.push(Notice::Storage { key: key.clone(), status: *status });
        }
        self.list(place, settled, after);
    }

    /// False if it was not forgotten.
    pub(crate) fn delete_forgotten(&mut self, place: u32, context: &Context<'_>, after: &mut After) -> bool {
        let settled = self.update(place, context, after, |session, _| session.delete_forgotten());
        let Some(settled) = settled.flatten() else { return false };
        self.list(place, settled, after);
        true
    }

    /// Keeps the list of forgotten documents, and what is to be freed.
    #[cold]
    fn list(&mut self, place: u32, settled: Box<Settled>, after: &mut After) {
        match settled.forgotten {
            Some(true) => self.forgotten.insert(place),
            Some(false) => self.forgotten.remove(&place),
            None => false,
        };
        after.more().settled = Some(settled);
    }

    /// The documents that are forgotten.
    pub(crate) fn forgotten(&self) -> impl Iterator<Item = &Session> {
        self.forgotten.iter().filter_map(|place| self.session(*place))
    }

    /// Closes every connection and counts the documents that still have something to tell. All in one go: no handle is
    /// left that could wait for it.
    pub(crate) fn shut_down(
        &mut self,
        context: &Context<'_>,
        after: &mut After,
        ready: &mut Vec<Due>,
    ) -> usize {
        for place in 0..self.documents.end() {
            for slot in self.connections_of(place) {
                if let Some((_, generation)) = self.connections.at(slot) {
                    let id = self.numbering.id(slot, generation);
                    self.close(id, Some(context.now), context, after);
                }
            }
            self.collect(context.now, after, ready);
        }
        self.hurry(usize::MAX, &mut None, context, after, ready);
        let untold = self.documents.iter().filter(|(_, session)| !session.is_told());
        self.awaited = untold.map(|(place, _)| place).collect();
        self.awaited.len()
    }

    /// The connections of a document, by stay, in the order in which they came.
    fn connections_of(&self, place: u32) -> Vec<u32> {
        let stays = self.session(place).into_iter().flat_map(Session::stays);
        let latest = stays.filter(|(_, stay)| stay.connections > 0).map(|(_, stay)| stay.latest_connection);
        let in_order = |latest| {
            let mut slots: Vec<u32> = self.connections.linked(latest).collect();
            slots.reverse();
            slots
        };
        latest.flat_map(in_order).collect()
    }
}

/// The shard's own books.
impl Shard {
    fn insert(&mut self, key: &DocumentKey, hash: u64, context: &Context<'_>, after: &mut After) -> u32 {
        let place = self.documents.insert(Session::new(key.clone()));
        if self.documents.is_queued(place) {
            context.ready.inherited_entry_left();
        }
        if let Some(left) = self.table.insert(hash, place) {
            after.more().tables.push(left);
        }
        place
    }

    /// After a call that may have changed a session in whatever way; `before`: how it stood before that. Where somebody came
    /// or something was added to what the storage is to hear, nothing ends, and it is enough to [`note`](Self::note) it.
    #[inline]
    fn follow_up(&mut self, place: u32, before: Before, context: &Context<'_>, after: &mut After) {
        let Some(session) = self.documents.get_mut(place) else { return };
        settle_down(session, &mut self.spares, context, after);
        let (stands, told, over) = (session.standing(), session.is_told(), session.is_over());
        self.note(place, before, stands, after);
        if told && !self.awaited.is_empty() && self.awaited.remove(&place) {
            after.more().done += 1;
        }
        if over {
            self.remove(place, context, after);
        }
    }

    /// Keeps the books on a session: all that there is to do where nothing can have come to its end.
    #[inline(always)]
    fn note(&mut self, place: u32, before: Before, stands: Standing, after: &mut After) {
        if stands.has_next && !self.documents.set_queued(place, true) {
            after.ready = Some(place);
        }
        if stands.deadline != before.deadline {
            self.move_deadline(place, before.deadline, stands.deadline);
            after.deadlines_moved = true;
        }
        if stands.open != before.open {
            self.open = if stands.open { self.open + 1 } else { self.open - 1 };
        }
    }

    #[inline(never)]
    fn move_deadline(&mut self, place: u32, from: Option<Timestamp>, to: Option<Timestamp>) {
        if let Some(old) = from {
            self.deadlines.remove(&(old, place));
        }
        self.deadlines.extend(to.map(|new| (new, place)));
    }

    #[inline(never)]
    fn remove(&mut self, place: u32, context: &Context<'_>, after: &mut After) {
        let (session, places) = self.documents.remove(place);
        if let Some(places) = places {
            after.more().places.push(places);
        }
        let Some(session) = session else { return };
        if self.documents.is_queued(place) {
            context.ready.entry_outlived_its_document();
        }
        let hash = context.hasher.hash_one(session.key());
        if let Some(left) = self.table.remove(hash, place, self.documents.end()) {
            after.more().tables.push(left);
        }
        if !session.is_small() {
            after.more().over.push(session);
        }
    }
}

/// Lets a session that may have changed give back what it needs no more.
#[inline]
fn settle_down(session: &mut Session, spares: &mut Spares, context: &Context<'_>, after: &mut After) {
    if session.came_and_went()
        && context.ready.are_too_many()
        && let Some(untold) = session.forget_untold()
    {
        after.more().too_many.push(untold);
    }
    session.tidy(spares, |too_many| after.more().too_many.push(too_many));
}
