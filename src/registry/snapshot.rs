//! Suspending an engine, and its snapshot.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Registry;
use super::apply::Deferred;
use super::shard::Shard;
use super::stay::RestoredStay;
use crate::access::Fence;
use crate::error::RestoreError;
use crate::ids::{ConnectionId, DocumentKey, UserId};
use crate::session::{Context, Session, SessionSnapshot, Stage};
use crate::sync::Ordering;
use crate::time::{Moment, Timestamp};
use crate::usage::UsageSnapshot;

/// Everything that is open, unsaved or forgotten in an engine, to be restored by another process: see
/// [`Engine::suspend`](crate::Engine::suspend), [`Engine::snapshot`](crate::Engine::snapshot) and
/// [`Engine::restore`](crate::Engine::restore).
///
/// It is read and written with serde. It is secret: it holds the tokens of the connections.
#[derive(Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// The form of the rest.
    pub(super) version: u32,
    /// How often the engine was restored before.
    pub(super) epoch: u32,
    /// How many callbacks were handed out.
    pub(super) deliveries: u64,
    pub(super) documents: Vec<SessionSnapshot>,
    pub(super) stays: Vec<StaySnapshot>,
    pub(super) fences: Vec<FenceSnapshot>,
    /// Named users of edit, then of live-view access, with the end of their time.
    pub(super) named_users: [Vec<(Timestamp, UserId)>; 2],
    pub(super) usage: Option<UsageSnapshot>,
    /// Keys the hashes of users in `usage`.
    pub(super) usage_seed: u64,
}

/// How a connection can be resumed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StaySnapshot {
    /// The id that the connection had.
    pub(super) id: u64,
    pub(super) token: String,
    pub(super) attempt: u64,
    pub(super) open_for: Duration,
    /// The ticket by which it waits for edit access.
    #[serde(default)]
    pub(super) ticket: Option<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct FenceSnapshot {
    pub(super) key: DocumentKey,
    /// `None` fences everybody.
    pub(super) user: Option<UserId>,
    /// For how long it holds. `None` until it is lifted.
    pub(super) left: Option<Duration>,
}

/// The form of a snapshot that this version writes and reads.
pub(super) const SNAPSHOT_VERSION: u32 = 1;

/// So many documents are looked at under one hold of a shard lock.
const SLICE: usize = 128;

impl Snapshot {
    /// Returns how many documents it has.
    pub fn documents(&self) -> usize {
        self.documents.len()
    }

    pub(super) fn check_version(&self) -> Result<(), RestoreError> {
        if self.version == SNAPSHOT_VERSION { Ok(()) } else { Err(RestoreError::Version) }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("documents", &self.documents.len())
            .finish_non_exhaustive()
    }
}

/// Suspending.
impl Registry {
    /// Takes no calls any more and hands nothing out. Waits for what workers have, at most for `time`, and returns everything.
    pub(crate) fn suspend(self: &Arc<Self>, time: Duration) -> Snapshot {
        if self.lifecycle.begin_suspend(self.now().steady, time) {
            let _ = self.start_timer();
            for index in 0..self.shards.len() {
                self.freeze(index);
            }
            self.sleeper.wake();
            self.settled();
        }
        self.wait_for_end();
        self.snapshot()
    }

    /// From now on no call finds anything in the shard. Counts the deliveries that are out.
    fn freeze(&self, index: usize) {
        let mut next = 0;
        self.hold(index, self.clock.coarse()).shard.freeze();
        while next < self.read(index, Shard::documents_end) {
            let mut held = self.hold(index, self.clock.coarse());
            let documents = (next..next + SLICE).filter_map(|slot| held.shard.document_at(slot));
            let all: Vec<Deferred> = documents
                .collect::<Vec<_>>()
                .into_iter()
                .map(|document| self.update_books(&mut held, document))
                .collect();
            drop(held);
            for deferred in all {
                self.carry_out(deferred);
            }
            next += SLICE;
        }
    }

    fn fence_snapshots(&self, now: Moment) -> Vec<FenceSnapshot> {
        let fences = self.holding_fences(now).into_iter();
        fences.map(|fence| FenceSnapshot::of(fence, now)).collect()
    }

    /// Everything, document by document.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.clock.now();
        let cx = self.context(now);
        let mut snapshot = Snapshot {
            version: SNAPSHOT_VERSION,
            epoch: self.epoch,
            // No pair: a restored engine counts on from far above it, so it may be some deliveries late.
            deliveries: self.deliveries.load(Ordering::Relaxed),
            documents: Vec::new(),
            stays: Vec::new(),
            fences: self.fence_snapshots(cx.now),
            named_users: self.admission.list_named_users(now.wall),
            usage: self.usage_snapshot(),
            usage_seed: self.usage_seed,
        };
        self.add_documents(&cx, &mut snapshot);
        snapshot
    }

    /// Adds all documents, by slices. A document that was closed and opened again between two of them may be seen twice: then
    /// the later state counts.
    fn add_documents(&self, cx: &Context<'_>, snapshot: &mut Snapshot) {
        self.walk(
            snapshot,
            |_, shard, documents| -> Vec<_> {
                let sessions = documents.into_iter().map(|document| shard.session(document));
                sessions.map(|session| self.session_snapshot(cx, shard, session)).collect()
            },
            // With no lock held, since a long list moves as it grows.
            |snapshot, found| {
                for (document, stays) in found {
                    snapshot.documents.push(document);
                    snapshot.stays.extend(stays);
                }
            },
        );
        snapshot.documents.reverse();
        let mut seen = HashSet::with_capacity(snapshot.documents.len());
        snapshot.documents.retain(|document| seen.insert(document.key.clone()));
        snapshot.documents.reverse();
    }

    fn session_snapshot(
        &self,
        cx: &Context<'_>,
        shard: &Shard,
        session: &Session,
    ) -> (SessionSnapshot, Vec<StaySnapshot>) {
        let stays = shard.kept_stays(session, cx.now).map(|(id, stay)| self.stay_snapshot(id, stay));
        (session.snapshot(cx), stays.collect())
    }
}

impl FenceSnapshot {
    fn of((fence, until): (Fence, Moment), now: Moment) -> Self {
        let left = (until < Moment::NEVER).then(|| until.since(now));
        FenceSnapshot { key: fence.key, user: fence.user, left }
    }
}

impl Registry {
    fn stay_snapshot(&self, id: ConnectionId, stay: RestoredStay) -> StaySnapshot {
        let RestoredStay { token, attempt, open_for } = stay;
        let ticket = self.admission.waiter(id).map(|waiter| waiter.ticket);
        StaySnapshot { id: id.to_bits(), token: token.to_string(), attempt, open_for, ticket }
    }

    /// Returns true while nothing may be handed out and nothing falls due.
    pub(super) fn is_suspending(&self) -> bool {
        self.lifecycle.stage() == Stage::Suspending
    }
}
