//! The notice: one message to the host's transport.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::callback::Status;
use crate::ids::{ConnectionId, DocumentKey, UserId};

/// A message to the host's transport. It is sent once and not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Notice {
    /// A connection lost its edit or live-view access. It stays open with view access.
    Dropped {
        /// The connection.
        connection: ConnectionId,
        /// Its document.
        key: DocumentKey,
        /// Its user.
        user: UserId,
        /// Why.
        cause: DropCause,
    },
    /// The engine closed a connection.
    Disconnected {
        /// The connection.
        connection: ConnectionId,
        /// Its document.
        key: DocumentKey,
        /// Its user.
        user: UserId,
        /// Why.
        cause: DisconnectCause,
        /// The code by which known clients tell the cause, see [`DisconnectCause::code`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<u16>,
    },
    /// The access of a connection changed otherwise.
    Access {
        /// The connection.
        connection: ConnectionId,
        /// Its document.
        key: DocumentKey,
        /// Its user.
        user: UserId,
        /// What it may do from now on.
        access: Access,
        /// Why.
        cause: AccessCause,
    },
    /// The time of a connection ends soon.
    Expiring {
        /// The connection.
        connection: ConnectionId,
        /// Its document.
        key: DocumentKey,
        /// Its user.
        user: UserId,
        /// The code of the cause: 4002 idle, 4003 age.
        code: u16,
        /// In so many milliseconds.
        in_ms: u64,
    },
    /// A user is in a document that was not in it before. Only with [`Config::presence`](crate::Config::presence), as are
    /// the next two.
    Joined(Presence),
    /// A user is in a document no longer.
    Left(Presence),
    /// The highest access of a user's connections to a document changed.
    Changed(Presence),
    /// The document has a new title. Forward it to every connection of the document.
    Meta {
        /// The document.
        key: DocumentKey,
        /// The title.
        title: String,
    },
    /// The storage failed: a callback was given up after its last retry, or a save went before a force save of its document
    /// that was not made in time. After a save of status 2 or 6 that was given up the storage is told so by a callback of
    /// status 3 or 7.
    Storage {
        /// The document.
        key: DocumentKey,
        /// The status of the callback.
        status: Status,
        /// The `userdata` of the request, if there was any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        userdata: Option<Arc<str>>,
    },
    /// The storage acknowledged a save.
    Saved {
        /// The document.
        key: DocumentKey,
        /// [`Status::Save`] or [`Status::ForceSave`].
        status: Status,
        /// The `userdata` of the request, if there was any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        userdata: Option<Arc<str>>,
    },
    /// A limit changed its level. There is one notice for each change, none while the level stays. Those of one limit
    /// arrive in order, so that the last one tells its level.
    Limit {
        /// What the limit counts.
        pool: Pool,
        /// The new level.
        level: LimitLevel,
        /// How many seats were in use when the level changed.
        in_use: u32,
        /// The limit; 0 if it was removed.
        limit: u32,
    },
    /// Notices were not kept for this receiver, because as many as [`Bounds::notices`](crate::Bounds::notices) waited.
    /// It comes before the next notice that is kept, or last when the engine ends.
    Missed {
        /// How many.
        count: u64,
    },
}

impl Notice {
    /// Returns the document that it is about. `None` for limits and missed notices.
    pub const fn key(&self) -> Option<&DocumentKey> {
        match self {
            Notice::Dropped { key, .. }
            | Notice::Disconnected { key, .. }
            | Notice::Access { key, .. }
            | Notice::Expiring { key, .. }
            | Notice::Meta { key, .. }
            | Notice::Storage { key, .. }
            | Notice::Saved { key, .. } => Some(key),
            Notice::Joined(user) | Notice::Left(user) | Notice::Changed(user) => Some(&user.key),
            Notice::Limit { .. } | Notice::Missed { .. } => None,
        }
    }

    /// Returns the connection that it is about, if it is about one.
    pub const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Notice::Dropped { connection, .. }
            | Notice::Disconnected { connection, .. }
            | Notice::Access { connection, .. }
            | Notice::Expiring { connection, .. } => Some(*connection),
            _ => None,
        }
    }
}

/// A user in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The document.
    pub key: DocumentKey,
    /// The user.
    pub user: UserId,
    /// The highest access of the user's connections; the last one of a user who left.
    pub access: Access,
}

/// Why the access of a connection changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum AccessCause {
    /// It was idle, see [`Config::idle`](crate::Config::idle).
    Idle,
    /// It waited, and its turn came, see [`Engine::request_edit`](crate::Engine::request_edit).
    Granted,
    /// It was idle, and somebody waited, see [`Config::idle_when_wanted`](crate::Config::idle_when_wanted).
    Wanted,
}

/// Why a connection lost its access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DropCause {
    /// A `drop`.
    Drop,
    /// A [fence](crate::Engine::fence).
    Fence,
}

/// Why the engine closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DisconnectCause {
    /// The engine shuts down.
    ShutDown,
    /// It was idle, see [`Config::idle`](crate::Config::idle).
    Idle,
    /// It was open for as long as it may be, see [`Config::age`](crate::Config::age).
    Age,
    /// Another connection resumed it. A client must not answer this with a resume, or a duplicated browser tab fights its
    /// twin.
    Superseded,
    /// It was lost, and nobody resumed it in time.
    Lease,
}

impl DisconnectCause {
    /// Returns the code of the cause in known clients: 4001, 4002 idle, 4003 age, 4010 superseded. `None` for a lease that
    /// ended, since nobody is there.
    pub const fn code(self) -> Option<u16> {
        match self {
            DisconnectCause::ShutDown => Some(4001),
            DisconnectCause::Idle => Some(4002),
            DisconnectCause::Age => Some(4003),
            DisconnectCause::Superseded => Some(4010),
            DisconnectCause::Lease => None,
        }
    }
}

/// What a limit of the whole engine counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pool {
    /// Connections with edit access.
    Edit,
    /// Connections with live-view access.
    Live,
    /// Named users with edit access.
    Users,
    /// Named users with live-view access.
    UsersView,
    /// All connections, see [`Config::max_connections`](crate::Config::max_connections).
    Max,
}

/// How full a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitLevel {
    /// The use fell ten percentage points below the level of the warning.
    Clear,
    /// The use rose to [`Config::warn_at`](crate::Config::warn_at) percent of the limit, 70 by default.
    Warning,
    /// All seats were in use, and a connection got less access than it asked for, or was not let in.
    Reached,
}
