//! What the storage is to hear of, and the line in which it waits.

use smallvec::SmallVec;

use super::participants::ParticipantId;
use crate::work;

/// Something that the storage is to hear of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A connection with edit access joined.
    Joined(ParticipantId),
    /// A connection with edit access left.
    Left(ParticipantId),
    /// The last connection with edit access left, and nothing was changed.
    Closed(ParticipantId),
    /// An `info` without userdata.
    Info(InfoAnswer),
    /// The next `info` with userdata.
    InfoRequest,
    /// The next force save.
    ForceSave,
}

/// What an `info` found when it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InfoAnswer {
    /// Somebody edits.
    Edited,
    /// Nobody edits, and a save is still to come.
    Unsaved,
    /// Nobody edits, and no save is to come.
    Closed,
}

impl Event {
    fn is_request(self) -> bool {
        matches!(self, Event::Info(_) | Event::InfoRequest | Event::ForceSave)
    }

    /// The participant that it names.
    pub(crate) fn participant(self) -> Option<ParticipantId> {
        match self {
            Event::Joined(id) | Event::Left(id) | Event::Closed(id) => Some(id),
            Event::Info(_) | Event::InfoRequest | Event::ForceSave => None,
        }
    }
}

/// The events that wait, first in, first out. Two wait in place.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The first `taken` of them are taken already.
    events: SmallVec<[Event; 2]>,
    taken: u32,
    /// How many of them are requests.
    requests: u32,
}

/// So many taken events are kept before the rest moves up.
const TAKEN_MAX: usize = 64;

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.events.len() - self.taken as usize
    }

    /// How many requests wait.
    pub(super) fn requests(&self) -> usize {
        self.requests as usize
    }

    /// How many joins and leaves wait.
    pub(super) fn actions(&self) -> usize {
        self.len() - self.requests()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub(super) fn push(&mut self, event: Event) {
        self.requests += u32::from(event.is_request());
        self.events.push(event);
    }

    pub(super) fn pop(&mut self) -> Option<Event> {
        let event = *self.events.get(self.taken as usize)?;
        self.taken += 1;
        self.requests -= u32::from(event.is_request());
        let taken = self.taken as usize;
        if taken == self.events.len() {
            *self = Waiting::default();
        } else if taken >= TAKEN_MAX && taken * 2 >= self.events.len() {
            self.events.drain(..taken);
            self.events.shrink_to_fit();
            self.taken = 0;
        }
        Some(event)
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut Event> {
        self.events.last_mut()
    }

    /// The next event.
    pub(super) fn first(&self) -> Option<&Event> {
        self.events.get(self.taken as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Event> {
        work::news(self, self.len());
        self.events.iter().skip(self.taken as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn events_are_taken_in_order_and_their_memory_is_given_back() {
        let (mut waiting, mut naive, mut random) = (Waiting::default(), VecDeque::new(), 7_u32);
        for id in 0..10_000 {
            random = random * 31 % 1009;
            if random.is_multiple_of(2) || naive.len() == 300 {
                let taken = waiting.pop().map(|event| match event {
                    Event::Joined(id) => id,
                    _ => unreachable!(),
                });
                assert_eq!(taken, naive.pop_front());
            }
            waiting.push(Event::Joined(id));
            naive.push_back(id);
            assert_eq!(waiting.len(), naive.len());
            assert!(waiting.events.capacity() <= 2048, "{}", waiting.events.capacity());
        }
        while waiting.pop().is_some() {}
        assert!(waiting.is_empty() && !waiting.events.spilled());
    }
}
