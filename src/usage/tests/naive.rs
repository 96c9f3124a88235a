//! The second implementation. It keeps every event and recomputes every number from them.

use std::collections::{BTreeSet, HashSet};

use super::DAY;
use crate::access::{ACCESSES, Access, REASONS, Reason};
use crate::time::Timestamp;
use crate::usage::{Level, Usage, Window};

/// One change of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct UsageEvent {
    pub(super) at: u64,
    /// The number of connections by access, after the event.
    pub(super) counts: [u32; 3],
    /// The access, the reason and the user, if the event is an open.
    pub(super) opened: Option<(Access, Option<Reason>, u64)>,
}

/// Every event since the engine was created.
pub(super) struct NaiveHistory {
    pub(super) since: u64,
    pub(super) events: Vec<UsageEvent>,
}

impl NaiveHistory {
    fn level(&self, access: Access, from: u64, to: u64) -> Level {
        let before = self.events.iter().rfind(|event| event.at < from);
        let mut count = before.map_or(0, |event| event.counts[access.index()]);
        let (mut min, mut max, mut max_at, mut area, mut last) = (count, count, from, 0, from);
        for event in self.events.iter().filter(|event| event.at >= from) {
            area += u128::from(count) * u128::from(event.at - last);
            (last, count) = (event.at, event.counts[access.index()]);
            min = min.min(count);
            if count > max {
                (max, max_at) = (count, event.at);
            }
        }
        area += u128::from(count) * u128::from(to - last);
        #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
        let average = if to > from { area as f64 / (to - from) as f64 } else { 0.0 };
        Level { min, average, max, max_at: Timestamp::from_millis(max_at) }
    }

    fn check_window(&self, window: &Window, length: u64, width: u64, at: u64) {
        let beginning = at.saturating_sub(length) / width * width;
        let from = beginning.max(self.since);
        assert_eq!((window.from.as_millis(), window.to.as_millis()), (from, at));
        for (level, access) in ACCESSES.map(|access| self.level(access, from, at)).iter().zip(ACCESSES) {
            let actual = [window.view, window.live, window.edit][access.index()];
            let extremes = |level: &Level| (level.min, level.max, level.max_at);
            assert_eq!(extremes(&actual), extremes(level), "{access}, a window of {length} at {at}");
            assert!((actual.average - level.average).abs() < 1e-9, "{access}: {actual:?}, {level:?}");
        }
        let inside = self.events.iter().filter(|event| event.at >= from);
        let opens: Vec<_> = inside.filter_map(|event| event.opened).collect();
        assert_eq!(window.opens, opens.len() as u64);
        let edits = opens.iter().filter(|(access, ..)| *access == Access::Edit).count();
        assert_eq!(window.edits, edits as u64);
        for reason in REASONS {
            let count = opens.iter().filter(|(_, given, _)| *given == Some(reason)).count() as u64;
            assert_eq!(window.fallbacks.get(&reason).copied(), (count > 0).then_some(count));
        }
        assert_eq!(window.users, opens.iter().map(|(_, _, user)| user).collect::<HashSet<_>>().len() as u64);
    }

    pub(super) fn check(&self, usage: &Usage, at: u64) {
        assert_eq!((usage.since.as_millis(), usage.at.as_millis()), (self.since, at));
        self.check_window(&usage.hour, DAY / 24, 60_000, at);
        self.check_window(&usage.day, DAY, 900_000, at);
        self.check_window(&usage.week, 7 * DAY, 3_600_000, at);
        self.check_window(&usage.month, 30 * DAY, DAY / 4, at);
        self.check_window(&usage.year, 365 * DAY, DAY, at);
        let name = |at: u64| Timestamp::from_millis(at).to_string()[..7].to_owned();
        // Walk back from now in days. No month is skipped.
        let days = (self.since / DAY..=at / DAY).rev().take(400);
        let names: BTreeSet<_> = days.map(|day| name(day * DAY)).collect();
        let actual: Vec<_> = usage.months.iter().map(|month| name(month.from.as_millis())).collect();
        assert_eq!(actual, names.into_iter().rev().take(13).rev().collect::<Vec<_>>());
        for (name_of_month, month) in actual.iter().zip(&usage.months) {
            for (access, count) in [(Access::Edit, month.edit), (Access::LiveView, month.live)] {
                let given = self.events.iter().filter(|event| name(event.at) == *name_of_month);
                let given = given.filter_map(|event| event.opened).filter(|(got, _, _)| *got == access);
                assert_eq!(count, given.map(|(_, _, user)| user).collect::<HashSet<_>>().len() as u64);
            }
        }
    }
}
