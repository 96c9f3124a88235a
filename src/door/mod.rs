//! The JSON door: bytes to engine calls and back, one request a line in, one JSON object a line out.
//!
//! A thin layer: [`Lines`] cuts the stream, `command` is the grammar of a request, this file runs each command on the
//! [`Engine`] and writes the reply, then what the request caused.
//!
//! ```
//! use coedit::door::{Acknowledge, Door};
//! use coedit::{Config, Engine};
//!
//! let mut door = Door::new(Engine::new(Config::new())?, Acknowledge::Auto);
//! let mut out = Vec::new();
//! door.line(br#"{"c":"open","key":"report","connection":"tab-1","user":{"id":"ann"}}"#, &mut out);
//! assert_eq!(
//!     String::from_utf8(out)?,
//!     concat!(
//!         r#"{"reply":{"error":0,"key":"report","connection":"tab-1","access":"edit"}}"#, "\n",
//!         r#"{"callback":{"key":"report","status":1,"users":["ann"],"actions":[{"type":1,"userid":"ann"}]}}"#, "\n",
//!     )
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod command;
mod lines;
mod members;
mod tally;
mod write;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

pub use lines::{LINE_MAX, Lines};
pub use tally::Tally;

use crate::access::{Access, Grant};
use crate::callback::ForceSaveType;
use crate::config::Config;
use crate::delivery::{Callbacks, Delivery, Notices};
use crate::engine::Engine;
use crate::error::{ConfigError, ErrorCode};
use crate::ids::{ConnectionId, DocumentKey, User};
use crate::time::{Clock, ManualClock, Timestamp};
use command::{Command, Request};
use write::{Answer, Out, Outcome};

/// Who acknowledges callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// The door, each as soon as it is written.
    Auto,
    /// The other side, by the command `ack`.
    Manual,
}

/// A door to one engine.
///
/// Every method appends whole lines to `out`, the reply first, then what the request caused: notices, then callbacks.
#[derive(Debug)]
pub struct Door {
    engine: Engine,
    callbacks: Callbacks,
    notices: Notices,
    acknowledge: Acknowledge,
    /// The clock that `at` moves; none in a door that lives in real time.
    clock: Option<Arc<ManualClock>>,
    open: HashMap<Box<str>, Opened>,
    labels: HashMap<ConnectionId, Box<str>>,
    /// The callbacks that the other side has not acknowledged.
    in_hand: HashMap<DocumentKey, Delivery>,
    tally: Tally,
}

/// An open label, and how its open was answered.
#[derive(Debug)]
struct Opened {
    id: ConnectionId,
    key: DocumentKey,
    user: User,
    grant: Grant,
}

impl Door {
    /// A door to an engine that lives in real time: an `at` is read and left alone. Whoever owns the door calls
    /// [`tick`](Self::tick).
    pub fn new(engine: Engine, acknowledge: Acknowledge) -> Self {
        Door {
            callbacks: engine.callbacks(),
            notices: engine.notices(),
            engine,
            acknowledge,
            clock: None,
            open: HashMap::new(),
            labels: HashMap::new(),
            in_hand: HashMap::new(),
            tally: Tally::default(),
        }
    }

    /// A door to an engine of its own whose clock only the `at`s of the requests move.
    pub fn replay(config: Config, acknowledge: Acknowledge) -> Result<Self, ConfigError> {
        let clock = Arc::new(ManualClock::default());
        let engine = Engine::new(config.clock(clock.clone()))?;
        Ok(Door { clock: Some(clock), ..Door::new(engine, acknowledge) })
    }

    /// The engine behind the door.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What went through so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Answers one request, exactly once, whatever it is.
    pub fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let request = Request::read(line);
        let outcome = match request.command {
            Err(refusal) => Err(refusal),
            Ok((command, at)) => {
                if let Some(at) = at {
                    self.advance(at, out);
                }
                self.run(command)
            }
        };
        self.tally.replied(outcome.as_ref().err().copied());
        Out(out).reply(request.key, request.id, &outcome);
        self.pass_on(out);
    }

    /// Answers a line that was longer than [`LINE_MAX`].
    pub fn too_long(&mut self, out: &mut Vec<u8>) {
        self.tally.replied(Some(ErrorCode::Command));
        Out(out).reply(None, None, &Err(ErrorCode::Command));
    }

    /// Lets what is due fall due. Returns when to call it next.
    pub fn tick(&mut self, out: &mut Vec<u8>) -> Option<Timestamp> {
        let next = self.engine.tick();
        self.pass_on(out);
        next
    }

    /// The end of the input: passes on what is due; a replay first runs its clock on until nothing is.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.clock.is_some() {
            self.advance(Timestamp::MAX, out);
        }
        self.tick(out);
    }

    /// Moves the replay's clock, stopping wherever something falls due.
    fn advance(&mut self, to: Timestamp, out: &mut Vec<u8>) {
        let Some(clock) = self.clock.clone() else { return };
        while let Some(due) = self.engine.next_deadline().filter(|due| *due <= to) {
            clock.move_to(due);
            self.tick(out);
        }
        // The end of time is a stop, not a time to live at.
        if to < Timestamp::MAX {
            clock.move_to(to);
        }
    }

    /// Writes what the engine has for the transport and the storage.
    fn pass_on(&mut self, out: &mut Vec<u8>) {
        let mut out = Out(out);
        for notice in self.notices.try_iter() {
            out.notice(&notice, |id| self.labels.get(&id).map(|label| &**label));
        }
        for delivery in self.callbacks.try_iter() {
            out.callback(delivery.callback());
            self.tally.told(delivery.callback().status);
            match self.acknowledge {
                Acknowledge::Auto => {
                    self.tally.acknowledged(delivery.ack().status);
                }
                Acknowledge::Manual => {
                    self.in_hand.insert(delivery.callback().key.clone(), delivery);
                }
            }
        }
    }
}

/// The commands.
impl Door {
    fn run(&mut self, command: Command<'_>) -> Outcome {
        let engine = &self.engine;
        match command {
            Command::Change { connection } => {
                engine.change(self.id_of(&connection)?).map_err(crate::ChangeError::code)?;
            }
            Command::Open { key, connection, user, access } => {
                return self.open(key, connection, user, access);
            }
            Command::Close { connection } | Command::Lost { connection } => self.close(&connection)?,
            Command::Info { key, userdata } => {
                let users = engine.info(&key, userdata.as_deref()).map_err(crate::InfoError::code)?;
                return Ok(Answer::Member("users", names(users.iter().map(crate::UserId::as_str))));
            }
            Command::Drop { key, users } => {
                let dropped = match users {
                    Some(users) => engine.drop_users(&key, &users),
                    None => engine.drop_all(&key),
                };
                dropped.map_err(crate::DocumentError::code)?;
            }
            Command::ForceSave { key, userdata } => {
                engine.force_save(&key, userdata.as_deref()).map_err(crate::ForceSaveError::code)?;
            }
            Command::ForceSaveBy { connection, kind } => {
                let id = self.id_of(&connection)?;
                let asked = match kind {
                    ForceSaveType::Form => engine.submit_form(id),
                    _ => engine.press_save(id),
                };
                asked.map_err(crate::ForceSaveError::code)?;
            }
            Command::Meta { key, title } => engine.rename(&key, &title).map_err(crate::MetaError::code)?,
            Command::Version => return Ok(Answer::Member("version", engine.version().into())),
            Command::License => return Ok(Answer::License(Box::new(engine.license()))),
            Command::ForgottenList => {
                let forgotten = engine.forgotten();
                return Ok(Answer::Member(
                    "keys",
                    names(forgotten.iter().map(|forgotten| forgotten.key.as_str())),
                ));
            }
            Command::Forgotten { key } => {
                let url = engine.forgotten_at(&key).map_err(crate::ForgottenError::code)?;
                return Ok(Answer::Member("url", url.as_deref().unwrap_or_default().into()));
            }
            Command::DeleteForgotten { key } => {
                engine.delete_forgotten(&key).map_err(crate::ForgottenError::code)?;
            }
            Command::WouldAdmit { key, user, access } => {
                let grant = engine.would_admit(&key, &user, access).map_err(crate::OpenError::code)?;
                return Ok(Answer::WouldAdmit(grant));
            }
            Command::Usage => return Ok(Answer::Usage(engine.usage().map(Box::new))),
            Command::Holders { most } => return Ok(Answer::Holders(engine.holders(most))),
            Command::Ack { key, done, url } => self.ack(&key, done, url.as_deref())?,
        }
        Ok(Answer::Nothing)
    }

    fn open(&mut self, key: DocumentKey, label: Cow<'_, str>, user: User, asked: Access) -> Outcome {
        if let Some(opened) = self.open.get(&*label) {
            if opened.key != key || opened.user.id() != user.id() {
                return Err(ErrorCode::Command);
            }
            return Ok(Answer::Opened { label: label.into_owned(), grant: opened.grant });
        }
        let connection = self.engine.open(&key, &user, asked).map_err(crate::OpenError::code)?;
        let (grant, id) = (connection.granted(), connection.into_id());
        self.tally.opened(grant, self.engine.editing(), &key, self.clock.as_ref().map(Clock::now));
        self.labels.insert(id, (*label).into());
        self.open.insert((*label).into(), Opened { id, key, user, grant });
        Ok(Answer::Opened { label: label.into_owned(), grant })
    }

    fn close(&mut self, label: &str) -> Result<(), ErrorCode> {
        let opened = self.open.remove(label).ok_or(ErrorCode::Key)?;
        self.labels.remove(&opened.id);
        self.engine.close(opened.id).map_err(crate::ConnectionError::code)
    }

    fn id_of(&self, label: &str) -> Result<ConnectionId, ErrorCode> {
        self.open.get(label).map(|opened| opened.id).ok_or(ErrorCode::Key)
    }

    fn ack(&mut self, key: &DocumentKey, done: bool, url: Option<&str>) -> Result<(), ErrorCode> {
        if self.acknowledge == Acknowledge::Auto {
            return Err(ErrorCode::Command);
        }
        let Some(mut delivery) = self.in_hand.remove(key) else {
            return Err(if self.engine.is_open(key) { ErrorCode::Command } else { ErrorCode::Key });
        };
        // Longer urls were refused with the line.
        let _ = url.map(|url| delivery.kept_at(url));
        if done {
            self.tally.acknowledged(delivery.ack().status);
        } else {
            delivery.fail();
        }
        Ok(())
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> serde_json::Value {
    names.map(serde_json::Value::from).collect()
}
