//! Opening, closing and dropping connections.

use super::connections::Connection;
use super::{After, Context, Shard};
use crate::access::{Access, Dropped, Grant, Reason};
use crate::error::{ChangeError, OpenError};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notice::Notice;
use crate::seats::Seat;
use crate::session::{NONE, Pace, Session, StayId};

/// Which connections a drop is about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whom<'a> {
    Everybody,
    Users(&'a [UserId]),
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
        let places_left = self.free != NONE || self.documents.len() < NONE as usize;
        if !self.connections.has_room() || (found.is_none() && !places_left) {
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
        let place = found.unwrap_or_else(|| self.insert(key, hash, context.ready));
        let joined = self.update(place, context, after, |session| {
            let stay = session.join(context.rules, user, grant.access);
            (stay, session.stay(stay).first_connection)
        });
        let Some((stay, next)) = joined else {
            return Err(OpenError::Full);
        };
        let connection = Connection { document: place, stay, access: grant.access, previous: NONE, next };
        let (slot, generation) = self.connections.insert(connection);
        self.link(slot, place, stay, next);
        // From here on the connection's entry stands for the seat.
        seat.into_iter().for_each(Seat::keep);
        Ok((self.id(slot, generation), grant))
    }

    /// Closes a connection. False if it is not open.
    pub(crate) fn close(&mut self, id: ConnectionId, context: Context<'_>, after: &mut After) -> bool {
        let slot = id.place() / self.of;
        let Some(connection) = self.connection(id).copied() else {
            return false;
        };
        self.unlink(&connection);
        self.connections.remove(slot);
        context.pools.free(connection.access);
        self.update(connection.document, context, after, |session| {
            session.leave(context.rules, connection.stay, context.now, Pace::at_once_if(context.draining));
        });
        true
    }

    pub(crate) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(id.place() / self.of, id.generation())
    }

    pub(crate) fn change(
        &mut self,
        id: ConnectionId,
        context: Context<'_>,
        after: &mut After,
    ) -> Result<(), ChangeError> {
        let connection = self.connection(id).copied().ok_or(ChangeError::Unknown)?;
        if connection.access != Access::Edit {
            return Err(ChangeError::ViewOnly);
        }
        self.update(connection.document, context, after, |session| {
            session.change(context.rules, connection.stay, context.now);
        });
        Ok(())
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
        self.follow_up(place, context, after);
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
        if connection.access > Access::View {
            self.unlink(&connection);
            let place = connection.document;
            let viewing = self.update(place, context, after, |session| {
                session.demote(context.rules, connection.stay, 1, context.now)
            });
            self.become_viewer(id.place() / self.of, viewing.unwrap_or(NONE), context, after, &mut dropped);
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
        let Some(document) = self.documents[place as usize].document.as_mut() else {
            return;
        };
        let count = document.session.stay(stay).connections;
        let first = document.session.stay(stay).first_connection;
        let viewing = document.session.demote(context.rules, stay, count, context.now);
        for slot in self.chain(first) {
            self.become_viewer(slot, viewing, context, after, dropped);
        }
    }

    fn become_viewer(
        &mut self,
        slot: u32,
        stay: StayId,
        context: Context<'_>,
        after: &mut After,
        dropped: &mut Dropped,
    ) {
        let Some((connection, generation)) = self.connections.at(slot) else {
            return;
        };
        context.pools.free(connection.access);
        let place = connection.document;
        let Some(document) = self.documents[place as usize].document.as_ref() else {
            return;
        };
        let next = document.session.stay(stay).first_connection;
        *connection = Connection { document: place, stay, access: Access::View, previous: NONE, next };
        let id = self.id(slot, generation);
        dropped.connections.push(id);
        after.notices.push(Notice::Dropped {
            connection: id,
            key: document.session.key().clone(),
            user: document.session.stay(stay).user.id().clone(),
        });
        self.link(slot, place, stay, next);
    }

    /// The connections that are linked from `first` on, in the order in which they came: the list begins with the latest.
    pub(super) fn chain(&mut self, first: u32) -> Vec<u32> {
        let mut slots = Vec::new();
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
        if let Some(document) = self.documents[place as usize].document.as_mut() {
            document.session.stay_mut(stay).first_connection = slot;
        }
    }

    fn unlink(&mut self, connection: &Connection) {
        if let Some((next, _)) = self.connections.at(connection.next) {
            next.previous = connection.previous;
        }
        if let Some((previous, _)) = self.connections.at(connection.previous) {
            previous.next = connection.next;
        } else if let Some(document) = self.documents[connection.document as usize].document.as_mut() {
            document.session.stay_mut(connection.stay).first_connection = connection.next;
        }
    }

    pub(super) fn id(&self, slot: u32, generation: u32) -> ConnectionId {
        ConnectionId::new(slot * self.of + self.number, generation)
    }
}
