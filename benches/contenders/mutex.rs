//! Two maps behind one mutex, and a channel.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use super::room::{Event, Events, Room, Seats};
use super::{Afternoon, Contender};

pub(crate) struct OneMutex {
    state: Mutex<State>,
    seats: Seats,
    events: Events<Event>,
}

#[derive(Default)]
struct State {
    documents: HashMap<String, Room>,
    connections: HashMap<u64, String>,
    next: u64,
}

impl OneMutex {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Contender for OneMutex {
    const NAME: &'static str = "mutex";
    type Key = String;
    type User = String;
    type Handle = u64;

    fn new(limit: u32) -> Self {
        OneMutex { state: Mutex::default(), seats: Seats::new(limit), events: Events::new() }
    }

    fn key(number: usize) -> String {
        Afternoon::key(number)
    }

    fn user(number: usize) -> String {
        Afternoon::user(number)
    }

    fn open(&self, key: &String, user: &String) -> (u64, bool) {
        let edits = self.seats.take();
        let mut state = self.state();
        let connection = state.next;
        state.next += 1;
        state.connections.insert(connection, key.clone());
        let room = state.documents.entry(key.clone()).or_default();
        if room.join(user, connection, edits) {
            let action = Some((user.clone(), true));
            self.events.send(Event { key: key.clone(), action, users: room.editors() });
        }
        (connection, edits)
    }

    fn close(&self, connection: u64) {
        let mut state = self.state();
        let key = state.connections.remove(&connection).unwrap();
        let room = state.documents.get_mut(&key).unwrap();
        let (user, edited, announce) = room.leave(connection);
        self.seats.free(usize::from(edited));
        if announce {
            self.events.send(Event { key: key.clone(), action: Some((user, false)), users: room.editors() });
        }
        if room.is_empty() {
            state.documents.remove(&key);
        }
    }

    fn change(&self, connection: &u64) -> bool {
        let mut guard = self.state();
        let State { documents, connections, .. } = &mut *guard;
        documents.get_mut(&connections[connection]).unwrap().change(*connection)
    }

    fn info(&self, key: &String) -> usize {
        let users = self.state().documents[key].editors();
        self.events.send(Event { key: key.clone(), action: None, users: users.clone() });
        std::hint::black_box(users).len()
    }

    fn drop_user(&self, key: &String, user: &String) -> usize {
        let mut state = self.state();
        let room = state.documents.get_mut(key).unwrap();
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
