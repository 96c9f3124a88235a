//! The engine's side of it, with the second implementation beside it.

use std::cell::{Cell, RefCell};

use super::naive::{Event, Naive};
use super::{SHARDS, mix};
use crate::access::{ACCESSES, Access, REASONS, Reason};
use crate::time::Timestamp;
use crate::usage::{Cut, Meter, Recorder, Taken, Usage};

/// How many users there are: few enough to be counted exactly.
const USERS: u64 = 100;

/// A small engine on one thread.
pub(super) struct World {
    pub(super) recorder: Recorder,
    pub(super) meters: Vec<RefCell<Meter>>,
    counts: [Cell<u32>; 3],
    open: Vec<(usize, Access)>,
    pub(super) naive: Naive,
}

impl World {
    pub(super) fn new(since: u64) -> Self {
        let now = Timestamp::from_millis(since);
        World {
            recorder: Recorder::new(now),
            meters: (0..SHARDS).map(|_| RefCell::new(Meter::new(now))).collect(),
            counts: Default::default(),
            open: Vec::new(),
            naive: Naive { since, events: Vec::new() },
        }
    }

    fn present(&self, access: Access) -> u32 {
        self.counts[access.place()].get()
    }

    fn take(&self, cut: Cut) -> Taken {
        let mut all = Taken::default();
        self.meters.iter().for_each(|meter| all.add(&meter.borrow_mut().take(cut)));
        all
    }

    pub(super) fn usage(&self, now: u64) -> Usage {
        let now = Timestamp::from_millis(now);
        self.recorder.usage(now, |access| self.present(access), |cut| self.take(cut))
    }

    pub(super) fn begin(&self, now: Timestamp) {
        if self.recorder.is_due(now) {
            self.recorder.collect(now, |access| self.present(access), |cut| self.take(cut));
        }
    }

    fn rise(&self, access: Access, now: Timestamp) {
        let count = &self.counts[access.place()];
        count.set(count.get() + 1);
        self.recorder.rose(access, count.get(), now);
    }

    fn fall(&self, access: Access) {
        let count = &self.counts[access.place()];
        count.set(count.get() - 1);
        self.recorder.fell(access, count.get());
    }

    fn note(&mut self, at: u64, opened: Option<(Access, Option<Reason>, u64)>) {
        let counts = ACCESSES.map(|access| self.present(access));
        self.naive.events.push(Event { at, counts, opened });
    }

    pub(super) fn open(&mut self, at: u64, pick: u64) {
        let now = Timestamp::from_millis(at);
        let (access, user) = (ACCESSES[usize::try_from(pick % 3).unwrap()], pick / 3 % USERS);
        let reason = (access == Access::View)
            .then(|| REASONS.get(usize::try_from(pick / 1_000 % 6).unwrap()).copied())
            .flatten();
        let shard = usize::try_from(pick / 10_000).unwrap() % SHARDS;
        self.begin(now);
        self.rise(access, now);
        self.meters[shard].borrow_mut().opened(now, access, reason, mix(user));
        self.open.push((shard, access));
        self.note(at, Some((access, reason, user)));
    }

    /// Closes a connection, or makes it view-only.
    pub(super) fn move_one(&mut self, at: u64, pick: u64, close: bool) {
        if self.open.is_empty() {
            return;
        }
        let now = Timestamp::from_millis(at);
        let place = usize::try_from(pick).unwrap() % self.open.len();
        let (shard, from) = self.open[place];
        if !close && from == Access::View {
            return;
        }
        let to = (!close).then_some(Access::View);
        self.begin(now);
        self.meters[shard].borrow_mut().moved(now, Some(from), to);
        self.fall(from);
        match to {
            Some(access) => {
                self.rise(access, now);
                self.open[place].1 = access;
            }
            None => drop(self.open.swap_remove(place)),
        }
        self.note(at, None);
    }
}
