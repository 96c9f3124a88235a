//! Admission: decides who gets which access.
//!
//! All limits are here. A connection gets every seat that its access needs, or none: whatever may refuse it is asked first,
//! under the locks that keep the answer true, and the engine's own limit, one compare-and-swap, comes last. So nothing is
//! taken and given back.
//!
//! A caller may hold its shard's lock. Under it the locks are taken in this order: the bucket of a user's seats, the lists
//! of named users, the waiters, the level of a limit, the notice board.

mod counted_users;
mod named_users;
mod pool;
mod turns;
mod user_seats;
mod waiters;
mod watch;

use std::sync::Arc;

use crate::access::{Access, Grant, Reason};
use crate::config::Config;
use crate::error::{ConfigError, OpenError};
use crate::ids::UserId;
use crate::limits::{Limit, Limits, NamedUsers, SeatCount};
use crate::notice::Pool;
use crate::notices::NoticeBoard;
use crate::seats::{Admitted, DocumentSeats, Seats};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, Ordering};
use crate::time::Timestamp;
use crate::work::AT_ONCE;
pub(crate) use counted_users::CountedUser;
use named_users::{NamedUserLists, Removed};
use pool::{AtomicLimit, Count, SeatPool};
pub(crate) use user_seats::UserSeats;
use user_seats::UserSeatsGuard;
use waiters::Waiters;
pub(crate) use waiters::{NEWCOMER, Queue, Ticket, Waiter};
use watch::Watch;

/// The limits of an engine, and what is taken of them.
#[derive(Debug)]
pub(crate) struct Admission {
    edit: SeatPool,
    live: SeatPool,
    /// All connections, under the cap.
    all: SeatPool,
    /// Connections with view access. They have no limit.
    view: Count,
    /// Connections by access, where seats count users.
    connections: Option<[Count; 3]>,
    document_limit: AtomicLimit,
    user_limit: AtomicLimit,
    pub(crate) user_seats: UserSeats,
    named_users: Mutex<NamedUserLists>,
    /// Whether there is a limit of named users. Written under the lock of the lists, read without it.
    has_named_users: AtomicBool,
    draining: AtomicBool,
    waiters: Mutex<Waiters>,
    /// How many wait.
    waiting: AtomicUsize,
}

/// So many users whose time is over are removed in an open. A tick removes the rest.
const CLEAN_IN_OPEN: usize = 16;

/// Somebody who asks for an access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    pub(crate) user: &'a UserId,
    pub(crate) asked: Access,
    pub(crate) document: DocumentSeats,
    /// Whether the seats of users are counted.
    pub(crate) counts_users: bool,
    /// The ticket of somebody who waits, or [`NEWCOMER`]. Those with a lower one come first.
    pub(crate) ticket: Ticket,
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
    pub(crate) fn new(config: &Config, notices: &Arc<NoticeBoard>) -> Self {
        let pool =
            |pool, limit| SeatPool::new(limit, Watch::new(pool, limit, config.warn_at, notices.clone()));
        let by_users = config.seat_count == SeatCount::UsersOfDocuments;
        Admission {
            edit: pool(Pool::Edit, config.edit_limit),
            live: pool(Pool::Live, config.live_limit),
            all: pool(Pool::Max, config.max_connections),
            view: Count::default(),
            connections: by_users.then(Default::default),
            document_limit: AtomicLimit::new(config.document_limit),
            user_limit: AtomicLimit::new(config.user_limit),
            user_seats: UserSeats::new(),
            named_users: Mutex::new(NamedUserLists::new(config.named_users, config.warn_at, notices)),
            has_named_users: AtomicBool::new(config.named_users.is_limited()),
            draining: AtomicBool::new(false),
            waiters: Mutex::new(Waiters::default()),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Takes the seats that the claim needs. Where one is missing, the connection gets view access, with the reason.
    ///
    /// Errors if the cap of all connections is reached.
    pub(crate) fn admit(&self, claim: &Claim<'_>, now: Timestamp) -> Result<Admitted, OpenError> {
        let capped = self.all.try_take(true).ok_or(OpenError::TooMany)?;
        let refused = match self.take_seats(claim, now, true) {
            Ok(taken) => {
                capped.keep();
                return Ok(self.admitted(claim.asked, taken));
            }
            Err(reason) => reason,
        };
        capped.keep();
        let connections = self.count_viewer();
        Ok(Admitted { access: Access::View, reason: Some(refused), seats: Seats::default(), connections })
    }

    /// Does the same, but where a seat is missing, takes nothing and tells nobody. `None` stands for the cap, of which it holds
    /// one meanwhile: the caller mostly takes that in the end.
    pub(crate) fn try_admit(&self, claim: &Claim<'_>, now: Timestamp) -> Result<Admitted, Option<Reason>> {
        let capped = self.all.try_take(false).ok_or(None)?;
        let taken = self.take_seats(claim, now, false)?;
        capped.keep();
        Ok(self.admitted(claim.asked, taken))
    }

    /// Takes the seats that a connection which is open needs to edit, or nothing. It is told if a newcomer is refused.
    pub(crate) fn admit_viewer(&self, claim: &Claim<'_>, now: Timestamp) -> Result<Admitted, Reason> {
        let taken = self.take_seats(claim, now, claim.ticket == NEWCOMER)?;
        Ok(self.admitted(claim.asked, taken))
    }

    fn admitted(&self, access: Access, (seats, in_use): (Seats, Option<u32>)) -> Admitted {
        let connections = self.count_connection(access, in_use);
        Admitted { access, reason: None, seats, connections }
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

    /// Takes the seats, all or none, and `tells` of a refusal. Also returns how many seats of the engine's limit are in use
    /// with this one.
    fn take_seats(
        &self,
        claim: &Claim<'_>,
        now: Timestamp,
        tells: bool,
    ) -> Result<(Seats, Option<u32>), Reason> {
        if let Seat::NotNeeded = self.check_document(claim)? {
            return Ok((Seats::default(), None));
        }
        let mut held = self.check_user(claim, now, |lists| {
            if tells {
                lists.refused(claim.asked);
            }
        })?;
        let in_use = if claim.ticket == NEWCOMER {
            self.pool(claim.asked).try_take(tells).ok_or(limit_reason(claim.asked))?.keep()
        } else {
            self.take_in_turn(claim.ticket).ok_or(Reason::ConnectionLimit)?
        };
        let user = held.user.as_mut().map(|seats| seats.add(claim.user, 1)).is_some();
        if let Some(lists) = &mut held.named {
            lists.count(claim.asked, claim.user, now);
        }
        Ok((Seats { access: true, user }, Some(in_use)))
    }

    /// Asks what the document and the engine's state say: draining, then a save in hand, then the limit of the document.
    fn check_document(&self, claim: &Claim<'_>) -> Result<Seat, Reason> {
        let DocumentSeats { fenced, saving, editing, shares_seat, queues } = claim.document;
        let [document_queue, saving_queue] = queues;
        match claim.asked {
            Access::View => return Ok(Seat::NotNeeded),
            Access::Edit if self.is_draining() => return Err(Reason::Draining),
            _ if fenced => return Err(Reason::Fenced),
            Access::Edit if saving => return Err(Reason::Saving),
            _ if shares_seat => return Ok(Seat::NotNeeded),
            Access::Edit if saving_queue => return Err(Reason::Saving),
            Access::Edit
                if document_queue || self.document_limit.get().is_some_and(|limit| editing >= limit) =>
            {
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
        refused: impl Fn(&NamedUserLists),
    ) -> Result<HeldLimits<'_>, Reason> {
        let counted = claim.counts_users && claim.asked == Access::Edit;
        let user = counted.then(|| self.user_seats.lock(claim.user));
        if let (Some(seats), Some(limit)) = (&user, self.user_limit.get())
            && (seats.get(claim.user) >= limit || self.user_queue(claim.user, claim.ticket))
        {
            return Err(Reason::UserLimit);
        }
        let mut named = self.limits_named_users().then(|| self.named_users(now));
        if let Some(lists) = &mut named {
            lists.clean(CLEAN_IN_OPEN);
            if !lists.may(claim.asked, claim.user) {
                refused(lists);
                return Err(Reason::UserQuota);
            }
        }
        Ok(HeldLimits { user, named })
    }

    /// The seats of edit or live-view access.
    fn pool(&self, access: Access) -> &SeatPool {
        if access == Access::Edit { &self.edit } else { &self.live }
    }

    /// Counts a connection. `in_use` are the seats in use at the moment at which its seat was taken: a later look might
    /// miss a peak. Returns how many connections have the access.
    fn count_connection(&self, access: Access, in_use: Option<u32>) -> u32 {
        match (&self.connections, in_use) {
            (Some(connections), _) => connections[access.index()].rise(),
            (None, Some(in_use)) => in_use,
            (None, None) => self.view.rise(),
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
            self.mark_user_due(user);
        }
        let mut left = match access {
            Access::View if self.connections.is_none() => self.view.fall(),
            _ => 0,
        };
        if seats.access {
            left = if access == Access::Edit { self.free_edit() } else { self.live.free() };
        }
        self.connections.as_ref().map_or(left, |connections| connections[access.index()].fall())
    }

    /// Releases what a connection took of the cap.
    pub(crate) fn release_connection(&self) {
        self.all.free();
    }
}

/// The limits.
impl Admission {
    /// How many connections have this access.
    pub(crate) fn connections(&self, access: Access) -> u32 {
        match (&self.connections, access) {
            (Some(connections), _) => connections[access.index()].get(),
            (None, Access::View) => self.view.get(),
            (None, _) => self.seats_in_use(access),
        }
    }

    /// Seats of the engine's limit of this access, edit or live view, that are in use.
    pub(crate) fn seats_in_use(&self, access: Access) -> u32 {
        let in_use = self.pool(access).read().in_use;
        let kept = if access == Access::Edit { self.kept_seats() } else { 0 };
        in_use.saturating_sub(kept)
    }

    /// Connections that count under the cap.
    pub(crate) fn capped_connections(&self) -> u32 {
        self.all.read().in_use
    }

    pub(crate) fn limits(&self) -> Limits {
        let cap = self.all.read();
        Limits {
            edit: self.edit.read(),
            live: self.live.read(),
            document: self.document_limit.get(),
            user: self.user_limit.get(),
            connections: cap,
            named_users: self.named_users.lock().quota(),
            waiting: self.waiting(),
        }
    }

    /// Changes the engine's limit of an access, and tells what the limit has come to by that.
    pub(crate) fn set_limit(&self, access: Access, limit: Option<u32>) {
        self.pool(access).set_limit(limit);
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

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}

/// Named users.
impl Admission {
    /// Those who count now, by access: edit, then live view. Each list is by end and id.
    pub(crate) fn list_named_users(&self, now: Timestamp) -> [Vec<CountedUser>; 2] {
        [Access::Edit, Access::LiveView].map(|access| {
            let mut list = Vec::new();
            let mut slice = self.named_users(now).slice(access, None, AT_ONCE);
            while let Some(last) = slice.last {
                list.append(&mut slice.counted);
                slice = self.named_users(now).slice(access, Some(&last), AT_ONCE);
            }
            list.sort_unstable();
            list
        })
    }

    /// Counts the named users of another process, as [`list_named_users`](Self::list_named_users) lists them.
    pub(crate) fn restore_named_users(&self, lists: [Vec<CountedUser>; 2], now: Timestamp) {
        for (access, list) in [Access::Edit, Access::LiveView].into_iter().zip(lists) {
            for (end, user) in list.into_iter().filter(|(end, _)| *end > now) {
                self.named_users.lock().restore(access, &user, end);
            }
        }
    }

    /// Changes the limits of named users. Returns who is no longer counted, to be freed with no lock held.
    pub(crate) fn change_named_users(
        &self,
        change: impl FnOnce(NamedUsers) -> Result<NamedUsers, ConfigError>,
        now: Timestamp,
    ) -> Result<Removed, ConfigError> {
        let mut lists = self.named_users(now);
        let quota = change(lists.quota())?;
        let removed = lists.set(quota);
        // No pair: what it tells of is read under the lock that is held here.
        self.has_named_users.store(quota.is_limited(), Ordering::Relaxed);
        Ok(removed)
    }

    /// The limits of named users, edit and live view, and how many count at `now`.
    pub(crate) fn named_user_limits(&self, now: Timestamp) -> [Limit; 2] {
        self.named_users(now).read()
    }

    /// Frees the memory of named users whose time is over, by slices.
    pub(crate) fn clean_named_users(&self) {
        let mut more = self.limits_named_users();
        while more {
            more = self.named_users.lock().clean(AT_ONCE);
        }
    }

    /// Returns true if there is a limit of named users. Whoever it concerns then takes the lock of the lists, and goes by what
    /// they say.
    fn limits_named_users(&self) -> bool {
        // No pair: the lock of the lists, under which it is stored, orders what it tells of.
        self.has_named_users.load(Ordering::Relaxed)
    }

    /// The lists at `now`. Those whose days are over do not count any more.
    fn named_users(&self, now: Timestamp) -> MutexGuard<'_, NamedUserLists> {
        let mut lists = self.named_users.lock();
        lists.expire(now);
        lists
    }
}

fn limit_reason(access: Access) -> Reason {
    if access == Access::Edit { Reason::ConnectionLimit } else { Reason::LiveViewLimit }
}
