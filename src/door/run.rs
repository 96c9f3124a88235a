//! Runs commands on the engine.

use std::sync::Arc;

use super::engine_command::empty;
use super::in_hand::InHand;
use super::labels::{LabelState, LabelledConnection, Labels};
use super::request::{AckParameters, DoorCommand, OpenParameters};
use super::tally::Tally;
use super::write::{Outcome, ReplyBody};
use crate::callback::{Answered, ForceSaveType};
use crate::delivery::Delivery;
use crate::engine::Engine;
use crate::error::{ChangeError, ErrorCode, ForceSaveError, OpenError, TransportError};
use crate::ids::ConnectionId;
use crate::registry::Opened;
use crate::time::{Clock, ManualClock};

/// Says who acknowledges the callbacks that a door writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// The door acknowledges each callback as soon as it has written it.
    Auto,
    /// The reader of the lines acknowledges each callback with the command `ack`.
    Manual,
}

/// The state that commands work on.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) engine: Engine,
    pub(super) acknowledge: Acknowledge,
    /// The clock that `at` moves. `None` if the engine runs in real time.
    pub(super) clock: Option<Arc<ManualClock>>,
    pub(super) labels: Labels,
    pub(super) in_hand: InHand,
    pub(super) tally: Tally,
}

impl Runner {
    pub(super) fn new(engine: Engine, acknowledge: Acknowledge) -> Self {
        Runner {
            engine,
            acknowledge,
            clock: None,
            labels: Labels::default(),
            in_hand: InHand::default(),
            tally: Tally::default(),
        }
    }

    pub(super) fn run(&mut self, command: DoorCommand<'_>) -> Outcome {
        let engine = &self.engine;
        match command {
            DoorCommand::Engine(command) => command.run(engine),
            DoorCommand::Open(parameters) => self.open(parameters),
            DoorCommand::Change { label } => empty(engine.change(self.open_id(&label)?), ChangeError::code),
            DoorCommand::Close { label } => self.close(&label),
            DoorCommand::Lost { label } => self.lost(&label),
            DoorCommand::Resume(parameters) => self.resume(&parameters),
            DoorCommand::Touch { label } => empty(engine.touch(self.open_id(&label)?), TransportError::code),
            DoorCommand::RequestEdit { label } => self.request_edit(&label),
            DoorCommand::ReleaseEdit { label } => self.release_edit(&label),
            DoorCommand::DropConnection { label, time } => self.drop_connection(&label, time),
            DoorCommand::ForceSaveBy { label, kind } => self.force_save_by(&label, kind),
            DoorCommand::Ack(parameters) => self.ack(&parameters),
        }
    }

    /// Records a delivery that was written, and acknowledges it or keeps it for `ack`.
    pub(super) fn handed_out(&mut self, delivery: Delivery) {
        let status = delivery.callback().status;
        self.tally.handed_out(status);
        match self.acknowledge {
            Acknowledge::Auto => {
                delivery.ack();
                self.tally.acknowledged(status);
            }
            Acknowledge::Manual => {
                self.in_hand.add(delivery);
            }
        }
    }

    /// Opening an open label again with the same key and user changes nothing, and replies what it may do now.
    fn open(&mut self, parameters: OpenParameters<'_>) -> Outcome {
        let OpenParameters { key, label, user, access } = parameters;
        if let Some((id, open)) = self.labels.open(&label) {
            if open.key != key || open.user != *user.id() || open.asked != access {
                return Err(ErrorCode::Command);
            }
            let (grant, token) = (self.engine.grant(id).ok_or(ErrorCode::Key)?, open.token);
            let position = self.engine.position(id);
            return Ok(ReplyBody::Opened { label: label.into_owned(), grant, position, token });
        }
        let opened = self.engine.open_by_id(&key, &user, access).map_err(OpenError::code)?;
        if let Some(lost) = opened.instead_of {
            self.labels.supersede(lost);
        }
        let Opened { id, grant, token, .. } = opened;
        let now = self.clock.as_ref().map(Clock::now);
        self.tally.opened(grant);
        self.tally.editing(self.engine.editing(), now);
        // In real time a door may run for years, so it keeps no list of all documents.
        if now.is_some() {
            self.tally.document(&key);
        }
        let (user, asked, name) = (user.id().clone(), access, (&*label).into());
        self.labels.insert(id, LabelledConnection { label: name, key, user, asked, token });
        Ok(ReplyBody::Opened { label: label.into_owned(), grant, position: None, token })
    }

    fn force_save_by(&self, label: &str, kind: ForceSaveType) -> Outcome {
        let id = self.open_id(label)?;
        let asked = match kind {
            ForceSaveType::Form => self.engine.submit_form(id),
            _ => self.engine.press_save(id),
        };
        empty(asked, ForceSaveError::code)
    }

    fn ack(&mut self, parameters: &AckParameters<'_>) -> Outcome {
        let AckParameters { key, done, saved, delivery, url } = parameters;
        if self.acknowledge == Acknowledge::Auto {
            return Err(ErrorCode::Command);
        }
        let tally = &mut self.tally;
        let mut settle = |mut delivery: Delivery| {
            if let Some(url) = url {
                // This cannot fail: the parser refuses a url that is too long.
                let _ = delivery.kept_at(url);
            }
            let status = delivery.callback().status;
            let answered = match (done, saved) {
                (false, _) => delivery.fail(),
                (true, false) => delivery.ack(),
                (true, true) => delivery.ack_kept(),
            };
            if *done && answered != Answered::Late {
                tally.acknowledged(status);
            }
            answered
        };
        let answered = self.in_hand.settle(&self.engine, (key, *delivery), &mut settle)?;
        Ok(if answered == Answered::LateSave {
            ReplyBody::Member("late", true.into())
        } else {
            ReplyBody::Empty
        })
    }

    /// The connection of a label that may be lost.
    pub(super) fn id_of(&self, label: &str) -> Result<ConnectionId, ErrorCode> {
        let connection = self.labels.get(label).ok_or(ErrorCode::Key)?;
        if connection.state == LabelState::Superseded { Err(ErrorCode::Command) } else { Ok(connection.id) }
    }

    /// The connection of an open label.
    pub(super) fn open_id(&self, label: &str) -> Result<ConnectionId, ErrorCode> {
        let connection = self.labels.get(label).ok_or(ErrorCode::Key)?;
        if connection.state == LabelState::Open { Ok(connection.id) } else { Err(ErrorCode::Command) }
    }
}
