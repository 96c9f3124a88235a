//! Limits by user: how many seats one may hold over all documents, and how many named users there may be.
//!
//! The locks here are the last that a call takes: it may hold its shard's, and takes none after these.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::ids::UserId;
use crate::notice::LimitLevel;
use crate::pool::Watch;
use crate::sync::{Mutex, MutexGuard};
use crate::time::Timestamp;

/// How many users may be given access, whoever they are: a user counts from the first time it is given edit (or
/// live-view) access until the end of that day, UTC, and some days more. Who counts already is never refused for it.
///
/// ```
/// use coedit::{Access, Config, DocumentKey, Engine, NamedUsers, Reason, User};
///
/// let quota = NamedUsers { edit: Some(1), expire_days: 30, ..NamedUsers::default() };
/// let engine = Engine::new(Config::new().named_users(quota))?;
/// let key = DocumentKey::new("report")?;
/// drop(engine.open(&key, &User::new("ann")?, Access::Edit)?);
///
/// let ben = engine.open(&key, &User::new("ben")?, Access::Edit)?;
/// assert_eq!(ben.granted().reason, Some(Reason::UserQuota));
/// assert!(engine.open(&key, &User::new("ann")?, Access::Edit)?.may_edit());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedUsers {
    /// How many may edit; `None` without a limit.
    pub edit: Option<u32>,
    /// How many may have the live view; `None` without a limit.
    pub live: Option<u32>,
    /// How many days a user counts after the day of its first access. 0 to 36,500.
    pub expire_days: u32,
}

/// Seats by user. Kept only once a limit of a user was set.
#[derive(Debug)]
pub(crate) struct UserSeats {
    hasher: RandomState,
    /// By the user's hash, so that threads seldom meet.
    buckets: [Mutex<Bucket>; BUCKETS],
}

type Bucket = HashMap<UserId, u32, RandomState>;

const BUCKETS: usize = 16;

impl UserSeats {
    pub(crate) fn new() -> Self {
        let hasher = RandomState::default();
        UserSeats { hasher, buckets: std::array::from_fn(|_| Mutex::new(Bucket::default())) }
    }

    /// Where the user's seats are counted.
    pub(crate) fn of(&self, user: &UserId) -> Count<'_> {
        let bits = usize::from(self.hasher.hash_one(user).to_be_bytes()[0]);
        Count { bucket: self.buckets[bits % BUCKETS].lock() }
    }

    /// Forgets everybody. Only while no shard counts.
    pub(crate) fn clear(&self) {
        for bucket in &self.buckets {
            let emptied = std::mem::take(&mut *bucket.lock());
            drop(emptied);
        }
    }

    /// All counts.
    pub(crate) fn counts(&self) -> HashMap<UserId, u32> {
        let of = |bucket: &Mutex<Bucket>| {
            bucket.lock().iter().map(|(user, count)| (user.clone(), *count)).collect::<Vec<_>>()
        };
        self.buckets.iter().flat_map(of).collect()
    }
}

/// A look at some users' seats, which nobody else moves meanwhile.
pub(crate) struct Count<'a> {
    bucket: MutexGuard<'a, Bucket>,
}

impl Count<'_> {
    pub(crate) fn get(&self, user: &UserId) -> u32 {
        self.bucket.get(user).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, user: &UserId, count: u32) {
        if let Some(held) = self.bucket.get_mut(user) {
            *held += count;
        } else if count > 0 {
            self.bucket.insert(user.clone(), count);
        }
    }

    pub(crate) fn sub(&mut self, user: &UserId, count: u32) {
        let held = self.get(user).saturating_sub(count);
        if held == 0 {
            self.bucket.remove(user);
        } else if let Some(kept) = self.bucket.get_mut(user) {
            *kept = held;
        }
    }
}

/// The named users that count, by access.
#[derive(Debug)]
pub(crate) struct Named {
    days: u32,
    pub(crate) edit: Names,
    pub(crate) live: Names,
}

/// Those of one access. Never more than were allowed.
#[derive(Debug)]
pub(crate) struct Names {
    limit: Option<u32>,
    until: HashMap<UserId, Timestamp>,
    by_end: BTreeSet<(Timestamp, UserId)>,
    watch: Watch,
}

/// Named users of a limit that was lifted.
pub(crate) type Forgotten = (HashMap<UserId, Timestamp>, BTreeSet<(Timestamp, UserId)>);

impl Named {
    pub(crate) fn new(quota: NamedUsers, percent: u32) -> Self {
        let names = |limit| Names {
            limit,
            until: HashMap::new(),
            by_end: BTreeSet::new(),
            watch: Watch::new(limit, percent),
        };
        Named { days: quota.expire_days, edit: names(quota.edit), live: names(quota.live) }
    }

    pub(crate) fn quota(&self) -> NamedUsers {
        NamedUsers { edit: self.edit.limit, live: self.live.limit, expire_days: self.days }
    }

    /// Changes the limits. Who counts goes on counting, until the moment that was fixed at the first access; without a
    /// limit nobody is counted.
    /// Returns who is forgotten, to be freed where no lock is held.
    pub(crate) fn set(&mut self, quota: NamedUsers) -> [Forgotten; 2] {
        self.days = quota.expire_days;
        [self.edit.set(quota.edit), self.live.set(quota.live)]
    }

    pub(crate) fn of(&mut self, access: Access) -> &mut Names {
        if access == Access::Edit { &mut self.edit } else { &mut self.live }
    }

    /// The end of the days for which a user counts whose first access is `now`.
    pub(crate) fn end(&self, now: Timestamp) -> Timestamp {
        now.midnight_after(self.days)
    }
}

impl Names {
    /// Lets those go whose days are over. Says so if that clears the limit.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Option<LimitLevel> {
        while let Some((end, _)) = self.by_end.first()
            && *end <= now
        {
            if let Some((_, user)) = self.by_end.pop_first() {
                self.until.remove(&user);
            }
        }
        self.watch.fell(self.in_use())
    }

    /// Whether the user counts, or may. Those whose days are over were let go before.
    pub(crate) fn may(&self, user: &UserId) -> bool {
        self.limit.is_none_or(|limit| self.in_use() < limit) || self.until.contains_key(user)
    }

    pub(crate) fn refused(&self) -> Option<LimitLevel> {
        self.watch.refused()
    }

    /// The user is given the access, and counts until `end` if it does not count yet.
    pub(crate) fn count(&mut self, user: &UserId, end: Timestamp) -> Option<LimitLevel> {
        if self.limit.is_none() || self.until.contains_key(user) {
            return None;
        }
        self.until.insert(user.clone(), end);
        self.by_end.insert((end, user.clone()));
        self.watch.rose(self.in_use())
    }

    /// What the limit has come to by a change of it.
    pub(crate) fn turned(&self) -> Option<LimitLevel> {
        self.watch.turned(self.in_use())
    }

    fn set(&mut self, limit: Option<u32>) -> Forgotten {
        self.limit = limit;
        self.watch.set(limit);
        if limit.is_some() {
            return Forgotten::default();
        }
        (std::mem::take(&mut self.until), std::mem::take(&mut self.by_end))
    }

    pub(crate) fn limit(&self) -> Option<u32> {
        self.limit
    }

    /// How many count.
    pub(crate) fn in_use(&self) -> u32 {
        u32::try_from(self.until.len()).unwrap_or(u32::MAX)
    }

    /// Until when who counts, by end and id.
    pub(crate) fn list(&self) -> Vec<(Timestamp, UserId)> {
        self.by_end.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn a_named_user_counts_to_the_end_of_its_days() {
        let quota = NamedUsers { edit: Some(1), live: None, expire_days: 2 };
        let mut named = Named::new(quota, 70);
        let now = Timestamp::from_millis(10 * DAY + 5);
        let end = named.end(now);
        assert_eq!(end, Timestamp::from_millis(13 * DAY));
        let users = named.of(Access::Edit);
        assert_eq!(users.count(&user("ann"), end), Some(LimitLevel::Warning));
        assert_eq!(users.count(&user("ann"), Timestamp::MAX), None, "the first access fixes the end");
        assert!(users.may(&user("ann")) && !users.may(&user("ben")));
        assert_eq!(users.refused(), Some(LimitLevel::Reached));
        assert_eq!(users.expire(Timestamp::from_millis(13 * DAY - 1)), None);
        assert_eq!(users.list(), [(end, user("ann"))]);
        assert_eq!(users.expire(end), Some(LimitLevel::Clear));
        assert!(users.may(&user("ben")));
    }

    #[test]
    fn a_users_seats_are_counted_while_there_are_any() {
        let seats = UserSeats::new();
        seats.of(&user("ann")).add(&user("ann"), 2);
        seats.of(&user("ann")).sub(&user("ann"), 1);
        assert_eq!(seats.counts(), HashMap::from([(user("ann"), 1)]));
        seats.of(&user("ann")).sub(&user("ann"), 1);
        assert_eq!((seats.counts().len(), seats.of(&user("ann")).get(&user("ann"))), (0, 0));
    }
}
