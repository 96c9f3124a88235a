//! Draining, and the end of an engine.

use std::sync::Arc;

use super::apply::Deferred;
use super::ready::Location;
use super::shard::{Place, Shard};
use super::{Held, Registry};
use crate::ids::DocumentKey;
use crate::sync::Ordering;
use crate::time::Timestamp;

/// Counts the handles of an engine. The last one ends its registry, which receivers and deliveries keep beyond that.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) registry: Arc<Registry>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.registry.end();
    }
}

impl Registry {
    /// Gives out no edit access any more, and makes every save due.
    pub(crate) fn drain(&self) {
        self.admission.drain();
        self.hurry_all();
    }

    /// Gives out edit access again.
    pub(crate) fn undrain(&self) {
        self.admission.undrain();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.admission.is_draining()
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// No handle is left: closes all connections, makes every save due at once, and ends every receiver when it has
    /// taken what there is.
    fn end(&self) {
        self.admission.drain();
        self.ending.store(true, Ordering::SeqCst);
        self.sleeper.wake();
        let now = self.coarse_now();
        let mut ready = Vec::new();
        for index in 0..self.shards.len() {
            for document in 0..self.read(index, Shard::documents_end) {
                ready.extend(self.end_document(self.hold(index, now), document));
            }
        }
        ready.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (_, location) in ready {
            self.push_ready(location);
        }
        self.notices.end();
        self.settled(1);
    }

    /// Closes all connections to a document, and counts it if it still has something to hand out. Returns its key and
    /// place if it became ready.
    fn end_document(&self, mut held: Held<'_>, slot: usize) -> Option<(DocumentKey, Location)> {
        let document = held.shard.document_at(slot)?;
        let key = held.shard.session(document).key().clone();
        let connections = held.shard.session(document).connections();
        let (cx, mut all) = (held.cx, Vec::<Deferred>::new());
        for id in connections {
            let Place { participant, .. } = held.shard.disconnect(id).expect("a listed connection is open");
            let effects = held.shard.session_mut(document).leave(&cx, participant, id);
            drop(self.apply_effects(&mut held, effects));
            all.push(self.update_books(&mut held, document));
        }
        if held.shard.document_at(slot).is_some() {
            held.shard.session_mut(document).hurry();
            if !held.shard.session(document).is_settled() {
                // Counted before it can settle: the lock is released only after.
                held.shard.books.wait_for(document);
                self.unsettled.fetch_add(1, Ordering::SeqCst);
            }
            all.push(self.update_books(&mut held, document));
        }
        drop(held);
        let became_ready = all.iter_mut().find_map(|deferred| deferred.ready.take());
        for deferred in all {
            self.carry_out(deferred);
        }
        became_ready.map(|location| (key, location))
    }

    /// So many of what the end waits for are done.
    pub(super) fn settled(&self, count: usize) {
        if self.unsettled.fetch_sub(count, Ordering::SeqCst) == count {
            self.ready.end();
        }
    }

    /// Makes every save that waits for its delay, and every retry, due now.
    fn hurry_all(&self) {
        self.on_deadlines(Timestamp::default(), Timestamp::MAX, |session, _| session.hurry());
    }
}
