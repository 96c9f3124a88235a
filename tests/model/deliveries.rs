//! What workers take and how they settle it.

use coedit::{Answered, Callback, DocumentKey, TryRecvError};

use super::Model;
use super::document::{Lane, Outcome};

/// Deliveries.
impl Model {
    /// Takes the next callback, as a worker does. Also returns its number and counts the attempt.
    pub fn take(&mut self, saves_only: bool) -> Result<(Callback, u64, usize), TryRecvError> {
        if self.ended.is_some() {
            return Err(TryRecvError::Disconnected);
        }
        let (settings, now) = (self.settings.clone(), self.now);
        let lanes = if saves_only { Lane::Saves as usize + 1 } else { self.ready.len() };
        while let Some(lane) = (0..lanes).find(|lane| !self.ready[*lane].is_empty()) {
            let key = self.ready[lane].remove(0);
            let number = self.handed_out + 1;
            let taken =
                self.document(&key).and_then(|document| document.take(saves_only, number, &settings, now));
            if let Some(taken) = &taken {
                self.handed_out = number;
                self.given.push((number, taken.given()));
            }
            self.follow_up(&key);
            if let Some(taken) = taken {
                return Ok((taken.callback, number, taken.attempt));
            }
            if self.ended.is_some() {
                return Err(TryRecvError::Disconnected);
            }
        }
        Err(TryRecvError::Empty)
    }

    fn key_of(&self, number: u64) -> DocumentKey {
        self.given.iter().find(|(other, _)| *other == number).expect("it was handed out").1.key.clone()
    }

    /// Settles a delivery.
    pub fn settle(&mut self, number: u64, outcome: Outcome, url: Option<&str>) -> Answered {
        let place = self.given.iter().position(|(other, _)| *other == number).expect("it was handed out");
        let (_, given) = self.given.remove(place);
        if self.ended.is_some() {
            return Answered::Late;
        }
        let (settings, now) = (self.settings.clone(), self.now);
        let mut notices = Vec::new();
        let Some(document) = self.document(&given.key) else { return Answered::Late };
        let was_unsaved = document.is_unsaved();
        let answered = if document.settle(number, outcome, url, (&settings, now), &mut notices) {
            Answered::InTime
        } else if outcome != Outcome::Failed
            && document.acknowledge_late(&given, &settings, now, &mut notices)
        {
            Answered::LateSave
        } else {
            Answered::Late
        };
        let saved = was_unsaved && !document.is_unsaved();
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.saved += usize::from(saved);
        }
        self.notices.extend(notices);
        self.follow_up(&given.key);
        answered
    }

    /// Returns when a delivery has failed, `u64::MAX` if it has any time. `None` if it counts no longer.
    pub fn deadline_of(&mut self, number: u64) -> Option<u64> {
        let (key, patience) = (self.key_of(number), self.patience());
        let counts = self.ended.is_none();
        self.document(&key).filter(|_| counts)?.deadline_of(number, patience)
    }

    /// Gives a delivery so much time from now on.
    pub fn extend(&mut self, number: u64, millis: u64) -> bool {
        let (key, until) = (self.key_of(number), self.now + millis);
        let counts = self.ended.is_none();
        self.document(&key).is_some_and(|document| counts && document.extend(number, until))
    }
}
