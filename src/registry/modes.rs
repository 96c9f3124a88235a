//! What the whole engine is about just now, in one word: who has a shard's lock reads it once.

use crate::sync::{AtomicUsize, Ordering};

/// The modes of an engine, and how many receivers of notices there are.
#[derive(Debug)]
pub(super) struct Modes(AtomicUsize);

/// The modes of one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode(usize);

const DRAINING: usize = 1;
const SHUT_DOWN: usize = 2;
const LISTENER: usize = 4;

impl Modes {
    pub(super) fn new() -> Self {
        Modes(AtomicUsize::new(0))
    }

    #[inline]
    pub(super) fn now(&self) -> Mode {
        Mode(self.0.load(Ordering::SeqCst))
    }

    pub(super) fn drain(&self) {
        self.0.fetch_or(DRAINING, Ordering::SeqCst);
    }

    pub(super) fn shut_down(&self) {
        self.0.fetch_or(DRAINING | SHUT_DOWN, Ordering::SeqCst);
    }

    pub(super) fn listener_came(&self) {
        self.0.fetch_add(LISTENER, Ordering::SeqCst);
    }

    /// Whether it was the last.
    pub(super) fn listener_went(&self) -> bool {
        self.0.fetch_sub(LISTENER, Ordering::SeqCst) < 2 * LISTENER
    }
}

impl Mode {
    /// No edit access is given out, and saves are due without a delay.
    #[inline]
    pub(crate) fn is_draining(self) -> bool {
        self.0 & DRAINING != 0
    }

    /// No handle is left: failures are tried again without a pause.
    #[inline]
    pub(crate) fn is_shut_down(self) -> bool {
        self.0 & SHUT_DOWN != 0
    }

    /// Somebody listens to notices.
    #[inline]
    pub(crate) fn is_listened_to(self) -> bool {
        self.0 >= LISTENER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_listeners_share_a_word() {
        let modes = Modes::new();
        let read = || {
            let mode = modes.now();
            (mode.is_draining(), mode.is_shut_down(), mode.is_listened_to())
        };
        modes.listener_came();
        modes.listener_came();
        modes.drain();
        assert_eq!(read(), (true, false, true));
        modes.shut_down();
        assert!(!modes.listener_went() && modes.listener_went());
        assert_eq!(read(), (true, true, false));
    }
}
