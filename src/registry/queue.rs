//! A queue to the host, with an end, and a hook for hosts that must not block.

use std::fmt;
use std::time::Instant;

use crate::config::Hook;
use crate::sync::{AtomicBool, Ordering, Receiver, RecvTimeoutError, Sender, fence, unbounded};

/// An unbounded channel; whoever pushes sees to the bound.
pub(crate) struct Queue<T> {
    /// `None` is the end. It stays in the channel, so that every receiver finds it.
    sender: Sender<Option<T>>,
    receiver: Receiver<Option<T>>,
    hook: Option<Hook>,
    /// Whether the hook is to be called at the next push: nobody has looked yet, or who looked last found nothing.
    armed: AtomicBool,
    ended: AtomicBool,
}

/// Why there is nothing to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// Nothing yet.
    Empty,
    /// Nothing any more.
    Ended,
}

impl<T> Queue<T> {
    pub(crate) fn new(hook: Option<Hook>) -> Self {
        let (sender, receiver) = unbounded();
        Queue { sender, receiver, hook, armed: AtomicBool::new(true), ended: AtomicBool::new(false) }
    }

    /// Appends `value`; after the end it is lost. The caller [`announce`](Self::announce)s it.
    pub(crate) fn push(&self, value: T) -> bool {
        let open = !self.ended.load(Ordering::SeqCst);
        if open {
            self.append(Some(value));
        }
        open
    }

    /// Calls the hook if it is armed: host code, so with no lock held, and with all of the engine's own work done.
    pub(crate) fn announce(&self) {
        let Some(hook) = &self.hook else { return };
        // Pairs with the fence in `try_pop`: either this sees the hook armed, or that sees the value.
        fence(Ordering::SeqCst);
        if self.armed.load(Ordering::Relaxed) && self.armed.swap(false, Ordering::AcqRel) {
            hook();
        }
    }

    /// Lets every receiver end once it has taken all that was pushed before.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.append(None);
        self.announce();
    }

    fn append(&self, value: Option<T>) {
        // A receiver lives in `self`, so this cannot fail.
        let _ = self.sender.send(value);
    }

    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    pub(crate) fn try_pop(&self) -> Result<T, Nothing> {
        if let Ok(value) = self.receiver.try_recv() {
            return self.unless_ended(value);
        }
        // Only the end is pushed after this is set, and it may be in the hands of another receiver just now.
        let nothing = if self.ended.load(Ordering::SeqCst) { Nothing::Ended } else { Nothing::Empty };
        self.armed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        match self.receiver.try_recv() {
            Ok(value) => self.unless_ended(value),
            Err(_) => Err(nothing),
        }
    }

    /// Waits for a value: for ever, or until `deadline`.
    pub(crate) fn pop(&self, deadline: Option<Instant>) -> Result<T, Nothing> {
        let received = match deadline {
            None => self.receiver.recv().map_err(|_| Nothing::Ended)?,
            Some(deadline) => self.receiver.recv_deadline(deadline).map_err(|error| match error {
                RecvTimeoutError::Timeout => Nothing::Empty,
                RecvTimeoutError::Disconnected => Nothing::Ended,
            })?,
        };
        self.unless_ended(received)
    }

    fn unless_ended(&self, value: Option<T>) -> Result<T, Nothing> {
        value.ok_or_else(|| {
            self.append(None);
            Nothing::Ended
        })
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
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn the_hook_is_called_when_the_queue_stops_being_empty() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let hook: Hook = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let queue = Queue::new(Some(hook));
        let push = |value| queue.push(value).then(|| queue.announce());
        push(1);
        push(2);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!((queue.try_pop(), queue.try_pop()), (Ok(1), Ok(2)));
        push(3);
        assert_eq!(calls.load(Ordering::SeqCst), 1, "nobody has seen it empty yet");
        assert_eq!((queue.try_pop(), queue.try_pop()), (Ok(3), Err(Nothing::Empty)));
        push(4);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn every_receiver_finds_the_end() {
        let queue = Queue::new(None);
        queue.push('a');
        queue.end();
        assert_eq!(queue.pop(None), Ok('a'));
        assert_eq!((queue.pop(None), queue.pop(None)), (Err(Nothing::Ended), Err(Nothing::Ended)));
        assert_eq!(queue.try_pop(), Err(Nothing::Ended));
        assert_eq!(queue.pop(Some(Instant::now())), Err(Nothing::Ended));
        assert!(!queue.push('b'), "lost after the end");
        assert_eq!(queue.try_pop(), Err(Nothing::Ended));
    }
}
