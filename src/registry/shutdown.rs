//! Draining, and the end of an engine.

use std::sync::Arc;
use std::time::Duration;

use super::apply::Deferred;
use super::ready::Location;
use super::shard::{Place, Shard};
use super::{Held, Registry};
use crate::access::Access;
use crate::ids::{ConnectionId, DocumentKey};
use crate::notice::DisconnectCause;
use crate::report::{PendingDocument, Remaining, Report};
use crate::session::{Effects, Garbage, Lane, LeaveCause, Session, Stage};
use crate::sync::{Ordering, spawn};
use crate::time::{Moment, Now};

/// So many connections are closed under one hold of a shard lock.
const SLICE: usize = 128;

/// While no thread runs deadlines, whoever waits for the report runs them so often.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Counts the handles of an engine. The last one ends its registry, which receivers and deliveries keep beyond that.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) registry: Arc<Registry>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.registry.no_handle_is_left();
    }
}

/// Draining.
impl Registry {
    /// Gives out no edit access any more, and makes the saves due that wait for their delay.
    pub(crate) fn drain(&self) {
        self.admission.set_draining(true);
        self.on_documents(self.now(), |session, cx| {
            session.skip_save_delay(cx);
            Effects::default()
        });
    }

    /// Gives out edit access again, unless the engine shuts down.
    pub(crate) fn undrain(&self) {
        if self.lifecycle.stage() == Stage::Running {
            self.admission.set_draining(false);
            self.serve_waiters(self.coarse_now());
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.admission.is_draining()
    }
}

/// The thread that runs deadlines.
impl Registry {
    /// Starts the thread, unless it runs or the clock is manual. Returns an error if the system starts none.
    pub(crate) fn start_timer(self: &Arc<Self>) -> std::io::Result<()> {
        if self.clock.is_manual() || self.has_timer.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let registry = self.clone();
        let thread = spawn("coedit-timer", move || {
            // Also if the clock, which is host code, panics: then the receivers run what is due.
            let _gone = TimerGone(&registry);
            registry.run_timer();
        });
        // Nobody waits for the thread: it ends with the engine.
        thread.map(drop).inspect_err(|_| self.has_timer.store(false, Ordering::SeqCst))
    }

    fn has_timer(&self) -> bool {
        self.has_timer.load(Ordering::SeqCst)
    }
}

struct TimerGone<'a>(&'a Arc<Registry>);

impl Drop for TimerGone<'_> {
    fn drop(&mut self) {
        self.0.has_timer.store(false, Ordering::SeqCst);
        self.0.need_receivers();
        self.0.lifecycle.wake_waiters();
    }
}

/// Shutting down.
impl Registry {
    /// Closes all connections and makes every save due. The engine ends when all is settled, at the latest after `time`.
    /// Does nothing if that has begun.
    pub(crate) fn begin_shutdown(self: &Arc<Self>, time: Duration) {
        if self.start_end(time) {
            self.begin_end();
        }
    }

    /// The same, but returns at once where a thread can do it.
    fn no_handle_is_left(self: &Arc<Self>) {
        let begins = self.start_end(self.rules.drop_deadline);
        if !self.has_timer() {
            self.need_receivers();
            if begins {
                self.begin_end();
            }
        } else if begins {
            self.lifecycle.ask_to_begin();
            self.sleeper.wake();
        }
    }

    /// From now on the receivers run what is due.
    fn need_receivers(&self) {
        self.lifecycle.set_needs_receivers();
        self.ready.wake_blocked();
    }

    fn start_end(self: &Arc<Self>, time: Duration) -> bool {
        let begins = self.lifecycle.begin(self.now().steady, time);
        if begins {
            self.admission.set_draining(true);
            // Without a thread, whoever waits runs what is due.
            let _ = self.start_timer();
        }
        begins
    }

    pub(super) fn begin_end_if_asked(&self) {
        if self.lifecycle.take_asked() {
            self.begin_end();
        }
    }

    /// Closes all connections and makes every save due.
    fn begin_end(&self) {
        let now = self.now();
        let mut ready = Vec::new();
        for index in 0..self.shards.len() {
            let mut slot = 0;
            while slot < self.read(index, Shard::documents_end) {
                while self.close_some(index, now, slot) {}
                ready.extend(self.hurry(self.hold(index, now), slot));
                slot += 1;
            }
        }
        ready.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
        for (_, (location, lane)) in ready {
            self.push_ready(location, lane);
        }
        self.sleeper.wake();
        self.settled();
    }

    /// Closes some of the connections to a document. Returns false if there is none any more.
    fn close_some(&self, index: usize, now: Now, slot: usize) -> bool {
        let mut held = self.hold(index, now);
        let Some(document) = held.shard.document_at(slot) else { return false };
        let connections: Vec<ConnectionId> = held.shard.session(document).connections().take(SLICE).collect();
        let (cx, mut all) = (held.cx, Vec::<(Deferred, Garbage)>::new());
        for id in &connections {
            let Place { participant, .. } =
                self.disconnect(&mut held, *id).expect("a listed connection is open");
            held.shard.counters.count_close(Some(DisconnectCause::ShutDown));
            let session = held.shard.session_mut(document);
            let effects =
                session.leave(&cx, (participant, *id), LeaveCause::Disconnected(DisconnectCause::ShutDown));
            let garbage = self.apply_effects(&mut held, document, effects);
            all.push((self.update_books(&mut held, document), garbage));
        }
        drop(held);
        self.carry_out_all(all);
        !connections.is_empty()
    }

    /// Tries at once whatever waits for its next attempt. Returns the document if it became ready.
    fn hurry(&self, mut held: Held<'_>, slot: usize) -> Option<(DocumentKey, (Location, Lane))> {
        let document = held.shard.document_at(slot)?;
        let cx = held.cx;
        let session = held.shard.session_mut(document);
        session.hurry(&cx);
        let key = session.key().clone();
        let mut deferred = self.update_books(&mut held, document);
        drop(held);
        let became_ready = deferred.ready.take();
        self.carry_out(deferred);
        became_ready.map(|ready| (key, ready))
    }

    /// One thing that the end waited for is done.
    pub(super) fn settled(&self) {
        if self.lifecycle.one_is_settled() {
            self.end();
        }
    }

    /// Ends the engine if its time is over.
    pub(super) fn end_if_due(&self, now: Moment) {
        if self.lifecycle.deadline().is_some_and(|deadline| deadline <= now.as_millis()) {
            self.end();
        }
    }

    /// From now on nothing counts. Reports what is not saved, and ends every receiver.
    fn end(&self) {
        if self.lifecycle.end() {
            let unsaved = self.pending(|session| session.is_unsaved() && !session.is_forgotten());
            let (saved, forgotten) = (self.lifecycle.saved(), self.forgotten());
            self.lifecycle.set_report(Report { saved, unsaved, forgotten });
            self.ready.end();
            self.notices.end();
            self.sleeper.wake();
        }
    }

    /// How the engine ended. `None` before that.
    pub(crate) fn report(&self) -> Option<Arc<Report>> {
        self.lifecycle.report()
    }

    /// Waits until the engine has ended.
    pub(crate) fn wait_for_end(&self) -> Arc<Report> {
        loop {
            if !self.has_timer() {
                self.begin_end_if_asked();
                self.tick();
            }
            let pause = || (!self.has_timer()).then_some(LOOK_AGAIN);
            if let Some(report) = self.lifecycle.wait_for_report(pause) {
                return report;
            }
        }
    }

    #[cfg(feature = "async")]
    pub(crate) fn listen_for_end(&self) -> event_listener::EventListener {
        self.lifecycle.listen()
    }
}

/// What is not settled.
impl Registry {
    /// The documents with unsaved changes.
    pub(crate) fn unsaved(&self) -> Vec<PendingDocument> {
        self.pending(Session::is_unsaved)
    }

    /// Everything that is not settled.
    pub(crate) fn remaining(&self) -> Remaining {
        let accesses = [Access::View, Access::LiveView, Access::Edit];
        let connections = accesses.map(|access| self.admission.connections(access)).iter().sum();
        Remaining {
            connections,
            documents: self.pending(|session| session.is_unsaved() || !session.is_settled()),
        }
    }

    /// The documents that `which` picks, by key. Looks at some of them under one hold of a shard lock.
    fn pending(&self, which: impl Fn(&Session) -> bool) -> Vec<PendingDocument> {
        let now = self.clock.coarse();
        let cx = self.context(now);
        let mut all = Vec::new();
        self.walk(
            &mut all,
            |_, shard, documents| -> Vec<_> {
                let sessions = documents.into_iter().map(|document| shard.session(document));
                sessions.filter(|session| which(session)).map(|session| session.pending(&cx)).collect()
            },
            // With no lock held, since a long list moves as it grows.
            Vec::extend,
        );
        all.sort_unstable_by(|one: &PendingDocument, other| one.key.cmp(&other.key));
        all
    }
}
