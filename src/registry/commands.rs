//! What hosts ask for: each call picks its shard by key or id and acts under one lock.

use std::sync::Arc;

use super::Registry;
use super::shard::{Closed, Shard, Taken, Whom};
use super::timing::SLICE;
use crate::access::{Access, Dropped, Forgotten, Grant, Participant};
use crate::callback::ForceSaveType;
use crate::error::{
    ChangeError, ConnectionError, DocumentError, ForceSaveError, ForgottenError, InfoError, OpenError,
};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notice::Notice;
use crate::session::{Session, Spares};
use crate::time::Timestamp;

impl Registry {
    pub(crate) fn open(
        &self,
        key: &DocumentKey,
        user: &User,
        asked: Access,
    ) -> Result<(ConnectionId, Grant), OpenError> {
        let (hash, index) = self.locate(key);
        // Coming starts no deadline, so a coarse time will do.
        self.locked(index, self.moving(), |shard, context, after| {
            shard.open(key, hash, user, asked, context, after)
        })
    }

    pub(crate) fn close(&self, id: ConnectionId) -> Result<(), ConnectionError> {
        match self.close_at(id, self.moving(), None) {
            Closed::Done => Ok(()),
            Closed::Unknown => Err(ConnectionError::Unknown),
            Closed::NeedsTime => self.close_last(id),
        }
    }

    /// Only the last editor of a changed document needs to know the time well, which costs as much as half the close.
    #[cold]
    fn close_last(&self, id: ConnectionId) -> Result<(), ConnectionError> {
        let now = self.now();
        self.collect_usage(now);
        let closed = self.close_at(id, now, Some(now));
        if closed == Closed::Unknown { Err(ConnectionError::Unknown) } else { Ok(()) }
    }

    #[inline]
    fn close_at(&self, id: ConnectionId, moment: Timestamp, now: Option<Timestamp>) -> Closed {
        self.locked(self.shard_of(id), moment, |shard, context, after| shard.close(id, now, context, after))
    }

    pub(crate) fn change(&self, id: ConnectionId) -> Result<(), ChangeError> {
        // Unless it may start the interval of the force saves, no delay starts, and a coarse time will do.
        let starts_delays = self.common.rules.force_save_interval.is_some();
        let now = if starts_delays { self.now() } else { self.clock.coarse() };
        self.locked(self.shard_of(id), now, |shard, context, after| shard.change(id, context, after))
    }

    pub(crate) fn access(&self, id: ConnectionId) -> Option<Access> {
        self.read(self.shard_of(id), |shard| shard.access(id))
    }

    /// Acts on the session of an open document.
    fn on_open<R>(
        &self,
        key: &DocumentKey,
        act: impl FnOnce(&mut Session, &mut Spares) -> R,
    ) -> Result<R, DocumentError> {
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
        // What an info asks for is never dropped, so none is taken up where documents are.
        if self.common.rules.callbacks && self.common.ready.are_too_many() {
            let error = if self.is_open(key) { InfoError::TooManyAsked } else { InfoError::NotOpen };
            return Err(error);
        }
        let (hash, index) = self.locate(key);
        self.locked(index, Timestamp::default(), |shard, context, after| {
            let place = shard.find_open(key, hash).ok_or(InfoError::NotOpen)?;
            shard.info(place, userdata, context, after)
        })
    }

    pub(crate) fn force_save(
        &self,
        key: &DocumentKey,
        userdata: Option<Arc<str>>,
    ) -> Result<(), ForceSaveError> {
        self.on_open(key, |session, _| {
            session.force_save(&self.common.rules, ForceSaveType::Command, None, userdata)
        })
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
            shard.update(connection.document, context, after, |session, _| {
                let user = session.stay(connection.stay).user.id().clone();
                session.force_save(&self.common.rules, kind, Some(user), userdata)
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
        // What is to be saved after a drop is due at once: that takes no time to be known.
        self.locked(index, self.moving(), |shard, context, after| {
            let place = shard.find_open(key, hash)?;
            Some(shard.drop_access(place, whom, context, after))
        })
        .ok_or(DocumentError::NotOpen)
    }

    pub(crate) fn drop_connection(&self, id: ConnectionId) -> Result<Dropped, ConnectionError> {
        self.locked(self.shard_of(id), self.moving(), |shard, context, after| {
            shard.drop_connection(id, context, after)
        })
        .ok_or(ConnectionError::Unknown)
    }

    pub(crate) fn rename(&self, key: &DocumentKey, title: String) -> Result<(), DocumentError> {
        self.read_open(key, |_| ()).ok_or(DocumentError::NotOpen)?;
        if self.push_notice(Notice::Meta { key: key.clone(), title }) {
            self.notices.announce();
        }
        Ok(())
    }

    fn read_open<R>(&self, key: &DocumentKey, read: impl FnOnce(&Session) -> R) -> Option<R> {
        let (hash, index) = self.locate(key);
        self.read(index, |shard| shard.session_of(key, hash).filter(|session| session.is_open()).map(read))
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
        (0..self.shards.len()).map(|index| self.read(index, Shard::open_documents)).sum()
    }

    /// The forgotten documents, by key.
    pub(crate) fn forgotten(&self) -> Vec<Forgotten> {
        let of = |session: &Session| Forgotten { key: session.key().clone(), url: session.kept_at() };
        let in_shard = |index| self.read(index, |shard| shard.forgotten().map(of).collect::<Vec<_>>());
        let mut all: Vec<Forgotten> = (0..self.shards.len()).flat_map(in_shard).collect();
        all.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        all
    }

    pub(crate) fn forgotten_at(&self, key: &DocumentKey) -> Result<Option<Arc<str>>, ForgottenError> {
        let (hash, index) = self.locate(key);
        self.read(index, |shard| {
            shard.session_of(key, hash).filter(|session| session.is_forgotten()).map(Session::kept_at)
        })
        .ok_or(ForgottenError::NotForgotten)
    }

    pub(crate) fn delete_forgotten(&self, key: &DocumentKey) -> Result<(), ForgottenError> {
        let (hash, index) = self.locate(key);
        let deleted = self.locked(index, Timestamp::default(), |shard, context, after| {
            shard.find(key, hash).is_some_and(|place| shard.delete_forgotten(place, context, after))
        });
        if deleted { Ok(()) } else { Err(ForgottenError::NotForgotten) }
    }

    pub(crate) fn drain(&self) {
        self.modes.drain();
        self.on_every_shard(Timestamp::default(), |gather| {
            let mut cursor = None;
            while gather(&mut |shard, context, after, ready| {
                shard.hurry(SLICE, &mut cursor, context, after, ready)
            }) {}
        });
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.modes.now().is_draining()
    }

    /// Recounts every total from scratch. The seats are those of all shards at one moment, so they are compared only if
    /// nobody changed anything while they were counted.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let calls = || -> Vec<u64> {
            (0..self.shards.len()).map(|index| self.read(index, |shard| shard.calls)).collect()
        };
        // While a limit is switched on or off, some shards count for it and some do not.
        let _still = self.common.seats.changing.lock();
        let before = calls();
        let mut taken = Taken::default();
        for index in 0..self.shards.len() {
            let metered = self.common.recorder.is_some();
            let of = |shard: &Shard| {
                shard.validate(&self.common.rules, &self.common.hasher, &self.common.seats, metered)
            };
            taken.add(self.read(index, of)?);
        }
        let agrees = self.agrees(&taken);
        if before == calls() { agrees } else { Ok(()) }
    }
}
