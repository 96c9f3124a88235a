//! Deadlines that fall due, shard by shard.

use super::Registry;
use super::queue::Look;
use super::ready::Location;
use super::shard::{After, Context, Due, Shard};
use super::sleeper::NEVER;
use crate::sync::Ordering;
use crate::time::Timestamp;

/// Deadlines that fall due under one hold of a shard's lock.
pub(super) const SLICE: usize = 128;

/// Does something to a shard under its lock and says whether there is more to do.
type Act<'a> = &'a mut dyn FnMut(&mut Shard, &Context<'_>, &mut After, &mut Vec<Due>) -> bool;

impl Registry {
    /// Lets all that is due fall due. Where nothing is, it takes no lock.
    pub(crate) fn tick(&self) -> Option<Timestamp> {
        let now = self.now();
        // Here rather than in an open that would wait for it.
        self.collect_usage(now);
        if self.sleeper.next_due() <= now.as_millis() {
            self.fall_due(now);
        }
        self.next_deadline()
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let earliest = || self.shards.iter().map(|place| place.earliest.load(Ordering::SeqCst)).min();
        let due = self.sleeper.settled_next_due().or_else(earliest);
        due.filter(|due| *due != NEVER).map(Timestamp::from_millis)
    }

    fn fall_due(&self, now: Timestamp) {
        let mut ready = Vec::new();
        for (index, place) in self.shards.iter().enumerate() {
            let mut more = place.earliest.load(Ordering::SeqCst) <= now.as_millis();
            while more {
                more = self.gather(index, now, &mut ready, &mut |shard, context, after, ready| {
                    shard.fall_due(SLICE, context, after, ready)
                });
            }
        }
        let looking = self.sleeper.look_again();
        for place in &self.shards {
            self.sleeper.at(place.earliest.load(Ordering::SeqCst));
        }
        // Before the hook: host code must not run while the next deadline is being looked for.
        drop(looking);
        self.enter(ready);
    }

    /// Lets `visit` act on one shard after the other, each as often as it likes.
    pub(super) fn on_every_shard(&self, now: Timestamp, visit: impl Fn(&mut dyn FnMut(Act<'_>) -> bool)) {
        let mut ready = Vec::new();
        for index in 0..self.shards.len() {
            visit(&mut |act| self.gather(index, now, &mut ready, act));
        }
        self.enter(ready);
    }

    /// Acts on a shard and keeps what is to enter the ready queue.
    fn gather(&self, index: usize, now: Timestamp, ready: &mut Vec<(Due, usize)>, act: Act<'_>) -> bool {
        let mut gathered = Vec::new();
        let more = self.locked(index, now, |shard, context, after| act(shard, context, after, &mut gathered));
        ready.extend(gathered.into_iter().map(|due| (due, index)));
        more
    }

    /// Lets documents enter the ready queue in the order in which they fell due, whatever their shards: a run on a manual
    /// clock is reproducible.
    fn enter(&self, mut ready: Vec<(Due, usize)>) {
        if ready.is_empty() {
            return;
        }
        ready.sort_unstable_by(|((one, one_key, _), _), ((other, other_key, _), _)| {
            (one, one_key).cmp(&(other, other_key))
        });
        let of = |((_, _, place), shard): (Due, usize)| Location {
            shard: u32::try_from(shard).unwrap_or(0),
            place,
        };
        let count = ready.len();
        self.common.ready.queue.append(|values| {
            // What was staged before comes before.
            self.sweep(values, Look::Quick);
            self.common.ready.enter(values, ready.into_iter().map(of));
        });
        self.common.ready.queue.announce_many(count);
    }

    /// Whether nobody was keeping time until now.
    pub(crate) fn take_over_time(&self) -> bool {
        !self.timed.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn leave_time(&self) {
        self.timed.store(false, Ordering::SeqCst);
    }

    /// Runs the engine's time until it shuts down or `stopped` says so. One thread at a time; it leaves, whatever ends it.
    pub(crate) fn keep_time(&self, stopped: impl Fn() -> bool) {
        struct Leaves<'a>(&'a Registry);
        impl Drop for Leaves<'_> {
            fn drop(&mut self) {
                self.0.leave_time();
            }
        }
        let _leaves = Leaves(self);
        let stopped = || stopped() || self.modes.now().is_shut_down();
        while !stopped() {
            self.tick();
            self.sleeper.sleep(self.now(), stopped);
        }
    }

    /// Lets whoever is in [`keep_time`](Self::keep_time) look whether to stop.
    pub(crate) fn wake_timer(&self) {
        self.sleeper.wake();
    }
}
