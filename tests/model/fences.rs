//! Fences: who gets no edit and no live-view access to a document.

use coedit::{ConnectionError, ConnectionId, DocumentKey, DropCause, Dropped, UserId};

use super::Model;

pub(super) struct Fence {
    key: DocumentKey,
    /// `None` fences everybody.
    user: Option<UserId>,
    until: Option<u64>,
}

impl Model {
    pub(super) fn is_fenced(&self, key: &DocumentKey, user: &UserId) -> bool {
        let applies =
            |fence: &&Fence| fence.key == *key && fence.user.as_ref().is_none_or(|other| other == user);
        self.holding_fences().any(|fence| applies(&fence))
    }

    fn holding_fences(&self) -> impl Iterator<Item = &Fence> {
        self.fences.iter().filter(|fence| fence.until.is_none_or(|until| until > self.now))
    }

    pub fn fences(&self) -> Vec<(DocumentKey, Option<UserId>, Option<u64>)> {
        let fence = |fence: &Fence| (fence.key.clone(), fence.user.clone(), fence.until);
        let mut all: Vec<_> = self.holding_fences().map(fence).collect();
        all.sort();
        all
    }

    pub(super) fn next_fence_end(&self) -> Option<u64> {
        self.fences.iter().filter_map(|fence| fence.until).min()
    }

    pub(super) fn end_fences(&mut self) {
        let now = self.now;
        self.fences.retain(|fence| fence.until.is_none_or(|until| until > now));
    }

    /// Drops users, or everybody, and fences them for so long. The cause is a fence or a drop.
    pub fn fence(
        &mut self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
        millis: Option<u64>,
        cause: DropCause,
    ) -> Dropped {
        self.unfence_exactly(key, users);
        let until = millis.map(|millis| self.now + millis);
        let fenced: Vec<Option<UserId>> =
            users.map_or(vec![None], |users| users.iter().cloned().map(Some).collect());
        self.fences.extend(fenced.into_iter().map(|user| Fence { key: key.clone(), user, until }));
        if self.document(key).is_none() {
            return Dropped { connections: Vec::new(), unmatched: users.unwrap_or_default().to_vec() };
        }
        self.drop_users(key, users, cause)
    }

    /// Drops the user of a connection, and fences that user for so long.
    pub fn fence_connection(&mut self, id: ConnectionId, millis: u64) -> Result<Dropped, ConnectionError> {
        let document = self.document_of(id).ok_or(ConnectionError::Unknown)?;
        let (key, user) = (document.key.clone(), document.connection(id).user.id().clone());
        Ok(self.fence(&key, Some(&[user]), Some(millis), DropCause::Drop))
    }

    /// Lifts the fences of these users, or all of the document.
    pub fn unfence(&mut self, key: &DocumentKey, users: Option<&[UserId]>) {
        match users {
            None => self.fences.retain(|fence| fence.key != *key),
            Some(_) => self.unfence_exactly(key, users),
        }
    }

    /// Lifts the fences of these users, or that of everybody.
    fn unfence_exactly(&mut self, key: &DocumentKey, users: Option<&[UserId]>) {
        let is_named = |user: &Option<UserId>| match (user, users) {
            (Some(user), Some(users)) => users.contains(user),
            (None, None) => true,
            _ => false,
        };
        self.fences.retain(|fence| fence.key != *key || !is_named(&fence.user));
    }
}
