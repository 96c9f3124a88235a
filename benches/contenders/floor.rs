//! The floor: a lower bound for the cost of an open.
//!
//! An open takes one hash of the key, one lock, one table lookup, one new participant, one compare-and-swap for the seat
//! and one entry in the list of ready documents.
//!
//! It leaves out what a product needs. It does not detect stale handles, does not recognise two tabs of one user, does
//! not build callbacks, saves nothing and does not keep the order of joining. All names have the same length.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::Contender;

type Name = [u8; 16];

pub(crate) struct Floor {
    shards: Box<[Padded<Mutex<Shard>>]>,
    hasher: RandomState,
    limit: u32,
    seats: Padded<AtomicU32>,
    /// Bit `n` is set while the ready list of shard `n` is not empty.
    ready: Padded<AtomicU64>,
}

/// A value on cache lines of its own, which avoids false sharing.
#[repr(align(128))]
struct Padded<T>(T);

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
    /// Its index in the document's list of connections.
    index: u32,
    edits: bool,
}

/// A shard, and the connection's slot in it.
pub(crate) struct Slot {
    shard: u32,
    slot: u32,
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap()
}

/// Puts `value` into a free slot, or at the end. Returns its slot.
fn insert<T>(slab: &mut Vec<T>, free: &mut Vec<u32>, value: T) -> u32 {
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

    /// Puts the document on the ready list. Returns true if the list was empty before.
    fn mark_ready(&mut self, document: u32) -> bool {
        let added = !std::mem::replace(&mut self.documents[document as usize].is_ready, true);
        if added {
            self.ready.push(document);
        }
        added && self.ready.len() == 1
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
        // As many shards as the engine has, but at most one for each bit of `ready`.
        let shards = (cores * 8).next_power_of_two().clamp(16, 64);
        Floor {
            shards: (0..shards).map(|_| Padded(Mutex::default())).collect(),
            hasher: RandomState::default(),
            limit,
            seats: Padded(AtomicU32::new(0)),
            ready: Padded(AtomicU64::new(0)),
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
            let at = insert(&mut shard.documents, &mut shard.free_documents, new);
            let Shard { table, documents, .. } = shard;
            table.insert_unique(hash, at, |at| self.hasher.hash_one(documents[*at as usize].key));
            at
        });
        let position = number(shard.documents[document as usize].connections.len());
        let connection = Connection { user: *user, document, index: position, edits };
        let slot = insert(&mut shard.connections, &mut shard.free_connections, connection);
        shard.documents[document as usize].connections.push(slot);
        let first = edits && shard.mark_ready(document);
        drop(guard);
        self.announce(index, first);
        (Slot { shard: number(index), slot }, edits)
    }

    fn close(&self, handle: Slot) {
        let index = handle.shard as usize;
        let mut guard = self.shards[index].0.lock();
        let shard = &mut *guard;
        let Connection { document, index: position, edits, .. } = shard.connections[handle.slot as usize];
        shard.free_connections.push(handle.slot);
        let all = &mut shard.documents[document as usize].connections;
        all.swap_remove(position as usize);
        if let Some(moved) = all.get(position as usize) {
            shard.connections[*moved as usize].index = position;
        }
        // `drain` removes an empty document.
        let first = shard.mark_ready(document);
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
        let editors: Vec<Name> = all
            .map(|at| &connections[*at as usize])
            .filter(|connection| connection.edits)
            .map(|connection| connection.user)
            .collect();
        let first = shard.mark_ready(document);
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
        let first = shard.mark_ready(document);
        drop(guard);
        (0..dropped).for_each(|_| self.free_seat());
        self.announce(index, first);
        dropped
    }

    fn drain(&self) -> usize {
        let mut ready = self.ready.0.swap(0, Ordering::AcqRel);
        let mut taken = 0;
        while ready != 0 {
            let mut guard = self.shards[ready.trailing_zeros() as usize].0.lock();
            ready &= ready - 1;
            let shard = &mut *guard;
            taken += shard.ready.len();
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
        taken
    }
}
