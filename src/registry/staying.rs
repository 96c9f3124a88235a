//! Connections that are lost, resumed, idle or old.

use std::time::Duration;

use super::apply::Deferred;
use super::shard::Place;
use super::stay::StayDue;
use super::tick::ReadyDocument;
use super::{Held, Opened, Registry};
use crate::access::{Access, ConnectionInfo, ConnectionState, Dropped, Grant};
use crate::error::{ResumeError, TransportError};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notice::{DisconnectCause, Notice};
use crate::seats::{Admitted, Seats};
use crate::session::{DropTarget, Garbage, LeaveCause, Stage, WhyLess};
use crate::sync::Ordering;
use crate::time::{Moment, Now};
use crate::token::ResumeToken;

/// So many connections are looked at under one hold of a shard lock.
const SLICE: usize = 128;

/// What fell due for connections.
#[derive(Debug, Default)]
struct Run {
    /// The documents that have something for the storage.
    ready: Vec<ReadyDocument>,
    /// The editors whose seats can go to whoever waits, and their documents.
    idle: Vec<ConnectionId>,
    documents: Vec<DocumentKey>,
}

/// Losing and resuming.
impl Registry {
    /// The transport of a connection broke. Returns for how long it keeps its seat, or `None` if it is closed.
    pub(crate) fn lost(&self, id: ConnectionId) -> Result<Option<Duration>, TransportError> {
        let mut held = self.hold(self.shard_of(id), self.coarse_now());
        if held.shard.place(id).is_none() {
            return Err(TransportError::Unknown);
        }
        if held.shard.is_lost(id) {
            return Err(TransportError::Lost);
        }
        let now = held.cx.now;
        let Some(lease) = held.shard.lose(id, now) else {
            drop(held);
            return self.close(id).map(|()| None).map_err(|_| TransportError::Unknown);
        };
        self.admission.lose_waiter(id);
        let earlier = held.shard.look_at_stay(id);
        self.deadline_moved(held, earlier);
        Ok(Some(lease))
    }

    /// A connection is active.
    pub(crate) fn touch(&self, id: ConnectionId) -> Result<(), TransportError> {
        let mut held = self.hold(self.shard_of(id), self.clock.coarse());
        let Place { document, participant } = held.shard.place(id).ok_or(TransportError::Unknown)?;
        if held.shard.is_lost(id) {
            return Err(TransportError::Lost);
        }
        let now = held.cx.now;
        held.shard.session_mut(document).touch(participant, id, now);
        held.shard.touch_stay(id, now);
        let earlier = held.shard.look_at_stay(id);
        self.deadline_moved(held, earlier);
        Ok(())
    }

    /// Moves the seat of the connection that a token names to a new connection.
    pub(crate) fn resume(&self, token: &ResumeToken, attempt: u64) -> Result<Opened, ResumeError> {
        let now = self.coarse_now();
        let index = self.shard_of_token(token).ok_or(ResumeError::Unknown)?;
        let mut held = self.hold(index, now);
        if held.cx.stage != Stage::Running {
            return Err(ResumeError::ShutDown);
        }
        let (old, last, lost_until) = held.shard.find_token(token).ok_or(ResumeError::Unknown)?;
        if lost_until <= held.cx.now {
            drop(held);
            self.run_due_stays(now);
            return Err(ResumeError::Unknown);
        }
        if attempt < last {
            return Err(ResumeError::Stale);
        }
        let alive = !held.shard.is_lost(old);
        let new = held.shard.rename(old, attempt);
        held.shard.counters.resumes += 1;
        let grant = self.move_seat(held, [old, new], alive);
        let (grant, position) = self.go_on_waiting(new, grant, now);
        // An age that ran out while it was lost is applied right after it.
        if self.shards[self.shard_of(new)].earliest.load(Ordering::SeqCst) <= now.steady.as_millis() {
            self.run_due_stays(now);
        }
        Ok(Opened { id: new, grant, token: Some(*token), instead_of: Some(old), position })
    }

    /// The seat of a connection went to a new one. Tells the session.
    fn move_seat(&self, mut held: Held<'_>, [old, new]: [ConnectionId; 2], alive: bool) -> Grant {
        let cx = held.cx;
        let Place { document, participant } = held.shard.place(new).expect("it was just placed");
        let session = held.shard.session_mut(document);
        let (grant, effects) = session.resume(&cx, participant, [old, new], alive);
        held.shard.touch_stay(new, cx.now);
        let earlier = held.shard.look_at_stay(new);
        let garbage = self.apply_effects(&mut held, document, effects);
        self.admission.resume_waiter([old, new]);
        self.deadline_moved(held, earlier);
        drop(garbage);
        grant
    }

    /// Takes over the seat of a lost connection: a page was reloaded without its token.
    pub(super) fn take_over(&self, mut held: Held<'_>, lost: ConnectionId, user: &User) -> Opened {
        let cx = held.cx;
        let (id, token) = held.shard.replace(lost, &self.hasher, cx.now);
        if self.recorder.is_some() {
            held.shard.meter.record_change(cx.now, Some(Access::Edit), None);
        }
        let admitted = Admitted {
            access: Access::Edit,
            reason: None,
            seats: Seats::default(),
            connections: self.admission.connections(Access::Edit),
        };
        held.shard.counters.count_close(Some(DisconnectCause::Superseded));
        self.record_open(&mut held, (user, Access::Edit), admitted);
        if let Some(Place { document, participant }) = held.shard.place(id) {
            held.shard.session_mut(document).learn_name(participant, user);
        }
        let grant = self.move_seat(held, [lost, id], false);
        Opened { id, grant, token, instead_of: Some(lost), position: None }
    }
}

/// Time.
impl Registry {
    /// Returns true if a connection, or a fence, is due by `now`.
    pub(super) fn connections_due(&self, now: Moment) -> bool {
        self.stays_on
            && self.shards.iter().any(|lock| lock.earliest.load(Ordering::SeqCst) <= now.as_millis())
    }

    /// Ends leases and fences, and warns, demotes or closes connections, as far as that is due.
    pub(super) fn run_due_stays(&self, now: Now) {
        let mut run = Run::default();
        for (index, lock) in self.shards.iter().enumerate() {
            if lock.earliest.load(Ordering::SeqCst) <= now.steady.as_millis() {
                while self.run_some_stays(index, now, &mut run) {}
            }
        }
        let Run { ready, idle, mut documents } = run;
        let granted = self.serve_some_waiters(now, None);
        self.push_all(ready);
        self.carry_out_all(granted);
        if !idle.is_empty() {
            documents.sort_unstable();
            documents.dedup();
            self.take_over_idle(now, &documents, None);
            for id in idle {
                self.hold(self.shard_of(id), now).shard.end_want(id);
            }
        }
    }

    /// The part that is done under one hold of a shard lock. Returns false if nothing more is due.
    ///
    /// The shard's earliest deadline goes up under the same hold in which its seats become free: whoever sees that nothing
    /// is due finds them.
    fn run_some_stays(&self, index: usize, now: Now, run: &mut Run) -> bool {
        let mut held = self.hold(index, now);
        let due = held.shard.take_due_stays(now.steady, SLICE);
        let ended = held.shard.end_due_fences(now.steady, SLICE, &self.fence_count);
        let more = due.len() == SLICE || ended == SLICE;
        let mut all: Vec<(Deferred, Garbage)> = Vec::new();
        for id in due {
            self.run_stay(&mut held, id, &mut all, run);
        }
        held.raise_earliest();
        let earliest = held.shard.earliest();
        drop(held);
        for (deferred, _) in all {
            self.carry_out(deferred);
        }
        self.sleeper.wake_by(earliest.as_millis());
        more
    }

    /// Runs what is due for one connection.
    fn run_stay(
        &self,
        held: &mut Held<'_>,
        id: ConnectionId,
        all: &mut Vec<(Deferred, Garbage)>,
        run: &mut Run,
    ) {
        let cx = held.cx;
        while let Some(Place { document, participant }) = held.shard.place(id) {
            let session = held.shard.session(document);
            let (access, key, due) = (session.access(participant, id), session.key().clone(), cx.now);
            let effects = match held.shard.due_of_stay(id, access, cx.now) {
                None => {
                    held.shard.look_at_stay(id);
                    return;
                }
                Some(StayDue::Warning(cause, left)) => {
                    self.warn(held, id, (cause, left));
                    continue;
                }
                Some(StayDue::Wanted) => {
                    run.idle.push(id);
                    run.documents.push(key);
                    continue;
                }
                Some(StayDue::ViewOnly) => {
                    let (target, mut dropped) = (DropTarget::Connection(participant, id), Dropped::default());
                    let session = held.shard.session_mut(document);
                    let effects = session.drop_access(&cx, target, WhyLess::Idle, &mut dropped);
                    held.shard.forget_idle_editors(&dropped.connections);
                    effects
                }
                Some(StayDue::Ends(cause)) => {
                    self.disconnect(held, id);
                    held.shard.counters.count_close(Some(cause));
                    let cause = LeaveCause::Disconnected(cause);
                    held.shard.session_mut(document).leave(&cx, (participant, id), cause)
                }
            };
            let garbage = self.apply_effects(held, document, effects);
            let mut deferred = self.update_books(held, document);
            let became_ready = deferred.ready.take();
            run.ready.extend(became_ready.map(|(location, lane)| ReadyDocument { due, key, location, lane }));
            all.push((deferred, garbage));
        }
    }

    pub(super) fn warn(
        &self,
        held: &Held<'_>,
        connection: ConnectionId,
        (cause, left): (DisconnectCause, Duration),
    ) {
        let Some(Place { document, participant }) = held.shard.place(connection) else { return };
        let session = held.shard.session(document);
        let (key, user) = (session.key().clone(), session.user_of(participant).id().clone());
        let in_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let code = cause.code().unwrap_or_default();
        self.notices.send(&Notice::Expiring { connection, key, user, code, in_ms });
    }
}

/// Questions.
impl Registry {
    /// Every connection to a document, by participant, in the order in which they began to edit.
    pub(crate) fn connections(&self, key: &DocumentKey) -> Vec<ConnectionInfo> {
        let (hash, index) = self.locate(key);
        let now = self.clock.coarse().steady;
        self.read(index, |shard| {
            let Some(document) = shard.find(key, hash) else { return Vec::new() };
            let session = shard.session(document);
            let info = |id: ConnectionId| {
                let Place { participant, .. } = shard.place(id)?;
                let state = if shard.is_lost(id) { ConnectionState::Lost } else { ConnectionState::Live };
                Some(ConnectionInfo {
                    connection: id,
                    user: session.user_of(participant).clone(),
                    access: session.access(participant, id),
                    state,
                    idle: now.since(shard.active(id).unwrap_or_else(|| session.active(participant, id))),
                    position: self.admission.position(id),
                })
            };
            session.connections().filter_map(info).collect()
        })
    }

    /// What a connection was given, as far as it still has it. `None` if it is not open.
    pub(crate) fn grant(&self, id: ConnectionId) -> Option<Grant> {
        self.read(self.shard_of(id), |shard| shard.grant(id))
    }

    /// The token of a connection. `None` if it is not open, or cannot be resumed.
    pub(crate) fn token(&self, id: ConnectionId) -> Option<ResumeToken> {
        self.read(self.shard_of(id), |shard| shard.token(id))
    }

    /// The document and the user of a connection.
    pub(crate) fn owner(&self, id: ConnectionId) -> Option<(DocumentKey, UserId)> {
        self.read(self.shard_of(id), |shard| Some((shard.key_of(id)?, shard.user_of(id)?)))
    }

    /// Returns true if the connection is open, is not lost, and may edit now.
    pub(crate) fn may_edit(&self, id: ConnectionId) -> bool {
        self.read(self.shard_of(id), |shard| shard.access(id) == Some(Access::Edit) && !shard.is_lost(id))
    }
}
