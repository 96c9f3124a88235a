//! Joining, leaving and losing access.

use coedit::{Access, ConnectionId, Reason, UserId};

use super::{Closing, Connection, Document, Event, SaveTurn, distinct, remove_last};
use crate::model::settings::Settings;

impl Document {
    pub fn join(&mut self, connection: Connection, settings: &Settings) {
        let (user, access) = (connection.user.clone(), connection.access);
        self.enter(connection);
        if access == Access::Edit {
            self.tell_joined(user.id(), settings);
        }
    }

    fn tell_joined(&mut self, user: &UserId, settings: &Settings) {
        if settings.callbacks {
            self.awaited = false;
            if let Some(leaver) = self.closing.take().and_then(|closing| closing.leaver) {
                self.waiting.push(Event::Left(leaver));
            }
            self.waiting.push(Event::Joined(user.clone()));
        }
    }

    /// A viewer edits from now on. Where the storage has not heard yet that the document closed, it did not.
    pub fn promote(&mut self, id: ConnectionId, settings: &Settings, now: u64) {
        let Connection { user, access, .. } = self.connection(id).clone();
        let user = user.id().clone();
        self.keep_order(&user, Access::Edit);
        if let Some(event @ Event::Closed(..)) = self.waiting.last_mut()
            && let Event::Closed(leaver, _) = event.clone()
        {
            *event = Event::Left(leaver);
        }
        remove_last(&mut self.accesses, &(user.clone(), access));
        self.accesses.push((user.clone(), Access::Edit));
        let connection = self.connection_mut(id);
        (connection.access, connection.reason) = (Access::Edit, None);
        connection.touch(now);
        self.tell_joined(&user, settings);
    }

    /// Adds a connection. Nobody is told.
    pub(super) fn enter(&mut self, connection: Connection) {
        let (user, access) = (connection.user.clone(), connection.access);
        self.keep_order(user.id(), access);
        self.connections.push(connection);
        self.connected.push(user.id().clone());
        self.accesses.push((user.id().clone(), access));
    }

    /// Whoever begins to edit comes after those who edit, unless the storage knows of it.
    fn keep_order(&mut self, user: &UserId, access: Access) {
        let edits = self.accesses.contains(&(user.clone(), Access::Edit));
        if access == Access::Edit && !edits && !self.storage_knows(user) {
            self.order.retain(|other| other != user);
        }
        if !self.order.contains(user) {
            self.order.push(user.clone());
        }
    }

    pub fn leave(&mut self, id: ConnectionId, settings: &Settings, now: u64, at_once: bool) {
        let connection = self.connection(id).clone();
        self.connections.retain(|one| one.id != id);
        remove_last(&mut self.connected, connection.user.id());
        self.end_access(&connection, settings, now, at_once);
        self.prune_order();
    }

    pub(super) fn end_access(
        &mut self,
        connection: &Connection,
        settings: &Settings,
        now: u64,
        at_once: bool,
    ) {
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

    /// Returns the connections of a user in the order in which they were opened.
    pub fn connections_of(&self, user: &UserId) -> Vec<ConnectionId> {
        let theirs = self.connections.iter().filter(|one| one.user.id() == user);
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

    /// Makes a connection view-only.
    pub fn demote(
        &mut self,
        id: ConnectionId,
        why: Option<Reason>,
        (settings, now, at_once): (&Settings, u64, bool),
    ) {
        let connection =
            self.connections.iter_mut().find(|one| one.id == id).expect("the connection is open");
        let before = connection.clone();
        (connection.access, connection.reason) = (Access::View, why);
        self.accesses.push((before.user.id().clone(), Access::View));
        self.end_access(&before, settings, now, at_once);
    }
}
