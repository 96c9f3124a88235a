//! The shards, the locks over them, and all that threads share.
//!
//! # The lock rule
//!
//! At most one shard's lock is held at any time, and only inside [`Registry::locked`], [`Registry::read`], the sweep of what
//! is to be told and the walks over all shards in `limits.rs`. Under it no host code runs, no clock is read, and nothing is
//! sent: what a call leaves to do is collected in an [`After`] and done by [`Registry::finish`] once the lock is released.
//! The locks of the sleeper and of the queues are taken with no other lock held. Before any shard's lock come that of
//! whoever switches a limit, that of whoever collects usage, and that of the ready queue, which a sweep holds; after it come
//! those of [`Seats`] that an open takes, the last: a user's, then that of all named users.

mod commands;
mod handle;
mod hasher;
mod limits;
mod modes;
mod queue;
mod ready;
mod shard;
mod sleeper;
mod storage;
mod timing;

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::config::Config;
use crate::ids::{ConnectionId, DocumentKey};
use crate::notice::Notice;
use crate::seats::Seats;
use crate::session::Rules;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::time::{Clock, Timestamp};
use crate::usage::Recorder;
pub(crate) use handle::Handle;
use hasher::key_hasher;
use modes::Modes;
use queue::Queue;
pub(crate) use queue::{Nothing, Wait};
pub(crate) use ready::Location;
use ready::Ready;
use shard::{After, Common, Context, Numbering, Shard};
use sleeper::{NEVER, Sleeper};

/// Everything that the handles of one engine share.
pub(crate) struct Registry {
    shards: Box<[Place]>,
    common: Common,
    modes: Modes,
    notices: Queue<Notice>,
    notices_missed: AtomicU64,
    most_notices: usize,
    sleeper: Sleeper,
    clock: Arc<dyn Clock>,
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

impl Registry {
    pub(crate) fn new(config: &Config) -> Self {
        let count = config.shard_count();
        let of = u32::try_from(count).unwrap_or(1);
        let now = config.clock.now();
        let place = |number| Place {
            earliest: AtomicU64::new(NEVER),
            shard: Mutex::new(Shard::new(number, of, config, now)),
        };
        Registry {
            shards: (0..of).map(place).collect(),
            common: Common {
                hasher: key_hasher(config.clock.is_manual()),
                rules: Rules::new(config),
                seats: Seats::new(config),
                recorder: config.usage.then(|| Recorder::new(now)),
                ready: Ready::new(config.on_callbacks.clone(), config.bounds.waiting_documents, count),
            },
            modes: Modes::new(),
            notices: Queue::new(config.on_notices.clone()),
            notices_missed: AtomicU64::new(0),
            most_notices: config.bounds.notices,
            sleeper: Sleeper::new(),
            clock: config.clock.clone(),
            timed: AtomicBool::new(false),
            unfinished: AtomicUsize::new(1),
        }
    }

    pub(crate) fn seats(&self) -> &Seats {
        &self.common.seats
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The present moment for an operation that moves a connection: a coarse one, which is cheap. What was used up to the
    /// end of a minute is collected before anything happens in the next.
    fn moving(&self) -> Timestamp {
        let now = self.clock.coarse();
        self.collect_usage(now);
        now
    }

    /// Collects what was used up to the last end of a minute, unless that was done.
    #[inline]
    fn collect_usage(&self, now: Timestamp) {
        if let Some(recorder) = &self.common.recorder
            && recorder.is_due(now)
        {
            self.collect(recorder, now);
        }
    }

    #[cold]
    fn collect(&self, recorder: &Recorder, now: Timestamp) {
        recorder.collect(now, |access| self.common.seats.connections(access), |cut| self.take_usage(cut));
    }

    /// The key's hash and its shard: the table within the shard keeps the lower half, the shard is chosen by bits of the
    /// upper.
    fn locate(&self, key: &DocumentKey) -> (u64, usize) {
        let hash = self.common.hasher.hash_one(key);
        let bits = usize::try_from(hash >> 48).unwrap_or(0);
        (hash, bits & (self.shards.len() - 1))
    }

    fn shard_of(&self, id: ConnectionId) -> usize {
        Numbering::shard_of(id, self.shards.len())
    }

    /// Runs `act` under the lock of one shard, and afterwards does what it left to do.
    #[inline]
    fn locked<R>(
        &self,
        index: usize,
        now: Timestamp,
        act: impl FnOnce(&mut Shard, &Context<'_>, &mut After) -> R,
    ) -> R {
        let mut after = After::default();
        let result = self.hold(index, now, &mut after, act);
        if after.is_more() {
            self.finish(after);
        } else {
            if after.ready.is_some() {
                self.common.ready.queue.announce();
            }
            // It would be dropped piece by piece otherwise, to find that there is nothing in it.
            std::mem::forget(after);
        }
        result
    }

    /// Runs `act` under the lock of one shard. What it left to do is the caller's, in a place of the caller's: moved, it would
    /// be read before its pieces have arrived.
    #[inline]
    fn hold<R>(
        &self,
        index: usize,
        now: Timestamp,
        after: &mut After,
        act: impl FnOnce(&mut Shard, &Context<'_>, &mut After) -> R,
    ) -> R {
        let place = &self.shards[index];
        let mut shard = place.shard.lock();
        shard.calls += 1;
        // Read under the lock: whoever drains or shuts down visits every shard afterwards.
        let context = Context { common: &self.common, now, mode: self.modes.now() };
        let result = act(&mut shard, &context, after);
        if after.deadlines_moved {
            after.earliest = shard.earliest_deadline().map_or(NEVER, Timestamp::as_millis);
            place.earliest.store(after.earliest, Ordering::SeqCst);
        }
        if let Some(place) = after.ready {
            self.common.ready.stage(index, &mut shard.staged, place);
        }
        result
    }

    /// Looks at one shard.
    fn read<R>(&self, index: usize, look: impl FnOnce(&Shard) -> R) -> R {
        look(&self.shards[index].shard.lock())
    }

    /// What few calls leave to do, with no lock held. The hooks come last: host code may panic.
    #[cold]
    fn finish(&self, after: After) {
        let ready = usize::from(after.ready.is_some());
        let notices = self.keep_books(after);
        self.announce(ready, notices);
    }

    /// What a call leaves to do but for what others are to hear. Returns of how many notices they are.
    fn keep_books(&self, after: After) -> usize {
        let (notices, done) = after.more.map_or((0, 0), |more| (self.notify(more.notices), more.done));
        if after.deadlines_moved {
            self.sleeper.at(after.earliest);
        }
        if done > 0 {
            self.finished(done);
        }
        notices
    }

    /// So many documents came to have something to tell, and so many notices came. All receivers are woken before host code
    /// runs.
    fn announce(&self, ready: usize, notices: usize) {
        let documents = &self.common.ready.queue;
        documents.wake(ready);
        self.notices.wake(notices);
        if ready > 0 {
            documents.call_hook();
        }
        if notices > 0 {
            self.notices.call_hook();
        }
    }

    /// How many of them are kept: as many receivers are to be woken.
    fn notify(&self, notices: Vec<Notice>) -> usize {
        notices.into_iter().map(|notice| usize::from(self.push_notice(notice))).sum()
    }

    /// Whether it is kept: somebody listens, and not too many wait.
    fn push_notice(&self, notice: Notice) -> bool {
        if !self.modes.now().is_listened_to() {
            return false;
        }
        let kept = self.notices.push(notice, self.most_notices);
        if !kept {
            self.notices_missed.fetch_add(1, Ordering::Relaxed);
        }
        kept
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("shards", &self.shards.len())
            .field("seats", &self.common.seats)
            .finish_non_exhaustive()
    }
}
