//! What the sharded maps and the one Mutex have in common: a document's participants, the seats, the messages.

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

/// A message to the storage.
#[expect(dead_code, reason = "a storage would read them")]
pub(super) struct Event {
    pub(super) key: String,
    /// Who came (true) or went; none answers an `info`.
    pub(super) action: Option<(String, bool)>,
    pub(super) users: Vec<String>,
}

impl Room {
    /// Whether this is the user's first connection that edits.
    pub(super) fn join(&mut self, user: &str, connection: u64, edits: bool) -> bool {
        let is_news = edits && !self.is_editing(user);
        self.participants.push(Participant { user: user.to_owned(), connection, edits });
        is_news
    }

    /// The user, whether the connection edited, and whether it was the user's last that did.
    pub(super) fn leave(&mut self, connection: u64) -> (String, bool, bool) {
        let at = self.participants.iter().position(|one| one.connection == connection).unwrap();
        let gone = self.participants.remove(at);
        let is_news = gone.edits && !self.is_editing(&gone.user);
        (gone.user, gone.edits, is_news)
    }

    fn is_editing(&self, user: &str) -> bool {
        self.participants.iter().any(|one| one.edits && one.user == user)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.participants.is_empty()
    }

    /// In order of joining. A user with two tabs stands here twice: to sort that out would cost the baselines more.
    pub(super) fn editors(&self) -> Vec<String> {
        self.participants.iter().filter(|one| one.edits).map(|one| one.user.clone()).collect()
    }

    pub(super) fn change(&mut self, connection: u64) -> bool {
        let edits = self.participants.iter().any(|one| one.connection == connection && one.edits);
        self.changed |= edits;
        edits
    }

    pub(super) fn demote(&mut self, user: &str) -> usize {
        let demoted = self.participants.iter_mut().filter(|one| one.edits && one.user == user);
        demoted.map(|one| one.edits = false).count()
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
