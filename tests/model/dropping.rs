//! Connections that become view-only.

use coedit::{
    Access, ConnectionError, ConnectionId, DocumentError, DocumentKey, DropCause, Dropped, Notice, Reason,
    UserId,
};

use super::Model;
use super::document::Connection;

impl Model {
    /// Makes the connections of `users` view-only, or those of all users if it is `None`.
    pub fn drop_access(
        &mut self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
    ) -> Result<Dropped, DocumentError> {
        self.open_document(key).ok_or(DocumentError::NotOpen)?;
        Ok(self.drop_users(key, users, DropCause::Drop))
    }

    pub(super) fn drop_users(
        &mut self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
        cause: DropCause,
    ) -> Dropped {
        let document = self.document(key).expect("the document is known");
        let mut dropped = Dropped::default();
        let users = match users {
            None => document.users_in_order(),
            Some(users) => users.to_vec(),
        };
        let named: Vec<_> = users.iter().flat_map(|user| document.connections_of(user)).collect();
        self.end_places(&named, cause);
        for user in users {
            let document = self.document(key).expect("the document is known");
            if !document.is_participant(&user) {
                dropped.unmatched.push(user);
                continue;
            }
            // A user may be named twice.
            let named = document.connections_above_view(&user);
            dropped
                .connections
                .extend(named.into_iter().filter(|id| !dropped.connections.contains(id)).collect::<Vec<_>>());
        }
        self.demote_by(key, &dropped.connections, cause);
        dropped
    }

    pub fn drop_connection(&mut self, id: ConnectionId) -> Result<Dropped, ConnectionError> {
        let access = self.access(id).ok_or(ConnectionError::Unknown)?;
        let key = self.document_of(id).expect("the connection is open").key.clone();
        let mut dropped = Dropped::default();
        dropped.connections.extend((access > Access::View).then_some(id));
        self.end_places(&[id], DropCause::Drop);
        self.demote_by(&key, &dropped.connections, DropCause::Drop);
        Ok(dropped)
    }

    /// A drop or a fence makes connections view-only. A save that waits for its delay is due at once.
    pub(super) fn demote_by(&mut self, key: &DocumentKey, connections: &[ConnectionId], cause: DropCause) {
        let (reason, notice) = Self::dropped(cause);
        let now = self.now;
        self.demote(key, connections, (reason, true), notice);
        if let Some(document) = self.document(key) {
            document.skip_save_delay(now);
            document.await_save();
        }
        self.follow_up(key);
    }

    /// Makes these connections view-only, one by one. The notices of limits come first.
    pub(super) fn demote(
        &mut self,
        key: &DocumentKey,
        connections: &[ConnectionId],
        (reason, at_once): (Option<Reason>, bool),
        notice: impl Fn(ConnectionId, DocumentKey, UserId) -> Option<Notice>,
    ) {
        let (settings, now) = (self.settings.clone(), self.now);
        let mut notices = Vec::new();
        for id in connections {
            let document = self.document_of(*id).expect("the connection is open");
            let user = document.connection(*id).user.id().clone();
            let (before, Connection { access, .. }) =
                (document.access_of(&user), document.connection(*id).clone());
            let seats = self.all_seats(access);
            let document = self.document(key).expect("the connection is open");
            document.demote(*id, reason, (&settings, now, at_once));
            let after = document.access_of(&user);
            notices.extend(notice(*id, key.clone(), user.clone()));
            notices.extend(self.presence_notice(key, &user, [before, after]));
            self.free_seats(access, seats - self.all_seats(access));
            self.record_usage(None);
        }
        self.notices.extend(notices);
    }

    /// Returns the reason that a dropped connection has, and its notice.
    pub(super) fn dropped(
        cause: DropCause,
    ) -> (Option<Reason>, impl Fn(ConnectionId, DocumentKey, UserId) -> Option<Notice>) {
        let reason = if cause == DropCause::Fence { Reason::Fenced } else { Reason::Dropped };
        (Some(reason), move |connection, key, user| Some(Notice::Dropped { connection, key, user, cause }))
    }
}
