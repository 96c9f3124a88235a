//! Further calls of one connection.

use super::Registry;
use super::shard::Place;
use crate::access::{Access, Dropped, Grant};
use crate::error::{ChangeError, ConnectionError, OpenError};
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::session::{DropTarget, Stage};

impl Registry {
    /// What [`open`](Self::open) would answer.
    pub(crate) fn would_admit(
        &self,
        key: &DocumentKey,
        user: &UserId,
        asked: Access,
    ) -> Result<Grant, OpenError> {
        let (hash, index) = self.locate(key);
        let held = self.hold(index, self.coarse_now());
        let found = held.room_for(key, hash)?;
        self.admission.would_admit(&held.claim(found, user, asked), held.cx.wall)
    }

    pub(crate) fn change(&self, id: ConnectionId) -> Result<(), ChangeError> {
        let mut held = self.hold(self.shard_of(id), self.clock.coarse());
        let Place { document, participant } = held.shard.place(id).ok_or(ChangeError::Unknown)?;
        let cx = held.cx;
        if cx.stage == Stage::Ended {
            // The report, which does not list it, is final. The connection is about to be closed.
            return Err(ChangeError::Unknown);
        }
        held.shard.session_mut(document).change(&cx, participant, id)?;
        self.finish(held, document);
        Ok(())
    }

    /// What a connection may do. `None` if it is not open.
    pub(crate) fn access(&self, id: ConnectionId) -> Option<Access> {
        self.read(self.shard_of(id), |shard| shard.access(id))
    }

    /// Makes one connection view-only.
    pub(crate) fn drop_connection(&self, id: ConnectionId) -> Result<Dropped, ConnectionError> {
        let mut held = self.hold(self.shard_of(id), self.coarse_now());
        let Place { document, participant } = held.shard.place(id).ok_or(ConnectionError::Unknown)?;
        let (cx, mut dropped) = (held.cx, Dropped::default());
        let target = DropTarget::Connection(participant, id);
        let effects = held.shard.session_mut(document).drop_access(&cx, target, &mut dropped);
        self.apply(held, document, effects);
        Ok(dropped)
    }
}
