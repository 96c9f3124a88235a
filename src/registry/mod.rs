//! The registry: the shards, the locks over them, and all that threads share.
//!
//! # The lock rule
//!
//! At most one shard lock is held at any time. It is taken in [`Registry::hold`] (to change something) and
//! [`Registry::read`], and nowhere else but in the walks of `limits.rs`. Under it no host code runs and no precise clock is
//! read. Under it the locks of [`Admission`] are taken, in the order that stands there, and last that of the
//! [`NoticeBoard`]. The lock over the history of usage, and that of whoever changes a limit, are taken before a shard
//! lock, never after.
//!
//! A call takes [`Registry::hold`] of a shard and calls one method of a session. Its [`Effects`](crate::session::Effects) go
//! to [`Registry::apply`], which releases the lock. A call without effects ends in [`Registry::finish`], and a refusal only
//! releases the lock.

mod apply;
mod books;
mod connections;
mod documents;
mod holders;
mod lifecycle;
mod limits;
mod ready;
mod shard;
mod shutdown;
mod sleeper;
mod slices;
mod storage;
mod tick;
mod validate;

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::access::{Access, Grant, Reason};
use crate::admission::{Admission, Claim};
use crate::config::Config;
use crate::error::{ConnectionError, OpenError};
use crate::hash::{Hasher, hasher};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notices::NoticeBoard;
use crate::seats::{Admitted, DocumentSeats};
use crate::session::{Context, LeaveCause, Rules, Stage};
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard};
use crate::time::{Now, Timekeeper};
use crate::usage::Recorder;
use lifecycle::Lifecycle;
use ready::{DocumentId, Ready};
pub(crate) use ready::{Nothing, Wait};
use shard::{Numbering, Place, Shard};
pub(crate) use shutdown::Handle;
use sleeper::{NEVER, Sleeper};
pub(crate) use storage::HandedOut;

/// Everything that the handles of one engine share.
pub(crate) struct Registry {
    shards: Box<[ShardLock]>,
    rules: Rules,
    hasher: Hasher,
    admission: Admission,
    notices: Arc<NoticeBoard>,
    ready: Ready,
    /// `None` if usage is not recorded.
    recorder: Option<Recorder>,
    clock: Timekeeper,
    sleeper: Sleeper,
    /// Whether a thread runs the deadlines.
    has_timer: AtomicBool,
    /// How many callbacks were handed out.
    deliveries: AtomicU64,
    lifecycle: Lifecycle,
    /// Held while a limit changes that every shard has to learn of.
    changing_limit: Mutex<()>,
}

/// A shard under its lock. Aligned so that no two locks share a cache line, nor a pair of lines that is fetched together.
#[repr(align(128))]
struct ShardLock {
    /// The shard's earliest deadline in milliseconds. Written under the lock, read without it.
    earliest: AtomicU64,
    shard: Mutex<Shard>,
}

/// A shard whose lock is held, for one call at one moment.
struct Held<'a> {
    index: usize,
    earliest: &'a AtomicU64,
    shard: MutexGuard<'a, Shard>,
    cx: Context<'a>,
}

impl Registry {
    pub(crate) fn new(config: &Config) -> Self {
        let shards = u32::try_from(config.shard_count()).expect("the number of shards was checked");
        let clock = Timekeeper::new(config.clock.clone());
        let now = clock.now();
        let lock = |number| ShardLock {
            earliest: AtomicU64::new(NEVER),
            shard: Mutex::new(Shard::new(number, shards, config, now.steady)),
        };
        let notices = Arc::new(NoticeBoard::new(config.bounds.notices));
        Registry {
            shards: (0..shards).map(lock).collect(),
            rules: Rules::new(config),
            hasher: hasher(clock.is_manual()),
            admission: Admission::new(config, &notices),
            notices,
            ready: Ready::new(config.bounds.waiting_documents),
            recorder: config.usage.then(|| Recorder::new(now)),
            clock,
            sleeper: Sleeper::new(),
            has_timer: AtomicBool::new(false),
            deliveries: AtomicU64::new(0),
            lifecycle: Lifecycle::new(),
            changing_limit: Mutex::new(()),
        }
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    pub(crate) fn notice_board(&self) -> &NoticeBoard {
        &self.notices
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    /// The present time, cheap and a few milliseconds late. Collects the usage of a minute that has ended, so that
    /// nothing which happens in the next one counts in it.
    fn coarse_now(&self) -> Now {
        let now = self.clock.coarse();
        if let Some(recorder) = &self.recorder
            && recorder.is_due(now.steady)
        {
            recorder.collect(
                now,
                |access| self.admission.connections(access),
                |period| self.collect_usage(period),
            );
        }
        now
    }

    /// The hash of a key, and its shard. The index of the shard uses the lower bits and the highest ones.
    fn locate(&self, key: &DocumentKey) -> (u64, usize) {
        let hash = self.hasher.hash_one(key);
        let bits = usize::try_from(hash >> 32 & 0xffff).expect("16 bits fit");
        (hash, bits & (self.shards.len() - 1))
    }

    fn shard_of(&self, id: ConnectionId) -> usize {
        Numbering::shard_of(id, self.shards.len())
    }

    /// Locks a shard for a call that changes something at `now`.
    fn hold(&self, index: usize, now: Now) -> Held<'_> {
        let ShardLock { earliest, shard } = &self.shards[index];
        let mut shard = shard.lock();
        shard.calls += 1;
        // Read under the lock: whoever drains or shuts down the engine visits every shard afterwards.
        Held { index, earliest, shard, cx: self.context(now) }
    }

    fn context(&self, now: Now) -> Context<'_> {
        let (stage, patience) = (self.lifecycle.stage(), self.rules.save_patience);
        Context {
            rules: &self.rules,
            hasher: &self.hasher,
            now: now.steady,
            wall: now.wall,
            draining: self.admission.is_draining(),
            stage,
            patience: if stage == Stage::Running { patience } else { self.lifecycle.patience(patience) },
            too_many_wait: false,
        }
    }

    /// Looks at a shard under its lock.
    fn read<R>(&self, index: usize, look: impl FnOnce(&Shard) -> R) -> R {
        look(&self.shards[index].shard.lock())
    }
}

/// Opening and closing.
impl Registry {
    pub(crate) fn open(
        &self,
        key: &DocumentKey,
        user: &User,
        asked: Access,
    ) -> Result<(ConnectionId, Grant), OpenError> {
        let (hash, index) = self.locate(key);
        let mut held = self.hold(index, self.coarse_now());
        let found = held.room_for(key, hash)?;
        let claim = held.claim(found, user.id(), asked);
        let admitted =
            self.admission.admit(&claim, held.cx.wall).inspect_err(|_| self.record_cap(&mut held))?;
        let document = found.unwrap_or_else(|| held.shard.insert(key, &self.hasher, &self.ready));
        let cx = held.cx;
        let id = held.shard.connect(document, |session, id| session.join(&cx, user, id, admitted));
        self.record_open(&mut held, user, admitted);
        self.finish(held, document);
        Ok((id, Grant { access: admitted.access, reason: admitted.reason }))
    }

    /// Records that the cap of all connections refused an open.
    fn record_cap(&self, held: &mut Held<'_>) {
        if self.recorder.is_some() {
            held.shard.meter.record_refusal(Reason::ConnectionCap);
        }
    }

    fn record_open(&self, held: &mut Held<'_>, user: &User, admitted: Admitted) {
        let Admitted { access, reason, connections, .. } = admitted;
        if let Some(recorder) = &self.recorder {
            recorder.record_rise(access, connections, held.cx.now);
            let user = self.hasher.hash_one(user.id());
            held.shard.meter.record_open(held.cx.now, access, reason, user);
        }
    }

    pub(crate) fn close(&self, id: ConnectionId) -> Result<(), ConnectionError> {
        let mut held = self.hold(self.shard_of(id), self.coarse_now());
        let Place { document, participant } = held.shard.disconnect(id).ok_or(ConnectionError::Unknown)?;
        let cx = held.cx;
        let effects = held.shard.session_mut(document).leave(&cx, (participant, id), LeaveCause::Closed);
        self.apply(held, document, effects);
        Ok(())
    }
}

impl Held<'_> {
    /// The document, if the engine knows anything of it. Errors if nobody gets in.
    fn room_for(&self, key: &DocumentKey, hash: u64) -> Result<Option<DocumentId>, OpenError> {
        if self.cx.stage != Stage::Running {
            return Err(OpenError::ShutDown);
        }
        let found = self.shard.find(key, hash);
        self.shard.check_room(found)?;
        Ok(found)
    }

    /// A claim on a document that may be new.
    fn claim<'u>(&self, found: Option<DocumentId>, user: &'u UserId, asked: Access) -> Claim<'u> {
        let document = match found {
            Some(document) => self.shard.session(document).seats_for(&self.cx, user, asked),
            None => DocumentSeats::default(),
        };
        Claim { user, asked, document, counts_users: self.shard.counts_users }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("shards", &self.shards.len())
            .field("admission", &self.admission)
            .finish_non_exhaustive()
    }
}
