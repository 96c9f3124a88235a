//! An engine that is made of the snapshot of another.

use coedit::{Access, ConnectionId, DocumentKey, LimitLevel, Pool, ResumeToken};

use super::Model;
use super::document::Connection;

/// A restore adds so much to the numbers of deliveries.
const DELIVERIES_APART: u64 = 1 << 32;
/// How long restored connections keep their seats if there is no grace.
const GRACE: u64 = 60_000;

impl Model {
    /// Returns true if the engine shuts down and is not at its end.
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown.is_some() && self.ended.is_none()
    }

    /// Everything that is open, unsaved or forgotten goes on in a new engine with the present settings. Where the contract
    /// leaves the order of documents open, it is `order`. Nobody hears of it.
    ///
    /// What the contract does not say is taken from the engine: pauses begin again, a callback that waits for its next
    /// attempt need not wait, users have just arrived and been active, and nothing is told of limits.
    pub fn restart(&mut self, order: &[DocumentKey]) {
        self.given.clear();
        self.ready.iter_mut().for_each(Vec::clear);
        self.handed_out += DELIVERIES_APART;
        (self.shutdown, self.ended, self.draining) = (None, None, false);
        self.levels.iter_mut().for_each(|(_, level)| *level = LimitLevel::Clear);
        self.restart_named_users();
        self.end_fences();
        self.restart_connections(order);
        let (settings, now) = (self.settings.clone(), self.now);
        for key in order {
            if let Some(document) = self.document(key) {
                document.begin_again(&settings, now);
            }
            self.queue(key);
        }
        self.notices.clear();
    }

    fn restart_named_users(&mut self) {
        let named = std::mem::take(&mut self.named);
        let (quota, now) = (self.settings.named_users, self.now);
        for one in named {
            let (pool, limit) = match one.access {
                Access::Edit => (Pool::Users, quota.edit),
                _ => (Pool::UsersView, quota.live),
            };
            if one.until > now && limit.is_some() {
                self.named.push(one);
                self.check_increase(pool);
            }
        }
    }

    /// Whoever has a token is lost from now on. Seats are given by the order of joining.
    fn restart_connections(&mut self, order: &[DocumentKey]) {
        let (now, mut returning) = (self.now, Vec::new());
        for key in order {
            let Some(document) = self.document(key) else { continue };
            let connections = document.stop(now).into_iter();
            returning.extend(connections.filter(|one| one.token.is_some()).map(|one| (key.clone(), one)));
        }
        self.record_counts(None);
        returning.sort_by_key(|(_, one)| one.opened);
        // A seat is kept, whatever refuses newcomers.
        let fences = std::mem::take(&mut self.fences);
        let waiters = std::mem::take(&mut self.waiters);
        for (key, connection) in returning {
            let waiter = waiters.iter().find(|one| one.id == connection.id).cloned();
            self.restart_connection(&key, connection);
            let returned = waiter.filter(|one| self.access(one.id).is_some());
            if let Some(waiter) = returned {
                self.restart_waiter(&waiter);
            }
        }
        self.fences = fences;
        let present = self.present();
        self.usage.restart(now, &present);
    }

    fn restart_connection(&mut self, key: &DocumentKey, connection: Connection) {
        let (settings, now) = (self.settings.clone(), self.now);
        let user = connection.user.clone();
        if self.is_cap_reached() {
            // Past a cap that is lower by now it leaves at once.
            return self.check_refusal(Pool::Max);
        }
        let grant = self.ask(key, user.id(), connection.access, true).expect("there is room");
        let takes_seat = self.takes_seat(key, user.id(), grant.access);
        let connection = Connection {
            access: grant.access,
            reason: grant.reason.or(connection.reason),
            lost_until: Some(now + settings.grace.unwrap_or(GRACE)),
            warned_of_idle: false,
            warned_of_age: false,
            active: now,
            ..connection
        };
        self.document(key).expect("the document is known").rejoin(connection);
        self.check_seats(takes_seat, user.id(), grant.access);
        self.record_counts(None);
    }

    /// The connections with these tokens have these ids in the new engine.
    pub fn rename_connections(&mut self, ids: &[(ResumeToken, ConnectionId)]) {
        let new_id = |token| ids.iter().find(|(other, _)| Some(*other) == token).map(|(_, id)| *id);
        let waiting: Vec<_> = self.waiters.iter().map(|one| new_id(self.token(one.id))).collect();
        for (waiter, id) in self.waiters.iter_mut().zip(waiting) {
            waiter.id = id.expect("a waiter is back");
        }
        for connection in self.documents.iter_mut().flat_map(|document| &mut document.connections) {
            connection.id = new_id(connection.token).expect("the engine has every connection");
        }
    }
}
