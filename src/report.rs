//! What is not settled, and how an engine ended.

use serde::{Deserialize, Serialize};

use crate::access::Forgotten;
use crate::ids::DocumentKey;
use crate::time::Timestamp;

/// Where a document stands that is not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DocumentState {
    /// Somebody edits it, and something is unsaved.
    Edited,
    /// Nobody edits it. Its save waits for the save delay or for a worker.
    Closing,
    /// A worker has its save.
    Saving,
    /// Its save failed and waits for the next attempt.
    Retrying,
    /// Its save was given up.
    Forgotten,
    /// Nothing is unsaved, but the storage has not acknowledged everything that it is told.
    Telling,
}

/// A document that is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PendingDocument {
    /// The document.
    pub key: DocumentKey,
    /// Where it stands.
    pub state: DocumentState,
    /// When the oldest of its unsaved changes was made, rounded down to a second. With [`DocumentState::Telling`], since
    /// when something waits for the storage.
    pub since: Timestamp,
    /// How often its save has failed since then.
    pub failures: usize,
    /// Whether an acknowledged force save holds every change, so that only the closing save is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force_saved: bool,
}

/// Everything of an engine that is not settled, see [`Engine::remaining`](crate::Engine::remaining).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Remaining {
    /// How many connections are open.
    pub connections: u32,
    /// The documents, sorted by key.
    pub documents: Vec<PendingDocument>,
}

/// How an engine ended, see [`Engine::shutdown`](crate::Engine::shutdown). Every document that was changed is in one of the
/// two lists, or a save that holds its changes was acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// How many documents were saved since the shutdown began.
    pub saved: usize,
    /// The documents with unsaved changes, sorted by key, without the forgotten ones.
    pub unsaved: Vec<PendingDocument>,
    /// The documents whose save was given up, sorted by key.
    pub forgotten: Vec<Forgotten>,
}

impl Report {
    /// Returns true if nothing is unsaved or forgotten.
    pub fn is_complete(&self) -> bool {
        self.unsaved.is_empty() && self.forgotten.is_empty()
    }
}
