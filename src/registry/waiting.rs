//! Viewers who want to edit: one gets a free seat at once, or waits for its [turn](super::turns).

use super::ready::DocumentId;
use super::shard::{Place, Shard};
use super::{Held, Registry};
use crate::access::{Access, EditRequest, Grant, Reason};
use crate::admission::{NEWCOMER, Queue, Waiter};
use crate::error::RequestError;
use crate::ids::ConnectionId;
use crate::session::{DropTarget, Stage, WhyLess};
use crate::time::Now;

/// Asking.
impl Registry {
    /// A viewer wants to edit.
    pub(crate) fn request_edit(&self, id: ConnectionId) -> Result<EditRequest, RequestError> {
        let now = self.coarse_now();
        if self.connections_due(now.steady) {
            self.run_due_stays(now);
        }
        let mut held = self.hold(self.shard_of(id), now);
        let access = held.check_request(id)?;
        if access == Access::Edit {
            return Ok(EditRequest::Granted);
        }
        let place = self.place_of_user(&held, id);
        let ticket = place.as_ref().map_or(NEWCOMER, |(_, waiter)| waiter.ticket);
        match self.admit_viewer(&held, id, ticket) {
            Ok(admitted) => {
                if let Some((waiting, waiter)) = place {
                    self.end_with_grant(&mut held, waiting, &waiter);
                }
                self.grant_now(held, id, admitted);
                Ok(EditRequest::Granted)
            }
            Err(reason) => {
                let refused = self.stand_in_line(&mut held, (id, place), reason)?;
                drop(held);
                let granted = self.serve_some_waiters(now, Some(id));
                self.carry_out_all(granted);
                self.take_over_for(now, id);
                Ok(refused.map_or_else(|| self.answer(id, reason), EditRequest::Refused))
            }
        }
    }

    /// The one place that the user of a connection has on its document, and which of its connections has it.
    fn place_of_user(&self, held: &Held<'_>, id: ConnectionId) -> Option<(ConnectionId, Waiter)> {
        if !self.admission.has_waiters() {
            return None;
        }
        let Place { document, participant } = held.shard.place(id)?;
        let mut connections = held.shard.session(document).connections_of(participant);
        connections.find_map(|connection| Some((connection, self.admission.waiter(connection)?)))
    }

    /// A viewer who was refused waits from now on, or goes on waiting, by the ticket that its user has. Returns the reason if
    /// there is no line for it.
    fn stand_in_line(
        &self,
        held: &mut Held<'_>,
        (id, place): (ConnectionId, Option<(ConnectionId, Waiter)>),
        reason: Reason,
    ) -> Result<Option<Reason>, RequestError> {
        let queue = held.queue(id, reason);
        match (place, queue) {
            // Nobody is granted anything while the engine drains, and places are kept.
            (Some((waiting, _)), _) if waiting == id && reason == Reason::Draining => return Ok(None),
            (Some((waiting, waiter)), Some(queue)) if waiting == id => {
                if queue != waiter.queue {
                    self.admission.move_waiter(id, &queue);
                }
            }
            (Some((waiting, waiter)), queue) => {
                // Where there is no line for it, the place stays where it is.
                let queue = queue.unwrap_or(waiter.queue);
                self.admission.hand_place_over([waiting, id], &queue);
                held.set_reason(id, Some(queue.reason()));
                return Ok(None);
            }
            (None, Some(queue)) if queue != Queue::NamedUsers => {
                self.admission.wait(id, &queue, held.cx.now).map_err(|()| RequestError::TooMany)?;
                if self.recorder.is_some() {
                    held.shard.meter.record_wait();
                }
            }
            (None, _) => {
                held.set_reason(id, Some(reason));
                return Ok(Some(reason));
            }
        }
        held.set_reason(id, Some(reason));
        Ok(None)
    }

    /// What a viewer hears who asked, was refused and stands in line now.
    fn answer(&self, id: ConnectionId, reason: Reason) -> EditRequest {
        // Under one lock: nobody is granted its seat meanwhile.
        let (access, waiter, position) = self.read(self.shard_of(id), |shard| {
            (shard.access(id), self.admission.waiter(id), self.admission.position(id))
        });
        match (access, waiter, position) {
            (Some(Access::Edit), ..) => EditRequest::Granted,
            (_, Some(waiter), Some(position)) => {
                EditRequest::Waiting { reason: waiter.queue.reason(), position }
            }
            // Its user was to be named, and another's turn came first.
            (_, Some(waiter), None) => EditRequest::Refused(waiter.queue.reason()),
            _ => EditRequest::Refused(reason),
        }
    }

    /// Gives a seat back, or the place in the line. The connection stays as a viewer.
    pub(crate) fn release_edit(&self, id: ConnectionId) -> Result<(), RequestError> {
        let mut held = self.hold(self.shard_of(id), self.coarse_now());
        let access = held.check_request(id)?;
        let Place { document, participant } = held.shard.place(id).ok_or(RequestError::Unknown)?;
        if access == Access::Edit {
            let cx = held.cx;
            let effects = held.shard.session_mut(document).release_edit(&cx, (participant, id));
            held.shard.forget_idle_editors(&[id]);
            self.apply(held, document, effects);
        } else {
            self.admission.end_wait(id);
            held.set_reason(id, None);
            let now = held.time();
            drop(held);
            self.serve_waiters(now);
        }
        Ok(())
    }

    /// A connection was resumed. If it waits, it may have its seat at once. Returns what it may do, and its place.
    pub(super) fn go_on_waiting(&self, id: ConnectionId, grant: Grant, now: Now) -> (Grant, Option<u32>) {
        let answer = self.try_to_go_on(id, grant, now);
        if answer.1.is_none() || !self.connections_due(now.steady) {
            return answer;
        }
        // Before it is refused for want of a seat, what has fallen due is ended.
        self.run_due_stays(now);
        self.grant_and_position(id, answer)
    }

    fn try_to_go_on(&self, id: ConnectionId, grant: Grant, now: Now) -> (Grant, Option<u32>) {
        if self.admission.waiter(id).is_none() {
            return (grant, None);
        }
        let mut held = self.hold(self.shard_of(id), now);
        let waiter = self.admission.waiter(id).filter(|_| held.shard.place(id).is_some());
        let Some(waiter) = waiter else {
            // Another call granted it, or ended its place.
            drop(held);
            return self.grant_and_position(id, (grant, None));
        };
        match self.admit_viewer(&held, id, waiter.ticket) {
            Ok(admitted) => {
                self.end_with_grant(&mut held, id, &waiter);
                self.grant_now(held, id, admitted);
                (Grant::of(Access::Edit, None), None)
            }
            Err(reason) => {
                if let Some(queue) = held.queue(id, reason).filter(|queue| *queue != waiter.queue) {
                    self.admission.move_waiter(id, &queue);
                    held.set_reason(id, Some(reason));
                }
                drop(held);
                self.take_over_for(now, id);
                self.grant_and_position(id, (grant, None))
            }
        }
    }

    /// What a connection has now, and its place in its line. The `answer` if it is not open any more.
    fn grant_and_position(&self, id: ConnectionId, answer: (Grant, Option<u32>)) -> (Grant, Option<u32>) {
        let look = |shard: &Shard| Some((shard.grant(id)?, self.admission.position(id)));
        self.read(self.shard_of(id), look).unwrap_or(answer)
    }

    /// The place of a connection in its line. `None` if it does not wait.
    pub(crate) fn position(&self, id: ConnectionId) -> Option<u32> {
        self.admission.position(id)
    }

    /// A drop, or a fence, ends the places of those it names.
    pub(super) fn end_waits(
        &self,
        held: &mut Held<'_>,
        document: DocumentId,
        target: DropTarget<'_>,
        why: WhyLess,
    ) {
        if !self.admission.has_waiters() {
            return;
        }
        let cx = held.cx;
        for (participant, id) in held.shard.session(document).named_by(&cx, target) {
            if self.admission.end_wait(id).is_none() {
                continue;
            }
            let session = held.shard.session_mut(document);
            if session.access(participant, id) == Access::View {
                session.set_reason(participant, id, why.reason());
                if let Some(notice) = session.lost_access(participant, id, why) {
                    self.notices.send(&notice);
                }
            }
        }
    }
}

impl Held<'_> {
    /// The access of a connection that asks for another one.
    fn check_request(&self, id: ConnectionId) -> Result<Access, RequestError> {
        let access = self.shard.access(id).ok_or(RequestError::Unknown)?;
        if self.cx.stage != Stage::Running {
            return Err(RequestError::ShutDown);
        }
        if self.shard.is_lost(id) { Err(RequestError::Lost) } else { Ok(access) }
    }

    /// The line of a connection that is refused for this reason.
    pub(super) fn queue(&self, id: ConnectionId, reason: Reason) -> Option<Queue> {
        let Place { document, participant } = self.shard.place(id)?;
        let session = self.shard.session(document);
        Queue::of(reason, session.key(), session.user_of(participant).id())
    }

    pub(super) fn set_reason(&mut self, id: ConnectionId, reason: Option<Reason>) {
        if let Some(Place { document, participant }) = self.shard.place(id) {
            self.shard.session_mut(document).set_reason(participant, id, reason);
        }
    }
}
