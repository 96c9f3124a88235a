//! The labels that callers chose for their open connections.

use std::collections::HashMap;

use crate::access::{Access, Grant, Reason};
use crate::ids::{ConnectionId, DocumentKey, UserId};

/// Maps each open label to its connection, and each of these connections to its label.
#[derive(Debug, Default)]
pub(super) struct Labels {
    by_label: HashMap<Box<str>, LabelledConnection>,
    by_connection: HashMap<ConnectionId, Box<str>>,
}

/// The connection behind an open label.
#[derive(Debug)]
pub(super) struct LabelledConnection {
    pub(super) id: ConnectionId,
    pub(super) key: DocumentKey,
    pub(super) user: UserId,
    /// The access that `open` asked for.
    pub(super) asked: Access,
    /// The access that `open` replied.
    pub(super) grant: Grant,
}

impl LabelledConnection {
    /// What it may do now, if that is `access`, and why that is less than it asked for.
    pub(super) fn grant_now(&self, access: Access) -> Grant {
        let lost = access < self.grant.access;
        Grant { access, reason: if lost { Some(Reason::Dropped) } else { self.grant.reason } }
    }
}

impl Labels {
    pub(super) fn get(&self, label: &str) -> Option<&LabelledConnection> {
        self.by_label.get(label)
    }

    /// Returns the label of a connection, or `None` if it was not opened through this door.
    pub(super) fn label_of(&self, id: ConnectionId) -> Option<&str> {
        self.by_connection.get(&id).map(|label| &**label)
    }

    /// Adds a label that is not open.
    pub(super) fn insert(&mut self, label: &str, connection: LabelledConnection) {
        self.by_connection.insert(connection.id, label.into());
        self.by_label.insert(label.into(), connection);
    }

    pub(super) fn remove(&mut self, label: &str) -> Option<LabelledConnection> {
        let connection = self.by_label.remove(label)?;
        self.by_connection.remove(&connection.id);
        Some(connection)
    }
}
