//! The callbacks of what happened and of what was asked for, built when their turn comes.

use std::sync::Arc;

use super::outbox::{ForceSaveAsked, InfoAnswer};
use super::roster::{Roster, StayId};
use crate::callback::{Action, ActionKind, Callback, Status};
use crate::ids::{DocumentKey, UserId};

/// Tells that a connection came, and the roster that this is told.
pub(super) fn came(id: StayId, key: &DocumentKey, roster: &mut Roster) -> Box<Callback> {
    let stay = roster.stay_mut(id);
    stay.told += 1;
    let user = stay.user.id().clone();
    let users = Some(roster.told_editors());
    action(ActionKind::Came, user, users, Status::Editing, key)
}

/// Tells that a connection left, and the roster that this is told. With status 4 it was the last.
pub(super) fn left(id: StayId, status: Status, key: &DocumentKey, roster: &mut Roster) -> Box<Callback> {
    let stay = roster.stay_mut(id);
    stay.told -= 1;
    let user = stay.user.id().clone();
    roster.release(id);
    let users = (status == Status::Editing).then(|| roster.told_editors());
    action(ActionKind::Left, user, users, status, key)
}

/// Not inlined: what is made of parts at hand is put together where it is to stand.
#[inline(never)]
fn action(
    kind: ActionKind,
    user: UserId,
    users: Option<Vec<UserId>>,
    status: Status,
    key: &DocumentKey,
) -> Box<Callback> {
    let key = key.clone();
    let place = Box::new_uninit();
    Box::write(place, Callback { action: Some(Action { kind, user }), users, ..Callback::new(key, status) })
}

/// Answers an `info`. `saved`: nothing is unsaved now.
pub(super) fn info(
    answer: InfoAnswer,
    userdata: Option<Arc<str>>,
    key: &DocumentKey,
    roster: &Roster,
    saved: bool,
) -> Box<Callback> {
    let (status, users) = match answer {
        InfoAnswer::Editing => (Status::Editing, Some(roster.told_editors())),
        InfoAnswer::Unsaved if !saved => (Status::Editing, Some(Vec::new())),
        // Asked for while the save was under way, told after it.
        InfoAnswer::Unsaved | InfoAnswer::Closed => (Status::Closed, None),
    };
    Box::new(Callback { users, userdata, ..Callback::new(key.clone(), status) })
}

/// Asks for a force save.
pub(super) fn force_save(asked: ForceSaveAsked, key: &DocumentKey) -> Box<Callback> {
    let ForceSaveAsked { kind, userdata, asked_by, reach } = asked;
    Box::new(Callback {
        users: Some(vec![reach.last_author]),
        action: asked_by.map(|user| Action { kind: ActionKind::AskedForSave, user }),
        userdata,
        forcesavetype: Some(kind),
        lastsave: Some(reach.last_at),
        ..Callback::new(key.clone(), Status::ForceSave)
    })
}
