//! The registry: the shards, the locks over them, and all that threads share.
//!
//! # The lock rule
//!
//! At most one shard lock is held at any time. It is taken in [`Registry::hold`] (to change something) and
//! [`Registry::read`], and nowhere else but in the walks of `limits.rs`. Under it no host code runs and no precise clock is
//! read, and nothing works through more than [`AT_ONCE`](crate::work::AT_ONCE) items, but for one document's own list of
//! users. Under it the locks of [`Admission`] are taken, in the order that stands there, and last that of the
//! [`NoticeBoard`]. The lock over the history of usage, and that of whoever changes a limit, are taken before a shard
//! lock, never after.
//!
//! A call takes [`Registry::hold`] of a shard and calls one method of a session. Its [`Effects`](crate::session::Effects) go
//! to [`Registry::apply`], which releases the lock. A call without effects ends in [`Registry::finish`], and a refusal only
//! releases the lock.

mod apply;
mod books;
mod connections;
mod denials;
mod documents;
mod fences;
mod fencing;
mod holders;
mod lifecycle;
mod limit_uses;
mod limits;
mod looks;
mod ready;
mod restore;
mod shard;
mod shard_stays;
mod shutdown;
mod sleeper;
mod slices;
mod snapshot;
mod stats;
mod stay;
mod staying;
mod stays;
mod storage;
mod tick;
mod turns;
mod validate;
mod waiting;
mod wanted;

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::access::{Access, Grant, Reason};
use crate::admission::{Admission, Claim, NEWCOMER, Ticket};
use crate::config::Config;
use crate::error::{ConnectionError, OpenError};
use crate::hash::{Hasher, hasher};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notices::NoticeBoard;
use crate::seats::{Admitted, DocumentSeats};
use crate::session::{Context, LeaveCause, Rules, Stage};
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::time::{Moment, Now, Timekeeper, Timestamp};
use crate::token::ResumeToken;
use crate::usage::Recorder;
use fences::FenceCount;
use lifecycle::Lifecycle;
use ready::{DocumentId, Ready};
pub(crate) use ready::{Nothing, Wait};
use shard::{Numbering, Place, Shard};
pub(crate) use shutdown::Handle;
use sleeper::{NEVER, Sleeper};
pub use snapshot::Snapshot;
use stay::StayRules;
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
    /// Whether idle editors lose their seats to whoever waits.
    takes_over_idle: bool,
    /// Whether somebody waits at another limit, so that an idle editor there may lose its seat.
    has_moved: AtomicBool,
    /// Whether connections have leases, or end when they are idle or old.
    stays_on: bool,
    /// How often the engine was restored.
    epoch: u32,
    /// The shards of restored connections, by the epoch and the name of their tokens.
    restored: HashMap<(u32, ConnectionId), u32>,
    /// Hashes users for usage. Its key is `usage_seed`, so that a restored engine goes on with it.
    user_hasher: foldhash::quality::FixedState,
    usage_seed: u64,
    fence_count: FenceCount,
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

/// A connection that was opened or resumed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) id: ConnectionId,
    pub(crate) grant: Grant,
    /// `None` if connections cannot be resumed.
    pub(crate) token: Option<ResumeToken>,
    /// The connection whose seat it has now.
    pub(crate) instead_of: Option<ConnectionId>,
    /// Its place in the line, if it waits for edit access.
    pub(crate) position: Option<u32>,
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
        let hasher = hasher(clock.is_manual());
        let usage_seed = hasher.hash_one("usage");
        Registry {
            shards: (0..shards).map(lock).collect(),
            rules: Rules::new(config),
            hasher,
            admission: Admission::new(config, &notices),
            notices,
            ready: Ready::new(config.bounds.waiting_documents),
            recorder: config.usage.then(|| Recorder::new(now)),
            clock,
            sleeper: Sleeper::new(),
            has_timer: AtomicBool::new(false),
            deliveries: AtomicU64::new(0),
            takes_over_idle: config.idle_when_wanted.is_some(),
            has_moved: AtomicBool::new(false),
            stays_on: StayRules::new(config).is_on(),
            epoch: 0,
            restored: HashMap::new(),
            user_hasher: foldhash::quality::FixedState::with_seed(usage_seed),
            usage_seed,
            fence_count: FenceCount::default(),
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

    /// What the wall clock shows now.
    pub(crate) fn wall_now(&self) -> Timestamp {
        self.now().wall
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
    #[cfg_attr(feature = "count-work", track_caller)]
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
    #[cfg_attr(feature = "count-work", track_caller)]
    fn read<R>(&self, index: usize, look: impl FnOnce(&Shard) -> R) -> R {
        look(&self.shards[index].shard.lock())
    }
}

/// Opening and closing.
impl Registry {
    pub(crate) fn open(&self, key: &DocumentKey, user: &User, asked: Access) -> Result<Opened, OpenError> {
        let (hash, index) = self.locate(key);
        let mut held = self.hold(index, self.coarse_now());
        let mut expired = !self.stays_on;
        let (found, admitted) = loop {
            let found = held.room_for(key, hash)?;
            let claim = self.claim(&held, (key, found), (user.id(), asked), NEWCOMER);
            let refused = match self.admission.try_admit(&claim, held.cx.wall) {
                Ok(admitted) => break (found, admitted),
                Err(refused) => refused,
            };
            // Before somebody is refused for want of a seat, what has fallen due is expired. Whoever would be refused all the
            // same takes over the seat of a lost connection of its own.
            if !std::mem::replace(&mut expired, true) && self.connections_due(held.cx.now) {
                held = self.expire(held);
                continue;
            }
            if self.stays_on
                && let Some(lost) = held.to_take_over(found, (user.id(), asked), refused)
            {
                return Ok(self.take_over(held, lost, user));
            }
            let admitted = self.admission.admit(&claim, held.cx.wall);
            break (found, admitted.inspect_err(|_| self.record_cap(&mut held))?);
        };
        let document = found.unwrap_or_else(|| held.shard.insert(key, &self.hasher, &self.ready));
        let (cx, mut told) = (held.cx, None);
        let id = held.shard.connect(document, |session, id| {
            let participant;
            (participant, told) = session.join(&cx, user, id, admitted);
            participant
        });
        let (token, earlier) = held.shard.begin_stay(id, &self.hasher, cx.now);
        self.record_open(&mut held, (user, asked), admitted);
        if admitted.reason.is_some() || held.shard.meter.has_denied() {
            self.record_answer(&mut held, (document, user.id(), asked), admitted);
        }
        if let Some(notice) = told {
            self.notices.send(&notice);
        }
        if let Some(earlier) = earlier {
            held.lower_earliest(earlier);
        }
        self.finish(held, document);
        if let Some(earlier) = earlier {
            self.sleeper.wake_by(earlier.as_millis());
        }
        let grant = Grant { access: admitted.access, reason: admitted.reason };
        Ok(Opened { id, grant, token, instead_of: None, position: None })
    }

    /// Ends what is due, and takes the lock again.
    fn expire<'a>(&'a self, held: Held<'a>) -> Held<'a> {
        let (index, now) = (held.index, held.time());
        drop(held);
        self.run_due_stays(now);
        self.hold(index, now)
    }

    /// Records that the cap of all connections refused an open.
    fn record_cap(&self, held: &mut Held<'_>) {
        held.shard.counters.count_refusal(Reason::ConnectionCap);
        if self.recorder.is_some() {
            held.shard.meter.record_refusal(Reason::ConnectionCap);
        }
    }

    fn record_open(&self, held: &mut Held<'_>, (user, asked): (&User, Access), admitted: Admitted) {
        let Admitted { access, reason, connections, .. } = admitted;
        held.shard.counters.count_open(asked, access, reason);
        if let Some(recorder) = &self.recorder {
            recorder.record_rise(access, connections, held.cx.now);
            let user = self.user_hasher.hash_one(user.id());
            held.shard.meter.record_open(held.cx.now, access, reason, user);
        }
    }

    pub(crate) fn close(&self, id: ConnectionId) -> Result<(), ConnectionError> {
        let mut held = self.hold(self.shard_of(id), self.coarse_now());
        let Place { document, participant } =
            self.disconnect(&mut held, id).ok_or(ConnectionError::Unknown)?;
        held.shard.counters.count_close(None);
        let cx = held.cx;
        let effects = held.shard.session_mut(document).leave(&cx, (participant, id), LeaveCause::Closed);
        self.apply(held, document, effects);
        Ok(())
    }

    /// Removes a connection, and its place if it waits, but not yet from its session. `None` if it is not open.
    fn disconnect(&self, held: &mut Held<'_>, id: ConnectionId) -> Option<Place> {
        let place = held.shard.disconnect(id)?;
        if held.shard.meter.has_denied() {
            self.record_leave(held, place, id);
        }
        if self.admission.has_waiters() {
            self.admission.end_wait(id);
        }
        Some(place)
    }

    /// A claim on a document that may be new.
    fn claim<'u>(
        &self,
        held: &Held<'_>,
        (key, found): (&DocumentKey, Option<DocumentId>),
        (user, asked): (&'u UserId, Access),
        ticket: Ticket,
    ) -> Claim<'u> {
        let mut document = match found {
            Some(document) => held.shard.session(document).seats_for(&held.cx, user, asked),
            None => DocumentSeats::default(),
        };
        document.fenced = held.shard.fences.applies(key, user, held.cx.now);
        if asked == Access::Edit {
            document.queues = self.admission.document_queues(key, ticket);
        }
        Claim { user, asked, document, counts_users: held.shard.counts_users, ticket }
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

    /// The lost connection whose seat a user takes over instead of being `refused` for want of one. `None` as the reason
    /// stands for the cap.
    fn to_take_over(
        &self,
        found: Option<DocumentId>,
        (user, asked): (&UserId, Access),
        refused: Option<Reason>,
    ) -> Option<ConnectionId> {
        if asked != Access::Edit || !refused.is_none_or(Reason::is_a_seat_limit) {
            return None;
        }
        self.shard.lost_editing(found?, user, &self.cx)
    }

    fn time(&self) -> Now {
        Now { steady: self.cx.now, wall: self.cx.wall }
    }

    /// There is something to do at `due`.
    fn lower_earliest(&self, due: Moment) {
        self.earliest.fetch_min(due.as_millis(), Ordering::SeqCst);
    }

    /// What was due is done.
    fn raise_earliest(&self) {
        self.earliest.store(self.shard.earliest().as_millis(), Ordering::SeqCst);
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
