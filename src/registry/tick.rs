//! Deadlines: running what is due, shard by shard.

use std::ops::Bound;
use std::time::Duration;

use super::apply::Deferred;
use super::ready::{DocumentId, Location};
use super::sleeper::NEVER;
use super::{Held, Registry};
use crate::ids::DocumentKey;
use crate::session::{Context, Session};
use crate::sync::Ordering;
use crate::time::Timestamp;

/// So many deadlines are run under one hold of a shard lock.
const SLICE: usize = 128;

/// A ring of the doorbell that nobody answered is repeated after this time.
const RING_AGAIN: Duration = Duration::from_secs(1);

/// A document that became ready at its deadline.
struct ReadyDocument {
    due: Timestamp,
    key: DocumentKey,
    location: Location,
}

impl Registry {
    /// Runs what is due. Takes no lock where nothing is. Returns when to call it next.
    pub(crate) fn tick(&self) -> Option<Timestamp> {
        let now = self.now();
        self.coarse_now();
        if self.sleeper.next_due() <= now.as_millis() {
            self.run_due(now);
        }
        let again = self.ready.ring().then(|| self.schedule_ring(now));
        self.next_deadline().into_iter().chain(again).min()
    }

    /// Hands a document to the workers. Called with no lock held.
    pub(super) fn push_ready(&self, location: Location) {
        self.ready.push(location);
        // After the end nobody calls `tick`.
        if self.ready.has_doorbell() && !self.is_ending() {
            self.schedule_ring(self.now());
        }
    }

    /// Sets a deadline for the repetition of a ring. While a document waits, there always is one: the ring that tells of
    /// it may be taken by a worker that does not come to take the document.
    pub(super) fn schedule_ring(&self, now: Timestamp) -> Timestamp {
        let again = now.after(RING_AGAIN);
        self.sleeper.wake_by(again.as_millis());
        again
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let earliest = || self.shards.iter().map(|lock| lock.earliest.load(Ordering::SeqCst)).min();
        let due = self.sleeper.settled_next_due().or_else(earliest);
        due.filter(|due| *due != NEVER).map(Timestamp::from_millis)
    }

    fn run_due(&self, now: Timestamp) {
        self.on_deadlines(now, now, Session::handle_timeout);
        let _looking = self.sleeper.look_again();
        for lock in &self.shards {
            self.sleeper.wake_by(lock.earliest.load(Ordering::SeqCst));
        }
    }

    /// Calls `act` on every document with a deadline up to `until`. What becomes ready is handed out in the order in
    /// which it was due, whatever the shards, so that runs with a manual clock are reproducible.
    pub(super) fn on_deadlines(
        &self,
        now: Timestamp,
        until: Timestamp,
        act: impl Fn(&mut Session, &Context<'_>),
    ) {
        let mut ready: Vec<ReadyDocument> = Vec::new();
        for (index, lock) in self.shards.iter().enumerate() {
            let mut cursor = Bound::Unbounded;
            while lock.earliest.load(Ordering::SeqCst) <= until.as_millis() {
                let held = self.hold(index, now);
                let due = held.shard.books.due(cursor, until, SLICE);
                self.on_slice(held, &due, &act, &mut ready);
                let Some(last) = due.last().filter(|_| due.len() == SLICE) else { break };
                cursor = Bound::Excluded(*last);
            }
        }
        ready.sort_unstable_by(|one, other| (&one.due, &one.key).cmp(&(&other.due, &other.key)));
        for ReadyDocument { location, .. } in ready {
            self.push_ready(location);
        }
    }

    /// The part that is done under one hold of a shard lock.
    fn on_slice(
        &self,
        mut held: Held<'_>,
        due: &[(Timestamp, DocumentId)],
        act: &impl Fn(&mut Session, &Context<'_>),
        ready: &mut Vec<ReadyDocument>,
    ) {
        let cx = held.cx;
        let mut all: Vec<Deferred> = Vec::with_capacity(due.len());
        for (due, document) in due {
            act(held.shard.session_mut(*document), &cx);
            let key = held.shard.session(*document).key().clone();
            let mut deferred = self.update_books(&mut held, *document);
            let location = deferred.ready.take();
            ready.extend(location.map(|location| ReadyDocument { due: *due, key, location }));
            all.push(deferred);
        }
        drop(held);
        for deferred in all {
            self.carry_out(deferred);
        }
    }
}

/// The thread that runs deadlines.
impl Registry {
    /// Claims the deadlines for a thread. Returns false if another one has them.
    pub(crate) fn claim_timer(&self) -> bool {
        !self.has_timer.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn release_timer(&self) {
        self.has_timer.store(false, Ordering::SeqCst);
    }

    /// Runs deadlines until the engine ends or `stopped` says so.
    pub(crate) fn run_timer(&self, stopped: impl Fn() -> bool) {
        struct Release<'a>(&'a Registry);
        impl Drop for Release<'_> {
            fn drop(&mut self) {
                self.0.release_timer();
            }
        }
        // Also if the clock, which is host code, panics.
        let _release = Release(self);
        let stopped = || stopped() || self.is_ending();
        while !stopped() {
            let next = self.tick();
            self.sleeper.sleep(self.now(), next, stopped);
        }
    }

    /// Lets the thread in [`run_timer`](Self::run_timer) look whether to stop.
    pub(crate) fn wake_timer(&self) {
        self.sleeper.wake();
    }
}
