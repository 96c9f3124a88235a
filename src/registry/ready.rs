//! The documents that have something to tell the storage.

use std::collections::VecDeque;

use super::queue::Queue;
use crate::config::Hook;
use crate::sync::{Apart, AtomicU64, AtomicUsize, Ordering};

/// A document's place: its shard, and where it stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(super) shard: u32,
    pub(super) place: u32,
}

/// The documents that have something to tell, each at most once, in the order in which they came to have it; those of
/// threads that meet, nearly so.
///
/// One that does is only staged: it enters a list of its shard, under the lock that is held anyway, with a stamp. A receiver
/// that finds the queue empty sweeps these lists into it. So whoever opens or closes needs no further lock; a push to a
/// channel was a seventh of an open and a close.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) queue: Queue<Entry>,
    /// The next stamp. Read and then written, since adding would lock memory: of threads that meet here one may set it back by
    /// what others added meanwhile, so that documents of different shards change places. Nothing promises their order.
    stamp: Apart<AtomicU64>,
    /// How many entries each shard has staged, written under its lock.
    staged: Box<[Apart<AtomicUsize>]>,
    /// What all shards have staged, in whole steps of each.
    steps: Apart<AtomicUsize>,
    /// Entries whose document is gone and whose place is empty.
    stale: Apart<AtomicUsize>,
    most: usize,
    /// By 2ˢᵗᵉᵖ a shard's number of staged entries is known to all: fewer writes to a word that all of them share.
    step: u32,
}

/// When a document came to have something to tell, in stamps; and which.
pub(super) type Entry = (u64, Location);

/// What a shard has staged since the last sweep: stamps and places.
pub(super) type Staged = Vec<(u64, u32)>;

/// The largest step.
const STEP_MAX: usize = 64;

impl Ready {
    pub(super) fn new(hook: Option<Hook>, most: usize, shards: usize) -> Self {
        Ready {
            queue: Queue::new(hook),
            stamp: Apart::new(AtomicU64::new(0)),
            staged: (0..shards).map(|_| Apart::new(AtomicUsize::new(0))).collect(),
            steps: Apart::new(AtomicUsize::new(0)),
            stale: Apart::new(AtomicUsize::new(0)),
            most,
            // So small that what the steps leave open is at most a quarter of what may wait.
            step: (most / 4 / shards.max(1)).clamp(1, STEP_MAX).ilog2(),
        }
    }

    #[inline]
    fn next_stamp(&self) -> u64 {
        let stamp = self.stamp.load(Ordering::Relaxed);
        self.stamp.store(stamp + 1, Ordering::Relaxed);
        stamp
    }

    /// Stages a document; under its shard's lock. Whoever does it [announces](Queue::announce) it afterwards.
    #[inline]
    pub(super) fn stage(&self, shard: usize, list: &mut Staged, place: u32) {
        // Within a shard the order is exact.
        let stamp = list.last().map_or(0, |(last, _)| last + 1).max(self.next_stamp());
        list.push((stamp, place));
        let count = list.len();
        self.staged[shard].store(count, Ordering::Relaxed);
        if count & ((1 << self.step) - 1) == 0 {
            self.steps.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether a shard has staged anything, as far as the asking thread has heard.
    pub(super) fn has_staged(&self, shard: usize) -> bool {
        self.staged[shard].load(Ordering::Relaxed) > 0
    }

    /// A list was taken from its shard; under the shard's lock.
    pub(super) fn swept(&self, shard: usize, list: &Staged) {
        self.staged[shard].store(0, Ordering::Relaxed);
        let steps = list.len() >> self.step;
        if steps > 0 {
            self.steps.fetch_sub(steps, Ordering::Relaxed);
        }
    }

    /// Appends documents of whatever shards that came to have something to tell just now, in this order.
    pub(super) fn enter(&self, values: &mut VecDeque<Entry>, locations: impl Iterator<Item = Location>) {
        values.extend(locations.map(|location| (self.next_stamp(), location)));
    }

    /// Whether more documents wait than may. Mostly that is plain from what all shards know; else it costs the shards.
    pub(super) fn are_too_many(&self) -> bool {
        let waiting =
            |staged: usize| (self.queue.len() + staged).saturating_sub(self.stale.load(Ordering::Relaxed));
        let known = self.steps.load(Ordering::Relaxed) << self.step;
        if waiting(known + (self.staged.len() << self.step)) <= self.most {
            return false;
        }
        let all = || self.staged.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        waiting(known) > self.most || waiting(all()) > self.most
    }

    pub(super) fn entry_outlived_its_document(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn inherited_entry_left(&self) {
        self.stale.fetch_sub(1, Ordering::Relaxed);
    }
}
