//! The seats that a connection asks for and holds.

use crate::access::{Access, Reason};

/// The seats that a connection holds. They are stored with it, and released exactly so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seats {
    /// A seat of the engine's limit of its access.
    pub(crate) access: bool,
    /// A seat of its user's limit.
    pub(crate) user: bool,
}

/// What a connection was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted {
    pub(crate) access: Access,
    /// Why that is less than it asked for.
    pub(crate) reason: Option<Reason>,
    pub(crate) seats: Seats,
    /// How many connections of the engine have this access, with this one.
    pub(crate) connections: u32,
}

/// What counts on a document when a user asks for a seat.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DocumentSeats {
    /// The user is fenced from the document.
    pub(crate) fenced: bool,
    /// A save is with a worker.
    pub(crate) saving: bool,
    /// Seats of edit access that are taken on this document.
    pub(crate) editing: u32,
    /// Whether the user shares the seat of one of its open connections.
    pub(crate) shares_seat: bool,
    /// Whether somebody waits for a seat of the document, and for the end of its save.
    pub(crate) queues: [bool; 2],
}
