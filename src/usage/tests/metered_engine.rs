//! A small engine that drives the recorder and the second implementation with the same events.

use std::cell::{Cell, RefCell};

use super::naive::{NaiveHistory, UsageEvent};
use super::{SHARDS, mix};
use crate::access::{ACCESSES, Access, REASONS, Reason};
use crate::time::{Moment, Now, Timestamp};
use crate::usage::{Collected, Meter, Period, Recorder, Usage};

/// The number of users. A sketch counts so few exactly.
const USERS: u64 = 100;

/// The time of a manual clock.
pub(super) fn moment(millis: u64) -> Moment {
    Moment::from_millis(millis.min(Timestamp::MAX.as_millis()))
}

/// The time of a manual clock, in both kinds.
pub(super) fn both(moment: Moment) -> Now {
    Now { steady: moment, wall: Timestamp::from_millis(moment.as_millis()) }
}

/// A small engine on one thread.
pub(super) struct MeteredEngine {
    pub(super) recorder: Recorder,
    pub(super) meters: Vec<RefCell<Meter>>,
    counts: [Cell<u32>; 3],
    /// The shard and the access of every open connection.
    open: Vec<(usize, Access)>,
    pub(super) naive: NaiveHistory,
}

impl MeteredEngine {
    pub(super) fn new(since: u64) -> Self {
        let now = moment(since);
        MeteredEngine {
            recorder: Recorder::new(both(now)),
            meters: (0..SHARDS).map(|_| RefCell::new(Meter::new(now))).collect(),
            counts: Default::default(),
            open: Vec::new(),
            naive: NaiveHistory { since, events: Vec::new() },
        }
    }

    fn present(&self, access: Access) -> u32 {
        self.counts[access.index()].get()
    }

    fn collect_shards(&self, period: Period) -> Collected {
        let mut all = Collected::default();
        self.meters.iter().for_each(|meter| all.add(&meter.borrow_mut().collect(period)));
        all
    }

    pub(super) fn usage(&self, now: u64) -> Usage {
        let now = both(moment(now));
        self.recorder.usage(now, |access| self.present(access), |period| self.collect_shards(period))
    }

    pub(super) fn collect_if_due(&self, now: Moment) {
        if self.recorder.is_due(now) {
            self.recorder.collect(
                both(now),
                |access| self.present(access),
                |period| self.collect_shards(period),
            );
        }
    }

    fn rise(&self, access: Access, now: Moment) {
        let count = &self.counts[access.index()];
        count.set(count.get() + 1);
        self.recorder.record_rise(access, count.get(), now);
    }

    fn fall(&self, access: Access) {
        let count = &self.counts[access.index()];
        count.set(count.get() - 1);
        self.recorder.record_fall(access, count.get());
    }

    fn record_event(&mut self, at: u64, opened: Option<(Access, Option<Reason>, u64)>) {
        let counts = ACCESSES.map(|access| self.present(access));
        self.naive.events.push(UsageEvent { at, counts, opened });
    }

    /// Opens a connection. `pick` chooses its access, user, reason and shard.
    pub(super) fn open(&mut self, at: u64, pick: u64) {
        let now = moment(at);
        let (access, user) = (ACCESSES[usize::try_from(pick % 3).unwrap()], pick / 3 % USERS);
        let reason = (access == Access::View)
            .then(|| REASONS.get(usize::try_from(pick / 1_000 % 6).unwrap()).copied())
            .flatten();
        let shard = usize::try_from(pick / 10_000).unwrap() % SHARDS;
        self.collect_if_due(now);
        self.rise(access, now);
        self.meters[shard].borrow_mut().record_open(now, access, reason, mix(user));
        self.open.push((shard, access));
        self.record_event(at, Some((access, reason, user)));
    }

    /// Closes the connection that `pick` chooses.
    pub(super) fn close(&mut self, at: u64, pick: u64) {
        let Some(index) = self.choose(pick) else { return };
        self.change(at, index, None);
        self.open.swap_remove(index);
    }

    /// Makes the connection that `pick` chooses view-only.
    pub(super) fn make_viewer(&mut self, at: u64, pick: u64) {
        let Some(index) = self.choose(pick) else { return };
        if self.open[index].1 != Access::View {
            self.change(at, index, Some(Access::View));
            self.open[index].1 = Access::View;
        }
    }

    /// The index of the open connection that `pick` chooses, if one is open.
    fn choose(&self, pick: u64) -> Option<usize> {
        usize::try_from(pick).unwrap().checked_rem(self.open.len())
    }

    fn change(&mut self, at: u64, index: usize, to: Option<Access>) {
        let now = moment(at);
        let (shard, from) = self.open[index];
        self.collect_if_due(now);
        self.meters[shard].borrow_mut().record_change(now, Some(from), to);
        self.fall(from);
        if let Some(access) = to {
            self.rise(access, now);
        }
        self.record_event(at, None);
    }
}
