//! What the storage was told of one document.

use coedit::{ActionKind, Answered, Callback, Status};

use super::book::{Document, USERS};

#[derive(Clone, Debug, Default)]
pub struct Told {
    /// How many joins and leaves of each user the storage acknowledged.
    joined: [u32; USERS],
    left: [u32; USERS],
    /// The connections of each user that edit, as the storage knows.
    editing: [u32; USERS],
    /// Something was given up, or a save was acknowledged late, so that the storage does not know all. Until the next closing.
    has_gap: bool,
    /// A callback failed and was not handed out again.
    pub retries: bool,
}

pub fn user_number(id: &str) -> usize {
    id.strip_prefix("user-").and_then(|number| number.parse().ok()).expect("a user of the test")
}

/// Who joined or left.
fn action(callback: &Callback) -> Option<(ActionKind, usize)> {
    let action = callback.action.as_ref()?;
    Some((action.kind, user_number(action.user.as_str())))
}

/// The callback ends every join that was told before.
fn closes(callback: &Callback) -> bool {
    match callback.status {
        Status::Save | Status::SaveFailed => true,
        Status::Closed => callback.action.is_some(),
        Status::Editing => callback.action.is_some() && callback.users.as_ref().is_some_and(Vec::is_empty),
        _ => false,
    }
}

impl Document {
    /// Nothing is told that did not happen, and nothing is told again once the storage acknowledged it.
    pub fn taken(&mut self, callback: &Callback) {
        self.told.retries = false;
        if callback.notmodified == Some(true) {
            assert!(
                callback.lastsave <= Some(self.held),
                "P5: no force save holds all: {callback:?} {self:?}"
            );
        }
        match action(callback) {
            Some((ActionKind::Joined, user)) => {
                assert!(
                    self.told.joined[user] < self.joins[user],
                    "a join was told twice: {callback:?} {self:?}"
                );
            }
            Some((ActionKind::Left, user)) => {
                assert!(self.told.left[user] < self.leaves[user], "P11: nobody left: {callback:?} {self:?}");
            }
            _ => {}
        }
    }

    pub fn answered(&mut self, callback: &Callback, answered: Answered, is_edited: bool) {
        match answered {
            Answered::InTime => self.acknowledged(callback),
            Answered::LateSave if callback.status == Status::Save => {
                if !is_edited {
                    self.told.editing = [0; USERS];
                }
                self.told.has_gap = true;
            }
            _ => {}
        }
    }

    fn acknowledged(&mut self, callback: &Callback) {
        let told = &mut self.told;
        match action(callback) {
            Some((ActionKind::Joined, user)) => {
                told.joined[user] += 1;
                told.editing[user] += 1;
            }
            Some((ActionKind::Left, user)) => {
                told.left[user] += 1;
                let is_known = told.editing[user] > 0 || told.has_gap || closes(callback);
                assert!(is_known, "nobody joined: {callback:?}");
                told.editing[user] = told.editing[user].saturating_sub(1);
            }
            _ => {}
        }
        if closes(callback) {
            (told.editing, told.has_gap) = ([0; USERS], false);
        }
        if callback.status == Status::Editing && callback.action.is_some() && !told.has_gap {
            let users = callback.users.as_ref().expect("a callback of status 1 lists users");
            let mut listed: Vec<usize> = users.iter().map(|user| user_number(user.as_str())).collect();
            listed.sort_unstable();
            let counted: Vec<usize> = (0..USERS).filter(|user| told.editing[*user] > 0).collect();
            assert_eq!(listed, counted, "P4: {callback:?}");
        }
    }

    /// A callback of this status was given up.
    pub fn given_up(&mut self, status: Status) {
        if matches!(status, Status::Editing | Status::Closed | Status::Save | Status::SaveFailed) {
            self.told.has_gap = true;
        }
    }

    /// Everything was told: the storage knows exactly who edits. The last editor's leave comes with the save.
    pub fn assert_told(&self, edits: [u32; USERS], is_unsaved: bool) {
        let Told { editing, has_gap, retries, .. } = &self.told;
        if *has_gap || *retries {
            return;
        }
        if edits.iter().sum::<u32>() > 0 {
            assert_eq!(*editing, edits, "P4: the storage counts others: {self:?}");
        } else {
            let most = u32::from(is_unsaved);
            assert!(editing.iter().sum::<u32>() <= most, "P4: the storage counts somebody: {self:?}");
        }
    }
}
