//! The session: what the engine knows of one document, as a pure state machine.
//!
//! Nothing here takes a lock, reads a clock, sends, or knows another document. A method takes `&mut self` and a
//! [`Context`] with the present time. What follows for others comes back as [`Effects`].
//!
//! Read it in this order: this file (joining, leaving), [`dropping`], [`phase`] (the one transition function), [`participants`],
//! [`requests`] (changes, force saves, questions), [`changes`] and [`unsaved`], [`events`], [`outbox`] and [`catch_up`] (what
//! the storage has not heard yet), [`handing_out`] (what a worker takes), [`callbacks`] (how that is worded),
//! [`outstanding`] (what a worker has), [`settling`] (its answers), [`superseding`] (what goes first), [`deadlines`].

mod callbacks;
mod catch_up;
mod changes;
mod context;
mod deadlines;
mod dropping;
mod effects;
mod events;
mod granting;
mod handing_out;
mod member;
mod member_list;
mod outbox;
mod outstanding;
mod participants;
mod phase;
mod presence;
mod requests;
mod settling;
mod snapshot;
mod superseding;
mod unsaved;
mod validate;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use callbacks::{Blanks, clear};
pub(crate) use context::{Context, Rules, Stage};
pub(crate) use dropping::{DropTarget, WhyLess};
pub(crate) use effects::{Effects, EndedAccess, Garbage};
pub(crate) use handing_out::{Lane, Taken, Which};
pub(crate) use member::{Member, Tab};
pub(crate) use outstanding::{Outcome, Verdict};
pub(crate) use participants::ParticipantId;
pub(crate) use snapshot::{MemberSnapshot, SessionSnapshot, TabSnapshot};

use crate::access::{Access, Grant, Participant};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::limits::SeatCount;
use crate::notice::{DisconnectCause, Notice};
use crate::report::{DocumentState, PendingDocument};
use crate::seats::{Admitted, DocumentSeats};
use crate::time::{Moment, Timestamp};
use events::Event;
use outbox::Outbox;
use participants::Participants;
use phase::{Phase, Step};
use unsaved::Unsaved;

/// One document.
#[derive(Debug)]
pub(crate) struct Session {
    key: DocumentKey,
    participants: Participants,
    outbox: Outbox,
    /// `None` while nothing is unsaved.
    unsaved: Option<Box<Unsaved>>,
    /// How many changes were saved, or deleted as forgotten, since the session began.
    saved_changes: u64,
    /// When the latest change was made, as the storage hears. It does not go back with the wall clock.
    changed_at: Timestamp,
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaveCause {
    /// The host closed it.
    Closed,
    /// The engine closes it, and the transport hears of it.
    Disconnected(DisconnectCause),
}

/// Questions.
impl Session {
    pub(crate) fn new(key: DocumentKey) -> Self {
        Session {
            key,
            participants: Participants::default(),
            outbox: Outbox::default(),
            unsaved: None,
            saved_changes: 0,
            changed_at: Timestamp::default(),
        }
    }

    pub(crate) fn key(&self) -> &DocumentKey {
        &self.key
    }

    /// What counts here when `user` asks for `access`.
    pub(crate) fn seats_for(&self, cx: &Context<'_>, user: &UserId, access: Access) -> DocumentSeats {
        let by_users = cx.rules.seat_count == SeatCount::UsersOfDocuments;
        let shares = |id| self.participants[id].tabs_with(access).next().is_some();
        DocumentSeats {
            fenced: false,
            saving: matches!(self.phase(), Phase::Saving { .. }),
            editing: if by_users { self.participants.editors() } else { self.participants.editing() },
            shares_seat: by_users && self.participants.find(user, cx.hasher).is_some_and(shares),
            queues: [false; 2],
        }
    }

    /// What the connection was given, as far as it still has it.
    pub(crate) fn grant(&self, participant: ParticipantId, id: ConnectionId) -> Grant {
        let tab = self.participants[participant].tab(id);
        Grant { access: tab.access, reason: tab.reason }
    }

    /// What the connection may do.
    pub(crate) fn access(&self, participant: ParticipantId, id: ConnectionId) -> Access {
        self.participants[participant].tab(id).access
    }

    /// Returns true if anybody is connected, anything is unsaved, or a callback is not settled that is no answer to an
    /// `info`.
    pub(crate) fn is_open(&self) -> bool {
        self.participants.connections() > 0 || self.unsaved.is_some() || self.outbox.holds_news()
    }

    /// Returns true if the storage knows all that happened, or was given up, and no save is to come.
    pub(crate) fn is_settled(&self) -> bool {
        self.outbox.is_empty() && !matches!(self.phase(), Phase::Closing { .. } | Phase::Saving { .. })
    }

    /// Returns true if nothing of it needs to be remembered.
    pub(crate) fn is_over(&self) -> bool {
        self.participants.connections() == 0 && self.outbox.is_empty() && self.unsaved.is_none()
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.unsaved.as_ref().is_some_and(|unsaved| unsaved.forgotten.is_some())
    }

    pub(crate) fn is_unsaved(&self) -> bool {
        self.unsaved.is_some()
    }

    /// What a list of documents that are not settled says of it.
    pub(crate) fn pending(&self, cx: &Context<'_>) -> PendingDocument {
        let (key, state) = (self.key.clone(), self.state().unwrap_or(DocumentState::Telling));
        let (since, failures, force_saved) = match self.unsaved.as_deref() {
            Some(Unsaved { changes, failures, .. }) => {
                (changes.began(), *failures, changes.are_force_saved())
            }
            None => (cx.wall_at(self.outbox.busy_since()), 0, false),
        };
        PendingDocument { key, state, since, failures, force_saved }
    }

    /// Where it stands. `None` if nothing is unsaved, and the storage knows all that happened.
    pub(crate) fn state(&self) -> Option<DocumentState> {
        let Some(unsaved) = &self.unsaved else {
            return (!self.is_settled()).then_some(DocumentState::Telling);
        };
        Some(match unsaved.phase {
            Phase::Viewed | Phase::Edited => DocumentState::Edited,
            Phase::Closing { tried: false, .. } => DocumentState::Closing,
            Phase::Closing { tried: true, .. } => DocumentState::Retrying,
            Phase::Saving { .. } => DocumentState::Saving,
            Phase::Forgotten => DocumentState::Forgotten,
        })
    }

    /// When the oldest of its changes was made that no acknowledged save holds, force saves included.
    pub(crate) fn exposed_since(&self) -> Option<Timestamp> {
        self.unsaved.as_ref()?.changes.exposed_since()
    }

    /// When the outstanding callback was handed out first.
    pub(crate) fn unacknowledged_since(&self) -> Option<Moment> {
        self.outbox.outstanding.as_ref().map(|outstanding| outstanding.taken_at)
    }

    /// Where the host keeps the file of a forgotten document.
    pub(crate) fn kept_at(&self) -> Option<Arc<str>> {
        self.unsaved.as_ref()?.kept_at.clone()
    }

    /// Returns true if a callback is with a worker.
    pub(crate) fn is_outstanding(&self) -> bool {
        self.outbox.outstanding.as_ref().is_some_and(|one| one.is_with_worker())
    }

    /// The users who hold edit access, in order of joining.
    pub(crate) fn editors(&self) -> Vec<UserId> {
        let mut users = Vec::with_capacity(self.participants.editors() as usize);
        self.participants.append_users(&mut users, Member::is_editing);
        users
    }

    /// Every user with a connection, each with a number that orders them by arrival.
    pub(crate) fn present(&self) -> Vec<(u32, Participant)> {
        self.participants.present()
    }

    /// Every connection, by participant, in the order in which they began to edit.
    pub(crate) fn connections(&self) -> impl Iterator<Item = ConnectionId> {
        let members = self.participants.in_order(|member| !member.tabs.is_empty());
        let tabs = members.into_iter().flat_map(|participant| &self.participants[participant].tabs);
        tabs.map(|tab| tab.connection)
    }

    /// The connections by which a user edits the document.
    pub(crate) fn editing_by(&self, user: &UserId, cx: &Context<'_>) -> impl Iterator<Item = ConnectionId> {
        let member = self.participants.find(user, cx.hasher).map(|id| &self.participants[id]);
        member.into_iter().flat_map(|member| member.tabs_with(Access::Edit)).map(|tab| tab.connection)
    }

    pub(crate) fn user_of(&self, participant: ParticipantId) -> &User {
        &self.participants[participant].user
    }

    /// When a connection was opened or made its last change, rounded down to a second.
    pub(crate) fn active(&self, participant: ParticipantId, id: ConnectionId) -> Moment {
        self.participants[participant].tab(id).active()
    }

    /// A participant may tell its name later.
    pub(crate) fn learn_name(&mut self, participant: ParticipantId, user: &User) {
        self.participants[participant].user.learn_name(user);
    }

    /// A connection is active.
    pub(crate) fn touch(&mut self, participant: ParticipantId, id: ConnectionId, now: Moment) {
        self.participants[participant].touch(id, now);
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (ParticipantId, &Member)> {
        self.participants.iter()
    }

    /// How many items are in its lists: users, turns, and what the storage has not heard.
    pub(crate) fn items(&self) -> usize {
        let turns = self.unsaved.as_ref().map_or(0, |unsaved| unsaved.changes.turn_count());
        self.participants.slots() + self.outbox.items() + turns
    }

    pub(crate) fn members_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.participants.iter_mut()
    }

    fn phase(&self) -> Phase {
        match &self.unsaved {
            Some(unsaved) => unsaved.phase,
            None if self.participants.editing() > 0 => Phase::Edited,
            None => Phase::Viewed,
        }
    }

    /// The last editor, whose leave the storage hears of with the save.
    fn withheld(&self) -> Option<ParticipantId> {
        self.unsaved.as_ref()?.phase.withheld()
    }
}

/// Joining and leaving.
impl Session {
    /// Adds a connection of `user`, who was admitted. Edit access only where no save is with a worker. Also returns what the
    /// transport is to hear of it.
    pub(crate) fn join(
        &mut self,
        cx: &Context<'_>,
        user: &User,
        id: ConnectionId,
        admitted: Admitted,
    ) -> (ParticipantId, Option<Box<Notice>>) {
        let before = if cx.rules.presence { self.presence_of(cx, user.id()) } else { None };
        let tab = Tab::new(id, admitted, cx.now);
        let participant = self.participants.join(user, tab, cx.hasher);
        if admitted.access == Access::Edit {
            self.begin_edit(cx, participant);
        }
        let told = cx.rules.presence.then(|| self.presence_change(participant, before)).flatten();
        (participant, told.map(Box::new))
    }

    /// Takes a connection away.
    pub(crate) fn leave(
        &mut self,
        cx: &Context<'_>,
        (participant, id): (ParticipantId, ConnectionId),
        cause: LeaveCause,
    ) -> Effects {
        let mut effects = Effects::default();
        if let LeaveCause::Disconnected(cause) = cause {
            effects.notices.push(self.disconnected(participant, id, cause));
        }
        let before = cx.rules.presence.then(|| self.participants[participant].access());
        let tab = self.participants.leave(participant, id);
        if let Some(before) = before {
            effects.notices.extend(self.presence_change(participant, before));
        }
        effects.ended.push(self.ended(participant, &tab, None));
        if tab.access == Access::Edit {
            self.end_edit(cx, participant);
        }
        self.release(cx, participant);
        effects
    }

    fn disconnected(
        &self,
        participant: ParticipantId,
        connection: ConnectionId,
        cause: DisconnectCause,
    ) -> Notice {
        let (key, user) = (self.key.clone(), self.participants[participant].user.id().clone());
        Notice::Disconnected { connection, key, user, cause, code: cause.code() }
    }

    /// A connection goes on under another id. The transport of the old one hears of it if it is `alive`. Returns what the
    /// connection may do.
    pub(crate) fn resume(
        &mut self,
        cx: &Context<'_>,
        participant: ParticipantId,
        [old, new]: [ConnectionId; 2],
        alive: bool,
    ) -> (Grant, Effects) {
        let mut effects = Effects::default();
        if alive {
            effects.notices.push(self.disconnected(participant, old, DisconnectCause::Superseded));
        }
        let tab = self.participants[participant].resume([old, new], cx.now);
        (Grant { access: tab.access, reason: tab.reason }, effects)
    }

    fn ended(&self, participant: ParticipantId, tab: &Tab, then: Option<Access>) -> EndedAccess {
        let user = tab.seats.user.then(|| self.participants[participant].user.id().clone());
        EndedAccess { user, access: tab.access, seats: tab.seats, then }
    }

    fn begin_edit(&mut self, cx: &Context<'_>, participant: ParticipantId) {
        let withheld = self.withheld();
        if self.participants.editing() == 1
            && let Some(unsaved) = &mut self.unsaved
        {
            unsaved.step(Step::FirstEditorJoined);
            unsaved.is_awaited = false;
        }
        if cx.rules.callbacks {
            if let Some(leaver) = withheld {
                self.outbox.tell(cx, &mut self.participants, Event::Left(leaver));
                self.release(cx, leaver);
            }
            self.outbox.tell(cx, &mut self.participants, Event::Joined(participant));
        }
    }

    /// A connection lost its edit access. If it was the last one and something was changed, the save is due after the save
    /// delay, or at once while draining.
    fn end_edit(&mut self, cx: &Context<'_>, leaver: ParticipantId) {
        if !cx.rules.callbacks {
            return;
        }
        let last = self.participants.editing() == 0;
        match &mut self.unsaved {
            Some(unsaved) if last => {
                unsaved.would_keep_at = None;
                let delay = if cx.draining { Duration::ZERO } else { cx.rules.save_delay };
                let due = cx.now.after(delay);
                unsaved.step(Step::LastEditorLeft { leaver, due });
                if due <= cx.now {
                    self.make_save_due(cx);
                }
            }
            None if last => self.outbox.tell(cx, &mut self.participants, Event::Closed(leaver)),
            _ => self.outbox.tell(cx, &mut self.participants, Event::Left(leaver)),
        }
    }

    /// Forgets a participant who is gone, unless the storage is to hear more of it.
    fn release(&mut self, cx: &Context<'_>, participant: ParticipantId) {
        let outstanding = self.outbox.outstanding.as_ref().and_then(|one| one.kind.participant());
        if self.withheld() != Some(participant) && outstanding != Some(participant) {
            self.participants.release(participant, cx.hasher);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p6_a_session_with_two_users_takes_at_most_320_bytes() {
        assert!(size_of::<Session>() + 2 * size_of::<Member>() <= 320);
    }
}
