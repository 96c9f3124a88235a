//! Turns: a seat that is given back passes to the first who waits for it.
//!
//! Whoever frees a seat marks the lines at which there may be room, under the lock that it holds. After that lock is
//! released, [`Registry::serve_some_waiters`] takes the marked lines by the tickets of their first waiters, locks the shard
//! of each, and asks all limits again there.

use super::apply::Deferred;
use super::shard::Place;
use super::{Held, Registry};
use crate::access::{Access, Reason};
use crate::admission::{Claim, Queue, Ticket, Waiter};
use crate::ids::ConnectionId;
use crate::seats::Admitted;
use crate::session::{Effects, Garbage, Stage};
use crate::sync::Ordering;
use crate::time::{Moment, Now};

/// So many turns are taken in one call. The rest is left to the next tick.
const TURNS: usize = 256;

impl Registry {
    /// Gives seats to those whose turn it is. Called with no lock held.
    pub(super) fn serve_waiters(&self, now: Now) {
        let granted = self.serve_some_waiters(now, None);
        self.carry_out_all(granted);
    }

    /// The same, but leaves the last part to the caller. Whoever is `asking` hears of it by the answer.
    pub(super) fn serve_some_waiters(
        &self,
        now: Now,
        asking: Option<ConnectionId>,
    ) -> Vec<(Deferred, Garbage)> {
        let mut granted = Vec::new();
        if self.admission.is_turn_due() {
            let more = self.take_turns(now, asking, &mut granted);
            if more || self.has_moved.load(Ordering::SeqCst) {
                self.sleeper.wake_by(now.steady.as_millis());
            }
        }
        granted
    }

    /// Gives seats until there is no room for anybody who waits, and those of idle editors to whoever waits elsewhere by now.
    pub(super) fn serve_all_waiters(&self, now: Now) {
        let have_moved = self.has_moved.swap(false, Ordering::SeqCst);
        if !self.admission.has_waiters() {
            return;
        }
        // The time of a named user may be over.
        self.admission.mark_due(&Queue::NamedUsers);
        let mut more = self.admission.is_turn_due();
        while more {
            let mut granted = Vec::new();
            more = self.take_turns(now, None, &mut granted);
            self.carry_out_all(granted);
        }
        if have_moved || self.has_moved.swap(false, Ordering::SeqCst) {
            self.take_over_all_idle(now);
        }
    }

    /// Gives the seats of idle editors to those who wait, at every limit.
    fn take_over_all_idle(&self, now: Now) {
        let mut documents = self.admission.waited_for(None, TURNS);
        self.take_over_idle(now, &documents, None);
        while let Some(last) = documents.last() {
            documents = self.admission.waited_for(Some(last), TURNS);
            self.take_over_idle(now, &documents, None);
        }
    }

    /// Takes some turns. Returns true if there may be more.
    fn take_turns(
        &self,
        now: Now,
        asking: Option<ConnectionId>,
        granted: &mut Vec<(Deferred, Garbage)>,
    ) -> bool {
        for _ in 0..TURNS {
            if self.lifecycle.stage() != Stage::Running {
                return false;
            }
            let Some((id, waiter)) = self.admission.next_turn() else { return false };
            granted.extend(self.take_turn(id, &waiter, now, asking));
        }
        true
    }

    /// Gives a seat to one who waits, if there is one for it now.
    fn take_turn(
        &self,
        id: ConnectionId,
        waiter: &Waiter,
        now: Now,
        asking: Option<ConnectionId>,
    ) -> Option<(Deferred, Garbage)> {
        let mut held = self.hold(self.shard_of(id), now);
        let still_waits = |other: Waiter| {
            (other.ticket, &other.queue, other.lost) == (waiter.ticket, &waiter.queue, waiter.lost)
        };
        let place = held.shard.place(id).filter(|_| self.admission.waiter(id).is_some_and(still_waits));
        let Some(Place { document, .. }) = place else {
            // It left, or moved, before the lock was taken. The room is for the next one.
            self.admission.mark_due(&waiter.queue);
            return None;
        };
        let claim = self.claim_of_viewer(&held, id, waiter.ticket).expect("it was just found");
        let shares_seat = claim.document.shares_seat;
        if !shares_seat && !self.admission.has_room_at(&waiter.queue, &claim, held.cx.wall) {
            if waiter.queue == Queue::NamedUsers {
                self.admission.mark_next_due(waiter);
            }
            return None;
        }
        let reason = match self.admission.admit_viewer(&claim, held.cx.wall) {
            Ok(admitted) => {
                self.end_with_grant(&mut held, id, waiter);
                self.admission.mark_next_due(waiter);
                let (effects, earlier) = self.grant_edit(&mut held, id, admitted, asking != Some(id));
                let garbage = self.apply_effects(&mut held, document, effects);
                let mut deferred = self.update_books(&mut held, document);
                deferred.earlier = deferred.earlier.into_iter().chain(earlier).min();
                return Some((deferred, garbage));
            }
            Err(reason) => reason,
        };
        match held.queue(id, reason) {
            Some(queue) if queue == waiter.queue => return None,
            Some(queue) => {
                self.admission.move_waiter(id, &queue);
                if self.takes_over_idle {
                    self.has_moved.store(true, Ordering::SeqCst);
                }
            }
            // Undraining serves everybody.
            None if reason == Reason::Draining => return None,
            None => drop(self.admission.end_wait(id)),
        }
        held.set_reason(id, Some(reason));
        self.admission.mark_next_due(waiter);
        None
    }

    /// Takes the seats that a viewer needs to edit.
    pub(super) fn admit_viewer(
        &self,
        held: &Held<'_>,
        id: ConnectionId,
        ticket: Ticket,
    ) -> Result<Admitted, Reason> {
        let claim = self.claim_of_viewer(held, id, ticket).expect("the caller found it");
        self.admission.admit_viewer(&claim, held.cx.wall)
    }

    /// The claim of a viewer who wants to edit. `None` if it is not open.
    pub(super) fn claim_of_viewer<'h>(
        &self,
        held: &'h Held<'_>,
        id: ConnectionId,
        ticket: Ticket,
    ) -> Option<Claim<'h>> {
        let Place { document, participant } = held.shard.place(id)?;
        let session = held.shard.session(document);
        let (key, user) = (session.key(), session.user_of(participant).id());
        let mut claim = self.claim(held, (key, Some(document)), (user, Access::Edit), ticket);
        claim.document.saving |= session.awaits_save();
        Some(claim)
    }

    /// One who waited has its seat.
    pub(super) fn end_with_grant(&self, held: &mut Held<'_>, id: ConnectionId, waiter: &Waiter) {
        self.admission.end_wait(id);
        if self.recorder.is_some() {
            let time = held.cx.now.since(waiter.since);
            held.shard.meter.record_grant(time);
        }
    }

    /// Gives a viewer the edit access to which it was admitted. Also returns the shard's earliest deadline if it is earlier
    /// than before.
    fn grant_edit(
        &self,
        held: &mut Held<'_>,
        id: ConnectionId,
        admitted: Admitted,
        waited: bool,
    ) -> (Effects, Option<Moment>) {
        let Place { document, participant } = held.shard.place(id).expect("the caller found it");
        let cx = held.cx;
        if let Some(recorder) = &self.recorder {
            recorder.record_rise(Access::Edit, admitted.connections, cx.now);
        }
        held.shard.counters.promotions += 1;
        self.record_promotion(held, (document, participant));
        let session = held.shard.session_mut(document);
        let effects = session.grant_edit(&cx, (participant, id), admitted, waited);
        held.shard.touch_stay(id, cx.now);
        let earlier = held.shard.look_at_stay(id);
        if let Some(earlier) = earlier {
            held.lower_earliest(earlier);
        }
        (effects, earlier)
    }

    /// The same for a viewer who is answered at once. Releases the lock.
    pub(super) fn grant_now(&self, mut held: Held<'_>, id: ConnectionId, admitted: Admitted) {
        let Place { document, .. } = held.shard.place(id).expect("the caller found it");
        let (effects, earlier) = self.grant_edit(&mut held, id, admitted, false);
        self.apply(held, document, effects);
        if let Some(earlier) = earlier {
            self.sleeper.wake_by(earlier.as_millis());
        }
    }
}
