//! The settings of an engine.

mod check;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use check::{check_limit, check_named_users};

use serde::{Deserialize, Serialize};

use crate::license::VERSION;
use crate::limits::{NamedUsers, SeatCount};
use crate::time::{Clock, SystemClock};

/// The bounds of the engine's queues. Past a bound the engine merges entries, drops pairs that cancel out, or refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bounds {
    /// The joins and leaves of one document that wait for the storage. Past it the engine drops pairs that cancel out.
    /// Default 1,024; 1 to 1,048,576.
    pub waiting_actions: usize,
    /// The documents that wait for the storage. Past it the engine drops a document that was opened and closed without
    /// a change, and leaves out the callbacks of `info`. Default 65,536; 1 or more.
    pub waiting_documents: usize,
    /// The callbacks of `info`, and beside them the force saves, of one document that wait for the storage. Past it the
    /// engine leaves out the callback of an `info`, and refuses a force save.
    /// Default 64; 1 to 65,536.
    pub asked: usize,
    /// The turns of a [`History`](crate::History). Past it the engine merges the two oldest. Default 100; 1 to 65,536.
    pub turns: usize,
    /// The notices that wait for the transport. Past it the engine discards new ones and
    /// [counts](crate::Notice::Missed) them. Default 65,536; 1 or more.
    pub notices: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { waiting_actions: 1024, waiting_documents: 65_536, asked: 64, turns: 100, notices: 65_536 }
    }
}

/// What becomes of a connection that is idle for too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdleThen {
    /// It becomes view-only.
    #[default]
    View,
    /// It is closed, also if it only views.
    Close,
}

/// The settings of an [`Engine`](crate::Engine).
///
/// A setter accepts any value. [`Engine::new`](crate::Engine::new) returns a [`ConfigError`](crate::ConfigError) that
/// names the first setting out of bounds.
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
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
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
    pub(crate) save_patience: Duration,
    pub(crate) ack_timeout: Option<Duration>,
    pub(crate) retry_pauses: Vec<Duration>,
    pub(crate) drop_deadline: Duration,
    pub(crate) timer: bool,
    pub(crate) version: String,
    pub(crate) force_save_interval: Option<Duration>,
    pub(crate) callbacks: bool,
    pub(crate) reconnect_grace: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) idle_then: IdleThen,
    pub(crate) idle_when_wanted: Option<Duration>,
    pub(crate) age: Option<Duration>,
    pub(crate) expiry_warning: Duration,
    pub(crate) presence: bool,
    pub(crate) bounds: Bounds,
    pub(crate) shards: Option<usize>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Config {
    /// Returns the default settings: no limits, a save delay of 10 s, retries for about ten minutes, no timed force saves,
    /// the system's clock, and a thread that runs what falls due.
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
            save_patience: Duration::from_secs(5),
            ack_timeout: Some(Duration::from_secs(60)),
            retry_pauses: [1, 2, 4, 8, 16, 32].into_iter().chain([60; 9]).map(Duration::from_secs).collect(),
            drop_deadline: Duration::from_secs(30),
            timer: true,
            version: VERSION.to_owned(),
            force_save_interval: None,
            callbacks: true,
            reconnect_grace: None,
            idle: None,
            idle_then: IdleThen::View,
            idle_when_wanted: None,
            age: None,
            expiry_warning: Duration::from_secs(60),
            presence: false,
            bounds: Bounds::default(),
            shards: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets the most connections that may have edit access at one time. Default: no limit. 0 to 4,294,967,294; with 0
    /// everybody gets view access. Costs nothing.
    #[must_use]
    pub fn edit_limit(mut self, limit: Option<u32>) -> Self {
        self.edit_limit = limit;
        self
    }

    /// Sets the most connections that may have live-view access at one time. Default: no limit. Bounds as for
    /// [`edit_limit`](Self::edit_limit). Costs nothing.
    #[must_use]
    pub fn live_limit(mut self, limit: Option<u32>) -> Self {
        self.live_limit = limit;
        self
    }

    /// Sets the most connections that may have edit access to one document at one time. Default: no limit. Bounds as for
    /// [`edit_limit`](Self::edit_limit). Costs nothing, but with [`SeatCount::UsersOfDocuments`] an open takes time in
    /// proportion to the document's users.
    #[must_use]
    pub fn document_limit(mut self, limit: Option<u32>) -> Self {
        self.document_limit = limit;
        self
    }

    /// Sets the most connections with edit access that one user may have at one time, over all documents. Default: no
    /// limit. Bounds as for [`edit_limit`](Self::edit_limit). Costs one lookup of the user in every open and close with
    /// edit access.
    #[must_use]
    pub fn user_limit(mut self, limit: Option<u32>) -> Self {
        self.user_limit = limit;
        self
    }

    /// Sets how many different users may be given access within a number of days. Default: no limit. Bounds: see
    /// [`NamedUsers`]. Costs one lock, shared by all named users, and one lookup in every open that asks for edit or
    /// live-view access.
    #[must_use]
    pub fn named_users(mut self, quota: NamedUsers) -> Self {
        self.named_users = quota;
        self
    }

    /// Sets the most connections that may be open at one time, viewers included, as a protection against floods. Past it
    /// an open fails with [`OpenError::TooMany`](crate::OpenError::TooMany). Default: no limit. Bounds as for
    /// [`edit_limit`](Self::edit_limit). Costs one atomic operation in every open and close.
    #[must_use]
    pub fn max_connections(mut self, cap: Option<u32>) -> Self {
        self.max_connections = cap;
        self
    }

    /// Sets what takes a seat of the limits of edit access, live-view access, a document and a user. Default:
    /// [`SeatCount::Connections`].
    #[must_use]
    pub fn seat_count(mut self, count: SeatCount) -> Self {
        self.seat_count = count;
        self
    }

    /// Sets how full a limit of the whole engine is when a [`Notice::Limit`](crate::Notice::Limit) warns of it, in
    /// percent. Default 70; 1 to 100.
    #[must_use]
    pub fn warn_at(mut self, percent: u32) -> Self {
        self.warn_at = percent;
        self
    }

    /// Sets whether the engine records its [`usage`](crate::Engine::usage). Default: true. Costs some nanoseconds in every
    /// open and close, and memory of up to 2 MiB plus 6.5 KiB for each shard.
    #[must_use]
    pub fn usage(mut self, on: bool) -> Self {
        self.usage = on;
        self
    }

    /// Sets how long after the last editor of a changed document left its save is due. If an editor joins before that, no
    /// save is due. Default 10 s; 0 to 30 days, rounded up to whole milliseconds.
    #[must_use]
    pub fn save_delay(mut self, delay: Duration) -> Self {
        self.save_delay = delay;
        self
    }

    /// Sets how long a save or a closing that is due waits for what is handed out before it: for the callback of its
    /// document that a worker has, and for what waits. Then it goes first, and what it overtakes is dropped; a force save
    /// among it is told with [`Notice::Storage`](crate::Notice::Storage). Default 5 s; 0 to 30 days.
    #[must_use]
    pub fn save_patience(mut self, patience: Duration) -> Self {
        self.save_patience = patience;
        self
    }

    /// Sets how long a worker may have a callback before it has failed. Default 60 s; 1 ms to 30 days, or none: then a
    /// delivery that is leaked keeps its document for ever. See [`Delivery::extend`](crate::Delivery::extend).
    #[must_use]
    pub fn ack_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.ack_timeout = timeout;
        self
    }

    /// Sets the pauses after which a failed callback is handed out again, one for each retry. Default 1, 2, 4, 8, 16, 32
    /// and nine times 60 s; at most 64 pauses of at most 30 days each. With no pauses a callback is given up when it fails
    /// for the first time. Unless the clock is manual, each pause is up to a fifth longer or shorter, at random.
    #[must_use]
    pub fn retry_pauses(mut self, pauses: impl Into<Vec<Duration>>) -> Self {
        self.retry_pauses = pauses.into();
        self
    }

    /// Sets how long after the first unsaved change a force save of type 2 is due while the document is edited. Default:
    /// no timed force saves. 1 ms to 30 days.
    #[must_use]
    pub fn force_save_interval(mut self, interval: Option<Duration>) -> Self {
        self.force_save_interval = interval;
        self
    }

    /// Sets how much time the saves have after the last handle of the engine is dropped, as if by
    /// [`Engine::shutdown`](crate::Engine::shutdown). Default 30 s; 0 to 30 days.
    #[must_use]
    pub fn drop_deadline(mut self, deadline: Duration) -> Self {
        self.drop_deadline = deadline;
        self
    }

    /// Sets whether the engine has a thread that runs what falls due. Default: true. If false, the host calls
    /// [`Engine::tick`](crate::Engine::tick). With a manual clock there is no thread. A shutdown starts one in any case,
    /// unless the clock is manual.
    #[must_use]
    pub fn timer(mut self, on: bool) -> Self {
        self.timer = on;
        self
    }

    /// Sets the version that the command service answers and that a [`History`](crate::History) names. Default: that of
    /// coedit, [`VERSION`]. 1 to 64 bytes. Known callback handlers refuse a version below `6.0`.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets whether the engine makes callbacks. Default: true. If false, the engine tracks no changes, no save is due, and
    /// a force save fails with [`ForceSaveError::NotChanged`](crate::ForceSaveError::NotChanged).
    #[must_use]
    pub fn callbacks(mut self, on: bool) -> Self {
        self.callbacks = on;
        self
    }

    /// Sets how long a connection that is [lost](crate::Engine::lost) keeps its seat, so that its client can
    /// [resume](crate::Engine::resume) it. Default: none, and a lost connection is closed at once. 1 ms to 30 days. Costs
    /// some hundred bytes for each connection, and up to a tenth of the time of an open and a close.
    #[must_use]
    pub fn reconnect_grace(mut self, grace: Option<Duration>) -> Self {
        self.reconnect_grace = grace;
        self
    }

    /// Sets after how long a connection that is idle loses its access, see [`idle_then`](Self::idle_then). A connection is
    /// active when it is opened, changes the document, is [touched](crate::Engine::touch) or resumed. Default: never. 1 ms
    /// to 30 days. Costs as [`reconnect_grace`](Self::reconnect_grace) does.
    #[must_use]
    pub fn idle(mut self, idle: Option<Duration>) -> Self {
        self.idle = idle;
        self
    }

    /// Sets what becomes of an idle connection. Default: [`IdleThen::View`].
    #[must_use]
    pub fn idle_then(mut self, then: IdleThen) -> Self {
        self.idle_then = then;
        self
    }

    /// Sets after how long an idle connection can lose its edit access to a viewer who [waits](crate::Engine::request_edit).
    ///
    /// While somebody waits at the limit of the engine or of the document, the editor who is idle longest is warned with
    /// [`Notice::Expiring`](crate::Notice::Expiring), [`expiry_warning`](Self::expiry_warning) before. If it stays idle, it
    /// becomes view-only, and the first waiter has its seat. That happens only if it lets the waiter in at once, and never by
    /// an open. A connection that is lost is left alone. Default: never. 1 ms to 30 days. Costs as
    /// [`reconnect_grace`](Self::reconnect_grace) does.
    #[must_use]
    pub fn idle_when_wanted(mut self, idle: Option<Duration>) -> Self {
        self.idle_when_wanted = idle;
        self
    }

    /// Sets after how long an open connection is closed, however active it is. Default: never. 1 ms to 30 days. Costs as
    /// [`reconnect_grace`](Self::reconnect_grace) does.
    #[must_use]
    pub fn age(mut self, age: Option<Duration>) -> Self {
        self.age = age;
        self
    }

    /// Sets how long before its time ends an idle or old connection is warned, with
    /// [`Notice::Expiring`](crate::Notice::Expiring). Default 60 s; 0 to 30 days.
    #[must_use]
    pub fn expiry_warning(mut self, warning: Duration) -> Self {
        self.expiry_warning = warning;
        self
    }

    /// Sets whether the transport hears of participants who join, leave, or change their access:
    /// [`Notice::Joined`](crate::Notice::Joined) and the like. Default: false.
    #[must_use]
    pub fn presence(mut self, on: bool) -> Self {
        self.presence = on;
        self
    }

    /// Sets the bounds of the engine's queues. Defaults and bounds: see [`Bounds`].
    #[must_use]
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Sets the number of shards. Documents are spread over shards, and each shard has one lock. Must be a power of two
    /// from 1 to 1,024. Default: eight for each core, rounded up to a power of two, but at least 128 and at most 1,024.
    /// With more shards fewer threads wait for the same lock; each shard takes some hundred bytes, and more with
    /// [`usage`](Self::usage).
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Sets the clock. Default: a [`SystemClock`]. A host's own should tell [steady time](Clock::steady), so that a wall
    /// clock that jumps ahead ends no delay.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

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
            .field("save_patience", &self.save_patience)
            .field("ack_timeout", &self.ack_timeout)
            .field("retry_pauses", &self.retry_pauses)
            .field("drop_deadline", &self.drop_deadline)
            .field("timer", &self.timer)
            .field("version", &self.version)
            .field("force_save_interval", &self.force_save_interval)
            .field("callbacks", &self.callbacks)
            .field("reconnect_grace", &self.reconnect_grace)
            .field("idle", &self.idle)
            .field("idle_then", &self.idle_then)
            .field("idle_when_wanted", &self.idle_when_wanted)
            .field("age", &self.age)
            .field("expiry_warning", &self.expiry_warning)
            .field("presence", &self.presence)
            .field("bounds", &self.bounds)
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}
