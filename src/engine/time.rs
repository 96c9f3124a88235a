//! Time, and checks for tests.

use super::Engine;
use crate::time::Timestamp;
use crate::timer::Timer;

/// Time.
impl Engine {
    /// Runs what is due by now: saves after their delay, retries, timed force saves. Returns when to call it next, or
    /// `None` while nothing has a deadline.
    ///
    /// The returned time may be too early, but not too late. Any other call may bring the next deadline forward, see
    /// [`next_deadline`](Self::next_deadline). Takes no lock if nothing is due, except that the first call of a minute
    /// collects [`usage`](Self::usage). Otherwise it runs at most 128 deadlines under one hold of a shard lock.
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

    /// Returns when to call [`tick`](Self::tick) next, or `None` while nothing has a deadline. Takes no lock.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.registry().next_deadline()
    }

    /// Starts a thread that calls [`tick`](Self::tick) whenever something is due.
    ///
    /// The thread stops when the [`Timer`] or the last handle of the engine is dropped. It sleeps by the machine's time:
    /// with a [`ManualClock`](crate::ManualClock), call `tick` yourself after you moved the clock.
    ///
    /// Returns an error of kind [`AlreadyExists`](std::io::ErrorKind::AlreadyExists) if the engine has a timer, and the
    /// system's error if it cannot start a thread.
    ///
    /// ```
    /// use coedit::{Config, Engine};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let timer = engine.spawn_timer()?;
    /// assert!(engine.spawn_timer().is_err());
    /// drop(timer);
    /// assert!(engine.spawn_timer().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn spawn_timer(&self) -> std::io::Result<Timer> {
        Timer::spawn(self.handle.registry.clone())
    }

    /// Recounts every total from scratch and returns the first difference as text. It is meant for tests.
    ///
    /// It may be called at any time. It compares the seats of the whole engine only if no other thread changed anything
    /// meanwhile. Takes time in proportion to everything that is open, one shard at a time under its lock.
    pub fn validate(&self) -> Result<(), String> {
        self.registry().validate()
    }
}
