//! Storages that answer each callback as their handler does, and one that leaves the answers to `info` alone.

use coedit::door::Acknowledge;
use coedit::{Config, Delivery, Engine, Timestamp};
use serde_json::{Value, json};

use crate::handlers::Handler;
use crate::support::Talk;

/// What a storage does with a callback that answers `info`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AnswersInfo {
    /// It acknowledges it as it does all others.
    Acknowledge,
    /// Its handler fails on it.
    Fail,
    /// It never answers.
    Never,
}

pub(crate) const EVERY_WAY: [AnswersInfo; 3] =
    [AnswersInfo::Acknowledge, AnswersInfo::Fail, AnswersInfo::Never];

/// Returns true if the callback answers `info`.
pub(crate) fn answers_info(body: &Value) -> bool {
    body.get("actions").is_none() && [json!(1), json!(4)].contains(&body["status"])
}

/// A storage behind a door with manual acknowledgement. It answers each callback as soon as it is written.
pub(crate) struct DoorStorage {
    pub(crate) talk: Talk,
    answers_info: AnswersInfo,
    /// What was handed out, but for the answers to `info`.
    pub(crate) told: Vec<Value>,
    /// How many answers to `info` were handed out.
    pub(crate) infos: usize,
}

impl DoorStorage {
    pub(crate) fn new(config: Config, answers_info: AnswersInfo) -> Self {
        let talk = Talk::new(config, Acknowledge::Manual);
        DoorStorage { talk, answers_info, told: Vec::new(), infos: 0 }
    }

    /// Says one line, and answers every callback that comes before its time and after it. Returns the reply.
    pub(crate) fn say(&mut self, line: &str, handlers: &mut [&mut dyn Handler]) -> Value {
        let request: Value = serde_json::from_str(line).expect("each line is JSON");
        self.run_to(request["at"].as_u64().unwrap_or(0), handlers);
        self.say_now(line, handlers)
    }

    /// Moves the clock on until nothing is due any more.
    pub(crate) fn end(&mut self, handlers: &mut [&mut dyn Handler]) {
        self.run_to(u64::MAX, handlers);
    }

    /// Stops at each deadline, so that no answer comes late.
    fn run_to(&mut self, millis: u64, handlers: &mut [&mut dyn Handler]) {
        while let Some(due) = self.talk.door.engine().next_deadline().map(Timestamp::as_millis)
            && due <= millis
        {
            self.say_now(&json!({"at": due, "c": "version"}).to_string(), handlers);
        }
    }

    fn say_now(&mut self, line: &str, handlers: &mut [&mut dyn Handler]) -> Value {
        let said = self.talk.say(line);
        let reply = said.iter().find_map(|line| line.get("reply")).expect("each line has a reply").clone();
        self.answer(said, handlers);
        reply
    }

    fn answer(&mut self, mut said: Vec<Value>, handlers: &mut [&mut dyn Handler]) {
        while let Some(at) = said.iter().position(|line| line.get("callback").is_some()) {
            let line = said.remove(at);
            let body = &line["callback"];
            let is_read = handlers.iter_mut().try_for_each(|handler| handler.read(body));
            let way = if answers_info(body) { self.answers_info } else { AnswersInfo::Acknowledge };
            assert_eq!(is_read.is_ok(), way != AnswersInfo::Fail, "{is_read:?} {body}");
            if answers_info(body) {
                self.infos += 1;
            } else {
                self.told.push(body.clone());
            }
            if way != AnswersInfo::Never {
                let error = u8::from(way == AnswersInfo::Fail);
                let ack =
                    json!({"c": "ack", "key": body["key"], "error": error, "delivery": line["delivery"]});
                let settled = self.talk.say(ack.to_string());
                assert_eq!(settled[0]["reply"]["error"], 0, "{line}");
                said.extend(settled);
            }
        }
    }
}

/// A worker that takes callbacks through the Rust API.
pub(crate) struct Worker {
    answers_info: AnswersInfo,
    /// What it has never answered.
    pub(crate) held: Vec<Delivery>,
    /// What it took, but for the answers to `info`.
    pub(crate) told: Vec<Value>,
}

impl Worker {
    pub(crate) fn new(answers_info: AnswersInfo) -> Self {
        Worker { answers_info, held: Vec::new(), told: Vec::new() }
    }

    /// Takes everything that can be taken.
    pub(crate) fn take(&mut self, engine: &Engine) {
        for delivery in engine.callbacks().try_iter() {
            let body = json!(delivery.callback());
            if !answers_info(&body) {
                self.told.push(body);
                delivery.ack();
                continue;
            }
            match self.answers_info {
                AnswersInfo::Acknowledge => drop(delivery.ack()),
                AnswersInfo::Fail => drop(delivery.fail()),
                AnswersInfo::Never => self.held.push(delivery),
            }
        }
    }
}
