//! The session: what the engine knows of one document, as a pure state machine.
//!
//! Nothing here takes a lock, reads a clock, sends, or knows another document. A method takes `&mut self` and a
//! [`Context`] with the present time. What follows for others comes back as [`Effects`].
//!
//! Read it in this order: this file (joining, leaving, changing, dropping), [`phase`] (the one transition function),
//! [`participants`], [`changes`] and [`unsaved`], [`events`], [`outbox`] and [`catch_up`] (what the storage has not heard yet),
//! [`callbacks`] (how that is worded), [`saves`] (what a worker takes, and its answers).

mod callbacks;
mod catch_up;
mod changes;
mod effects;
mod events;
mod member;
mod outbox;
mod participants;
mod phase;
mod requests;
mod saves;
mod unsaved;
mod validate;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use callbacks::{Blanks, clear};
pub(crate) use effects::{Effects, EndedAccess, Garbage};
pub(crate) use member::{Member, Tab};
pub(crate) use participants::ParticipantId;
pub(crate) use saves::Verdict;

use crate::access::{Access, Dropped, Participant};
use crate::config::{Bounds, Config};
use crate::hash::Hasher;
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::limits::SeatCount;
use crate::notice::Notice;
use crate::seats::{Admitted, DocumentSeats};
use crate::time::Timestamp;
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
}

/// What a call on a session is told of the engine around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) hasher: &'a Hasher,
    pub(crate) now: Timestamp,
    /// Saves are due without the save delay.
    pub(crate) draining: bool,
    /// Failed callbacks are tried again without a pause.
    pub(crate) ending: bool,
    /// More documents wait for the storage than the bound allows.
    pub(crate) too_many_wait: bool,
}

/// The settings that all sessions of an engine go by.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) callbacks: bool,
    pub(crate) save_delay: Duration,
    pub(crate) retry_pauses: Vec<Duration>,
    pub(crate) force_save_interval: Option<Duration>,
    pub(crate) seat_count: SeatCount,
    pub(crate) bounds: Bounds,
}

impl Rules {
    pub(crate) fn new(config: &Config) -> Self {
        Rules {
            callbacks: config.callbacks,
            save_delay: config.save_delay,
            retry_pauses: config.retry_pauses.clone(),
            force_save_interval: config.force_save_interval,
            seat_count: config.seat_count,
            bounds: config.bounds,
        }
    }
}

/// Which connections a drop is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DropTarget<'a> {
    Everybody,
    Users(&'a [UserId]),
    Connection(ParticipantId, ConnectionId),
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
            saving: matches!(self.phase(), Phase::Saving { .. }),
            editing: if by_users { self.participants.editors() } else { self.participants.editing() },
            shares_seat: by_users && self.participants.find(user, cx.hasher).is_some_and(shares),
        }
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

    /// Returns true if the storage knows all that happened, or was given up.
    pub(crate) fn is_settled(&self) -> bool {
        self.outbox.is_empty() && self.withheld().is_none()
    }

    /// Returns true if nothing of it needs to be remembered.
    pub(crate) fn is_over(&self) -> bool {
        self.participants.connections() == 0 && self.outbox.is_empty() && self.unsaved.is_none()
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.unsaved.as_ref().is_some_and(|unsaved| unsaved.forgotten)
    }

    /// Where the host keeps the file of a forgotten document.
    pub(crate) fn kept_at(&self) -> Option<Arc<str>> {
        self.unsaved.as_ref()?.kept_at.clone()
    }

    /// Returns true if a callback is with a worker.
    pub(crate) fn is_outstanding(&self) -> bool {
        self.outbox.with_worker().is_some()
    }

    /// Returns true if a callback can be taken now.
    pub(crate) fn has_next(&self) -> bool {
        match self.unsaved.as_ref().map(|unsaved| unsaved.phase) {
            Some(Phase::Closing { due, failures, .. }) if !self.outbox.is_outstanding() => {
                due.is_none() || (failures == 0 && self.outbox.has_next())
            }
            _ => self.outbox.has_next(),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let unsaved = self.unsaved.as_ref().and_then(|unsaved| unsaved.next_deadline());
        [self.outbox.retry_at(), unsaved].into_iter().flatten().min()
    }

    /// The users who hold edit access, in order of joining.
    pub(crate) fn editors(&self) -> Vec<UserId> {
        let mut users = Vec::with_capacity(self.participants.editors() as usize);
        self.participants.append_users(&mut users, Member::is_editing);
        users
    }

    /// Every user with a connection, in order of arrival.
    pub(crate) fn present(&self) -> Vec<Participant> {
        self.participants.present()
    }

    /// Every connection, by participant, in the order in which they began to edit.
    pub(crate) fn connections(&self) -> Vec<ConnectionId> {
        let members = self.participants.in_order(|_| true);
        let tabs = members.iter().flat_map(|participant| &self.participants[*participant].tabs);
        tabs.map(|tab| tab.connection).collect()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (ParticipantId, &Member)> {
        self.participants.iter()
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
    /// Adds a connection of `user`, who was admitted. Edit access only where no save is with a worker.
    pub(crate) fn join(
        &mut self,
        cx: &Context<'_>,
        user: &User,
        id: ConnectionId,
        admitted: Admitted,
    ) -> ParticipantId {
        let tab = Tab::new(id, admitted.access, admitted.seats, cx.now);
        let participant = self.participants.join(user, tab, cx.hasher);
        if admitted.access == Access::Edit {
            self.begin_edit(cx, participant);
        }
        participant
    }

    /// Takes a connection away.
    pub(crate) fn leave(
        &mut self,
        cx: &Context<'_>,
        participant: ParticipantId,
        id: ConnectionId,
    ) -> Effects {
        let mut effects = Effects::default();
        let tab = self.participants.leave(participant, id);
        effects.ended.push(self.ended(participant, &tab, false));
        if tab.access == Access::Edit {
            self.end_edit(cx, participant);
        }
        self.release(cx, participant);
        effects
    }

    /// Makes edit and live-view connections view-only. A save that this makes due is due at once.
    pub(crate) fn drop_access(
        &mut self,
        cx: &Context<'_>,
        target: DropTarget<'_>,
        dropped: &mut Dropped,
    ) -> Effects {
        let mut effects = Effects::default();
        match target {
            DropTarget::Everybody => {
                for participant in self.participants.in_order(|member| !member.tabs.is_empty()) {
                    self.drop_member(cx, participant, dropped, &mut effects);
                }
            }
            DropTarget::Users(users) => {
                for user in users {
                    match self.participants.find(user, cx.hasher) {
                        Some(participant) if !self.participants[participant].tabs.is_empty() => {
                            self.drop_member(cx, participant, dropped, &mut effects);
                        }
                        _ => dropped.unmatched.push(user.clone()),
                    }
                }
            }
            DropTarget::Connection(participant, id) => {
                if self.access(participant, id) > Access::View {
                    self.demote(cx, participant, id, &mut effects);
                    dropped.connections.push(id);
                }
            }
        }
        // A drop is how a host gets a save: one that waits for the save delay waits no longer.
        self.skip_save_delay();
        effects
    }

    fn drop_member(
        &mut self,
        cx: &Context<'_>,
        participant: ParticipantId,
        dropped: &mut Dropped,
        effects: &mut Effects,
    ) {
        let first = dropped.connections.len();
        let above_view = self.participants[participant].tabs.iter().filter(|tab| tab.access > Access::View);
        dropped.connections.extend(above_view.map(|tab| tab.connection));
        for id in &dropped.connections[first..] {
            self.demote(cx, participant, *id, effects);
        }
    }

    fn demote(
        &mut self,
        cx: &Context<'_>,
        participant: ParticipantId,
        id: ConnectionId,
        effects: &mut Effects,
    ) {
        let tab = self.participants.demote(participant, id);
        let user = self.participants[participant].user.id().clone();
        effects.notices.push(Notice::Dropped { connection: id, key: self.key.clone(), user });
        effects.ended.push(self.ended(participant, &tab, true));
        if tab.access == Access::Edit {
            self.end_edit(cx, participant);
        }
    }

    fn ended(&self, participant: ParticipantId, tab: &Tab, stays: bool) -> EndedAccess {
        let user = tab.seats.user.then(|| self.participants[participant].user.id().clone());
        EndedAccess { user, access: tab.access, seats: tab.seats, stays }
    }

    fn begin_edit(&mut self, cx: &Context<'_>, participant: ParticipantId) {
        let withheld = self.withheld();
        if self.participants.editing() == 1
            && let Some(unsaved) = &mut self.unsaved
        {
            unsaved.step(Step::FirstEditorJoined);
        }
        if cx.rules.callbacks {
            let most = cx.rules.bounds.waiting_actions;
            if let Some(leaver) = withheld {
                self.outbox.left(&mut self.participants, leaver, most);
                self.release(cx, leaver);
            }
            self.outbox.joined(&mut self.participants, participant, most);
        }
    }

    /// A connection lost its edit access. If it was the last one and something was changed, the save is due after the save
    /// delay, or at once while draining.
    fn end_edit(&mut self, cx: &Context<'_>, leaver: ParticipantId) {
        if !cx.rules.callbacks {
            return;
        }
        let most = cx.rules.bounds.waiting_actions;
        let last = self.participants.editing() == 0;
        match &mut self.unsaved {
            Some(unsaved) if last => {
                unsaved.would_keep_at = None;
                let delay = if cx.draining { Duration::ZERO } else { cx.rules.save_delay };
                let due = Some(cx.now.after(delay)).filter(|due| *due > cx.now);
                unsaved.step(Step::LastEditorLeft { leaver, due });
            }
            None if last => self.outbox.closed(&mut self.participants, leaver, most),
            _ => self.outbox.left(&mut self.participants, leaver, most),
        }
    }

    /// Forgets a participant who is gone, unless the storage is to hear more of it.
    fn release(&mut self, cx: &Context<'_>, participant: ParticipantId) {
        if self.withheld() != Some(participant) {
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
