//! One document of the model.

use coedit::{
    Access, Action, ActionKind, Author, Callback, ChangeError, ConnectionId, DocumentKey, Dropped,
    ForceSaveError, ForceSaveType, History, InfoError, Participant, Status, Timestamp, Turn, User, UserId,
    VERSION,
};

use super::Settings;

#[derive(Clone)]
pub struct Connection {
    pub id: ConnectionId,
    pub user: User,
    pub access: Access,
}

/// What the storage is still to hear, in order.
#[expect(clippy::large_enum_variant, reason = "a model may waste memory")]
enum Event {
    Came(UserId),
    Left(UserId),
    Closed(UserId),
    /// `None`: who edits at that point of the story.
    Info {
        userdata: Option<String>,
        fixed: Option<(Status, Option<Vec<UserId>>)>,
    },
    ForceSave {
        callback: Callback,
        reach: usize,
        generation: u32,
    },
}

enum Kind {
    Action,
    Asked,
    ForceSave { reach: usize, generation: u32 },
    Save,
    SaveFailed,
}

enum Standing {
    Out,
    Waits(u64),
    Ready,
}

struct Outstanding {
    callback: Callback,
    kind: Kind,
    failures: usize,
    standing: Standing,
}

struct Closing {
    leaver: UserId,
    /// `None` once it is due.
    due: Option<u64>,
    failures: usize,
}

pub enum Settled {
    Quietly,
    GivenUp(Status),
}

pub struct Document {
    pub key: DocumentKey,
    pub connections: Vec<Connection>,
    /// One entry a connection, in order of joining with that access. A user who goes with one of several connections
    /// loses the last entry, so the first keeps the place in the order.
    stays: Vec<(UserId, Access)>,
    /// The edit connections that the storage was told of, in the same way.
    told: Vec<UserId>,
    /// One entry a connection of any access, in the same way.
    present: Vec<UserId>,
    waiting: Vec<Event>,
    out: Option<Outstanding>,
    /// Every change since the last acknowledged save of status 2.
    changes: Vec<(User, u64)>,
    /// Counts how often they were cleared.
    generation: u32,
    /// How many of them an acknowledged force save holds.
    forced: usize,
    /// How far the force saves under way reach.
    asked_reach: Vec<usize>,
    closing: Option<Closing>,
    pub saving: bool,
    pub forgotten: bool,
    pub url: Option<String>,
    /// Where the file of the save under way would be.
    offered_url: Option<String>,
    force_at: Option<u64>,
}

fn remove_last<T: PartialEq>(list: &mut Vec<T>, one: &T) {
    let position = list.iter().rposition(|other| other == one).expect("who goes was there");
    list.remove(position);
}

fn distinct<T: PartialEq + Clone>(list: &[T]) -> Vec<T> {
    let mut seen = Vec::new();
    for one in list {
        if !seen.contains(one) {
            seen.push(one.clone());
        }
    }
    seen
}

impl Document {
    pub fn new(key: DocumentKey) -> Self {
        Document {
            key,
            connections: Vec::new(),
            stays: Vec::new(),
            told: Vec::new(),
            present: Vec::new(),
            waiting: Vec::new(),
            out: None,
            changes: Vec::new(),
            generation: 0,
            forced: 0,
            asked_reach: Vec::new(),
            closing: None,
            saving: false,
            forgotten: false,
            url: None,
            offered_url: None,
            force_at: None,
        }
    }

    pub fn is_open(&self) -> bool {
        !self.connections.is_empty() || self.closing.is_some()
    }

    pub fn is_over(&self) -> bool {
        !self.is_open() && self.waiting.is_empty() && self.out.is_none() && !self.forgotten
    }

    pub fn has_next(&self) -> bool {
        match (&self.out, &self.closing) {
            (Some(out), _) => matches!(out.standing, Standing::Ready),
            (None, Some(closing)) => {
                closing.due.is_none() || (closing.failures == 0 && !self.waiting.is_empty())
            }
            (None, None) => !self.waiting.is_empty(),
        }
    }

    pub fn connection(&self, id: ConnectionId) -> &Connection {
        self.connections.iter().find(|one| one.id == id).expect("the connection is here")
    }

    pub fn editors(&self) -> Vec<UserId> {
        distinct(&self.stays)
            .into_iter()
            .filter(|(_, access)| *access == Access::Edit)
            .map(|(user, _)| user)
            .collect()
    }

    fn somebody_edits(&self) -> bool {
        self.stays.iter().any(|(_, access)| *access == Access::Edit)
    }

    pub fn participants(&self) -> Vec<Participant> {
        let of = |id: &UserId| self.connections.iter().filter(|one| one.user.id() == id).collect::<Vec<_>>();
        let participant = |id: UserId| {
            let all = of(&id);
            Participant {
                user: id.into(),
                access: all.iter().map(|one| one.access).max().unwrap(),
                connections: u32::try_from(all.len()).unwrap(),
            }
        };
        distinct(&self.present).into_iter().map(participant).collect()
    }

    pub fn join(&mut self, id: ConnectionId, user: &User, access: Access) {
        self.connections.push(Connection { id, user: user.clone(), access });
        self.present.push(user.id().clone());
        if access == Access::Edit {
            if let Some(closing) = self.closing.take() {
                self.waiting.push(Event::Left(closing.leaver));
            }
            self.waiting.push(Event::Came(user.id().clone()));
        }
        self.stays.push((user.id().clone(), access));
    }

    pub fn leave(&mut self, id: ConnectionId, settings: &Settings, now: u64, at_once: bool) {
        let connection = self.connection(id).clone();
        self.connections.retain(|one| one.id != id);
        remove_last(&mut self.present, connection.user.id());
        self.end_stay(&connection, settings, now, at_once);
    }

    fn end_stay(&mut self, connection: &Connection, settings: &Settings, now: u64, at_once: bool) {
        let user = connection.user.id();
        remove_last(&mut self.stays, &(user.clone(), connection.access));
        if connection.access != Access::Edit {
            return;
        }
        if self.somebody_edits() {
            self.waiting.push(Event::Left(user.clone()));
        } else if self.changes.is_empty() {
            self.waiting.push(Event::Closed(user.clone()));
        } else {
            self.offered_url = None;
            let due = (!at_once && settings.save_delay > 0).then_some(now + settings.save_delay);
            self.closing = Some(Closing { leaver: user.clone(), due, failures: 0 });
        }
    }

    /// Users with edit or live-view access, in the order in which they got it.
    pub fn stays_above_view(&self) -> Vec<(UserId, Access)> {
        distinct(&self.stays).into_iter().filter(|(_, access)| *access > Access::View).collect()
    }

    pub fn demote(
        &mut self,
        which: impl Fn(&Connection) -> bool,
        settings: &Settings,
        now: u64,
        dropped: &mut Dropped,
    ) {
        let chosen: Vec<Connection> = self.connections.iter().filter(|one| which(one)).cloned().collect();
        for one in &chosen {
            let place = self.connections.iter_mut().find(|other| other.id == one.id).expect("it is here");
            place.access = Access::View;
            dropped.connections.push(one.id);
        }
        for one in &chosen {
            self.stays.push((one.user.id().clone(), Access::View));
        }
        for one in &chosen {
            self.end_stay(one, settings, now, true);
        }
    }

    pub fn change(&mut self, id: ConnectionId, settings: &Settings, now: u64) -> Result<(), ChangeError> {
        let connection = self.connection(id).clone();
        if connection.access != Access::Edit {
            return Err(ChangeError::ViewOnly);
        }
        self.changes.push((connection.user, now));
        self.plan_force_save(settings, now);
        Ok(())
    }

    fn plan_force_save(&mut self, settings: &Settings, now: u64) {
        if self.force_at.is_none() && self.unsaved() {
            self.force_at = settings.force_save_interval.map(|interval| now + interval);
        }
    }

    fn asked(&self) -> usize {
        let waiting =
            self.waiting.iter().filter(|event| matches!(event, Event::Info { .. } | Event::ForceSave { .. }));
        let out =
            self.out.as_ref().is_some_and(|out| matches!(out.kind, Kind::Asked | Kind::ForceSave { .. }));
        waiting.count() + usize::from(out)
    }

    pub fn info(&mut self, userdata: Option<&str>, most: usize) -> Result<Vec<UserId>, InfoError> {
        if self.asked() >= most {
            return Err(InfoError::TooManyAsked);
        }
        let fixed = match (!self.somebody_edits(), self.changes.is_empty()) {
            (false, _) => None,
            (true, false) => Some((Status::Editing, Some(Vec::new()))),
            (true, true) => Some((Status::Closed, None)),
        };
        self.waiting.push(Event::Info { userdata: userdata.map(str::to_owned), fixed });
        Ok(self.editors())
    }

    fn unsaved(&self) -> bool {
        let covered = self.asked_reach.iter().copied().max().unwrap_or(0).max(self.forced);
        self.changes.len() > covered
    }

    pub fn force_save(
        &mut self,
        kind: ForceSaveType,
        asked_by: Option<UserId>,
        userdata: Option<&str>,
        most: usize,
    ) -> Result<(), ForceSaveError> {
        let under_way =
            self.closing.as_ref().is_some_and(|closing| closing.due.is_none() || closing.failures > 0);
        if under_way || !self.unsaved() {
            return Err(ForceSaveError::NotChanged);
        }
        if self.asked() >= most {
            return Err(ForceSaveError::TooManyAsked);
        }
        let mut callback = self.last_change(Status::ForceSave);
        callback.forcesavetype = Some(kind);
        callback.userdata = userdata.map(Into::into);
        callback.action = asked_by.map(|user| Action { kind: ActionKind::AskedForSave, user });
        self.force_at = None;
        self.asked_reach.push(self.changes.len());
        self.waiting.push(Event::ForceSave {
            callback,
            reach: self.changes.len(),
            generation: self.generation,
        });
        Ok(())
    }

    fn last_change(&self, status: Status) -> Callback {
        let (user, at) = self.changes.last().expect("something was changed");
        let mut callback = Callback::new(self.key.clone(), status);
        callback.users = Some(vec![user.id().clone()]);
        callback.lastsave = Some(Timestamp::from_millis(*at));
        callback
    }

    fn turns(&self, most: usize) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        let mut last: Option<&UserId> = None;
        for (user, at) in &self.changes {
            if last != Some(user.id()) {
                let author = Author { id: user.id().clone(), name: user.name().map(Into::into) };
                turns.push(Turn { created: Timestamp::from_millis(at - at % 1000), author });
                while turns.len() > most {
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
        if !self.forgotten {
            return false;
        }
        if !self.somebody_edits() && self.closing.is_none() {
            self.clear_changes();
        }
        (self.forgotten, self.url) = (false, None);
        true
    }

    fn clear_changes(&mut self) {
        // What is under way holds what is cleared, and nothing that comes.
        self.generation += 1;
        self.changes.clear();
        self.forced = 0;
        self.force_at = None;
        self.asked_reach.clear();
    }

    pub fn next_deadline(&self) -> Option<u64> {
        let retry = self.out.as_ref().and_then(|out| match out.standing {
            Standing::Waits(until) => Some(until),
            _ => None,
        });
        let save = self.closing.as_ref().and_then(|closing| closing.due);
        let force = self.force_at.filter(|_| self.somebody_edits());
        [retry, save, force].into_iter().flatten().min()
    }

    pub fn fall_due(&mut self, settings: &Settings, now: u64) {
        if let Some(closing) = &mut self.closing {
            closing.due = closing.due.filter(|due| *due > now);
        }
        if let Some(out) = &mut self.out
            && matches!(out.standing, Standing::Waits(until) if until <= now)
        {
            out.standing = Standing::Ready;
        }
        if self.somebody_edits() && self.force_at.is_some_and(|at| at <= now) {
            self.force_at = None;
            let _ = self.force_save(ForceSaveType::Timer, None, None, settings.asked);
        }
    }

    pub fn hurry(&mut self) {
        if let Some(closing) = &mut self.closing {
            closing.due = None;
        }
        if let Some(out) = &mut self.out
            && matches!(out.standing, Standing::Waits(_))
        {
            out.standing = Standing::Ready;
        }
    }

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
