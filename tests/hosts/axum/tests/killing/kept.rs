//! The snapshot that a killed host left, and what it promises.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use coedit::{Access, DocumentKey, Engine, ManualClock, Timestamp, UserId};
use serde::Deserialize;
use serde_json::{Value, from_slice, from_value};

use super::storage::File;
use super::world::Seat;
use super::{DOCUMENTS, EDITORS, GRACE, config, document_key};

/// The host begins its snapshot less than so much before the time that it writes into it.
const MARGIN: Duration = Duration::from_millis(5);

/// What the last snapshot has.
#[derive(Debug)]
pub struct Kept {
    /// Changes up to then are in it, and later ones are not.
    pub time: Timestamp,
    pub texts: BTreeMap<DocumentKey, Text>,
    /// The documents with unsaved changes, forgotten ones included.
    pub unsaved: BTreeSet<DocumentKey>,
    pub forgotten: Vec<DocumentKey>,
    /// The access that each client has to get whose token is in the snapshot.
    pub promised: HashMap<usize, Access>,
    /// The access that it gets if nobody is faster. A waiter may get a free seat.
    possible: HashMap<usize, Access>,
    /// No seat is free.
    is_full: bool,
}

#[derive(Debug, Deserialize)]
pub struct Text {
    pub text: String,
}

/// The least access that the connections of a user of a document have.
fn accesses(engine: &Engine) -> HashMap<(DocumentKey, UserId), Access> {
    let mut accesses = HashMap::new();
    for key in (0..DOCUMENTS).map(document_key) {
        for one in engine.connections(&key) {
            let least = accesses.entry((key.clone(), one.user.id().clone())).or_insert(one.access);
            *least = one.access.min(*least);
        }
    }
    accesses
}

impl Kept {
    /// Reads the snapshot and restores it into an engine of its own, whose clock stands still.
    pub fn read(file: &Path, seats: &[(usize, Seat)]) -> Option<Self> {
        let bytes = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            bytes => bytes.expect("the snapshot can be read"),
        };
        let mut state: Value = from_slice(&bytes).expect("the snapshot is whole");
        let time: Timestamp = from_value(state["time"].take()).expect("a time");
        let texts = from_value(state["texts"].take()).expect("texts");
        let snapshot = from_value(state["engine"].take()).expect("a snapshot of the engine");
        let clock = Arc::new(ManualClock::new(time));
        let engine = Engine::restore(config().clock(clock), snapshot).expect("an engine");
        engine.validate().expect("every total is right");
        assert!(engine.limit_uses().edit.in_use <= EDITORS, "{:?}", engine.limit_uses());
        let forgotten: Vec<_> = engine.forgotten().into_iter().map(|one| one.key).collect();
        let unsaved = engine.unsaved().into_iter().map(|one| one.key).chain(forgotten.clone()).collect();
        let before = accesses(&engine);
        let (mut promised, mut possible) = (HashMap::new(), HashMap::new());
        let mut connections = Vec::new(); // dropped, they would be closed
        for (client, seat) in seats {
            let Ok(connection) = engine.resume(&seat.token, seat.attempt + 1) else { continue };
            promised.insert(*client, before[&connection.owner().expect("it is open")]);
            possible.insert(*client, connection.granted().access);
            connections.push(connection);
        }
        let in_use = engine.limit_uses().edit.in_use;
        assert!(in_use <= EDITORS, "{in_use} seats are in use");
        engine.suspend(Duration::ZERO); // else its end would wait for a storage
        let is_full = in_use == EDITORS;
        Some(Self { time, texts, unsaved, forgotten, promised, possible, is_full })
    }

    /// Checks that whoever was there before the snapshot, in the process that was killed, is in it. Returns how many that are.
    pub fn has_those_who_were_there(&self, seats: &[(usize, Seat)], process: u32) -> usize {
        // The lease of a line that was lost later than that had not ended.
        let was_there = |seat: &Seat| {
            let heard = SystemTime::now() - seat.heard.elapsed();
            seat.process == process && seat.since < self.sure() && heard + GRACE > self.time.into()
        };
        let were_there = seats.iter().filter(|(_, seat)| was_there(seat));
        for (client, seat) in were_there.clone() {
            let possible = self.possible.get(client);
            // A seat that moved while the snapshot was taken may be in it twice, and the limit holds for both.
            let holds = possible.is_some_and(|access| *access >= seat.access || self.is_full);
            assert!(holds, "client {client} was there: {seat:?}, but the snapshot has it with {possible:?}");
        }
        were_there.count()
    }

    /// The text that the restored host shows: the storage's, if that got later changes.
    pub fn expected<'a>(&'a self, key: &DocumentKey, file: Option<&'a File>) -> &'a str {
        file.filter(|file| file.lastsave > self.time).map_or(&self.texts[key].text, |file| &file.text)
    }

    /// What a client knew by then is surely in it.
    pub fn sure(&self) -> SystemTime {
        SystemTime::from(self.time) - MARGIN
    }
}
