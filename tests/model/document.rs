//! One document of the model.

mod storage;

use coedit::{
    Access, Action, ActionKind, Author, Callback, ChangeError, ConnectionId, DocumentKey, ForceSaveError,
    ForceSaveType, History, Participant, Status, Timestamp, Turn, User, UserId, VERSION,
};

use super::settings::Settings;

#[derive(Clone)]
pub struct Connection {
    pub id: ConnectionId,
    pub user: User,
    pub access: Access,
    /// When it was opened or made its last change.
    pub active: u64,
}

/// Something that the storage has not been told yet. Events wait in order.
#[expect(clippy::large_enum_variant, reason = "a model may waste memory")]
enum Event {
    Joined(UserId),
    Left(UserId),
    Closed(UserId),
    /// The answer if nobody edits at the time of the request. `None` if somebody does: then the answer lists the editors
    /// that the storage knows when the callback is taken.
    Info {
        userdata: Option<String>,
        fixed: Option<(Status, Option<Vec<UserId>>)>,
    },
    ForceSave {
        callback: Callback,
        reach: usize,
        generation: u32,
    },
    /// The force save of the timer. It holds every change up to when it is taken.
    TimedForceSave,
}

enum Kind {
    Action,
    /// An answer to `info`.
    Answer,
    ForceSaveFailed,
    ForceSave {
        reach: usize,
        generation: u32,
    },
    Save,
    SaveFailed,
}

enum State {
    HandedOut,
    /// Waits for its retry until this time.
    WaitsUntil(u64),
    Ready,
}

struct Outstanding {
    callback: Callback,
    kind: Kind,
    failures: usize,
    state: State,
}

struct Closing {
    last_editor: UserId,
    /// When the save is due. `None` once it is.
    due: Option<u64>,
    failures: usize,
}

/// What the notice after a settled callback says.
pub enum Settled {
    WithoutNotice,
    Saved(Callback),
    GivenUp(Callback),
}

pub struct Document {
    pub key: DocumentKey,
    pub connections: Vec<Connection>,
    /// One entry for each connection, in the order in which the connections got that access. When one of several
    /// connections of a user ends, the user's last entry is removed. So the user keeps the place of the first entry.
    accesses: Vec<(UserId, Access)>,
    /// The users who are connected or whom the storage has heard of, in the order in which they began to edit. A user who
    /// comes back before the leave was handed out keeps the place.
    order: Vec<UserId>,
    /// The edit connections whose joins were handed out.
    handed_out: Vec<UserId>,
    /// One entry for each connection of any access, kept in the same way as `accesses`.
    connected: Vec<UserId>,
    waiting: Vec<Event>,
    outstanding: Option<Outstanding>,
    /// Every change since the last acknowledged save of status 2.
    changes: Vec<(User, u64)>,
    /// The number of times that `changes` was cleared.
    generation: u32,
    /// The number of changes in the last acknowledged force save.
    force_saved: usize,
    /// The number of changes in each unfinished force save.
    unfinished_force_saves: Vec<usize>,
    closing: Option<Closing>,
    pub saving: bool,
    pub forgotten: bool,
    pub url: Option<String>,
    /// The URL that the worker gave for the file of the outstanding save.
    offered_url: Option<String>,
    force_at: Option<u64>,
}

fn remove_last<T: PartialEq>(list: &mut Vec<T>, one: &T) {
    let position = list.iter().rposition(|other| other == one).expect("the entry exists");
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
            accesses: Vec::new(),
            order: Vec::new(),
            handed_out: Vec::new(),
            connected: Vec::new(),
            waiting: Vec::new(),
            outstanding: None,
            changes: Vec::new(),
            generation: 0,
            force_saved: 0,
            unfinished_force_saves: Vec::new(),
            closing: None,
            saving: false,
            forgotten: false,
            url: None,
            offered_url: None,
            force_at: None,
        }
    }

    pub fn is_open(&self) -> bool {
        let news = self.waiting.iter().any(|event| !matches!(event, Event::Info { .. }));
        let outstanding = self.outstanding.as_ref().is_some_and(|one| !matches!(one.kind, Kind::Answer));
        !self.connections.is_empty() || !self.changes.is_empty() || news || outstanding
    }

    /// Returns true if nothing of the document is left.
    pub fn is_finished(&self) -> bool {
        !self.is_open() && self.waiting.is_empty() && self.outstanding.is_none() && !self.forgotten
    }

    /// Returns true if a callback can be taken.
    pub fn is_ready(&self) -> bool {
        match (&self.outstanding, &self.closing) {
            (Some(outstanding), _) => matches!(outstanding.state, State::Ready),
            (None, Some(closing)) => {
                closing.due.is_none() || (closing.failures == 0 && !self.waiting.is_empty())
            }
            (None, None) => !self.waiting.is_empty(),
        }
    }

    pub fn connection(&self, id: ConnectionId) -> &Connection {
        self.connections.iter().find(|one| one.id == id).expect("the connection is open")
    }

    pub fn editors(&self) -> Vec<UserId> {
        let editing: Vec<UserId> = self
            .accesses
            .iter()
            .filter(|(_, access)| *access == Access::Edit)
            .map(|(user, _)| user.clone())
            .collect();
        self.in_order(&editing)
    }

    /// Returns these users once each, in the order in which they began to edit.
    fn in_order(&self, users: &[UserId]) -> Vec<UserId> {
        self.order.iter().filter(|user| users.contains(user)).cloned().collect()
    }

    /// Returns true if the storage was told of the user's editing or is to be told of it.
    fn storage_knows(&self, user: &UserId) -> bool {
        let names_user = |event: &Event| match event {
            Event::Joined(other) | Event::Left(other) | Event::Closed(other) => other == user,
            Event::Info { .. } | Event::ForceSave { .. } | Event::TimedForceSave => false,
        };
        self.handed_out.contains(user) || self.waiting.iter().any(names_user)
    }

    /// Forgets the place of users who are gone and of whom the storage is to hear nothing more.
    fn prune_order(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        order.retain(|user| self.connected.contains(user) || self.storage_knows(user));
        self.order = order;
    }

    fn has_editors(&self) -> bool {
        self.accesses.iter().any(|(_, access)| *access == Access::Edit)
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
        distinct(&self.connected).into_iter().map(participant).collect()
    }

    pub fn is_participant(&self, user: &UserId) -> bool {
        self.connected.contains(user)
    }

    /// Returns when a participant with this access was last active.
    pub fn last_activity(&self, user: &UserId, access: Access) -> u64 {
        let theirs = self.connections.iter().filter(|one| one.user.id() == user && one.access == access);
        theirs.map(|one| one.active).max().expect("a holder has a connection")
    }

    pub fn join(&mut self, id: ConnectionId, user: &User, access: Access, settings: &Settings, now: u64) {
        let edits = self.accesses.contains(&(user.id().clone(), Access::Edit));
        if access == Access::Edit && !edits && !self.storage_knows(user.id()) {
            self.order.retain(|other| other != user.id());
        }
        if !self.order.contains(user.id()) {
            self.order.push(user.id().clone());
        }
        self.connections.push(Connection { id, user: user.clone(), access, active: now });
        self.connected.push(user.id().clone());
        if access == Access::Edit && settings.callbacks {
            if let Some(closing) = self.closing.take() {
                self.waiting.push(Event::Left(closing.last_editor));
            }
            self.waiting.push(Event::Joined(user.id().clone()));
        }
        self.accesses.push((user.id().clone(), access));
    }

    pub fn leave(&mut self, id: ConnectionId, settings: &Settings, now: u64, at_once: bool) {
        let connection = self.connection(id).clone();
        self.connections.retain(|one| one.id != id);
        remove_last(&mut self.connected, connection.user.id());
        self.end_access(&connection, settings, now, at_once);
        self.prune_order();
    }

    fn end_access(&mut self, connection: &Connection, settings: &Settings, now: u64, at_once: bool) {
        let user = connection.user.id();
        let entry = (user.clone(), connection.access);
        remove_last(&mut self.accesses, &entry);
        if connection.access != Access::Edit || !settings.callbacks {
            return;
        }
        if self.has_editors() {
            self.waiting.push(Event::Left(user.clone()));
        } else if self.changes.is_empty() {
            self.waiting.push(Event::Closed(user.clone()));
        } else {
            self.offered_url = None;
            let due = (!at_once && settings.save_delay > 0).then_some(now + settings.save_delay);
            self.closing = Some(Closing { last_editor: user.clone(), due, failures: 0 });
        }
    }

    /// Returns the connections of a user with edit or live-view access, in the order in which they were opened.
    pub fn connections_above_view(&self, user: &UserId) -> Vec<ConnectionId> {
        let theirs = self.connections.iter().filter(|one| one.user.id() == user && one.access > Access::View);
        theirs.map(|one| one.id).collect()
    }

    /// Returns all users who are connected, in the order in which they began to edit.
    pub fn users_in_order(&self) -> Vec<UserId> {
        self.in_order(&self.connected)
    }

    /// Returns the users with edit or live-view access, with each access once.
    pub fn accesses_above_view(&self) -> Vec<(UserId, Access)> {
        distinct(&self.accesses).into_iter().filter(|(_, access)| *access > Access::View).collect()
    }

    /// Makes a connection view-only. Returns it as it was.
    pub fn demote(&mut self, id: ConnectionId, settings: &Settings, now: u64) -> Connection {
        let connection =
            self.connections.iter_mut().find(|one| one.id == id).expect("the connection is open");
        let before = connection.clone();
        connection.access = Access::View;
        self.accesses.push((before.user.id().clone(), Access::View));
        self.end_access(&before, settings, now, true);
        before
    }

    pub fn change(&mut self, id: ConnectionId, settings: &Settings, now: u64) -> Result<(), ChangeError> {
        let connection = self.connection(id).clone();
        if connection.access != Access::Edit {
            return Err(ChangeError::ViewOnly);
        }
        let open = self.connections.iter_mut().find(|one| one.id == id).expect("the connection is open");
        open.active = now;
        if settings.callbacks {
            self.changes.push((connection.user, now));
            self.schedule_force_save(settings, now);
        }
        Ok(())
    }

    fn schedule_force_save(&mut self, settings: &Settings, now: u64) {
        let timed = self.waiting.iter().any(|event| matches!(event, Event::TimedForceSave));
        if self.force_at.is_none() && self.has_unsaved() && !timed {
            self.force_at = settings.force_save_interval.map(|interval| now + interval);
        }
    }

    /// Answers to `info` that wait or are outstanding.
    fn answers(&self) -> usize {
        let waiting = self.waiting.iter().filter(|event| matches!(event, Event::Info { .. }));
        let outstanding = self.outstanding.as_ref().is_some_and(|one| matches!(one.kind, Kind::Answer));
        waiting.count() + usize::from(outstanding)
    }

    /// Force saves that wait or are outstanding.
    fn force_saves(&self) -> usize {
        let is_waiting = |event: &&Event| matches!(event, Event::ForceSave { .. } | Event::TimedForceSave);
        let is_outstanding =
            |one: &Outstanding| matches!(one.kind, Kind::ForceSave { .. } | Kind::ForceSaveFailed);
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

    fn has_unsaved(&self) -> bool {
        let covered = self.unfinished_force_saves.iter().copied().max().unwrap_or(0).max(self.force_saved);
        self.changes.len() > covered
    }

    pub fn force_save(
        &mut self,
        kind: ForceSaveType,
        asked_by: Option<UserId>,
        userdata: Option<&str>,
        settings: &Settings,
    ) -> Result<(), ForceSaveError> {
        let under_way =
            self.closing.as_ref().is_some_and(|closing| closing.due.is_none() || closing.failures > 0);
        if under_way || !self.has_unsaved() {
            return Err(ForceSaveError::NotChanged);
        }
        if self.force_saves() >= settings.asked {
            return Err(ForceSaveError::TooManyAsked);
        }
        let mut callback = self.force_save_callback(kind, settings);
        callback.userdata = userdata.map(Into::into);
        callback.action = asked_by.map(|user| Action { kind: ActionKind::ForceSaveRequested, user });
        self.force_at = None;
        let (reach, generation) = (self.changes.len(), self.generation);
        self.waiting.push(Event::ForceSave { callback, reach, generation });
        Ok(())
    }

    /// Returns a force save of all changes up to now, which is unfinished from now on.
    fn force_save_callback(&mut self, kind: ForceSaveType, settings: &Settings) -> Callback {
        let mut callback = self.last_change(Status::ForceSave);
        callback.forcesavetype = Some(kind);
        callback.history =
            Some(History { changes: self.turns(settings.turns), server_version: VERSION.to_owned() });
        self.unfinished_force_saves.push(self.changes.len());
        callback
    }

    fn last_change(&self, status: Status) -> Callback {
        let (user, at) = self.changes.last().expect("the document has a change");
        let mut callback = Callback::new(self.key.clone(), status);
        callback.users = Some(vec![user.id().clone()]);
        callback.lastsave = Some(Timestamp::from_millis(*at));
        callback
    }

    fn turns(&self, max: usize) -> Vec<Turn> {
        let mut turns: Vec<Turn> = Vec::new();
        let mut last: Option<&UserId> = None;
        for (user, at) in &self.changes {
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
        if !self.forgotten {
            return false;
        }
        if !self.has_editors() && self.closing.is_none() {
            self.clear_changes();
        }
        (self.forgotten, self.url) = (false, None);
        true
    }

    fn clear_changes(&mut self) {
        // A force save that is under way covers only cleared changes.
        self.generation += 1;
        self.changes.clear();
        self.force_saved = 0;
        self.force_at = None;
        self.unfinished_force_saves.clear();
    }

    pub fn next_deadline(&self) -> Option<u64> {
        let retry = self.outstanding.as_ref().and_then(|outstanding| match outstanding.state {
            State::WaitsUntil(until) => Some(until),
            _ => None,
        });
        let save = self.closing.as_ref().and_then(|closing| closing.due);
        let force = self.force_at.filter(|_| self.has_editors());
        [retry, save, force].into_iter().flatten().min()
    }

    /// Runs what is due at `now`.
    pub fn run_due(&mut self, settings: &Settings, now: u64) {
        if let Some(closing) = &mut self.closing {
            closing.due = closing.due.filter(|due| *due > now);
        }
        if let Some(outstanding) = &mut self.outstanding
            && matches!(outstanding.state, State::WaitsUntil(until) if until <= now)
        {
            outstanding.state = State::Ready;
        }
        if self.has_editors() && self.force_at.is_some_and(|at| at <= now) {
            self.force_at = None;
            if self.has_unsaved() && self.force_saves() < settings.asked {
                self.waiting.push(Event::TimedForceSave);
            }
        }
    }

    /// Makes a save due that waits for the save delay.
    pub fn skip_save_delay(&mut self) {
        if let Some(closing) = self.closing.as_mut().filter(|closing| closing.failures == 0) {
            closing.due = None;
        }
    }

    /// Makes a waiting save and a waiting retry due at once.
    pub fn skip_delays(&mut self) {
        if let Some(closing) = &mut self.closing {
            closing.due = None;
        }
        if let Some(outstanding) = &mut self.outstanding
            && matches!(outstanding.state, State::WaitsUntil(_))
        {
            outstanding.state = State::Ready;
        }
    }
}
