//! When the next deadline falls due, and the thread that may be sleeping until then.

use std::time::Duration;

use crate::sync::{AtomicU64, Condvar, Mutex, Ordering};
use crate::time::Timestamp;

/// No deadline.
pub(super) const NEVER: u64 = u64::MAX;

/// The earliest deadline of all shards, and who waits for it.
#[derive(Debug)]
pub(super) struct Sleeper {
    /// In milliseconds. May be too early; too late only while somebody looks again.
    next_due: AtomicU64,
    looks_begun: AtomicU64,
    looks_done: AtomicU64,
    /// Until when a thread sleeps; 0 while none does.
    wake_at: AtomicU64,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Sleeper {
    pub(super) fn new() -> Self {
        Sleeper {
            next_due: AtomicU64::new(NEVER),
            looks_begun: AtomicU64::new(0),
            looks_done: AtomicU64::new(0),
            wake_at: AtomicU64::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// May be too late while somebody looks again.
    pub(super) fn next_due(&self) -> u64 {
        self.next_due.load(Ordering::SeqCst)
    }

    /// The same, unless somebody looks again just now.
    pub(super) fn settled_next_due(&self) -> Option<u64> {
        let done = self.looks_done.load(Ordering::SeqCst);
        let due = self.next_due();
        (self.looks_begun.load(Ordering::SeqCst) == done).then_some(due)
    }

    /// Forgets the earliest deadline, to be found again from those of the shards, each by [`at`](Self::at), before the
    /// result is dropped.
    pub(super) fn look_again(&self) -> Looking<'_> {
        self.looks_begun.fetch_add(1, Ordering::SeqCst);
        self.next_due.store(NEVER, Ordering::SeqCst);
        Looking(self)
    }

    /// There is a deadline at `due`. Wakes a sleeper that would sleep longer; call it with no lock held.
    pub(super) fn at(&self, due: u64) {
        if due < self.next_due() {
            self.next_due.fetch_min(due, Ordering::SeqCst);
        }
        if due < self.wake_at.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Wakes a sleeper, so that it looks around.
    pub(super) fn wake(&self) {
        // Whoever is on the way to sleep holds the lock until it does.
        drop(self.lock.lock());
        self.wake.notify_all();
    }

    /// Sleeps until the next deadline, `now` being the present, or until woken; not at all if `stopped`.
    pub(super) fn sleep(&self, now: Timestamp, stopped: impl Fn() -> bool) {
        let mut guard = self.lock.lock();
        let mut until = self.next_due();
        self.wake_at.store(until, Ordering::SeqCst);
        // A deadline that came in between: its caller saw nobody asleep yet.
        until = until.min(self.next_due());
        if !stopped() {
            if until == NEVER {
                self.wake.wait(&mut guard);
            } else {
                let pause = Duration::from_millis(until.saturating_sub(now.as_millis()));
                self.wake.wait_for(&mut guard, pause);
            }
        }
        self.wake_at.store(0, Ordering::SeqCst);
    }
}

/// Somebody looks for the earliest deadline.
pub(super) struct Looking<'a>(&'a Sleeper);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.looks_done.fetch_add(1, Ordering::SeqCst);
    }
}
