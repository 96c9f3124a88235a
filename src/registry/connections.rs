//! Further calls of one connection.

use super::shard::Place;
use super::{Held, Registry};
use crate::access::{Access, Dropped, Grant};
use crate::admission::NEWCOMER;
use crate::error::{ChangeError, ConnectionError, OpenError};
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::session::{DropTarget, Stage, WhyLess};

impl Registry {
    /// What [`open`](Self::open) would answer.
    pub(crate) fn would_admit(
        &self,
        key: &DocumentKey,
        user: &UserId,
        asked: Access,
    ) -> Result<Grant, OpenError> {
        let (hash, index) = self.locate(key);
        let mut held = self.hold(index, self.coarse_now());
        held.room_for(key, hash)?;
        let would = |held: &Held<'_>| {
            let found = held.shard.find(key, hash);
            let claim = self.claim(held, (key, found), (user, asked), NEWCOMER);
            self.admission.would_admit(&claim, held.cx.wall)
        };
        let mut answer = would(&held);
        if !self.stays_on || answer == Ok(Grant::of(asked, None)) {
            return answer;
        }
        if self.connections_due(held.cx.now) {
            held = self.expire(held);
            held.room_for(key, hash)?;
            answer = would(&held);
        }
        let refused = match answer {
            Ok(Grant { reason: None, .. }) => return answer,
            Ok(Grant { reason, .. }) => reason,
            Err(_) => None,
        };
        let lost = held.to_take_over(held.shard.find(key, hash), (user, asked), refused);
        if lost.is_some() { Ok(Grant::of(asked, None)) } else { answer }
    }

    pub(crate) fn change(&self, id: ConnectionId) -> Result<(), ChangeError> {
        let mut held = self.hold(self.shard_of(id), self.clock.coarse());
        let Place { document, participant } = held.shard.place(id).ok_or(ChangeError::Unknown)?;
        if held.shard.is_lost(id) {
            return Err(ChangeError::Lost);
        }
        let cx = held.cx;
        if cx.stage == Stage::Ended {
            // The report, which does not list it, is final. The connection is about to be closed.
            return Err(ChangeError::Unknown);
        }
        held.shard.session_mut(document).change(&cx, participant, id)?;
        held.shard.counters.changes += 1;
        held.shard.touch_stay(id, cx.now);
        // It may be warned once more, before the moment at which it would have ended.
        let earlier = if self.stays_on { held.shard.look_at_stay(id) } else { None };
        if let Some(earlier) = earlier {
            held.lower_earliest(earlier);
        }
        self.finish(held, document);
        if let Some(earlier) = earlier {
            self.sleeper.wake_by(earlier.as_millis());
        }
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
        self.end_waits(&mut held, document, target, WhyLess::Drop);
        let effects = held.shard.session_mut(document).drop_access(&cx, target, WhyLess::Drop, &mut dropped);
        held.shard.forget_idle_editors(&dropped.connections);
        self.apply(held, document, effects);
        Ok(dropped)
    }
}
