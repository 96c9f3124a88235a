//! The counters of one shard.

use super::{CallbackCounts, CloseCounts, OpenCounts, Stats};
use crate::access::{ACCESSES, Access, REASONS, Reason};
use crate::callback::{STATUSES, Status};
use crate::notice::DisconnectCause;

/// Counts what happened in one shard since the engine began. The shard's lock protects it, so that counting is an addition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// By the index of the access.
    asked: [u64; ACCESSES.len()],
    got: [u64; ACCESSES.len()],
    /// By the index of the reason.
    refusals: [u64; REASONS.len()],
    closes: CloseCounts,
    pub(crate) resumes: u64,
    pub(crate) promotions: u64,
    pub(crate) changes: u64,
    /// By the index of the status.
    callbacks: [CallbackCounts; STATUSES.len()],
}

impl Counters {
    /// Counts a connection that asked for one access and got one.
    pub(crate) fn count_open(&mut self, asked: Access, got: Access, refused: Option<Reason>) {
        self.asked[asked.index()] += 1;
        self.got[got.index()] += 1;
        if let Some(reason) = refused {
            self.count_refusal(reason);
        }
    }

    /// Counts an open that got less than it asked for, or failed.
    pub(crate) fn count_refusal(&mut self, reason: Reason) {
        self.refusals[reason.index()] += 1;
    }

    /// Counts a connection that ended. `None` if the host closed it.
    pub(crate) fn count_close(&mut self, cause: Option<DisconnectCause>) {
        *match cause {
            None => &mut self.closes.closed,
            Some(DisconnectCause::Lease) => &mut self.closes.lease,
            Some(DisconnectCause::Idle) => &mut self.closes.idle,
            Some(DisconnectCause::Age) => &mut self.closes.age,
            Some(DisconnectCause::Superseded) => &mut self.closes.superseded,
            Some(DisconnectCause::ShutDown) => &mut self.closes.shutdown,
        } += 1;
    }

    /// The counts of the callbacks of a status.
    pub(crate) fn callbacks(&mut self, status: Status) -> &mut CallbackCounts {
        &mut self.callbacks[status.index()]
    }

    /// Adds the counts to those of other shards.
    pub(crate) fn add_to(&self, stats: &mut Stats) {
        let OpenCounts { asked, got } = &mut stats.opens;
        for access in ACCESSES {
            for (sums, counts) in [(&mut *asked, self.asked), (&mut *got, self.got)] {
                if counts[access.index()] > 0 {
                    *sums.entry(access).or_default() += counts[access.index()];
                }
            }
        }
        for (reason, count) in REASONS.into_iter().zip(self.refusals).filter(|(_, count)| *count > 0) {
            *stats.refusals.entry(reason).or_default() += count;
        }
        for (status, counts) in STATUSES.into_iter().zip(self.callbacks) {
            if counts != CallbackCounts::default() {
                stats.callbacks.entry(status).or_default().add(counts);
            }
        }
        stats.closes.add(self.closes);
        stats.leases_expired += self.closes.lease;
        stats.resumes += self.resumes;
        stats.promotions += self.promotions;
        stats.changes += self.changes;
    }
}

impl CloseCounts {
    fn add(&mut self, other: CloseCounts) {
        let CloseCounts { closed, lease, idle, age, superseded, shutdown } = other;
        self.closed += closed;
        self.lease += lease;
        self.idle += idle;
        self.age += age;
        self.superseded += superseded;
        self.shutdown += shutdown;
    }
}

impl CallbackCounts {
    fn add(&mut self, other: CallbackCounts) {
        let CallbackCounts { handed_out, acknowledged, failed, timed_out, given_up } = other;
        self.handed_out += handed_out;
        self.acknowledged += acknowledged;
        self.failed += failed;
        self.timed_out += timed_out;
        self.given_up += given_up;
    }
}
