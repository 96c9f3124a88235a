//! What the storage's side must see, whoever takes the callbacks: every document's story holds together.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

use std::collections::HashMap;

use coedit::{ActionKind, Callback, DocumentKey, Status, Timestamp, UserId};

/// The stories of all documents, as callbacks tell them.
#[derive(Debug)]
pub struct Stories {
    documents: HashMap<DocumentKey, Story>,
    /// How often a failed callback comes again.
    retries: usize,
}

#[derive(Debug, Default)]
struct Story {
    /// One entry an edit connection. A user who goes with one of several loses the last, and keeps the place.
    editing: Vec<UserId>,
    /// The callback that failed last and comes again, and how often it has failed.
    failed: Option<(Callback, usize)>,
    /// The time of the last change that an acknowledged save holds.
    saved: Timestamp,
}

impl Stories {
    pub fn new(retries: usize) -> Self {
        Stories { documents: HashMap::new(), retries }
    }

    /// A worker was handed `callback` and settled it. Call it in the order of settling; of one document that is the order
    /// of handing out.
    pub fn settled(&mut self, callback: &Callback, done: bool) {
        let story = self.documents.entry(callback.key.clone()).or_default();
        let failures = match story.failed.take() {
            Some((failed, failures)) if failed == *callback => failures,
            _ => {
                story.hear(callback);
                0
            }
        };
        // After its last retry it is given up, and one that looks the same is another.
        story.failed = (!done && failures < self.retries).then(|| (callback.clone(), failures + 1));
        if done && matches!(callback.status, Status::Save | Status::ForceSave) {
            story.saved = story.saved.max(callback.lastsave.expect("a save says what it holds"));
        }
        // The save that failed has told nothing: its leave is told again.
        if done && callback.status == Status::Save {
            story.leave(callback);
        }
    }

    pub fn editing(&self, key: &DocumentKey) -> Vec<UserId> {
        self.documents.get(key).map(|story| distinct(&story.editing)).unwrap_or_default()
    }

    pub fn saved(&self, key: &DocumentKey) -> Timestamp {
        self.documents.get(key).map(|story| story.saved).unwrap_or_default()
    }

    /// Everybody who came has gone again.
    pub fn assert_balanced(&self) {
        for (key, story) in &self.documents {
            assert!(story.editing.is_empty(), "{key}: {:?} never went", story.editing);
        }
    }
}

impl Story {
    fn hear(&mut self, callback: &Callback) {
        match (callback.status, &callback.action) {
            (Status::Editing, Some(action)) => {
                match action.kind {
                    ActionKind::Came => self.editing.push(action.user.clone()),
                    ActionKind::Left => self.leave(callback),
                    ActionKind::AskedForSave => panic!("no such action in a status 1: {callback:?}"),
                }
                self.agree(callback);
            }
            (Status::Editing, None) => {
                // While the last leave is withheld nobody edits, and the storage does not know yet who went.
                if callback.users.as_ref().is_none_or(|users| !users.is_empty()) {
                    self.agree(callback);
                }
            }
            (Status::Closed, Some(_)) => {
                self.leave(callback);
                assert!(self.editing.is_empty(), "closed while somebody edits: {callback:?}");
            }
            (Status::Closed, None) => assert!(callback.users.is_none(), "{callback:?}"),
            (Status::Save, Some(_)) => {
                assert_eq!(self.editing.len(), 1, "the last leave is withheld: {callback:?}");
            }
            (Status::SaveFailed, Some(_)) => self.leave(callback),
            (Status::ForceSave | Status::ForceSaveFailed, _) => {}
            (Status::Save | Status::SaveFailed, None) => panic!("nobody left: {callback:?}"),
        }
    }

    /// Those who edit are whom the callback lists. Where a going and a coming cancelled out, the callback has the true
    /// order and the story an older one.
    fn agree(&mut self, callback: &Callback) {
        let users = callback.users.as_ref().expect("status 1 lists users");
        self.editing.sort_by_key(|user| users.iter().position(|one| one == user));
        assert_eq!(*users, distinct(&self.editing), "{callback:?}");
    }

    fn leave(&mut self, callback: &Callback) {
        let user = &callback.action.as_ref().expect("somebody left").user;
        let position = self.editing.iter().rposition(|one| one == user);
        self.editing
            .remove(position.unwrap_or_else(|| panic!("{user} left without having come: {callback:?}")));
    }
}

fn distinct(list: &[UserId]) -> Vec<UserId> {
    let mut seen = Vec::new();
    for user in list {
        if !seen.contains(user) {
            seen.push(user.clone());
        }
    }
    seen
}
