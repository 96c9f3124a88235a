//! The second implementation. It keeps every event and recomputes every number from them.

use std::collections::{BTreeSet, HashSet};

use super::DAY;
use crate::access::{ACCESSES, Access, REASONS, Reason};
use crate::time::Timestamp;
use crate::usage::{BusyPeriod, Level, Usage, Window};

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

    /// Edit connections times milliseconds.
    fn area(&self, from: u64, to: u64) -> u64 {
        let counts = self.events.iter().map(|event| (event.at, event.counts[Access::Edit.index()]));
        let begins = counts.clone().map(|(at, _)| at).skip(1).chain([to]);
        let pieces = counts
            .zip(begins)
            .map(|((begin, count), end)| u64::from(count) * end.min(to).saturating_sub(begin.max(from)));
        pieces.sum()
    }

    /// The largest area of all periods of so many minutes that begin with a minute of the window and are not later than
    /// the present minute. Between two events an area changes evenly, so it is largest next to one of them.
    fn busiest(&self, minutes: u64, from: u64, at: u64) -> u64 {
        let end = at.div_ceil(60_000).max(self.since / 60_000 + 1);
        let last = end.saturating_sub(minutes);
        let first =
            if from > self.since { from / 60_000 } else { (from / 60_000 + 1).saturating_sub(minutes) };
        let events = self.events.iter().flat_map(|event| [event.at / 60_000, event.at.div_ceil(60_000)]);
        let near = events.flat_map(|minute| [minute, minute.saturating_sub(minutes)]).chain([
            first,
            last,
            last.saturating_sub(1),
        ]);
        let starts = near.filter(|start| (first..=last).contains(start));
        starts.map(|start| self.area(start * 60_000, at.min((start + minutes) * 60_000))).max().unwrap_or(0)
    }

    fn check_busiest(&self, busiest: Option<BusyPeriod>, minutes: u64, from: u64, at: u64) {
        #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
        let average = |area: u64| area as f64 / (minutes * 60_000) as f64;
        let expected = average(self.busiest(minutes, from, at));
        let actual = busiest.map_or(0.0, |busiest| busiest.average);
        assert!((actual - expected).abs() < 1e-9, "{minutes} minutes from {from}: {busiest:?}, {expected}");
        let Some(busiest) = busiest else { return };
        let start = busiest.from.as_millis();
        if start > self.since {
            let end = at.min(start + minutes * 60_000);
            assert!((average(self.area(start, end)) - expected).abs() < 1e-9, "{busiest:?}");
            assert_eq!((start % 60_000, start >= from), (0, true));
        }
        assert!(busiest.average <= busiest.offered && busiest.average <= f64::from(busiest.max));
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
        self.check_busiest(window.busiest_hour, 60, from, at);
        self.check_busiest(window.busiest_quarter, 15, from, at);
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
