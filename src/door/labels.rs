//! The labels that callers chose for their connections.

use std::collections::{HashMap, VecDeque};

use crate::access::Access;
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::token::ResumeToken;

/// Maps each label to its connection, and each connection to its label.
#[derive(Debug, Default)]
pub(super) struct Labels {
    by_label: HashMap<Box<str>, Named>,
    /// Also of connections whose label names another one by now.
    by_connection: HashMap<ConnectionId, LabelledConnection>,
    /// Those that were superseded, the oldest first. Some may be forgotten or used again.
    superseded: VecDeque<Box<str>>,
}

/// So many superseded labels are kept.
const SUPERSEDED_MAX: usize = 65_536;

/// What a label names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) id: ConnectionId,
    pub(super) state: LabelState,
}

/// A connection that was opened through the door.
#[derive(Clone, Debug)]
pub(super) struct LabelledConnection {
    pub(super) label: Box<str>,
    pub(super) key: DocumentKey,
    pub(super) user: UserId,
    /// The access that `open` asked for.
    pub(super) asked: Access,
    pub(super) token: Option<ResumeToken>,
}

/// Whether a label can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LabelState {
    Open,
    /// The transport of its connection broke.
    Lost,
    /// Another connection has the seat of its own.
    Superseded,
}

impl Labels {
    pub(super) fn get(&self, label: &str) -> Option<Named> {
        self.by_label.get(label).copied()
    }

    /// The connection of an open label.
    pub(super) fn open(&self, label: &str) -> Option<(ConnectionId, &LabelledConnection)> {
        let named = self.get(label).filter(|named| named.state == LabelState::Open)?;
        Some((named.id, self.by_connection.get(&named.id)?))
    }

    /// Returns the label of a connection, or `None` if it was not opened through this door.
    pub(super) fn label_of(&self, id: ConnectionId) -> Option<&str> {
        self.by_connection.get(&id).map(|one| &*one.label)
    }

    /// The transport of a label's connection broke.
    pub(super) fn lose(&mut self, label: &str) {
        if let Some(named) = self.by_label.get_mut(label) {
            named.state = LabelState::Lost;
        }
    }

    /// Another connection has the seat of this one from now on. Returns what is known of it.
    pub(super) fn supersede(&mut self, id: ConnectionId) -> Option<LabelledConnection> {
        let one = self.by_connection.get(&id)?.clone();
        let named = self.by_label.get_mut(&one.label).filter(|named| named.id == id);
        if named.as_ref().is_none_or(|named| named.state == LabelState::Lost) {
            // Where it was alive, a notice still names it.
            self.by_connection.remove(&id);
        }
        if let Some(named) = named {
            named.state = LabelState::Superseded;
            self.keep_few_superseded(one.label.clone());
        }
        Some(one)
    }

    /// Forgets the label that was superseded first, once there are too many: a host need not close them.
    fn keep_few_superseded(&mut self, label: Box<str>) {
        self.superseded.push_back(label);
        if self.superseded.len() > SUPERSEDED_MAX
            && let Some(oldest) = self.superseded.pop_front()
            && self.get(&oldest).is_some_and(|named| named.state == LabelState::Superseded)
        {
            self.by_label.remove(&oldest);
        }
    }

    /// Gives its label, which is not open, to a connection.
    pub(super) fn insert(&mut self, id: ConnectionId, connection: LabelledConnection) {
        let label = connection.label.clone();
        self.by_connection.insert(id, connection);
        self.by_label.insert(label, Named { id, state: LabelState::Open });
    }

    pub(super) fn remove(&mut self, label: &str) -> Option<Named> {
        let named = self.by_label.remove(label)?;
        self.by_connection.remove(&named.id);
        Some(named)
    }

    /// A connection has ended, and the notice of it is written. A label that was superseded stays until it is closed.
    pub(super) fn ended(&mut self, id: ConnectionId) {
        let Some(LabelledConnection { label, .. }) = self.by_connection.remove(&id) else { return };
        if self.get(&label).is_some_and(|named| named.id == id && named.state != LabelState::Superseded) {
            self.by_label.remove(&label);
        }
    }
}
