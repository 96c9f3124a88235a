//! Deadlines that fall due, shard by shard.

use super::Registry;
use super::queue::Look;
use super::shard::{After, Context, Due, Shard};
use super::sleeper::NEVER;
use crate::sync::Ordering;
use crate::time::Timestamp;

/// Deadlines that fall due under one hold of a shard's lock.
pub(super) const SLICE: usize = 128;

/// Does something to a shard under its lock and says whether there is more to do.
type Act<'a> = &'a mut dyn FnMut(&mut Shard, &Context<'_>, &mut After, &mut Vec<Due>) -> bool;

/// What comes of a visit to all shards. The documents enter the ready queue together when this is dropped, and only then
/// host code runs: a hook that panics keeps no shard from its visit, and no document from being told.
struct Gathered<'a> {
    registry: &'a Registry,
    ready: Vec<Due>,
    notices: usize,
}

impl<'a> Gathered<'a> {
    fn new(registry: &'a Registry) -> Self {
        Gathered { registry, ready: Vec::new(), notices: 0 }
    }

    /// Acts on a shard and keeps what comes of it. Whether there is more to do.
    fn act(&mut self, index: usize, now: Timestamp, act: Act<'_>) -> bool {
        let (ready, mut after) = (&mut self.ready, After::default());
        let act =
            |shard: &mut Shard, context: &Context<'_>, after: &mut After| act(shard, context, after, ready);
        let more = self.registry.hold(index, now, &mut after, act);
        self.notices += self.registry.keep_books(after);
        more
    }
}

impl Drop for Gathered<'_> {
    /// In the order in which they fell due, whatever their shards: a run on a manual clock is reproducible.
    fn drop(&mut self) {
        let Gathered { registry, notices, .. } = *self;
        let mut ready = std::mem::take(&mut self.ready);
        ready.sort_unstable_by(|(one, one_key, _), (other, other_key, _)| {
            (one, one_key).cmp(&(other, other_key))
        });
        let count = ready.len();
        if count > 0 {
            registry.common.ready.queue.append(|values| {
                // What was staged before comes before.
                registry.sweep(values, Look::Quick);
                registry.common.ready.enter(values, ready.into_iter().map(|(_, _, location)| location));
            });
        }
        registry.announce(count, notices);
    }
}

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
        let mut gathered = Gathered::new(self);
        for (index, place) in self.shards.iter().enumerate() {
            let mut more = place.earliest.load(Ordering::SeqCst) <= now.as_millis();
            while more {
                more = gathered.act(index, now, &mut |shard, context, after, ready| {
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
    }

    /// Lets `visit` act on one shard after the other, each as often as it likes.
    pub(super) fn on_every_shard(&self, now: Timestamp, visit: impl Fn(&mut dyn FnMut(Act<'_>) -> bool)) {
        let mut gathered = Gathered::new(self);
        for index in 0..self.shards.len() {
            visit(&mut |act| gathered.act(index, now, act));
        }
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
