//! Deadlines that fall due, shard by shard.

use super::Registry;
use super::shard::{After, Context, Due, Shard};
use super::sleeper::NEVER;
use crate::sync::Ordering;
use crate::time::Timestamp;

/// Deadlines that fall due under one hold of a shard's lock.
const SLICE: usize = 128;

impl Registry {
    /// Lets all that is due fall due. Where nothing is, it takes no lock.
    pub(crate) fn tick(&self) -> Option<Timestamp> {
        let now = self.now();
        if self.sleeper.next_due() <= now.as_millis() {
            self.fall_due(now);
        }
        self.next_deadline()
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        Some(self.sleeper.next_due()).filter(|due| *due != NEVER).map(Timestamp::from_millis)
    }

    fn fall_due(&self, now: Timestamp) {
        self.sleeper.forget();
        let mut ready = Vec::new();
        for (index, place) in self.shards.iter().enumerate() {
            let mut more = place.earliest.load(Ordering::SeqCst) <= now.as_millis();
            while more {
                more = self.gather(index, now, &mut ready, |shard, context, after, ready| {
                    shard.fall_due(SLICE, context, after, ready)
                });
            }
            let earliest = place.earliest.load(Ordering::SeqCst);
            if earliest != NEVER {
                self.sleeper.at(earliest);
            }
        }
        self.enter(ready);
    }

    /// Runs `act` on one shard after the other.
    pub(super) fn on_every_shard(
        &self,
        now: Timestamp,
        act: impl Fn(&mut Shard, Context<'_>, &mut After, &mut Vec<Due>),
    ) {
        let mut ready = Vec::new();
        for index in 0..self.shards.len() {
            self.gather(index, now, &mut ready, &act);
        }
        self.enter(ready);
    }

    /// Runs `act` on a shard and keeps what is to enter the ready queue.
    fn gather<R>(
        &self,
        index: usize,
        now: Timestamp,
        ready: &mut Vec<(Due, usize)>,
        act: impl FnOnce(&mut Shard, Context<'_>, &mut After, &mut Vec<Due>) -> R,
    ) -> R {
        let mut gathered = Vec::new();
        let result =
            self.locked(index, now, |shard, context, after| act(shard, context, after, &mut gathered));
        ready.extend(gathered.into_iter().map(|due| (due, index)));
        result
    }

    /// Lets documents enter the ready queue in the order in which they fell due, whatever their shards: a run on a manual
    /// clock is reproducible.
    fn enter(&self, mut ready: Vec<(Due, usize)>) {
        ready.sort_unstable_by(|((one, one_key, _), _), ((other, other_key, _), _)| {
            (one, one_key).cmp(&(other, other_key))
        });
        for ((_, _, place), shard) in ready {
            self.push_ready(shard, place);
        }
    }

    /// Whether nobody was keeping time until now.
    pub(crate) fn take_over_time(&self) -> bool {
        !self.timed.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn leave_time(&self) {
        self.timed.store(false, Ordering::SeqCst);
    }

    /// Runs the engine's time until it shuts down or `stopped` says so. One thread at a time.
    pub(crate) fn keep_time(&self, stopped: impl Fn() -> bool) {
        let stopped = || stopped() || self.shut_down.load(Ordering::SeqCst);
        while !stopped() {
            self.tick();
            self.sleeper.sleep(self.now(), stopped);
        }
        self.leave_time();
    }

    /// Lets whoever is in [`keep_time`](Self::keep_time) look whether to stop.
    pub(crate) fn wake_timer(&self) {
        self.sleeper.wake();
    }
}
