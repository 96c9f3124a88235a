//! Counts what is worked through under one hold of a lock, for the project's tests of promise P7.
//!
//! With the feature `count-work` every lock of the engine counts what this thread works through while it holds it. The
//! counting stands where every walk passes: at the access to a document, a connection or a waiter, at the lists that a walk
//! iterates over. So a walk that is added later is counted too. Without the feature nothing here does anything, and
//! nothing of it is compiled in.
//!
//! An item counts for every lock that the thread holds, from the shard lock on: the locks that are taken before a shard lock
//! hold up no call but their own kind.

#![cfg_attr(not(feature = "count-work"), expect(unreachable_pub, reason = "public with the feature only"))]

/// So many items of anything are worked through under one hold of a lock, at most. A document's own list of users is not
/// divided.
pub const AT_ONCE: usize = 256;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(not(feature = "count-work"), expect(dead_code, reason = "counted with the feature only"))]
pub enum Item {
    /// A slot of a table of documents, whether a document is there or not.
    Slot,
    /// A document. One that is looked at several times in a row is one.
    Document,
    /// A connection, the same.
    Connection,
    /// How long a connection stays, the same.
    Stay,
    /// An idle editor whose seat can be wanted.
    IdleEditor,
    /// A document or a connection that somebody is to look at.
    Deadline,
    /// A fence.
    Fence,
    /// A forgotten document in the list of them.
    Forgotten,
    /// A waiter. One that is looked at several times in a row is one.
    Waiter,
    /// A line of waiters that a walk over lines passes.
    Line,
    /// A named user.
    NamedUser,
    /// A user who was refused.
    Refused,
    /// The count of a user's seats.
    UserSeats,
    /// A seat of the limit of edit access that is taken or becomes free.
    EditSeat,
    /// The same of live-view access.
    LiveSeat,
    /// The same of the cap of all connections.
    CapSeat,
    /// A notice.
    Notice,
    /// A tab of one user on one document that a search for another one passes. Several searches in a row for one are one.
    Tab,
    /// A user of a document, or a turn of its changes, that is freed.
    Freed,
    /// An entry that an index of a shard moves as it grows. Promise P7 excepts it.
    IndexEntry,
    /// A user of the document of which the most were looked at. Promise P7 excepts them.
    UserOfOneDocument,
    /// A user of any other document.
    UserOfOthers,
    /// A turn of changes, or something that the storage has not heard, of the document of which the most were looked at.
    NewsOfOneDocument,
    /// The same of any other document.
    NewsOfOthers,
}

#[cfg(not(feature = "count-work"))]
mod nothing {
    use super::Item;

    pub(crate) fn item(_: Item, _: usize) {}

    pub(crate) fn visit(_: Item, _: impl Into<u64>) {}

    pub(crate) fn visit_some(_: Item, _: u64, _: usize) {}

    pub(crate) fn each<I: Iterator>(_: Item, items: I) -> I {
        items
    }

    pub(crate) fn each_user<L, I: Iterator>(_: *const L, items: I) -> I {
        items
    }

    pub(crate) fn users<L>(_: *const L, _: usize) {}

    pub(crate) fn news<L>(_: *const L, _: usize) {}
}

#[cfg(not(feature = "count-work"))]
pub(crate) use nothing::*;

#[cfg(feature = "count-work")]
mod counting;
#[cfg(all(feature = "count-work", not(shuttle)))]
pub(crate) use counting::{Condvar, Mutex, MutexGuard};
#[cfg(feature = "count-work")]
pub use counting::{Longest, Most, Report, report, start};
#[cfg(feature = "count-work")]
pub(crate) use counting::{each, each_user, item, news, users, visit, visit_some};
