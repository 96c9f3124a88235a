//! The afternoon version without its three most expensive parts.
//!
//! It has a fast hash instead of `SipHash`, no list of users in the event, and no second map: the handle of a connection
//! contains the key of its document.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use foldhash::fast::RandomState;

use super::room::{Events, Room, Seats};
use super::{Afternoon, Contender};

pub(crate) struct Ablation {
    documents: DashMap<String, Room, RandomState>,
    next: AtomicU64,
    seats: Seats,
    events: Events<ShortEvent>,
}

/// An event without the list of users.
#[expect(dead_code, reason = "a storage would read the fields")]
struct ShortEvent {
    key: String,
    /// The user, and true for a join or false for a leave. `None` answers an `info`.
    action: Option<(String, bool)>,
}

impl Contender for Ablation {
    const NAME: &'static str = "ablation";
    type Key = String;
    type User = String;
    type Handle = (String, u64);

    fn new(limit: u32) -> Self {
        Ablation {
            documents: DashMap::default(),
            next: AtomicU64::new(0),
            seats: Seats::new(limit),
            events: Events::new(),
        }
    }

    fn key(number: usize) -> String {
        Afternoon::key(number)
    }

    fn user(number: usize) -> String {
        Afternoon::user(number)
    }

    fn open(&self, key: &String, user: &String) -> ((String, u64), bool) {
        let edits = self.seats.take();
        let connection = self.next.fetch_add(1, Ordering::Relaxed);
        // Copies the key only for a new document.
        let room = self.documents.get_mut(key);
        let mut room = room.unwrap_or_else(|| self.documents.entry(key.clone()).or_default());
        if room.join(user, connection, edits) {
            self.events.send(ShortEvent { key: key.clone(), action: Some((user.clone(), true)) });
        }
        ((key.clone(), connection), edits)
    }

    fn close(&self, (key, connection): (String, u64)) {
        let mut room = self.documents.get_mut(&key).unwrap();
        let (user, edited, announce) = room.leave(connection);
        self.seats.free(usize::from(edited));
        if announce {
            self.events.send(ShortEvent { key: key.clone(), action: Some((user, false)) });
        }
        let is_empty = room.is_empty();
        drop(room);
        if is_empty {
            self.documents.remove_if(&key, |_, room| room.is_empty());
        }
    }

    fn change(&self, (key, connection): &(String, u64)) -> bool {
        self.documents.get_mut(key).unwrap().change(*connection)
    }

    fn info(&self, key: &String) -> usize {
        let users = self.documents.get(key).unwrap().editors();
        self.events.send(ShortEvent { key: key.clone(), action: None });
        std::hint::black_box(users).len()
    }

    fn drop_user(&self, key: &String, user: &String) -> usize {
        let mut room = self.documents.get_mut(key).unwrap();
        let dropped = room.demote(user);
        self.seats.free(dropped);
        self.events.send(ShortEvent { key: key.clone(), action: Some((user.clone(), false)) });
        dropped
    }

    fn drain(&self) -> usize {
        self.events.drain()
    }
}
