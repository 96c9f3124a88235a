//! One document of the model.

mod deadlines;
mod joining;
mod requests;
mod restarting;
mod storage;

use coedit::{
    Access, Callback, ConnectionId, DocumentKey, DocumentState, Grant, Participant, Reason, ResumeToken,
    Status, User, UserId,
};

pub use storage::{Given, Outcome};

#[derive(Clone)]
pub struct Connection {
    pub id: ConnectionId,
    pub user: User,
    pub access: Access,
    /// Why it may do less than it asked for.
    pub reason: Option<Reason>,
    /// How it can be resumed.
    pub token: Option<ResumeToken>,
    /// The highest attempt to resume it.
    pub attempt: u64,
    pub opened: u64,
    /// When it was opened, touched or resumed, or made its last change.
    pub active: u64,
    /// Until when it keeps its seat, if it is lost.
    pub lost_until: Option<u64>,
    /// Whether it was warned that it is idle, since it was active last.
    pub warned_of_idle: bool,
    pub warned_of_age: bool,
}

impl Connection {
    /// A connection that is opened now.
    pub fn new(id: ConnectionId, user: &User, grant: Grant, token: Option<ResumeToken>, now: u64) -> Self {
        Connection {
            id,
            user: user.clone(),
            access: grant.access,
            reason: grant.reason,
            token,
            attempt: 0,
            opened: now,
            active: now,
            lost_until: None,
            warned_of_idle: false,
            warned_of_age: false,
        }
    }

    pub fn is_lost(&self) -> bool {
        self.lost_until.is_some()
    }

    pub fn touch(&mut self, now: u64) {
        (self.active, self.warned_of_idle) = (now, false);
    }
}

/// A change. Changes are numbered over all documents, and no number is used twice.
struct Change {
    number: u64,
    user: User,
    at: u64,
}

/// Something that the storage has not been told yet. Events wait in order.
#[expect(clippy::large_enum_variant, reason = "a model may waste memory")]
#[derive(Clone)]
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
    /// Whether a drop asked for the save that is to come.
    awaited: bool,
    /// The last change of the save that was given up, while the document is listed as forgotten.
    forgotten: Option<u64>,
    pub url: Option<String>,
    /// The URL that the worker gave for the file of the outstanding save.
    offered_url: Option<String>,
    force_at: Option<u64>,
    /// While the document is restored: who edited before, in order, and by how many connections.
    edited_before: Vec<(UserId, usize)>,
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
            awaited: false,
            forgotten: None,
            url: None,
            offered_url: None,
            force_at: None,
            edited_before: Vec::new(),
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

    pub fn connection_mut(&mut self, id: ConnectionId) -> &mut Connection {
        self.connections.iter_mut().find(|one| one.id == id).expect("the connection is open")
    }

    /// The highest access of a user's connections.
    pub fn access_of(&self, user: &UserId) -> Option<Access> {
        self.connections.iter().filter(|one| one.user.id() == user).map(|one| one.access).max()
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
}
