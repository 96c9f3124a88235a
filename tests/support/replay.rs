//! Replays the callbacks of every document and checks that they are consistent, whichever worker takes them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses only a part")]

use std::collections::HashMap;

use coedit::{ActionKind, Callback, DocumentKey, Status, Timestamp, UserId};

/// The state of all documents, as their callbacks describe it.
#[derive(Debug)]
pub struct Replay {
    documents: HashMap<DocumentKey, DocumentReplay>,
    /// The number of times that a failed callback is handed out again.
    retries: usize,
}

#[derive(Debug, Default)]
struct DocumentReplay {
    /// One entry for each edit connection. A user who closes one of several connections loses the last entry and keeps
    /// the place of the first.
    editing: Vec<UserId>,
    /// The callback that failed last and is to be retried, and the number of its failures.
    failed: Option<(Callback, usize)>,
    /// The time of the last change in an acknowledged save.
    saved: Timestamp,
}

impl Replay {
    pub fn new(retries: usize) -> Self {
        Replay { documents: HashMap::new(), retries }
    }

    /// Records that a worker took `callback` and settled it. Call this in the order in which callbacks are settled. For
    /// one document this is the order in which they are handed out.
    pub fn settled(&mut self, callback: &Callback, acknowledged: bool) {
        let document = self.documents.entry(callback.key.clone()).or_default();
        let failures = match document.failed.take() {
            Some((failed, failures)) if failed == *callback => failures,
            _ => {
                document.apply(callback);
                0
            }
        };
        // The engine gives a callback up after its last retry. An equal callback after that is a new one.
        document.failed =
            (!acknowledged && failures < self.retries).then(|| (callback.clone(), failures + 1));
        if acknowledged && matches!(callback.status, Status::Save | Status::ForceSave) {
            document.saved =
                document.saved.max(callback.lastsave.expect("a save has the time of its last change"));
        }
        // A failed save reports no leave. The next callback reports it again.
        if acknowledged && callback.status == Status::Save {
            document.leave(callback);
        }
    }

    pub fn editing(&self, key: &DocumentKey) -> Vec<UserId> {
        self.documents.get(key).map(|document| distinct(&document.editing)).unwrap_or_default()
    }

    pub fn saved(&self, key: &DocumentKey) -> Timestamp {
        self.documents.get(key).map(|document| document.saved).unwrap_or_default()
    }

    /// Checks that every join has a leave.
    pub fn assert_balanced(&self) {
        for (key, document) in &self.documents {
            assert!(document.editing.is_empty(), "{key}: {:?} never left", document.editing);
        }
    }
}

impl DocumentReplay {
    fn apply(&mut self, callback: &Callback) {
        match (callback.status, &callback.action) {
            (Status::Editing, Some(action)) => {
                match action.kind {
                    ActionKind::Joined => self.editing.push(action.user.clone()),
                    ActionKind::Left => self.leave(callback),
                    ActionKind::ForceSaveRequested => {
                        panic!("a callback of status 1 has no such action: {callback:?}")
                    }
                }
                self.check_users(callback);
            }
            (Status::Editing, None) => {
                // While the last leave is withheld, nobody edits and the storage does not know yet who left.
                if callback.users.as_ref().is_none_or(|users| !users.is_empty()) {
                    self.check_users(callback);
                }
            }
            (Status::Closed, Some(_)) => {
                self.leave(callback);
                assert!(self.editing.is_empty(), "the document closed while somebody edits it: {callback:?}");
            }
            (Status::Closed, None) => assert!(callback.users.is_none(), "{callback:?}"),
            (Status::Save, Some(_)) => {
                assert_eq!(self.editing.len(), 1, "only the last editor is left at a save: {callback:?}");
            }
            (Status::SaveFailed, Some(_)) => self.leave(callback),
            (Status::ForceSave | Status::ForceSaveFailed, _) => {}
            (Status::Save | Status::SaveFailed, None) => panic!("a callback without a leave: {callback:?}"),
        }
    }

    /// Checks that the callback lists exactly the editors. If a leave and a join cancelled each other out, the callback
    /// has the right order and the replay takes it over.
    fn check_users(&mut self, callback: &Callback) {
        let users = callback.users.as_ref().expect("a callback of status 1 lists users");
        self.editing.sort_by_key(|user| users.iter().position(|one| one == user));
        assert_eq!(*users, distinct(&self.editing), "{callback:?}");
    }

    fn leave(&mut self, callback: &Callback) {
        let user = &callback.action.as_ref().expect("the callback names who left").user;
        let position = self.editing.iter().rposition(|one| one == user);
        self.editing.remove(position.unwrap_or_else(|| panic!("{user} left without a join: {callback:?}")));
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
