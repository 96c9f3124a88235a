//! What the tests share: an engine on a manual clock, a door that is talked to, a few short names.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

pub mod crowd;
pub mod limits;
pub mod lines;
pub mod random;
pub mod settle;
pub mod story;

use std::sync::Arc;
use std::time::Duration;

use coedit::door::{Acknowledge, Door};
use coedit::{
    Access, Callback, Callbacks, Config, Connection, Delivery, DocumentKey, Engine, ManualClock, Notice,
    Notices, Status, Timestamp, User, UserId,
};
use serde_json::Value;
pub use settle::Settle;

/// 2023-11-22T00:00:00Z, where every test's clock starts.
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
    pub notices: Notices,
}

impl World {
    /// The defaults, but for what `set` changes.
    pub fn new(set: impl FnOnce(Config) -> Config) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let engine = Engine::new(set(Config::new().shards(4)).clock(clock.clone())).unwrap();
        World { callbacks: engine.callbacks(), notices: engine.notices(), engine, clock }
    }

    pub fn plain() -> Self {
        World::new(|config| config)
    }

    pub fn open(&self, document: &str, who: &str, asked: Access) -> Connection {
        self.engine.open(&key(document), &user(who), asked).unwrap()
    }

    /// An edit connection; panics if it got less.
    pub fn edit(&self, document: &str, who: &str) -> Connection {
        let connection = self.open(document, who, Access::Edit);
        assert_eq!(connection.granted().access, Access::Edit, "{:?}", connection.granted());
        connection
    }

    /// Moves the clock and lets fall due what is.
    pub fn pass(&self, duration: Duration) {
        self.clock.advance(duration);
        self.engine.tick();
    }

    /// The next callback, in hand.
    pub fn take(&self) -> Delivery {
        self.callbacks.try_recv().expect("a callback is there")
    }

    /// The next callback, acknowledged.
    pub fn ack(&self) -> Box<Callback> {
        self.take().acked()
    }

    /// Every callback there is, acknowledged, in a short form: see [`brief`].
    pub fn told(&self) -> Vec<String> {
        let told = self.callbacks.try_iter().map(|delivery| brief(&delivery.acked())).collect();
        self.engine.validate().unwrap();
        told
    }

    pub fn noticed(&self) -> Vec<Notice> {
        self.notices.try_iter().collect()
    }

    pub fn statuses(&self) -> Vec<Status> {
        self.callbacks.try_iter().map(|delivery| delivery.acked().status).collect()
    }
}

/// A callback in short: its status, its action (`+` came, `-` left, `!` asked for a save), its users.
/// `1 +ann [ann ben]`, `2 -ann [ann]`, `4 -ann`.
pub fn brief(callback: &Callback) -> String {
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

/// A door on a manual clock, talked to in lines.
pub struct Talk {
    pub door: Door,
}

impl Talk {
    pub fn new(config: Config, acknowledge: Acknowledge) -> Self {
        Talk { door: Door::replay(config.shards(4), acknowledge).unwrap() }
    }

    /// Acknowledges by itself.
    pub fn auto() -> Self {
        Talk::new(Config::new(), Acknowledge::Auto)
    }

    pub fn manual() -> Self {
        Talk::new(Config::new(), Acknowledge::Manual)
    }

    /// Sends one line and returns all that comes back, parsed, one value a line.
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
        assert_eq!(replies.len(), 1, "exactly one reply a line");
        replies.into_iter().next().unwrap()
    }

    /// The code in the reply.
    pub fn error(&mut self, line: impl AsRef<[u8]>) -> u64 {
        self.reply(line)["error"].as_u64().unwrap()
    }

    /// Sends one line and returns the callbacks that come back.
    pub fn callbacks(&mut self, line: impl AsRef<[u8]>) -> Vec<Value> {
        self.say(line).into_iter().filter_map(|line| line.get("callback").cloned()).collect()
    }

    /// The end of the input.
    pub fn end(&mut self) -> Vec<Value> {
        let mut out = Vec::new();
        self.door.end(&mut out);
        parsed(&out)
    }
}

/// The lines of an output, parsed.
pub fn parsed(out: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
