//! Deadlines: running what is due, shard by shard.

use std::time::Duration;

use super::apply::Deferred;
use super::ready::{DocumentId, Location};
use super::shard::Shard;
use super::sleeper::NEVER;
use super::{Held, Registry};
use crate::ids::DocumentKey;
use crate::session::{Context, Effects, Garbage, Lane, Session, Stage};
use crate::sync::Ordering;
use crate::time::{Moment, Now, Timestamp};

/// So many documents are changed under one hold of a shard lock.
const SLICE: usize = 128;

/// A ring of the doorbell that nobody answered is repeated after this time.
const RING_AGAIN: Duration = Duration::from_secs(1);

/// A document that became ready at its deadline.
#[derive(Debug)]
pub(super) struct ReadyDocument {
    pub(super) due: Moment,
    pub(super) key: DocumentKey,
    pub(super) location: Location,
    pub(super) lane: Lane,
}

impl Registry {
    /// Runs what is due. Takes no shard lock where nothing is. Returns when to call it next.
    pub(crate) fn tick(&self) -> Option<Timestamp> {
        self.run_and_ring().map(|due| self.clock.wall_at(due))
    }

    fn run_and_ring(&self) -> Option<Moment> {
        if self.lifecycle.has_ended() {
            return None;
        }
        let now = self.now();
        if self.is_suspending() {
            self.end_if_due(now.steady);
            return self.lifecycle.deadline().map(Moment::from_millis);
        }
        self.coarse_now();
        self.admission.clean_named_users();
        if self.sleeper.next_due() <= now.steady.as_millis() {
            self.run_due(now);
        }
        self.serve_all_waiters(now);
        self.end_if_due(now.steady);
        let again = self.ready.ring().then(|| self.schedule_ring(now.steady));
        self.next_due().into_iter().chain(again).min()
    }

    /// Hands a document to the workers. Called with no lock held.
    pub(super) fn push_ready(&self, location: Location, lane: Lane) {
        self.ready.push(location, lane);
        if self.ready.has_doorbell() {
            self.schedule_ring(self.clock.coarse().steady);
        }
    }

    /// Sets a deadline for the repetition of a ring. While a document waits, there always is one: the ring that tells of
    /// it may be taken by a worker that does not come to take the document.
    pub(super) fn schedule_ring(&self, now: Moment) -> Moment {
        let again = now.after(RING_AGAIN);
        self.sleeper.wake_by(again.as_millis());
        again
    }

    /// When to call [`tick`](Self::tick) next, by the wall clock.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.next_due().map(|due| self.clock.wall_at(due))
    }

    fn next_due(&self) -> Option<Moment> {
        // The report is final: what it lists does not change any more.
        if self.lifecycle.has_ended() {
            return None;
        }
        let earliest = || self.shards.iter().map(|lock| lock.earliest.load(Ordering::SeqCst)).min();
        let due = self.sleeper.settled_next_due().or_else(earliest);
        let is_turn_due = self.admission.is_turn_due() || self.has_moved.load(Ordering::SeqCst);
        let turn = is_turn_due.then(|| self.clock.coarse().steady.as_millis());
        let due = due.into_iter().chain(self.lifecycle.deadline()).chain(turn).min();
        due.filter(|due| *due != NEVER).map(Moment::from_millis)
    }

    /// What becomes ready is handed out in the order in which it was due, whatever the shards, so that runs with a manual
    /// clock are reproducible.
    fn run_due(&self, now: Now) {
        // Leases and the like come first: a save delay begins with them.
        self.run_due_stays(now);
        let mut ready = Vec::new();
        for (index, lock) in self.shards.iter().enumerate() {
            while lock.earliest.load(Ordering::SeqCst) <= now.steady.as_millis() {
                let mut held = self.hold(index, now);
                if matches!(held.cx.stage, Stage::Suspending | Stage::Ended) {
                    // What the report or the snapshot says is final.
                    return;
                }
                let due = held.shard.take_due_documents(now.steady);
                if due.is_empty() {
                    // A stay, or a fence, that another thread brought meanwhile.
                    break;
                }
                self.on_slice(held, due, Session::handle_timeout, &mut ready);
            }
        }
        self.push_all(ready);
        let _looking = self.sleeper.look_again();
        for lock in &self.shards {
            self.sleeper.wake_by(lock.earliest.load(Ordering::SeqCst));
        }
    }

    /// Calls `act` on every document, by slices.
    pub(super) fn on_documents(&self, now: Now, act: impl Fn(&mut Session, &Context<'_>) -> Effects) {
        let mut ready = Vec::new();
        for index in 0..self.shards.len() {
            let mut next = 0;
            while next < self.read(index, Shard::documents_end) {
                let held = self.hold(index, now);
                let slots = next..next + SLICE;
                next = slots.end;
                let documents = slots.filter_map(|slot| held.shard.document_at(slot)).collect();
                self.on_slice(held, documents, &act, &mut ready);
            }
        }
        self.push_all(ready);
    }

    pub(super) fn push_all(&self, mut ready: Vec<ReadyDocument>) {
        ready.sort_unstable_by(|one, other| (&one.due, &one.key).cmp(&(&other.due, &other.key)));
        for ReadyDocument { location, lane, .. } in ready {
            self.push_ready(location, lane);
        }
    }

    /// The part that is done under one hold of a shard lock.
    pub(super) fn on_slice(
        &self,
        mut held: Held<'_>,
        documents: Vec<DocumentId>,
        act: impl Fn(&mut Session, &Context<'_>) -> Effects,
        ready: &mut Vec<ReadyDocument>,
    ) {
        let cx = held.cx;
        let mut all: Vec<(Deferred, Garbage)> = Vec::with_capacity(documents.len());
        for document in documents {
            let Some(session) = held.shard.session_at(document) else { continue };
            let due = session.next_deadline(&cx).unwrap_or_default();
            let key = session.key().clone();
            let effects = act(session, &cx);
            let garbage = self.apply_effects(&mut held, document, effects);
            let mut deferred = self.update_books(&mut held, document);
            let became_ready = deferred.ready.take();
            ready.extend(became_ready.map(|(location, lane)| ReadyDocument { due, key, location, lane }));
            all.push((deferred, garbage));
        }
        held.raise_earliest();
        drop(held);
        for (deferred, _) in all {
            self.carry_out(deferred);
        }
    }
}

/// The thread that runs deadlines.
impl Registry {
    /// Runs deadlines until the engine has ended.
    pub(super) fn run_timer(&self) {
        while !self.lifecycle.has_ended() {
            self.begin_end_if_asked();
            let next = self.run_and_ring();
            let end = || self.lifecycle.deadline().map(Moment::from_millis);
            let latest = || next.into_iter().chain(end()).min();
            let stopped = || self.lifecycle.has_ended() || self.lifecycle.asks_to_begin();
            self.sleeper.sleep(self.now().steady, latest, stopped);
        }
    }
}
