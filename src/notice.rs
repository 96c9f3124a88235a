//! What goes out to the host's transport, for one connection or for all of a document.

use serde::{Deserialize, Serialize};

use crate::callback::Status;
use crate::ids::{ConnectionId, DocumentKey, UserId};

/// A message to the transport, told once, without an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Notice {
    /// A connection lost its edit or live-view access by a `drop`. It may stay on as a viewer.
    Dropped {
        /// The connection.
        connection: ConnectionId,
        /// Its document.
        key: DocumentKey,
        /// Its user.
        user: UserId,
    },
    /// The document has a new title: tell every connection of it.
    Meta {
        /// The document.
        key: DocumentKey,
        /// The title.
        title: String,
    },
    /// A callback was given up after its last retry.
    Storage {
        /// The document.
        key: DocumentKey,
        /// What the callback was about.
        status: Status,
    },
    /// A limit comes near, is reached, or is clear again. Each once: what comes and goes in between is not told. Those that
    /// several threads cause may cross on their way; [`Engine::limits`](crate::Engine::limits) knows.
    Limit {
        /// Whose limit.
        pool: Pool,
        /// What it has come to.
        level: LimitLevel,
        /// How many seats were in use at that moment.
        in_use: u32,
        /// The limit; 0 if it was lifted.
        limit: u32,
    },
}

/// What a limit of the whole engine is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pool {
    /// Connections with edit access.
    Edit,
    /// Connections with live-view access.
    Live,
    /// Named users who may edit.
    Users,
    /// Named users who may have the live view.
    UsersView,
}

/// What a limit has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitLevel {
    /// Fewer are in use again than where the warning comes, by ten points of a hundred.
    Clear,
    /// As many are in use as [`Config::warn_at`](crate::Config::warn_at) says, 70 of a hundred by default.
    Warning,
    /// All are in use, and somebody got less access for it.
    Reached,
}
