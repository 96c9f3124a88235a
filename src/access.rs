//! What a connection may do, why it got less than it asked for, and who has which access.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::time::Timestamp;

/// What a connection may do. A later variant may do more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// The connection sees the document as it was when the connection opened it.
    View,
    /// The connection sees the document and the changes of others as they come.
    LiveView,
    /// The connection may change the document.
    Edit,
}

/// All accesses, in the order of their declaration.
pub(crate) const ACCESSES: [Access; 3] = [Access::View, Access::LiveView, Access::Edit];

impl Access {
    /// Returns its index in [`ACCESSES`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Returns its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Access::View => "view",
            Access::LiveView => "liveview",
            Access::Edit => "edit",
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a connection got less access than it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// All seats with edit access are in use, see [`Config::edit_limit`](crate::Config::edit_limit).
    ConnectionLimit,
    /// All seats with live-view access are in use, see [`Config::live_limit`](crate::Config::live_limit).
    LiveViewLimit,
    /// All seats with edit access to this document are in use, see
    /// [`Config::document_limit`](crate::Config::document_limit).
    DocumentLimit,
    /// The user holds as many seats with edit access, over all documents, as one user may, see
    /// [`Config::user_limit`](crate::Config::user_limit).
    UserLimit,
    /// The user is not a named user, and there are as many as may be, see
    /// [`Config::named_users`](crate::Config::named_users).
    UserQuota,
    /// The storage is saving the document. Ask again when the save is acknowledged or given up.
    Saving,
    /// The engine gives out no edit access any more, see [`Engine::drain`](crate::Engine::drain).
    Draining,
    /// The connection lost its access by a `drop`.
    Dropped,
    /// The user is [fenced](crate::Engine::fence) from the document.
    Fenced,
    /// The connection lost its access because it was idle, see [`Config::idle`](crate::Config::idle).
    Idle,
    /// As many connections were open as may be, see [`Config::max_connections`](crate::Config::max_connections). Only
    /// [`Window::fallbacks`](crate::Window::fallbacks) counts it. It is in no [`Grant`]: such an open fails with
    /// [`OpenError::TooMany`](crate::OpenError::TooMany).
    ConnectionCap,
}

/// All reasons, in the order of their declaration.
pub(crate) const REASONS: [Reason; 11] = [
    Reason::ConnectionLimit,
    Reason::LiveViewLimit,
    Reason::DocumentLimit,
    Reason::UserLimit,
    Reason::UserQuota,
    Reason::Saving,
    Reason::Draining,
    Reason::Dropped,
    Reason::Fenced,
    Reason::Idle,
    Reason::ConnectionCap,
];

impl Reason {
    /// Returns its index in [`REASONS`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// Returns true if it is for want of a seat.
    pub(crate) fn is_a_seat_limit(self) -> bool {
        matches!(
            self,
            Reason::ConnectionLimit | Reason::DocumentLimit | Reason::UserLimit | Reason::LiveViewLimit
        )
    }

    /// Returns its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::ConnectionLimit => "connection-limit",
            Reason::LiveViewLimit => "live-view-limit",
            Reason::DocumentLimit => "document-limit",
            Reason::UserLimit => "user-limit",
            Reason::UserQuota => "user-quota",
            Reason::Saving => "saving",
            Reason::Draining => "draining",
            Reason::Dropped => "dropped",
            Reason::Fenced => "fenced",
            Reason::Idle => "idle",
            Reason::ConnectionCap => "connection-cap",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The access that a connection got, and why it is not more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The access that the connection has.
    pub access: Access,
    /// Why it is less than the connection asked for; `None` if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

impl Grant {
    /// The access that was asked for, or view access if it was `refused`.
    pub(crate) fn of(asked: Access, refused: Option<Reason>) -> Self {
        Grant { access: if refused.is_none() { asked } else { Access::View }, reason: refused }
    }
}

/// The answer to a request for edit access, see [`Engine::request_edit`](crate::Engine::request_edit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EditRequest {
    /// The connection has edit access.
    Granted,
    /// It waits for a seat, and gets it when its turn comes.
    Waiting {
        /// What it waits for.
        reason: Reason,
        /// Its place in the line, from 1 on.
        position: u32,
    },
    /// It gets no edit access, and there is no line for that: it is fenced, the engine drains, or the limit of named users
    /// is reached.
    Refused(Reason),
}

/// A user with at least one connection to a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// The user.
    pub user: User,
    /// The highest access of the user's connections to this document.
    pub access: Access,
    /// How many connections the user has to this document.
    pub connections: u32,
}

/// One user who holds seats of one access on one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Holder {
    /// The document.
    pub key: DocumentKey,
    /// The user.
    pub user: UserId,
    /// The user's name; `None` if the host gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// The access: edit or live view.
    pub access: Access,
    /// How many of the user's connections to the document have this access.
    pub connections: u32,
    /// When one of these connections was last opened or made a change, rounded down to a whole second. It does not go
    /// beyond the year 2106.
    pub active: Timestamp,
}

/// A document whose last save was given up. Its changes are still unsaved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// The document.
    pub key: DocumentKey,
    /// The URL at which the host keeps the file; `None` if the host gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Arc<str>>,
}

/// Who gets no edit and no live-view access to a document, see [`Engine::fence`](crate::Engine::fence).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The document.
    pub key: DocumentKey,
    /// The user; `None` for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// When it ends; `None` if it ends only when it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// One connection to a document, see [`Engine::connections`](crate::Engine::connections).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The connection.
    pub connection: ConnectionId,
    /// Its user.
    pub user: User,
    /// What it may do.
    pub access: Access,
    /// Whether its transport is there.
    pub state: ConnectionState,
    /// For how long it has been idle: since it was opened, changed the document, was touched or resumed. Exact to a second.
    #[serde(rename = "idle_ms", with = "millis")]
    pub idle: Duration,
    /// Its place in the line, from 1 on, if it waits for edit access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
}

/// Whether the transport of a connection is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionState {
    /// It is there.
    Live,
    /// It broke, and the connection keeps its seat for a while, see
    /// [`Config::reconnect_grace`](crate::Config::reconnect_grace).
    Lost,
}

/// The result of a `drop`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The connections that lost edit or live-view access. They stay open with view access.
    pub connections: Vec<ConnectionId>,
    /// The given ids that belong to no participant of the document.
    pub unmatched: Vec<UserId>,
}

/// Serde form of a duration: whole milliseconds.
mod millis {
    use super::{Deserialize, Duration};

    pub(super) fn serialize<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_hold_every_variant_at_its_index() {
        assert!(ACCESSES.iter().enumerate().all(|(index, access)| access.index() == index));
        assert!(REASONS.iter().enumerate().all(|(index, reason)| reason.index() == index));
    }
}
