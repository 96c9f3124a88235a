//! Documents that users are in, and an editor who visits them in random order.

use super::{clock_cost, shuffled, timed};
use crate::contenders::Contender;

pub(crate) struct Crowd<C: Contender> {
    /// Given up before the contender is: a connection that owns itself closes.
    held: Vec<C::Handle>,
    pub(crate) contender: C,
    /// In random order, so that who goes through them from first to last jumps about in the contender's memory but not
    /// in the host's.
    pub(crate) keys: Vec<C::Key>,
    next: usize,
    visits: usize,
    pub(crate) visitor: C::User,
    clock_cost: f64,
}

impl<C: Contender> Crowd<C> {
    /// `documents` that `users` edit each. With `limit`, that is how many may edit, or else any number.
    pub(crate) fn new(documents: usize, users: usize, limit: Option<usize>) -> Self {
        let limit = limit.map_or(u32::MAX - 1, |limit| u32::try_from(limit).unwrap());
        let contender = C::new(limit);
        let mut held = Vec::with_capacity(documents * users);
        let who: Vec<C::User> = (0..users).map(C::user).collect();
        for document in 0..documents {
            let key = C::key(document);
            held.extend(who.iter().map(|user| contender.open(&key, user).0));
            if document % 64 == 0 {
                contender.drain();
            }
        }
        contender.drain();
        let keys = shuffled(documents).into_iter().map(C::key).collect();
        Crowd { contender, keys, next: 0, visits: 0, visitor: C::user(users), held, clock_cost: clock_cost() }
    }

    /// The next `count` documents, which are a part of all of them.
    pub(crate) fn next_keys(&mut self, count: usize) -> std::ops::Range<usize> {
        let count = count.min(self.keys.len());
        let start = if self.next + count > self.keys.len() { 0 } else { self.next };
        self.next = (start + count) % self.keys.len();
        start..start + count
    }

    /// The visitor opens and closes `pairs` times. Nanoseconds of the calls, and of draining after every so many pairs;
    /// `None` is a host that does not.
    pub(crate) fn visit(&mut self, pairs: usize, drained: Option<usize>) -> [f64; 2] {
        let block = drained.unwrap_or(pairs).min(pairs);
        let (mut calls, mut drains) = (0.0, 0.0);
        for _ in 0..pairs / block {
            calls += self.open_and_close(block);
            if drained.is_some() {
                drains += timed(self.clock_cost, || self.contender.drain()).0;
            }
        }
        [calls, drains]
    }

    /// The same, but that every pair is timed by itself: the processor begins none while it waits for the memory of the one
    /// before, as it would not if the host did anything else in between. `pairs` are whole times `drained`. Nanoseconds of
    /// the calls.
    pub(crate) fn visit_apart(&mut self, pairs: usize, drained: usize) -> f64 {
        let mut calls = 0.0;
        for _ in 0..pairs / drained {
            calls += (0..drained).map(|_| self.open_and_close(1)).sum::<f64>();
            self.contender.drain();
        }
        calls
    }

    /// One pair, and at its end, every so many pairs, the draining.
    pub(crate) fn visit_once(&mut self, drained: usize) {
        self.contender.close(self.contender.open(&self.keys[self.next], &self.visitor).0);
        self.next = if self.next + 1 == self.keys.len() { 0 } else { self.next + 1 };
        self.visits += 1;
        if self.visits.is_multiple_of(drained) {
            self.contender.drain();
        }
    }

    fn open_and_close(&mut self, pairs: usize) -> f64 {
        let Crowd { contender, keys, next, visitor, clock_cost, .. } = self;
        let act = || {
            for _ in 0..pairs {
                let (handle, _) = contender.open(&keys[*next], visitor);
                contender.close(handle);
                *next = if *next + 1 == keys.len() { 0 } else { *next + 1 };
            }
        };
        timed(*clock_cost, act).0
    }

    /// Untimed: what another contender's round has driven out of the caches comes back, as far as it fits.
    pub(crate) fn warm_up(&mut self) {
        self.contender.drain();
        self.visit(self.keys.len().min(2000), Some(64));
        self.contender.drain();
    }

    /// Untimed: the visitor opens the documents of a range of keys.
    pub(crate) fn enter(&self, keys: std::ops::Range<usize>) -> Vec<C::Handle> {
        let open = |key| self.contender.open(key, &self.visitor).0;
        let handles = self.keys[keys].iter().map(open).collect();
        self.contender.drain();
        handles
    }

    /// Untimed: and closes them again.
    pub(crate) fn go(&self, handles: Vec<C::Handle>) {
        for handle in handles {
            self.contender.close(handle);
        }
        self.contender.drain();
    }

    pub(crate) fn clock_cost(&self) -> f64 {
        self.clock_cost
    }

    /// The connections that are open all the time.
    pub(crate) fn held(&self) -> &[C::Handle] {
        &self.held
    }
}
