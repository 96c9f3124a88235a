//! The settings of an engine, and their bounds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::ConfigError;
use crate::quota::NamedUsers;
use crate::seats::SeatCount;
use crate::time::{Clock, SystemClock};

/// Called when a queue stops being empty. See [`Config::on_callbacks`].
pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// How much of a thing the engine keeps before it merges, drops pairs that cancel out, or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Comings and goings of one document that wait for the storage before pairs that cancel out are dropped.
    /// Default 1,024; 1 to 1,048,576.
    pub waiting_actions: usize,
    /// Documents that wait for the storage before one that came and went unchanged is dropped whole, and further `info`
    /// is refused. Default 65,536; 1 or more.
    pub waiting_documents: usize,
    /// Unanswered `info` and `forcesave` of one document before the next is refused. Default 64; 1 to 65,536.
    pub asked: usize,
    /// Entries of a callback's history before the two oldest become one. Default 100; 1 to 65,536.
    pub turns: usize,
    /// Notices that wait for the transport before further ones are counted as missed. Default 65,536; 1 or more.
    pub notices: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { waiting_actions: 1024, waiting_documents: 65_536, asked: 64, turns: 100, notices: 65_536 }
    }
}

/// The settings of an [`Engine`](crate::Engine). [`Engine::new`](crate::Engine::new) checks them.
///
/// ```
/// use coedit::{Config, Engine};
/// use std::time::Duration;
///
/// let config = Config::new().edit_limit(Some(20)).save_delay(Duration::from_secs(5));
/// let engine = Engine::new(config)?;
/// assert_eq!(engine.limits().edit.limit, Some(20));
/// # Ok::<(), coedit::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) edit_limit: Option<u32>,
    pub(crate) live_limit: Option<u32>,
    pub(crate) document_limit: Option<u32>,
    pub(crate) user_limit: Option<u32>,
    pub(crate) named_users: NamedUsers,
    pub(crate) max_connections: Option<u32>,
    pub(crate) seat_count: SeatCount,
    pub(crate) warn_at: u32,
    pub(crate) usage: bool,
    pub(crate) save_delay: Duration,
    pub(crate) retry_pauses: Vec<Duration>,
    pub(crate) force_save_interval: Option<Duration>,
    pub(crate) callbacks: bool,
    pub(crate) bounds: Bounds,
    pub(crate) shards: Option<usize>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) on_callbacks: Option<Hook>,
    pub(crate) on_notices: Option<Hook>,
}

impl Config {
    /// No limits, a save delay of 10 s, retries after 1 s, 2 s and 4 s, no timed force saves, the system's clock.
    pub fn new() -> Self {
        Config {
            edit_limit: None,
            live_limit: None,
            document_limit: None,
            user_limit: None,
            named_users: NamedUsers::default(),
            max_connections: None,
            seat_count: SeatCount::default(),
            warn_at: 70,
            usage: true,
            save_delay: Duration::from_secs(10),
            retry_pauses: [1, 2, 4].map(Duration::from_secs).to_vec(),
            force_save_interval: None,
            callbacks: true,
            bounds: Bounds::default(),
            shards: None,
            clock: Arc::new(SystemClock::new()),
            on_callbacks: None,
            on_notices: None,
        }
    }

    /// How many connections may hold edit access at one time. Default: no limit. 0 to 4,294,967,294; 0 is view-only
    /// for everybody.
    #[must_use]
    pub fn edit_limit(mut self, limit: Option<u32>) -> Self {
        self.edit_limit = limit;
        self
    }

    /// How many connections may hold live-view access at one time. Default: no limit. Bounds as for
    /// [`edit_limit`](Self::edit_limit).
    #[must_use]
    pub fn live_limit(mut self, limit: Option<u32>) -> Self {
        self.live_limit = limit;
        self
    }

    /// How many connections may hold edit access to one document at one time. Default: no limit. Bounds as for
    /// [`edit_limit`](Self::edit_limit). Costs an open nothing where seats are [counted](Self::seat_count) by connections,
    /// the document's users else.
    #[must_use]
    pub fn document_limit(mut self, limit: Option<u32>) -> Self {
        self.document_limit = limit;
        self
    }

    /// How many connections with edit access one user may hold at one time, over all documents. Default: no limit. Bounds
    /// as for [`edit_limit`](Self::edit_limit). Costs one lookup of the user more at every open and close with edit access.
    #[must_use]
    pub fn user_limit(mut self, limit: Option<u32>) -> Self {
        self.user_limit = limit;
        self
    }

    /// How many users may be given access within some days, whoever they are. Default: no limit. Costs one lock over all
    /// of them and one lookup more at every open that asks for edit or live-view access.
    #[must_use]
    pub fn named_users(mut self, quota: NamedUsers) -> Self {
        self.named_users = quota;
        self
    }

    /// How many connections may be open at one time, viewers counted in: a cap against floods. Past it nobody gets in,
    /// not even to view: [`OpenError::TooMany`](crate::OpenError::TooMany). Default: none. Bounds as for
    /// [`edit_limit`](Self::edit_limit).
    #[must_use]
    pub fn max_connections(mut self, cap: Option<u32>) -> Self {
        self.max_connections = cap;
        self
    }

    /// What takes a seat of the limits of edit and live-view access, of a document, and of a user. Default: every
    /// connection.
    #[must_use]
    pub fn seat_count(mut self, count: SeatCount) -> Self {
        self.seat_count = count;
        self
    }

    /// How full a limit of the whole engine is when a [`Notice::Limit`](crate::Notice::Limit) warns of it, in percent.
    /// Default 70; 1 to 100.
    #[must_use]
    pub fn warn_at(mut self, percent: u32) -> Self {
        self.warn_at = percent;
        self
    }

    /// Whether the engine records its [`usage`](crate::Engine::usage). Default: yes. It costs an open and a close some
    /// nanoseconds each, and up to 2 MiB and 6.5 KiB a shard.
    #[must_use]
    pub fn usage(mut self, on: bool) -> Self {
        self.usage = on;
        self
    }

    /// How long after the last editor of a changed document went its save is due; one who comes back by then goes on
    /// editing. Default 10 s; 0 to 30 days, in whole milliseconds, rounded up.
    #[must_use]
    pub fn save_delay(mut self, delay: Duration) -> Self {
        self.save_delay = delay;
        self
    }

    /// The pauses before a failed callback is handed out again, one a retry. Default 1 s, 2 s, 4 s; at most 64 of at
    /// most 30 days each. Without any, a callback is given up at its first failure.
    #[must_use]
    pub fn retry_pauses(mut self, pauses: impl Into<Vec<Duration>>) -> Self {
        self.retry_pauses = pauses.into();
        self
    }

    /// How long after the first unsaved change of an edited document a force save of type 2 is due. Default: none.
    /// 1 ms to 30 days.
    #[must_use]
    pub fn force_save_interval(mut self, interval: Option<Duration>) -> Self {
        self.force_save_interval = interval;
        self
    }

    /// Whether the engine tells a storage anything. Default: yes. Without callbacks nothing is kept for them: no
    /// changes are tracked, no saves fall due, and a force save is answered as if nothing was changed.
    #[must_use]
    pub fn callbacks(mut self, on: bool) -> Self {
        self.callbacks = on;
        self
    }

    /// How much the engine keeps. Defaults and ranges: [`Bounds`].
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// How many locks the documents are spread over: a power of two from 1 to 256. Default: eight a core that the
    /// process may use, at least 16. More cost a cache line each, fewer make threads wait for each other.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// What tells the engine the time. Default: a [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Called when a document has something to tell and the queue was last seen empty: by
    /// [`Callbacks::try_recv`](crate::Callbacks::try_recv), or never yet looked at. An async host wakes its task here.
    ///
    /// It runs on the thread whose call caused it, with no lock held, and may call the engine. It must be quick and
    /// must not panic. Whoever is woken takes with `try_recv` until nothing is left, which arms the hook again; a host
    /// with several such tasks wakes them all. A blocking `recv` arms nothing. Default: none.
    #[must_use]
    pub fn on_callbacks(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_callbacks = Some(Arc::new(hook));
        self
    }

    /// The same for notices.
    #[must_use]
    pub fn on_notices(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.on_notices = Some(Arc::new(hook));
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        const LIMIT: &str = "at most 4,294,967,294";
        const DELAY: &str = "at most 30 days";
        let Bounds { waiting_actions, waiting_documents, asked, turns, notices } = self.bounds;
        let rules = [
            (limit_fits(self.edit_limit), "edit_limit", LIMIT),
            (limit_fits(self.live_limit), "live_limit", LIMIT),
            (limit_fits(self.document_limit), "document_limit", LIMIT),
            (limit_fits(self.user_limit), "user_limit", LIMIT),
            (limit_fits(self.max_connections), "max_connections", LIMIT),
            (limit_fits(self.named_users.edit), "named_users.edit", LIMIT),
            (limit_fits(self.named_users.live), "named_users.live", LIMIT),
            (self.named_users.expire_days <= EXPIRE_DAYS_MAX, "named_users.expire_days", "at most 36,500"),
            ((1..=100).contains(&self.warn_at), "warn_at", "1 to 100"),
            (self.save_delay <= DELAY_MAX, "save_delay", DELAY),
            (self.retry_pauses.len() <= RETRIES_MAX, "retry_pauses", "at most 64"),
            (
                self.retry_pauses.iter().all(|pause| *pause <= DELAY_MAX),
                "retry_pauses",
                "at most 30 days each",
            ),
            (
                self.force_save_interval.is_none_or(|every| (INTERVAL_MIN..=DELAY_MAX).contains(&every)),
                "force_save_interval",
                "1 ms to 30 days",
            ),
            ((1..=1 << 20).contains(&waiting_actions), "bounds.waiting_actions", "1 to 1,048,576"),
            (waiting_documents >= 1, "bounds.waiting_documents", "1 or more"),
            ((1..=1 << 16).contains(&asked), "bounds.asked", "1 to 65,536"),
            ((1..=1 << 16).contains(&turns), "bounds.turns", "1 to 65,536"),
            (notices >= 1, "bounds.notices", "1 or more"),
            (
                self.shards.is_none_or(|shards| shards.is_power_of_two() && shards <= SHARDS_MAX),
                "shards",
                "a power of two from 1 to 256",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, setting, rule)) => Err(ConfigError { setting, rule }),
            None => Ok(()),
        }
    }

    pub(crate) fn shard_count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.shards.unwrap_or_else(|| (cores() * 8).next_power_of_two().clamp(16, SHARDS_MAX))
    }
}

/// Whether `limit` is one that can be set.
pub(crate) fn limit_fits(limit: Option<u32>) -> bool {
    limit.is_none_or(|limit| limit <= LIMIT_MAX)
}

/// Largest limit that can be set.
pub(crate) const LIMIT_MAX: u32 = u32::MAX - 1;
/// Most days for which a named user may count after the first.
pub(crate) const EXPIRE_DAYS_MAX: u32 = 36_500;
const DELAY_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const INTERVAL_MIN: Duration = Duration::from_millis(1);
const RETRIES_MAX: usize = 64;
const SHARDS_MAX: usize = 256;

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("edit_limit", &self.edit_limit)
            .field("live_limit", &self.live_limit)
            .field("document_limit", &self.document_limit)
            .field("user_limit", &self.user_limit)
            .field("named_users", &self.named_users)
            .field("max_connections", &self.max_connections)
            .field("seat_count", &self.seat_count)
            .field("warn_at", &self.warn_at)
            .field("usage", &self.usage)
            .field("save_delay", &self.save_delay)
            .field("retry_pauses", &self.retry_pauses)
            .field("force_save_interval", &self.force_save_interval)
            .field("callbacks", &self.callbacks)
            .field("bounds", &self.bounds)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}
