//! What the storage is told of a document, and its answers.

use coedit::{Action, ActionKind, Callback, History, Status, VERSION};

use super::{Document, Event, Kind, Outstanding, Settled, Standing, distinct, remove_last};
use crate::model::settings::Settings;

impl Document {
    pub fn take(&mut self, settings: &Settings) -> Option<Callback> {
        if let Some(out) = &mut self.out {
            let ready = matches!(out.standing, Standing::Ready);
            if ready {
                out.standing = Standing::Out;
            }
            return ready.then(|| out.callback.clone());
        }
        let failed = self.closing.as_ref().is_some_and(|closing| closing.failures > 0);
        let (callback, kind) = if !failed && !self.waiting.is_empty() {
            self.next_event()
        } else {
            let closing = self.closing.as_ref().filter(|closing| closing.due.is_none())?;
            let action = Some(Action { kind: ActionKind::Left, user: closing.leaver.clone() });
            let mut callback = Callback::clone(&self.last_change(Status::Save));
            callback.action = action;
            callback.notmodified = Some(self.forced == self.changes.len());
            callback.history =
                Some(History { changes: self.turns(settings.turns), server_version: VERSION.to_owned() });
            self.saving = true;
            (callback, Kind::Save)
        };
        self.out =
            Some(Outstanding { callback: callback.clone(), kind, failures: 0, standing: Standing::Out });
        Some(callback)
    }

    fn next_event(&mut self) -> (Callback, Kind) {
        let new = |status| Callback::new(self.key.clone(), status);
        match self.waiting.remove(0) {
            Event::Came(user) => {
                let mut callback = new(Status::Editing);
                self.told.push(user.clone());
                callback.users = Some(distinct(&self.told));
                callback.action = Some(Action { kind: ActionKind::Came, user });
                (callback, Kind::Action)
            }
            Event::Left(user) => {
                let mut callback = new(Status::Editing);
                remove_last(&mut self.told, &user);
                callback.users = Some(distinct(&self.told));
                callback.action = Some(Action { kind: ActionKind::Left, user });
                (callback, Kind::Action)
            }
            Event::Closed(user) => {
                let mut callback = new(Status::Closed);
                remove_last(&mut self.told, &user);
                callback.action = Some(Action { kind: ActionKind::Left, user });
                (callback, Kind::Action)
            }
            Event::Info { userdata, fixed } => {
                let (status, users) = match fixed {
                    None => (Status::Editing, Some(distinct(&self.told))),
                    // Saved since it was asked for.
                    Some(_) if self.changes.is_empty() => (Status::Closed, None),
                    Some(fixed) => fixed,
                };
                let mut callback = new(status);
                callback.users = users;
                callback.userdata = userdata.map(Into::into);
                (callback, Kind::Asked)
            }
            Event::ForceSave { callback, reach, generation } => {
                (callback, Kind::ForceSave { reach, generation })
            }
        }
    }

    pub fn settle(&mut self, done: bool, url: Option<&str>, settings: &Settings, now: u64) -> Settled {
        let Some(mut out) = self.out.take() else { return Settled::Quietly };
        match (&out.kind, url) {
            (Kind::Save, Some(url)) => self.offered_url = Some(url.to_owned()),
            (Kind::SaveFailed, Some(url)) if self.forgotten => self.url = Some(url.to_owned()),
            _ => {}
        }
        if done {
            self.done(&out.kind);
            return Settled::Quietly;
        }
        let failures = match (&out.kind, &self.closing) {
            (Kind::Save, Some(closing)) => closing.failures,
            _ => out.failures,
        };
        if let Some(pause) = settings.retry_pauses.get(failures) {
            let again = (*pause > 0).then_some(now + pause);
            if let (Kind::Save, Some(closing)) = (&out.kind, &mut self.closing) {
                self.saving = false;
                closing.due = again;
                closing.failures += 1;
                return Settled::Quietly;
            }
            out.failures += 1;
            out.standing = again.map_or(Standing::Ready, Standing::Waits);
            self.out = Some(out);
            return Settled::Quietly;
        }
        let again = |callback: Callback, kind| {
            Some(Outstanding { callback, kind, failures: 0, standing: Standing::Ready })
        };
        match out.kind {
            Kind::Save => {
                self.tell_last_leave();
                self.url = self.offered_url.take();
                self.plan_force_save(settings, now);
                self.forgotten = true;
                out.callback.status = Status::SaveFailed;
                self.out = again(out.callback, Kind::SaveFailed);
            }
            Kind::ForceSave { reach, generation } => {
                if generation == self.generation {
                    self.asked_reach.retain(|other| *other != reach);
                }
                self.plan_force_save(settings, now);
                out.callback.status = Status::ForceSaveFailed;
                self.out = again(out.callback, Kind::Asked);
            }
            Kind::Action | Kind::Asked | Kind::SaveFailed => return Settled::GivenUp(out.callback.status),
        }
        Settled::Quietly
    }

    fn done(&mut self, kind: &Kind) {
        match kind {
            Kind::Save => {
                self.tell_last_leave();
                self.clear_changes();
                self.offered_url = None;
                (self.forgotten, self.url) = (false, None);
            }
            Kind::ForceSave { generation, .. } if *generation != self.generation => {}
            Kind::ForceSave { reach, .. } => {
                self.asked_reach.retain(|other| other != reach);
                self.forced = self.forced.max(*reach);
                if self.forgotten && !self.somebody_edits() && self.closing.is_none() {
                    self.clear_changes();
                }
                (self.forgotten, self.url) = (false, None);
            }
            Kind::Action | Kind::Asked | Kind::SaveFailed => {}
        }
    }

    fn tell_last_leave(&mut self) {
        self.saving = false;
        if let Some(closing) = self.closing.take() {
            remove_last(&mut self.told, &closing.leaver);
        }
    }
}
