//! What goes out to the host's transport, for one connection or for all of a document.

use serde::Serialize;

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
}
