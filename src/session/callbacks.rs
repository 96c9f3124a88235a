//! Callbacks, formed from plain values when a worker takes them.

use std::sync::Arc;

use super::changes::{Changes, Reach};
use super::context::Rules;
use super::outbox::ForceSaveRequest;
use super::outstanding::{Kind, Outstanding};
use crate::callback::{Action, ActionKind, Callback, History, Status};
use crate::ids::{DocumentKey, UserId};

/// Callbacks that were acknowledged, and their lists of users, to be used again. So nothing is allocated under a lock in
/// the steady state, and nothing is freed by another thread than it was allocated by.
///
/// Without it, taking and acknowledging callbacks costs a fifth more.
#[derive(Debug, Default)]
pub(crate) struct Blanks {
    #[expect(clippy::vec_box, reason = "the boxes are what is used again")]
    callbacks: Vec<Box<Callback>>,
    #[expect(clippy::vec_box, reason = "the boxes are what is used again")]
    outstanding: Vec<Box<Outstanding>>,
    lists: Vec<Vec<UserId>>,
}

/// So many of each are kept.
const BLANKS_MAX: usize = 16;
/// A list with room for more users is not kept.
const LIST_MAX: usize = 1024;

impl Blanks {
    fn callback(&mut self, key: &DocumentKey, status: Status) -> Box<Callback> {
        match self.callbacks.pop() {
            Some(mut callback) => {
                callback.key.clone_from(key);
                callback.status = status;
                callback
            }
            None => Box::new(Callback::new(key.clone(), status)),
        }
    }

    /// A callback that a worker takes now. `copy` is given if it cannot be formed anew.
    #[expect(clippy::unnecessary_box_returns, reason = "the boxes are what is used again")]
    pub(super) fn outstanding(&mut self, kind: Kind, copy: Option<Box<Callback>>) -> Box<Outstanding> {
        let new = Outstanding::new(kind, copy);
        match self.outstanding.pop() {
            Some(mut outstanding) => {
                *outstanding = new;
                outstanding
            }
            None => Box::new(new),
        }
    }

    /// Takes back what is settled. Returns its copy, to be freed with no lock held.
    pub(crate) fn give_back_outstanding(
        &mut self,
        mut outstanding: Box<Outstanding>,
    ) -> Option<Box<Callback>> {
        let copy = outstanding.copy.take();
        if self.outstanding.len() < BLANKS_MAX {
            self.outstanding.push(outstanding);
        }
        copy
    }

    /// An empty list.
    pub(super) fn list(&mut self) -> Vec<UserId> {
        self.lists.pop().unwrap_or_default()
    }

    /// Takes back a callback that [`clear`] has emptied.
    pub(crate) fn give_back(&mut self, mut callback: Box<Callback>) {
        if let Some(list) = callback.users.take()
            && self.lists.len() < BLANKS_MAX
        {
            self.lists.push(list);
        }
        if self.callbacks.len() < BLANKS_MAX {
            self.callbacks.push(callback);
        }
    }
}

/// Empties a callback, but for its key and the room of its list. Called with no lock held, since what it frees can be
/// large.
pub(crate) fn clear(callback: &mut Callback) {
    let Callback { users, action, userdata, forcesavetype, lastsave, notmodified, history, .. } = callback;
    users.take_if(|users| users.capacity() > LIST_MAX);
    if let Some(users) = users {
        users.clear();
    }
    (*action, *userdata, *forcesavetype) = (None, None, None);
    (*lastsave, *notmodified, *history) = (None, None, None);
    (callback.url, callback.filetype) = (None, None);
    (callback.changesurl, callback.formsdataurl) = (None, None);
}

/// Somebody joined or left. `users` edit right after that.
pub(super) fn action(
    blanks: &mut Blanks,
    key: &DocumentKey,
    (kind, user): (ActionKind, UserId),
    users: Option<Vec<UserId>>,
) -> Box<Callback> {
    let mut callback = editing_or_closed(blanks, key, users);
    callback.action = Some(Action { kind, user });
    callback
}

/// Answers an `info`. `users` edit, if somebody edits or something is unsaved.
pub(super) fn info(
    blanks: &mut Blanks,
    key: &DocumentKey,
    users: Option<Vec<UserId>>,
    userdata: Option<Arc<str>>,
) -> Box<Callback> {
    let mut callback = editing_or_closed(blanks, key, users);
    callback.userdata = userdata;
    callback
}

/// Without `users` the document is closed.
fn editing_or_closed(blanks: &mut Blanks, key: &DocumentKey, users: Option<Vec<UserId>>) -> Box<Callback> {
    let status = if users.is_some() { Status::Editing } else { Status::Closed };
    let mut callback = blanks.callback(key, status);
    callback.users = users;
    callback
}

/// A force save that holds `reach`.
pub(super) fn force_save(
    blanks: &mut Blanks,
    (rules, key): (&Rules, &DocumentKey),
    request: ForceSaveRequest,
    reach: Reach,
) -> Box<Callback> {
    let mut callback = blanks.callback(key, Status::ForceSave);
    let ForceSaveRequest { kind, userdata, requested_by, .. } = request;
    describe_save(&mut callback, (blanks, rules), reach);
    callback.action = requested_by.map(|user| Action { kind: ActionKind::ForceSaveRequested, user });
    callback.userdata = userdata;
    callback.forcesavetype = Some(kind);
    callback
}

/// The save after the last leave, that of `leaver`. `None` for a forgotten document that is tried again.
pub(super) fn save(
    blanks: &mut Blanks,
    (rules, key): (&Rules, &DocumentKey),
    leaver: Option<UserId>,
    changes: &Changes,
) -> Box<Callback> {
    let mut callback = blanks.callback(key, Status::Save);
    describe_save(&mut callback, (blanks, rules), changes.reach());
    callback.action = leaver.map(|user| Action { kind: ActionKind::Left, user });
    callback.notmodified = Some(changes.are_force_saved());
    callback
}

fn describe_save(callback: &mut Callback, (blanks, rules): (&mut Blanks, &Rules), reach: Reach) {
    let mut users = blanks.list();
    users.push(reach.last_author);
    callback.users = Some(users);
    callback.lastsave = Some(reach.last_at);
    callback.history = Some(History { changes: reach.turns, server_version: rules.version.clone() });
}
