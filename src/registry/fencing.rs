//! Fencing users from documents, and dropping them.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use super::shard::Shard;
use super::{Held, Registry};
use crate::access::{Dropped, Fence};
use crate::error::{ConnectionError, DocumentError, FenceError};
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::session::{DropTarget, WhyLess};
use crate::time::{Moment, Now};
use crate::work::AT_ONCE;

impl Registry {
    /// Makes the connections of these users view-only, or of all users.
    pub(crate) fn drop_access(
        &self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
    ) -> Result<Dropped, DocumentError> {
        let (named, unmatched) = self.named(key, users);
        let (hash, index) = self.locate(key);
        let held = self.hold(index, self.coarse_now());
        held.shard.find_open(key, hash).ok_or(DocumentError::NotOpen)?;
        let mut dropped = self.drop_from(held, (key, hash), named.as_deref(), WhyLess::Drop);
        dropped.unmatched.extend(unmatched);
        Ok(dropped)
    }

    /// Does what a drop does, and refuses these users, or everybody, edit and live-view access for so long.
    pub(crate) fn fence(
        &self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
        time: Option<Duration>,
        why: WhyLess,
    ) -> Result<Dropped, FenceError> {
        let now = self.coarse_now();
        let until = time.map_or(Moment::NEVER, |time| now.steady.after(time));
        // Each is looked at twice.
        if let Some(many) = users.filter(|users| users.len() > AT_ONCE / 2) {
            return self.fence_many(key, many, (until, now), why);
        }
        let (hash, index) = self.locate(key);
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

    /// The same for many users, some at a time. They are dropped together.
    fn fence_many(
        &self,
        key: &DocumentKey,
        users: &[UserId],
        (until, now): (Moment, Now),
        why: WhyLess,
    ) -> Result<Dropped, FenceError> {
        let (hash, index) = self.locate(key);
        // Whoever is named twice takes no more room.
        let each: Vec<UserId> = users.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let count = || {
            let new = |some| self.read(index, |shard| shard.fences.count_new(key, Some(some)));
            each.chunks(AT_ONCE).map(new).sum::<usize>()
        };
        let mut taken = count();
        if !self.fence_count.take(taken) {
            self.run_due_stays(now);
            taken = count();
            if !self.fence_count.take(taken) {
                return Err(FenceError::TooMany);
            }
        }
        let put = |some| {
            let mut held = self.hold(index, now);
            held.lower_earliest(until);
            held.shard.fences.put(key, Some(some), until)
        };
        let used = each.chunks(AT_ONCE).map(put).sum();
        // Another call may have fenced or unfenced some of them meanwhile.
        self.fence_count.correct(taken, used);
        self.sleeper.wake_by(until.as_millis());
        let (named, unmatched) = self.named(key, Some(users));
        let mut dropped = self.drop_from(self.hold(index, now), (key, hash), named.as_deref(), why);
        dropped.unmatched.extend(unmatched);
        Ok(dropped)
    }

    /// Those of many users who are in the document, and the others. A few are left to the call itself.
    fn named<'u>(
        &self,
        key: &DocumentKey,
        users: Option<&'u [UserId]>,
    ) -> (Option<Cow<'u, [UserId]>>, Vec<UserId>) {
        let Some(many) = users.filter(|users| users.len() > AT_ONCE) else {
            return (users.map(Cow::Borrowed), Vec::new());
        };
        let (hash, index) = self.locate(key);
        let (mut here, mut others) = (Vec::new(), Vec::new());
        for some in many.chunks(AT_ONCE) {
            let are_here: Vec<bool> = self.read(index, |shard| {
                let session = shard.find(key, hash).map(|document| shard.session(document));
                let is_here = |user| session.is_some_and(|session| session.has(user, &self.hasher));
                some.iter().map(is_here).collect()
            });
            for (user, is_here) in some.iter().zip(are_here) {
                if is_here { &mut here } else { &mut others }.push(user.clone());
            }
        }
        (Some(Cow::Owned(here)), others)
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

    /// Lifts the fences of these users, or all fences of a document, some at a time.
    pub(crate) fn unfence(&self, key: &DocumentKey, users: Option<&[UserId]>) {
        let (_, index) = self.locate(key);
        let now = self.coarse_now();
        if let Some(users) = users {
            for some in users.chunks(AT_ONCE) {
                self.hold(index, now).shard.fences.lift(key, some, &self.fence_count);
            }
            return;
        }
        let lift = |from| {
            let fences = &mut self.hold(index, now).shard.fences;
            fences.lift_some(key, &from, AT_ONCE, &self.fence_count)
        };
        let mut from = Some(Bound::Unbounded);
        while let Some(start) = from {
            from = lift(start);
        }
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
        let list = |shard: &Shard, last: Option<&(Fence, Moment)>| {
            shard.fences.list(last.map(|(fence, _)| fence), AT_ONCE)
        };
        let mut fences = self.list(list);
        fences.retain(|(_, until)| *until > now);
        fences
    }
}
