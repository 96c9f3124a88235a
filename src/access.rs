//! What a connection may do, what it asked for, and why it got less.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::{ConnectionId, DocumentKey, User, UserId};
use crate::time::Timestamp;

/// What a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Look at the document as it was when it was opened.
    View,
    /// Look at the document and see changes of others as they come.
    LiveView,
    /// Change the document.
    Edit,
}

/// All of them, the least first.
pub(crate) const ACCESSES: [Access; 3] = [Access::View, Access::LiveView, Access::Edit];

impl Access {
    /// Where it stands in [`ACCESSES`].
    pub(crate) const fn place(self) -> usize {
        self as usize
    }

    /// As the wire names it.
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
    /// As many connections as the engine's limit allows hold edit access.
    ConnectionLimit,
    /// As many connections as the engine's limit allows hold live-view access.
    LiveViewLimit,
    /// As many connections as the limit of a document allows hold edit access to this one.
    DocumentLimit,
    /// The user holds as many connections with edit access, over all documents, as the limit of a user allows.
    UserLimit,
    /// As many named users as the quota allows count already, and this is none of them.
    UserQuota,
    /// The document is being saved: ask again once the save is settled.
    Saving,
    /// The engine gives out no edit access any more, see [`Engine::drain`](crate::Engine::drain).
    Draining,
}

/// All of them, in the order of their declaration: [`Reason::place`] finds each.
pub(crate) const REASONS: [Reason; 7] = [
    Reason::ConnectionLimit,
    Reason::LiveViewLimit,
    Reason::DocumentLimit,
    Reason::UserLimit,
    Reason::UserQuota,
    Reason::Saving,
    Reason::Draining,
];

impl Reason {
    /// Where it stands in [`REASONS`].
    pub(crate) const fn place(self) -> usize {
        self as usize
    }

    /// As the wire names it.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::ConnectionLimit => "connection-limit",
            Reason::LiveViewLimit => "live-view-limit",
            Reason::DocumentLimit => "document-limit",
            Reason::UserLimit => "user-limit",
            Reason::UserQuota => "user-quota",
            Reason::Saving => "saving",
            Reason::Draining => "draining",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a connection got, and why not more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The access it has.
    pub access: Access,
    /// Why it is less than it asked for; `None` if it is not.
    pub reason: Option<Reason>,
}

impl Grant {
    /// What was asked for, or view with the reason.
    pub(crate) fn of(asked: Access, refused: Option<Reason>) -> Self {
        Grant { access: if refused.is_none() { asked } else { Access::View }, reason: refused }
    }
}

/// A user with at least one connection to a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who it is.
    pub user: User,
    /// The most that any of the user's connections may do.
    pub access: Access,
    /// How many connections the user has to this document.
    pub connections: u32,
}

/// Whose seats of a limit are taken: one user's on one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Holder {
    /// The document.
    pub key: DocumentKey,
    /// The user.
    pub user: UserId,
    /// Which access: edit or live view.
    pub access: Access,
    /// How many connections have it.
    pub connections: u32,
    /// When one of them was opened or made a change for the last time, or up to four seconds before; it ends in 2106.
    pub active: Timestamp,
}

/// A document whose last save was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The document.
    pub key: DocumentKey,
    /// Where the host said that it put the file; `None` if it said nothing.
    pub url: Option<Arc<str>>,
}

/// What a `drop` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The connections that lost edit or live-view access. They are still open, view-only.
    pub connections: Vec<ConnectionId>,
    /// The ids that are of no participant of the document.
    pub unmatched: Vec<UserId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_at_its_place() {
        assert!(ACCESSES.iter().enumerate().all(|(place, access)| access.place() == place));
        assert!(REASONS.iter().enumerate().all(|(place, reason)| reason.place() == place));
    }
}
