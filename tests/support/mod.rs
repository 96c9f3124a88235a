//! Helpers that the tests share: an engine on a manual clock, a door that takes lines, and short constructors.
#![allow(dead_code, unreachable_pub, reason = "each test file uses only a part")]

pub mod crowd;
pub mod limits;
pub mod lines;
pub mod random;
pub mod replay;
pub mod settle;
pub mod story;

use std::sync::Arc;
use std::time::Duration;

use coedit::door::{Acknowledge, Door};
use coedit::{
    Access, Callback, Callbacks, Config, Connection, Delivery, DocumentKey, EditRequest, Engine, ManualClock,
    Notice, Status, Timestamp, User, UserId,
};
use crossbeam_channel::Receiver;
use serde_json::Value;
pub use settle::Settle;

/// 2023-11-22T00:00:00Z, the time at which the clock of every test starts.
pub const START: u64 = 1_700_611_200_000;

pub fn key(text: &str) -> DocumentKey {
    DocumentKey::new(text).unwrap()
}

pub fn user(id: &str) -> User {
    User::new(id).unwrap()
}

pub fn id(text: &str) -> UserId {
    UserId::new(text).unwrap()
}

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// An engine on a manual clock, with its receivers.
pub struct World {
    pub engine: Engine,
    pub clock: Arc<ManualClock>,
    pub callbacks: Callbacks,
    pub notices: Receiver<Notice>,
}

impl World {
    /// Creates an engine with the default settings, changed by `set`.
    pub fn new(set: impl FnOnce(Config) -> Config) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let engine = Engine::new(set(Config::new().shards(4)).clock(clock.clone())).unwrap();
        World { callbacks: engine.callbacks(), notices: engine.notices(), engine, clock }
    }

    /// Creates an engine with the default settings.
    pub fn plain() -> Self {
        World::new(|config| config)
    }

    /// Creates an engine that tries a failed callback again after 1, 2 and 4 seconds.
    pub fn with_three_retries() -> Self {
        World::new(with_three_retries)
    }

    pub fn open(&self, document: &str, name: &str, asked: Access) -> Connection {
        self.engine.open(&key(document), &user(name), asked).unwrap()
    }

    /// Opens a connection with edit access. Panics if the engine grants less.
    pub fn edit(&self, document: &str, name: &str) -> Connection {
        let connection = self.open(document, name, Access::Edit);
        assert_eq!(connection.granted().access, Access::Edit, "{:?}", connection.granted());
        connection
    }

    /// Opens a connection that asks for edit access and gets view access, and lets it wait.
    pub fn wait(&self, document: &str, name: &str) -> Connection {
        let tab = self.open(document, name, Access::Edit);
        assert_eq!(tab.access(), Some(Access::View));
        let answer = tab.request_edit();
        assert!(matches!(answer, Ok(EditRequest::Waiting { .. })), "{answer:?}");
        self.engine.validate().unwrap();
        tab
    }

    /// Moves the clock forward and runs a tick.
    pub fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
        self.engine.tick();
    }

    /// Moves the clock on until no deadline is left. Panics if anything can be taken on the way. A deadline may come too
    /// early, so that nothing is due when it has come.
    pub fn assert_nothing_falls_due(&self) {
        for _ in 0..1_000 {
            let due = self.engine.tick();
            self.assert_nothing_to_take();
            match due {
                Some(due) => self.clock.move_to(due),
                None => return,
            }
        }
        panic!("deadlines without end");
    }

    /// Panics if a callback can be taken.
    #[track_caller]
    pub fn assert_nothing_to_take(&self) {
        let taken = self.callbacks.try_recv();
        assert!(taken.is_err(), "{}", summary(taken.unwrap().callback()));
    }

    /// Panics if nobody would look again by this many milliseconds after [`START`].
    #[track_caller]
    pub fn assert_due_by(&self, millis: u64) {
        let due = self.engine.next_deadline();
        assert!(due.is_some_and(|due| due <= Timestamp::from_millis(START + millis)), "{due:?}");
    }

    /// Takes the next callback.
    pub fn take(&self) -> Delivery {
        self.callbacks.try_recv().expect("a callback can be taken")
    }

    /// Takes and acknowledges the next callback.
    pub fn ack(&self) -> Box<Callback> {
        self.take().acked()
    }

    /// Takes and acknowledges every callback. Returns the [`summary`] of each.
    pub fn acknowledge_all(&self) -> Vec<String> {
        let summaries = self.callbacks.try_iter().map(|delivery| summary(&delivery.acked())).collect();
        self.engine.validate().unwrap();
        summaries
    }

    /// Takes every notice.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.notices.try_iter().collect()
    }

    /// Takes and acknowledges every callback. Returns the status of each.
    pub fn acknowledge_statuses(&self) -> Vec<Status> {
        self.callbacks.try_iter().map(|delivery| delivery.acked().status).collect()
    }
}

/// Sets retries after 1, 2 and 4 seconds.
pub fn with_three_retries(config: Config) -> Config {
    config.retry_pauses([1, 2, 4].map(seconds))
}

/// Returns a callback in a short form: its status, its action and its users. The action is `+` for a join, `-` for a
/// leave and `!` for a request to save. Examples: `1 +ann [ann ben]`, `2 -ann [ann]`, `4 -ann`.
pub fn summary(callback: &Callback) -> String {
    let mut parts = vec![callback.status.number().to_string()];
    if let Some(action) = &callback.action {
        let sign = ['-', '+', '!'][usize::from(action.kind.number())];
        parts.push(format!("{sign}{}", action.user));
    }
    if let Some(users) = &callback.users {
        let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
        parts.push(format!("[{}]", users.join(" ")));
    }
    parts.join(" ")
}

/// A door on a manual clock that takes lines.
pub struct Talk {
    pub door: Door,
}

impl Talk {
    pub fn new(config: Config, acknowledge: Acknowledge) -> Self {
        Talk { door: Door::replay(config.shards(4), acknowledge).unwrap() }
    }

    /// Creates a door that acknowledges every callback by itself.
    pub fn auto() -> Self {
        Talk::new(Config::new(), Acknowledge::Auto)
    }

    /// Creates a door whose callbacks the test settles.
    pub fn manual() -> Self {
        Talk::new(Config::new(), Acknowledge::Manual)
    }

    /// Sends one line and returns the parsed output, one value for each line.
    pub fn say(&mut self, line: impl AsRef<[u8]>) -> Vec<Value> {
        let mut out = Vec::new();
        self.door.line(line.as_ref(), &mut out);
        self.door.engine().validate().unwrap();
        parsed(&out)
    }

    /// Sends one line and returns its reply, without the envelope.
    pub fn reply(&mut self, line: impl AsRef<[u8]>) -> Value {
        let replies: Vec<Value> =
            self.say(line).into_iter().filter_map(|line| line.get("reply").cloned()).collect();
        assert_eq!(replies.len(), 1, "each line has exactly one reply");
        replies.into_iter().next().unwrap()
    }

    /// Sends one line and returns the error code of its reply.
    pub fn error(&mut self, line: impl AsRef<[u8]>) -> u64 {
        self.reply(line)["error"].as_u64().unwrap()
    }

    /// Sends one line and returns the callbacks of the output.
    pub fn callbacks(&mut self, line: impl AsRef<[u8]>) -> Vec<Value> {
        self.say(line).into_iter().filter_map(|line| line.get("callback").cloned()).collect()
    }

    /// Ends the input and returns the parsed output.
    pub fn end(&mut self) -> Vec<Value> {
        let mut out = Vec::new();
        self.door.end(&mut out);
        parsed(&out)
    }
}

/// Parses the lines of an output.
pub fn parsed(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
