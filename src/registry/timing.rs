//! Deadlines that fall due, shard by shard.

use std::sync::atomic::Ordering;

use super::Registry;
use super::ready::Location;
use super::sleeper::NEVER;
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
        for (shard, place) in (0..).zip(&self.shards) {
            let mut more = place.earliest.load(Ordering::SeqCst) <= now.as_millis();
            while more {
                let mut fallen = Vec::new();
                more = self.locked(shard as usize, now, |shard, context, after| {
                    shard.fall_due(SLICE, context, after, &mut fallen)
                });
                ready.extend(
                    fallen.into_iter().map(|(due, key, place)| (due, key, Location { shard, place })),
                );
            }
            let earliest = place.earliest.load(Ordering::SeqCst);
            if earliest != NEVER {
                self.sleeper.at(earliest);
            }
        }
        // In the order of their deadlines, whatever the shards: a run on a manual clock is reproducible.
        ready.sort_unstable_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        for (_, _, location) in ready {
            self.ready.queue.push(location);
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
