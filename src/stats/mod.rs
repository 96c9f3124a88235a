//! Counters and gauges of an engine.

mod counters;
mod prometheus;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::access::{Access, Reason};
use crate::callback::Status;
use crate::limits::Waiting;
pub(crate) use counters::Counters;

/// What an engine did and what it holds, for monitoring.
///
/// Counters start at 0 when the engine is created or restored, never go back, and are never reset. Gauges tell what is so
/// now. [`Engine::stats`](crate::Engine::stats) returns it, [`to_prometheus`](Self::to_prometheus) writes it as text, and
/// serde writes it as the reply to the command `stats` has it.
///
/// ```
/// use coedit::{Access, Config, DocumentKey, Engine, Reason, User};
///
/// let engine = Engine::new(Config::new().edit_limit(Some(1)))?;
/// let key = DocumentKey::new("report")?;
/// let ann = engine.open(&key, &User::new("ann")?, Access::Edit)?;
/// let ben = engine.open(&key, &User::new("ben")?, Access::Edit)?;
/// ann.change()?;
///
/// let stats = engine.stats();
/// assert_eq!((stats.opens.asked[&Access::Edit], stats.opens.got[&Access::Edit]), (2, 1));
/// assert_eq!(stats.refusals[&Reason::ConnectionLimit], 1);
/// assert_eq!((stats.changes, stats.documents.edited), (1, 1));
/// assert!(stats.to_prometheus().contains("coedit_opens_total{access=\"edit\"} 1\n"));
/// # drop(ben);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// Counts the opened connections.
    pub opens: OpenCounts,
    /// Counts the opens that got less access than they asked for, by reason, and with
    /// [`ConnectionCap`](Reason::ConnectionCap) those that failed at the cap of all connections. A reason that never
    /// happened is absent.
    pub refusals: BTreeMap<Reason, u64>,
    /// Counts the connections that ended.
    pub closes: CloseCounts,
    /// Counts the connections that were resumed.
    pub resumes: u64,
    /// Counts the leases that ended before anybody resumed the connection. The same as [`CloseCounts::lease`].
    pub leases_expired: u64,
    /// Counts the viewers who got edit access later: at once when they asked, or after they waited.
    pub promotions: u64,
    /// Counts the accepted changes.
    pub changes: u64,
    /// Counts what became of callbacks. A status that was never handed out or given up is absent.
    pub callbacks: BTreeMap<Status, CallbackCounts>,
    /// The open connections by access.
    pub connections: BTreeMap<Access, ConnectionCounts>,
    /// The documents of which the engine knows anything.
    pub documents: DocumentCounts,
    /// The viewers who wait for edit access.
    pub waiting: Waiting,
    /// How many documents wait for a worker to take their next callback.
    pub ready: usize,
    /// For how many milliseconds the oldest callback that workers took has not been acknowledged, its failed attempts and
    /// their pauses included; `None` if there is none.
    pub oldest_callback_ms: Option<u64>,
    /// For how many milliseconds the oldest change has waited for an acknowledged save, a force save included; `None` if
    /// saves hold everything. It may be too high after force saves that overlap, and after a restart.
    pub oldest_unsaved_ms: Option<u64>,
    /// How many documents are [forgotten](crate::Engine::forgotten).
    pub forgotten: usize,
}

/// Counts opened connections. An access that nobody asked for or got is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OpenCounts {
    /// By the access that they asked for.
    pub asked: BTreeMap<Access, u64>,
    /// By the access that they got.
    pub got: BTreeMap<Access, u64>,
}

/// Counts connections that ended, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CloseCounts {
    /// The host closed them.
    pub closed: u64,
    /// They were lost, and nobody resumed them within the [reconnect grace](crate::Config::reconnect_grace).
    pub lease: u64,
    /// They were [idle](crate::Config::idle).
    pub idle: u64,
    /// They were open for their [age](crate::Config::age).
    pub age: u64,
    /// They were lost, and a page that was reloaded without its token took their seat over.
    pub superseded: u64,
    /// The engine shut down.
    pub shutdown: u64,
}

/// Counts what became of the callbacks of one status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CallbackCounts {
    /// A worker took them. Each attempt counts.
    pub handed_out: u64,
    /// They were acknowledged, a late acknowledgement of a save that still counts included.
    pub acknowledged: u64,
    /// The worker failed, or dropped the delivery.
    pub failed: u64,
    /// Nobody settled them in time.
    pub timed_out: u64,
    /// They were given up after their last attempt, or a save went before a force save. Each has a
    /// [`Notice::Storage`](crate::Notice::Storage).
    pub given_up: u64,
}

/// Open connections of one access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConnectionCounts {
    /// Their transport is there.
    pub live: u64,
    /// Their transport broke, and they keep their seats for their leases.
    pub lost: u64,
}

/// Documents, each in one of the fields. See [`DocumentState`](crate::DocumentState).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DocumentCounts {
    /// Somebody has them open, nothing is unsaved, and the storage knows all.
    pub settled: u64,
    /// Somebody edits them, and something is unsaved.
    pub edited: u64,
    /// Their save waits for the save delay or for a worker.
    pub closing: u64,
    /// A worker has their save.
    pub saving: u64,
    /// Their save failed and waits for the next attempt.
    pub retrying: u64,
    /// Their save was given up, and nobody edits them.
    pub forgotten: u64,
    /// Nothing is unsaved, but the storage has not acknowledged everything that it is told.
    pub telling: u64,
}
