//! Admission: decides who gets which access.
//!
//! All limits are here. A connection gets every seat that its access needs, or none: whatever may refuse it is asked first,
//! under the locks that keep the answer true, and the engine's own limit, one compare-and-swap, comes last. So nothing is
//! taken and given back.
//!
//! A caller may hold its shard's lock. Under it the locks are taken in this order: the bucket of a user's seats, the lists
//! of named users, the notice board.

mod named_users;
mod pool;
mod user_seats;
mod watch;

use std::sync::Arc;

use crate::access::{Access, Grant, Reason};
use crate::config::Config;
use crate::error::OpenError;
use crate::ids::UserId;
use crate::limits::{Limit, Limits, NamedUsers, SeatCount};
use crate::notice::{LimitLevel, Notice, Pool};
use crate::notices::NoticeBoard;
use crate::seats::{Admitted, DocumentSeats, Seats};
use crate::sync::{AtomicBool, Mutex, MutexGuard, Ordering};
use crate::time::Timestamp;
pub(crate) use named_users::CountedUser;
use named_users::{Expired, LevelChange, NamedUserLists};
use pool::{AtomicLimit, SeatPool};
pub(crate) use user_seats::UserSeats;
use user_seats::UserSeatsGuard;

/// The limits of an engine, and what is taken of them.
#[derive(Debug)]
pub(crate) struct Admission {
    edit: SeatPool,
    live: SeatPool,
    /// Connections with view access. They have no limit.
    view: SeatPool,
    /// All connections, under the cap.
    all: SeatPool,
    /// Connections by access, where seats count users.
    connections: Option<[SeatPool; 3]>,
    document_limit: AtomicLimit,
    user_limit: AtomicLimit,
    pub(crate) user_seats: UserSeats,
    named_users: Mutex<NamedUserLists>,
    /// Whether there is a limit of named users.
    has_named_users: AtomicBool,
    draining: AtomicBool,
    notices: Arc<NoticeBoard>,
}

/// Somebody who asks for an access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) user: &'a UserId,
    pub(crate) asked: Access,
    pub(crate) document: DocumentSeats,
    /// Whether the seats of users are counted.
    pub(crate) counts_users: bool,
}

/// Whether an access takes a seat.
enum Seat {
    NotNeeded,
    Needed,
}

/// What a claim holds while the engine's own limit is asked: the locks that keep the other limits' answers true.
struct HeldLimits<'a> {
    user: Option<UserSeatsGuard<'a>>,
    named: Option<MutexGuard<'a, NamedUserLists>>,
}

/// Admitting.
impl Admission {
    pub(crate) fn new(config: &Config, notices: Arc<NoticeBoard>) -> Self {
        let pool = |limit| SeatPool::new(limit, config.warn_at);
        let by_users = config.seat_count == SeatCount::UsersOfDocuments;
        Admission {
            edit: pool(config.edit_limit),
            live: pool(config.live_limit),
            view: pool(None),
            all: pool(config.max_connections),
            connections: by_users.then(|| [pool(None), pool(None), pool(None)]),
            document_limit: AtomicLimit::new(config.document_limit),
            user_limit: AtomicLimit::new(config.user_limit),
            user_seats: UserSeats::new(),
            named_users: Mutex::new(NamedUserLists::new(config.named_users, config.warn_at)),
            has_named_users: AtomicBool::new(config.named_users.is_limited()),
            draining: AtomicBool::new(false),
            notices,
        }
    }

    /// Takes the seats that the claim needs. Where one is missing, the connection gets view access, with the reason.
    ///
    /// Errors if the cap of all connections is reached.
    pub(crate) fn admit(&self, claim: &Claim<'_>, now: Timestamp) -> Result<Admitted, OpenError> {
        let capped = self.all.try_take().ok_or(OpenError::TooMany)?;
        let refused = match self.take_seats(claim, now) {
            Ok((seats, in_use)) => {
                capped.keep();
                let connections = self.count_connection(claim.asked, in_use);
                return Ok(Admitted { access: claim.asked, reason: None, seats, connections });
            }
            Err(reason) => reason,
        };
        capped.keep();
        let connections = self.count_viewer();
        Ok(Admitted { access: Access::View, reason: Some(refused), seats: Seats::default(), connections })
    }

    /// What [`admit`](Self::admit) would answer now. Takes nothing, and tells nobody of a refusal.
    pub(crate) fn would_admit(&self, claim: &Claim<'_>, now: Timestamp) -> Result<Grant, OpenError> {
        if !self.all.has_free() {
            return Err(OpenError::TooMany);
        }
        let free =
            |()| if self.pool(claim.asked).has_free() { Ok(()) } else { Err(limit_reason(claim.asked)) };
        let decision = match self.check_document(claim) {
            Ok(Seat::NotNeeded) => Ok(()),
            Ok(Seat::Needed) => self.check_user(claim, now, |_| {}).map(drop).and_then(free),
            Err(reason) => Err(reason),
        };
        Ok(Grant::of(claim.asked, decision.err()))
    }

    /// Takes the seats, all or none. Also returns how many seats of the engine's limit are in use with this one.
    fn take_seats(&self, claim: &Claim<'_>, now: Timestamp) -> Result<(Seats, Option<u32>), Reason> {
        if let Seat::NotNeeded = self.check_document(claim)? {
            return Ok((Seats::default(), None));
        }
        let mut held = self.check_user(claim, now, |lists| {
            self.tell_named(claim.asked, lists.refused(claim.asked));
        })?;
        let pool = self.pool(claim.asked);
        let Some(seat) = pool.try_take() else {
            self.tell(claim.asked, pool.watch.refused(), pool.in_use());
            // Another thread may have freed a seat meanwhile, and have found nothing to tell.
            self.tell(claim.asked, pool.watch.fell(pool.in_use()), pool.in_use());
            return Err(limit_reason(claim.asked));
        };
        let in_use = seat.keep();
        if pool.watch.is_near(in_use) {
            self.tell_rise(claim.asked, in_use);
        }
        let user = held.user.as_mut().map(|seats| seats.add(claim.user, 1)).is_some();
        if let Some(lists) = &mut held.named {
            self.tell_named(claim.asked, lists.count(claim.asked, claim.user, now));
        }
        Ok((Seats { access: true, user }, Some(in_use)))
    }

    /// Asks what the document and the engine's state say: draining, then a save in hand, then the limit of the document.
    fn check_document(&self, claim: &Claim<'_>) -> Result<Seat, Reason> {
        let DocumentSeats { saving, editing, shares_seat } = claim.document;
        match claim.asked {
            Access::View => return Ok(Seat::NotNeeded),
            Access::Edit if self.is_draining() => return Err(Reason::Draining),
            Access::Edit if saving => return Err(Reason::Saving),
            _ if shares_seat => return Ok(Seat::NotNeeded),
            Access::Edit if self.document_limit.get().is_some_and(|limit| editing >= limit) => {
                return Err(Reason::DocumentLimit);
            }
            Access::Edit | Access::LiveView => {}
        }
        Ok(Seat::Needed)
    }

    /// Asks the limits of the user and of named users. `refused` hears of a refusal by the latter.
    fn check_user(
        &self,
        claim: &Claim<'_>,
        now: Timestamp,
        refused: impl Fn(&mut NamedUserLists),
    ) -> Result<HeldLimits<'_>, Reason> {
        let counted = claim.counts_users && claim.asked == Access::Edit;
        let user = counted.then(|| self.user_seats.lock(claim.user));
        if let (Some(seats), Some(limit)) = (&user, self.user_limit.get())
            && seats.get(claim.user) >= limit
        {
            return Err(Reason::UserLimit);
        }
        let mut named = self.has_named_users.load(Ordering::Acquire).then(|| self.named_users(now));
        if let Some(lists) = &mut named
            && !lists.may(claim.asked, claim.user)
        {
            refused(lists);
            return Err(Reason::UserQuota);
        }
        Ok(HeldLimits { user, named })
    }

    fn pool(&self, access: Access) -> &SeatPool {
        match access {
            Access::Edit => &self.edit,
            Access::LiveView => &self.live,
            Access::View => &self.view,
        }
    }

    /// Counts a connection. `in_use` are the seats in use at the moment at which its seat was taken: a later look might
    /// miss a peak. Returns how many connections have the access.
    fn count_connection(&self, access: Access, in_use: Option<u32>) -> u32 {
        match (&self.connections, in_use) {
            (Some(connections), _) => connections[access.index()].add(1),
            (None, Some(in_use)) => in_use,
            (None, None) => self.view.add(1),
        }
    }
}

/// Releasing.
impl Admission {
    /// Counts a connection that is a viewer from now on. Returns how many viewers there are.
    pub(crate) fn count_viewer(&self) -> u32 {
        self.count_connection(Access::View, None)
    }

    /// Releases what a connection took of the limits of its access. Returns how many connections still have the access.
    /// `user` is given if a seat of the user's limit is among it.
    pub(crate) fn release_access(&self, user: Option<&UserId>, access: Access, seats: Seats) -> u32 {
        if let Some(user) = user {
            self.user_seats.lock(user).subtract(user, 1);
        }
        let mut left = match access {
            Access::View if self.connections.is_none() => self.view.free(1),
            _ => 0,
        };
        if seats.access {
            let pool = self.pool(access);
            left = pool.free(1);
            if pool.watch.is_clear(left) {
                self.tell(access, pool.watch.fell(left), left);
            }
        }
        self.connections.as_ref().map_or(left, |connections| connections[access.index()].free(1))
    }

    /// Releases what a connection took of the cap.
    pub(crate) fn release_connection(&self) {
        self.all.free(1);
    }
}

/// The limits.
impl Admission {
    /// How many connections have this access.
    pub(crate) fn connections(&self, access: Access) -> u32 {
        self.connections.as_ref().map_or_else(|| self.pool(access), |pools| &pools[access.index()]).in_use()
    }

    /// Seats of the engine's limit of this access that are in use.
    pub(crate) fn seats_in_use(&self, access: Access) -> u32 {
        self.pool(access).in_use()
    }

    /// Connections that count under the cap.
    pub(crate) fn capped_connections(&self) -> u32 {
        self.all.in_use()
    }

    pub(crate) fn limits(&self) -> Limits {
        let limit = |pool: &SeatPool| Limit { limit: pool.limit(), in_use: pool.in_use() };
        let cap = limit(&self.all);
        Limits {
            edit: limit(&self.edit),
            live: limit(&self.live),
            document: self.document_limit.get(),
            user: self.user_limit.get(),
            connections: cap,
            named_users: self.named_users.lock().quota(),
        }
    }

    /// Changes the engine's limit of an access, and tells what the limit has come to by that.
    pub(crate) fn set_limit(&self, access: Access, limit: Option<u32>) {
        let pool = self.pool(access);
        pool.set_limit(limit);
        let in_use = pool.in_use();
        self.tell(access, pool.watch.changed(in_use), in_use);
    }

    pub(crate) fn set_document_limit(&self, limit: Option<u32>) {
        self.document_limit.set(limit);
    }

    pub(crate) fn set_user_limit(&self, limit: Option<u32>) {
        self.user_limit.set(limit);
    }

    pub(crate) fn set_cap(&self, cap: Option<u32>) {
        self.all.set_limit(cap);
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(crate) fn undrain(&self) {
        self.draining.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}

/// Named users.
impl Admission {
    /// Those who count now, by access: edit, then live view.
    pub(crate) fn list_named_users(&self, now: Timestamp) -> [Vec<CountedUser>; 2] {
        let lists = self.named_users(now);
        [Access::Edit, Access::LiveView].map(|access| lists.list(access))
    }

    /// Changes the limits of named users. Returns who is no longer counted, to be freed with no lock held.
    pub(crate) fn set_named_users(&self, quota: NamedUsers, now: Timestamp) -> Expired {
        let mut lists = self.named_users(now);
        let gone = lists.set(quota);
        for access in [Access::Edit, Access::LiveView] {
            self.tell_named(access, lists.changed(access));
        }
        self.has_named_users.store(quota.is_limited(), Ordering::Release);
        gone
    }

    /// The lists, without those whose days are over by `now`.
    fn named_users(&self, now: Timestamp) -> MutexGuard<'_, NamedUserLists> {
        let mut lists = self.named_users.lock();
        for access in [Access::Edit, Access::LiveView] {
            self.tell_named(access, lists.expire(access, now));
        }
        lists
    }
}

/// Notices of limits.
impl Admission {
    fn tell_rise(&self, access: Access, in_use: u32) {
        let pool = self.pool(access);
        if self.tell(access, pool.watch.rose(in_use), in_use) {
            // Another thread may have freed a seat meanwhile, and have found nothing to tell.
            let in_use = pool.in_use();
            self.tell(access, pool.watch.fell(in_use), in_use);
        }
    }

    /// Tells what a limit of the engine has come to, if it has. Returns true if so.
    fn tell(&self, access: Access, level: Option<LimitLevel>, in_use: u32) -> bool {
        let pool = if access == Access::Edit { Pool::Edit } else { Pool::Live };
        let limit = self.pool(access).limit().unwrap_or(0);
        if let Some(level) = level {
            self.notices.send(&Notice::Limit { pool, level, in_use, limit });
        }
        level.is_some()
    }

    fn tell_named(&self, access: Access, change: Option<LevelChange>) {
        let pool = if access == Access::Edit { Pool::Users } else { Pool::UsersView };
        if let Some(LevelChange { level, in_use, limit }) = change {
            self.notices.send(&Notice::Limit { pool, level, in_use, limit });
        }
    }
}

fn limit_reason(access: Access) -> Reason {
    if access == Access::Edit { Reason::ConnectionLimit } else { Reason::LiveViewLimit }
}
