//! What the transport hears of participants.

use coedit::{Access, DocumentKey, Notice, Presence, UserId};

use super::Model;

impl Model {
    /// Returns the highest access of a user who is in a document.
    pub(super) fn presence(&mut self, key: &DocumentKey, user: &UserId) -> Option<Access> {
        self.document(key)?.access_of(user)
    }

    /// A user had the access `before`. Tells what has changed, if the transport wants to hear it.
    pub(super) fn tell_presence(&mut self, key: &DocumentKey, user: &UserId, before: Option<Access>) {
        let after = self.presence(key, user);
        self.notices.extend(self.presence_notice(key, user, [before, after]));
    }

    pub(super) fn presence_notice(
        &self,
        key: &DocumentKey,
        user: &UserId,
        [before, after]: [Option<Access>; 2],
    ) -> Option<Notice> {
        if !self.settings.presence || before == after {
            return None;
        }
        let presence = |access| Presence { key: key.clone(), user: user.clone(), access };
        Some(match (before, after) {
            (None, Some(access)) => Notice::Joined(presence(access)),
            (_, Some(access)) => Notice::Changed(presence(access)),
            (Some(access), None) => Notice::Left(presence(access)),
            (None, None) => return None,
        })
    }
}
