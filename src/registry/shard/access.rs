//! Opening, closing and dropping connections.

use std::hash::BuildHasher;

use super::connections::{Connection, Connections};
use super::{After, Context, Shard};
use crate::access::{Access, Dropped, Grant, Reason};
use crate::error::{ChangeError, OpenError};
use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::notice::Notice;
use crate::seats::Claim;
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
    #[inline]
    pub(crate) fn open(
        &mut self,
        key: &DocumentKey,
        hash: u64,
        user: &User,
        asked: Access,
        context: &Context<'_>,
        after: &mut After,
    ) -> Result<(ConnectionId, Grant), OpenError> {
        let found = self.find(key, hash);
        self.check_room(found)?;
        if self.capped {
            context.seats.all.try_take().ok_or(OpenError::TooMany)?.keep();
        }
        let place = found.unwrap_or_else(|| self.insert(key, hash, context, after));
        // It is there: it was found, or put in.
        let session = self.documents.get_mut(place).ok_or(OpenError::Full)?;
        let before = session.before();
        let mut taken = None;
        let mut decision = check(Some(session), user.id(), asked, context);
        if decision == Ok(NeedsSeat::Yes) {
            let claim =
                Claim { user: user.id(), access: asked, counted: self.counts_users, now: context.now };
            match context.seats.take(claim, &mut after.teller(context)) {
                Ok(in_use) => taken = Some(in_use),
                Err(reason) => decision = Err(reason),
            }
        }
        let grant = Grant::of(asked, decision.err());
        let slot = self.connections.next_slot();
        let (stay, next) =
            session.join(&context.rules, &mut self.spares, user, grant.access, context.now, slot);
        // Somebody came: there is nothing to give back.
        let stands = session.standing();
        self.note(place, before, stands, after);
        let generation = self.connections.insert(Connection { document: place, stay, previous: NONE, next });
        self.connections.link(slot, next);
        let count = context.seats.came(grant.access, 1, taken);
        if let Some(recorder) = &context.recorder {
            recorder.rose(grant.access, count, context.now);
            let user = context.hasher.hash_one(user.id());
            self.meter.opened(context.now, grant.access, grant.reason, user);
        }
        Ok((self.numbering.id(slot, generation), grant))
    }

    /// Whether there is a number left for one more connection, and for its document unless that is `found`.
    fn check_room(&self, found: Option<u32>) -> Result<(), OpenError> {
        let has_room = self.connections.has_room() && (found.is_some() || self.documents.has_room());
        if has_room { Ok(()) } else { Err(OpenError::Full) }
    }

    /// What [`open`](Self::open) would say.
    pub(crate) fn would_admit(
        &self,
        place: Option<u32>,
        user: &UserId,
        asked: Access,
        context: &Context<'_>,
        after: &mut After,
    ) -> Result<Grant, OpenError> {
        self.check_room(place)?;
        if self.capped && !context.seats.all.has_free() {
            return Err(OpenError::TooMany);
        }
        let session = place.and_then(|place| self.session(place));
        let decision = check(session, user, asked, context).and_then(|needs| {
            let claim = Claim { user, access: asked, counted: self.counts_users, now: context.now };
            match needs {
                NeedsSeat::No => Ok(()),
                NeedsSeat::Yes => context.seats.would_take(claim, &mut after.teller(context)),
            }
        });
        Ok(Grant::of(asked, decision.err()))
    }

    /// Closes a connection. `now`: the present if it was read; else this may ask for it.
    #[inline(always)]
    pub(crate) fn close(
        &mut self,
        id: ConnectionId,
        now: Option<Timestamp>,
        context: &Context<'_>,
        after: &mut After,
    ) -> Closed {
        let Some(connection) = self.connection(id).copied() else { return Closed::Unknown };
        let Connection { document, stay, .. } = connection;
        let Some(session) = self.documents.get_mut(document) else { return Closed::Unknown };
        if now.is_none() && session.leave_needs_time(stay) {
            return Closed::NeedsTime;
        }
        let before = session.before();
        let access = free_seats(session.stay(stay), 1, self.counts_users, context, after);
        if self.capped {
            context.seats.all.free(1);
        }
        unlink(&mut self.connections, session, &connection);
        if let Some(slots) = self.connections.remove(self.numbering.slot(id)) {
            after.more().slots.push(slots);
        }
        let pace = Pace::at_once_if(context.mode.is_draining());
        if session.leave(&context.rules, &mut self.spares, stay, context.now, pace) {
            self.follow_up(document, before, context, after);
        } else {
            let stands = session.standing();
            self.note(document, before, stands, after);
        }
        self.meter(context, access, None);
        Closed::Done
    }

    #[inline]
    fn meter(&mut self, context: &Context<'_>, from: Access, to: Option<Access>) {
        if context.recorder.is_some() {
            self.meter.moved(context.now, Some(from), to);
        }
    }

    pub(crate) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(self.numbering.slot(id), id.generation())
    }

    /// What a connection may do; none if it is not open.
    pub(crate) fn access(&self, id: ConnectionId) -> Option<Access> {
        let connection = self.connection(id)?;
        Some(self.session(connection.document)?.stay(connection.stay).access())
    }

    pub(crate) fn change(
        &mut self,
        id: ConnectionId,
        context: &Context<'_>,
        after: &mut After,
    ) -> Result<(), ChangeError> {
        let Connection { document, stay, .. } = *self.connection(id).ok_or(ChangeError::Unknown)?;
        let session = self.documents.get_mut(document).ok_or(ChangeError::Unknown)?;
        if session.stay(stay).access() != Access::Edit {
            return Err(ChangeError::ViewOnly);
        }
        let before = session.before();
        session.change(&context.rules, &mut self.spares, stay, context.now);
        // A change ends nothing: there is nothing to give back.
        let stands = session.standing();
        self.note(document, before, stands, after);
        Ok(())
    }

    /// Makes edit and live-view connections view-only.
    pub(crate) fn drop_access(
        &mut self,
        place: u32,
        whom: Whom<'_>,
        context: &Context<'_>,
        after: &mut After,
    ) -> Dropped {
        let mut dropped = Dropped::default();
        let Some(session) = self.session(place) else {
            return dropped;
        };
        let before = session.before();
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
        context: &Context<'_>,
        after: &mut After,
    ) -> Option<Dropped> {
        let connection = self.connection(id).copied()?;
        let mut dropped = Dropped::default();
        let session = self.documents.get_mut(connection.document)?;
        if session.stay(connection.stay).access() > Access::View {
            let before = session.before();
            unlink(&mut self.connections, session, &connection);
            let slot = self.numbering.slot(id);
            if let Some((alone, _)) = self.connections.at(slot) {
                (alone.previous, alone.next) = (NONE, NONE);
            }
            self.make_viewers(connection.document, connection.stay, slot, context, after, &mut dropped);
            self.follow_up(connection.document, before, context, after);
        }
        Some(dropped)
    }

    /// Makes all connections of a stay view-only.
    fn demote(
        &mut self,
        place: u32,
        stay: StayId,
        context: &Context<'_>,
        after: &mut After,
        dropped: &mut Dropped,
    ) {
        if let Some(session) = self.session(place) {
            let latest = session.stay(stay).latest_connection;
            self.make_viewers(place, stay, latest, context, after, dropped);
        }
    }

    /// Makes the connections of a stay that are linked from `latest` on view-only, in the order in which they came.
    fn make_viewers(
        &mut self,
        place: u32,
        stay: StayId,
        latest: u32,
        context: &Context<'_>,
        after: &mut After,
        dropped: &mut Dropped,
    ) {
        let (mut earliest, mut count) = (NONE, 0);
        for slot in self.connections.linked(latest) {
            (earliest, count) = (slot, count + 1);
        }
        let Some(session) = self.documents.get(place) else { return };
        let had = free_seats(session.stay(stay), count, self.counts_users, context, after);
        let Shard { documents, spares, connections, numbering, .. } = self;
        let Some(session) = documents.get_mut(place) else { return };
        let Stay { user, .. } = session.stay(stay);
        let (user, active) = (user.clone(), session.stay(stay).active());
        dropped.connections.reserve(count as usize);
        // First in, then out: the user stays a participant throughout.
        let mut slot = earliest;
        while let Some((connection, generation)) = connections.at(slot) {
            let (stay, next) = session.join(&context.rules, spares, &user, Access::View, active, slot);
            let as_viewer = Connection { document: place, stay, previous: NONE, next };
            let Connection { previous, .. } = std::mem::replace(connection, as_viewer);
            connections.link(slot, next);
            let id = numbering.id(slot, generation);
            dropped.connections.push(id);
            if context.mode.is_listened_to() {
                let (key, user) = (session.key().clone(), user.id().clone());
                after.more().notices.push(Notice::Dropped { connection: id, key, user });
            }
            slot = previous;
        }
        for _ in 0..count {
            session.leave(&context.rules, spares, stay, Timestamp::default(), Pace::AtOnce);
        }
        for _ in 0..count {
            let count = context.seats.came(Access::View, 1, None);
            if let Some(recorder) = &context.recorder {
                recorder.rose(Access::View, count, context.now);
            }
            self.meter(context, had, Some(Access::View));
        }
    }
}

/// Whether who gets the access needs a seat of its own for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NeedsSeat {
    No,
    Yes,
}

/// Whether anything here keeps the user from the access, from the narrowest to the widest. The limits of the whole engine
/// come after it, with the seat.
#[inline]
fn check(
    session: Option<&Session>,
    user: &UserId,
    asked: Access,
    context: &Context<'_>,
) -> Result<NeedsSeat, Reason> {
    let seats = &context.seats;
    if asked == Access::View {
        return Ok(NeedsSeat::No);
    }
    if asked == Access::Edit {
        if context.mode.is_draining() {
            return Err(Reason::Draining);
        }
        if session.is_some_and(Session::is_saving) {
            return Err(Reason::Saving);
        }
    }
    let has_seat = |session: &Session| session.stays_of(user)[asked as usize].is_some();
    if seats.by_users() && session.is_some_and(has_seat) {
        return Ok(NeedsSeat::No);
    }
    if asked == Access::Edit
        && let Some(limit) = seats.document_limit()
        && session.map_or(0, |session| session.edit_seats(seats.by_users())) >= limit
    {
        return Err(Reason::DocumentLimit);
    }
    Ok(NeedsSeat::Yes)
}

/// Frees what so many connections of a stay have taken of the limits, before they go. Returns what access they had.
#[inline(always)]
fn free_seats(
    stay: &Stay,
    connections: u32,
    counted: bool,
    context: &Context<'_>,
    after: &mut After,
) -> Access {
    let access = stay.access();
    let all = stay.connections == connections;
    let claim = Claim { user: stay.user.id(), access, counted, now: context.now };
    let left = context.seats.went(claim, connections, all, &mut after.teller(context));
    if let Some(recorder) = &context.recorder {
        recorder.fell(access, left);
    }
    access
}

/// Takes a connection out of its stay's list.
#[inline]
fn unlink(connections: &mut Connections, session: &mut Session, connection: &Connection) {
    let Connection { stay, previous, next, .. } = *connection;
    if previous == NONE && next == NONE {
        // The only one: its stay ends.
        return;
    }
    if let Some((next, _)) = connections.at(next) {
        next.previous = previous;
    }
    match connections.at(previous) {
        Some((previous, _)) => previous.next = next,
        None => session.stay_mut(stay).latest_connection = next,
    }
}
