//! The changes that clients made, by their own clock: what a snapshot has to have, whatever it says itself.

use std::collections::HashMap;
use std::time::SystemTime;

use super::head;

/// A change. The host accepted it after it was sent and before that was heard.
#[derive(Clone, Debug)]
struct Change {
    key: String,
    sent: SystemTime,
    heard: Option<SystemTime>,
}

/// Changes by the beginning of their text.
#[derive(Clone, Debug, Default)]
pub struct History(HashMap<String, Change>);

impl History {
    pub fn sends(&mut self, key: &str, text: &str) {
        let change = Change { key: key.to_owned(), sent: SystemTime::now(), heard: None };
        self.0.insert(head(text).to_owned(), change);
    }

    pub fn hears(&mut self, text: &str) {
        if let Some(change) = self.0.get_mut(head(text)) {
            change.heard = Some(SystemTime::now());
        }
    }

    /// Returns the change of a document that was made before a moment, and after that which a text is.
    pub fn undone(&self, key: &str, text: &str, time: SystemTime) -> Option<String> {
        let made_before =
            |change: &Change| change.key == key && change.heard.is_some_and(|heard| heard < time);
        let before = self.0.iter().filter(|(_, change)| made_before(change));
        let (last, change) = before.max_by_key(|(_, change)| change.sent)?;
        let is_undone = match self.0.get(head(text)) {
            Some(of_text) => of_text.heard.is_some_and(|heard| heard < change.sent),
            None => text.is_empty(),
        };
        is_undone.then(|| last.clone())
    }

    /// The host crashed. What was not heard before its last snapshot may be gone.
    pub fn goes_back_to(&mut self, time: SystemTime) {
        self.0.retain(|_, change| change.heard.is_some_and(|heard| heard < time));
    }
}
