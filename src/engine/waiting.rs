//! Waiting for edit access.

use super::Engine;
use crate::access::{Access, EditRequest, Reason};
use crate::error::{OpenError, RequestError};
use crate::ids::{ConnectionId, DocumentKey, UserId};

/// Waiting.
impl Engine {
    /// Asks for edit access for a connection that has less: a viewer past a limit, or one that was dropped.
    ///
    /// If a seat is free and nobody waits for it, the connection has it at once. Otherwise it waits at the one limit that stops
    /// it: the engine's, its document's, its user's, or until a save is done. Whoever frees a seat passes it to the first
    /// waiter whom it fits in the same call, and a [`Notice::Access`](crate::Notice::Access) with cause
    /// [`Granted`](crate::AccessCause::Granted) tells of it. Whoever opens a connection meanwhile does not come first. This is no new
    /// open, and needs no room under [`Config::max_connections`](crate::Config::max_connections).
    ///
    /// A user has one place on a document: where another of its connections waits there, this one goes on in its place. A
    /// connection that is [lost](Self::lost) is passed over and keeps its place for its lease. A drop or a fence ends the
    /// places of those it names. While the engine [drains](Self::drain) nobody is granted anything, and places are kept.
    ///
    /// Returns [`RequestError::Unknown`] if the connection is not open, [`RequestError::Lost`] if it is lost,
    /// [`RequestError::TooMany`] if 65,536 connections wait, and [`RequestError::ShutDown`] while the engine ends. Takes one shard
    /// lock, and the one over the waiters, under which it takes time in proportion to the logarithm of their number.
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, EditRequest, Engine, Reason, User};
    ///
    /// let engine = Engine::new(Config::new().edit_limit(Some(1)))?;
    /// let key = DocumentKey::new("report")?;
    /// let ann = engine.open(&key, &User::new("ann")?, Access::Edit)?;
    /// let ben = engine.open(&key, &User::new("ben")?, Access::Edit)?;
    /// assert!(!ben.may_edit());
    /// let waits = EditRequest::Waiting { reason: Reason::ConnectionLimit, position: 1 };
    /// assert_eq!(ben.request_edit()?, waits);
    /// drop(ann);
    /// assert!(ben.may_edit());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn request_edit(&self, id: ConnectionId) -> Result<EditRequest, RequestError> {
        self.registry().request_edit(id)
    }

    /// Gives back the edit access of a connection, or its place if it waits. It stays open: with view access, or with the live
    /// view that it had while it waited. Does nothing for a viewer who does not wait.
    ///
    /// Errors and cost are those of [`request_edit`](Self::request_edit).
    ///
    /// ```
    /// use coedit::{Access, Config, DocumentKey, Engine, User};
    ///
    /// let engine = Engine::new(Config::new())?;
    /// let tab = engine.open(&DocumentKey::new("report")?, &User::new("ann")?, Access::Edit)?;
    /// tab.release_edit()?;
    /// assert_eq!(tab.access(), Some(Access::View));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn release_edit(&self, id: ConnectionId) -> Result<(), RequestError> {
        self.registry().release_edit(id)
    }

    /// Returns the place of a connection in its line, from 1 on, lost waiters counted in. `None` if it does not wait. Takes the
    /// lock over the waiters.
    pub fn position(&self, id: ConnectionId) -> Option<u32> {
        self.registry().position(id)
    }

    /// Returns the place in a line that a connection would get which is opened for edit now and then asks for edit access.
    /// `None` if it would edit at once, or if there is no line for the reason of the refusal.
    ///
    /// Costs and errors are those of [`would_admit`](Self::would_admit).
    ///
    /// ```
    /// use coedit::{Config, DocumentKey, Engine, UserId};
    ///
    /// let engine = Engine::new(Config::new().edit_limit(Some(0)))?;
    /// assert_eq!(engine.would_wait_at(&DocumentKey::new("report")?, &UserId::new("ann")?)?, Some(1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn would_wait_at(&self, key: &DocumentKey, user: &UserId) -> Result<Option<u32>, OpenError> {
        let grant = self.would_admit(key, user, Access::Edit)?;
        Ok(grant.reason.and_then(|reason| self.next_position(key, user, reason)))
    }

    /// Returns the place in a line of whoever would be refused edit access for this reason.
    pub(crate) fn next_position(&self, key: &DocumentKey, user: &UserId, refused: Reason) -> Option<u32> {
        self.registry().admission().next_position(refused, key, user)
    }
}
