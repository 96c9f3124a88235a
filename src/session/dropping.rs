//! Connections that lose their edit or live-view access and stay on as viewers.

use super::effects::Effects;
use super::participants::ParticipantId;
use super::{Context, Session};
use crate::access::{Access, Dropped, Reason};
use crate::hash::Hasher;
use crate::ids::{ConnectionId, UserId};
use crate::notice::{AccessCause, DropCause, Notice};

/// Which connections a drop is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DropTarget<'a> {
    Everybody,
    Users(&'a [UserId]),
    Connection(ParticipantId, ConnectionId),
}

/// Why connections become view-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhyLess {
    Drop,
    Fence,
    Idle,
    /// It was idle, and somebody waits.
    Wanted,
    /// It gave its access back.
    Released,
}

impl Session {
    /// Makes edit and live-view connections view-only. A save that a drop or a fence makes due is due at once.
    pub(crate) fn drop_access(
        &mut self,
        cx: &Context<'_>,
        target: DropTarget<'_>,
        why: WhyLess,
        dropped: &mut Dropped,
    ) -> Effects {
        let mut effects = Effects::default();
        match target {
            DropTarget::Everybody => {
                for participant in self.participants.in_order(|member| !member.tabs.is_empty()) {
                    self.drop_member(cx, (participant, why), dropped, &mut effects);
                }
            }
            DropTarget::Users(users) => {
                for user in users {
                    match self.participants.find(user, cx.hasher) {
                        Some(participant) if !self.participants[participant].tabs.is_empty() => {
                            self.drop_member(cx, (participant, why), dropped, &mut effects);
                        }
                        _ => dropped.unmatched.push(user.clone()),
                    }
                }
            }
            DropTarget::Connection(participant, id) => {
                if self.access(participant, id) > Access::View {
                    self.demote(cx, (participant, id), why, &mut effects);
                    dropped.connections.push(id);
                }
            }
        }
        if matches!(why, WhyLess::Drop | WhyLess::Fence) {
            // A drop is how a host gets a save: one that waits for the save delay waits no longer.
            self.skip_save_delay(cx);
            self.await_save();
        }
        effects
    }

    /// Returns true if the user is in the document.
    pub(crate) fn has(&self, user: &UserId, hasher: &Hasher) -> bool {
        self.participants.find(user, hasher).is_some()
    }

    fn drop_member(
        &mut self,
        cx: &Context<'_>,
        (participant, why): (ParticipantId, WhyLess),
        dropped: &mut Dropped,
        effects: &mut Effects,
    ) {
        let first = dropped.connections.len();
        let above_view = self.participants[participant].tabs.iter().filter(|tab| tab.access > Access::View);
        dropped.connections.extend(above_view.map(|tab| tab.connection));
        for id in &dropped.connections[first..] {
            self.demote(cx, (participant, *id), why, effects);
        }
    }

    fn demote(
        &mut self,
        cx: &Context<'_>,
        (participant, id): (ParticipantId, ConnectionId),
        why: WhyLess,
        effects: &mut Effects,
    ) {
        let before = self.participants[participant].access();
        let tab = self.participants.demote(participant, id, why.reason());
        effects.notices.extend(self.lost_access(participant, id, why));
        if cx.rules.presence {
            effects.notices.extend(self.presence_change(participant, before));
        }
        effects.ended.push(self.ended(participant, &tab, Some(Access::View)));
        if tab.access == Access::Edit {
            self.end_edit(cx, participant);
        }
    }

    /// What the transport hears of a connection that has view access from now on, or waits no longer.
    pub(crate) fn lost_access(
        &self,
        participant: ParticipantId,
        connection: ConnectionId,
        why: WhyLess,
    ) -> Option<Notice> {
        let (key, user) = (self.key.clone(), self.participants[participant].user.id().clone());
        let changed = |cause| Notice::Access {
            connection,
            key: key.clone(),
            user: user.clone(),
            access: Access::View,
            cause,
        };
        let dropped = |cause| Notice::Dropped { connection, key: key.clone(), user: user.clone(), cause };
        match why {
            WhyLess::Drop => Some(dropped(DropCause::Drop)),
            WhyLess::Fence => Some(dropped(DropCause::Fence)),
            WhyLess::Idle => Some(changed(AccessCause::Idle)),
            WhyLess::Wanted => Some(changed(AccessCause::Wanted)),
            WhyLess::Released => None,
        }
    }
}

impl WhyLess {
    pub(crate) fn reason(self) -> Option<Reason> {
        match self {
            WhyLess::Drop => Some(Reason::Dropped),
            WhyLess::Fence => Some(Reason::Fenced),
            WhyLess::Idle | WhyLess::Wanted => Some(Reason::Idle),
            WhyLess::Released => None,
        }
    }
}
