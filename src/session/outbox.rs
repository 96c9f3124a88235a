//! The outbox: what the storage has not acknowledged yet, of one document.
//!
//! No callback is formed before a worker takes it. Until then a join or a leave is an [`Event`] of eight bytes, and the
//! list of users is read off the participants when its turn comes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::changes::Reach;
use super::events::{Event, InfoAnswer, Waiting};
use super::participants::{ParticipantId, Participants};
use crate::callback::{Callback, ForceSaveType, Status};
use crate::ids::UserId;
use crate::time::Timestamp;

/// What waits for the storage, and the one callback that is outstanding.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Waiting,
    outstanding: Option<Kind>,
    backlog: Option<Box<Backlog>>,
}

/// What most documents do not have.
#[derive(Debug, Default)]
struct Backlog {
    /// Whether joins and leaves happened that found no room in `waiting`. They are read off the participants later,
    /// where pairs have cancelled out.
    behind: bool,
    /// The `info`s that [`Event::InfoRequest`] stands for, in the same order.
    infos: VecDeque<InfoRequest>,
    /// The force saves that [`Event::ForceSave`] stands for, in the same order.
    force_saves: VecDeque<ForceSaveRequest>,
    retry: Option<Retry>,
}

/// The outstanding callback has failed before.
#[derive(Debug)]
struct Retry {
    failures: usize,
    state: RetryState,
}

#[derive(Debug)]
enum RetryState {
    WithWorker,
    WaitsUntil(Timestamp, Box<Callback>),
    Ready(Box<Callback>),
}

/// An `info` that the storage is to hear of.
#[derive(Debug)]
pub(crate) struct InfoRequest {
    pub(crate) userdata: Option<Arc<str>>,
    pub(crate) answer: InfoAnswer,
}

/// A force save that the storage is to make.
#[derive(Debug)]
pub(crate) struct ForceSaveRequest {
    pub(crate) kind: ForceSaveType,
    pub(crate) userdata: Option<Arc<str>>,
    pub(crate) requested_by: Option<UserId>,
    /// What it holds. `None` for a timed one: all changes up to the moment at which it is taken.
    pub(crate) reach: Option<Reach>,
}

/// What a callback is to the session when it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Action,
    Info,
    /// A force save of the changes up to this number.
    ForceSave(u64),
    ForceSaveFailed,
    Save,
    SaveFailed,
}

impl Kind {
    /// The status of a save.
    pub(crate) fn save_status(self) -> Option<Status> {
        match self {
            Kind::Save => Some(Status::Save),
            Kind::ForceSave(_) => Some(Status::ForceSave),
            Kind::Action | Kind::Info | Kind::ForceSaveFailed | Kind::SaveFailed => None,
        }
    }

    pub(crate) fn is_force_save(self) -> bool {
        matches!(self, Kind::ForceSave(_) | Kind::ForceSaveFailed)
    }
}

/// Questions.
impl Outbox {
    /// Returns true if a callback can be taken now. May be wrong once after joins and leaves have cancelled out: then
    /// nothing is found.
    pub(crate) fn has_next(&self) -> bool {
        match self.outstanding {
            Some(_) => matches!(self.retry_state(), Some(RetryState::Ready(_))),
            None => !self.waiting.is_empty() || self.is_behind(),
        }
    }

    /// Returns true if nothing waits and nothing is outstanding.
    pub(crate) fn is_empty(&self) -> bool {
        self.outstanding.is_none() && self.waiting.is_empty() && !self.is_behind()
    }

    /// Returns true if a callback is with a worker or is to be tried again.
    pub(crate) fn is_outstanding(&self) -> bool {
        self.outstanding.is_some()
    }

    /// The kind of the callback that a worker has, and how often it has failed.
    pub(crate) fn with_worker(&self) -> Option<(Kind, usize)> {
        let kind = self.outstanding?;
        match self.backlog.as_ref().and_then(|backlog| backlog.retry.as_ref()) {
            None => Some((kind, 0)),
            Some(Retry { failures, state: RetryState::WithWorker }) => Some((kind, *failures)),
            Some(_) => None,
        }
    }

    /// Answers to `info` that wait or are outstanding.
    pub(crate) fn infos(&self) -> usize {
        let waiting = self.waiting.requests() - self.waiting_force_saves().len();
        waiting + usize::from(self.outstanding == Some(Kind::Info))
    }

    /// Force saves that wait or are outstanding.
    pub(crate) fn force_saves(&self) -> usize {
        self.waiting_force_saves().len() + usize::from(self.outstanding.is_some_and(Kind::is_force_save))
    }

    /// Returns true if a timed force save waits.
    pub(crate) fn has_timed_force_save(&self) -> bool {
        self.waiting_force_saves().iter().any(|request| request.reach.is_none())
    }

    fn waiting_force_saves(&self) -> &VecDeque<ForceSaveRequest> {
        const NONE: &VecDeque<ForceSaveRequest> = &VecDeque::new();
        self.backlog.as_ref().map_or(NONE, |backlog| &backlog.force_saves)
    }

    /// Returns true if anything but answers to `info` waits or is outstanding.
    pub(crate) fn holds_news(&self) -> bool {
        let outstanding = self.outstanding.is_some_and(|kind| kind != Kind::Info);
        let waiting = self.waiting.actions() > 0 || !self.waiting_force_saves().is_empty();
        outstanding || waiting || self.is_behind()
    }

    /// When a failed callback is handed out again.
    pub(crate) fn retry_at(&self) -> Option<Timestamp> {
        match self.retry_state()? {
            RetryState::WaitsUntil(until, _) => Some(*until),
            RetryState::WithWorker | RetryState::Ready(_) => None,
        }
    }

    /// Returns true if no request waits and nothing is outstanding.
    pub(crate) fn holds_only_events(&self) -> bool {
        self.waiting.requests() == 0 && self.outstanding.is_none()
    }

    fn retry_state(&self) -> Option<&RetryState> {
        Some(&self.backlog.as_ref()?.retry.as_ref()?.state)
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.waiting.iter()
    }

    /// Returns true if joins and leaves happened that are not among the events.
    pub(crate) fn is_behind(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| backlog.behind)
    }
}

/// Joins, leaves and requests.
impl Outbox {
    /// An edit connection joined. With `most` joins and leaves waiting, it is only remembered that there was one.
    pub(crate) fn joined(&mut self, participants: &mut Participants, id: ParticipantId, most: usize) {
        if self.has_room(most) {
            self.push(participants, Event::Joined(id));
        }
    }

    /// An edit connection left.
    pub(crate) fn left(&mut self, participants: &mut Participants, id: ParticipantId, most: usize) {
        if self.has_room(most) {
            self.push(participants, Event::Left(id));
        }
    }

    /// The last edit connection left, and nothing was changed.
    pub(crate) fn closed(&mut self, participants: &mut Participants, id: ParticipantId, most: usize) {
        if self.has_room(most) {
            self.push(participants, Event::Closed(id));
        }
    }

    fn has_room(&mut self, most: usize) -> bool {
        let full = self.waiting.actions() >= most;
        if full {
            self.backlog.get_or_insert_default().behind = true;
        }
        !full && !self.is_behind()
    }

    /// Queues a join or a leave, whatever waits.
    pub(super) fn push(&mut self, participants: &mut Participants, event: Event) {
        if let Some(id) = event.participant() {
            participants[id].waiting += 1;
        }
        self.waiting.push(event);
    }

    /// Edit connections of each participant according to what was handed out and the events that wait.
    pub(crate) fn announced(&self, participants: &Participants) -> BTreeMap<ParticipantId, i64> {
        let mut announced: BTreeMap<ParticipantId, i64> =
            participants.iter().map(|(id, member)| (id, i64::from(member.handed_out))).collect();
        for event in self.waiting.iter() {
            let change = if matches!(event, Event::Joined(_)) { 1 } else { -1 };
            if let Some(id) = event.participant() {
                *announced.entry(id).or_default() += change;
            }
        }
        announced
    }

    pub(crate) fn push_info(&mut self, request: InfoRequest) {
        if request.userdata.is_none() {
            self.waiting.push(Event::Info(request.answer));
        } else {
            self.backlog.get_or_insert_default().infos.push_back(request);
            self.waiting.push(Event::InfoRequest);
        }
    }

    pub(crate) fn push_force_save(&mut self, request: ForceSaveRequest) {
        self.backlog.get_or_insert_default().force_saves.push_back(request);
        self.waiting.push(Event::ForceSave);
    }

    /// Takes the mark that joins and leaves were not queued.
    pub(super) fn take_behind(&mut self) -> bool {
        self.backlog.as_mut().is_some_and(|backlog| std::mem::take(&mut backlog.behind))
    }

    /// The event that was queued last.
    pub(super) fn last_event_mut(&mut self) -> Option<&mut Event> {
        self.waiting.last_mut()
    }

    /// Drops every event. Only where [`holds_only_events`](Self::holds_only_events).
    pub(crate) fn clear(&mut self) {
        *self = Outbox::default();
    }
}

/// Handing out and settling.
impl Outbox {
    /// Returns true if every event was taken.
    pub(crate) fn is_drained(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn take_event(&mut self) -> Option<Event> {
        self.waiting.pop()
    }

    /// The request that an [`Event::InfoRequest`] stands for.
    pub(crate) fn take_info(&mut self) -> InfoRequest {
        let backlog = self.backlog.as_mut().expect("a request event has a request");
        backlog.infos.pop_front().expect("a request event has a request")
    }

    /// The request that an [`Event::ForceSave`] stands for.
    pub(crate) fn take_force_save(&mut self) -> ForceSaveRequest {
        let backlog = self.backlog.as_mut().expect("a request event has a request");
        backlog.force_saves.pop_front().expect("a request event has a request")
    }

    /// Makes a new callback the outstanding one.
    pub(crate) fn hand_out(&mut self, kind: Kind) {
        self.outstanding = Some(kind);
    }

    /// Hands out a callback again whose pause is over.
    pub(crate) fn take_retry(&mut self) -> Option<Box<Callback>> {
        let state = &mut self.backlog.as_mut()?.retry.as_mut()?.state;
        match std::mem::replace(state, RetryState::WithWorker) {
            RetryState::Ready(callback) => Some(callback),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Ends the pause of a failed callback.
    pub(crate) fn end_pause(&mut self) {
        let retry = self.backlog.as_mut().and_then(|backlog| backlog.retry.as_mut());
        if let Some(Retry { state, .. }) = retry {
            *state = match std::mem::replace(state, RetryState::WithWorker) {
                RetryState::WaitsUntil(_, callback) => RetryState::Ready(callback),
                other => other,
            };
        }
    }

    /// The outstanding callback failed. It is handed out again at `at`, or at once.
    pub(crate) fn retry(&mut self, callback: Box<Callback>, failures: usize, at: Option<Timestamp>) {
        let state = match at {
            Some(at) => RetryState::WaitsUntil(at, callback),
            None => RetryState::Ready(callback),
        };
        self.backlog.get_or_insert_default().retry = Some(Retry { failures: failures + 1, state });
    }

    /// Replaces the outstanding save by the message that it was given up, to be handed out at once.
    pub(crate) fn replace(&mut self, kind: Kind, callback: Box<Callback>) {
        self.outstanding = Some(kind);
        let state = RetryState::Ready(callback);
        self.backlog.get_or_insert_default().retry = Some(Retry { failures: 0, state });
    }

    /// Settles the outstanding callback.
    pub(crate) fn settle(&mut self) {
        self.outstanding = None;
        if let Some(backlog) = &mut self.backlog {
            backlog.retry = None;
            if backlog.infos.is_empty() && backlog.force_saves.is_empty() && !backlog.behind {
                self.backlog = None;
            }
        }
    }
}
