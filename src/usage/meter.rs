//! One shard's side: what its connections add up to since the last collection.

use super::history::{Course, Sums};
use super::sketch::Sketch;
use crate::access::{ACCESSES, Access, REASONS, Reason};
use crate::time::Timestamp;

/// Up to where a collection goes: to `to`, at most to the end of a minute, and, if the engine stood idle for whole
/// minutes after it, on to the last of their ends. Milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(super) to: u64,
    pub(super) idle_to: u64,
}

/// The connections of one shard over time, under the shard's lock.
///
/// No operation multiplies a count by a time. Each connection that comes adds the time for which it was not there, each
/// that goes takes that back: the area at the collection is that of all who are there then for all the time, less this.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The last collection.
    from: u64,
    /// The latest operation since, or `from`. Time that goes backward counts as standing still.
    last: u64,
    /// Connections by access.
    counts: [u32; 3],
    /// By access, in milliseconds since `from`: when each came who came, less when each went who went.
    absent: [i64; 3],
    opens: u64,
    edits: u64,
    fallbacks: [u64; REASONS.len()],
    /// Who opened, by the access that they got.
    users: [Sketch; 3],
}

impl Meter {
    /// A meter of no connections.
    pub(crate) fn new(now: Timestamp) -> Self {
        let now = now.as_millis();
        Meter {
            from: now,
            last: now,
            counts: [0; 3],
            absent: [0; 3],
            opens: 0,
            edits: 0,
            fallbacks: [0; REASONS.len()],
            users: Default::default(),
        }
    }

    /// A connection was opened with this access, for this reason not with more. `user` is a hash of the user's id all of
    /// whose bits are as good as random, the same for the same user in every shard. A few nanoseconds.
    #[inline]
    pub(crate) fn opened(&mut self, now: Timestamp, access: Access, reason: Option<Reason>, user: u64) {
        self.moved(now, None, Some(access));
        self.opens += 1;
        self.edits += u64::from(access == Access::Edit);
        if let Some(count) = reason.and_then(|reason| self.fallbacks.get_mut(reason.place())) {
            *count += 1;
        }
        self.users[access.place()].add(user);
    }

    /// A connection has another access, or none any more. Some additions, whatever was there before.
    #[inline]
    pub(crate) fn moved(&mut self, now: Timestamp, from: Option<Access>, to: Option<Access>) {
        self.last = self.last.max(now.as_millis());
        let passed = (self.last - self.from).cast_signed();
        if let Some(access) = from {
            self.counts[access.place()] -= 1;
            self.absent[access.place()] -= passed;
        }
        if let Some(access) = to {
            self.counts[access.place()] += 1;
            self.absent[access.place()] += passed;
        }
    }

    /// Connections by access, the least first: for recounting them.
    pub(crate) fn counts(&self) -> [u32; 3] {
        self.counts
    }

    /// What happened since the last collection; the next begins at the cut.
    pub(crate) fn take(&mut self, cut: Cut) -> Taken {
        // An operation may have been a little later than a cut that is not at the end of a minute.
        let to = self.last.max(cut.to);
        let area = |access: Access| {
            let all = u128::from(self.counts[access.place()]) * u128::from(to - self.from);
            all.saturating_add_signed(-i128::from(self.absent[access.place()]))
        };
        let areas = ACCESSES.map(area);
        self.from = to.max(cut.idle_to);
        self.last = self.from;
        self.absent = [0; 3];
        Taken {
            areas,
            counts: self.counts,
            opens: std::mem::take(&mut self.opens),
            edits: std::mem::take(&mut self.edits),
            fallbacks: std::mem::take(&mut self.fallbacks),
            users: std::mem::take(&mut self.users),
        }
    }
}

/// What was taken from some meters.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    areas: [u128; 3],
    /// Connections by access at the cut.
    pub(super) counts: [u32; 3],
    opens: u64,
    edits: u64,
    fallbacks: [u64; REASONS.len()],
    pub(super) users: [Sketch; 3],
}

impl Taken {
    /// Adds what was taken from another shard.
    pub(crate) fn add(&mut self, other: &Taken) {
        for place in 0..ACCESSES.len() {
            self.areas[place] += other.areas[place];
            self.counts[place] += other.counts[place];
            self.users[place].merge(&other.users[place]);
        }
        self.opens += other.opens;
        self.edits += other.edits;
        for (ours, theirs) in self.fallbacks.iter_mut().zip(other.fallbacks) {
            *ours += theirs;
        }
    }

    /// All of it, with the extremes that the gauges saw.
    pub(super) fn sums(&self, extremes: [Course; 3]) -> Sums {
        let courses =
            ACCESSES.map(|access| Course { area: self.areas[access.place()], ..extremes[access.place()] });
        let mut users = Sketch::default();
        self.users.iter().for_each(|some| users.merge(some));
        Sums { courses, opens: self.opens, edits: self.edits, fallbacks: self.fallbacks, users }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn cut(to: u64) -> Cut {
        Cut { to, idle_to: to }
    }

    #[test]
    fn areas_are_connections_times_milliseconds() {
        let mut meter = Meter::new(at(1_000));
        meter.opened(at(1_010), Access::Edit, None, 1);
        meter.opened(at(1_020), Access::View, Some(Reason::Saving), 2);
        meter.moved(at(1_050), Some(Access::Edit), Some(Access::View));
        let taken = meter.take(cut(1_100));
        assert_eq!((taken.areas, taken.counts, taken.opens), ([80 + 50, 0, 40], [2, 0, 0], 2));
        assert_eq!(taken.fallbacks.iter().sum::<u64>(), 1);
        meter.moved(at(1_130), Some(Access::View), None);
        let taken = meter.take(cut(1_200));
        assert_eq!((taken.areas, taken.counts, taken.opens), ([30 + 100, 0, 0], [1, 0, 0], 0));
    }

    #[test]
    fn time_that_goes_backward_stands_still() {
        let mut meter = Meter::new(at(1_000));
        meter.opened(at(900), Access::Edit, None, 1);
        meter.opened(at(1_050), Access::Edit, None, 1);
        meter.moved(at(1_010), Some(Access::Edit), None);
        assert_eq!(meter.take(cut(1_040)).areas, [0, 0, 50]);
        assert_eq!(meter.take(cut(1_060)).areas, [0, 0, 10]);
    }

    #[test]
    fn an_idle_stretch_is_skipped() {
        let mut meter = Meter::new(at(0));
        meter.opened(at(10), Access::LiveView, None, 1);
        assert_eq!(meter.take(Cut { to: 60, idle_to: 6_000 }).areas, [0, 50, 0]);
        assert_eq!(meter.take(cut(6_060)).areas, [0, 60, 0]);
    }
}
