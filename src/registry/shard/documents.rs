//! A shard's documents, under small stable numbers.

use super::slab::{Chunk, Slab, Vacant};
use crate::session::Session;

/// The documents of one shard, each in a place.
#[derive(Debug)]
pub(super) struct Documents {
    places: Slab<Option<Session>>,
    queued: Queued,
}

/// Places that nobody needs any more.
pub(super) type PlaceChunk = Chunk<Option<Session>>;

impl Vacant for Option<Session> {
    fn vacant(_: u32) -> Self {
        None
    }

    fn memo(&self) -> u32 {
        0
    }
}

/// Which places stand in the ready queue, a bit each. It outlives the documents: whoever moves into a place inherits its
/// entry, so that the queue never holds more entries than there are places.
#[derive(Debug, Default)]
struct Queued(Vec<u64>);

impl Documents {
    pub(super) fn new() -> Self {
        Documents { places: Slab::new(), queued: Queued(Vec::new()) }
    }

    pub(super) fn has_room(&self) -> bool {
        self.places.next() < u32::MAX - 1
    }

    #[inline]
    pub(super) fn get(&self, place: u32) -> Option<&Session> {
        self.places.get(place)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: u32) -> Option<&mut Session> {
        self.places.get_mut(place)?.as_mut()
    }

    /// Gives the session a place. Only while there is room.
    pub(super) fn insert(&mut self, session: Session) -> u32 {
        let place = self.places.next();
        if let Some(vacant) = self.places.take() {
            *vacant = Some(session);
        }
        place
    }

    /// Also returns what is to be freed.
    pub(super) fn remove(&mut self, place: u32) -> (Option<Session>, Option<PlaceChunk>) {
        let session = self.places.get_mut(place).and_then(Option::take);
        let gone = if session.is_some() { self.places.free(place) } else { None };
        (session, gone)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Session)> {
        self.places.iter().filter_map(|(place, session)| Some((place, session.as_ref()?)))
    }

    /// Places up to here may be taken.
    pub(super) fn end(&self) -> u32 {
        self.places.end()
    }

    pub(super) fn is_queued(&self, place: u32) -> bool {
        let (word, bit) = Queued::at(place);
        self.queued.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Whether the place stood in the queue before.
    #[inline(always)]
    pub(super) fn set_queued(&mut self, place: u32, queued: bool) -> bool {
        let (at, bit) = Queued::at(place);
        if at >= self.queued.0.len() {
            self.queued.grow(at);
        }
        let word = &mut self.queued.0[at];
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
        assert_eq!(documents.remove(places[1]).0.unwrap().key(), &"b");
        assert!(documents.remove(places[1]).0.is_none() && documents.get(places[1]).is_none());
        assert!(documents.is_queued(places[1]));
        assert_eq!(documents.insert(session("d")), places[1]);
        assert!(documents.set_queued(places[1], false) && !documents.is_queued(places[1]));
        assert_eq!(documents.iter().map(|(_, session)| session.key().as_str()).collect::<String>(), "adc");
    }

    #[test]
    fn a_document_without_business_takes_two_cache_lines() {
        assert!(size_of::<Option<Session>>() <= 128, "{}", size_of::<Option<Session>>());
    }
}
