//! Opening, closing and dropping connections.

use smallvec::SmallVec;

use super::connections::Connection;
use super::{After, Context, Shard};
use crate::access::{Access, Dropped, Grant, Reason};
use crate::error::{ChangeError, OpenError};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notice::Notice;
use crate::seats::Seat;
use crate::session::{NONE, Pace, Session, Stay, StayId};
use crate::time::Timestamp;

/// Which connections a drop is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom<'a> {
    Everybody,
    Users(&'a [UserId]),
}

/// What came of a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    Done,
    /// No such connection is open.
    Unknown,
    /// A save delay starts, so the present is to be known. Nothing was done.
    NeedsTime,
}

impl Shard {
    pub(crate) fn open(
        &mut self,
        key: &DocumentKey,
        hash: u64,
        user: &User,
        asked: Access,
        context: Context<'_>,
        after: &mut After,
    ) -> Result<(ConnectionId, Grant), OpenError> {
        let found = self.find(key, hash);
        if !self.connections.has_room() || (found.is_none() && !self.documents.has_room()) {
            return Err(OpenError::Full);
        }
        let saving = found.and_then(|place| self.session(place)).is_some_and(Session::is_saving);
        let refused = |reason| (Grant { access: Access::View, reason: Some(reason) }, None);
        let granted = |seat| (Grant { access: asked, reason: None }, seat);
        let (grant, seat) = match asked {
            Access::View => granted(None),
            Access::Edit if context.draining => refused(Reason::Draining),
            Access::Edit if saving => refused(Reason::Saving),
            Access::Edit => match context.pools.edit.try_take() {
                None => refused(Reason::ConnectionLimit),
                seat => granted(seat),
            },
            Access::LiveView => match context.pools.live.try_take() {
                None => refused(Reason::LiveViewLimit),
                seat => granted(seat),
            },
        };
        let place = found.unwrap_or_else(|| self.insert(key, hash, context));
        let joined = self.update(place, context, after, |session, spares| {
            let stay = session.join(context.rules, spares, user, grant.access);
            (stay, session.stay(stay).first_connection)
        });
        let Some((stay, next)) = joined else {
            return Err(OpenError::Full);
        };
        let connection = Connection { document: place, stay, previous: NONE, next };
        let (slot, generation) = self.connections.insert(connection);
        self.link(slot, place, stay, next);
        // From here on the connection's entry stands for the seat.
        seat.into_iter().for_each(Seat::keep);
        Ok((self.id(slot, generation), grant))
    }

    /// Closes a connection. `now`: the present if it was read; else this may ask for it.
    pub(crate) fn close(
        &mut self,
        id: ConnectionId,
        now: Option<Timestamp>,
        context: Context<'_>,
        after: &mut After,
    ) -> Closed {
        let Some(connection) = self.connection(id).copied() else { return Closed::Unknown };
        let Some(session) = self.session(connection.document) else { return Closed::Unknown };
        if now.is_none() && session.leave_needs_time(connection.stay) {
            return Closed::NeedsTime;
        }
        let access = session.stay(connection.stay).access;
        self.unlink(&connection);
        self.connections.remove(id.place() / self.of);
        context.pools.free(access);
        let pace = Pace::at_once_if(context.draining);
        self.update(connection.document, context, after, |session, spares| {
            session.leave(context.rules, spares, connection.stay, context.now, pace);
        });
        Closed::Done
    }

    pub(crate) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(id.place() / self.of, id.generation())
    }

    /// What a connection may do; none if it is not open.
    pub(crate) fn access(&self, id: ConnectionId) -> Option<Access> {
        let connection = self.connection(id)?;
        Some(self.session(connection.document)?.stay(connection.stay).access)
    }

    pub(crate) fn change(
        &mut self,
        id: ConnectionId,
        context: Context<'_>,
        after: &mut After,
    ) -> Result<(), ChangeError> {
        let connection = self.connection(id).copied().ok_or(ChangeError::Unknown)?;
        let changed = self.update(connection.document, context, after, |session, spares| {
            let may_edit = session.stay(connection.stay).access == Access::Edit;
            if may_edit {
                session.change(context.rules, spares, connection.stay, context.now);
            }
            may_edit
        });
        if changed == Some(true) { Ok(()) } else { Err(ChangeError::ViewOnly) }
    }

    /// Makes edit and live-view connections view-only.
    pub(crate) fn drop_access(
        &mut self,
        place: u32,
        whom: Whom<'_>,
        context: Context<'_>,
        after: &mut After,
    ) -> Dropped {
        let mut dropped = Dropped::default();
        let Some(session) = self.session(place) else {
            return dropped;
        };
        let before = session.standing();
        match whom {
            Whom::Everybody => {
                for stay in session.stays_above_view() {
                    self.demote(place, stay, context, after, &mut dropped);
                }
            }
            Whom::Users(users) => {
                for user in users {
                    let [view, live, edit] =
                        self.session(place).map_or([None; 3], |session| session.stays_of(user));
                    if view.or(live).or(edit).is_none() {
                        dropped.unmatched.push(user.clone());
                    }
                    for stay in [edit, live].into_iter().flatten() {
                        self.demote(place, stay, context, after, &mut dropped);
                    }
                }
            }
        }
        self.follow_up(place, before, context, after);
        dropped
    }

    /// Makes one connection view-only. None if it is not open.
    pub(crate) fn drop_connection(
        &mut self,
        id: ConnectionId,
        context: Context<'_>,
        after: &mut After,
    ) -> Option<Dropped> {
        let connection = self.connection(id).copied()?;
        let mut dropped = Dropped::default();
        let access = self.access(id)?;
        if access > Access::View {
            self.unlink(&connection);
            let viewing = self.update(connection.document, context, after, |session, spares| {
                session.demote(context.rules, spares, connection.stay, 1)
            });
            let slot = id.place() / self.of;
            self.become_viewer(slot, viewing.unwrap_or(NONE), access, context, after, &mut dropped);
        }
        Some(dropped)
    }

    fn demote(
        &mut self,
        place: u32,
        stay: StayId,
        context: Context<'_>,
        after: &mut After,
        dropped: &mut Dropped,
    ) {
        let Some(session) = self.documents.get_mut(place) else {
            return;
        };
        let Stay { connections, first_connection, access, .. } = *session.stay(stay);
        let viewing = session.demote(context.rules, &mut self.spares, stay, connections);
        for slot in self.chain(first_connection) {
            self.become_viewer(slot, viewing, access, context, after, dropped);
        }
    }

    fn become_viewer(
        &mut self,
        slot: u32,
        stay: StayId,
        had: Access,
        context: Context<'_>,
        after: &mut After,
        dropped: &mut Dropped,
    ) {
        let Some((connection, generation)) = self.connections.at(slot) else {
            return;
        };
        context.pools.free(had);
        let place = connection.document;
        let Some(session) = self.documents.get(place) else {
            return;
        };
        let Stay { first_connection: next, ref user, .. } = *session.stay(stay);
        *connection = Connection { document: place, stay, previous: NONE, next };
        let id = ConnectionId::new(slot * self.of + self.number, generation);
        dropped.connections.push(id);
        if context.listened {
            let (key, user) = (session.key().clone(), user.id().clone());
            after.more().notices.push(Notice::Dropped { connection: id, key, user });
        }
        self.link(slot, place, stay, next);
    }

    /// The connections that are linked from `first` on, in the order in which they came: the list begins with the latest.
    pub(super) fn chain(&mut self, first: u32) -> SmallVec<[u32; 4]> {
        let mut slots = SmallVec::new();
        let mut next = first;
        while let Some((connection, _)) = self.connections.at(next) {
            slots.push(next);
            next = connection.next;
        }
        slots.reverse();
        slots
    }

    /// Puts a connection, whose `next` is set, at the head of its stay's list.
    fn link(&mut self, slot: u32, place: u32, stay: StayId, next: u32) {
        if let Some((next, _)) = self.connections.at(next) {
            next.previous = slot;
        }
        if let Some(session) = self.documents.get_mut(place) {
            session.stay_mut(stay).first_connection = slot;
        }
    }

    fn unlink(&mut self, connection: &Connection) {
        if let Some((next, _)) = self.connections.at(connection.next) {
            next.previous = connection.previous;
        }
        if let Some((previous, _)) = self.connections.at(connection.previous) {
            previous.next = connection.next;
        } else if let Some(session) = self.documents.get_mut(connection.document) {
            session.stay_mut(connection.stay).first_connection = connection.next;
        }
    }

    pub(super) fn id(&self, slot: u32, generation: u32) -> ConnectionId {
        ConnectionId::new(slot * self.of + self.number, generation)
    }
}
