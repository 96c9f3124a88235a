//! Draining, what is not saved, and the end.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::config::Config;
use crate::error::RestoreError;
use crate::registry::{Registry, Snapshot};
use crate::report::{PendingDocument, Remaining, Report};
use crate::shutdown::Shutdown;

/// Draining and the end.
impl Engine {
    /// Stops granting edit access, for a host that is about to stop.
    ///
    /// From now on an open gets view access, with the reason [`Draining`](crate::Reason::Draining). Those who edit keep
    /// their access. A save is due as soon as the last editor leaves, and saves that wait for the save delay are due at
    /// once; those that wait for their next attempt wait on. [`undrain`](Self::undrain) calls it off. Visits every
    /// document, at most 128 under one hold of a shard lock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, Reason, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let (key, ann) = (DocumentKey::new("report")?, User::new("ann")?);
    /// engine.drain();
    /// let tab = engine.open(&key, &ann, Access::Edit)?;
    /// assert_eq!(tab.granted().reason, Some(Reason::Draining));
    /// engine.undrain();
    /// assert!(engine.open(&key, &ann, Access::Edit)?.may_edit());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drain(&self) {
        self.registry().drain();
    }

    /// Calls [`drain`](Self::drain) off: the engine gives out edit access again. Saves that are due stay due. Does nothing
    /// once a shutdown has begun.
    pub fn undrain(&self) {
        self.registry().undrain();
    }

    /// Returns true if [`drain`](Self::drain) was called, and not called off.
    pub fn is_draining(&self) -> bool {
        self.registry().is_draining()
    }

    /// Returns the documents with unsaved changes, the forgotten ones included, sorted by key. Reads every document, at most
    /// 256 under one hold of a shard lock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, DocumentState, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// assert!(engine.unsaved().is_empty());
    /// tab.change()?;
    /// let unsaved = engine.unsaved();
    /// assert_eq!((unsaved[0].key.as_str(), unsaved[0].state), ("report", DocumentState::Edited));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unsaved(&self) -> Vec<PendingDocument> {
        self.registry().unsaved()
    }

    /// Returns how many connections are open, and every document that is not settled: it has unsaved changes, or the storage
    /// has not acknowledged everything that it is told. Costs as much as [`unsaved`](Self::unsaved).
    pub fn remaining(&self) -> Remaining {
        self.registry().remaining()
    }

    /// Ends the engine, and waits until all is settled, at the latest until `deadline` from now. Returns what was saved, and
    /// what was not. The same as [`begin_shutdown`](Self::begin_shutdown) and [`Shutdown::wait`].
    ///
    /// Call it on a thread that takes no callbacks: the workers go on meanwhile. Whoever calls it with a delivery in hand
    /// waits until that runs out, or for the deadline. With a manual clock, another thread has to move the clock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    /// use std::time::Duration;
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let callbacks = engine.callbacks();
    /// let worker = std::thread::spawn(move || {
    ///     for delivery in callbacks.iter() {
    ///         delivery.ack();
    ///     }
    /// });
    ///
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// tab.change()?;
    /// let report = engine.shutdown(Duration::from_secs(20));
    /// assert_eq!((report.saved, report.is_complete()), (1, true));
    /// worker.join().unwrap(); // the receivers have ended
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&self, deadline: Duration) -> Arc<Report> {
        self.begin_shutdown(deadline).wait()
    }

    /// Stops the engine for a restart of the host while people type, and returns everything that
    /// [`restore`](Self::restore) makes an engine of.
    ///
    /// No call finds anything any more, nothing is handed out, and the storage hears of no leave. Waits for what workers have,
    /// at most for `deadline`; what is out then counts as failed. Then the receivers end, and dropping connections or
    /// the engine does nothing. After a shutdown, the snapshot has what was not saved. With a manual clock another thread
    /// has to move the clock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    /// use std::time::Duration;
    ///
    /// let config = Config::new().edit_limit(Some(1)).reconnect_grace(Some(Duration::from_secs(120)));
    /// let engine = Engine::new(config.clone())?;
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// tab.change()?;
    /// let token = tab.token().unwrap();
    /// let snapshot = serde_json::to_string(&engine.suspend(Duration::from_secs(5)))?;
    ///
    /// // In the next process:
    /// let engine = Engine::restore(config, serde_json::from_str(&snapshot)?)?;
    /// let back = engine.resume(&token, 1)?;
    /// assert!(back.may_edit());
    /// assert_eq!(engine.unsaved().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn suspend(&self, deadline: Duration) -> Snapshot {
        self.handle.registry.suspend(deadline)
    }

    /// Returns everything that is open, unsaved or forgotten now, as [`suspend`](Self::suspend) does, while the engine goes on:
    /// for a host that may crash. It is consistent document by document. Reads every document, by slices of about 256
    /// documents and users under one hold of a shard lock.
    pub fn snapshot(&self) -> Snapshot {
        self.registry().snapshot()
    }

    /// Makes an engine of a snapshot.
    ///
    /// Every connection with a token is lost from now on, with the full [grace](Config::reconnect_grace) of `config`, or 60 s
    /// if it has none; one without a token leaves at once. Seats are given by the order of joining up to the limits of
    /// `config`, and the rest are viewers. Every unsaved document is still to be saved. Returns an error, and never
    /// panics, if a setting is out of bounds, or the snapshot is damaged or of another version.
    #[expect(clippy::needless_pass_by_value, reason = "a config makes one engine")]
    pub fn restore(config: Config, snapshot: Snapshot) -> Result<Self, RestoreError> {
        config.check().map_err(RestoreError::Config)?;
        let registry = Registry::restore(&config, snapshot)?;
        Engine::with_registry(&config, registry).map_err(RestoreError::Config)
    }

    /// Begins to end the engine, and returns once nobody gets in any more and all connections are closed.
    ///
    /// Every open fails with [`OpenError::ShutDown`](crate::OpenError::ShutDown). The transport hears a
    /// [`Notice::Disconnected`](crate::Notice::Disconnected) of each connection. Every save is due and tried at once, and the
    /// [pauses](crate::Config::retry_pauses) between attempts begin again with the first. The
    /// [save patience](crate::Config::save_patience) is at most a quarter of `deadline`. When all is settled, or `deadline` from
    /// now, the receivers end, and answers are late from then on. Questions are answered throughout.
    ///
    /// The first call counts; a later one returns the same shutdown. Works through at most 128 connections under one hold
    /// of a shard lock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, ManualClock, Status, User};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let engine = Engine::new(Config::new().clock(clock.clone()))?;
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// tab.change()?;
    /// let shutdown = engine.begin_shutdown(Duration::from_secs(20));
    /// assert_eq!(shutdown.report(), None);
    /// clock.advance(Duration::from_secs(20)); // no worker comes
    /// engine.tick();
    /// assert_eq!(shutdown.report().unwrap().unsaved[0].key.as_str(), "report");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin_shutdown(&self, deadline: Duration) -> Shutdown {
        self.handle.registry.begin_shutdown(deadline);
        Shutdown::new(self.handle.registry.clone())
    }
}
