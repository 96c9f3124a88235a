//! Time, and checks for tests.

use super::Engine;
use crate::stats::Stats;
use crate::time::Timestamp;

/// Time and monitoring.
impl Engine {
    /// Returns what the wall clock of the engine shows now, by which it labels what it tells.
    ///
    /// ```
    /// use coedit::{Config, Engine, ManualClock, Timestamp};
    /// use std::sync::Arc;
    ///
    /// let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
    /// let engine = Engine::new(Config::new().clock(clock))?;
    /// assert_eq!(engine.now().to_string(), "2023-11-14T22:13:20.000Z");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn now(&self) -> Timestamp {
        self.registry().wall_now()
    }

    /// Returns what the engine did since it began, and what it holds now, see [`Stats`].
    ///
    /// Reads every open document, by slices of about 256 documents and users under one hold of a shard lock. To count costs
    /// the calls that are counted an addition each.
    pub fn stats(&self) -> Stats {
        self.registry().stats()
    }

    /// Runs what is due by now: saves after their delay, time-outs, retries, timed force saves. Returns when to call it
    /// next, or `None` while nothing has a deadline. A host calls it with a manual clock, or with
    /// [`Config::timer(false)`](crate::Config::timer): else a thread of the engine does.
    ///
    /// The returned time is by the wall clock, as it runs now. It may be too early, but not too late, unless the wall clock is
    /// set back meanwhile. Any other call may bring the next deadline forward, see
    /// [`next_deadline`](Self::next_deadline). Takes no lock if nothing is due, except that the first call of a minute
    /// collects [`usage`](Self::usage). Otherwise it runs what is due by slices: at most 128
    /// connections, or about 256 documents and users, under one hold of a shard lock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, ManualClock, Status, User};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let engine = Engine::new(Config::new().save_delay(Duration::from_secs(10)).clock(clock.clone()))?;
    /// let callbacks = engine.callbacks();
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// tab.change()?;
    /// tab.close();
    /// callbacks.recv()?.ack(); // ann joined
    ///
    /// clock.advance(Duration::from_secs(10));
    /// engine.tick();
    /// assert_eq!(callbacks.recv()?.callback().status, Status::Save);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn tick(&self) -> Option<Timestamp> {
        self.registry().tick()
    }

    /// Returns when to call [`tick`](Self::tick) next, by the wall clock as it runs now, or `None` while nothing has a
    /// deadline. Takes no lock.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.registry().next_deadline()
    }

    /// Recounts every total from scratch and returns the first difference as text. It is meant for tests.
    ///
    /// It may be called at any time. It compares the seats of the whole engine only if no other thread changed anything
    /// meanwhile. Takes time in proportion to everything that is open, one shard at a time under its lock.
    pub fn validate(&self) -> Result<(), String> {
        self.registry().validate()
    }
}
