//! A shard's documents, under small stable numbers.

use super::chunks::Chunks;
use crate::session::{NONE, Session};

/// The documents of one shard, each in a place.
#[derive(Debug)]
pub(super) struct Documents {
    places: Chunks<Place>,
    /// The first of the free places, which are linked.
    free: u32,
    queued: Queued,
}

#[derive(Debug)]
enum Place {
    Free { next: u32 },
    Taken(Session),
}

impl Default for Place {
    fn default() -> Self {
        Place::Free { next: NONE }
    }
}

/// Which places stand in the ready queue, a bit each. It outlives the documents: whoever moves into a place inherits its
/// entry, so that the queue never holds more entries than there are places.
#[derive(Debug, Default)]
struct Queued(Vec<u64>);

impl Documents {
    pub(super) fn new() -> Self {
        Documents { places: Chunks::new(), free: NONE, queued: Queued(Vec::new()) }
    }

    pub(super) fn has_room(&self) -> bool {
        self.free != NONE || self.places.len() < NONE
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<&Session> {
        match self.places.get(place)? {
            Place::Taken(session) => Some(session),
            Place::Free { .. } => None,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Session> {
        match self.places.get_mut(place)? {
            Place::Taken(session) => Some(session),
            Place::Free { .. } => None,
        }
    }

    /// Gives the session a place. Only while there is room.
    pub(super) fn insert(&mut self, session: Session) -> u32 {
        let place = self.free;
        if place != NONE
            && let Some(free) = self.places.get_mut(place)
        {
            if let Place::Free { next } = *free {
                self.free = next;
            }
            *free = Place::Taken(session);
            return place;
        }
        self.places.push(Place::Taken(session));
        self.places.len() - 1
    }

    pub(super) fn remove(&mut self, place: u32) -> Option<Session> {
        let standing = self.places.get_mut(place)?;
        match std::mem::replace(standing, Place::Free { next: self.free }) {
            Place::Taken(session) => {
                self.free = place;
                Some(session)
            }
            free @ Place::Free { .. } => {
                *standing = free;
                None
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Session)> {
        self.places.iter().filter_map(|(place, standing)| match standing {
            Place::Taken(session) => Some((place, session)),
            Place::Free { .. } => None,
        })
    }

    /// Places that there are, taken or free.
    pub(super) fn places(&self) -> u32 {
        self.places.len()
    }

    pub(super) fn is_queued(&self, place: u32) -> bool {
        let (word, bit) = Queued::at(place);
        self.queued.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether the place stood in the queue before.
    #[inline]
    pub(super) fn set_queued(&mut self, place: u32, queued: bool) -> bool {
        let (at, bit) = Queued::at(place);
        let Some(word) = self.queued.0.get_mut(at) else {
            self.queued.grow(at);
            return self.set_queued(place, queued);
        };
        let before = *word & bit != 0;
        *word = if queued { *word | bit } else { *word & !bit };
        before
    }
}

impl Queued {
    #[cold]
    fn grow(&mut self, to: usize) {
        self.0.resize(to + 1, 0);
    }

    fn at(place: u32) -> (usize, u64) {
        ((place / 64) as usize, 1 << (place % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DocumentKey;

    #[test]
    fn a_place_is_used_again_and_its_entry_stays() {
        let session = |key| Session::new(DocumentKey::new(key).unwrap());
        let mut documents = Documents::new();
        let places: Vec<u32> = ["a", "b", "c"].map(|key| documents.insert(session(key))).into();
        assert!(!documents.set_queued(places[1], true));
        assert_eq!(documents.remove(places[1]).unwrap().key(), &"b");
        assert!(documents.remove(places[1]).is_none() && documents.get(places[1]).is_none());
        assert!(documents.is_queued(places[1]));
        assert_eq!((documents.insert(session("d")), documents.places()), (places[1], 3));
        assert!(documents.set_queued(places[1], false) && !documents.is_queued(places[1]));
        assert_eq!(documents.iter().map(|(_, session)| session.key().as_str()).collect::<String>(), "adc");
    }

    #[test]
    fn a_document_without_business_takes_two_cache_lines() {
        assert!(size_of::<Place>() <= 128, "{}", size_of::<Place>());
    }
}
