//! Carrying out what follows from a call on a session: the one place for it.

use super::ready::{DocumentId, Location};
use super::shard::ShardChanges;
use super::{Held, Registry};
use crate::access::Access;
use crate::admission::Queue;
use crate::notice::Notice;
use crate::session::{Effects, EndedAccess, Garbage, Lane, Session};
use crate::time::Moment;

/// What is left to do once the lock is released.
#[derive(Debug, Default)]
#[must_use = "the document would never be handed out"]
pub(super) struct Deferred {
    /// The document and its lane, if it became ready.
    pub(super) ready: Option<(Location, Lane)>,
    /// The shard's earliest deadline, if it is earlier than before.
    pub(super) earlier: Option<Moment>,
    /// Whether a shutdown need not wait for the document any more.
    settled: bool,
    /// To be freed with no lock held.
    over: Option<Box<Session>>,
}

impl Registry {
    /// Carries out what follows from a call on the session of `document`, and releases the lock.
    pub(super) fn apply(&self, mut held: Held<'_>, document: DocumentId, effects: Effects) {
        let garbage = self.apply_effects(&mut held, document, effects);
        self.finish(held, document);
        // With no lock held, since it can be large.
        drop(garbage);
    }

    /// Ends a call on the session of `document` from which nothing else follows, and releases the lock.
    pub(super) fn finish(&self, mut held: Held<'_>, document: DocumentId) {
        let deferred = self.update_books(&mut held, document);
        if self.admission.has_waiters() {
            return self.finish_and_serve(held, deferred);
        }
        drop(held);
        self.carry_out(deferred);
    }

    /// Ends a call while somebody waits, and releases the lock.
    #[cold]
    fn finish_and_serve(&self, held: Held<'_>, deferred: Deferred) {
        let now = held.time();
        drop(held);
        // Before any worker hears of the document: whoever waits may come to it at once.
        let granted = self.serve_some_waiters(now, None);
        self.carry_out(deferred);
        self.carry_out_all(granted);
    }

    /// Releases seats and sends notices, in order, under the lock.
    pub(super) fn apply_effects(
        &self,
        held: &mut Held<'_>,
        document: DocumentId,
        effects: Effects,
    ) -> Garbage {
        let Effects { ended, notices, timed_out, garbage } = effects;
        if let Some(status) = timed_out {
            held.shard.counters.callbacks(status).timed_out += 1;
        }
        for ended in &ended {
            self.release(held, ended);
        }
        if self.admission.has_waiters() && ended.iter().any(|ended| ended.access == Access::Edit) {
            let key = held.shard.session(document).key().clone();
            self.admission.mark_due(&Queue::Document(key));
        }
        for notice in &notices {
            if let Notice::Storage { status, .. } = notice {
                held.shard.counters.callbacks(*status).given_up += 1;
            }
            self.notices.send(notice);
        }
        garbage
    }

    /// Brings the shard's books up to date, under the lock.
    pub(super) fn update_books(&self, held: &mut Held<'_>, document: DocumentId) -> Deferred {
        let cx = held.cx;
        if self.admission.has_waiters() && !held.shard.session(document).awaits_save() {
            let key = held.shard.session(document).key().clone();
            self.admission.mark_due(&Queue::Saving(key));
        }
        let ShardChanges { ready, books, over } = held.shard.update(document, &cx, &self.ready);
        if let Some(earlier) = books.earlier {
            held.lower_earliest(earlier);
        }
        if books.awaited == Some(true) {
            // Counted before it can settle: the lock is released only after.
            self.lifecycle.wait_for_one_more();
        }
        let ready = ready.map(|lane| (held.location(document), lane));
        Deferred { ready, earlier: books.earlier, settled: books.awaited == Some(false), over }
    }

    /// Ends a call by which nothing changed but perhaps the shard's earliest deadline, and releases the lock.
    #[inline]
    pub(super) fn deadline_moved(&self, held: Held<'_>, earlier: Option<Moment>) {
        if let Some(earlier) = earlier {
            held.lower_earliest(earlier);
            drop(held);
            self.sleeper.wake_by(earlier.as_millis());
        }
    }

    /// The part that is done with no lock held.
    pub(super) fn carry_out(&self, deferred: Deferred) {
        if let Some(earlier) = deferred.earlier {
            self.sleeper.wake_by(earlier.as_millis());
        }
        if let Some((location, lane)) = deferred.ready {
            self.push_ready(location, lane);
        }
        if deferred.settled {
            self.settled();
        }
        drop(deferred.over);
    }

    pub(super) fn carry_out_all(&self, all: Vec<(Deferred, Garbage)>) {
        for (deferred, _) in all {
            self.carry_out(deferred);
        }
    }

    /// Releases the seats of a connection that ended or has another access now.
    fn release(&self, held: &mut Held<'_>, ended: &EndedAccess) {
        let EndedAccess { user, access, seats, then } = ended;
        let left = self.admission.release_access(user.as_ref(), *access, *seats);
        let now_viewer = (*then == Some(Access::View)).then(|| self.admission.count_viewer());
        if then.is_none() {
            self.admission.release_connection();
        }
        let Some(recorder) = &self.recorder else { return };
        recorder.record_fall(*access, left);
        if let Some(viewers) = now_viewer {
            recorder.record_rise(Access::View, viewers, held.cx.now);
        }
        held.shard.meter.record_change(held.cx.now, Some(*access), *then);
    }
}

impl Held<'_> {
    pub(super) fn location(&self, document: DocumentId) -> Location {
        Location { shard: u32::try_from(self.index).expect("shards are few"), document }
    }
}
