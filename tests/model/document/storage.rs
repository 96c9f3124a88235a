//! The callbacks of a document and how they are settled.

use std::sync::Arc;

use coedit::{Action, ActionKind, Callback, DocumentKey, ForceSaveType, Notice, Status, UserId};

use super::{Document, Event, Kind, Lane, Outstanding, SaveTurn, State, remove_last};
use crate::model::settings::Settings;

/// What a worker says of a delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    Done,
    /// Done, and the file of a save that was given up is kept.
    Kept,
    Failed,
}

/// A callback that was taken.
pub struct Taken {
    pub callback: Callback,
    pub attempt: usize,
    /// The last change that it holds, if it is a save.
    reach: u64,
}

/// A delivery in the hands of a worker, whether it still counts or not.
pub struct Given {
    pub key: DocumentKey,
    status: Status,
    reach: u64,
    userdata: Option<Arc<str>>,
}

impl Taken {
    pub fn given(&self) -> Given {
        let Callback { key, status, userdata, .. } = self.callback.clone();
        Given { key, status, reach: self.reach, userdata }
    }
}

/// Taking.
impl Document {
    /// Takes the next callback, only a 2, 3 or 4 if `saves_only`.
    pub fn take(&mut self, saves_only: bool, delivery: u64, settings: &Settings, now: u64) -> Option<Taken> {
        if self.lane()? != Lane::Saves && saves_only {
            return None;
        }
        if self.outstanding.is_none() {
            let (callback, kind) = self.next_callback(settings)?;
            let (failures, state) = (0, State::HandedOut);
            let new = Outstanding { callback, kind, delivery, since: now, deadline: None, failures, state };
            self.outstanding = Some(new);
            self.prune_order();
        }
        let save_failures = self.closing.as_ref().map_or(0, |closing| closing.failures);
        let one = self.outstanding.as_mut()?;
        one.state = State::HandedOut;
        (one.delivery, one.since) = (delivery, now);
        one.deadline = settings.ack_timeout.map(|timeout| now + timeout);
        let (reach, failures) = match one.kind {
            Kind::Save(reach) => (reach, save_failures),
            Kind::ForceSave(reach) => (reach, one.failures),
            _ => (0, one.failures),
        };
        Some(Taken { callback: one.callback.clone(), attempt: failures + 1, reach })
    }

    fn next_callback(&mut self, settings: &Settings) -> Option<(Callback, Kind)> {
        let first = self.closing.as_ref().is_some_and(|closing| closing.turn == SaveTurn::First);
        if !first && let Some(event) = self.next_event(settings) {
            return Some(event);
        }
        let closing = self.closing.as_mut().filter(|closing| closing.turn != SaveTurn::Later)?;
        closing.turn = SaveTurn::Later;
        self.saving = true;
        Some((self.closing_callback(Status::Save, settings), Kind::Save(self.last_change())))
    }

    /// Takes the next event. A timed force save that has nothing to save is skipped.
    fn next_event(&mut self, settings: &Settings) -> Option<(Callback, Kind)> {
        while matches!(self.waiting.first(), Some(Event::TimedForceSave)) && !self.has_unsaved() {
            self.waiting.remove(0);
        }
        if self.waiting.is_empty() {
            return None;
        }
        let event = self.waiting.remove(0);
        Some(self.callback_of(event, settings))
    }

    fn callback_of(&mut self, event: Event, settings: &Settings) -> (Callback, Kind) {
        let new = |status| Callback::new(self.key.clone(), status);
        match event {
            Event::Joined(user) => {
                let mut callback = new(Status::Editing);
                self.handed_out.push(user.clone());
                callback.users = Some(self.in_order(&self.handed_out));
                callback.action = Some(Action { kind: ActionKind::Joined, user });
                (callback, Kind::Action)
            }
            Event::Left(user) => {
                let mut callback = new(Status::Editing);
                remove_last(&mut self.handed_out, &user);
                callback.users = Some(self.in_order(&self.handed_out));
                callback.action = Some(Action { kind: ActionKind::Left, user });
                (callback, Kind::Action)
            }
            Event::Closed(user, _) => {
                let mut callback = new(Status::Closed);
                remove_last(&mut self.handed_out, &user);
                callback.action = Some(Action { kind: ActionKind::Left, user });
                (callback, Kind::Closed)
            }
            Event::Info { userdata, fixed } => {
                let (status, users) = match fixed {
                    None => (Status::Editing, Some(self.in_order(&self.handed_out))),
                    // The save was acknowledged or given up after the request.
                    Some(_) if self.changes.is_empty() => (Status::Closed, None),
                    Some(_) if self.closing.is_none() && !self.has_editors() => (Status::Closed, None),
                    Some(fixed) => fixed,
                };
                let mut callback = new(status);
                callback.users = users;
                callback.userdata = userdata.map(Into::into);
                (callback, Kind::Answer)
            }
            Event::ForceSave { callback, reach } => (callback, Kind::ForceSave(reach)),
            Event::TimedForceSave => {
                let callback = self.force_save_callback(ForceSaveType::Timer, settings);
                (callback, Kind::ForceSave(self.last_change()))
            }
        }
    }
}

/// Deliveries.
impl Document {
    /// Returns the outstanding callback if this delivery is the one that counts.
    fn in_hand(&mut self, delivery: u64) -> Option<&mut Outstanding> {
        let counts =
            |one: &&mut Outstanding| one.delivery == delivery && matches!(one.state, State::HandedOut);
        self.outstanding.as_mut().filter(counts)
    }

    /// Returns when a delivery has failed, `u64::MAX` if it has any time. `None` if it counts no longer.
    pub fn deadline_of(&mut self, delivery: u64, patience: u64) -> Option<u64> {
        let deadline = self.in_hand(delivery)?.deadline;
        Some([deadline, self.supersedes_at(patience)].into_iter().flatten().min().unwrap_or(u64::MAX))
    }

    /// Gives a delivery time until `until`. Returns false if it counts no longer.
    pub fn extend(&mut self, delivery: u64, until: u64) -> bool {
        let in_hand = self.in_hand(delivery);
        in_hand.map(|one| one.deadline = one.deadline.map(|deadline| deadline.max(until))).is_some()
    }

    /// Settles a delivery. Returns false if it counts no longer: then nothing has changed.
    pub fn settle(
        &mut self,
        delivery: u64,
        outcome: Outcome,
        url: Option<&str>,
        (settings, now): (&Settings, u64),
        notices: &mut Vec<Notice>,
    ) -> bool {
        let Some(kind) = self.in_hand(delivery).map(|one| one.kind) else { return false };
        match (kind, url) {
            (Kind::Save(_), Some(url)) => self.offered_url = Some(url.to_owned()),
            (Kind::SaveFailed(_), Some(url)) if self.is_forgotten() => self.url = Some(url.to_owned()),
            _ => {}
        }
        if outcome == Outcome::Failed {
            self.fail(settings, now, notices);
            self.prune_order();
            return true;
        }
        let Some(Outstanding { callback, .. }) = self.outstanding.take() else { return false };
        let Callback { key, status, userdata, .. } = callback;
        match kind {
            Kind::Save(_) => {
                notices.push(Notice::Saved { key, status, userdata });
                self.saved_and_closed();
            }
            Kind::ForceSave(reach) => {
                notices.push(Notice::Saved { key, status, userdata });
                self.unfinished_force_saves.retain(|other| *other != reach);
                self.saved_up_to(reach);
                self.schedule_force_save(settings, now);
            }
            Kind::ForceSaveFailed(_) => self.schedule_force_save(settings, now),
            Kind::SaveFailed(reach) if outcome == Outcome::Kept => self.saved_up_to(reach),
            Kind::Action | Kind::Closed | Kind::Answer | Kind::SaveFailed(_) => {}
        }
        self.prune_order();
        true
    }

    /// A delivery that counts no longer is acknowledged. Returns true if it is a save that holds something unsaved.
    pub fn acknowledge_late(
        &mut self,
        given: &Given,
        settings: &Settings,
        now: u64,
        notices: &mut Vec<Notice>,
    ) -> bool {
        let Given { key, status, reach, userdata } = given;
        // A save that was given up and is tried again, without a leaver, is another attempt of the first.
        let is_attempt = |closing: &super::Closing| closing.tried || closing.leaver.is_none() || self.saving;
        let was_tried = self.closing.as_ref().is_some_and(is_attempt);
        let is_unsaved = self.changes.iter().any(|change| change.number <= *reach);
        let closes = *status == Status::Save && was_tried && is_unsaved && self.last_change() <= *reach;
        // Otherwise it counts as a force save does, and a 2 also for a document whose save was given up.
        let holds_more =
            self.changes.iter().any(|change| change.number <= *reach && change.number > self.force_saved);
        let counts = match status {
            Status::Save => closes || holds_more || self.forgotten.is_some_and(|given_up| given_up <= *reach),
            Status::ForceSave => holds_more,
            _ => false,
        };
        if !counts {
            return false;
        }
        notices.push(Notice::Saved { key: key.clone(), status: *status, userdata: userdata.clone() });
        let is_over = |one: &Outstanding| match one.kind {
            // Another attempt of the same save.
            Kind::Save(other) => *status == Status::Save && other <= *reach,
            Kind::ForceSave(other) => *status == Status::ForceSave && other <= *reach,
            Kind::SaveFailed(other) | Kind::ForceSaveFailed(other) => {
                other <= *reach && !matches!(one.state, State::HandedOut)
            }
            _ => false,
        };
        if self.outstanding.as_ref().is_some_and(is_over) {
            self.outstanding = None;
        }
        self.unfinished_force_saves.retain(|other| *status != Status::ForceSave || other > reach);
        if closes {
            self.saved_and_closed();
        } else {
            self.saved_up_to(*reach);
        }
        self.schedule_force_save(settings, now);
        true
    }

    /// A save that does not close the document holds the changes up to a number.
    fn saved_up_to(&mut self, reach: u64) {
        self.force_saved = self.force_saved.max(reach);
        if self.forgotten.is_some_and(|forgotten| forgotten <= reach) {
            self.end_forgotten();
        }
    }

    /// The save after the last leave holds everything.
    fn saved_and_closed(&mut self) {
        self.finish_closing();
        self.clear_changes();
        self.offered_url = None;
        (self.forgotten, self.url) = (None, None);
    }

    fn finish_closing(&mut self) {
        (self.saving, self.awaited) = (false, false);
        if let Some(leaver) = self.closing.take().and_then(|closing| closing.leaver) {
            remove_last(&mut self.handed_out, &leaver);
            self.prune_order();
        }
    }
}

/// Failing.
impl Document {
    /// The outstanding callback has failed.
    pub fn fail(&mut self, settings: &Settings, now: u64, notices: &mut Vec<Notice>) {
        if self.closing_due().is_some() {
            return self.supersede(settings, now, notices);
        }
        let Some(mut one) = self.outstanding.take() else { return };
        match (one.kind, &mut self.closing) {
            (Kind::Answer, _) => {}
            (Kind::Save(_), Some(closing)) => {
                self.save_failures += 1;
                let Some(pause) = settings.retry_pauses.get(closing.failures) else {
                    return self.give_up(one, settings, now, notices);
                };
                self.saving = false;
                closing.failures += 1;
                (closing.tried, closing.turn, closing.due) = (true, SaveTurn::Later, now + pause);
                if *pause == 0 {
                    self.make_save_due(now);
                }
            }
            _ => {
                let Some(pause) = settings.retry_pauses.get(one.failures) else {
                    return self.give_up(one, settings, now, notices);
                };
                one.failures += 1;
                one.state = if *pause > 0 { State::WaitsUntil(now + pause) } else { State::Ready };
                self.outstanding = Some(one);
            }
        }
    }

    fn give_up(&mut self, one: Outstanding, settings: &Settings, now: u64, notices: &mut Vec<Notice>) {
        let Outstanding { mut callback, kind, delivery, .. } = one;
        let Callback { key, status, userdata, .. } = callback.clone();
        notices.push(Notice::Storage { key, status, userdata });
        let again = |callback, kind| {
            let (failures, state) = (0, State::Ready);
            Some(Outstanding { callback, kind, delivery, since: now, deadline: None, failures, state })
        };
        match kind {
            Kind::Save(reach) => {
                let callback = self.closing_callback(Status::SaveFailed, settings);
                self.finish_closing();
                self.url = self.offered_url.take();
                self.schedule_force_save(settings, now);
                self.forgotten = Some(reach);
                self.outstanding = again(callback, Kind::SaveFailed(reach));
            }
            Kind::ForceSave(reach) => {
                self.unfinished_force_saves.retain(|other| *other != reach);
                self.schedule_force_save(settings, now);
                callback.status = Status::ForceSaveFailed;
                self.outstanding = again(callback, Kind::ForceSaveFailed(reach));
            }
            Kind::ForceSaveFailed(_) => self.schedule_force_save(settings, now),
            Kind::Action | Kind::Closed | Kind::Answer | Kind::SaveFailed(_) => {}
        }
    }

    /// A due 2 or 4 goes before everything that waits or is outstanding. After it nobody edits.
    pub fn supersede(&mut self, settings: &Settings, now: u64, notices: &mut Vec<Notice>) {
        let closer: Option<(UserId, u64)> = self.waiting.iter().rev().find_map(|event| match event {
            Event::Closed(user, at) => Some((user.clone(), *at)),
            _ => None,
        });
        let outstanding = self.outstanding.take();
        let mut dropped: Vec<Option<Arc<str>>> = Vec::new();
        if let Some(one) = outstanding.filter(|one| matches!(one.kind, Kind::ForceSave(_))) {
            dropped.push(one.callback.userdata);
        }
        for event in std::mem::take(&mut self.waiting) {
            match event {
                Event::ForceSave { callback, .. } => dropped.push(callback.userdata),
                Event::TimedForceSave => dropped.push(None),
                _ => {}
            }
        }
        self.unfinished_force_saves.clear();
        self.schedule_force_save(settings, now);
        for userdata in dropped {
            notices.push(Notice::Storage { key: self.key.clone(), status: Status::ForceSave, userdata });
        }
        if let Some(closing) = &mut self.closing {
            closing.turn = SaveTurn::First;
            self.handed_out = closing.leaver.clone().into_iter().collect();
        } else {
            let (user, at) = closer.expect("a 4 is due");
            self.handed_out = vec![user.clone()];
            self.waiting.push(Event::Closed(user, at));
        }
    }
}
