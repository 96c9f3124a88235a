//! What hosts ask for: each call picks its shard by key or id and acts under one lock.

use std::sync::Arc;

use super::Registry;
use super::shard::{Shard, Whom};
use crate::access::{Access, Dropped, Grant, Participant};
use crate::callback::ForceSaveType;
use crate::error::{
    ChangeError, ConnectionError, DocumentError, ForceSaveError, ForgottenError, InfoError, OpenError,
};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notice::Notice;
use crate::session::Session;
use crate::sync::Ordering;
use crate::time::Timestamp;

impl Registry {
    pub(crate) fn open(
        &self,
        key: &DocumentKey,
        user: &User,
        asked: Access,
    ) -> Result<(ConnectionId, Grant), OpenError> {
        let (hash, index) = self.locate(key);
        // Coming starts no deadline, so it needs no time.
        self.locked(index, Timestamp::default(), |shard, context, after| {
            shard.open(key, hash, user, asked, context, after)
        })
    }

    pub(crate) fn close(&self, id: ConnectionId) -> Result<(), ConnectionError> {
        let closed = self
            .locked(self.shard_of(id), self.now(), |shard, context, after| shard.close(id, context, after));
        if closed { Ok(()) } else { Err(ConnectionError::Unknown) }
    }

    pub(crate) fn change(&self, id: ConnectionId) -> Result<(), ChangeError> {
        self.locked(self.shard_of(id), self.now(), |shard, context, after| shard.change(id, context, after))
    }

    pub(crate) fn access(&self, id: ConnectionId) -> Option<Access> {
        Some(self.shards[self.shard_of(id)].shard.lock().connection(id)?.access)
    }

    /// Acts on the session of an open document.
    fn on_open<R>(&self, key: &DocumentKey, act: impl FnOnce(&mut Session) -> R) -> Result<R, DocumentError> {
        let (hash, index) = self.locate(key);
        self.locked(index, Timestamp::default(), |shard, context, after| {
            let place = shard.find_open(key, hash)?;
            shard.update(place, context, after, act)
        })
        .ok_or(DocumentError::NotOpen)
    }

    pub(crate) fn info(
        &self,
        key: &DocumentKey,
        userdata: Option<Arc<str>>,
    ) -> Result<Vec<UserId>, InfoError> {
        self.on_open(key, |session| session.info(&self.rules, userdata)).map_err(|_| InfoError::NotOpen)?
    }

    pub(crate) fn force_save(
        &self,
        key: &DocumentKey,
        userdata: Option<Arc<str>>,
    ) -> Result<(), ForceSaveError> {
        self.on_open(key, |session| session.force_save(&self.rules, ForceSaveType::Command, None, userdata))
            .map_err(|_| ForceSaveError::NotOpen)?
    }

    /// A force save that a connection asks for.
    pub(crate) fn force_save_by(
        &self,
        id: ConnectionId,
        kind: ForceSaveType,
        userdata: Option<Arc<str>>,
    ) -> Result<(), ForceSaveError> {
        self.locked(self.shard_of(id), Timestamp::default(), |shard, context, after| {
            let connection = *shard.connection(id)?;
            shard.update(connection.document, context, after, |session| {
                let user = session.stay(connection.stay).user.id().clone();
                session.force_save(&self.rules, kind, Some(user), userdata)
            })
        })
        .unwrap_or(Err(ForceSaveError::UnknownConnection))
    }

    /// Makes the connections of these users, or of all, view-only.
    pub(crate) fn drop_access(
        &self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
    ) -> Result<Dropped, DocumentError> {
        let (hash, index) = self.locate(key);
        let whom = users.map_or(Whom::Everybody, Whom::Users);
        self.locked(index, self.now(), |shard, context, after| {
            let place = shard.find_open(key, hash)?;
            Some(shard.drop_access(place, whom, context, after))
        })
        .ok_or(DocumentError::NotOpen)
    }

    pub(crate) fn drop_connection(&self, id: ConnectionId) -> Result<Dropped, ConnectionError> {
        self.locked(self.shard_of(id), self.now(), |shard, context, after| {
            shard.drop_connection(id, context, after)
        })
        .ok_or(ConnectionError::Unknown)
    }

    pub(crate) fn rename(&self, key: &DocumentKey, title: String) -> Result<(), DocumentError> {
        self.read_open(key, |_| ()).ok_or(DocumentError::NotOpen)?;
        self.notify(Notice::Meta { key: key.clone(), title });
        Ok(())
    }

    fn read_open<R>(&self, key: &DocumentKey, read: impl FnOnce(&Session) -> R) -> Option<R> {
        let (hash, index) = self.locate(key);
        let shard = self.shards[index].shard.lock();
        shard.session(shard.find_open(key, hash)?).map(read)
    }

    pub(crate) fn participants(&self, key: &DocumentKey) -> Vec<Participant> {
        self.read_open(key, Session::participants).unwrap_or_default()
    }

    pub(crate) fn editors(&self, key: &DocumentKey) -> Vec<UserId> {
        self.read_open(key, Session::editors).unwrap_or_default()
    }

    pub(crate) fn is_open(&self, key: &DocumentKey) -> bool {
        self.read_open(key, |_| ()).is_some()
    }

    pub(crate) fn open_documents(&self) -> usize {
        self.shards.iter().map(|place| place.shard.lock().open_documents()).sum()
    }

    /// The forgotten documents and where each was kept, by key.
    pub(crate) fn forgotten(&self) -> Vec<(DocumentKey, Option<Arc<str>>)> {
        let mut all = Vec::new();
        for place in &self.shards {
            let shard = place.shard.lock();
            all.extend(shard.forgotten().map(|session| (session.key().clone(), session.kept_at())));
        }
        all.sort_unstable();
        all
    }

    pub(crate) fn forgotten_at(&self, key: &DocumentKey) -> Result<Option<Arc<str>>, ForgottenError> {
        let (hash, index) = self.locate(key);
        let shard = self.shards[index].shard.lock();
        let session = shard.find(key, hash).and_then(|place| shard.session(place));
        let forgotten =
            session.filter(|session| session.is_forgotten()).ok_or(ForgottenError::NotForgotten)?;
        Ok(forgotten.kept_at())
    }

    pub(crate) fn delete_forgotten(&self, key: &DocumentKey) -> Result<(), ForgottenError> {
        let (hash, index) = self.locate(key);
        let deleted = self.locked(index, Timestamp::default(), |shard, context, after| {
            shard.find(key, hash).is_some_and(|place| shard.delete_forgotten(place, context, after))
        });
        if deleted { Ok(()) } else { Err(ForgottenError::NotForgotten) }
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.on_every_shard(Timestamp::default(), Shard::hurry);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Recounts every total from scratch. Seats are compared only if no other thread is in a call meanwhile.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let held = || [self.pools.edit.in_use(), self.pools.live.in_use()];
        let before = held();
        let mut seats = [0, 0];
        for place in &self.shards {
            let [edit, live] = place.shard.lock().validate(&self.rules)?;
            seats = [seats[0] + edit, seats[1] + live];
        }
        if before == held() && seats != before {
            return Err(format!("{before:?} seats in use, counted {seats:?}"));
        }
        Ok(())
    }
}
