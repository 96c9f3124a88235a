//! The documents that have something to tell the storage.

use super::queue::Queue;
use crate::config::Hook;
use crate::sync::{AtomicUsize, Ordering};

/// A document's place: its shard, and where it stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub(super) shard: u32,
    pub(super) place: u32,
}

/// The documents that have something to tell, each at most once.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) queue: Queue<Location>,
    /// Entries whose document is gone and whose place is empty.
    stale: AtomicUsize,
    most: usize,
}

impl Ready {
    pub(super) fn new(hook: Option<Hook>, most: usize) -> Self {
        Ready { queue: Queue::new(hook), stale: AtomicUsize::new(0), most }
    }

    pub(super) fn are_too_many(&self) -> bool {
        self.queue.len().saturating_sub(self.stale.load(Ordering::Relaxed)) > self.most
    }

    pub(super) fn entry_outlived_its_document(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn inherited_entry_left(&self) {
        self.stale.fetch_sub(1, Ordering::Relaxed);
    }
}
