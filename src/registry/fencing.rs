//! Fencing users from documents, and dropping them.

use std::time::Duration;

use super::{Held, Registry};
use crate::access::{Dropped, Fence};
use crate::error::{ConnectionError, DocumentError, FenceError};
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::session::{DropTarget, WhyLess};
use crate::time::Moment;

/// So many fences are listed under one hold of a shard lock.
const SLICE: usize = 128;

impl Registry {
    /// Makes the connections of these users view-only, or of all users.
    pub(crate) fn drop_access(
        &self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
    ) -> Result<Dropped, DocumentError> {
        let (hash, index) = self.locate(key);
        let held = self.hold(index, self.coarse_now());
        held.shard.find_open(key, hash).ok_or(DocumentError::NotOpen)?;
        Ok(self.drop_from(held, (key, hash), users, WhyLess::Drop))
    }

    /// Does what a drop does, and refuses these users, or everybody, edit and live-view access for so long.
    pub(crate) fn fence(
        &self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
        time: Option<Duration>,
        why: WhyLess,
    ) -> Result<Dropped, FenceError> {
        let (hash, index) = self.locate(key);
        let now = self.coarse_now();
        let until = time.map_or(Moment::NEVER, |time| now.steady.after(time));
        let mut held = self.hold(index, now);
        if !held.shard.fences.set(key, users, until, &self.fence_count) {
            // Those that have ended make room.
            drop(held);
            self.run_due_stays(now);
            held = self.hold(index, now);
            if !held.shard.fences.set(key, users, until, &self.fence_count) {
                return Err(FenceError::TooMany);
            }
        }
        held.lower_earliest(until);
        self.sleeper.wake_by(until.as_millis());
        Ok(self.drop_from(held, (key, hash), users, why))
    }

    /// Does what a drop of one connection does, and fences its user from its document for so long.
    pub(crate) fn fence_connection(
        &self,
        id: ConnectionId,
        time: Duration,
    ) -> Result<Result<Dropped, FenceError>, ConnectionError> {
        let (key, user) = self.owner(id).ok_or(ConnectionError::Unknown)?;
        Ok(self.fence(&key, Some(&[user]), Some(time), WhyLess::Drop))
    }

    fn drop_from(
        &self,
        mut held: Held<'_>,
        (key, hash): (&DocumentKey, u64),
        users: Option<&[UserId]>,
        why: WhyLess,
    ) -> Dropped {
        let mut dropped = Dropped::default();
        let Some(document) = held.shard.find(key, hash) else {
            dropped.unmatched = users.map(<[UserId]>::to_vec).unwrap_or_default();
            return dropped;
        };
        let (cx, target) = (held.cx, users.map_or(DropTarget::Everybody, DropTarget::Users));
        self.end_waits(&mut held, document, target, why);
        let effects = held.shard.session_mut(document).drop_access(&cx, target, why, &mut dropped);
        held.shard.forget_idle_editors(&dropped.connections);
        self.apply(held, document, effects);
        dropped
    }

    /// Lifts the fences of these users, or all fences of a document.
    pub(crate) fn unfence(&self, key: &DocumentKey, users: Option<&[UserId]>) {
        let (_, index) = self.locate(key);
        let mut held = self.hold(index, self.coarse_now());
        held.shard.fences.lift(key, users, &self.fence_count);
    }

    /// All fences that hold, by key and user.
    pub(crate) fn fences(&self) -> Vec<Fence> {
        let now = self.clock.now();
        let with_end = |(fence, until): (Fence, Moment)| {
            let until = (until < Moment::NEVER).then(|| now.wall_at(until));
            Fence { until, ..fence }
        };
        let mut fences: Vec<Fence> = self.holding_fences(now.steady).into_iter().map(with_end).collect();
        fences.sort_unstable_by(|one, other| (&one.key, &one.user).cmp(&(&other.key, &other.user)));
        fences
    }

    /// All fences that hold at `now`, with the moment at which each ends. Looks at some of them under one hold of a shard
    /// lock.
    pub(super) fn holding_fences(&self, now: Moment) -> Vec<(Fence, Moment)> {
        let mut fences = Vec::new();
        for index in 0..self.shards.len() {
            let mut last: Option<Fence> = None;
            loop {
                let some = self.read(index, |shard| shard.fences.list(last.as_ref(), SLICE));
                let is_last = some.len() < SLICE;
                last = some.last().map(|(fence, _)| fence.clone());
                fences.extend(some.into_iter().filter(|(_, until)| *until > now));
                if is_last {
                    break;
                }
            }
        }
        fences
    }
}
