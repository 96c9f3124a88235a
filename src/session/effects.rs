//! What follows from a call on a session.

use smallvec::SmallVec;

use super::outbox::Superseded;
use super::outstanding::Outstanding;
use super::unsaved::Unsaved;
use crate::access::Access;
use crate::callback::Status;
use crate::ids::UserId;
use crate::notice::Notice;
use crate::seats::Seats;

/// What follows from a call on a session for everything around it. `Registry::apply` carries it out.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Connections that ended or lost their access.
    pub(crate) ended: SmallVec<[EndedAccess; 1]>,
    /// What the transport is to hear.
    pub(crate) notices: Vec<Notice>,
    /// The status of a callback that a worker did not settle in time.
    pub(crate) timed_out: Option<Status>,
    /// What is to be freed with no lock held, since it can be large.
    pub(crate) garbage: Garbage,
}

/// A connection that was closed, or has another access.
#[derive(Debug)]
pub(crate) struct EndedAccess {
    /// The user, if a seat of the user's limit becomes free.
    pub(crate) user: Option<UserId>,
    pub(crate) access: Access,
    /// The seats that become free.
    pub(crate) seats: Seats,
    /// What the connection may do from now on. `None` if it ended.
    pub(crate) then: Option<Access>,
}

/// Values that are dropped after the lock is released.
#[derive(Debug, Default)]
pub(crate) struct Garbage {
    pub(crate) unsaved: Option<Box<Unsaved>>,
    pub(crate) outstanding: Option<Box<Outstanding>>,
    pub(crate) superseded: Option<Box<Superseded>>,
}
