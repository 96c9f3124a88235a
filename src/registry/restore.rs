//! An engine made of a snapshot.

use std::collections::{HashMap, HashSet};

use super::Registry;
use super::denials::Denied;
use super::snapshot::{FenceSnapshot, Snapshot, StaySnapshot};
use super::stay::RestoredStay;
use crate::access::Access;
use crate::admission::{NEWCOMER, Queue, Ticket, Waiter};
use crate::config::Config;
use crate::error::RestoreError;
use crate::ids::{DocumentKey, User, UserId};
use crate::session::{MemberSnapshot, Session, SessionSnapshot, TabSnapshot};
use crate::sync::Ordering;
use crate::time::Moment;
use crate::token::ResumeToken;

/// A connection that comes back.
struct Returning {
    /// The document's place in the snapshot.
    document: usize,
    user: User,
    tab: TabSnapshot,
    stay: RestoredStay,
    /// Its ticket, if it waits for edit access.
    ticket: Option<Ticket>,
}

/// A restore adds so much to the numbers of deliveries, so that none is that of a delivery which may still be out.
const DELIVERIES_APART: u64 = 1 << 32;
/// No engine handed out more.
const DELIVERIES_MAX: u64 = u64::MAX / 2;

impl Registry {
    /// An engine with everything of a snapshot. Each connection with a token is lost, with the full grace from now on; one
    /// without leaves at once. Seats are given by the order of joining, and whoever finds none is a viewer.
    pub(crate) fn restore(config: &Config, snapshot: Snapshot) -> Result<Self, RestoreError> {
        snapshot.check_version()?;
        let Snapshot { epoch, deliveries, documents, stays, fences, named_users, usage, usage_seed, .. } =
            snapshot;
        let mut registry = Registry::new(config);
        registry.epoch = epoch.checked_add(1).ok_or(RestoreError::Damaged)?;
        registry.stays_on = true;
        registry.set_usage_seed(usage_seed);
        if deliveries > DELIVERIES_MAX {
            return Err(RestoreError::Damaged);
        }
        // No pair: no other thread knows the engine yet.
        registry.deliveries.store(deliveries + DELIVERIES_APART, Ordering::Relaxed);
        for lock in &registry.shards {
            lock.shard.lock().stays.set_epoch(registry.epoch);
        }
        registry.admission.restore_named_users(named_users, registry.clock.coarse().wall);
        let mut denied = registry.restore_usage(usage)?;
        registry.restore_fences(fences)?;
        registry.restore_documents(documents, &stays, &mut denied)?;
        registry.count_left(&denied);
        Ok(registry)
    }

    fn restore_fences(&self, fences: Vec<FenceSnapshot>) -> Result<(), RestoreError> {
        for FenceSnapshot { key, user, left } in fences {
            let (_, index) = self.locate(&key);
            let mut held = self.hold(index, self.clock.coarse());
            let until = left.map_or(Moment::NEVER, |left| held.cx.now.after(left));
            let users = user.map(|user| [user]);
            let users = users.as_ref().map(<[UserId; 1]>::as_slice);
            if !held.shard.fences.set(&key, users, until, &self.fence_count) {
                return Err(RestoreError::Damaged);
            }
            held.lower_earliest(until);
            self.sleeper.wake_by(until.as_millis());
        }
        Ok(())
    }

    fn restore_documents(
        &mut self,
        documents: Vec<SessionSnapshot>,
        stays: &[StaySnapshot],
        denied: &mut Denied,
    ) -> Result<(), RestoreError> {
        let (mut kept, mut names) = (HashMap::with_capacity(stays.len()), HashSet::new());
        let mut tickets = HashSet::new();
        for StaySnapshot { id, token, attempt, open_for, ticket } in stays {
            let token: ResumeToken = token.parse().map_err(|_| RestoreError::Damaged)?;
            if !names.insert((token.epoch, token.name)) {
                return Err(RestoreError::Damaged);
            }
            let stay = RestoredStay { token, attempt: *attempt, open_for: *open_for };
            let is_new = ticket.is_none_or(|ticket| tickets.insert(ticket));
            if !is_new || token.epoch >= self.epoch || kept.insert(*id, (stay, *ticket)).is_some() {
                return Err(RestoreError::Damaged);
            }
        }
        let (mut keys, mut editors, mut returning) = (Vec::new(), Vec::new(), Vec::new());
        let mut present = HashSet::new();
        for (document, snapshot) in documents.into_iter().enumerate() {
            keys.push(snapshot.key.clone());
            editors.push(snapshot.editors());
            for (user, tab) in snapshot.connections() {
                if !present.insert(tab.id) {
                    return Err(RestoreError::Damaged);
                }
                let Some((stay, ticket)) = kept.remove(&tab.id) else { continue };
                returning.push(Returning { document, user, tab, stay, ticket });
            }
            self.restore_document(snapshot)?;
        }
        // Those who were there first come first. The sort keeps the order of connections of the same age.
        returning.sort_by_key(|one| std::cmp::Reverse(one.stay.open_for));
        for one in &returning {
            self.restore_connection(&keys[one.document], one, denied)?;
        }
        for (key, editors) in keys.iter().zip(&editors) {
            self.begin_again(key, editors);
        }
        Ok(())
    }

    fn restore_document(&self, snapshot: SessionSnapshot) -> Result<(), RestoreError> {
        let key = snapshot.key.clone();
        let (hash, index) = self.locate(&key);
        let mut held = self.hold(index, self.clock.coarse());
        if held.shard.find(&key, hash).is_some() {
            return Err(RestoreError::Damaged);
        }
        held.shard.check_room(None).map_err(|_| RestoreError::Damaged)?;
        let cx = held.cx;
        let session = Session::restore(&cx, snapshot).map_err(|_| RestoreError::Damaged)?;
        let document = held.shard.insert(&key, &self.hasher, &self.ready);
        *held.shard.session_mut(document) = session;
        Ok(())
    }

    fn restore_connection(
        &mut self,
        key: &DocumentKey,
        one: &Returning,
        denied: &mut Denied,
    ) -> Result<(), RestoreError> {
        let Returning { user, tab, stay, ticket, .. } = one;
        let (hash, index) = self.locate(key);
        let mut held = self.hold(index, self.clock.coarse());
        let document = held.shard.find(key, hash).ok_or(RestoreError::Damaged)?;
        held.shard.check_room(Some(document)).map_err(|_| RestoreError::Damaged)?;
        let cx = held.cx;
        let mut claim = self.claim(&held, (key, Some(document)), (user.id(), tab.access), NEWCOMER);
        // A seat is kept, whatever refuses newcomers.
        (claim.document.saving, claim.document.fenced) = (false, false);
        // Past a cap that is lower by now it leaves at once.
        let Ok(mut admitted) = self.admission.admit(&claim, cx.wall) else { return Ok(()) };
        admitted.reason = admitted.reason.or(tab.reason);
        let id = held.shard.connect(document, |session, id| session.rejoin(&cx, user, id, admitted));
        if let Some(recorder) = &self.recorder {
            recorder.record_rise(admitted.access, admitted.connections, cx.now);
            held.shard.meter.record_change(cx.now, None, Some(admitted.access));
            self.resume_denied(&mut held, (document, user.id()), admitted.access, denied);
        }
        held.shard.restore_stay(id, stay, cx.now);
        if let Some(earlier) = held.shard.look_at_stay(id) {
            held.lower_earliest(earlier);
            self.sleeper.wake_by(earlier.as_millis());
        }
        if let Some(ticket) = ticket.filter(|_| admitted.access < Access::Edit) {
            let queue = admitted.reason.and_then(|reason| Queue::of(reason, key, user.id()));
            let (queue, since) = (queue.unwrap_or(Queue::Engine), cx.now);
            let waiter = Waiter { ticket, queue, since, lost: true };
            self.admission.wait_on(id, waiter).map_err(|()| RestoreError::Damaged)?;
        }
        drop(held);
        let index = u32::try_from(index).expect("shards are few");
        self.restored.insert((stay.token.epoch, stay.token.name), index);
        Ok(())
    }

    fn begin_again(&self, key: &DocumentKey, editors: &[UserId]) {
        let (hash, index) = self.locate(key);
        let mut held = self.hold(index, self.clock.coarse());
        if let Some(document) = held.shard.find(key, hash) {
            let cx = held.cx;
            held.shard.session_mut(document).begin_again(&cx, editors);
            self.finish(held, document);
        }
    }

    /// The shard of the connection that a token names.
    pub(super) fn shard_of_token(&self, token: &ResumeToken) -> Option<usize> {
        if token.epoch == self.epoch {
            return Some(self.shard_of(token.name));
        }
        self.restored.get(&(token.epoch, token.name)).map(|shard| *shard as usize)
    }
}

impl SessionSnapshot {
    /// Every connection, by user, in the order in which they began to edit.
    fn connections(&self) -> Vec<(User, TabSnapshot)> {
        let of_member = |one: &MemberSnapshot| {
            let user = one.user();
            one.connections.iter().map(move |tab| (user.clone(), *tab)).collect::<Vec<_>>()
        };
        self.participants.iter().flat_map(of_member).collect()
    }

    /// The users who edit, in that order.
    fn editors(&self) -> Vec<UserId> {
        let edits = |one: &&MemberSnapshot| one.connections.iter().any(|tab| tab.access == Access::Edit);
        self.participants.iter().filter(edits).map(|one| one.user().id().clone()).collect()
    }
}
