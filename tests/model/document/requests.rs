//! Changes, and requests of the command service.

use coedit::{
    Access, Action, ActionKind, Author, Callback, ChangeError, ConnectionId, ForceSaveError, ForceSaveType,
    History, RetryError, Status, Timestamp, Turn, UserId,
};

use super::{Change, Closing, Document, Event, Kind, Outstanding, SaveTurn};
use crate::model::settings::Settings;

impl Document {
    /// Records a change with a number that is higher than all before.
    pub fn change(
        &mut self,
        id: ConnectionId,
        number: u64,
        settings: &Settings,
        now: u64,
    ) -> Result<(), ChangeError> {
        let connection = self.connection(id).clone();
        if connection.is_lost() {
            return Err(ChangeError::Lost);
        }
        if connection.access != Access::Edit {
            return Err(ChangeError::ViewOnly);
        }
        self.connection_mut(id).touch(now);
        if settings.callbacks {
            self.changes.push(Change { number, user: connection.user, at: now });
            self.schedule_force_save(settings, now);
        }
        Ok(())
    }

    pub(super) fn schedule_force_save(&mut self, settings: &Settings, now: u64) {
        let timed = self.waiting.iter().any(|event| matches!(event, Event::TimedForceSave));
        if self.force_at.is_none() && self.has_unsaved() && !timed {
            self.force_at = settings.force_save_interval.map(|interval| now + interval);
        }
    }

    /// Answers to `info` that wait or are outstanding.
    pub(super) fn answers(&self) -> usize {
        let waiting = self.waiting.iter().filter(|event| matches!(event, Event::Info { .. }));
        let outstanding = self.outstanding.as_ref().is_some_and(|one| matches!(one.kind, Kind::Answer));
        waiting.count() + usize::from(outstanding)
    }

    /// Force saves that wait or are outstanding.
    pub(super) fn force_saves(&self) -> usize {
        let is_waiting = |event: &&Event| matches!(event, Event::ForceSave { .. } | Event::TimedForceSave);
        let is_outstanding =
            |one: &Outstanding| matches!(one.kind, Kind::ForceSave(_) | Kind::ForceSaveFailed(_));
        let outstanding = self.outstanding.as_ref().is_some_and(is_outstanding);
        self.waiting.iter().filter(is_waiting).count() + usize::from(outstanding)
    }

    /// Answers an info. Past the bound the storage is not told.
    pub fn info(&mut self, userdata: Option<&str>, settings: &Settings) -> Vec<UserId> {
        let fixed = match (self.has_editors(), self.closing.is_some()) {
            (true, _) => None,
            (false, true) => Some((Status::Editing, Some(Vec::new()))),
            (false, false) => Some((Status::Closed, None)),
        };
        if settings.callbacks && self.answers() < settings.asked {
            self.waiting.push(Event::Info { userdata: userdata.map(str::to_owned), fixed });
        }
        self.editors()
    }

    /// Returns the number of the last unsaved change.
    pub(super) fn last_change(&self) -> u64 {
        self.changes.last().map_or(0, |change| change.number)
    }

    /// Returns true if there are changes that neither an acknowledged force save nor one under way holds.
    pub(super) fn has_unsaved(&self) -> bool {
        let covered = self.unfinished_force_saves.iter().copied().max().unwrap_or(0).max(self.force_saved);
        self.last_change() > covered
    }

    pub fn force_save(
        &mut self,
        kind: ForceSaveType,
        asked_by: Option<UserId>,
        userdata: Option<&str>,
        settings: &Settings,
    ) -> Result<(), ForceSaveError> {
        let is_under_way = |closing: &Closing| closing.turn != SaveTurn::Later || closing.tried;
        let under_way = self.closing.as_ref().is_some_and(is_under_way);
        if under_way || self.saving || !self.has_unsaved() {
            return Err(ForceSaveError::NotChanged);
        }
        if self.force_saves() >= settings.asked {
            return Err(ForceSaveError::TooManyAsked);
        }
        let mut callback = self.force_save_callback(kind, settings);
        callback.userdata = userdata.map(Into::into);
        callback.action = asked_by.map(|user| Action { kind: ActionKind::ForceSaveRequested, user });
        self.force_at = None;
        self.waiting.push(Event::ForceSave { callback, reach: self.last_change() });
        Ok(())
    }

    /// Returns a force save of all changes up to now, which is unfinished from now on.
    pub(super) fn force_save_callback(&mut self, kind: ForceSaveType, settings: &Settings) -> Callback {
        let mut callback = self.save_callback(Status::ForceSave, settings);
        callback.forcesavetype = Some(kind);
        self.unfinished_force_saves.push(self.last_change());
        callback
    }

    /// Returns what all saves have in common.
    pub(super) fn save_callback(&self, status: Status, settings: &Settings) -> Callback {
        let change = self.changes.last().expect("the document has a change");
        let mut callback = Callback::new(self.key.clone(), status);
        callback.users = Some(vec![change.user.id().clone()]);
        callback.lastsave = Some(Timestamp::from_millis(change.at));
        let server_version = settings.version.to_owned();
        callback.history = Some(History { changes: self.turns(settings.turns), server_version });
        callback
    }

    /// Returns the callback of the save after the last leave.
    pub(super) fn closing_callback(&self, status: Status, settings: &Settings) -> Callback {
        let leaver = self.closing.as_ref().and_then(|closing| closing.leaver.clone());
        let mut callback = self.save_callback(status, settings);
        callback.action = leaver.map(|user| Action { kind: ActionKind::Left, user });
        callback.notmodified = Some(self.force_saved >= self.last_change());
        callback
    }

    pub(super) fn turns(&self, max: usize) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        let mut last: Option<&UserId> = None;
        for Change { user, at, .. } in &self.changes {
            if last != Some(user.id()) {
                let author = Author {
                    id: user.id().clone(),
                    name: Some(user.name().unwrap_or(user.id().as_str()).into()),
                };
                turns.push(Turn { created: Timestamp::from_millis(at - at % 1000), author });
                while turns.len() > max {
                    turns.remove(1);
                    if turns.len() > 1 && turns[0].author.id == turns[1].author.id {
                        turns.remove(1);
                    }
                }
            }
            last = Some(user.id());
        }
        turns
    }

    pub fn delete_forgotten(&mut self) -> bool {
        let was_forgotten = self.is_forgotten();
        if was_forgotten {
            self.end_forgotten();
        }
        was_forgotten
    }

    /// The document is not listed as forgotten any more. Where nobody edits again and no save is to come, nothing is
    /// unsaved either.
    pub(super) fn end_forgotten(&mut self) {
        (self.forgotten, self.url) = (None, None);
        if !self.has_editors() && self.closing.is_none() {
            self.clear_changes();
        }
    }

    /// Makes the save of a forgotten document due again.
    pub fn retry_forgotten(&mut self, now: u64) -> Result<(), RetryError> {
        if !self.is_forgotten() {
            return Err(RetryError::NotForgotten);
        }
        if self.has_editors() || self.closing.is_some() {
            return Err(RetryError::UnderWay);
        }
        let turn = SaveTurn::InOrder;
        self.closing = Some(Closing { leaver: None, due: now, turn, tried: false, failures: 0 });
        Ok(())
    }

    pub(super) fn clear_changes(&mut self) {
        self.changes.clear();
        self.save_failures = 0;
        self.force_at = None;
        self.unfinished_force_saves.clear();
    }
}
