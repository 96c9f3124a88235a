//! The earliest deadline of all shards, and the thread that sleeps until then.

use std::time::Duration;

use crate::sync::{AtomicU64, Condvar, Mutex, Ordering};
use crate::time::Moment;

/// No deadline.
pub(super) const NEVER: u64 = u64::MAX;

/// Knows the earliest deadline, and wakes the timer thread for an earlier one.
#[derive(Debug)]
pub(super) struct Sleeper {
    /// The earliest deadline in milliseconds. May be too early. It is too late only while somebody looks again.
    next_due: AtomicU64,
    looks_begun: AtomicU64,
    looks_done: AtomicU64,
    /// Until when the thread sleeps. 0 while it does not.
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

    /// The earliest deadline. May be too late while somebody looks again.
    pub(super) fn next_due(&self) -> u64 {
        self.next_due.load(Ordering::SeqCst)
    }

    /// The earliest deadline, unless somebody looks again just now.
    pub(super) fn settled_next_due(&self) -> Option<u64> {
        let done = self.looks_done.load(Ordering::SeqCst);
        let due = self.next_due();
        (self.looks_begun.load(Ordering::SeqCst) == done).then_some(due)
    }

    /// Forgets the earliest deadline. The caller passes that of every shard to [`wake_by`](Self::wake_by) before it drops
    /// the result.
    pub(super) fn look_again(&self) -> Looking<'_> {
        self.looks_begun.fetch_add(1, Ordering::SeqCst);
        self.next_due.store(NEVER, Ordering::SeqCst);
        Looking(self)
    }

    /// There is a deadline at `due`. Wakes the thread if it would sleep longer. Called with no lock held.
    pub(super) fn wake_by(&self, due: u64) {
        if due < self.next_due() {
            self.next_due.fetch_min(due, Ordering::SeqCst);
        }
        if due < self.wake_at.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Wakes the thread.
    pub(super) fn wake(&self) {
        // A thread that is about to sleep holds the lock until it does.
        drop(self.lock.lock());
        self.wake.notify_all();
    }

    /// Sleeps until the earliest deadline, at most until `latest`, or until woken. Returns at once if `stopped`. Both are
    /// asked after whoever calls [`wake`](Self::wake) from now on wakes it.
    pub(super) fn sleep(
        &self,
        now: Moment,
        latest: impl FnOnce() -> Option<Moment>,
        stopped: impl FnOnce() -> bool,
    ) {
        let mut guard = self.lock.lock();
        let latest = latest().map_or(NEVER, Moment::as_millis);
        let until = self.next_due().min(latest);
        self.wake_at.store(until, Ordering::SeqCst);
        // A deadline that came in between: its caller saw nobody asleep yet.
        let until = until.min(self.next_due());
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
