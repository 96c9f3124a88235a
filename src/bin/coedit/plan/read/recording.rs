//! What a reader makes of a file: the connections in it, or a series of their number.

use std::time::Duration;

use coedit::Timestamp;
use coedit::capacity::{Observed, ObservedConnection};

/// The content of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recording {
    Connections(Connections),
    Levels(Levels),
}

/// The edit connections of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connections {
    /// In order of time.
    pub(crate) events: Vec<Event>,
    /// The user and the document of each connection.
    pub(crate) identities: Vec<Identity>,
    /// The number of different users. `None` if a connection has no user.
    pub(crate) users: Option<u32>,
    /// The number of different documents. `None` if a connection has no document.
    pub(crate) documents: Option<u32>,
    /// The latest time in the file.
    pub(crate) end: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    /// An index of [`Connections::identities`].
    pub(crate) connection: u32,
    pub(crate) kind: EventKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Open,
    /// The connection changed its document.
    Change,
    Close,
}

/// A user and a document, as numbers from 0 up in order of appearance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    pub(crate) user: Option<u32>,
    pub(crate) document: Option<u32>,
}

/// The number of edit connections at some times. Nothing is known of users, documents and stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    /// In order of time. A level holds until the next sample. There is a level of zero at the start of each gap and at the
    /// end.
    pub(crate) samples: Vec<(Timestamp, u32)>,
    /// The usual time between two samples.
    pub(crate) step: Duration,
}

impl Recording {
    /// Returns true if there is no connection in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Recording::Connections(connections) => connections.identities.is_empty(),
            Recording::Levels(levels) => levels.samples.iter().all(|(_, level)| *level == 0),
        }
    }

    /// Returns the recording for the analysis of limits. For a series, a rise counts as opens and a fall as closes, so its
    /// opens and fallbacks say little. `utc_offset` is local time minus UTC, in minutes.
    pub(crate) fn observe(&self, utc_offset: i32) -> Observed {
        match self {
            Recording::Connections(connections) => connections.observe(utc_offset),
            Recording::Levels(levels) => levels.observe(utc_offset),
        }
    }
}

impl Connections {
    fn observe(&self, utc_offset: i32) -> Observed {
        let mut observed = Observed::with_utc_offset(utc_offset);
        let mut open: Vec<Option<ObservedConnection>> = Vec::new();
        open.resize_with(self.identities.len(), || None);
        for Event { at, connection, kind } in &self.events {
            let Some(slot) = open.get_mut(*connection as usize) else { continue };
            match kind {
                EventKind::Open => {
                    let user = self.identities.get(*connection as usize).and_then(|identity| identity.user);
                    *slot = Some(match user {
                        Some(user) => observed.record_open_by(user.into(), *at),
                        None => observed.record_open(*at),
                    });
                }
                EventKind::Change => {}
                EventKind::Close => {
                    if let Some(connection) = slot.take() {
                        observed.record_close(connection, *at);
                    }
                }
            }
        }
        observed.extend(self.end);
        observed
    }
}

impl Levels {
    fn observe(&self, utc_offset: i32) -> Observed {
        let mut observed = Observed::with_utc_offset(utc_offset);
        let mut open = Vec::new();
        for &(at, level) in &self.samples {
            while open.len() < level as usize {
                open.push(observed.record_open(at));
            }
            while open.len() > level as usize {
                if let Some(connection) = open.pop() {
                    observed.record_close(connection, at);
                }
            }
            observed.extend(at);
        }
        observed
    }
}
