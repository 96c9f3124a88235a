//! The one callback of a document that is outstanding: a worker has it, or it waits for its next attempt.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::participants::ParticipantId;
use crate::callback::{Callback, Status};
use crate::time::Moment;

/// A callback that was handed out and is not settled.
#[derive(Debug)]
pub(crate) struct Outstanding {
    pub(crate) kind: Kind,
    /// The number of its latest delivery.
    pub(super) number: u64,
    /// When it was handed out last, or what it tells happened.
    pub(super) since: Moment,
    /// When it was handed out first. A save is another one at each attempt.
    pub(super) taken_at: Moment,
    /// Until when a worker may have it.
    pub(super) deadline: Moment,
    /// How often it has failed, as far as the next pause goes by it.
    pub(super) failures: usize,
    state: State,
    /// A copy of what cannot be formed anew, since it says what was so at the moment at which it was asked for.
    pub(super) copy: Option<Box<Callback>>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    WithWorker,
    WaitsUntil(Moment),
    Ready,
}

/// What a callback is to the session when it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Joined(ParticipantId),
    Left(ParticipantId),
    /// The leave after which nobody edits, with nothing to save: status 4.
    Closed(ParticipantId),
    Info,
    /// A force save of the changes up to this number.
    ForceSave(u64),
    ForceSaveFailed(u64),
    /// A save of the changes up to this number.
    Save(u64),
    SaveFailed(u64),
}

/// What a worker says of its delivery.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The number of the delivery.
    pub(crate) number: u64,
    pub(crate) status: Status,
    /// The number of the last change that it holds. 0 if it is no save.
    pub(crate) reach: u64,
    pub(crate) outcome: Outcome,
    /// Where the host keeps the file that it could not save.
    pub(crate) kept_at: Option<Arc<str>>,
    pub(crate) userdata: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The storage has done it.
    Done,
    /// The storage has done it. If it was the message that a save was given up, the storage has kept the file.
    Kept,
    Failed,
}

impl Kind {
    pub(crate) fn is_force_save(self) -> bool {
        matches!(self, Kind::ForceSave(_) | Kind::ForceSaveFailed(_))
    }

    /// The status of its callback. An answer to an `info` may have another one.
    pub(crate) fn status(self) -> Status {
        match self {
            Kind::Joined(_) | Kind::Left(_) | Kind::Info => Status::Editing,
            Kind::Closed(_) => Status::Closed,
            Kind::Save(_) => Status::Save,
            Kind::SaveFailed(_) => Status::SaveFailed,
            Kind::ForceSave(_) => Status::ForceSave,
            Kind::ForceSaveFailed(_) => Status::ForceSaveFailed,
        }
    }

    /// The number of the last change that it holds, if it is about a save.
    pub(crate) fn reach(self) -> Option<u64> {
        match self {
            Kind::Save(reach)
            | Kind::SaveFailed(reach)
            | Kind::ForceSave(reach)
            | Kind::ForceSaveFailed(reach) => Some(reach),
            _ => None,
        }
    }

    /// The participant that it names.
    pub(crate) fn participant(self) -> Option<ParticipantId> {
        match self {
            Kind::Joined(id) | Kind::Left(id) | Kind::Closed(id) => Some(id),
            _ => None,
        }
    }
}

impl Outstanding {
    /// A callback that a worker takes now. `copy` is given if it cannot be formed anew.
    pub(super) fn new(kind: Kind, copy: Option<Box<Callback>>) -> Self {
        Outstanding {
            kind,
            number: 0,
            since: Moment::default(),
            taken_at: Moment::NEVER,
            deadline: Moment::NEVER,
            failures: 0,
            state: State::WithWorker,
            copy,
        }
    }

    /// The message that a save was given up at `since`, to be handed out next.
    pub(super) fn given_up(kind: Kind, status: Status, mut callback: Box<Callback>, since: Moment) -> Self {
        callback.status = status;
        Outstanding { since, taken_at: since, state: State::Ready, ..Outstanding::new(kind, Some(callback)) }
    }

    /// One that another process had handed out, to be handed out again.
    pub(super) fn restored(kind: Kind, failures: usize, copy: Option<Box<Callback>>, now: Moment) -> Self {
        let new = Outstanding::new(kind, copy);
        Outstanding { since: now, taken_at: now, failures, state: State::Ready, ..new }
    }

    pub(super) fn is_with_worker(&self) -> bool {
        matches!(self.state, State::WithWorker)
    }

    /// Returns true if it can be handed out again now.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// When it can be handed out again.
    pub(super) fn retry_at(&self) -> Option<Moment> {
        match self.state {
            State::WaitsUntil(until) => Some(until),
            State::WithWorker | State::Ready => None,
        }
    }

    /// It failed, and is handed out again at `until`.
    pub(super) fn fail(&mut self, until: Moment, now: Moment) {
        self.failures += 1;
        self.state = if until > now { State::WaitsUntil(until) } else { State::Ready };
    }

    /// It need not wait for its next attempt any longer.
    pub(super) fn end_pause(&mut self) {
        if let State::WaitsUntil(_) = self.state {
            self.state = State::Ready;
        }
    }

    /// A worker takes it again.
    pub(super) fn hand_out_again(&mut self) {
        self.state = State::WithWorker;
    }
}
