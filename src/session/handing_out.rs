//! What a worker of the storage takes.

use std::sync::Arc;

use super::callbacks::{self, Blanks};
use super::events::{Event, InfoAnswer};
use super::outstanding::Kind;
use super::participants::ParticipantId;
use super::phase::{Phase, Step, Turn};
use super::{Context, Session};
use crate::callback::{ActionKind, Callback, Status};
use crate::ids::UserId;
use crate::time::Moment;

/// In which line a document waits for a worker. What matters goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Its next callback is a save, a closing, or the message that a save was given up: status 2, 4 or 3.
    Saves,
    /// A save or a closing is due, and something of the document is handed out before it.
    BeforeSaves,
    Others,
}

/// Which callbacks a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Those of status 2, 3 and 4.
    Saves,
}

/// A callback that a worker takes.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) callback: Box<Callback>,
    /// The number of the last change that it holds. 0 if it is no save.
    pub(crate) reach: u64,
    /// Counts its attempts, from 1 on.
    pub(crate) attempt: usize,
}

/// What can be taken.
impl Session {
    /// The line in which the document waits, if a callback can be taken now. May be wrong once after joins and leaves
    /// have cancelled out: then nothing is found.
    pub(crate) fn lane(&self) -> Option<Lane> {
        if let Some(outstanding) = &self.outbox.outstanding {
            let saves = matches!(outstanding.kind, Kind::SaveFailed(_) | Kind::Closed(_));
            return outstanding.is_ready().then(|| self.lane_of(saves));
        }
        let closed = matches!(self.outbox.next_event(), Some(Event::Closed(_)));
        match self.phase() {
            Phase::Closing { turn: Turn::Later, tried: true, .. } => None,
            Phase::Closing { turn: Turn::Next, .. } => Some(Lane::Saves),
            Phase::Closing { turn: Turn::AfterTheRest, .. } => {
                Some(self.lane_of(closed || !self.outbox.holds_waiting()))
            }
            _ if !self.outbox.holds_waiting() => None,
            _ => Some(self.lane_of(closed)),
        }
    }

    fn lane_of(&self, saves: bool) -> Lane {
        match (saves, self.closing_due()) {
            (true, _) => Lane::Saves,
            (false, Some(_)) => Lane::BeforeSaves,
            (false, None) => Lane::Others,
        }
    }

    /// Since when a save or a closing is due that what happened before goes before.
    pub(super) fn closing_due(&self) -> Option<Moment> {
        match self.phase() {
            Phase::Closing { due, turn: Turn::AfterTheRest, .. } => Some(due),
            // The last of them is the one that closed it.
            Phase::Viewed if self.outbox.holds_actions() => Some(self.outbox.happened_at()),
            _ => None,
        }
    }
}

/// Taking.
impl Session {
    /// The next callback, which is outstanding from now on, if it is one of `which`. The caller numbers the delivery with
    /// [`number_delivery`](Self::number_delivery).
    pub(crate) fn take(&mut self, cx: &Context<'_>, which: Which, blanks: &mut Blanks) -> Option<Taken> {
        if self.lane()? != Lane::Saves && which == Which::Saves {
            return None;
        }
        let callback = match self.outbox.outstanding.as_ref().map(|outstanding| outstanding.kind) {
            Some(kind) => self.take_again(kind, blanks),
            None => self.take_new(cx, blanks)?,
        };
        let (reach, failures) = match self.outbox.outstanding.as_ref()?.kind {
            Kind::Save(reach) => (reach, self.phase().failures()),
            Kind::ForceSave(reach) | Kind::SaveFailed(reach) => (reach, self.outbox.failures()),
            _ => (0, self.outbox.failures()),
        };
        Some(Taken { callback, reach, attempt: failures + 1 })
    }

    /// Numbers the delivery of the callback that was just taken.
    pub(crate) fn number_delivery(&mut self, cx: &Context<'_>, number: u64) {
        if let Some(outstanding) = &mut self.outbox.outstanding {
            (outstanding.number, outstanding.since) = (number, cx.now);
            outstanding.taken_at = outstanding.taken_at.min(cx.now);
            outstanding.deadline = cx.rules.ack_timeout.map_or(Moment::NEVER, |limit| cx.now.after(limit));
            if let Some(unsaved) = &mut self.unsaved
                && let Kind::Save(_) | Kind::ForceSave(_) = outstanding.kind
            {
                unsaved.first_save.get_or_insert(number);
            }
        }
    }

    fn take_again(&mut self, kind: Kind, blanks: &mut Blanks) -> Box<Callback> {
        let action = match kind {
            Kind::Joined(id) => (ActionKind::Joined, id, Status::Editing),
            Kind::Left(id) => (ActionKind::Left, id, Status::Editing),
            Kind::Closed(id) => (ActionKind::Left, id, Status::Closed),
            _ => (ActionKind::Left, 0, Status::Closed),
        };
        let outstanding = self.outbox.outstanding.as_mut().expect("it waits for its next attempt");
        outstanding.hand_out_again();
        match &outstanding.copy {
            Some(copy) => copy.clone(),
            None => self.form_action(action, blanks),
        }
    }

    /// What happened before a save fell due comes before the save. What was requested while a failed save waits comes
    /// after it.
    fn take_new(&mut self, cx: &Context<'_>, blanks: &mut Blanks) -> Option<Box<Callback>> {
        if !matches!(self.phase(), Phase::Closing { turn: Turn::Next, .. }) {
            // Again after each event: one from which nothing is formed may have been the last.
            while let Some(event) = self.next_to_tell() {
                if let Some(callback) = self.form(cx, event, blanks) {
                    return Some(callback);
                }
            }
        }
        self.take_save(cx, blanks)
    }

    /// Takes the next event, after what found no room among them.
    fn next_to_tell(&mut self) -> Option<Event> {
        if self.outbox.is_drained() {
            self.catch_up();
        }
        self.outbox.take_event()
    }

    fn take_save(&mut self, cx: &Context<'_>, blanks: &mut Blanks) -> Option<Box<Callback>> {
        let unsaved = self.unsaved.as_mut()?;
        let Phase::Closing { leaver, turn: Turn::AfterTheRest | Turn::Next, .. } = unsaved.phase else {
            return None;
        };
        unsaved.step(Step::SaveHandedOut);
        let leaver = leaver.map(|leaver| self.participants[leaver].user.id().clone());
        self.outbox.hand_out(blanks.outstanding(Kind::Save(unsaved.changes.last()), None));
        Some(callbacks::save(blanks, (cx.rules, &self.key), leaver, &unsaved.changes))
    }
}

/// Forming.
impl Session {
    /// Forms the callback of an event. `None` for a timed force save that has nothing to hold any more.
    fn form(&mut self, cx: &Context<'_>, event: Event, blanks: &mut Blanks) -> Option<Box<Callback>> {
        let (kind, callback) = match event {
            Event::Joined(id) => {
                let member = &mut self.participants[id];
                member.waiting -= 1;
                member.handed_out += 1;
                (Kind::Joined(id), self.form_action((ActionKind::Joined, id, Status::Editing), blanks))
            }
            Event::Left(id) | Event::Closed(id) => {
                let member = &mut self.participants[id];
                member.waiting -= 1;
                member.handed_out -= 1;
                match event {
                    Event::Closed(_) => {
                        (Kind::Closed(id), self.form_action((ActionKind::Left, id, Status::Closed), blanks))
                    }
                    _ => (Kind::Left(id), self.form_action((ActionKind::Left, id, Status::Editing), blanks)),
                }
            }
            Event::Info(answer) => (Kind::Info, self.form_info(answer, None, blanks)),
            Event::InfoRequest => {
                let request = self.outbox.take_info();
                (Kind::Info, self.form_info(request.answer, request.userdata, blanks))
            }
            Event::ForceSave => return self.form_force_save(cx, blanks),
        };
        self.outbox.hand_out(blanks.outstanding(kind, None));
        Some(callback)
    }

    fn form_force_save(&mut self, cx: &Context<'_>, blanks: &mut Blanks) -> Option<Box<Callback>> {
        let mut request = self.outbox.take_force_save();
        let reach = match request.reach.take() {
            Some(reach) => reach,
            None => {
                let unsaved = self.unsaved.as_mut().filter(|unsaved| unsaved.changes.need_save())?;
                let reach = unsaved.changes.reach();
                unsaved.changes.force_save_requested(&reach);
                reach
            }
        };
        let kind = Kind::ForceSave(reach.last);
        let callback = callbacks::force_save(blanks, (cx.rules, &self.key), request, reach);
        self.outbox.hand_out(blanks.outstanding(kind, Some(callback.clone())));
        Some(callback)
    }

    /// Somebody joined or left, as the participants are counted already. With status 4 the leave was the last.
    fn form_action(
        &self,
        (kind, id, status): (ActionKind, ParticipantId, Status),
        blanks: &mut Blanks,
    ) -> Box<Callback> {
        let user = self.participants[id].user.id().clone();
        let users = (status == Status::Editing).then(|| self.editors_as_told(blanks));
        callbacks::action(blanks, &self.key, (kind, user), users)
    }

    fn form_info(
        &mut self,
        answer: InfoAnswer,
        userdata: Option<Arc<str>>,
        blanks: &mut Blanks,
    ) -> Box<Callback> {
        let users = match answer {
            InfoAnswer::Edited => Some(self.editors_as_told(blanks)),
            InfoAnswer::Unsaved if self.unsaved.is_some() && self.phase() != Phase::Forgotten => {
                Some(Vec::new())
            }
            // If a save was to come when it was asked, that is settled since.
            InfoAnswer::Unsaved | InfoAnswer::Closed => None,
        };
        callbacks::info(blanks, &self.key, users, userdata)
    }

    /// The users who edit according to the callbacks that were handed out, in order of joining: the `users` of a callback.
    fn editors_as_told(&self, blanks: &mut Blanks) -> Vec<UserId> {
        let mut users = blanks.list();
        self.participants.append_users(&mut users, |member| member.handed_out > 0);
        users
    }
}
