//! Calls an engine, and records what it answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use coedit::{
    Access, Config, Connection, ConnectionId, DocumentKey, Engine, ManualClock, ResumeToken, Timestamp, User,
    UserId,
};

use super::call::{Answer, Call, Event};
use super::model::State;

const DOCUMENTS: [&str; 2] = ["report", "letter"];
const USERS: [&str; 4] = ["ann", "ben", "cleo", "watcher"];
/// Opens each document first, so that it stays open.
pub const WATCHER: u8 = 3;

/// An engine under one limit of edit connections, and what the calls of its threads share.
pub struct Player {
    pub engine: Engine,
    pub start: State,
    moments: AtomicU64,
    tokens: Mutex<HashMap<ConnectionId, ResumeToken>>,
}

impl Player {
    pub fn new(documents: usize, limit: u32, grace: bool) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
        let grace_time = grace.then_some(std::time::Duration::from_secs(60));
        let config = Config::new().edit_limit(Some(limit)).reconnect_grace(grace_time).usage(false).shards(2);
        Player {
            engine: Engine::new(config.clock(clock)).unwrap(),
            start: State::new(documents, limit, grace),
            moments: AtomicU64::new(1),
            tokens: Mutex::default(),
        }
    }

    /// Makes a call, and records it.
    pub fn play(&self, thread: usize, call: Call) -> Event {
        let start = self.moments.fetch_add(1, SeqCst);
        let (answer, opened) = self.make(&call);
        let end = self.moments.fetch_add(1, SeqCst);
        if let Some(tab) = opened {
            let token = tab.token();
            let id = tab.into_id();
            if let (Call::Open { .. }, Some(token)) = (&call, token) {
                self.tokens.lock().unwrap().insert(id, token);
            }
        }
        Event { thread, start, end, call, answer }
    }

    fn make(&self, call: &Call) -> (Answer, Option<Connection>) {
        let engine = &self.engine;
        let answer = match call {
            Call::Open { document, user, asked } => {
                let user = User::new(USERS[usize::from(*user)]).unwrap();
                let tab = engine.open(&key(*document), &user, *asked).unwrap();
                return (Answer::Opened(tab.id(), tab.granted()), Some(tab));
            }
            Call::Resume { token, attempt } => {
                let token = self.tokens.lock().unwrap()[token];
                return match engine.resume(&token, *attempt) {
                    Ok(tab) => (Answer::Resumed(Ok((tab.id(), tab.granted().access))), Some(tab)),
                    Err(error) => (Answer::Resumed(Err(error)), None),
                };
            }
            Call::Change(id) => Answer::Changed(engine.change(*id)),
            Call::Close(id) => Answer::Closed(engine.close(*id)),
            Call::DropUsers { document, users } => self.drop_users(*document, users),
            Call::Lost(id) => Answer::Lost(engine.lost(*id).map(|grace| grace.is_some())),
            Call::RequestEdit(id) => Answer::Requested(engine.request_edit(*id)),
            Call::ReleaseEdit(id) => Answer::Released(engine.release_edit(*id)),
            Call::SetEditLimit(limit) => {
                engine.set_edit_limit(Some(*limit)).unwrap();
                Answer::LimitSet
            }
            Call::Access(id) => Answer::Access(engine.access(*id)),
            Call::Editors(document) => Answer::Editors(numbers(&engine.editors(&key(*document)))),
            Call::Limits => {
                let limits = engine.limits();
                let (edit, waiting) = (limits.edit, [limits.waiting.edit, limits.waiting.saving]);
                Answer::Limits { limit: edit.limit.unwrap(), in_use: edit.in_use, waiting }
            }
        };
        (answer, None)
    }

    fn drop_users(&self, document: usize, users: &[u8]) -> Answer {
        let users: Vec<UserId> =
            users.iter().map(|user| UserId::new(USERS[usize::from(*user)]).unwrap()).collect();
        let mut dropped = self.engine.drop_users(&key(document), &users).unwrap();
        dropped.connections.sort_unstable();
        Answer::Dropped { connections: dropped.connections, unmatched: numbers(&dropped.unmatched) }
    }
}

fn key(document: usize) -> DocumentKey {
    DocumentKey::new(DOCUMENTS[document]).unwrap()
}

fn numbers(users: &[UserId]) -> Vec<u8> {
    let number = |user: &UserId| USERS.iter().position(|name| *name == user.as_str()).unwrap();
    let mut numbers: Vec<u8> = users.iter().map(|user| u8::try_from(number(user)).unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// The connections that a thread knows, with the names of their tokens.
#[derive(Clone, Default)]
pub struct Known(pub Vec<(ConnectionId, ConnectionId)>);

impl Known {
    /// Learns of what a call opened.
    pub fn learn(&mut self, event: &Event) {
        match (&event.call, &event.answer) {
            (Call::Open { .. }, Answer::Opened(id, _)) => self.0.push((*id, *id)),
            (Call::Resume { token, .. }, Answer::Resumed(Ok((id, _)))) => self.0.push((*id, *token)),
            _ => {}
        }
    }
}

/// Reads all that can be read, when no call is under way.
pub fn final_reads(player: &Player, events: &[Event]) -> Vec<Event> {
    let mut known = Known::default();
    for event in events {
        known.learn(event);
    }
    let accesses = known.0.iter().map(|(id, _)| Call::Access(*id));
    let editors = (0..player.start.documents.len()).map(Call::Editors);
    accesses.chain(editors).chain([Call::Limits]).map(|call| player.play(0, call)).collect()
}

/// Opens a viewer on each document.
pub fn watch(player: &Player) -> Vec<Event> {
    let open = |document| Call::Open { document, user: WATCHER, asked: Access::View };
    (0..player.start.documents.len()).map(|document| player.play(0, open(document))).collect()
}
