//! Who is in the document, for the transport.

use super::participants::ParticipantId;
use super::{Context, Session};
use crate::access::Access;
use crate::ids::UserId;
use crate::notice::{Notice, Presence};

impl Session {
    /// The access of a user who is in the document.
    pub(super) fn presence_of(&self, cx: &Context<'_>, user: &UserId) -> Option<Access> {
        self.participants[self.participants.find(user, cx.hasher)?].access()
    }

    /// What the transport is to hear of a participant who had the access `before`, where it wants to hear of presence.
    pub(super) fn presence_change(
        &self,
        participant: ParticipantId,
        before: Option<Access>,
    ) -> Option<Notice> {
        let member = &self.participants[participant];
        let presence = |access| Presence { key: self.key.clone(), user: member.user.id().clone(), access };
        match (before, member.access()) {
            (None, Some(now)) => Some(Notice::Joined(presence(now))),
            (Some(before), None) => Some(Notice::Left(presence(before))),
            (Some(before), Some(now)) if before != now => Some(Notice::Changed(presence(now))),
            _ => None,
        }
    }
}
