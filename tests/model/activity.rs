//! The end of leases, and of connections that are idle or old.

use coedit::{
    Access, AccessCause, ConnectionId, ConnectionState, DisconnectCause, DocumentKey, IdleThen, Notice,
    Reason, TransportError, UserId,
};

use super::Model;
use super::document::Connection;
use super::settings::Settings;

/// What is due for one connection.
#[derive(Clone, Copy, PartialEq)]
enum Due {
    Ends(DisconnectCause),
    ViewOnly,
    /// It ends in so long.
    Warning(DisconnectCause, u64),
}

impl Connection {
    /// When it has been idle for too long. Idle to view is about those who have more than view access.
    fn idle_end(&self, settings: &Settings) -> Option<u64> {
        let applies = settings.idle_then == IdleThen::Close || self.access > Access::View;
        settings.idle.filter(|_| applies).map(|idle| self.active + idle)
    }

    fn age_end(&self, settings: &Settings) -> Option<u64> {
        settings.age.map(|age| self.opened + age)
    }

    fn next_deadline(&self, settings: &Settings) -> Option<u64> {
        if self.is_lost() {
            return self.lost_until;
        }
        let with_warning = |end: Option<u64>, warned: bool| {
            end.map(|end| if warned { end } else { end - settings.expiry_warning })
        };
        let idle = with_warning(self.idle_end(settings), self.warned_of_idle);
        idle.into_iter().chain(with_warning(self.age_end(settings), self.warned_of_age)).min()
    }

    fn due(&self, settings: &Settings, now: u64) -> Option<Due> {
        if let Some(until) = self.lost_until {
            return (until <= now).then_some(Due::Ends(DisconnectCause::Lease));
        }
        let (idle, age) = (self.idle_end(settings), self.age_end(settings));
        let is_over = |end: Option<u64>| end.is_some_and(|end| end <= now);
        if is_over(idle) {
            return Some(match settings.idle_then {
                IdleThen::View => Due::ViewOnly,
                IdleThen::Close => Due::Ends(DisconnectCause::Idle),
            });
        }
        if is_over(age) {
            return Some(Due::Ends(DisconnectCause::Age));
        }
        let warning = |end: Option<u64>, warned: bool, cause| {
            let end = end.filter(|end| !warned && end - settings.expiry_warning <= now)?;
            Some(Due::Warning(cause, end - now))
        };
        let of_idle = warning(idle, self.warned_of_idle, DisconnectCause::Idle);
        of_idle.or_else(|| warning(age, self.warned_of_age, DisconnectCause::Age))
    }
}

impl Due {
    /// At one moment leases fall due first, then idle time, then age.
    fn rank(self) -> u8 {
        match self {
            Due::Ends(DisconnectCause::Lease) => 0,
            Due::ViewOnly | Due::Ends(DisconnectCause::Idle) => 1,
            _ => 2,
        }
    }
}

impl Model {
    pub fn touch(&mut self, id: ConnectionId) -> Result<(), TransportError> {
        let now = self.now;
        let document = self.document_of(id).ok_or(TransportError::Unknown)?;
        let connection = document.connection_mut(id);
        if connection.is_lost() {
            return Err(TransportError::Lost);
        }
        connection.touch(now);
        Ok(())
    }

    /// Returns every connection to a document, by user, and for how long it has been idle.
    pub fn connections_of(
        &mut self,
        key: &DocumentKey,
    ) -> Vec<(ConnectionId, UserId, Access, ConnectionState, u64)> {
        let now = self.now;
        let Some(document) = self.document(key) else { return Vec::new() };
        let info = |id| {
            let one = document.connection(id);
            let state = if one.is_lost() { ConnectionState::Lost } else { ConnectionState::Live };
            (id, one.user.id().clone(), one.access, state, now - one.active)
        };
        document.connections_in_order().into_iter().map(info).collect()
    }

    pub(super) fn next_stay_deadline(&self) -> Option<u64> {
        self.all_connections().filter_map(|one| one.next_deadline(&self.settings)).min()
    }

    /// Runs what is due for connections. The contract says what goes first at one moment. Among equals it leaves the order
    /// open: `order`.
    pub(super) fn run_stays(&mut self, order: &[ConnectionId]) {
        let of = |one: &Connection| Some((one.id, one.due(&self.settings, self.now)?.rank()));
        let place = |id: &ConnectionId| order.iter().position(|other| other == id);
        let mut due = Vec::new();
        for document in &self.documents {
            let mut of_document: Vec<_> = document.connections.iter().filter_map(of).collect();
            of_document.sort_by_key(|(id, rank)| (*rank, place(id)));
            due.extend(of_document.iter().map(|(id, _)| *id));
        }
        // Documents in any order, each in its own.
        let mut all = Vec::new();
        for id in order {
            let key = self.document_of(*id).map(|document| document.key.clone());
            let next =
                due.iter().position(|due| key == self.document_of(*due).map(|document| document.key.clone()));
            all.extend(next.map(|next| due.remove(next)));
        }
        all.extend(due);
        let mut ready = Vec::new();
        for id in all {
            self.run_stay(id, &mut ready);
        }
        ready.sort();
        for (key, lane) in ready {
            if !self.ready[lane].contains(&key) {
                self.ready[lane].push(key);
            }
        }
        self.serve();
    }

    fn run_stay(&mut self, id: ConnectionId, ready: &mut Vec<(DocumentKey, usize)>) {
        let (settings, now) = (self.settings.clone(), self.now);
        while let Some(document) = self.document_of(id) {
            let key = document.key.clone();
            let connection = document.connection_mut(id);
            let user = connection.user.id().clone();
            let Some(due) = connection.due(&settings, now) else { return };
            match due {
                Due::Warning(cause, in_ms) => {
                    let is_idle = cause == DisconnectCause::Idle;
                    let warned =
                        if is_idle { &mut connection.warned_of_idle } else { &mut connection.warned_of_age };
                    *warned = true;
                    let code = cause.code().expect("the client hears of it");
                    self.notices.push(Notice::Expiring { connection: id, key, user, code, in_ms });
                    continue;
                }
                Due::ViewOnly => {
                    let (access, cause) = (Access::View, AccessCause::Idle);
                    let notice =
                        |connection, key, user| Some(Notice::Access { connection, key, user, access, cause });
                    self.demote(&key, &[id], (Some(Reason::Idle), self.draining), notice);
                }
                Due::Ends(cause) => self.remove_connection(id, Some(cause)),
            }
            let lane = self.document(&key).and_then(|document| document.lane());
            ready.extend(lane.map(|lane| (key.clone(), lane as usize)));
            self.remove_if_finished(&key);
        }
    }
}
