//! Counts what goes through a door.

use std::collections::{BTreeMap, HashSet};

use crate::access::{Access, Grant, Reason};
use crate::callback::Status;
use crate::error::ErrorCode;
use crate::ids::DocumentKey;
use crate::time::Timestamp;

/// What went through a [`Door`](super::Door) so far.
///
/// The counters start at 0 and only grow.
///
/// ```
/// use coedit::door::{Acknowledge, Door};
/// use coedit::{Access, Config};
///
/// let mut door = Door::replay(Config::new(), Acknowledge::Auto)?;
/// let mut out = Vec::new();
/// door.line(br#"{"c":"open","key":"report","connection":"tab-1","user":{"id":"ann"}}"#, &mut out);
/// door.line(b"not JSON", &mut out);
/// let tally = door.tally();
/// assert_eq!((tally.operations, tally.opens[&Access::Edit], tally.peak), (2, 1, 1));
/// assert_eq!((tally.errors.len(), tally.documents()), (1, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The number of lines. Every line gets one reply.
    pub operations: u64,
    /// The number of replies with an error, by error code.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// The number of opened connections, by the access that they got.
    pub opens: BTreeMap<Access, u64>,
    /// The number of opened connections that got less access than they asked for, by reason.
    pub fallbacks: BTreeMap<Reason, u64>,
    /// The largest number of connections that had edit access at the same time.
    pub peak: u32,
    /// When `peak` was reached for the first time. Always `None` in real time.
    pub peak_at: Option<Timestamp>,
    /// The number of callbacks that were handed out, by status. Counts every retry.
    pub callbacks: BTreeMap<Status, u64>,
    /// The number of acknowledged callbacks of status 2 or 6.
    pub saves: u64,
    documents: HashSet<DocumentKey>,
}

impl Tally {
    /// Returns how many different documents were opened. Always 0 in real time.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    pub(super) fn replied(&mut self, error: Option<ErrorCode>) {
        self.operations += 1;
        if let Some(error) = error {
            *self.errors.entry(error).or_default() += 1;
        }
    }

    pub(super) fn opened(&mut self, grant: Grant) {
        *self.opens.entry(grant.access).or_default() += 1;
        if let Some(reason) = grant.reason {
            *self.fallbacks.entry(reason).or_default() += 1;
        }
    }

    /// Records that `connections` have edit access now.
    pub(super) fn editing(&mut self, connections: u32, now: Option<Timestamp>) {
        if connections > self.peak {
            (self.peak, self.peak_at) = (connections, now);
        }
    }

    pub(super) fn document(&mut self, key: &DocumentKey) {
        if !self.documents.contains(key) {
            self.documents.insert(key.clone());
        }
    }

    pub(super) fn handed_out(&mut self, status: Status) {
        *self.callbacks.entry(status).or_default() += 1;
    }

    pub(super) fn acknowledged(&mut self, status: Status) {
        self.saves += u64::from(matches!(status, Status::Save | Status::ForceSave));
    }
}
