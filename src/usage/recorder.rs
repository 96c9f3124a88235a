//! What the shards, the gauges and the history make together: the one thing that the engine talks to.

use super::Usage;
use super::gauge::Gauge;
use super::history::{History, MINUTE};
use super::meter::{Cut, Taken};
use crate::access::{ACCESSES, Access};
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::time::Timestamp;

/// The usage of one engine.
///
/// Every operation that moves a connection first asks [`is_due`](Self::is_due), with the same `now` as it gives the meter
/// of its shard, and if so calls [`collect`](Self::collect), with no shard's lock held. So nothing moves between the end
/// of a minute and its collection, and everything is in the minute to which it belongs.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Recorder {
    /// The end of the minute that runs, in milliseconds. Like the gauges seldom written, hence on lines of their own.
    due: AtomicU64,
    gauges: [Gauge; 3],
    /// Taken before a shard's lock, never after.
    history: Mutex<History>,
}

impl Recorder {
    /// A recorder of no connections.
    pub(crate) fn new(now: Timestamp) -> Self {
        let due = AtomicU64::new(next_minute(now.as_millis()));
        let gauges = std::array::from_fn(|_| Gauge::new(now.as_millis()));
        Recorder { due, gauges, history: Mutex::new(History::new(now)) }
    }

    /// Whether a minute has ended that is not collected. One load.
    #[inline]
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now.as_millis() >= self.due.load(Ordering::Acquire)
    }

    /// In the whole engine `count` connections have this access, one more than before. Nearly always one load.
    pub(crate) fn rose(&self, access: Access, count: u32, now: Timestamp) {
        self.gauges[access.place()].rose(count, now.as_millis());
    }

    /// In the whole engine `count` connections have this access, one less than before. Nearly always one load.
    pub(crate) fn fell(&self, access: Access, count: u32) {
        self.gauges[access.place()].fell(count);
    }

    /// Collects up to the last end of a minute, unless somebody just did; who comes meanwhile waits.
    ///
    /// `present` tells how many connections of the whole engine have an access. `shards` takes from the meter of every
    /// shard up to the cut and adds it up; it may lock them, one at a time.
    pub(crate) fn collect(
        &self,
        now: Timestamp,
        present: impl Fn(Access) -> u32,
        shards: impl FnOnce(Cut) -> Taken,
    ) {
        let mut history = self.history.lock();
        if self.is_due(now) {
            self.end_minutes(&mut history, now, present, shards);
        }
    }

    /// The usage up to `now`. `present` and `shards` as in [`collect`](Self::collect).
    pub(crate) fn usage(
        &self,
        now: Timestamp,
        present: impl Fn(Access) -> u32,
        shards: impl Fn(Cut) -> Taken,
    ) -> Usage {
        let mut history = self.history.lock();
        if self.is_due(now) {
            self.end_minutes(&mut history, now, &present, &shards);
        }
        let to = now.as_millis().max(history.to());
        self.gather(&mut history, Cut { to, idle_to: to }, present, shards);
        history.report()
    }

    /// The bytes that it takes, itself counted in.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() - size_of::<History>() + self.history.lock().bytes()
    }

    fn end_minutes(
        &self,
        history: &mut History,
        now: Timestamp,
        present: impl Fn(Access) -> u32,
        shards: impl FnOnce(Cut) -> Taken,
    ) {
        let due = next_minute(now.as_millis());
        // Operations stopped with the first minute, so that what follows it up to this one is idle.
        let cut = Cut { to: self.due.load(Ordering::Acquire), idle_to: due - MINUTE };
        self.gather(history, cut, present, shards);
        self.due.store(due, Ordering::Release);
    }

    /// First the meters, then the gauges: what somebody does in between, who read the clock before, has its peak in both.
    fn gather(
        &self,
        history: &mut History,
        cut: Cut,
        present: impl Fn(Access) -> u32,
        shards: impl FnOnce(Cut) -> Taken,
    ) {
        let taken = shards(cut);
        let extremes = ACCESSES.map(|access| {
            let count = || present(access);
            self.gauges[access.place()].take(count, history.to(), cut.to, cut.idle_to)
        });
        history.add(&taken.sums(extremes), &taken.users, cut.to);
        history.idle(taken.counts, cut.idle_to);
    }
}

/// The end of the minute that a moment is in.
fn next_minute(now: u64) -> u64 {
    (now / MINUTE + 1) * MINUTE
}
