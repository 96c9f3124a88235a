//! Parts that the hand-written contenders share: the participants of a document, the seats and the event channel.

use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};

#[derive(Default)]
pub(super) struct Room {
    participants: Vec<Participant>,
    changed: bool,
}

struct Participant {
    user: String,
    connection: u64,
    edits: bool,
}

/// A callback to the storage.
#[expect(dead_code, reason = "a storage would read the fields")]
pub(super) struct Event {
    pub(super) key: String,
    /// The user, and true for a join or false for a leave. `None` answers an `info`.
    pub(super) action: Option<(String, bool)>,
    pub(super) users: Vec<String>,
}

impl Room {
    /// Returns true if this is the user's first edit connection.
    pub(super) fn join(&mut self, user: &str, connection: u64, edits: bool) -> bool {
        let announce = edits && !self.is_editing(user);
        self.participants.push(Participant { user: user.to_owned(), connection, edits });
        announce
    }

    /// Returns the user, whether the connection could edit, and whether it was the user's last edit connection.
    pub(super) fn leave(&mut self, connection: u64) -> (String, bool, bool) {
        let at =
            self.participants.iter().position(|participant| participant.connection == connection).unwrap();
        let left = self.participants.remove(at);
        let announce = left.edits && !self.is_editing(&left.user);
        (left.user, left.edits, announce)
    }

    fn is_editing(&self, user: &str) -> bool {
        self.participants.iter().any(|participant| participant.edits && participant.user == user)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }

    /// Lists the editors in order of joining. A user with two tabs is listed twice: removing duplicates would only make
    /// these contenders slower.
    pub(super) fn editors(&self) -> Vec<String> {
        self.participants
            .iter()
            .filter(|participant| participant.edits)
            .map(|participant| participant.user.clone())
            .collect()
    }

    pub(super) fn change(&mut self, connection: u64) -> bool {
        let edits = self
            .participants
            .iter()
            .any(|participant| participant.connection == connection && participant.edits);
        self.changed |= edits;
        edits
    }

    pub(super) fn demote(&mut self, user: &str) -> usize {
        let demoted =
            self.participants.iter_mut().filter(|participant| participant.edits && participant.user == user);
        demoted.map(|participant| participant.edits = false).count()
    }
}

pub(super) struct Seats {
    taken: AtomicU32,
    limit: u32,
}

impl Seats {
    pub(super) fn new(limit: u32) -> Self {
        Seats { taken: AtomicU32::new(0), limit }
    }

    pub(super) fn take(&self) -> bool {
        let free = |taken| (taken < self.limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, free).is_ok()
    }

    pub(super) fn free(&self, count: usize) {
        self.taken.fetch_sub(u32::try_from(count).unwrap(), Ordering::AcqRel);
    }
}

pub(super) struct Events<T> {
    sender: Sender<T>,
    receiver: Receiver<T>,
}

impl<T> Events<T> {
    pub(super) fn new() -> Self {
        let (sender, receiver) = unbounded();
        Events { sender, receiver }
    }

    pub(super) fn send(&self, event: T) {
        self.sender.send(event).unwrap();
    }

    pub(super) fn drain(&self) -> usize {
        self.receiver.try_iter().count()
    }
}
