//! Staying in: lost connections and those that resume them, activity, fences, and who is there.

use std::time::Duration;

use super::Engine;
use crate::access::{ConnectionInfo, Dropped, Fence};
use crate::connection::Connection;
use crate::error::{ConnectionError, FenceError, ResumeError, TransportError};
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::registry::Opened;
use crate::session::WhyLess;
use crate::token::ResumeToken;

/// Lost and resumed connections.
impl Engine {
    /// Reports that the transport of the connection broke.
    ///
    /// With a [reconnect grace](crate::Config::reconnect_grace) the connection keeps its seat for so long, which is returned:
    /// it counts under every limit, its user stays among the editors, nobody is told, and a change of it is refused. A
    /// client that comes back with the connection's token [resumes](Self::resume) it. After the grace it leaves as if it was
    /// closed then. Without a grace it is closed at once, and the result is `None`.
    ///
    /// Returns [`TransportError::Unknown`] if the connection is not open, and [`TransportError::Lost`] if it is lost already.
    /// Takes one shard lock.
    pub fn lost(&self, id: ConnectionId) -> Result<Option<Duration>, TransportError> {
        self.registry().lost(id)
    }

    /// Moves the seat of the connection that the token names to a new connection, whether that is lost or still alive.
    ///
    /// The old id is refused from then on. If the old connection was alive, the transport hears a
    /// [`Notice::Disconnected`](crate::Notice::Disconnected) of it with code 4010. The new connection may do what the old
    /// one may do: what was dropped or fenced meanwhile comes back as a viewer. The token stays the same.
    ///
    /// `attempt` numbers the attempts of one client, 0 where it does not. The same number moves the seat again, and a lower
    /// one than was seen is refused with [`ResumeError::Stale`], so that a delayed attempt never displaces its successor.
    /// Returns [`ResumeError::Unknown`] if the connection was closed, its lease has ended, or the token is another
    /// engine's. Takes one shard lock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    /// use std::time::Duration;
    ///
    /// let grace = Some(Duration::from_secs(120));
    /// let engine = Engine::new(Config::new().edit_limit(Some(1)).reconnect_grace(grace))?;
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// let token = tab.token().expect("there is a grace");
    /// assert_eq!(tab.lost()?, grace); // a tunnel
    /// let back = engine.resume(&token, 1)?;
    /// assert!(back.may_edit());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume(&self, token: &ResumeToken, attempt: u64) -> Result<Connection, ResumeError> {
        let opened = self.registry().resume(token, attempt)?;
        Ok(Connection::new(self.handle.clone(), opened))
    }

    /// Resumes a connection, which nobody owns then.
    pub(crate) fn resume_by_id(&self, token: &ResumeToken, attempt: u64) -> Result<Opened, ResumeError> {
        self.registry().resume(token, attempt)
    }

    /// Returns the token by which a client can [resume](Self::resume) the connection. `None` without a
    /// [reconnect grace](crate::Config::reconnect_grace), and if the connection is not open. Takes one shard lock.
    pub fn token(&self, id: ConnectionId) -> Option<ResumeToken> {
        self.registry().token(id)
    }

    /// Says that the connection is active, as a change does. See [`Config::idle`](crate::Config::idle).
    ///
    /// Returns [`TransportError::Unknown`] if the connection is not open, and [`TransportError::Lost`] if it is lost. Takes
    /// one shard lock.
    pub fn touch(&self, id: ConnectionId) -> Result<(), TransportError> {
        self.registry().touch(id)
    }

    /// Returns every connection to the document, by user, in the order in which they began to edit. Takes time in proportion
    /// to them, under one shard lock.
    ///
    /// ```
    /// use coedit::{Access, Config, ConnectionState, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let key = DocumentKey::new("report")?;
    /// let tab = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// let connections = engine.connections(&key);
    /// assert_eq!((connections[0].connection, connections[0].state), (tab.id(), ConnectionState::Live));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connections(&self, key: &DocumentKey) -> Vec<ConnectionInfo> {
        self.registry().connections(key)
    }
}

/// Fences.
impl Engine {
    /// Drops these users from the document, or everybody, and refuses them edit and live-view access to it from then on, with
    /// the reason [`Fenced`](crate::Reason::Fenced), whether the document is open or not.
    ///
    /// The fence holds for `time`, or until it is [lifted](Self::unfence). A later fence of the same user replaces the
    /// earlier. Returns what was dropped, and [`FenceError::TooMany`] if there would be more than 65,536 fences, each user
    /// one: then nothing has changed. Takes one shard lock.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, Reason, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let (key, mal) = (DocumentKey::new("report")?, User::new("mal")?);
    /// let tab = engine.open(&key, &mal, Access::Edit)?;
    /// engine.fence(&key, Some(&[mal.id().clone()]), None)?;
    /// assert!(!tab.may_edit());
    /// assert_eq!(engine.open(&key, &mal, Access::Edit)?.granted().reason, Some(Reason::Fenced));
    /// engine.unfence(&key, None);
    /// assert!(engine.open(&key, &mal, Access::Edit)?.may_edit());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fence(
        &self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
        time: Option<Duration>,
    ) -> Result<Dropped, FenceError> {
        self.registry().fence(key, users, time, WhyLess::Fence)
    }

    /// Does the same in one call with a [`drop_users`](Self::drop_users) or [`drop_all`](Self::drop_all): the transport
    /// hears of a drop.
    pub fn drop_for(
        &self,
        key: &DocumentKey,
        users: Option<&[UserId]>,
        time: Duration,
    ) -> Result<Dropped, FenceError> {
        self.registry().fence(key, users, Some(time), WhyLess::Drop)
    }

    /// Drops one connection, and fences its user from its document for `time`. Returns [`ConnectionError::Unknown`] if the
    /// connection is not open. Otherwise the same as [`drop_for`](Self::drop_for), of the connection's user.
    pub fn drop_connection_for(
        &self,
        id: ConnectionId,
        time: Duration,
    ) -> Result<Result<Dropped, FenceError>, ConnectionError> {
        self.registry().fence_connection(id, time)
    }

    /// Lifts the fences of these users from the document, or all fences of it. With users it does not except them from a
    /// fence of everybody. Does nothing where there is none.
    pub fn unfence(&self, key: &DocumentKey, users: Option<&[UserId]>) {
        self.registry().unfence(key, users);
    }

    /// Returns the fences that hold now, by document and user. Locks each shard in turn.
    pub fn fences(&self) -> Vec<Fence> {
        self.registry().fences()
    }
}
