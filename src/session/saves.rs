//! What a worker of the storage takes, and what follows from its answers.

use std::sync::Arc;

use super::callbacks::{self, Blanks};
use super::effects::Effects;
use super::events::{Event, InfoAnswer};
use super::outbox::Kind;
use super::participants::ParticipantId;
use super::phase::{Phase, Step};
use super::unsaved::Unsaved;
use super::{Context, Session};
use crate::callback::{ActionKind, Callback, Status};
use crate::ids::UserId;
use crate::notice::Notice;
use crate::time::Timestamp;

/// What the storage said of a callback.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The storage has done it. `userdata` is what came with the request.
    Done { userdata: Option<Arc<str>> },
    /// The callback comes back, to be handed out again.
    Failed(Box<Callback>),
}

/// Handing out.
impl Session {
    /// The next callback, which is outstanding from now on. What happened before a save fell due comes before the save.
    /// What was requested while a failed save waits comes after it.
    pub(crate) fn take(&mut self, cx: &Context<'_>, blanks: &mut Blanks) -> Option<Box<Callback>> {
        if self.outbox.is_outstanding() {
            return self.outbox.take_retry();
        }
        let save_failed_before = matches!(self.phase(), Phase::Closing { failures: 1.., .. });
        if !save_failed_before {
            if self.outbox.is_drained() {
                self.catch_up();
            }
            while let Some(event) = self.outbox.take_event() {
                if let Some((kind, callback)) = self.form(cx, event, blanks) {
                    self.outbox.hand_out(kind);
                    return Some(callback);
                }
            }
        }
        self.take_save(blanks)
    }

    fn take_save(&mut self, blanks: &mut Blanks) -> Option<Box<Callback>> {
        let unsaved = self.unsaved.as_mut()?;
        let Phase::Closing { leaver, due: None, .. } = unsaved.phase else { return None };
        unsaved.step(Step::SaveHandedOut);
        let leaver = self.participants[leaver].user.id().clone();
        self.outbox.hand_out(Kind::Save);
        Some(callbacks::save(blanks, &self.key, leaver, &unsaved.changes))
    }

    /// Forms the callback of an event. `None` for a timed force save that has nothing to hold any more.
    fn form(&mut self, cx: &Context<'_>, event: Event, blanks: &mut Blanks) -> Option<(Kind, Box<Callback>)> {
        Some(match event {
            Event::Joined(id) => (Kind::Action, self.form_joined(id, blanks)),
            Event::Left(id) => (Kind::Action, self.form_left(cx, id, Status::Editing, blanks)),
            Event::Closed(id) => (Kind::Action, self.form_left(cx, id, Status::Closed, blanks)),
            Event::Info(answer) => (Kind::Info, self.form_info(answer, None, blanks)),
            Event::InfoRequest => {
                let request = self.outbox.take_info();
                (Kind::Info, self.form_info(request.answer, request.userdata, blanks))
            }
            Event::ForceSave => return self.form_force_save(blanks),
        })
    }

    fn form_force_save(&mut self, blanks: &mut Blanks) -> Option<(Kind, Box<Callback>)> {
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
        Some((kind, callbacks::force_save(blanks, &self.key, request, reach)))
    }

    fn form_joined(&mut self, id: ParticipantId, blanks: &mut Blanks) -> Box<Callback> {
        let member = &mut self.participants[id];
        member.waiting -= 1;
        member.handed_out += 1;
        let user = member.user.id().clone();
        let users = self.editors_as_told(blanks);
        callbacks::action(blanks, &self.key, (ActionKind::Joined, user), Some(users))
    }

    /// With status 4 the leave was the last.
    fn form_left(
        &mut self,
        cx: &Context<'_>,
        id: ParticipantId,
        status: Status,
        blanks: &mut Blanks,
    ) -> Box<Callback> {
        let member = &mut self.participants[id];
        member.waiting -= 1;
        member.handed_out -= 1;
        let user = member.user.id().clone();
        self.release(cx, id);
        let users = (status == Status::Editing).then(|| self.editors_as_told(blanks));
        callbacks::action(blanks, &self.key, (ActionKind::Left, user), users)
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

/// Settling.
impl Session {
    /// Settles the callback that a worker has. `kept_at` is where the host keeps the file that it could not save.
    pub(crate) fn settle(
        &mut self,
        cx: &Context<'_>,
        verdict: Verdict,
        kept_at: Option<Arc<str>>,
    ) -> Effects {
        let (kind, failures) =
            self.outbox.with_worker().expect("only a callback that is with a worker is settled");
        if let Some(unsaved) = &mut self.unsaved
            && kept_at.is_some()
        {
            match kind {
                Kind::Save => unsaved.would_keep_at = kept_at,
                Kind::SaveFailed if unsaved.forgotten => unsaved.kept_at = kept_at,
                _ => {}
            }
        }
        let mut effects = Effects::default();
        match verdict {
            Verdict::Done { userdata } => self.acknowledged(cx, kind, userdata, &mut effects),
            Verdict::Failed(callback) => self.failed(cx, (kind, failures), callback, &mut effects),
        }
        effects
    }

    fn acknowledged(
        &mut self,
        cx: &Context<'_>,
        kind: Kind,
        userdata: Option<Arc<str>>,
        effects: &mut Effects,
    ) {
        self.outbox.settle();
        if let Some(status) = kind.save_status() {
            effects.notices.push(Notice::Saved { key: self.key.clone(), status, userdata });
        }
        match kind {
            Kind::Save => {
                self.step_past_withheld(cx, Step::SaveAcknowledged);
                self.all_saved(effects);
            }
            Kind::ForceSave(reach) => {
                let saved = |unsaved: &mut Box<Unsaved>| unsaved.changes.force_save_acknowledged(reach);
                if self.unsaved.as_mut().is_some_and(saved) {
                    // Nobody edits a document in the phase `Forgotten`, so that this save holds all of it.
                    self.no_longer_forgotten(effects);
                }
            }
            Kind::Action | Kind::Info | Kind::ForceSaveFailed | Kind::SaveFailed => {}
        }
        if kind.is_force_save() {
            self.plan_force_save(cx);
        }
    }

    fn failed(
        &mut self,
        cx: &Context<'_>,
        (kind, failures): (Kind, usize),
        callback: Box<Callback>,
        effects: &mut Effects,
    ) {
        // The phase counts the failures of a save: it is not outstanding while it waits for its next attempt.
        let failures = match self.phase() {
            Phase::Saving { failures, .. } => failures,
            _ => failures,
        };
        // The reply to an `info` has said it already, so its callback is not tried again.
        let pause = cx.rules.retry_pauses.get(failures).filter(|_| kind != Kind::Info);
        let Some(pause) = pause else {
            return self.give_up(cx, kind, callback, effects);
        };
        let pause_ends = Some(cx.now.after(*pause)).filter(|end| *end > cx.now && !cx.ending);
        if kind == Kind::Save {
            self.save_waits(pause_ends);
            effects.garbage.callback = Some(callback);
        } else {
            self.outbox.retry(callback, failures, pause_ends);
        }
    }

    /// A failed save is formed anew for its next attempt. Until then an editor may join.
    fn save_waits(&mut self, again: Option<Timestamp>) {
        self.outbox.settle();
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.step(Step::SaveFailed { again });
        }
    }

    fn give_up(&mut self, cx: &Context<'_>, kind: Kind, mut callback: Box<Callback>, effects: &mut Effects) {
        if kind != Kind::Info {
            effects.notices.push(Notice::Storage {
                key: self.key.clone(),
                status: callback.status,
                userdata: callback.userdata.clone(),
            });
        }
        match kind {
            Kind::Save => {
                self.step_past_withheld(cx, Step::SaveGivenUp);
                if let Some(unsaved) = &mut self.unsaved {
                    unsaved.kept_at = unsaved.would_keep_at.take();
                    unsaved.forgotten = true;
                }
                callback.status = Status::SaveFailed;
                self.outbox.replace(Kind::SaveFailed, callback);
            }
            Kind::ForceSave(reach) => {
                if let Some(unsaved) = &mut self.unsaved {
                    unsaved.changes.force_save_given_up(reach);
                }
                callback.status = Status::ForceSaveFailed;
                self.outbox.replace(Kind::ForceSaveFailed, callback);
            }
            Kind::Action | Kind::Info | Kind::ForceSaveFailed | Kind::SaveFailed => {
                self.outbox.settle();
                effects.garbage.callback = Some(callback);
            }
        }
        if kind == Kind::Save || kind.is_force_save() {
            self.plan_force_save(cx);
        }
    }

    /// The save ends, acknowledged or given up: the storage knows now that the last editor left.
    fn step_past_withheld(&mut self, cx: &Context<'_>, step: Step) {
        let leaver = self.withheld().expect("a save withholds the last leave");
        let unsaved = self.unsaved.as_mut().expect("a save is of something unsaved");
        unsaved.step(step);
        let member = &mut self.participants[leaver];
        member.handed_out -= 1;
        self.release(cx, leaver);
    }

    /// Nothing is unsaved any more.
    fn all_saved(&mut self, effects: &mut Effects) {
        if let Some(unsaved) = self.unsaved.take() {
            self.saved_changes = unsaved.changes.last();
            effects.garbage.unsaved = Some(unsaved);
        }
    }

    /// A forgotten document was saved after all, or deleted from the list. If somebody edits it again, its changes are
    /// still unsaved.
    fn no_longer_forgotten(&mut self, effects: &mut Effects) {
        let Some(unsaved) = &mut self.unsaved else { return };
        unsaved.unlist();
        if unsaved.phase == Phase::Forgotten {
            unsaved.step(Step::NoLongerForgotten);
            self.all_saved(effects);
        }
    }

    /// Deletes the document from the list of forgotten ones. `None` if it is not listed.
    pub(crate) fn delete_forgotten(&mut self) -> Option<Effects> {
        let mut effects = Effects::default();
        self.is_forgotten().then(|| self.no_longer_forgotten(&mut effects))?;
        Some(effects)
    }
}
