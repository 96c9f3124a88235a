//! A shard's connections, under generational ids.

use super::slab::{Chunk, Slab, Vacant};
use crate::ids::ConnectionId;
use crate::session::{NONE, StayId};

/// The connections of one shard. Those of one stay are linked, so that a drop finds them.
#[derive(Debug)]
pub(crate) struct Connections {
    places: Slab<Place>,
    len: u32,
    /// How many places there can be.
    most: u32,
}

/// Slots that nobody needs any more.
pub(super) type SlotChunk = Chunk<Place>;

#[derive(Debug)]
pub(super) struct Place {
    /// Counts the uses of the place, from 1. A place whose count is used up is not used again.
    generation: u32,
    connection: Connection,
}

/// One open connection; what it may do is its stay's to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    /// Its document's place in the shard; [`NONE`] in a free place.
    pub(crate) document: u32,
    pub(crate) stay: StayId,
    /// Neighbours among the connections of its stay.
    pub(crate) previous: u32,
    pub(crate) next: u32,
}

/// How a shard's connections are named in all of the engine: the lowest binary digits of a place are the shard's number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbering {
    pub(crate) shard: u32,
    /// Digits of the shards' numbers.
    pub(crate) bits: u32,
}

impl Numbering {
    pub(crate) fn id(self, slot: u32, generation: u32) -> ConnectionId {
        ConnectionId::new(slot << self.bits | self.shard, generation)
    }

    /// The number of the shard that named a connection, of so many, a power of two.
    pub(crate) fn shard_of(id: ConnectionId, shards: usize) -> usize {
        id.place() as usize & (shards - 1)
    }

    pub(crate) fn slot(self, id: ConnectionId) -> u32 {
        id.place() >> self.bits
    }
}

impl Vacant for Place {
    /// Whoever had a connection here while the chunk was there last is not taken for who has one now.
    fn vacant(memo: u32) -> Self {
        let connection = Connection { document: NONE, stay: NONE, previous: NONE, next: NONE };
        Place { generation: memo.max(1), connection }
    }

    fn memo(&self) -> u32 {
        self.generation
    }
}

impl Place {
    fn is_free(&self) -> bool {
        self.connection.document == NONE
    }
}

impl Connections {
    pub(crate) fn new(most: u32) -> Self {
        Connections { places: Slab::new(), len: 0, most }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn has_room(&self) -> bool {
        self.places.next() < self.most
    }

    /// Where the next connection will stand.
    #[inline]
    pub(crate) fn next_slot(&self) -> u32 {
        self.places.next()
    }

    /// Adds a connection in the [next slot](Self::next_slot), which with the generation that this returns names it. Only
    /// while there is room.
    #[inline]
    pub(crate) fn insert(&mut self, connection: Connection) -> u32 {
        let Some(place) = self.places.take() else { return 0 };
        self.len += 1;
        place.connection = connection;
        place.generation
    }

    /// Tells the connection in slot `next`, if there is one, that the one before it in its list is now in `slot`.
    #[inline]
    pub(crate) fn link(&mut self, slot: u32, next: u32) {
        if next != NONE
            && let Some((next, _)) = self.at(next)
        {
            next.previous = slot;
        }
    }

    /// The connection in `slot` if it is still the one of this generation.
    #[inline]
    pub(crate) fn get(&self, slot: u32, generation: u32) -> Option<&Connection> {
        let place = self.places.get(slot)?;
        (place.generation == generation && !place.is_free()).then_some(&place.connection)
    }

    /// The open connection in `slot`.
    pub(crate) fn look(&self, slot: u32) -> Option<&Connection> {
        self.places.get(slot).filter(|place| !place.is_free()).map(|place| &place.connection)
    }

    /// The open connection in `slot`, and its generation.
    #[inline]
    pub(crate) fn at(&mut self, slot: u32) -> Option<(&mut Connection, u32)> {
        let place = self.places.get_mut(slot)?;
        (!place.is_free()).then_some((&mut place.connection, place.generation))
    }

    /// The slots of a list, from the connection in `latest` on.
    #[inline]
    pub(crate) fn linked(&self, latest: u32) -> impl Iterator<Item = u32> {
        let open = |slot| self.look(slot).map(|_| slot);
        std::iter::successors(open(latest), move |slot| open(self.look(*slot)?.next))
    }

    /// Returns what is to be freed.
    #[inline(always)]
    pub(crate) fn remove(&mut self, slot: u32) -> Option<SlotChunk> {
        let place = self.places.get_mut(slot)?;
        self.len -= 1;
        place.connection.document = NONE;
        place.generation = place.generation.checked_add(1)?;
        self.places.free(slot)
    }

    /// All slots that are in use.
    pub(crate) fn open(&self) -> impl Iterator<Item = (u32, &Connection)> {
        self.places
            .iter()
            .filter(|(_, place)| !place.is_free())
            .map(|(slot, place)| (slot, &place.connection))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(connections: &mut Connections, document: u32) -> (u32, u32) {
        let slot = connections.next_slot();
        let connection = Connection { document, stay: 0, previous: NONE, next: NONE };
        (slot, connections.insert(connection))
    }

    #[test]
    fn a_stale_id_is_never_anothers() {
        let mut connections = Connections::new(2);
        let (slot, generation) = insert(&mut connections, 1);
        connections.remove(slot);
        let (again, next_generation) = insert(&mut connections, 2);
        assert_eq!(slot, again);
        assert!(connections.get(slot, generation).is_none());
        assert_eq!(connections.get(again, next_generation).unwrap().document, 2);
        assert!(connections.has_room());
        insert(&mut connections, 3);
        assert!(!connections.has_room());
    }

    #[test]
    fn a_place_whose_generations_are_used_up_is_retired() {
        let mut connections = Connections::new(1);
        let (slot, _) = insert(&mut connections, 1);
        connections.places.get_mut(slot).unwrap().generation = u32::MAX;
        connections.remove(slot);
        assert_eq!((connections.has_room(), connections.len()), (false, 0));
        assert!(connections.get(slot, u32::MAX).is_none());
    }
}
