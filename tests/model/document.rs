//! One document of the model.

mod storage;

use coedit::{
    Access, Action, ActionKind, Author, Callback, ChangeError, ConnectionId, DocumentKey, DocumentState,
    ForceSaveError, ForceSaveType, History, Notice, Participant, RetryError, Status, Timestamp, Turn, User,
    UserId,
};

use super::settings::Settings;
pub use storage::{Given, Outcome};

#[derive(Clone)]
pub struct Connection {
    pub id: ConnectionId,
    pub user: User,
    pub access: Access,
    /// When it was opened or made its last change.
    pub active: u64,
}

/// A change. Changes are numbered over all documents, and no number is used twice.
struct Change {
    number: u64,
    user: User,
    at: u64,
}

/// Something that the storage has not been told yet. Events wait in order.
#[expect(clippy::large_enum_variant, reason = "a model may waste memory")]
enum Event {
    Joined(UserId),
    Left(UserId),
    /// The last leave of an unchanged document, and when it was.
    Closed(UserId, u64),
    /// The answer if nobody edits at the time of the request. `None` if somebody does: then the answer lists the editors
    /// that the storage knows when the callback is taken.
    Info {
        userdata: Option<String>,
        fixed: Option<(Status, Option<Vec<UserId>>)>,
    },
    /// `reach` is the number of the last change that it holds.
    ForceSave {
        callback: Callback,
        reach: u64,
    },
    /// The force save of the timer. It holds every change up to when it is taken.
    TimedForceSave,
}

/// A save holds every change up to a number.
#[derive(Clone, Copy)]
enum Kind {
    Action,
    Closed,
    /// An answer to `info`.
    Answer,
    ForceSaveFailed(u64),
    ForceSave(u64),
    Save(u64),
    SaveFailed(u64),
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
    /// The number of its latest delivery.
    delivery: u64,
    /// Since when the storage owes an answer, or is to be told.
    since: u64,
    /// When it has failed if nobody answers.
    deadline: Option<u64>,
    failures: usize,
    state: State,
}

/// When the save of a closed document is handed out.
#[derive(Clone, Copy, PartialEq)]
enum SaveTurn {
    /// It is not due.
    Later,
    /// It is due, after what waits.
    InOrder,
    /// It is due, and goes before what waits.
    First,
}

/// Nobody edits, and a save is to come.
struct Closing {
    /// The last editor. `None` for the save of a forgotten document that is tried again.
    leaver: Option<UserId>,
    /// When the save falls due or fell due.
    due: u64,
    turn: SaveTurn,
    /// True if the save was handed out before.
    tried: bool,
    /// Counts for the next pause.
    failures: usize,
}

/// Which documents are handed out first.
#[derive(Clone, Copy, PartialEq)]
pub enum Lane {
    /// The next callback is a 2, 3 or 4.
    Saves,
    /// A 2 or 4 is due behind something else.
    BeforeSaves,
    Rest,
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
    /// The edit connections that the storage counts by what was handed out.
    handed_out: Vec<UserId>,
    /// One entry for each connection of any access, kept in the same way as `accesses`.
    connected: Vec<UserId>,
    waiting: Vec<Event>,
    outstanding: Option<Outstanding>,
    /// Every change since the last acknowledged save of status 2.
    changes: Vec<Change>,
    /// The last change in an acknowledged force save.
    force_saved: u64,
    /// The last change of each unfinished force save.
    unfinished_force_saves: Vec<u64>,
    /// How often a save of these changes has failed.
    save_failures: usize,
    closing: Option<Closing>,
    pub saving: bool,
    /// The last change of the save that was given up, while the document is listed as forgotten.
    forgotten: Option<u64>,
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
            force_saved: 0,
            unfinished_force_saves: Vec::new(),
            save_failures: 0,
            closing: None,
            saving: false,
            forgotten: None,
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
        !self.is_open() && self.waiting.is_empty() && self.outstanding.is_none() && !self.is_forgotten()
    }

    pub fn is_forgotten(&self) -> bool {
        self.forgotten.is_some()
    }

    /// Returns true if the storage has nothing to hear and nothing to answer.
    pub fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.outstanding.is_none() && self.closing.is_none()
    }

    pub fn is_unsaved(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Returns the state of a document that is not settled, since when, and how often its save has failed. The time is
    /// `None` where the contract does not fix it.
    pub fn pending(&self) -> (DocumentState, Option<u64>, usize) {
        let state = match &self.closing {
            _ if !self.is_unsaved() => {
                return (DocumentState::Telling, self.outstanding.as_ref().map(|one| one.since), 0);
            }
            Some(_) if self.saving => DocumentState::Saving,
            Some(closing) if closing.tried => DocumentState::Retrying,
            Some(_) => DocumentState::Closing,
            None if self.has_editors() => DocumentState::Edited,
            None => DocumentState::Forgotten,
        };
        (state, Some(self.changes[0].at / 1000 * 1000), self.save_failures)
    }

    /// Returns since when a 2 or 4 is due that what waits is handed out before. Only while nobody edits.
    fn closing_due(&self) -> Option<u64> {
        match &self.closing {
            Some(closing) => (closing.turn == SaveTurn::InOrder && !self.saving).then_some(closing.due),
            None if self.has_editors() => None,
            None => self.waiting.iter().rev().find_map(|event| match event {
                Event::Closed(_, at) => Some(*at),
                _ => None,
            }),
        }
    }

    /// Returns when a due 2 or 4 goes before everything else. `None` if nothing is before it.
    fn supersedes_at(&self, patience: u64) -> Option<u64> {
        let due = self.closing_due()?;
        let is_before = match self.closing {
            Some(_) => !self.waiting.is_empty(),
            None => self.waiting.iter().rposition(|event| matches!(event, Event::Closed(..))) != Some(0),
        };
        (is_before || self.outstanding.is_some()).then_some(due + patience)
    }

    /// Returns the lane of a document with a callback that can be taken.
    pub fn lane(&self) -> Option<Lane> {
        let closed = matches!(self.waiting.first(), Some(Event::Closed(..)));
        let is_save = match (&self.outstanding, &self.closing) {
            (Some(one), _) if !matches!(one.state, State::Ready) => return None,
            (Some(one), _) => matches!(one.kind, Kind::SaveFailed(_) | Kind::Closed),
            (None, Some(closing)) => match closing.turn {
                SaveTurn::First => true,
                SaveTurn::InOrder => closed || self.waiting.is_empty(),
                SaveTurn::Later if closing.tried || self.waiting.is_empty() => return None,
                SaveTurn::Later => closed,
            },
            (None, None) if self.waiting.is_empty() => return None,
            (None, None) => closed,
        };
        Some(match (is_save, self.closing_due()) {
            (true, _) => Lane::Saves,
            (false, Some(_)) => Lane::BeforeSaves,
            (false, None) => Lane::Rest,
        })
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
            Event::Joined(other) | Event::Left(other) | Event::Closed(other, _) => other == user,
            Event::Info { .. } | Event::ForceSave { .. } | Event::TimedForceSave => false,
        };
        self.handed_out.contains(user) || self.waiting.iter().any(names_user)
    }

    /// Forgets the place of users who are gone and of whom the storage is to hear or to acknowledge nothing more.
    fn prune_order(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        let action = self.outstanding.as_ref().filter(|one| matches!(one.kind, Kind::Action | Kind::Closed));
        let outstanding = action.and_then(|one| one.callback.action.as_ref()).map(|action| &action.user);
        order.retain(|user| {
            self.connected.contains(user) || self.storage_knows(user) || outstanding == Some(user)
        });
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
            if let Some(leaver) = self.closing.take().and_then(|closing| closing.leaver) {
                self.waiting.push(Event::Left(leaver));
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
            self.waiting.push(Event::Closed(user.clone(), now));
        } else {
            self.offered_url = None;
            let due = now + if at_once { 0 } else { settings.save_delay };
            let turn = if due > now { SaveTurn::Later } else { SaveTurn::InOrder };
            self.closing = Some(Closing { leaver: Some(user.clone()), due, turn, tried: false, failures: 0 });
        }
    }

    /// Returns the connections of a user with edit or live-view access, in the order in which they were opened.
    pub fn connections_above_view(&self, user: &UserId) -> Vec<ConnectionId> {
        let theirs = self.connections.iter().filter(|one| one.user.id() == user && one.access > Access::View);
        theirs.map(|one| one.id).collect()
    }

    /// Returns all connections, user by user in the order in which they began to edit.
    pub fn connections_in_order(&self) -> Vec<ConnectionId> {
        let of = |user: UserId| {
            let theirs = self.connections.iter().filter(move |one| *one.user.id() == user);
            theirs.map(|one| one.id)
        };
        self.users_in_order().into_iter().flat_map(of).collect()
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

    /// Records a change with a number that is higher than all before.
    pub fn change(
        &mut self,
        id: ConnectionId,
        number: u64,
        settings: &Settings,
        now: u64,
    ) -> Result<(), ChangeError> {
        let connection = self.connection(id).clone();
        if connection.access != Access::Edit {
            return Err(ChangeError::ViewOnly);
        }
        let open = self.connections.iter_mut().find(|one| one.id == id).expect("the connection is open");
        open.active = now;
        if settings.callbacks {
            self.changes.push(Change { number, user: connection.user, at: now });
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
    fn last_change(&self) -> u64 {
        self.changes.last().map_or(0, |change| change.number)
    }

    /// Returns true if there are changes that neither an acknowledged force save nor one under way holds.
    fn has_unsaved(&self) -> bool {
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
    fn force_save_callback(&mut self, kind: ForceSaveType, settings: &Settings) -> Callback {
        let mut callback = self.save_callback(Status::ForceSave, settings);
        callback.forcesavetype = Some(kind);
        self.unfinished_force_saves.push(self.last_change());
        callback
    }

    /// Returns what all saves have in common.
    fn save_callback(&self, status: Status, settings: &Settings) -> Callback {
        let change = self.changes.last().expect("the document has a change");
        let mut callback = Callback::new(self.key.clone(), status);
        callback.users = Some(vec![change.user.id().clone()]);
        callback.lastsave = Some(Timestamp::from_millis(change.at));
        let server_version = settings.version.to_owned();
        callback.history = Some(History { changes: self.turns(settings.turns), server_version });
        callback
    }

    /// Returns the callback of the save after the last leave.
    fn closing_callback(&self, status: Status, settings: &Settings) -> Callback {
        let leaver = self.closing.as_ref().and_then(|closing| closing.leaver.clone());
        let mut callback = self.save_callback(status, settings);
        callback.action = leaver.map(|user| Action { kind: ActionKind::Left, user });
        callback.notmodified = Some(self.force_saved >= self.last_change());
        callback
    }

    fn turns(&self, max: usize) -> Vec<Turn> {
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
    fn end_forgotten(&mut self) {
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

    fn clear_changes(&mut self) {
        self.changes.clear();
        self.save_failures = 0;
        self.force_at = None;
        self.unfinished_force_saves.clear();
    }

    pub fn next_deadline(&self, patience: u64) -> Option<u64> {
        let outstanding = self.outstanding.as_ref().and_then(|outstanding| match outstanding.state {
            State::WaitsUntil(until) => Some(until),
            State::HandedOut => outstanding.deadline,
            State::Ready => None,
        });
        let is_later = |closing: &&Closing| closing.turn == SaveTurn::Later && !self.saving;
        let save = self.closing.as_ref().filter(is_later).map(|closing| closing.due);
        let force = self.force_at.filter(|_| self.has_editors());
        [outstanding, save, force, self.supersedes_at(patience)].into_iter().flatten().min()
    }

    /// Runs what is due at `now`: first what the storage owes, then the save, then the patience of the save.
    pub fn run_due(&mut self, settings: &Settings, now: u64, patience: u64) -> Vec<Notice> {
        let mut notices = Vec::new();
        let had_editors = self.has_editors();
        match &mut self.outstanding {
            Some(one) if matches!(one.state, State::WaitsUntil(until) if until <= now) => {
                one.state = State::Ready;
            }
            Some(one)
                if matches!(one.state, State::HandedOut) && one.deadline.is_some_and(|due| due <= now) =>
            {
                self.fail(settings, now, &mut notices);
            }
            _ => {}
        }
        if self.closing.as_ref().is_some_and(|closing| closing.due <= now) {
            self.make_save_due(now);
        }
        if had_editors && self.force_at.is_some_and(|at| at <= now) {
            self.force_at = None;
            if self.has_unsaved() && self.force_saves() < settings.asked {
                self.waiting.push(Event::TimedForceSave);
            }
        }
        if self.supersedes_at(patience).is_some_and(|at| at <= now) {
            self.supersede(settings, now, &mut notices);
        }
        self.prune_order();
        notices
    }

    fn make_save_due(&mut self, now: u64) {
        if let Some(closing) = self.closing.as_mut().filter(|closing| closing.turn == SaveTurn::Later)
            && !self.saving
        {
            closing.turn = if closing.tried { SaveTurn::First } else { SaveTurn::InOrder };
            closing.due = closing.due.min(now);
        }
    }

    /// Makes a save due that waits for the save delay, but not one that waits for its retry.
    pub fn skip_save_delay(&mut self, now: u64) {
        if self.closing.as_ref().is_some_and(|closing| !closing.tried) {
            self.make_save_due(now);
        }
    }

    /// The engine shuts down: every save is due, every retry is due, and the pauses begin again.
    pub fn hurry(&mut self, now: u64) {
        self.make_save_due(now);
        if let Some(closing) = &mut self.closing {
            closing.failures = 0;
        }
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.failures = 0;
            if matches!(outstanding.state, State::WaitsUntil(_)) {
                outstanding.state = State::Ready;
            }
        }
    }
}
