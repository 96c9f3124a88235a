//! Viewers who are granted edit access, and editors who give it back.

use super::dropping::{DropTarget, WhyLess};
use super::effects::Effects;
use super::member::{Member, Tab};
use super::participants::ParticipantId;
use super::phase::Phase;
use super::{Context, Session};
use crate::access::{Access, Dropped, Reason};
use crate::ids::ConnectionId;
use crate::notice::{AccessCause, Notice};
use crate::seats::Admitted;

impl Session {
    /// Gives a viewer the edit access to which it was admitted. Only where no save is with a worker. The transport hears of it
    /// if the connection has `waited`.
    pub(crate) fn grant_edit(
        &mut self,
        cx: &Context<'_>,
        (participant, connection): (ParticipantId, ConnectionId),
        admitted: Admitted,
        waited: bool,
    ) -> Effects {
        let mut effects = Effects::default();
        let before = self.participants[participant].access();
        let tab = self.participants.promote(participant, connection, admitted.seats);
        // Nobody has heard yet that the document closed: then it did not.
        self.outbox.take_back_closing();
        self.participants[participant].touch(connection, cx.now);
        if waited {
            let (key, user) = (self.key.clone(), self.user_of(participant).id().clone());
            let (access, cause) = (Access::Edit, AccessCause::Granted);
            effects.notices.push(Notice::Access { connection, key, user, access, cause });
        }
        if cx.rules.presence {
            effects.notices.extend(self.presence_change(participant, before));
        }
        effects.ended.push(self.ended(participant, &tab, Some(Access::Edit)));
        self.begin_edit(cx, participant);
        effects
    }

    /// An editor becomes a viewer because it wants to.
    pub(crate) fn release_edit(
        &mut self,
        cx: &Context<'_>,
        (participant, connection): (ParticipantId, ConnectionId),
    ) -> Effects {
        let target = DropTarget::Connection(participant, connection);
        self.drop_access(cx, target, WhyLess::Released, &mut Dropped::default())
    }

    /// Says why a viewer has no edit access.
    pub(crate) fn set_reason(
        &mut self,
        participant: ParticipantId,
        connection: ConnectionId,
        reason: Option<Reason>,
    ) {
        self.participants[participant].set_reason(connection, reason);
    }

    /// The connections of a participant.
    pub(crate) fn connections_of(&self, participant: ParticipantId) -> impl Iterator<Item = ConnectionId> {
        self.participants[participant].tabs.iter().map(|tab| tab.connection)
    }

    /// Every connection with edit access.
    pub(crate) fn editing(&self) -> impl Iterator<Item = (ParticipantId, ConnectionId)> {
        let of = |(participant, member): (ParticipantId, &'_ Member)| {
            member.tabs_with(Access::Edit).map(move |tab| (participant, tab.connection)).collect::<Vec<_>>()
        };
        self.participants.iter().flat_map(of)
    }

    /// Returns true if a seat becomes free when the connection edits no longer: it has one, and no other connection of the user
    /// takes it over.
    pub(crate) fn frees_seat(&self, participant: ParticipantId, id: ConnectionId) -> bool {
        let member = &self.participants[participant];
        let tab = member.tab(id);
        let is_heir = |other: &Tab| other.connection != id && !other.seats.access;
        tab.access == Access::Edit && tab.seats.access && !member.tabs_with(Access::Edit).any(is_heir)
    }

    /// The connections that a drop names.
    pub(crate) fn named_by(
        &self,
        cx: &Context<'_>,
        target: DropTarget<'_>,
    ) -> Vec<(ParticipantId, ConnectionId)> {
        let participants = match target {
            DropTarget::Connection(participant, id) => return vec![(participant, id)],
            DropTarget::Everybody => self.participants.in_order(|member| !member.tabs.is_empty()),
            DropTarget::Users(users) => {
                users.iter().filter_map(|user| self.participants.find(user, cx.hasher)).collect()
            }
        };
        let of = |participant| self.connections_of(participant).map(move |id| (participant, id));
        participants.into_iter().flat_map(of).collect()
    }

    /// Whoever waits lets the save be made first that a drop asked for.
    pub(super) fn await_save(&mut self) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.is_awaited = matches!(unsaved.phase, Phase::Closing { .. } | Phase::Saving { .. });
        }
    }

    /// Returns true if whoever waits lets a save be made first: one that is with a worker, or that a drop asked for.
    pub(crate) fn awaits_save(&self) -> bool {
        match (&self.unsaved, self.phase()) {
            (_, Phase::Saving { .. }) => true,
            (Some(unsaved), Phase::Closing { .. }) => unsaved.is_awaited,
            _ => false,
        }
    }
}
