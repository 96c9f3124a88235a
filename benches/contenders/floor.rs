//! The floor: the least work that answers the question. One hash of the key, one lock, one look into a table, one
//! participant more, one compare-and-swap for the seat, one entry in a list of documents with something to tell.
//!
//! It leaves out what a product cannot: stale handles are not recognised, a user with two tabs is not known to be one,
//! names have a fixed size, messages are not formed, nothing is saved, the order of joining is lost.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::Contender;

type Name = [u8; 16];

pub(crate) struct Floor {
    shards: Box<[Apart<Mutex<Shard>>]>,
    hasher: RandomState,
    limit: u32,
    seats: Apart<AtomicU32>,
    /// One bit a shard: its ready list is not empty.
    ready: Apart<AtomicU64>,
}

/// On cache lines of its own: threads that touch one of these do not disturb those at the next.
#[repr(align(128))]
struct Apart<T>(T);

#[derive(Default)]
struct Shard {
    table: HashTable<u32>,
    documents: Vec<Document>,
    free_documents: Vec<u32>,
    connections: Vec<Connection>,
    free_connections: Vec<u32>,
    ready: Vec<u32>,
}

struct Document {
    key: Name,
    connections: SmallVec<[u32; 4]>,
    is_ready: bool,
    changed: bool,
}

struct Connection {
    user: Name,
    document: u32,
    /// Where it stands among its document's.
    at: u32,
    edits: bool,
}

/// The shard, and the connection's slot in it.
pub(crate) struct Slot {
    shard: u32,
    slot: u32,
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap()
}

/// Puts `value` where something was, or at the end.
fn place<T>(slab: &mut Vec<T>, free: &mut Vec<u32>, value: T) -> u32 {
    if let Some(at) = free.pop() {
        slab[at as usize] = value;
        return at;
    }
    slab.push(value);
    number(slab.len() - 1)
}

impl Shard {
    fn find(&self, hash: u64, key: &Name) -> Option<u32> {
        self.table.find(hash, |at| self.documents[*at as usize].key == *key).copied()
    }

    /// Whether the list was empty before.
    fn enter(&mut self, document: u32) -> bool {
        let entered = !std::mem::replace(&mut self.documents[document as usize].is_ready, true);
        if entered {
            self.ready.push(document);
        }
        entered && self.ready.len() == 1
    }
}

impl Floor {
    fn locate(&self, key: &Name) -> (u64, usize) {
        let hash = self.hasher.hash_one(key);
        (hash, usize::try_from(hash >> 48).unwrap() & (self.shards.len() - 1))
    }

    fn take_seat(&self) -> bool {
        let free = |taken| (taken < self.limit).then_some(taken + 1);
        self.seats.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, free).is_ok()
    }

    fn free_seat(&self) {
        self.seats.0.fetch_sub(1, Ordering::AcqRel);
    }

    fn announce(&self, shard: usize, first: bool) {
        if first {
            self.ready.0.fetch_or(1 << shard, Ordering::AcqRel);
        }
    }
}

impl Contender for Floor {
    const NAME: &'static str = "floor";
    type Key = Name;
    type User = Name;
    type Handle = Slot;

    fn new(limit: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // As many as the engine has, up to what one word can mark.
        let shards = (cores * 8).next_power_of_two().clamp(16, 64);
        Floor {
            shards: (0..shards).map(|_| Apart(Mutex::default())).collect(),
            hasher: RandomState::default(),
            limit,
            seats: Apart(AtomicU32::new(0)),
            ready: Apart(AtomicU64::new(0)),
        }
    }

    fn key(number: usize) -> Name {
        format!("{number:016}").into_bytes().try_into().unwrap()
    }

    fn user(number: usize) -> Name {
        Self::key(number)
    }

    fn open(&self, key: &Name, user: &Name) -> (Slot, bool) {
        let (hash, index) = self.locate(key);
        let edits = self.take_seat();
        let mut guard = self.shards[index].0.lock();
        let shard = &mut *guard;
        let document = shard.find(hash, key).unwrap_or_else(|| {
            let new = Document { key: *key, connections: SmallVec::new(), is_ready: false, changed: false };
            let at = place(&mut shard.documents, &mut shard.free_documents, new);
            let Shard { table, documents, .. } = shard;
            table.insert_unique(hash, at, |at| self.hasher.hash_one(documents[*at as usize].key));
            at
        });
        let at = number(shard.documents[document as usize].connections.len());
        let connection = Connection { user: *user, document, at, edits };
        let slot = place(&mut shard.connections, &mut shard.free_connections, connection);
        shard.documents[document as usize].connections.push(slot);
        let first = edits && shard.enter(document);
        drop(guard);
        self.announce(index, first);
        (Slot { shard: number(index), slot }, edits)
    }

    fn close(&self, handle: Slot) {
        let index = handle.shard as usize;
        let mut guard = self.shards[index].0.lock();
        let shard = &mut *guard;
        let Connection { document, at, edits, .. } = shard.connections[handle.slot as usize];
        shard.free_connections.push(handle.slot);
        let all = &mut shard.documents[document as usize].connections;
        all.swap_remove(at as usize);
        if let Some(moved) = all.get(at as usize) {
            shard.connections[*moved as usize].at = at;
        }
        // An empty document goes when the storage has been told.
        let first = shard.enter(document);
        drop(guard);
        if edits {
            self.free_seat();
        }
        self.announce(index, first);
    }

    fn change(&self, handle: &Slot) -> bool {
        let mut shard = self.shards[handle.shard as usize].0.lock();
        let Connection { document, edits, .. } = shard.connections[handle.slot as usize];
        shard.documents[document as usize].changed |= edits;
        edits
    }

    fn info(&self, key: &Name) -> usize {
        let (hash, index) = self.locate(key);
        let mut guard = self.shards[index].0.lock();
        let shard = &mut *guard;
        let document = shard.find(hash, key).unwrap();
        let connections = &shard.connections;
        let all = shard.documents[document as usize].connections.iter();
        let editors: Vec<Name> =
            all.map(|at| &connections[*at as usize]).filter(|one| one.edits).map(|one| one.user).collect();
        let first = shard.enter(document);
        drop(guard);
        self.announce(index, first);
        std::hint::black_box(editors).len()
    }

    fn drop_user(&self, key: &Name, user: &Name) -> usize {
        let (hash, index) = self.locate(key);
        let mut guard = self.shards[index].0.lock();
        let shard = &mut *guard;
        let document = shard.find(hash, key).unwrap();
        let mut dropped = 0;
        for at in &shard.documents[document as usize].connections {
            let connection = &mut shard.connections[*at as usize];
            if connection.edits && connection.user == *user {
                connection.edits = false;
                dropped += 1;
            }
        }
        let first = shard.enter(document);
        drop(guard);
        (0..dropped).for_each(|_| self.free_seat());
        self.announce(index, first);
        dropped
    }

    fn drain(&self) -> usize {
        let mut ready = self.ready.0.swap(0, Ordering::AcqRel);
        let mut told = 0;
        while ready != 0 {
            let mut guard = self.shards[ready.trailing_zeros() as usize].0.lock();
            ready &= ready - 1;
            let shard = &mut *guard;
            told += shard.ready.len();
            for at in shard.ready.drain(..) {
                let document = &mut shard.documents[at as usize];
                document.is_ready = false;
                if document.connections.is_empty() {
                    let hash = self.hasher.hash_one(document.key);
                    shard.table.find_entry(hash, |other| *other == at).unwrap().remove();
                    shard.free_documents.push(at);
                }
            }
        }
        told
    }
}
