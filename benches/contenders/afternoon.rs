//! Two sharded maps and a channel: what a team writes in an afternoon.

use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use super::Contender;
use super::room::{Event, Events, Room, Seats};

pub(crate) struct Afternoon {
    documents: DashMap<String, Room>,
    connections: DashMap<u64, String>,
    next: AtomicU64,
    seats: Seats,
    events: Events<Event>,
}

impl Contender for Afternoon {
    const NAME: &'static str = "afternoon";
    type Key = String;
    type User = String;
    type Handle = u64;

    fn new(limit: u32) -> Self {
        Afternoon {
            documents: DashMap::new(),
            connections: DashMap::new(),
            next: AtomicU64::new(0),
            seats: Seats::new(limit),
            events: Events::new(),
        }
    }

    fn key(number: usize) -> String {
        format!("document-{number:09}")
    }

    fn user(number: usize) -> String {
        format!("user-{number:09}")
    }

    fn open(&self, key: &String, user: &String) -> (u64, bool) {
        let edits = self.seats.take();
        let connection = self.next.fetch_add(1, Ordering::Relaxed);
        self.connections.insert(connection, key.clone());
        let mut room = self.documents.entry(key.clone()).or_default();
        if room.join(user, connection, edits) {
            // Sent under the guard, so that the events of a document are in order.
            let action = Some((user.clone(), true));
            self.events.send(Event { key: key.clone(), action, users: room.editors() });
        }
        (connection, edits)
    }

    fn close(&self, connection: u64) {
        let (_, key) = self.connections.remove(&connection).unwrap();
        let mut room = self.documents.get_mut(&key).unwrap();
        let (user, edited, announce) = room.leave(connection);
        self.seats.free(usize::from(edited));
        if announce {
            self.events.send(Event { key: key.clone(), action: Some((user, false)), users: room.editors() });
        }
        let is_empty = room.is_empty();
        drop(room);
        if is_empty {
            self.documents.remove_if(&key, |_, room| room.is_empty());
        }
    }

    fn change(&self, connection: &u64) -> bool {
        let key = self.connections.get(connection).unwrap();
        self.documents.get_mut(&*key).unwrap().change(*connection)
    }

    fn info(&self, key: &String) -> usize {
        let room = self.documents.get(key).unwrap();
        let users = room.editors();
        self.events.send(Event { key: key.clone(), action: None, users: users.clone() });
        std::hint::black_box(users).len()
    }

    fn drop_user(&self, key: &String, user: &String) -> usize {
        let mut room = self.documents.get_mut(key).unwrap();
        let dropped = room.demote(user);
        self.seats.free(dropped);
        let action = Some((user.clone(), false));
        self.events.send(Event { key: key.clone(), action, users: room.editors() });
        dropped
    }

    fn drain(&self) -> usize {
        self.events.drain()
    }
}
