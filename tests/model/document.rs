//! One document of the model.

mod storage;

use coedit::{
    Access, Action, ActionKind, Author, Callback, ChangeError, ConnectionId, DocumentKey, ForceSaveError,
    ForceSaveType, InfoError, Participant, Status, Timestamp, Turn, User, UserId,
};

use super::settings::Settings;

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
    /// When who of them was opened or made a change.
    active: Vec<(UserId, Access, u64)>,
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
            active: Vec::new(),
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

    pub fn is_in(&self, user: &UserId) -> bool {
        self.present.contains(user)
    }

    /// When somebody who is here with an access did anything.
    pub fn active(&self, user: &UserId, access: Access) -> u64 {
        let theirs = self.active.iter().filter(|(other, has, _)| other == user && *has == access);
        theirs.map(|(_, _, at)| *at).max().expect("who is here came")
    }

    pub fn join(&mut self, id: ConnectionId, user: &User, access: Access, settings: &Settings, now: u64) {
        self.connections.push(Connection { id, user: user.clone(), access });
        self.present.push(user.id().clone());
        self.active.push((user.id().clone(), access, now));
        if access == Access::Edit && settings.callbacks {
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
        let stay = (user.clone(), connection.access);
        remove_last(&mut self.stays, &stay);
        if !self.stays.contains(&stay) {
            self.active.retain(|(other, access, _)| (other, *access) != (user, connection.access));
        }
        if connection.access != Access::Edit || !settings.callbacks {
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

    /// Makes some connections view-only. Returns them as they were.
    pub fn demote(
        &mut self,
        which: impl Fn(&Connection) -> bool,
        settings: &Settings,
        now: u64,
    ) -> Vec<Connection> {
        let chosen: Vec<Connection> = self.connections.iter().filter(|one| which(one)).cloned().collect();
        for one in &chosen {
            let place = self.connections.iter_mut().find(|other| other.id == one.id).expect("it is here");
            place.access = Access::View;
        }
        for one in &chosen {
            self.stays.push((one.user.id().clone(), Access::View));
        }
        for one in &chosen {
            self.end_stay(one, settings, now, true);
        }
        chosen
    }

    pub fn change(&mut self, id: ConnectionId, settings: &Settings, now: u64) -> Result<(), ChangeError> {
        let connection = self.connection(id).clone();
        if connection.access != Access::Edit {
            return Err(ChangeError::ViewOnly);
        }
        self.active.push((connection.user.id().clone(), Access::Edit, now));
        if settings.callbacks {
            self.changes.push((connection.user, now));
            self.plan_force_save(settings, now);
        }
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

    pub fn info(&mut self, userdata: Option<&str>, settings: &Settings) -> Result<Vec<UserId>, InfoError> {
        if !settings.callbacks {
            return Ok(self.editors());
        }
        if self.asked() >= settings.asked {
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
}
