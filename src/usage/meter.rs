//! Measures the connections of one shard since the last collection.

use std::time::Duration;

use super::denied::{DenialTotals, DeniedCase, DeniedUsers, LIMITS, limit_index};
use super::sketch::Sketch;
use super::totals::{CountSummary, PeriodTotals, Present, WaitTotals};
use crate::access::{ACCESSES, Access, REASONS, Reason};
use crate::time::Moment;

/// The end of the period that is collected, in milliseconds of steady time.
///
/// The period begins at the last collection and ends at `end`, at the latest at the end of that minute. If the engine was
/// idle for whole minutes after it, `idle_end` is the end of the last of them. Otherwise `idle_end` equals `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Period {
    pub(super) end: u64,
    pub(super) idle_end: u64,
}

/// The connections of one shard over time. The shard's lock protects it.
///
/// The area under a count is connections times milliseconds. No operation multiplies. A connection that begins adds its
/// time since the last collection to an offset, a connection that ends subtracts it. The area is then the present count
/// times the whole period, less the offset.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The time of the last collection, in milliseconds of steady time.
    from: u64,
    /// The time of the latest operation since, or `from`. An operation that comes late with an earlier time counts then.
    last: u64,
    /// The number of connections by access.
    counts: [u32; 3],
    /// By access: the begin times less the end times, in milliseconds since `from`.
    offsets: [i64; 3],
    opens: u64,
    edits: u64,
    fallbacks: [u64; REASONS.len()],
    waits: WaitTotals,
    denied: DeniedUsers,
    /// The users who opened, by the access that they got.
    users: [Sketch; 3],
}

impl Meter {
    /// Creates a meter without connections.
    pub(crate) fn new(now: Moment) -> Self {
        let now = now.as_millis();
        Meter {
            from: now,
            last: now,
            counts: [0; 3],
            offsets: [0; 3],
            opens: 0,
            edits: 0,
            fallbacks: [0; REASONS.len()],
            waits: WaitTotals::default(),
            denied: DeniedUsers::default(),
            users: Default::default(),
        }
    }

    /// Records a new connection with the access that it got. `reason` says why it did not get more.
    ///
    /// `user_hash` is a hash of the user's id. All its bits must be as good as random, and the same user must have the same
    /// hash in every shard. Costs a few nanoseconds.
    #[inline]
    pub(crate) fn record_open(
        &mut self,
        now: Moment,
        access: Access,
        reason: Option<Reason>,
        user_hash: u64,
    ) {
        self.record_change(now, None, Some(access));
        self.opens += 1;
        self.edits += u64::from(access == Access::Edit);
        if let Some(reason) = reason {
            self.record_refusal(reason);
        }
        self.users[access.index()].add(user_hash);
    }

    /// Counts an open that got less access than it asked for, or none.
    pub(crate) fn record_refusal(&mut self, reason: Reason) {
        self.fallbacks[reason.index()] += 1;
    }

    /// Returns true if a limit refused edit access to somebody who may still get it. While it is false, no call need tell of
    /// an access or a leave.
    #[inline]
    pub(crate) fn has_denied(&self) -> bool {
        !self.denied.is_empty()
    }

    /// Records that an open was refused edit access by a user who does not edit the document. Other reasons than limits are
    /// ignored. `user` is a hash of the document and the user.
    pub(crate) fn record_denial(&mut self, now: Moment, reason: Reason, user: u64) {
        if let Some(limit) = limit_index(reason) {
            let times = self.times(now);
            self.denied.refuse(user, limit, times);
        }
    }

    /// Records that a user has edit access to a document.
    pub(crate) fn record_access(&mut self, now: Moment, user: u64) {
        let times = self.times(now);
        self.denied.grant(user, times);
    }

    /// Records that a user's last connection to a document ends.
    pub(crate) fn record_leave(&mut self, now: Moment, user: u64) {
        let times = self.times(now);
        self.denied.leave(user, times);
    }

    /// At most `most` users whom a limit refused, whose hashes come after `after`.
    pub(crate) fn list_denied(&self, after: Option<u64>, most: usize) -> Vec<(u64, DeniedCase)> {
        self.denied.list(after, most)
    }

    /// A user whom a limit refused before a restart is here again.
    pub(crate) fn resume_denied(&mut self, now: Moment, user: u64, case: DeniedCase) {
        let (_, passed) = self.times(now);
        self.denied.resume(user, case, passed);
    }

    /// So many users whom a limit refused before a restart did not come back.
    pub(crate) fn count_left(&mut self, users: u32) {
        self.denied.count_left(users);
    }

    /// The time of an operation, and how long that is after the last collection.
    fn times(&mut self, now: Moment) -> (u64, u64) {
        self.last = self.last.max(now.as_millis());
        (self.last, self.last - self.from)
    }

    /// Counts a connection that waits for edit access from now on.
    pub(crate) fn record_wait(&mut self) {
        self.waits.begun = self.waits.begun.saturating_add(1);
    }

    /// Counts a connection that was granted edit access after so long.
    pub(crate) fn record_grant(&mut self, waited: Duration) {
        let seconds = u32::try_from((waited.as_millis() + 500) / 1000).unwrap_or(u32::MAX);
        self.waits.add(&WaitTotals { begun: 0, granted: 1, seconds, longest: seconds });
    }

    /// Records that a connection changed its access. `to` is `None` if the connection ended. Costs a few additions.
    #[inline]
    pub(crate) fn record_change(&mut self, now: Moment, from: Option<Access>, to: Option<Access>) {
        let (_, passed) = self.times(now);
        let passed = passed.cast_signed();
        if let Some(access) = from {
            self.counts[access.index()] -= 1;
            self.offsets[access.index()] -= passed;
        }
        if let Some(access) = to {
            self.counts[access.index()] += 1;
            self.offsets[access.index()] += passed;
        }
    }

    /// The number of connections by access, from view to edit. `validate` compares it with a recount.
    pub(crate) fn counts(&self) -> [u32; 3] {
        self.counts
    }

    /// Recounts the users whom a limit refused.
    pub(crate) fn validate(&self) -> Result<(), String> {
        self.denied.validate()
    }

    /// Returns what happened in `period` and begins the next one.
    pub(crate) fn collect(&mut self, period: Period) -> Collected {
        // An operation may be a little later than a period that does not end with a minute.
        let end = self.last.max(period.end);
        let area = |access: Access| {
            let all = u128::from(self.counts[access.index()]) * u128::from(end - self.from);
            all.saturating_add_signed(-i128::from(self.offsets[access.index()]))
        };
        let areas = ACCESSES.map(area);
        let denials = self.denied.collect(end, end - self.from);
        self.from = end.max(period.idle_end);
        self.last = self.from;
        self.offsets = [0; 3];
        Collected {
            areas,
            counts: self.counts,
            opens: std::mem::take(&mut self.opens),
            edits: std::mem::take(&mut self.edits),
            fallbacks: std::mem::take(&mut self.fallbacks),
            waits: std::mem::take(&mut self.waits),
            denials,
            denied: self.denied.present(),
            users: std::mem::take(&mut self.users),
        }
    }
}

/// What one or more meters recorded in a period.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    areas: [u128; 3],
    /// The number of connections by access at the end of the period.
    counts: [u32; 3],
    opens: u64,
    edits: u64,
    fallbacks: [u64; REASONS.len()],
    waits: WaitTotals,
    denials: DenialTotals,
    /// The users without edit access at the end of the period, by the limit that refused it.
    denied: [u32; LIMITS.len()],
    pub(super) users: [Sketch; 3],
}

impl Collected {
    /// Adds what another shard's meter recorded in the same period.
    pub(crate) fn add(&mut self, other: &Collected) {
        for place in 0..ACCESSES.len() {
            self.areas[place] += other.areas[place];
            self.counts[place] += other.counts[place];
            self.users[place].merge(&other.users[place]);
        }
        self.opens += other.opens;
        self.edits += other.edits;
        self.waits.add(&other.waits);
        self.denials.add(&other.denials);
        for (ours, theirs) in self.denied.iter_mut().zip(other.denied) {
            *ours += theirs;
        }
        for (ours, theirs) in self.fallbacks.iter_mut().zip(other.fallbacks) {
            *ours += theirs;
        }
    }

    /// What stays as it is while nothing happens.
    pub(super) fn present(&self) -> Present {
        Present { counts: self.counts, denied: self.denied }
    }

    /// Combines the sums of all shards with the extremes of the whole engine.
    pub(super) fn totals(&self, extremes: [CountSummary; 3]) -> PeriodTotals {
        let connections = ACCESSES
            .map(|access| CountSummary { area: self.areas[access.index()], ..extremes[access.index()] });
        let mut users = Sketch::default();
        self.users.iter().for_each(|sketch| users.merge(sketch));
        let Collected { opens, edits, fallbacks, waits, denials, .. } = *self;
        let busiest = Default::default();
        PeriodTotals { connections, opens, edits, fallbacks, waits, denials, busiest, users }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn until(end: u64) -> Period {
        Period { end, idle_end: end }
    }

    #[test]
    fn areas_are_connections_times_milliseconds() {
        let mut meter = Meter::new(at(1_000));
        meter.record_open(at(1_010), Access::Edit, None, 1);
        meter.record_open(at(1_020), Access::View, Some(Reason::Saving), 2);
        meter.record_change(at(1_050), Some(Access::Edit), Some(Access::View));
        let collected = meter.collect(until(1_100));
        assert_eq!((collected.areas, collected.counts, collected.opens), ([80 + 50, 0, 40], [2, 0, 0], 2));
        assert_eq!(collected.fallbacks.iter().sum::<u64>(), 1);
        meter.record_change(at(1_130), Some(Access::View), None);
        let collected = meter.collect(until(1_200));
        assert_eq!((collected.areas, collected.counts, collected.opens), ([30 + 100, 0, 0], [1, 0, 0], 0));
    }

    #[test]
    fn an_operation_that_comes_late_counts_at_the_time_of_the_latest() {
        let mut meter = Meter::new(at(1_000));
        meter.record_open(at(900), Access::Edit, None, 1);
        meter.record_open(at(1_050), Access::Edit, None, 1);
        meter.record_change(at(1_010), Some(Access::Edit), None);
        assert_eq!(meter.collect(until(1_040)).areas, [0, 0, 50]);
        assert_eq!(meter.collect(until(1_060)).areas, [0, 0, 10]);
    }

    #[test]
    fn the_idle_end_of_a_period_is_skipped() {
        let mut meter = Meter::new(at(0));
        meter.record_open(at(10), Access::LiveView, None, 1);
        assert_eq!(meter.collect(Period { end: 60, idle_end: 6_000 }).areas, [0, 50, 0]);
        assert_eq!(meter.collect(until(6_060)).areas, [0, 60, 0]);
    }
}
