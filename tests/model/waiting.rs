//! Who waits for edit access, and whose turn it is.

use coedit::{
    Access, AccessCause, ConnectionId, DocumentKey, DropCause, EditRequest, Notice, Pool, Reason,
    RequestError, ResumeToken, UserId,
};

use super::Model;
use super::limits::Asking;

/// The ticket of whoever does not wait.
pub(super) const NEWCOMER: u64 = u64::MAX;

/// The limit that stops somebody.
#[derive(Clone, PartialEq)]
pub(super) enum Queue {
    Engine,
    Document(DocumentKey),
    User(UserId),
    Saving(DocumentKey),
    /// This is no queue: whoever is stopped by the limit of named users has a ticket, but no position, and holds nobody
    /// back.
    NamedUsers,
}

/// One who waits.
#[derive(Clone)]
pub(super) struct Waiter {
    pub(super) id: ConnectionId,
    ticket: u64,
    queue: Queue,
    since: u64,
}

impl Queue {
    fn of(reason: Reason, key: &DocumentKey, user: &UserId) -> Option<Self> {
        match reason {
            Reason::ConnectionLimit => Some(Queue::Engine),
            Reason::DocumentLimit => Some(Queue::Document(key.clone())),
            Reason::UserLimit => Some(Queue::User(user.clone())),
            Reason::Saving => Some(Queue::Saving(key.clone())),
            Reason::UserQuota => Some(Queue::NamedUsers),
            _ => None,
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Queue::Engine => Reason::ConnectionLimit,
            Queue::Document(_) => Reason::DocumentLimit,
            Queue::User(_) => Reason::UserLimit,
            Queue::Saving(_) => Reason::Saving,
            Queue::NamedUsers => Reason::UserQuota,
        }
    }
}

/// Questions.
impl Model {
    fn waiter(&self, id: ConnectionId) -> Option<&Waiter> {
        self.waiters.iter().find(|one| one.id == id)
    }

    /// Returns true if a waiter's transport is there.
    fn is_present(&self, waiter: &Waiter) -> bool {
        self.all_connections().any(|one| one.id == waiter.id && !one.is_lost())
    }

    /// Returns true if somebody in this queue comes before this ticket. Lost waiters hold nobody back.
    pub(super) fn is_behind(&self, ticket: u64, queue: &Queue) -> bool {
        self.waiters.iter().any(|one| one.queue == *queue && one.ticket < ticket && self.is_present(one))
    }

    /// Returns the place of a connection in its queue, lost waiters included.
    pub fn position(&self, id: ConnectionId) -> Option<u32> {
        let waiter = self.waiter(id).filter(|one| one.queue != Queue::NamedUsers)?;
        let is_before = |one: &&Waiter| one.queue == waiter.queue && one.ticket < waiter.ticket;
        u32::try_from(self.waiters.iter().filter(is_before).count() + 1).ok()
    }

    /// Returns the connections that may ask for edit access.
    pub fn viewers(&self) -> Vec<ConnectionId> {
        let viewers = self.all_connections().filter(|one| one.access < Access::Edit && !one.is_lost());
        viewers.map(|one| one.id).collect()
    }

    /// Returns the connections that edit.
    pub fn editing(&self) -> Vec<ConnectionId> {
        self.all_connections().filter(|one| one.access == Access::Edit).map(|one| one.id).collect()
    }

    pub fn waiters(&self) -> Vec<ConnectionId> {
        self.waiters.iter().map(|one| one.id).collect()
    }

    /// Returns the tokens of lost connections.
    pub fn lost_tokens(&self) -> Vec<ResumeToken> {
        self.all_connections().filter(|one| one.is_lost()).filter_map(|one| one.token).collect()
    }

    /// Returns how many wait at the limits that have queues.
    pub fn waiting(&self) -> [u32; 4] {
        let count = |reason| self.waiters.iter().filter(|one| one.queue.reason() == reason).count();
        [Reason::ConnectionLimit, Reason::DocumentLimit, Reason::UserLimit, Reason::Saving]
            .map(|reason| u32::try_from(count(reason)).unwrap())
    }

    /// Returns the place that a newcomer gets who is refused for this reason.
    pub fn next_position(&self, key: &DocumentKey, user: &UserId, reason: Reason) -> Option<u32> {
        let queue = Queue::of(reason, key, user).filter(|queue| *queue != Queue::NamedUsers)?;
        u32::try_from(self.waiters.iter().filter(|one| one.queue == queue).count() + 1).ok()
    }

    /// Returns the document and the user of a connection.
    fn owner(&mut self, id: ConnectionId) -> (DocumentKey, UserId) {
        let document = self.document_of(id).expect("the connection is open");
        (document.key.clone(), document.connection(id).user.id().clone())
    }
}

/// Asking and giving back.
impl Model {
    pub fn request_edit(&mut self, id: ConnectionId) -> Result<EditRequest, RequestError> {
        let connection = self.document_of(id).ok_or(RequestError::Unknown)?.connection(id).clone();
        if connection.is_lost() {
            return Err(RequestError::Lost);
        }
        if connection.access == Access::Edit {
            return Ok(EditRequest::Granted);
        }
        let (key, user) = self.owner(id);
        let document = self.document(&key).expect("the connection is open");
        let theirs = document.connections_of(&user);
        let place = self.waiters.iter().find(|one| theirs.contains(&one.id)).cloned();
        let ticket = place.as_ref().map_or(NEWCOMER, |place| place.ticket);
        let Some(reason) = self.refusal((&key, &user), Access::Edit, Asking::Viewer(ticket)) else {
            self.grant_edit(id, place.map(|place| place.id), false);
            self.follow_up(&key);
            return Ok(EditRequest::Granted);
        };
        self.stand_in_line(id, place, reason);
        self.serve();
        let waiter = self.waiter(id).map(|waiter| waiter.queue.reason());
        Ok(match (self.access(id), waiter, self.position(id)) {
            (Some(Access::Edit), ..) => EditRequest::Granted,
            (_, Some(reason), Some(position)) => EditRequest::Waiting { reason, position },
            (_, Some(reason), None) => EditRequest::Refused(reason),
            _ => EditRequest::Refused(reason),
        })
    }

    /// A viewer was refused. The one place of its user on its document is `place`.
    fn stand_in_line(&mut self, id: ConnectionId, place: Option<Waiter>, reason: Reason) {
        let (key, user) = self.owner(id);
        let queue = Queue::of(reason, &key, &user);
        match (place, queue) {
            // Places are kept while the engine drains.
            (Some(place), _) if place.id == id && reason == Reason::Draining => return,
            // Where there is no queue for it, the place stays where it is.
            (Some(place), queue) => {
                let queue = queue.unwrap_or(place.queue);
                let stopped_by = queue.reason();
                let waiter = self.waiters.iter_mut().find(|one| one.id == place.id).expect("it waits");
                (waiter.id, waiter.queue) = (id, queue);
                self.set_reason(id, Some(stopped_by));
                return;
            }
            (None, Some(queue)) if queue != Queue::NamedUsers => {
                self.tickets += 1;
                self.waiters.push(Waiter { id, ticket: self.tickets, queue, since: self.now });
                self.usage.add_wait(self.now);
            }
            (None, _) => {}
        }
        self.set_reason(id, Some(reason));
    }

    fn set_reason(&mut self, id: ConnectionId, reason: Option<Reason>) {
        self.document_of(id).expect("the connection is open").connection_mut(id).reason = reason;
    }

    pub fn release_edit(&mut self, id: ConnectionId) -> Result<(), RequestError> {
        let connection = self.document_of(id).ok_or(RequestError::Unknown)?.connection(id);
        if connection.is_lost() {
            return Err(RequestError::Lost);
        }
        let access = connection.access;
        let (key, _) = self.owner(id);
        if access == Access::Edit {
            self.demote(&key, &[id], (None, self.draining), |_, _, _| None);
        } else {
            self.end_place(id);
            self.set_reason(id, None);
        }
        self.follow_up(&key);
        Ok(())
    }

    /// A connection waits no longer. Returns true if it did.
    pub(super) fn end_place(&mut self, id: ConnectionId) -> bool {
        let before = self.waiters.len();
        self.waiters.retain(|one| one.id != id);
        self.free_kept_seats();
        self.waiters.len() < before
    }

    /// A drop or a fence ends the places of these connections.
    pub(super) fn end_places(&mut self, connections: &[ConnectionId], cause: DropCause) {
        let (reason, notice) = Self::dropped(cause);
        for id in connections {
            if self.end_place(*id) && self.access(*id) == Some(Access::View) {
                let (key, user) = self.owner(*id);
                self.set_reason(*id, reason);
                self.notices.extend(notice(*id, key, user));
            }
        }
    }

    /// A connection was resumed. If it waits, it may have its seat at once.
    pub(super) fn go_on_waiting(&mut self, [old, new]: [ConnectionId; 2]) {
        let Some(waiter) = self.waiters.iter_mut().find(|one| one.id == old) else { return };
        waiter.id = new;
        let (ticket, before) = (waiter.ticket, waiter.queue.clone());
        let (key, user) = self.owner(new);
        match self.refusal((&key, &user), Access::Edit, Asking::Viewer(ticket)) {
            None => {
                self.grant_edit(new, Some(new), false);
                self.follow_up(&key);
            }
            Some(reason) => {
                if let Some(queue) = Queue::of(reason, &key, &user).filter(|queue| *queue != before) {
                    self.move_waiter(new, queue);
                    self.set_reason(new, Some(reason));
                }
            }
        }
    }

    fn move_waiter(&mut self, id: ConnectionId, queue: Queue) {
        self.waiters.iter_mut().find(|one| one.id == id).expect("it waits").queue = queue;
        self.free_kept_seats();
    }
}

/// Turns.
impl Model {
    /// Gives seats to those who wait, by ticket, until there is room for nobody.
    pub(super) fn serve(&mut self) {
        while !self.draining
            && let Some(Waiter { id, ticket, .. }) = self.next_turn()
        {
            let (key, user) = self.owner(id);
            let Some(reason) = self.refusal((&key, &user), Access::Edit, Asking::Viewer(ticket)) else {
                self.grant_edit(id, Some(id), true);
                self.queue(&key);
                continue;
            };
            self.set_reason(id, Some(reason));
            match Queue::of(reason, &key, &user) {
                Some(queue) => self.move_waiter(id, queue),
                None => drop(self.end_place(id)),
            }
        }
        // Past a lowered limit nobody gets them.
        self.free_all_kept_seats();
    }

    /// Returns the waiter with the lowest ticket of those for whom their own limit has room.
    fn next_turn(&mut self) -> Option<Waiter> {
        let mut waiters = self.waiters.clone();
        waiters.sort_by_key(|one| one.ticket);
        waiters.into_iter().find(|one| {
            let (key, user) = self.owner(one.id);
            self.is_present(one)
                && (self.has_seat(&key, &user, Access::Edit)
                    || self.has_room(&one.queue, &user) && !self.is_behind_of_its_queue(one))
        })
    }

    fn is_behind_of_its_queue(&self, waiter: &Waiter) -> bool {
        waiter.queue != Queue::NamedUsers && self.is_behind(waiter.ticket, &waiter.queue)
    }

    fn has_room(&mut self, queue: &Queue, user: &UserId) -> bool {
        match queue {
            Queue::Engine => self.has_free_seat(),
            Queue::Document(key) => self.has_room_in_document(key),
            Queue::User(user) => self.has_room_for_user(user),
            Queue::Saving(key) => self.document(key).is_none_or(|document| !document.awaits_save()),
            Queue::NamedUsers => self.serves_named_users && self.has_room_for_named(user),
        }
    }

    /// There may be room for more named users: their time may be over. Only then those are served who wait for that.
    pub(super) fn serve_with_named_users(&mut self) {
        let waits = |one: &Waiter| one.queue == Queue::NamedUsers && self.is_present(one);
        if !self.draining && self.waiters.iter().any(waits) {
            self.expire();
        }
        self.serves_named_users = true;
        self.serve();
        self.serves_named_users = false;
    }

    /// A viewer edits from now on. The place that its user has on its document ends. The transport hears of it if the
    /// connection has `waited`.
    fn grant_edit(&mut self, connection: ConnectionId, place: Option<ConnectionId>, waited: bool) {
        let (key, user) = self.owner(connection);
        let (settings, now) = (self.settings.clone(), self.now);
        let (before, access) = (self.presence(&key, &user), self.access(connection));
        let takes_seat = self.takes_seat(&key, &user, Access::Edit);
        let was_kept = takes_seat && self.take_kept_seat();
        self.document(&key).expect("the connection is open").promote(connection, &settings, now);
        if takes_seat {
            if !was_kept {
                self.check_increase(Pool::Edit);
            }
            self.count_named(&user, Access::Edit);
        }
        if let Some(waiter) = place.and_then(|place| self.waiter(place).cloned()) {
            self.usage.add_grant(now, now - waiter.since);
            self.end_place(waiter.id);
        }
        self.check_decrease_of(access.expect("the connection is open"));
        if waited {
            let (key, user) = (key.clone(), user.clone());
            let (access, cause) = (Access::Edit, AccessCause::Granted);
            self.notices.push(Notice::Access { connection, key, user, access, cause });
        }
        self.tell_presence(&key, &user, before);
        self.record_usage(None);
    }
}

/// A freed seat with a waiter never returns to the pool: it is kept until it passes to somebody.
impl Model {
    /// Seats of an access became free.
    pub(super) fn free_seats(&mut self, access: Access, seats: u32) {
        if access == Access::Edit && !self.draining && self.is_behind(NEWCOMER, &Queue::Engine) {
            self.kept_seats += seats;
        } else {
            self.check_decrease_of(access);
        }
    }

    /// Returns false if none is kept that anybody may have.
    fn take_kept_seat(&mut self) -> bool {
        while self.kept_seats > 0 {
            let too_many = self.seats_over_limit().min(self.kept_seats);
            if too_many == 0 {
                self.kept_seats -= 1;
                return true;
            }
            // They are freed in one step.
            self.kept_seats -= too_many;
            self.check_decrease(Pool::Edit);
        }
        false
    }

    /// Seats are kept only while somebody waits for one.
    fn free_kept_seats(&mut self) {
        if self.draining || !self.is_behind(NEWCOMER, &Queue::Engine) {
            self.free_all_kept_seats();
        }
    }

    fn free_all_kept_seats(&mut self) {
        if std::mem::take(&mut self.kept_seats) > 0 {
            self.check_decrease(Pool::Edit);
        }
    }
}

/// Restarts.
impl Model {
    /// A waiter is there again, lost. It goes on at the limit that its reason names, or else at that of the engine.
    pub(super) fn restart_waiter(&mut self, waiter: &Waiter) {
        let (key, user) = self.owner(waiter.id);
        let connection = self.document_of(waiter.id).expect("the connection is open").connection(waiter.id);
        if connection.access < Access::Edit {
            let queue = connection.reason.and_then(|reason| Queue::of(reason, &key, &user));
            let (queue, since) = (queue.unwrap_or(Queue::Engine), self.now);
            self.waiters.push(Waiter { queue, since, ..*waiter });
        }
    }
}
