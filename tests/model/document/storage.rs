//! The callbacks of a document and how they are settled.

use coedit::{Action, ActionKind, Callback, ForceSaveType, History, Status, VERSION};

use super::{Document, Event, Kind, Outstanding, Settled, State, remove_last};
use crate::model::settings::Settings;

impl Document {
    pub fn take(&mut self, settings: &Settings) -> Option<Callback> {
        if let Some(outstanding) = &mut self.outstanding {
            let ready = matches!(outstanding.state, State::Ready);
            if ready {
                outstanding.state = State::HandedOut;
            }
            return ready.then(|| outstanding.callback.clone());
        }
        let failed = self.closing.as_ref().is_some_and(|closing| closing.failures > 0);
        let event = if failed { None } else { self.next_event(settings) };
        let (callback, kind) = if let Some(event) = event {
            self.prune_order();
            event
        } else {
            let closing = self.closing.as_ref().filter(|closing| closing.due.is_none())?;
            let action = Some(Action { kind: ActionKind::Left, user: closing.last_editor.clone() });
            let mut callback = Callback::clone(&self.last_change(Status::Save));
            callback.action = action;
            callback.notmodified = Some(self.force_saved == self.changes.len());
            callback.history =
                Some(History { changes: self.turns(settings.turns), server_version: VERSION.to_owned() });
            self.saving = true;
            (callback, Kind::Save)
        };
        self.outstanding =
            Some(Outstanding { callback: callback.clone(), kind, failures: 0, state: State::HandedOut });
        Some(callback)
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
            Event::Closed(user) => {
                let mut callback = new(Status::Closed);
                remove_last(&mut self.handed_out, &user);
                callback.action = Some(Action { kind: ActionKind::Left, user });
                (callback, Kind::Action)
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
            Event::ForceSave { callback, reach, generation } => {
                (callback, Kind::ForceSave { reach, generation })
            }
            Event::TimedForceSave => {
                let callback = self.force_save_callback(ForceSaveType::Timer, settings);
                (callback, Kind::ForceSave { reach: self.changes.len(), generation: self.generation })
            }
        }
    }

    pub fn settle(
        &mut self,
        acknowledged: bool,
        url: Option<&str>,
        settings: &Settings,
        now: u64,
    ) -> Settled {
        let Some(mut outstanding) = self.outstanding.take() else { return Settled::WithoutNotice };
        match (&outstanding.kind, url) {
            (Kind::Save, Some(url)) => self.offered_url = Some(url.to_owned()),
            (Kind::SaveFailed, Some(url)) if self.forgotten => self.url = Some(url.to_owned()),
            _ => {}
        }
        if acknowledged {
            self.acknowledge(&outstanding.kind);
            if matches!(outstanding.kind, Kind::ForceSave { .. } | Kind::ForceSaveFailed) {
                self.schedule_force_save(settings, now);
            }
            let saves = matches!(outstanding.kind, Kind::Save | Kind::ForceSave { .. });
            return if saves { Settled::Saved(outstanding.callback) } else { Settled::WithoutNotice };
        }
        if matches!(outstanding.kind, Kind::Answer) {
            return Settled::WithoutNotice;
        }
        let given_up = outstanding.callback.clone();
        let failures = match (&outstanding.kind, &self.closing) {
            (Kind::Save, Some(closing)) => closing.failures,
            _ => outstanding.failures,
        };
        if let Some(pause) = settings.retry_pauses.get(failures) {
            let again = (*pause > 0).then_some(now + pause);
            if let (Kind::Save, Some(closing)) = (&outstanding.kind, &mut self.closing) {
                self.saving = false;
                closing.due = again;
                closing.failures += 1;
                return Settled::WithoutNotice;
            }
            outstanding.failures += 1;
            outstanding.state = again.map_or(State::Ready, State::WaitsUntil);
            self.outstanding = Some(outstanding);
            return Settled::WithoutNotice;
        }
        let again =
            |callback: Callback, kind| Some(Outstanding { callback, kind, failures: 0, state: State::Ready });
        match outstanding.kind {
            Kind::Save => {
                self.finish_closing();
                self.url = self.offered_url.take();
                self.schedule_force_save(settings, now);
                self.forgotten = true;
                outstanding.callback.status = Status::SaveFailed;
                self.outstanding = again(outstanding.callback, Kind::SaveFailed);
            }
            Kind::ForceSave { reach, generation } => {
                if generation == self.generation {
                    self.unfinished_force_saves.retain(|other| *other != reach);
                }
                self.schedule_force_save(settings, now);
                outstanding.callback.status = Status::ForceSaveFailed;
                self.outstanding = again(outstanding.callback, Kind::ForceSaveFailed);
            }
            Kind::ForceSaveFailed => self.schedule_force_save(settings, now),
            Kind::Action | Kind::Answer | Kind::SaveFailed => {}
        }
        Settled::GivenUp(given_up)
    }

    fn acknowledge(&mut self, kind: &Kind) {
        match kind {
            Kind::Save => {
                self.finish_closing();
                self.clear_changes();
                self.offered_url = None;
                (self.forgotten, self.url) = (false, None);
            }
            Kind::ForceSave { generation, .. } if *generation != self.generation => {}
            Kind::ForceSave { reach, .. } => {
                self.unfinished_force_saves.retain(|other| other != reach);
                self.force_saved = self.force_saved.max(*reach);
                if self.forgotten && !self.has_editors() && self.closing.is_none() {
                    self.clear_changes();
                }
                (self.forgotten, self.url) = (false, None);
            }
            Kind::Action | Kind::Answer | Kind::ForceSaveFailed | Kind::SaveFailed => {}
        }
    }

    fn finish_closing(&mut self) {
        self.saving = false;
        if let Some(closing) = self.closing.take() {
            remove_last(&mut self.handed_out, &closing.last_editor);
            self.prune_order();
        }
    }
}
