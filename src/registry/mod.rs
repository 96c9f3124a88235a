//! The shards, the locks over them, and all that threads share.
//!
//! # The lock rule
//!
//! At most one shard's lock is held at any time, and only inside [`Registry::locked`]. Under it no host code runs, no
//! clock is read, and nothing is sent: what a call leaves to do is collected in an [`After`] and done by
//! [`Registry::finish`] once the lock is released. The sleeper's lock is taken with no other lock held.

mod connections;
mod queue;
mod shard;
mod sleeper;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::access::{Access, Dropped, Grant, Participant};
use crate::callback::{Callback, ForceSaveType};
use crate::config::Config;
use crate::error::{
    ChangeError, ConnectionError, DocumentError, ForceSaveError, ForgottenError, InfoError, OpenError,
};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notice::Notice;
use crate::seats::SeatPool;
use crate::session::{Rules, Session, Verdict};
use crate::time::{Clock, Timestamp};
pub(crate) use queue::Nothing;
use queue::Queue;
use shard::{After, Context, Shard, Whom};
use sleeper::{NEVER, Sleeper};

/// The seats of the engine.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) edit: SeatPool,
    pub(crate) live: SeatPool,
}

/// A document's place: its shard, and where it stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    shard: u32,
    place: u32,
}

/// The documents that have something to tell, each at most once.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: Queue<Location>,
    /// Entries whose document is gone and whose place is empty.
    stale: AtomicUsize,
    most: usize,
}

impl Waiting {
    fn are_too_many(&self) -> bool {
        self.queue.len().saturating_sub(self.stale.load(Ordering::Relaxed)) > self.most
    }

    fn entry_outlived_its_document(&self) {
        self.stale.fetch_add(1, Ordering::Relaxed);
    }

    fn inherited_entry_left(&self) {
        self.stale.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Everything that the handles of one engine share.
pub(crate) struct Registry {
    shards: Box<[Place]>,
    /// Keyed at random: keys come from outside.
    hasher: RandomState,
    rules: Rules,
    pools: Pools,
    waiting: Waiting,
    notices: Queue<Notice>,
    /// How many receivers of notices there are. Without any, no notice is kept.
    listeners: AtomicUsize,
    notices_missed: AtomicU64,
    most_notices: usize,
    sleeper: Sleeper,
    clock: Arc<dyn Clock>,
    draining: AtomicBool,
    shut_down: AtomicBool,
    /// Whether a thread keeps the engine's time.
    timed: AtomicBool,
    /// Documents that a shutdown waits for, and one for the shutdown itself.
    unfinished: AtomicUsize,
}

/// A shard under its lock. Aligned so that no two locks share a cache line, nor a pair that is fetched together.
#[repr(align(128))]
struct Place {
    /// The shard's earliest deadline in milliseconds, written under the lock and read without.
    earliest: AtomicU64,
    shard: Mutex<Shard>,
}

/// Deadlines that fall due under one hold of a shard's lock.
const SLICE: usize = 128;

impl Registry {
    pub(crate) fn new(config: &Config) -> Self {
        let count = config.shard_count();
        let of = u32::try_from(count).unwrap_or(1);
        let place =
            |number| Place { earliest: AtomicU64::new(NEVER), shard: Mutex::new(Shard::new(number, of)) };
        Registry {
            shards: (0..of).map(place).collect(),
            hasher: RandomState::new(),
            rules: Rules::new(config),
            pools: Pools { edit: SeatPool::new(config.edit_limit), live: SeatPool::new(config.live_limit) },
            waiting: Waiting {
                queue: Queue::new(config.on_callbacks.clone()),
                stale: AtomicUsize::new(0),
                most: config.bounds.waiting_documents,
            },
            notices: Queue::new(config.on_notices.clone()),
            listeners: AtomicUsize::new(0),
            notices_missed: AtomicU64::new(0),
            most_notices: config.bounds.notices,
            sleeper: Sleeper::new(),
            clock: config.clock.clone(),
            draining: AtomicBool::new(false),
            shut_down: AtomicBool::new(false),
            timed: AtomicBool::new(false),
            unfinished: AtomicUsize::new(1),
        }
    }

    pub(crate) fn pools(&self) -> &Pools {
        &self.pools
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The key's hash and its shard. The table within the shard takes the low bits and the top seven
    /// (hashbrown), the shard those below the top.
    fn locate(&self, key: &DocumentKey) -> (u64, usize) {
        let hash = self.hasher.hash_one(key);
        let bits = usize::try_from(hash >> 48).unwrap_or(0);
        (hash, bits & (self.shards.len() - 1))
    }

    fn shard_of(&self, id: ConnectionId) -> usize {
        id.place() as usize & (self.shards.len() - 1)
    }

    /// Runs `act` under the lock of one shard, and afterwards does what it left to do.
    fn locked<R>(
        &self,
        index: usize,
        now: Timestamp,
        act: impl FnOnce(&mut Shard, Context<'_>, &mut After) -> R,
    ) -> R {
        let mut after = After::default();
        let place = &self.shards[index];
        let (result, earliest) = {
            let mut shard = place.shard.lock();
            // Read under the lock: whoever drains or shuts down visits every shard afterwards.
            let draining = self.draining.load(Ordering::SeqCst);
            let Registry { rules, pools, waiting, .. } = self;
            let result = act(&mut shard, Context { rules, pools, waiting, now, draining }, &mut after);
            let earliest = after.deadlines_moved.then(|| {
                let earliest = shard.earliest_deadline().map_or(NEVER, Timestamp::as_millis);
                place.earliest.store(earliest, Ordering::SeqCst);
                earliest
            });
            (result, earliest)
        };
        self.finish(index, after, earliest);
        result
    }

    /// What a call leaves to do, with no lock held.
    fn finish(&self, index: usize, after: After, earliest: Option<u64>) {
        let [edit, live] = after.freed;
        drop((self.pools.edit.held(edit), self.pools.live.held(live)));
        drop((after.garbage, after.settled));
        let shard = u32::try_from(index).unwrap_or(0);
        for place in after.ready {
            self.waiting.queue.push(Location { shard, place });
        }
        for notice in after.notices {
            self.notify(notice);
        }
        if let Some(earliest) = earliest {
            self.sleeper.at(earliest);
        }
        if after.done > 0 {
            self.finished(after.done);
        }
    }

    fn notify(&self, notice: Notice) {
        if self.listeners.load(Ordering::Acquire) == 0 {
            return;
        }
        if self.notices.len() >= self.most_notices {
            self.notices_missed.fetch_add(1, Ordering::Relaxed);
        } else {
            self.notices.push(notice);
        }
    }
}

/// What hosts ask for.
impl Registry {
    pub(crate) fn open(
        &self,
        key: &DocumentKey,
        user: &User,
        asked: Access,
    ) -> Result<(ConnectionId, Grant), OpenError> {
        let (hash, index) = self.locate(key);
        // Coming starts no deadline, so it needs no time.
        self.locked(index, Timestamp::default(), |shard, context, after| {
            shard.open(key, hash, user, asked, context, after)
        })
    }

    pub(crate) fn close(&self, id: ConnectionId) -> Result<(), ConnectionError> {
        let closed = self
            .locked(self.shard_of(id), self.now(), |shard, context, after| shard.close(id, context, after));
        if closed { Ok(()) } else { Err(ConnectionError::Unknown) }
    }

    pub(crate) fn change(&self, id: ConnectionId) -> Result<(), ChangeError> {
        self.locked(self.shard_of(id), self.now(), |shard, context, after| shard.change(id, context, after))
    }

    pub(crate) fn access(&self, id: ConnectionId) -> Option<Access> {
        Some(self.shards[self.shard_of(id)].shard.lock().connection(id)?.access)
    }

    /// Acts on the session of an open document.
    fn on_open<R>(&self, key: &DocumentKey, act: impl FnOnce(&mut Session) -> R) -> Result<R, DocumentError> {
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
        self.on_open(key, |session| session.info(&self.rules, userdata)).map_err(|_| InfoError::NotOpen)?
    }

    pub(crate) fn force_save(
        &self,
        key: &DocumentKey,
        userdata: Option<Arc<str>>,
    ) -> Result<(), ForceSaveError> {
        self.on_open(key, |session| session.force_save(&self.rules, ForceSaveType::Command, None, userdata))
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
            shard.update(connection.document, context, after, |session| {
                let user = session.stay(connection.stay).user.id().clone();
                session.force_save(&self.rules, kind, Some(user), userdata)
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
        self.locked(index, self.now(), |shard, context, after| {
            let place = shard.find_open(key, hash)?;
            Some(shard.drop_access(place, whom, context, after))
        })
        .ok_or(DocumentError::NotOpen)
    }

    pub(crate) fn drop_connection(&self, id: ConnectionId) -> Result<Dropped, ConnectionError> {
        self.locked(self.shard_of(id), self.now(), |shard, context, after| {
            shard.drop_connection(id, context, after)
        })
        .ok_or(ConnectionError::Unknown)
    }

    pub(crate) fn rename(&self, key: &DocumentKey, title: String) -> Result<(), DocumentError> {
        self.read_open(key, |_| ()).ok_or(DocumentError::NotOpen)?;
        self.notify(Notice::Meta { key: key.clone(), title });
        Ok(())
    }

    fn read_open<R>(&self, key: &DocumentKey, read: impl FnOnce(&Session) -> R) -> Option<R> {
        let (hash, index) = self.locate(key);
        let shard = self.shards[index].shard.lock();
        shard.session(shard.find_open(key, hash)?).map(read)
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
        self.shards.iter().map(|place| place.shard.lock().open_documents()).sum()
    }

    /// The forgotten documents and where each was kept, by key.
    pub(crate) fn forgotten(&self) -> Vec<(DocumentKey, Option<Arc<str>>)> {
        let mut all = Vec::new();
        for place in &self.shards {
            let shard = place.shard.lock();
            all.extend(shard.forgotten().map(|session| (session.key().clone(), session.kept_at())));
        }
        all.sort_unstable();
        all
    }

    pub(crate) fn forgotten_at(&self, key: &DocumentKey) -> Result<Option<Arc<str>>, ForgottenError> {
        let (hash, index) = self.locate(key);
        let shard = self.shards[index].shard.lock();
        let session = shard.find(key, hash).and_then(|place| shard.session(place));
        let forgotten =
            session.filter(|session| session.is_forgotten()).ok_or(ForgottenError::NotForgotten)?;
        Ok(forgotten.kept_at())
    }

    pub(crate) fn delete_forgotten(&self, key: &DocumentKey) -> Result<(), ForgottenError> {
        let (hash, index) = self.locate(key);
        let deleted = self.locked(index, Timestamp::default(), |shard, context, after| {
            shard.find(key, hash).is_some_and(|place| shard.delete_forgotten(place, context, after))
        });
        if deleted { Ok(()) } else { Err(ForgottenError::NotForgotten) }
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
        for index in 0..self.shards.len() {
            self.locked(index, Timestamp::default(), Shard::hurry);
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Recounts every total from scratch. Seats are compared only if no other thread is in a call meanwhile.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let held = || [self.pools.edit.in_use(), self.pools.live.in_use()];
        let before = held();
        let mut seats = [0, 0];
        for place in &self.shards {
            let [edit, live] = place.shard.lock().validate(&self.rules)?;
            seats = [seats[0] + edit, seats[1] + live];
        }
        if before == held() && seats != before {
            return Err(format!("{before:?} seats in use, counted {seats:?}"));
        }
        Ok(())
    }
}

/// Time.
impl Registry {
    /// Lets all that is due fall due. Where nothing is, it takes no lock.
    pub(crate) fn tick(&self) -> Option<Timestamp> {
        let now = self.now();
        if self.sleeper.next_due() <= now.as_millis() {
            self.fall_due(now);
        }
        self.next_deadline()
    }

    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        Some(self.sleeper.next_due()).filter(|due| *due != NEVER).map(Timestamp::from_millis)
    }

    fn fall_due(&self, now: Timestamp) {
        self.sleeper.forget();
        let mut ready = Vec::new();
        for (shard, place) in (0..).zip(&self.shards) {
            let mut more = place.earliest.load(Ordering::SeqCst) <= now.as_millis();
            while more {
                let mut fallen = Vec::new();
                more = self.locked(shard as usize, now, |shard, context, after| {
                    shard.fall_due(SLICE, context, after, &mut fallen)
                });
                ready.extend(
                    fallen.into_iter().map(|(due, key, place)| (due, key, Location { shard, place })),
                );
            }
            let earliest = place.earliest.load(Ordering::SeqCst);
            if earliest != NEVER {
                self.sleeper.at(earliest);
            }
        }
        // In the order of their deadlines, whatever the shards: a run on a manual clock is reproducible.
        ready.sort_unstable_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        for (_, _, location) in ready {
            self.waiting.queue.push(location);
        }
    }

    /// Whether nobody was keeping time until now.
    pub(crate) fn take_over_time(&self) -> bool {
        !self.timed.swap(true, Ordering::SeqCst)
    }

    pub(crate) fn leave_time(&self) {
        self.timed.store(false, Ordering::SeqCst);
    }

    /// Runs the engine's time until it shuts down or `stopped` says so. One thread at a time.
    pub(crate) fn keep_time(&self, stopped: impl Fn() -> bool) {
        let stopped = || stopped() || self.shut_down.load(Ordering::SeqCst);
        while !stopped() {
            self.tick();
            self.sleeper.sleep(self.now(), stopped);
        }
        self.leave_time();
    }

    /// Lets whoever is in [`keep_time`](Self::keep_time) look whether to stop.
    pub(crate) fn wake_timer(&self) {
        self.sleeper.wake();
    }
}

/// The storage's and the transport's side.
impl Registry {
    /// The next callback that is to be handed out; waits for one if asked to, until the deadline if there is one.
    pub(crate) fn next_callback(&self, wait: Wait) -> Result<(Location, Arc<Callback>), Nothing> {
        loop {
            let location = wait.on(&self.waiting.queue)?;
            let callback =
                self.locked(location.shard as usize, Timestamp::default(), |shard, context, after| {
                    shard.take(location.place, context, after)
                });
            if let Some(callback) = callback {
                return Ok((location, callback));
            }
        }
    }

    pub(crate) fn settle(&self, location: Location, verdict: Verdict, kept_at: Option<Arc<str>>) {
        // Only a failure starts a pause.
        let now = if verdict == Verdict::Failed { self.now() } else { Timestamp::default() };
        let shut_down = self.shut_down.load(Ordering::SeqCst);
        self.locked(location.shard as usize, now, |shard, context, after| {
            shard.settle(location.place, verdict, kept_at, shut_down, context, after);
        });
    }

    /// Whether a callback of this document is with a worker.
    pub(crate) fn is_outstanding(&self, key: &DocumentKey) -> bool {
        let (hash, index) = self.locate(key);
        let shard = self.shards[index].shard.lock();
        shard.find(key, hash).and_then(|place| shard.session(place)).is_some_and(Session::is_outstanding)
    }

    pub(crate) fn listen(&self) {
        self.listeners.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn stop_listening(&self) {
        self.listeners.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn next_notice(&self, wait: Wait) -> Result<Notice, Nothing> {
        wait.on(&self.notices)
    }

    pub(crate) fn notices_missed(&self) -> u64 {
        self.notices_missed.load(Ordering::Relaxed)
    }

    /// No handle is left: closes all connections, lets every save be due at once, and ends every receiver when it has
    /// taken what there is.
    pub(crate) fn shut_down(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.shut_down.store(true, Ordering::SeqCst);
        self.sleeper.wake();
        let now = self.now();
        for index in 0..self.shards.len() {
            // Counted before any of them can be done: the lock is released only after.
            self.locked(index, now, |shard, context, after| {
                let awaited = shard.shut_down(context, after);
                self.unfinished.fetch_add(awaited, Ordering::SeqCst);
            });
        }
        self.notices.end();
        self.finished(1);
    }

    fn finished(&self, count: usize) {
        if self.unfinished.fetch_sub(count, Ordering::SeqCst) == count {
            self.waiting.queue.end();
        }
    }
}

/// How long to wait for a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Not,
    Until(Instant),
    Forever,
}

impl Wait {
    fn on<T>(self, queue: &Queue<T>) -> Result<T, Nothing> {
        match self {
            Wait::Not => queue.try_pop(),
            Wait::Until(deadline) => queue.pop(Some(deadline)),
            Wait::Forever => queue.pop(None),
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("shards", &self.shards.len())
            .field("pools", &self.pools)
            .finish_non_exhaustive()
    }
}
