//! A co-editing session engine. It answers one question: *who may edit this document right now?*
//!
//! A host server links it in. The [`Engine`] knows who has which document open, through which connections. It gives out edit
//! access up to a limit and lets everyone past it in view-only. It answers `info`, carries out `drop`, and tells the document
//! storage, as [`Callback`]s over a channel, who joined, who left and when to save. In process: no network, no async runtime,
//! one timer thread that the host can switch off.
//!
//! ```
//! use coedit::{Access, Config, DocumentKey, Engine, Reason, Status, User};
//!
//! let engine = Engine::new(Config::new().edit_limit(Some(1)))?;
//! let storage = engine.callbacks();
//! let report = DocumentKey::new("report-7")?;
//!
//! let ann = engine.open(&report, &User::new("ann")?, Access::Edit)?;
//! let ben = engine.open(&report, &User::new("ben")?, Access::Edit)?;
//! assert!(ann.may_edit());
//! assert_eq!(ben.granted().reason, Some(Reason::ConnectionLimit)); // Ben is in, view-only.
//! ann.change()?;
//!
//! // Tell the storage what happened. A callback is outstanding until it is acknowledged.
//! for delivery in storage.try_iter() {
//!     assert_eq!(delivery.callback().status, Status::Editing);
//!     delivery.ack();
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | document, key | a document, and the name that the host chose for it |
//! | user, connection | a person, and one editor tab of that person on one document |
//! | participant | a user with at least one connection to a document |
//! | join, leave | a connection with edit access begins, ends |
//! | access | edit, live view (sees changes as they come), view |
//! | limit, seat | how many may have an access, and one unit of it |
//! | lease | the time for which a lost connection keeps its seat |
//! | waiter | a viewer who asked for edit access and waits for a seat |
//! | session | what the engine knows of one document while anybody is in it or anything of it is not settled |
//! | callback, delivery | a message to the document storage, and the same in the hands of a worker, to be acknowledged |
//! | notice | a message to the host's transport |
//! | outbox | what the storage has not acknowledged yet, of one document |
//! | forgotten | a document whose save was given up: its changes are still unsaved |
//! | host | the program that embeds the engine |
//!
//! # Callbacks
//!
//! [`Engine::callbacks`] gives the [`Callbacks`]: blocking for threads ([`Callbacks::recv`]), a doorbell for `select!`
//! ([`Callbacks::ready`]), and a future for async hosts ([`Callbacks::next`], with the feature `async`, which is on by
//! default). A worker takes a [`Delivery`] and settles it. One that is dropped has failed, and is handed out again after a
//! pause. The [cookbook](#cookbook) has an example of each.
//!
//! # A sick storage, and the end
//!
//! A delivery that nobody settles within the [acknowledgement time-out](Config::ack_timeout) has failed, whatever became of its
//! worker. What fails is tried again after [growing pauses](Config::retry_pauses), and then given up: a
//! [`Notice::Storage`] says so, and a document whose save was given up is listed as [forgotten](Engine::forgotten). Saves and
//! closings go before all other callbacks, and wait for those of their own document no longer than the
//! [save patience](Config::save_patience). [`Engine::save_callbacks`] is for a worker that is kept free for them.
//!
//! [`Engine::shutdown`] ends the engine in order, and its [`Report`] names what is not saved. A host that drops its last
//! handle gets the same from [`Callbacks::report`].
//!
//! # Staying in
//!
//! With a [reconnect grace](Config::reconnect_grace) a connection whose transport [broke](Engine::lost) keeps its seat for a
//! while, and its client [resumes](Engine::resume) it with a [token](Connection::token). [`Config::idle`] and
//! [`Config::age`] end what is idle or old. [`Engine::fence`] keeps users out. [`Engine::suspend`] and [`Engine::restore`]
//! carry everything over a restart of the host.
//!
//! # Waiting
//!
//! A viewer past a limit [asks for edit access](Connection::request_edit) and gets the next seat in order: whoever gives one
//! back passes it to the first waiter whom it fits. With [`Config::idle_when_wanted`] an editor who is idle for long loses its
//! seat to one who waits.
//!
//! # Notices
//!
//! [`Engine::notices`] subscribes to what the transport has to pass on: who lost its access, a new title, a limit that comes
//! near, a callback that was given up. It is a crossbeam channel, so that it works in `select!`. Each call is a subscription
//! of its own. What a connection may do is always to be asked of the engine; a notice only says that it changed.
//!
//! # Limits
//!
//! There are limits of edit and live-view access of the whole engine, of the editors of a document, of what one user edits,
//! and of [named users](NamedUsers). Past any of them an open gets view access, with the [`Reason`]. Above them is a cap of
//! all connections, past which nobody gets in. [`Config`] sets them, and the `set_…` methods of [`Engine`] change them while
//! it runs. [`Engine::would_admit`] asks what an open would get, [`Engine::holders`] lists who has the seats,
//! [`Engine::usage`] tells how many were needed, and [`Notice::Limit`] says when a limit comes near.
//!
//! # Time
//!
//! Time is an input. Nothing falls due but in [`Engine::tick`]. A thread of the engine calls it, unless
//! [`Config::timer`] is off or the clock is manual: then call it when [`Engine::next_deadline`] says. With a
//! [`ManualClock`] every run is reproducible.
//!
//! A [`Clock`] shows two kinds of time. Delays, pauses, time-outs, idle time and the windows of usage run on *steady time*,
//! which never goes back. *Wall time* labels what is told, and counts calendar days and months. So a wall clock that is set
//! back or ahead moves no delay, and labels follow it: `lastsave` is right from then on, but never before an earlier one of
//! the same session. The default [`SystemClock`] reads both from the system.
//!
#![doc = include_str!("cookbook.md")]
//! # Inside: for contributors
//!
//! An open passes through five stops:
//!
//! | stop | what happens there |
//! |---|---|
//! | `Engine::open` | makes an owned [`Connection`] of the result |
//! | `Registry::open` | locks the shard of the document, and makes the calls below |
//! | `Admission::admit` | asks every limit, and takes every seat or none |
//! | `Session::join` | the rules of the document: participants, phase, outbox |
//! | `Registry::finish` | updates the shard's books, unlocks, and hands the document to the workers |
//!
//! Every other call locks a shard and asks one method of a session. It ends in `Registry::apply` where a session returns
//! effects, and in `Registry::finish` where it has none. A refusal only releases the lock.
//!
//! With what they call, apart from getters and conversions: `Registry::locate`, `hold`, `record_open`; `Shard::find`,
//! `connect`, `update`; `Admission::take_seats`; `SeatPool::try_take`; `Participants::join`; `MemberList::insert`;
//! `Outbox::tell`; `Ready::push`.
//! A close takes `Engine::close`, `Registry::close`, `hold`; `Shard::disconnect`; `Session::leave`, `end_edit`;
//! `Participants::leave`, `release`; `MemberList::remove`; `Outbox::tell`; `Registry::apply`, `release`, `finish`;
//! `Admission::release_access`; `Shard::update`; `Ready::push`.
//!
//! Files import only from further down this list.
//!
//! | where | what |
//! |---|---|
//! | `bin/coedit/` | the program: `serve`, `replay`, `plan` |
//! | [`door`] | JSON lines to engine calls and back |
//! | `engine/`, `connection.rs`, `receive.rs`, `delivery.rs`, `shutdown.rs` | what a host holds in its hands |
//! | `registry/` | what threads share: the shards and the lock over each (`mod.rs` has the lock rule, `open` and `close`), `apply.rs` (carries out effects), `shard.rs` and `books.rs` (for `&mut self`), `ready.rs` (the lanes of documents that have something to hand out), `storage.rs` (workers), `tick.rs`, `shutdown.rs` and `lifecycle.rs` (the end), `staying.rs`, `stay.rs` and `stays.rs` (leases, idle and old connections), `waiting.rs`, `turns.rs` and `wanted.rs` (who waits, who is next, and idle editors whose seats are wanted), `fencing.rs` and `fences.rs`, `snapshot.rs` and `restore.rs` |
//! | `session/` | one document as a pure state machine, with no lock, clock or channel |
//! | `admission/` | every limit, who gets a seat, and who waits for one (`waiters.rs`, `turns.rs`) |
//! | `notices.rs` | the subscriptions to notices |
//! | [`capacity`], `usage/` | how many connections a crowd needs, and how many were used |
//! | `stats/` | counters, and their text for Prometheus |
//! | `config/`, `access.rs`, `callback.rs`, `error.rs`, `ids.rs`, `license.rs`, `limits.rs`, `notice.rs`, `report.rs`, `seats.rs`, `time/`, `token.rs` | the vocabulary: plain types that import no machinery |
//! | `hash.rs`, `sync.rs`, `work.rs` | the hasher; locks, atomics and channels, which a model checker swaps; what is worked through under a lock, which tests count |
//!
//! The rules of the code: at most one shard lock is held at a time, and under it no host code runs, no precise clock is
//! read, and nothing works through more than 256 items, but for one document's own list of users. Methods are written for
//! `&mut self`, and the lock stands one layer above. Every queue has a bound, and [`Bounds`] names it. No error changes
//! anything. An `expect` documents an invariant of the engine: if it fails, that is a bug. [`Engine::validate`] recounts
//! every total.
//!
//! These cache lines are written by all threads:
//!
//! | line | written by | why it is shared |
//! |---|---|---|
//! | seats of edit (or live-view) access | an open and a close with that access | a limit of the whole engine is one number, and usage is exact |
//! | all connections | every open and close | the cap is exact |
//! | the tails and lengths of the lanes of ready documents | an open or a close after which the document is not in its lane yet | any worker may serve any document |
//! | the number of the latest delivery | a worker that takes a callback | each delivery has a number of its own |
//! | the latest steady time | one call a millisecond | time goes back in no thread |
//! | the count of the engine's handles | an open and a close of an owned [`Connection`], not of a bare id | the last handle ends the engine |

#![warn(clippy::unwrap_used, clippy::panic)]
// On docs.rs an item says which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod access;
mod admission;
mod callback;
pub mod capacity;
mod config;
mod connection;
mod delivery;
pub mod door;
mod engine;
mod error;
mod hash;
mod ids;
mod license;
mod limits;
mod notice;
mod notices;
mod receive;
mod registry;
mod report;
mod seats;
mod session;
mod shutdown;
mod stats;
mod sync;
mod time;
mod token;
mod usage;
#[cfg(not(feature = "count-work"))]
mod work;
#[cfg(feature = "count-work")]
#[doc(hidden)]
pub mod work;

pub use access::{
    Access, ConnectionInfo, ConnectionState, Dropped, EditRequest, Fence, Forgotten, Grant, Holder,
    Participant, Reason,
};
pub use callback::{Action, ActionKind, Answered, Author, Callback, ForceSaveType, History, Status, Turn};
pub use config::{Bounds, Config, IdleThen};
pub use connection::Connection;
pub use delivery::Delivery;
pub use engine::Engine;
pub use error::{
    ChangeError, ConfigError, ConnectionError, DocumentError, ErrorCode, FenceError, ForceSaveError,
    ForgottenError, InfoError, MetaError, OpenError, RequestError, RestoreError, ResumeError, RetryError,
    TransportError, UnknownNumber,
};
pub use ids::{
    ConnectionId, DocumentKey, KEY_MAX, Malformed, TITLE_MAX, URL_MAX, USER_ID_MAX, USER_NAME_MAX,
    USERDATA_MAX, User, UserId,
};
pub use license::{License, LicenseServer, LicenseTerms, NamedUser, Quota, VERSION};
pub use limits::{Limit, LimitUse, LimitUses, Limits, NamedUsers, SeatCount, Waiting};
pub use notice::{AccessCause, DisconnectCause, DropCause, LimitLevel, Notice, Pool, Presence};
pub use receive::{Callbacks, RecvError, RecvTimeoutError, TryRecvError};
pub use registry::Snapshot;
pub use report::{DocumentState, PendingDocument, Remaining, Report};
pub use shutdown::Shutdown;
pub use stats::{CallbackCounts, CloseCounts, ConnectionCounts, DocumentCounts, OpenCounts, Stats};
pub use time::{Clock, ManualClock, SystemClock, Timestamp, TimestampError};
pub use token::{ResumeToken, TokenError};
pub use usage::{BusyPeriod, Denials, Level, Month, Usage, Waits, Window};

/// The README's examples are tests.
#[cfg(all(doctest, feature = "async"))]
#[doc = include_str!("../README.md")]
struct Readme;
