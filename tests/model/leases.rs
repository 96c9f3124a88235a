//! Connections that are lost, and the connections that get their seats.

use coedit::{
    Access, ConnectionId, DisconnectCause, DocumentKey, Grant, OpenError, Reason, ResumeError, ResumeToken,
    TransportError, User, UserId,
};

use super::Model;
use super::document::{Connection, Document};
use super::usage::Opened;

impl Model {
    /// Returns every connection.
    pub(super) fn all_connections(&self) -> impl Iterator<Item = &Connection> {
        self.documents.iter().flat_map(|document| &document.connections)
    }

    pub fn token(&self, id: ConnectionId) -> Option<ResumeToken> {
        self.all_connections().find(|one| one.id == id)?.token
    }

    /// The transport of a connection broke. Returns for how long it keeps its seat. `None` if it is closed.
    pub fn lost(&mut self, id: ConnectionId) -> Result<Option<u64>, TransportError> {
        let (grace, now) = (self.settings.grace, self.now);
        let document = self.document_of(id).ok_or(TransportError::Unknown)?;
        let connection = document.connection_mut(id);
        if connection.is_lost() {
            return Err(TransportError::Lost);
        }
        let Some(grace) = grace.filter(|_| connection.token.is_some()) else {
            self.end_connection(id, None);
            return Ok(None);
        };
        connection.lost_until = Some(now + grace);
        Ok(Some(grace))
    }

    /// Returns the connection that a token names, or why it cannot be resumed.
    pub fn to_resume(&self, token: &ResumeToken, attempt: u64) -> Result<ConnectionId, ResumeError> {
        let named = self.all_connections().find(|one| one.token == Some(*token));
        match named {
            _ if self.shutdown.is_some() => Err(ResumeError::ShutDown),
            None => Err(ResumeError::Unknown),
            Some(named) if attempt < named.attempt => Err(ResumeError::Stale),
            Some(named) => Ok(named.id),
        }
    }

    /// The connection `new` resumed `old`. Returns what it may do.
    pub fn resumed(&mut self, [old, new]: [ConnectionId; 2], attempt: u64) -> Grant {
        let now = self.now;
        let document = self.document_of(old).expect("the connection is open");
        let key = document.key.clone();
        let connection = document.connection_mut(old);
        let was_alive = !connection.is_lost();
        (connection.id, connection.attempt, connection.lost_until) = (new, attempt, None);
        connection.touch(now);
        let user = connection.user.id().clone();
        if was_alive {
            self.tell_disconnected(old, (key, user), DisconnectCause::Superseded);
        }
        self.go_on_waiting([old, new]);
        let connection = self.document_of(new).expect("the connection is open").connection(new);
        let grant = Grant { access: connection.access, reason: connection.reason };
        // An age that ran out meanwhile is applied right after it.
        self.run_stays(&[]);
        grant
    }

    /// Returns the lost editing connection whose seat an open takes over, since it would be refused for want of a seat.
    pub fn seat_to_take_over(
        &mut self,
        key: &DocumentKey,
        user: &UserId,
        asked: Access,
    ) -> Option<ConnectionId> {
        let wants_a_seat = match self.ask(key, user, asked, false) {
            Err(error) => error == OpenError::TooMany,
            Ok(Grant { reason, .. }) => {
                matches!(reason, Some(Reason::ConnectionLimit | Reason::DocumentLimit | Reason::UserLimit))
            }
        };
        let is_lost_editor =
            |one: &&Connection| one.user.id() == user && one.access == Access::Edit && one.is_lost();
        let lost =
            |document: &mut Document| document.connections.iter().find(is_lost_editor).map(|one| one.id);
        let lost = self.document(key).and_then(lost);
        lost.filter(|_| wants_a_seat && asked == Access::Edit)
    }

    /// The connection `new` took the seat of `old`.
    pub fn taken_over(&mut self, [old, new]: [ConnectionId; 2], user: &User, token: Option<ResumeToken>) {
        let (now, grant) = (self.now, Grant { access: Access::Edit, reason: None });
        let document = self.document_of(old).expect("the connection is open");
        *document.connection_mut(old) = Connection::new(new, user, grant, token, now);
        let Grant { access, reason } = grant;
        self.record_usage(Some(Opened { user: user.id().clone(), access, reason }));
    }
}
