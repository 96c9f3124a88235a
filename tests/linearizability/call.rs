//! The calls of a history, and what they returned.

use coedit::{
    Access, ChangeError, ConnectionError, ConnectionId, EditRequest, Grant, RequestError, ResumeError,
    TransportError,
};

/// A call of the engine. Documents and users are numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Open {
        document: usize,
        user: u8,
        asked: Access,
    },
    Change(ConnectionId),
    Close(ConnectionId),
    DropUsers {
        document: usize,
        users: Vec<u8>,
    },
    Lost(ConnectionId),
    /// A token is named by the connection that got it when it was opened.
    Resume {
        token: ConnectionId,
        attempt: u64,
    },
    RequestEdit(ConnectionId),
    ReleaseEdit(ConnectionId),
    SetEditLimit(u32),
    Access(ConnectionId),
    Editors(usize),
    Limits,
}

/// What a call returned. Lists that say nothing by their order are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Opened(ConnectionId, Grant),
    Changed(Result<(), ChangeError>),
    Closed(Result<(), ConnectionError>),
    Dropped {
        connections: Vec<ConnectionId>,
        unmatched: Vec<u8>,
    },
    /// Whether the connection keeps its seat.
    Lost(Result<bool, TransportError>),
    Resumed(Result<(ConnectionId, Access), ResumeError>),
    Requested(Result<EditRequest, RequestError>),
    Released(Result<(), RequestError>),
    LimitSet,
    Access(Option<Access>),
    Editors(Vec<u8>),
    Limits {
        limit: u32,
        in_use: u32,
        /// Those who wait at the engine's limit, and for a save.
        waiting: [u32; 2],
    },
}

/// A call that has returned. `start` and `end` are numbers that one counter gave out before and after it.
#[derive(Clone, Debug)]
pub struct Event {
    pub thread: usize,
    pub start: u64,
    pub end: u64,
    pub call: Call,
    pub answer: Answer,
}
