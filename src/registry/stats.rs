//! Counters and gauges, for monitoring.

use super::Registry;
use super::ready::DocumentId;
use super::shard::Shard;
use crate::report::DocumentState;
use crate::stats::Stats;
use crate::time::{Moment, Now, Timestamp};

/// The gauges that a walk over all documents adds up.
#[derive(Debug, Default)]
struct Gauges {
    stats: Stats,
    oldest_callback: Option<Moment>,
    oldest_unsaved: Option<Timestamp>,
}

impl Registry {
    /// The counters so far, and the gauges now. Reads every document, by slices.
    pub(crate) fn stats(&self) -> Stats {
        let mut gauges = Gauges::default();
        for index in 0..self.shards.len() {
            // A copy, so that the sums are made with no lock held.
            let look = |shard: &Shard| (shard.counters.clone(), shard.books.forgotten_documents());
            let (counters, forgotten) = self.read(index, look);
            counters.add_to(&mut gauges.stats);
            gauges.stats.forgotten += forgotten;
        }
        self.walk(
            &mut gauges,
            |gauges, shard, documents| documents.into_iter().for_each(|document| gauges.add(shard, document)),
            |_, ()| {},
        );
        gauges.stats.waiting = self.admission.waiting();
        gauges.stats.ready = self.ready.waiting_documents();
        gauges.finish(self.now())
    }
}

impl Gauges {
    fn add(&mut self, shard: &Shard, document: DocumentId) {
        let session = shard.session(document);
        for tab in session.members().flat_map(|(_, member)| &member.tabs) {
            let counts = self.stats.connections.entry(tab.access).or_default();
            *if shard.is_lost(tab.connection) { &mut counts.lost } else { &mut counts.live } += 1;
        }
        let documents = &mut self.stats.documents;
        *match session.state() {
            None => &mut documents.settled,
            Some(DocumentState::Edited) => &mut documents.edited,
            Some(DocumentState::Closing) => &mut documents.closing,
            Some(DocumentState::Saving) => &mut documents.saving,
            Some(DocumentState::Retrying) => &mut documents.retrying,
            Some(DocumentState::Forgotten) => &mut documents.forgotten,
            Some(DocumentState::Telling) => &mut documents.telling,
        } += 1;
        self.oldest_callback = earlier(self.oldest_callback, session.unacknowledged_since());
        self.oldest_unsaved = earlier(self.oldest_unsaved, session.exposed_since());
    }

    fn finish(self, now: Now) -> Stats {
        let millis = |age: std::time::Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Stats {
            oldest_callback_ms: self.oldest_callback.map(|since| millis(now.steady.since(since))),
            oldest_unsaved_ms: self.oldest_unsaved.map(|since| millis(now.wall.since(since))),
            ..self.stats
        }
    }
}

fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}
