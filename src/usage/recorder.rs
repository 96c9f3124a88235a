//! The usage of one engine: the entry point of this module for the registry.

use serde::{Deserialize, Serialize};

use super::Usage;
use super::busy_load::MINUTE;
use super::denied::DeniedCase;
use super::gauge::Gauge;
use super::history::UsageHistory;
use super::meter::{Collected, Period};
use crate::access::{ACCESSES, Access};
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::time::{Moment, Now};

/// The usage of one engine up to some moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UsageSnapshot(Box<UsageHistory>);

/// The usage of one engine.
///
/// Every operation that opens, changes or closes a connection first calls [`is_due`](Self::is_due), with the same `now`
/// that it passes to the meter of its shard. If that returns true, it calls [`collect`](Self::collect) without holding a
/// shard lock. So no connection changes between the end of a minute and its collection, and everything is counted in the
/// minute in which it happened.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Recorder {
    /// The end of the present minute, in milliseconds of steady time. The alignment keeps it and the gauges away from words that are
    /// written often.
    due: AtomicU64,
    gauges: [Gauge; 3],
    /// Lock it before a shard's lock, never after.
    history: Mutex<UsageHistory>,
}

impl Recorder {
    /// Creates the recorder of an engine without connections.
    pub(crate) fn new(now: Now) -> Self {
        let due = AtomicU64::new(next_minute(now.steady));
        let gauges = std::array::from_fn(|_| Gauge::new(now.steady.as_millis()));
        Recorder { due, gauges, history: Mutex::new(UsageHistory::new(now)) }
    }

    /// Returns true if a minute has ended that is not collected yet. Costs one load.
    #[inline]
    pub(crate) fn is_due(&self, now: Moment) -> bool {
        // Pairs with the store in `end_minutes`: who finds the next minute reports to gauges that are reset. It is stored after
        // the gauges, so no lock orders that.
        now.as_millis() >= self.due.load(Ordering::Acquire)
    }

    /// Records that the number of connections with this access, in the whole engine, has just risen to `count`. Nearly
    /// always costs one load.
    pub(crate) fn record_rise(&self, access: Access, count: u32, now: Moment) {
        self.gauges[access.index()].record_rise(count, now.as_millis());
    }

    /// Records that the number of connections with this access, in the whole engine, has just fallen to `count`. Nearly
    /// always costs one load.
    pub(crate) fn record_fall(&self, access: Access, count: u32) {
        self.gauges[access.index()].record_fall(count);
    }

    /// Collects everything up to the end of the last minute. Does nothing if another thread has just done it. Other
    /// threads wait meanwhile.
    ///
    /// `present` returns the number of connections of the whole engine with an access. `shards` calls
    /// [`Meter::collect`](super::Meter::collect) in every shard and adds up the results. It may lock the shards, one at a
    /// time.
    pub(crate) fn collect(
        &self,
        now: Now,
        present: impl Fn(Access) -> u32,
        shards: impl FnOnce(Period) -> Collected,
    ) {
        let mut history = self.history.lock();
        if self.is_due(now.steady) {
            self.end_minutes(&mut history, now, present, shards);
        }
    }

    /// Returns the usage up to `now`. See [`collect`](Self::collect) for `present` and `shards`.
    pub(crate) fn usage(
        &self,
        now: Now,
        present: impl Fn(Access) -> u32,
        shards: impl Fn(Period) -> Collected,
    ) -> Usage {
        let mut history = self.history.lock();
        if self.is_due(now.steady) {
            self.end_minutes(&mut history, now, &present, &shards);
        }
        history.follow(now);
        let end = now.steady.as_millis().max(history.end());
        self.add_period(&mut history, Period { end, idle_end: end }, present, shards);
        // The report merges some hundred sketches. A copy is several times cheaper, so that other threads wait less.
        let copy = history.clone();
        drop(history);
        copy.report()
    }

    /// The usage up to `now`, for a snapshot. See [`collect`](Self::collect) for `present` and `shards`. `denied` are the
    /// users whom a limit refused.
    pub(crate) fn snapshot(
        &self,
        now: Now,
        present: impl Fn(Access) -> u32,
        shards: impl Fn(Period) -> Collected,
        denied: impl FnOnce() -> Vec<(u64, DeniedCase)>,
    ) -> UsageSnapshot {
        drop(self.usage(now, present, shards));
        let mut history = self.history.lock().clone();
        // Somebody may have been refused since then. It is as if that had been at the end.
        let end = history.end();
        *history.denied_mut() = denied().into_iter().map(|(user, case)| (user, case.begun_by(end))).collect();
        UsageSnapshot(Box::new(history))
    }

    /// Goes on with the usage of another process. Returns the users whom a limit refused there.
    pub(crate) fn restore(&self, usage: UsageSnapshot, now: Now) -> Result<Vec<(u64, DeniedCase)>, ()> {
        let mut history = usage.0.restored(now)?;
        let denied = std::mem::take(history.denied_mut());
        *self.history.lock() = history;
        Ok(denied)
    }

    /// The bytes that it uses, including itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() - size_of::<UsageHistory>() + self.history.lock().bytes()
    }

    fn end_minutes(
        &self,
        history: &mut UsageHistory,
        now: Now,
        present: impl Fn(Access) -> u32,
        shards: impl FnOnce(Period) -> Collected,
    ) {
        history.follow(now);
        let due = next_minute(now.steady);
        // Every operation after the end of that minute waits for this collection. So the minutes after it were idle.
        // No pair: it is written under the lock of the history, which the caller holds.
        let period = Period { end: self.due.load(Ordering::Relaxed), idle_end: due - MINUTE };
        self.add_period(history, period, present, shards);
        // Pairs with the load in `is_due`.
        self.due.store(due, Ordering::Release);
    }

    /// Collects the meters first and the gauges second. An operation between the two may have read the clock before the
    /// period ended. In this order the gauges count its peak in both periods.
    fn add_period(
        &self,
        history: &mut UsageHistory,
        period: Period,
        present: impl Fn(Access) -> u32,
        shards: impl FnOnce(Period) -> Collected,
    ) {
        let collected = shards(period);
        let extremes = ACCESSES.map(|access| {
            let count = || present(access);
            self.gauges[access.index()].collect(count, history.end(), period.end, period.idle_end)
        });
        history.add(&collected.totals(extremes), &collected.users, period.end);
        history.add_idle(collected.present(), period.idle_end);
    }
}

/// Returns the end of the minute that contains `now`.
fn next_minute(now: Moment) -> u64 {
    (now.as_millis() / MINUTE + 1).saturating_mul(MINUTE)
}
