//! Every limit at once: who gets a seat, and what is freed when one goes.
//!
//! A seat is taken wholly or not at all: whatever may refuse it is asked first, under the locks that keep the answer true,
//! and the engine's own pool, one compare-and-swap, comes last. Nothing is ever taken and given back.

use crate::access::{Access, Reason};
use crate::config::Config;
use crate::ids::UserId;
use crate::notice::{LimitLevel, Notice, Pool};
use crate::pool::SeatPool;
use crate::quota::{Forgotten, Named, NamedUsers, UserSeats};
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::time::Timestamp;

/// What one seat of a limit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeatCount {
    /// Every connection takes one.
    #[default]
    Connections,
    /// A user takes one on a document, however many connections it has there with the same access.
    UsersOfDocuments,
}

/// The limits of an engine, and what is taken of them.
#[derive(Debug)]
pub(crate) struct Seats {
    pub(crate) edit: SeatPool,
    pub(crate) live: SeatPool,
    /// Connections with view access; they have no limit.
    pub(crate) view: SeatPool,
    /// Connections by access, where those are not seats.
    connections: Option<Box<[SeatPool; 3]>>,
    /// All connections, once a cap was set.
    pub(crate) all: SeatPool,
    document: AtomicU64,
    user: AtomicU64,
    pub(crate) users: UserSeats,
    named: Mutex<Named>,
    /// Whether there is a quota of named users at all.
    named_on: AtomicBool,
    /// Held by whoever changes a limit that shards have to learn of, or recounts what they have learnt.
    pub(crate) changing: Mutex<()>,
}

/// Whoever asks for a seat.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) user: &'a UserId,
    /// Edit or live view.
    pub(crate) access: Access,
    /// Whether the seats of users are counted.
    pub(crate) counted: bool,
    pub(crate) now: Timestamp,
}

const NO_LIMIT: u64 = u64::MAX;

impl Seats {
    pub(crate) fn new(config: &Config) -> Self {
        let pool = |limit| SeatPool::new(limit, config.warn_at);
        let quota = config.named_users;
        let by_users = config.seat_count == SeatCount::UsersOfDocuments;
        Seats {
            edit: pool(config.edit_limit),
            live: pool(config.live_limit),
            view: pool(None),
            connections: by_users.then(|| Box::new([pool(None), pool(None), pool(None)])),
            all: pool(config.max_connections),
            document: AtomicU64::new(word(config.document_limit)),
            user: AtomicU64::new(word(config.user_limit)),
            users: UserSeats::new(),
            named: Mutex::new(Named::new(quota, config.warn_at)),
            named_on: AtomicBool::new(quota.edit.is_some() || quota.live.is_some()),
            changing: Mutex::new(()),
        }
    }

    /// Whether a user's second connection to a document takes no second seat.
    #[inline]
    pub(crate) fn by_users(&self) -> bool {
        self.connections.is_some()
    }

    pub(crate) fn document_limit(&self) -> Option<u32> {
        limit(&self.document)
    }

    pub(crate) fn set_document_limit(&self, limit: Option<u32>) {
        self.document.store(word(limit), Ordering::Release);
    }

    pub(crate) fn user_limit(&self) -> Option<u32> {
        limit(&self.user)
    }

    pub(crate) fn set_user_limit(&self, limit: Option<u32>) {
        self.user.store(word(limit), Ordering::Release);
    }

    /// The named users; those whose days are over by `now` have gone.
    pub(crate) fn named(&self, now: Timestamp, tell: &mut dyn FnMut(Notice)) -> MutexGuard<'_, Named> {
        let mut named = self.named.lock();
        for access in [Access::Edit, Access::LiveView] {
            let users = named.of(access);
            if let Some(level) = users.expire(now) {
                tell(notice(named_pool(access), level, users.in_use(), users.limit()));
            }
        }
        named
    }

    pub(crate) fn quota(&self) -> NamedUsers {
        self.named.lock().quota()
    }

    /// Changes the limits of named users, and tells what they have come to by that. Returns who is forgotten.
    pub(crate) fn set_named(
        &self,
        quota: NamedUsers,
        now: Timestamp,
        tell: &mut dyn FnMut(Notice),
    ) -> [Forgotten; 2] {
        let mut named = self.named(now, tell);
        let forgotten = named.set(quota);
        for access in [Access::Edit, Access::LiveView] {
            let users = named.of(access);
            if let Some(level) = users.turned() {
                tell(notice(named_pool(access), level, users.in_use(), users.limit()));
            }
        }
        self.named_on.store(quota.edit.is_some() || quota.live.is_some(), Ordering::Release);
        forgotten
    }

    #[inline]
    fn pool(&self, access: Access) -> &SeatPool {
        match access {
            Access::Edit => &self.edit,
            Access::LiveView => &self.live,
            Access::View => &self.view,
        }
    }

    /// How many connections have this access.
    pub(crate) fn connections(&self, access: Access) -> u32 {
        self.connections.as_ref().map_or_else(|| self.pool(access), |pools| &pools[access.place()]).in_use()
    }

    /// Takes a seat, or says why there is none. `tell` hears what the limits have come to. Returns how many are taken of the
    /// engine's pool, with this one.
    #[inline]
    pub(crate) fn take(&self, claim: Claim<'_>, tell: &mut impl FnMut(Notice)) -> Result<u32, Reason> {
        let pool = self.pool(claim.access);
        // Nearly always there is nobody else to ask, nothing to say, and a seat.
        if !claim.counted
            && !self.named_on.load(Ordering::Acquire)
            && let Some(seat) = pool.try_take()
        {
            let in_use = seat.keep();
            if pool.watch.is_near(in_use) {
                self.tell_rise(claim.access, in_use, tell);
            }
            return Ok(in_use);
        }
        self.claim(claim, true, tell)
    }

    /// So many are in use after one was taken, which may be something to tell.
    #[cold]
    fn tell_rise(&self, access: Access, in_use: u32, tell: &mut dyn FnMut(Notice)) {
        if self.say(access, self.pool(access).watch.rose(in_use), in_use, tell) {
            self.look_again(access, tell);
        }
    }

    /// What [`take`](Self::take) would say.
    pub(crate) fn would_take(&self, claim: Claim<'_>, tell: &mut dyn FnMut(Notice)) -> Result<(), Reason> {
        self.claim(claim, false, tell).map(drop)
    }

    #[inline(never)]
    fn claim(&self, claim: Claim<'_>, take: bool, tell: &mut dyn FnMut(Notice)) -> Result<u32, Reason> {
        let Claim { user, access, counted, now } = claim;
        let mut held = (counted && access == Access::Edit).then(|| self.users.of(user));
        if let Some(held) = &held
            && self.user_limit().is_some_and(|limit| held.get(user) >= limit)
        {
            return Err(Reason::UserLimit);
        }
        let mut named = self.named_on.load(Ordering::Acquire).then(|| self.named(now, tell));
        if let Some(named) = &mut named {
            let users = named.of(access);
            if !users.may(user) {
                // Who only asks turns nothing: the notice is for the first who is refused.
                if take && let Some(level) = users.refused() {
                    tell(notice(named_pool(access), level, users.in_use(), users.limit()));
                }
                return Err(Reason::UserQuota);
            }
        }
        let pool = self.pool(access);
        if !take {
            return if pool.has_free() { Ok(pool.in_use()) } else { Err(limit_reason(access)) };
        }
        let Some(seat) = pool.try_take() else {
            if self.say(access, pool.watch.refused(), pool.in_use(), tell) {
                self.look_again(access, tell);
            }
            return Err(limit_reason(access));
        };
        // From here on the connection's entry stands for the seat.
        let in_use = seat.keep();
        self.tell_rise(access, in_use, tell);
        if let Some(held) = &mut held {
            held.add(user, 1);
        }
        if let Some(named) = &mut named {
            let end = named.end(now);
            let users = named.of(access);
            if let Some(level) = users.count(user, end) {
                tell(notice(named_pool(access), level, users.in_use(), users.limit()));
            }
        }
        Ok(in_use)
    }

    /// Another thread may have freed what was just said to be taken, and have found nothing to say then.
    fn look_again(&self, access: Access, tell: &mut dyn FnMut(Notice)) {
        let pool = self.pool(access);
        let in_use = pool.in_use();
        self.say(access, pool.watch.fell(in_use), in_use, tell);
    }

    /// Tells what a limit of the engine's has come to, if it has. Whether it has.
    fn say(
        &self,
        access: Access,
        level: Option<LimitLevel>,
        in_use: u32,
        tell: &mut dyn FnMut(Notice),
    ) -> bool {
        if let Some(level) = level {
            tell(notice(engine_pool(access), level, in_use, self.pool(access).limit()));
        }
        level.is_some()
    }

    /// So many connections more have this access; their seats were taken, if they have some of their own: `taken` are
    /// in use with them. Returns how many connections have the access.
    #[inline]
    pub(crate) fn came(&self, access: Access, connections: u32, taken: Option<u32>) -> u32 {
        match &self.connections {
            Some(pools) => pools[access.place()].add(connections),
            None if access == Access::View => self.view.add(connections),
            // What the compare-and-swap said: a look now might miss a peak.
            None => taken.unwrap_or_else(|| self.pool(access).in_use()),
        }
    }

    /// So many connections of a user no longer have this access; `all`: these are all that the user has there. Returns how
    /// many connections have it.
    #[inline(always)]
    pub(crate) fn went(
        &self,
        claim: Claim<'_>,
        connections: u32,
        all: bool,
        tell: &mut impl FnMut(Notice),
    ) -> u32 {
        if claim.counted || self.by_users() {
            return self.went_of_users(claim, connections, all, tell);
        }
        let pool = self.pool(claim.access);
        let left = pool.free(connections);
        if pool.watch.is_clear(left) {
            self.tell_fall(claim.access, left, tell);
        }
        left
    }

    /// The same where users are counted, or seats go by them.
    #[inline(never)]
    fn went_of_users(
        &self,
        claim: Claim<'_>,
        connections: u32,
        all: bool,
        tell: &mut dyn FnMut(Notice),
    ) -> u32 {
        let Claim { user, access, counted, .. } = claim;
        let seats = if self.by_users() { u32::from(all) } else { connections };
        let left = self.connections.as_ref().map(|pools| pools[access.place()].free(connections));
        if access == Access::View {
            return left.unwrap_or_else(|| self.view.free(connections));
        }
        if counted && access == Access::Edit && seats > 0 {
            self.users.of(user).sub(user, seats);
        }
        let pool = self.pool(access);
        let in_use = pool.free(seats);
        self.say(access, pool.watch.fell(in_use), in_use, tell);
        left.unwrap_or(in_use)
    }

    /// So many are in use after one was freed, which may be something to tell.
    #[cold]
    fn tell_fall(&self, access: Access, in_use: u32, tell: &mut dyn FnMut(Notice)) {
        self.say(access, self.pool(access).watch.fell(in_use), in_use, tell);
    }

    /// Changes the limit of a pool of the engine, and tells what it has come to by that.
    pub(crate) fn set_limit(&self, access: Access, limit: Option<u32>) -> Option<Notice> {
        let pool = self.pool(access);
        pool.set_limit(limit);
        let in_use = pool.in_use();
        let level = pool.watch.turned(in_use);
        level.map(|level| notice(engine_pool(access), level, in_use, limit))
    }
}

fn word(limit: Option<u32>) -> u64 {
    limit.map_or(NO_LIMIT, u64::from)
}

fn limit(word: &AtomicU64) -> Option<u32> {
    u32::try_from(word.load(Ordering::Acquire)).ok()
}

fn notice(pool: Pool, level: LimitLevel, in_use: u32, limit: Option<u32>) -> Notice {
    Notice::Limit { pool, level, in_use, limit: limit.unwrap_or(0) }
}

fn limit_reason(access: Access) -> Reason {
    if access == Access::Edit { Reason::ConnectionLimit } else { Reason::LiveViewLimit }
}

fn engine_pool(access: Access) -> Pool {
    if access == Access::Edit { Pool::Edit } else { Pool::Live }
}

fn named_pool(access: Access) -> Pool {
    if access == Access::Edit { Pool::Users } else { Pool::UsersView }
}
