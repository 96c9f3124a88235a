//! Documents with open connections, and a visitor who opens and closes them in random order.

use std::ops::Range;

use super::{clock_cost, shuffled, timed};
use crate::contenders::Contender;

pub(crate) struct Crowd<C: Contender> {
    /// Declared before the contender, so dropped before it: an owning connection closes when it is dropped.
    held: Vec<C::Handle>,
    pub(crate) contender: C,
    /// In random order: a pass over them jumps about in the contender's memory, but not in the host's.
    pub(crate) keys: Vec<C::Key>,
    next: usize,
    visits: usize,
    pub(crate) visitor: C::User,
    clock_cost: f64,
}

/// Nanoseconds of some pairs of open and close.
pub(crate) struct Spans {
    /// The opens and closes alone.
    pub(crate) calls: f64,
    /// Taking and acknowledging their callbacks.
    pub(crate) draining: f64,
}

impl Spans {
    pub(crate) fn total(&self) -> f64 {
        self.calls + self.draining
    }
}

impl<C: Contender> Crowd<C> {
    /// Opens `documents` with `users` editors each. At most `limit` connections may edit; `None` is no limit.
    pub(crate) fn new(documents: usize, users: usize, limit: Option<usize>) -> Self {
        let limit = limit.map_or(u32::MAX - 1, |limit| u32::try_from(limit).unwrap());
        Self::of(C::new(limit), documents, users)
    }

    /// Does the same with a contender that is new.
    pub(crate) fn of(contender: C, documents: usize, users: usize) -> Self {
        let mut held = Vec::with_capacity(documents * users);
        let editors: Vec<C::User> = (0..users).map(C::user).collect();
        for document in 0..documents {
            let key = C::key(document);
            held.extend(editors.iter().map(|user| contender.open(&key, user).0));
            if document % 64 == 0 {
                contender.drain();
            }
        }
        contender.drain();
        let keys = shuffled(documents).into_iter().map(C::key).collect();
        Crowd { contender, keys, next: 0, visits: 0, visitor: C::user(users), held, clock_cost: clock_cost() }
    }

    /// Returns the range of the next `count` keys. Starts again at the first key when too few are left.
    pub(crate) fn next_keys(&mut self, count: usize) -> Range<usize> {
        let count = count.min(self.keys.len());
        let start = if self.next + count > self.keys.len() { 0 } else { self.next };
        self.next = (start + count) % self.keys.len();
        start..start + count
    }

    /// Times `pairs` of open and close by the visitor. Drains after every `every` pairs; `None` never drains.
    pub(crate) fn visit(&mut self, pairs: usize, every: Option<usize>) -> Spans {
        let block = every.unwrap_or(pairs).min(pairs);
        let mut spans = Spans { calls: 0.0, draining: 0.0 };
        for _ in 0..pairs / block {
            spans.calls += self.open_and_close(block);
            if every.is_some() {
                spans.draining += timed(self.clock_cost, || self.contender.drain()).0;
            }
        }
        spans
    }

    /// Times every pair by itself and returns the nanoseconds of the calls. `pairs` is a multiple of `every`.
    ///
    /// The clock reads keep the processor from starting one pair while it waits for the memory of the pair before. A
    /// host that does other work between two calls has the same effect.
    pub(crate) fn visit_one_by_one(&mut self, pairs: usize, every: usize) -> f64 {
        let mut calls = 0.0;
        for _ in 0..pairs / every {
            calls += (0..every).map(|_| self.open_and_close(1)).sum::<f64>();
            self.contender.drain();
        }
        calls
    }

    /// Opens and closes once, and drains at every `every`th call. Untimed.
    pub(crate) fn visit_once(&mut self, every: usize) {
        self.contender.close(self.contender.open(&self.keys[self.next], &self.visitor).0);
        self.next = if self.next + 1 == self.keys.len() { 0 } else { self.next + 1 };
        self.visits += 1;
        if self.visits.is_multiple_of(every) {
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

    /// Fills the caches again after a round of another contender. Untimed.
    pub(crate) fn warm_up(&mut self) {
        self.contender.drain();
        self.visit(self.keys.len().min(2000), Some(64));
        self.contender.drain();
    }

    /// Opens a range of keys for the visitor and drains. Untimed.
    pub(crate) fn enter(&self, keys: Range<usize>) -> Vec<C::Handle> {
        let handles = self.open_all(keys);
        self.contender.drain();
        handles
    }

    /// Opens a range of keys for the visitor. Untimed, and leaves the callbacks in place.
    pub(crate) fn open_all(&self, keys: Range<usize>) -> Vec<C::Handle> {
        self.keys[keys].iter().map(|key| self.contender.open(key, &self.visitor).0).collect()
    }

    /// Closes the visitor's connections and drains. Untimed.
    pub(crate) fn leave(&self, handles: Vec<C::Handle>) {
        for handle in handles {
            self.contender.close(handle);
        }
        self.contender.drain();
    }

    pub(crate) fn clock_cost(&self) -> f64 {
        self.clock_cost
    }

    /// The connections that stay open all the time.
    pub(crate) fn held(&self) -> &[C::Handle] {
        &self.held
    }
}
