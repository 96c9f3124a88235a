//! Waiting for a seat of edit access: a seat that is given back passes to the first waiter, and is never free meanwhile.

use super::waiters::{NEWCOMER, Queue, Ticket, Waiter, Waiters};
use super::{Admission, Claim};
use crate::access::Reason;
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::limits::{Limit, Waiting};
use crate::sync::{MutexGuard, Ordering};
use crate::time::{Moment, Timestamp};
use crate::work::AT_ONCE;

/// The waiters of an engine, under their lock.
pub(super) struct Turns<'a> {
    admission: &'a Admission,
    waiters: MutexGuard<'a, Waiters>,
}

impl Admission {
    /// Returns true if anybody waits. Costs one load. Asked after there is room, and set before somebody who waits asks again.
    pub(crate) fn has_waiters(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    pub(super) fn turns(&self) -> Turns<'_> {
        Turns { admission: self, waiters: self.waiters.lock() }
    }

    /// Changes the waiters, and then sees to it that the seats of the engine go by them.
    fn change_waiters<R>(&self, change: impl FnOnce(&mut Waiters) -> R) -> R {
        let mut turns = self.turns();
        let result = change(&mut turns.waiters);
        turns.settle();
        result
    }

    /// Frees a seat of edit access, or keeps it for whoever waits. Returns how many connections have one.
    pub(super) fn free_edit(&self) -> u32 {
        if let Some(left) = self.edit.free_unless_queued() {
            return left;
        }
        let mut turns = self.turns();
        // Nobody waits any more, perhaps. That does not change under the lock.
        if let Some(left) = self.edit.free_unless_queued() {
            return left;
        }
        turns.waiters.kept_seats += 1;
        turns.waiters.mark_due(&Queue::Engine);
        self.edit.read().in_use - turns.waiters.kept_seats
    }

    /// Takes a seat of edit access for somebody who waits. Returns how many are taken with it.
    pub(super) fn take_in_turn(&self, ticket: Ticket) -> Option<u32> {
        let mut turns = self.turns();
        if turns.waiters.first(&Queue::Engine) < ticket {
            return None;
        }
        let Some(in_use) = turns.seat_to_pass_on() else { return self.edit.take_in_turn() };
        turns.waiters.kept_seats -= 1;
        Some(in_use - turns.waiters.kept_seats)
    }

    /// Returns true if the limit at which somebody waits has room: its turn has come. Otherwise it waits on there, also if
    /// another limit would stop it first.
    pub(crate) fn has_room_at(&self, queue: &Queue, claim: &Claim<'_>, now: Timestamp) -> bool {
        match queue {
            Queue::Engine => self.has_room_in_turn(),
            Queue::Document(_) => {
                self.document_limit.get().is_none_or(|limit| claim.document.editing < limit)
            }
            Queue::User(user) => {
                let limit = self.user_limit.get().filter(|_| claim.counts_users);
                limit.is_none_or(|limit| self.user_seats.lock(user).get(user) < limit)
            }
            Queue::Saving(_) => !claim.document.saving,
            Queue::NamedUsers => {
                !self.limits_named_users() || self.named_users(now).may(claim.asked, claim.user)
            }
        }
    }

    /// Returns true if a seat is kept, or free, for somebody who waits.
    fn has_room_in_turn(&self) -> bool {
        self.turns().seat_to_pass_on().is_some() || self.edit.has_room()
    }

    /// Seats that were given back and are not passed on yet.
    pub(super) fn kept_seats(&self) -> u32 {
        if self.has_waiters() { self.waiters.lock().kept_seats } else { 0 }
    }
}

/// Waiting.
impl Admission {
    /// A connection waits from now on. Errors if as many wait as may.
    pub(crate) fn wait(&self, id: ConnectionId, queue: &Queue, now: Moment) -> Result<(), ()> {
        self.change_waiters(|waiters| {
            let entered = waiters.enter(id, queue.clone(), now);
            // A seat that was given back since it was refused is its own.
            waiters.mark_due(queue);
            entered
        })
    }

    /// A connection waits by a ticket that it has. Errors if as many wait as may, or if the ticket is another's.
    pub(crate) fn wait_on(&self, id: ConnectionId, waiter: Waiter) -> Result<(), ()> {
        self.change_waiters(|waiters| {
            let queue = waiter.queue.clone();
            let entered = waiters.insert(id, waiter);
            waiters.mark_due(&queue);
            entered
        })
    }

    /// A connection goes on in the place of another, at this limit.
    pub(crate) fn hand_place_over(&self, ids: [ConnectionId; 2], queue: &Queue) {
        self.change_waiters(|waiters| {
            waiters.resume(ids);
            waiters.move_to(ids[1], queue.clone());
            waiters.mark_due(queue);
        });
    }

    /// A connection waits no longer.
    pub(crate) fn end_wait(&self, id: ConnectionId) -> Option<Waiter> {
        if self.has_waiters() { self.change_waiters(|waiters| waiters.remove(id)) } else { None }
    }

    /// Another limit stops a waiter.
    pub(crate) fn move_waiter(&self, id: ConnectionId, queue: &Queue) {
        self.change_waiters(|waiters| {
            waiters.move_to(id, queue.clone());
            waiters.mark_due(queue);
        });
    }

    /// A waiter goes on under another id, and its transport is there.
    pub(crate) fn resume_waiter(&self, ids: [ConnectionId; 2]) {
        if self.has_waiters() {
            self.change_waiters(|waiters| waiters.resume(ids));
        }
    }

    /// The transport of a waiter broke.
    pub(crate) fn lose_waiter(&self, id: ConnectionId) {
        if self.has_waiters() {
            self.change_waiters(|waiters| waiters.lose(id));
        }
    }

    /// How a connection waits.
    pub(crate) fn waiter(&self, id: ConnectionId) -> Option<Waiter> {
        if self.has_waiters() { self.waiters.lock().get(id).cloned() } else { None }
    }

    /// The place of a connection in its line, from 1 on.
    pub(crate) fn position(&self, id: ConnectionId) -> Option<u32> {
        if self.has_waiters() { self.waiters.lock().position(id) } else { None }
    }

    /// How many stand in a line whose turn may come.
    pub(crate) fn live_in(&self, queue: &Queue) -> usize {
        self.waiters.lock().live_in(queue)
    }

    /// The first of them.
    pub(crate) fn first_in(&self, queue: &Queue) -> Option<(ConnectionId, Waiter)> {
        self.waiters.lock().first_in(queue)
    }

    /// At most `most` of the documents for a seat of which somebody waits, by key: the first ones, or those `after` one.
    pub(crate) fn waited_for(&self, after: Option<&DocumentKey>, most: usize) -> Vec<DocumentKey> {
        self.waiters.lock().documents(after).take(most).collect()
    }

    /// Returns true if one who waits would get in once a seat of the engine is given back.
    pub(crate) fn would_enter(&self, claim: &Claim<'_>, now: Timestamp) -> bool {
        let may = self.check_document(claim).is_ok() && self.check_user(claim, now, |_| {}).is_ok();
        let Limit { limit, in_use } = self.edit.read();
        may && limit.is_none_or(|limit| in_use <= limit)
            && self.waiters.lock().first(&Queue::Engine) >= claim.ticket
    }

    /// The place that a newcomer would get who is refused for this reason.
    pub(crate) fn next_position(&self, reason: Reason, key: &DocumentKey, user: &UserId) -> Option<u32> {
        let queue = Queue::of(reason, key, user).filter(|queue| *queue != Queue::NamedUsers)?;
        u32::try_from(self.waiters.lock().len_of(&queue) + 1).ok()
    }

    /// Returns true if others come first at the limit of a document, and at the end of its save.
    pub(crate) fn document_queues(&self, key: &DocumentKey, ticket: Ticket) -> [bool; 2] {
        if !self.has_waiters() {
            return [false; 2];
        }
        let waiters = self.waiters.lock();
        [Queue::Document(key.clone()), Queue::Saving(key.clone())].map(|queue| waiters.first(&queue) < ticket)
    }

    /// Returns true if others come first at the limit of a user.
    pub(super) fn user_queue(&self, user: &UserId, ticket: Ticket) -> bool {
        self.has_waiters() && self.waiters.lock().first(&Queue::User(user.clone())) < ticket
    }

    pub(crate) fn waiting(&self) -> Waiting {
        self.waiters.lock().waiting()
    }

    /// Checks that so many wait, each in its line, and that no seat is kept for nobody.
    pub(crate) fn validate_waiters(&self, counted: usize) -> Result<(), String> {
        let waiters = self.waiters.lock();
        let (waiting, kept) = (self.waiting.load(Ordering::SeqCst), waiters.kept_seats);
        if (waiting, waiters.len()) != (counted, counted)
            || (kept > 0 && waiters.first(&Queue::Engine) == NEWCOMER)
        {
            return Err(format!("{waiting} wait, {} listed, counted {counted}, {kept} kept", waiters.len()));
        }
        waiters.validate()
    }
}

/// Turns.
impl Admission {
    /// There may be room at a limit.
    pub(crate) fn mark_due(&self, queue: &Queue) {
        if self.has_waiters() {
            self.waiters.lock().mark_due(queue);
        }
    }

    /// There may be room at the limit of a user.
    pub(super) fn mark_user_due(&self, user: &UserId) {
        if self.has_waiters() {
            self.mark_due(&Queue::User(user.clone()));
        }
    }

    /// Somebody in a line took a turn: there may be room for the next.
    pub(crate) fn mark_next_due(&self, waiter: &Waiter) {
        let (mut turns, queue) = (self.turns(), &waiter.queue);
        if *queue == Queue::NamedUsers {
            // Whoever comes first there holds nobody back.
            turns.waiters.mark_due_after(queue, Some(waiter.ticket));
        } else if *queue != Queue::Engine || self.edit.has_room() {
            // For the seats that are kept the line of the engine is marked already.
            turns.waiters.mark_due(queue);
        }
    }

    /// There may be room at all limits of this kind, or at all. Looks at some of them under one hold of the lock.
    pub(crate) fn mark_all_due(&self, kind: Option<Reason>) {
        let mut last = None;
        while self.has_waiters() {
            last = self.waiters.lock().mark_some_due(last.as_ref(), kind, AT_ONCE);
            if last.is_none() {
                return;
            }
        }
    }

    /// Returns true if there may be room for somebody who waits.
    pub(crate) fn is_turn_due(&self) -> bool {
        self.has_waiters() && !self.is_draining() && self.waiters.lock().is_any_due()
    }

    /// Whose turn it is, of those for whom there may be room.
    pub(crate) fn next_turn(&self) -> Option<(ConnectionId, Waiter)> {
        if self.is_draining() { None } else { self.waiters.lock().next() }
    }

    /// From now on nobody is granted anything, or that is over. Waiters keep their places.
    pub(crate) fn set_draining(&self, draining: bool) {
        if draining {
            self.draining.store(true, Ordering::SeqCst);
            self.turns().settle();
        } else {
            // Newcomers are held back before they are let in again.
            let mut turns = self.turns();
            turns.hold_back(true);
            self.draining.store(false, Ordering::SeqCst);
            drop(turns);
            self.mark_all_due(None);
        }
    }
}

impl Turns<'_> {
    /// Sees to it that newcomers are held back while somebody waits whose turn may come, and that no seat is kept for
    /// nobody.
    fn settle(&mut self) {
        self.admission.waiting.store(self.waiters.len(), Ordering::SeqCst);
        self.hold_back(!self.admission.is_draining());
    }

    /// How many seats are in use, if one of them is kept for whoever waits.
    fn seat_to_pass_on(&mut self) -> Option<u32> {
        while self.waiters.kept_seats > 0 {
            let Limit { limit, in_use } = self.admission.edit.read();
            let over = limit.map_or(0, |limit| in_use.saturating_sub(limit));
            if over == 0 {
                return Some(in_use);
            }
            // A lower limit was set: they pass to nobody.
            let seats = over.min(self.waiters.kept_seats);
            self.waiters.kept_seats -= seats;
            self.admission.edit.free_some(seats);
        }
        None
    }

    fn hold_back(&mut self, may: bool) {
        let queued = may && self.waiters.first(&Queue::Engine) != NEWCOMER;
        self.admission.edit.set_queued(queued);
        if queued {
            if self.waiters.kept_seats > 0 {
                self.waiters.mark_due(&Queue::Engine);
            }
            return;
        }
        let seats = std::mem::take(&mut self.waiters.kept_seats);
        self.admission.edit.free_some(seats);
    }
}
