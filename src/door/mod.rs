//! The JSON door: runs an engine by lines of JSON.
//!
//! A request is one line, and so is everything that the door writes: a reply `{"reply":…}`, a callback
//! `{"callback":…}` or a notice `{"notice":…}`. [`Lines`] splits a stream into lines, and [`Door`] answers them.
//!
//! Inside, `request` parses a line, `run` calls the [`Engine`], and `write` writes the lines. `engine_command` has the commands
//! that [`Engine::command`] answers too.

mod command_service;
mod engine_command;
mod in_hand;
mod labels;
mod lines;
mod members;
mod request;
mod request_members;
mod run;
mod staying;
mod tally;
mod waiting;
mod write;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

pub use lines::{LINE_MAX, Lines};
pub use run::Acknowledge;
pub use tally::Tally;

use crate::config::Config;
use crate::engine::Engine;
use crate::error::{ConfigError, ErrorCode};
use crate::notice::Notice;
use crate::receive::Callbacks;
use crate::report::Report;
use crate::time::{Clock, ManualClock, Timestamp};
use request::Request;
use run::Runner;
use write::LineWriter;

/// Answers requests, one line at a time, and writes the callbacks and notices of one engine.
///
/// Every method appends whole lines to `out`: first the reply, then the notices, then the callbacks that the request
/// caused. A callback that the door acknowledges by itself is followed by the notices of that. A request that moves the clock is preceded by the lines of everything that falls due on the way.
///
/// A request that is refused changes nothing. Its reply has the [`ErrorCode`] that says why.
///
/// ```
/// use coedit::door::{Acknowledge, Door};
/// use coedit::{Config, Engine};
///
/// let mut door = Door::new(Engine::new(Config::new())?, Acknowledge::Auto);
/// let mut out = Vec::new();
/// door.line(br#"{"c":"open","key":"report","connection":"tab-1","user":{"id":"ann"}}"#, &mut out);
/// assert_eq!(
///     String::from_utf8(out)?,
///     concat!(
///         r#"{"reply":{"error":0,"key":"report","connection":"tab-1","access":"edit"}}"#, "\n",
///         r#"{"callback":{"key":"report","status":1,"users":["ann"],"actions":[{"type":1,"userid":"ann"}]},"delivery":1}"#, "\n",
///     )
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Door {
    runner: Runner,
    callbacks: Callbacks,
    notices: Receiver<Notice>,
    /// For so long the clock of a replay runs on at the end, at most.
    horizon: Duration,
}

impl Door {
    /// Creates a door to an engine that runs in real time. The member `at` of a request is checked but has no effect.
    ///
    /// The owner of the door must call [`tick`](Self::tick) when something falls due. The door takes callbacks from the
    /// same queue as every other worker of the engine, so normally it should be the only one.
    pub fn new(engine: Engine, acknowledge: Acknowledge) -> Self {
        let (callbacks, notices) = (engine.callbacks(), engine.notices());
        let runner = Runner::new(engine, acknowledge);
        Door { runner, callbacks, notices, horizon: Duration::ZERO }
    }

    /// Creates a door to a new engine with a manual clock. Only the member `at` of the requests moves the clock, so the
    /// same lines always give the same output.
    ///
    /// # Errors
    ///
    /// Returns an error if a setting is out of its bounds.
    ///
    /// ```
    /// use coedit::Config;
    /// use coedit::door::{Acknowledge, Door};
    ///
    /// let mut door = Door::replay(Config::new(), Acknowledge::Auto)?;
    /// let mut out = Vec::new();
    /// door.line(br#"{"c":"open","key":"report","connection":"tab-1","user":{"id":"ann"}}"#, &mut out);
    /// door.line(br#"{"c":"change","connection":"tab-1"}"#, &mut out);
    /// door.line(br#"{"c":"close","connection":"tab-1"}"#, &mut out);
    /// out.clear();
    /// // The save is due 10 seconds after the last editor left.
    /// door.line(br#"{"at":10000,"c":"version"}"#, &mut out);
    /// assert!(out.starts_with(br#"{"callback":{"key":"report","status":2,"#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn replay(config: Config, acknowledge: Acknowledge) -> Result<Self, ConfigError> {
        let (clock, horizon) = (Arc::new(ManualClock::default()), horizon(&config));
        let mut door = Door::new(Engine::new(config.clock(clock.clone()))?, acknowledge);
        door.runner.clock = Some(clock);
        door.horizon = horizon;
        Ok(door)
    }

    /// Returns the engine behind the door.
    pub fn engine(&self) -> &Engine {
        &self.runner.engine
    }

    /// Says who acknowledges.
    pub fn acknowledge(&self) -> Acknowledge {
        self.runner.acknowledge
    }

    /// Returns the counts of what went through the door so far.
    pub fn tally(&self) -> &Tally {
        &self.runner.tally
    }

    /// Answers one request with exactly one reply, whatever the bytes of the line are.
    pub fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let request = Request::parse(line);
        let outcome = match request.command {
            Err(error) => Err(error),
            Ok((command, at)) => {
                if let Some(at) = at {
                    self.advance(at, out);
                }
                self.runner.run(command)
            }
        };
        self.runner.tally.replied(outcome.as_ref().err().copied());
        LineWriter(out).reply((request.key, request.id), &outcome, &self.runner.labels);
        self.pass_on(out);
    }

    /// Answers a line that was longer than [`LINE_MAX`], with error 5.
    pub fn too_long(&mut self, out: &mut Vec<u8>) {
        self.runner.tally.replied(Some(ErrorCode::Command));
        LineWriter(out).reply((None, None), &Err(ErrorCode::Command), &self.runner.labels);
    }

    /// Runs what is due by now, see [`Engine::tick`]. Returns when to call this next, or `None` while nothing has a
    /// deadline.
    pub fn tick(&mut self, out: &mut Vec<u8>) -> Option<Timestamp> {
        let next = self.runner.engine.tick();
        self.pass_on(out);
        next
    }

    /// Ends the input of a replay: moves its clock on until nothing is due any more, and closes nobody. Where nobody is left
    /// to acknowledge, it stops when the last save was tried so often as the settings say. In real time, runs what is
    /// due by now; [`begin_shutdown`](Self::begin_shutdown) ends the engine.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(clock) = self.runner.clock.clone() {
            self.run_to(clock.now().after(self.horizon), out);
        }
        self.tick(out);
    }

    /// Begins to shut the engine down, see [`Engine::begin_shutdown`]. The owner of the door goes on to call
    /// [`tick`](Self::tick), and [`line`](Self::line) while requests arrive, until there is a [`report`](Self::report).
    pub fn begin_shutdown(&mut self, deadline: Duration, out: &mut Vec<u8>) {
        self.runner.engine.begin_shutdown(deadline);
        self.pass_on(out);
    }

    /// How the engine ended. `None` before that.
    pub fn report(&self) -> Option<Arc<Report>> {
        self.callbacks.report()
    }

    /// Moves the clock of a replay to `to` and stops at every deadline on the way.
    fn advance(&mut self, to: Timestamp, out: &mut Vec<u8>) {
        self.run_to(to, out);
        if let Some(clock) = &self.runner.clock {
            clock.move_to(to);
        }
    }

    /// The same, but leaves the clock at the last deadline.
    fn run_to(&mut self, to: Timestamp, out: &mut Vec<u8>) {
        let Some(clock) = self.runner.clock.clone() else { return };
        while let Some(due) = self.runner.engine.next_deadline().filter(|due| *due <= to) {
            clock.move_to(due);
            self.tick(out);
        }
    }

    /// Writes the notices and callbacks that are there now. A callback that the door acknowledges by itself is followed by
    /// its notices.
    fn pass_on(&mut self, out: &mut Vec<u8>) {
        let mut out = LineWriter(out);
        loop {
            for notice in self.notices.try_iter() {
                out.notice(&notice, &self.runner.labels);
                if let Notice::Disconnected { connection, .. } = notice {
                    self.runner.labels.ended(connection);
                }
            }
            let Ok(delivery) = self.callbacks.try_recv() else { break };
            out.callback(&delivery);
            self.runner.handed_out(delivery);
        }
    }
}

/// In so much time every callback of a document is given up, if nobody acknowledges any: a save that is due, and the message
/// that it failed.
fn horizon(config: &Config) -> Duration {
    let attempts = u32::try_from(config.retry_pauses.len()).unwrap_or(u32::MAX).saturating_add(1);
    let trying = config.retry_pauses.iter().sum::<Duration>();
    let hanging = config.ack_timeout.unwrap_or_default().saturating_mul(attempts);
    let before = config.save_delay + config.save_patience + config.force_save_interval.unwrap_or_default();
    let before = before + config.reconnect_grace.unwrap_or_default();
    before.saturating_add(trying.saturating_add(hanging).saturating_mul(2))
}
