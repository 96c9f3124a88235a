//! A co-editing session engine: it answers *who may edit this document right now?*
//!
//! A host server links it in. The [`Engine`] knows who has which document open, through which connections; gives out edit
//! access up to a limit and lets everyone past it in view-only; answers `info`; carries out `drop`; and tells the document
//! storage, as [`Callback`]s over a queue, who came, who went and when to save. In process: no network, no async runtime,
//! no thread of its own unless the host asks for one.
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
//! assert_eq!(ben.granted().reason, Some(Reason::ConnectionLimit)); // in, view-only
//! ann.change()?;
//!
//! // Tell the storage what happened. Each callback is outstanding until it is acknowledged.
//! for delivery in storage.try_iter() {
//!     assert_eq!(delivery.callback().status, Status::Editing);
//!     delivery.ack();
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Words
//!
//! *Document key*: names a document; hosts choose it. *Session*: what the engine knows of one document while anybody is in
//! it or anything of it is unsaved. *Connection*: one editor tab; belongs to one user and one document. *Participant*: a
//! user with at least one connection. *Access*: edit, live view (sees changes as they come), view. *Seat*: one unit of a
//! limit, held by a connection while it has the access that the limit counts; or, as [`SeatCount`] says, by all of a user's
//! connections to a document together. *Callback*: a message to the document storage. *Notice*: a message to the host's
//! transport.
//!
//! # Limits
//!
//! On edit and live-view access of the whole engine, on the editors of a document, on what one user edits, on [named
//! users](NamedUsers): past any of them an open gets view access, with the [`Reason`]. Above them a cap of all connections,
//! past which nobody gets in. [`Config`] sets them, the `set_…` methods of [`Engine`] change them while it runs.
//! [`Engine::would_admit`] asks what an open would get, [`Engine::holders`] tells who has the seats, [`Engine::usage`] how
//! many were needed, and [`Notice::Limit`] says when one comes near.
//!
//! # Time
//!
//! Time is an input. Nothing falls due but in [`Engine::tick`]: call it when [`Engine::next_deadline`] says, or let
//! [`Engine::spawn_timer`] do so. With a [`ManualClock`] every run is reproducible.
//!
//! # Waking a task
//!
//! A host on an async runtime needs no thread that blocks: [`Config::on_callbacks`] is called when the queue stops being
//! empty, and wakes the task that takes from it until it is empty again.
//!
//! ```
//! use std::future::poll_fn;
//! use std::sync::{Arc, Mutex};
//! use std::task::{Context, Poll, Waker};
//!
//! use coedit::{Access, Callbacks, Config, Delivery, DocumentKey, Engine, TryRecvError, User};
//!
//! /// The waker of the task that takes callbacks.
//! #[derive(Clone, Default)]
//! struct Storage(Arc<Mutex<Option<Waker>>>);
//!
//! impl Storage {
//!     fn wake(&self) {
//!         if let Some(waker) = self.0.lock().unwrap().take() {
//!             waker.wake();
//!         }
//!     }
//!
//!     /// The next callback; `None` once the engine is gone.
//!     async fn next(&self, callbacks: &Callbacks) -> Option<Delivery> {
//!         poll_fn(|task| {
//!             // First the waker, then the look: what comes in between is not missed.
//!             *self.0.lock().unwrap() = Some(task.waker().clone());
//!             match callbacks.try_recv() {
//!                 Ok(delivery) => Poll::Ready(Some(delivery)),
//!                 Err(TryRecvError::Empty) => Poll::Pending,
//!                 Err(TryRecvError::Disconnected) => Poll::Ready(None),
//!             }
//!         })
//!         .await
//!     }
//! }
//!
//! let storage = Storage::default();
//! let hook = storage.clone();
//! let engine = Engine::new(Config::new().on_callbacks(move || hook.wake()))?;
//! let callbacks = engine.callbacks();
//! let worker = async {
//!     let mut seen = Vec::new();
//!     while let Some(delivery) = storage.next(&callbacks).await {
//!         seen.push(delivery.ack().status.number());
//!     }
//!     seen
//! };
//!
//! // Any executor will do; here the task is polled by hand, and once more when the hook woke it.
//! # struct Flag(std::sync::atomic::AtomicBool);
//! # impl std::task::Wake for Flag {
//! #     fn wake(self: Arc<Self>) { self.0.store(true, std::sync::atomic::Ordering::SeqCst) }
//! # }
//! # let woken = Arc::new(Flag(false.into()));
//! # let waker = Waker::from(woken.clone());
//! # let mut task = Context::from_waker(&waker);
//! # let mut worker = std::pin::pin!(worker);
//! # use std::future::Future;
//! # use std::sync::atomic::Ordering::SeqCst;
//! assert!(worker.as_mut().poll(&mut task).is_pending());
//! let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
//! assert!(woken.0.swap(false, SeqCst));
//! assert!(worker.as_mut().poll(&mut task).is_pending());
//! drop((tab, engine));
//! assert!(woken.0.swap(false, SeqCst));
//! assert_eq!(worker.as_mut().poll(&mut task), Poll::Ready(vec![1, 4]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The layout
//!
//! Files import only from further down this list.
//!
//! | where | what |
//! |---|---|
//! | `bin/coedit/` | the program: the JSON door on standard input and output, and `plan` |
//! | [`door`] | JSON lines to engine calls and back |
//! | `engine.rs` | [`Engine`]: validates, picks, delegates |
//! | `connection.rs`, `delivery.rs`, `timer.rs` | what a host holds in its hands: [`Connection`], [`Callbacks`], [`Delivery`], [`Notices`], [`Timer`] |
//! | `registry/` | what threads share: the shards and the one lock over each, the ready queue, the sleeper. The lock rule stands here |
//! | `registry/shard/` | some of the documents and the connections to them, for `&mut self` |
//! | `session/` | the heart: one document as a pure state machine. Its rules read top to bottom: `mod.rs` (commands), `phase.rs` (the one transition function), `roster.rs`, `standing.rs` (what the shard asks after every call), `changes.rs`, `outbox.rs`, `telling.rs`, `storage.rs` (what the storage is told, and its answers). `ordered/`, `queue.rs`, `spares.rs` keep it small |
//! | [`capacity`] | how many connections a crowd needs: formulas, and what was seen |
//! | `usage/` | how much the engine is used, over windows of time: [`Usage`] |
//! | `seats.rs`, `quota.rs`, `pool.rs` | limits: all of them at once, those by user, and one compare-and-swap |
//! | `config.rs` | [`Config`], [`Bounds`] |
//! | `callback.rs`, `notice.rs`, `license.rs`, `access.rs` | what goes out |
//! | `time.rs`, `ids.rs`, `error.rs` | moments and clocks, names, errors |
//! | `table.rs`, `text.rs` | a hash table of numbers; short text |
//! | `sync.rs` | locks and atomics; a model checker swaps them |
//!
//! # The rules of the code
//!
//! At most one shard's lock is held at a time, and under it no host code runs, no clock is read and nothing is sent.
//! Methods are written for `&mut self`; the lock stands one layer above. A seat is freed by its owner. Every queue has a
//! bound, and [`Bounds`] names it. No error changes anything. [`Engine::validate`] recounts every total.

#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod callback;
pub mod capacity;
mod config;
mod connection;
mod delivery;
pub mod door;
mod engine;
mod error;
mod ids;
mod license;
mod notice;
mod pool;
mod quota;
mod registry;
mod seats;
mod session;
mod sync;
mod table;
mod text;
mod time;
mod timer;
mod usage;

pub use access::{Access, Dropped, Forgotten, Grant, Holder, Participant, Reason};
pub use callback::{Action, ActionKind, Author, Callback, ForceSaveType, History, Status, Turn};
pub use config::{Bounds, Config};
pub use connection::Connection;
pub use delivery::{Callbacks, Delivery, Notices, RecvError, RecvTimeoutError, TryRecvError};
pub use engine::Engine;
pub use error::{
    ChangeError, ConfigError, ConnectionError, DocumentError, ErrorCode, ForceSaveError, ForgottenError,
    InfoError, MetaError, OpenError, UnknownNumber,
};
pub use ids::{
    ConnectionId, DocumentKey, KEY_MAX, Malformed, TITLE_MAX, URL_MAX, USER_ID_MAX, USER_NAME_MAX,
    USERDATA_MAX, User, UserId,
};
pub use license::{License, LicenseServer, LicenseTerms, Limit, Limits, NamedUser, Quota, VERSION};
pub use notice::{LimitLevel, Notice, Pool};
pub use quota::NamedUsers;
pub use seats::SeatCount;
pub use time::{Clock, ManualClock, SystemClock, Timestamp, TimestampError};
pub use timer::Timer;
pub use usage::{Level, Month, Usage, Window};

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
