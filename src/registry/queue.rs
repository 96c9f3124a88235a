//! A queue to the host, with an end, and a hook for hosts that must not block.

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use crate::config::Hook;
use crate::sync::{Apart, AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering};

/// First in, first out, for any number of receivers.
///
/// What is to be taken may also lie ready elsewhere until somebody looks: a receiver that finds the queue empty refills it
/// from there. Whoever lays something there calls [`announce`](Self::announce) as one does who pushes.
pub(crate) struct Queue<T> {
    /// Receivers meet here; those who announce only look at what stands beside it.
    inner: Apart<Mutex<Inner<T>>>,
    came: Condvar,
    hook: Option<Hook>,
    /// Whether the hook is to be called when something comes: nobody has looked yet, or somebody found nothing since.
    armed: AtomicBool,
    /// Receivers that sleep and that nobody wakes yet.
    sleepers: AtomicUsize,
    /// Values in the queue; a moment old for whoever has not the lock.
    len: Apart<AtomicUsize>,
}

struct Inner<T> {
    values: VecDeque<T>,
    ended: bool,
    /// Receivers that were woken and have not noticed it.
    woken: usize,
}

/// Why there is nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// Nothing yet.
    Empty,
    /// Nothing any more.
    Ended,
}

/// How long to wait for a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Not,
    Until(Instant),
    Forever,
}

/// How a refill looks for what lies ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// What the same thread laid there, or one that was heard of since, is found.
    Quick,
    /// Whatever is not found is announced to somebody who counts as a sleeper or has armed the hook now.
    Thorough,
}

/// Room for so many values is kept in a queue or list that is empty.
pub(super) const SPARE_ROOM: usize = 1024;

impl<T> Queue<T> {
    pub(crate) fn new(hook: Option<Hook>) -> Self {
        Queue {
            inner: Apart::new(Mutex::new(Inner { values: VecDeque::new(), ended: false, woken: 0 })),
            came: Condvar::new(),
            hook,
            armed: AtomicBool::new(true),
            sleepers: AtomicUsize::new(0),
            len: Apart::new(AtomicUsize::new(0)),
        }
    }

    /// Appends `value`, unless `most` are there or it is after the end. Whether it did. The caller
    /// [`announce`](Self::announce)s it.
    pub(crate) fn push(&self, value: T, most: usize) -> bool {
        let mut inner = self.inner.lock();
        let fits = !inner.ended && inner.values.len() < most;
        if fits {
            inner.values.push_back(value);
            self.len.store(inner.values.len(), Ordering::Relaxed);
        }
        fits
    }

    /// Lets `append` add values, which the caller announces.
    pub(crate) fn append(&self, append: impl FnOnce(&mut VecDeque<T>)) {
        let mut inner = self.inner.lock();
        append(&mut inner.values);
        self.len.store(inner.values.len(), Ordering::Relaxed);
    }

    /// Something came: wakes a receiver that sleeps and calls the hook if it is armed. That is host code, so with no lock
    /// held, and with all of the engine's own work done.
    #[inline]
    pub(crate) fn announce(&self) {
        self.announce_many(1);
    }

    /// The same for so many values that came at once: as many receivers are woken.
    #[inline]
    pub(crate) fn announce_many(&self, count: usize) {
        self.wake(count);
        if count > 0 {
            self.call_hook();
        }
    }

    #[inline]
    pub(crate) fn wake(&self, count: usize) {
        for _ in 0..count.min(self.sleepers.load(Ordering::Acquire)) {
            self.wake_one();
        }
    }

    #[inline]
    pub(crate) fn call_hook(&self) {
        if let Some(hook) = &self.hook
            && self.armed.load(Ordering::Acquire)
            && self.armed.swap(false, Ordering::AcqRel)
        {
            hook();
        }
    }

    #[cold]
    fn wake_one(&self) {
        let mut inner = self.inner.lock();
        let sleepers = self.sleepers.load(Ordering::Acquire);
        if sleepers > 0 {
            self.sleepers.store(sleepers - 1, Ordering::Release);
            inner.woken += 1;
            self.came.notify_one();
        }
    }

    /// Lets every receiver end once it has taken all that came before.
    pub(crate) fn end(&self) {
        self.inner.lock().ended = true;
        self.came.notify_all();
        // A hook may have panicked on the way here: a second time would end the process.
        if !std::thread::panicking() {
            self.call_hook();
        }
    }

    /// How many are in the queue itself.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Takes the next value. `refill` adds what lies ready elsewhere; it is asked only while the queue is empty.
    #[inline]
    pub(crate) fn take(
        &self,
        wait: Wait,
        mut refill: impl FnMut(&mut VecDeque<T>, Look),
    ) -> Result<T, Nothing> {
        let mut inner = self.inner.lock();
        match inner.values.pop_front() {
            None => self.look_for(wait, inner, &mut refill),
            Some(value) => {
                self.len.store(inner.values.len(), Ordering::Relaxed);
                Ok(value)
            }
        }
    }

    /// Takes the next value of a queue that is empty, once there is one.
    #[cold]
    fn look_for(
        &self,
        wait: Wait,
        mut inner: MutexGuard<'_, Inner<T>>,
        refill: &mut dyn FnMut(&mut VecDeque<T>, Look),
    ) -> Result<T, Nothing> {
        let mut next = |inner: &mut Inner<T>, look: Look| {
            if inner.values.is_empty() {
                refill(&mut inner.values, look);
                if inner.values.is_empty() {
                    // What a burst took is given back.
                    inner.values.shrink_to(SPARE_ROOM);
                }
            }
            let value = inner.values.pop_front();
            self.len.store(inner.values.len(), Ordering::Relaxed);
            value.ok_or(if inner.ended { Nothing::Ended } else { Nothing::Empty })
        };
        loop {
            let found = next(&mut inner, Look::Quick);
            if !matches!(found, Err(Nothing::Empty)) {
                return found;
            }
            let deadline = match wait {
                Wait::Not if self.hook.is_some() && !self.armed.swap(true, Ordering::AcqRel) => {
                    return next(&mut inner, Look::Thorough);
                }
                Wait::Not => return found,
                Wait::Until(deadline) => Some(deadline),
                Wait::Forever => None,
            };
            self.sleepers.store(self.sleepers.load(Ordering::Acquire) + 1, Ordering::Release);
            let found = next(&mut inner, Look::Thorough);
            let mut timed_out = false;
            if matches!(found, Err(Nothing::Empty)) {
                match deadline {
                    None => self.came.wait(&mut inner),
                    Some(deadline) => timed_out = self.came.wait_until(&mut inner, deadline).timed_out(),
                }
            }
            if inner.woken > 0 {
                inner.woken -= 1;
            } else {
                self.sleepers.store(self.sleepers.load(Ordering::Acquire) - 1, Ordering::Release);
            }
            if !matches!(found, Err(Nothing::Empty)) {
                return found;
            }
            if timed_out {
                return next(&mut inner, Look::Quick);
            }
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::sync::Arc;

    fn taken(queue: &Queue<i32>) -> Result<i32, Nothing> {
        queue.take(Wait::Not, |_, _| {})
    }

    #[test]
    fn the_hook_is_called_when_the_queue_stops_being_empty() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let hook: Hook = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let queue = Queue::new(Some(hook));
        let push = |value| queue.push(value, 9).then(|| queue.announce());
        push(1);
        push(2);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!((taken(&queue), taken(&queue)), (Ok(1), Ok(2)));
        push(3);
        assert_eq!(calls.load(Ordering::SeqCst), 1, "nobody has seen it empty yet");
        assert_eq!((taken(&queue), taken(&queue)), (Ok(3), Err(Nothing::Empty)));
        push(4);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn every_receiver_finds_the_end() {
        let queue = Queue::new(None);
        queue.push(1, 9);
        queue.end();
        assert_eq!(queue.take(Wait::Forever, |_, _| {}), Ok(1));
        for wait in [Wait::Forever, Wait::Forever, Wait::Not, Wait::Until(Instant::now())] {
            assert_eq!(queue.take(wait, |_, _| {}), Err(Nothing::Ended));
        }
        assert!(!queue.push(2, 9), "lost after the end");
        assert_eq!(taken(&queue), Err(Nothing::Ended));
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let queue = Queue::new(None);
        assert_eq!([1, 2, 3].map(|value| queue.push(value, 2)), [true, true, false]);
        assert_eq!((queue.len(), taken(&queue), queue.len()), (2, Ok(1), 1));
    }

    #[test]
    fn an_empty_queue_is_refilled_and_before_a_sleep_thoroughly() {
        let (queue, looks) = (Queue::new(None), RefCell::new(Vec::new()));
        let take = |wait, thorough: bool| {
            queue.take(wait, |values, look| {
                looks.borrow_mut().push(look);
                if (look == Look::Thorough) == thorough {
                    values.extend([7, 8]);
                }
            })
        };
        assert_eq!((take(Wait::Not, false), take(Wait::Not, false)), (Ok(7), Ok(8)));
        assert_eq!(looks.take(), [Look::Quick]);
        assert_eq!(take(Wait::Forever, true), Ok(7));
        assert_eq!(looks.take(), [Look::Quick, Look::Thorough]);
        assert_eq!((taken(&queue), take(Wait::Not, true)), (Ok(8), Err(Nothing::Empty)));
        assert_eq!(queue.take(Wait::Until(Instant::now()), |_, _| {}), Err(Nothing::Empty));
        assert_eq!(queue.sleepers.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn whoever_sleeps_is_woken() {
        let (queue, count) = (Arc::new(Queue::new(None)), 1000);
        let receivers = [(); 3].map(|()| {
            let queue = queue.clone();
            std::thread::spawn(move || {
                std::iter::from_fn(|| queue.take(Wait::Forever, |_, _| {}).ok()).sum::<i32>()
            })
        });
        for value in 1..=count {
            queue.push(value, usize::MAX);
            queue.announce();
        }
        queue.end();
        let sum: i32 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
        assert_eq!(sum, count * (count + 1) / 2);
        assert_eq!(queue.sleepers.load(Ordering::SeqCst), 0);
    }
}
