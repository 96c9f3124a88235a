//! The second implementation.

use std::collections::{BTreeSet, HashSet};

use super::DAY;
use crate::access::{ACCESSES, Access, REASONS, Reason};
use crate::time::Timestamp;
use crate::usage::{Level, Usage, Window};

#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) at: u64,
    /// Connections by access, after it.
    pub(super) counts: [u32; 3],
    pub(super) opened: Option<(Access, Option<Reason>, u64)>,
}

/// All that ever happened.
pub(super) struct Naive {
    pub(super) since: u64,
    pub(super) events: Vec<Event>,
}

impl Naive {
    fn level(&self, access: Access, from: u64, to: u64) -> Level {
        let before = self.events.iter().rfind(|event| event.at < from);
        let mut count = before.map_or(0, |event| event.counts[access.place()]);
        let (mut min, mut max, mut max_at, mut area, mut last) = (count, count, from, 0, from);
        for event in self.events.iter().filter(|event| event.at >= from) {
            area += u128::from(count) * u128::from(event.at - last);
            (last, count) = (event.at, event.counts[access.place()]);
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
            let told = [window.view, window.live, window.edit][access.place()];
            let extremes = |level: &Level| (level.min, level.max, level.max_at);
            assert_eq!(extremes(&told), extremes(level), "{access}, a window of {length} at {at}");
            assert!((told.average - level.average).abs() < 1e-9, "{access}: {told:?}, {level:?}");
        }
        let inside = self.events.iter().filter(|event| event.at >= from);
        let opens: Vec<_> = inside.filter_map(|event| event.opened).collect();
        assert_eq!(window.opens, opens.len() as u64);
        let edits = opens.iter().filter(|(access, ..)| *access == Access::Edit).count();
        assert_eq!(window.edits, edits as u64);
        for reason in REASONS {
            let count = opens.iter().filter(|(_, why, _)| *why == Some(reason)).count() as u64;
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
        // Back from now in steps that skip no month.
        let days = (self.since / DAY..=at / DAY).rev().take(400);
        let names: BTreeSet<_> = days.map(|day| name(day * DAY)).collect();
        let told: Vec<_> = usage.months.iter().map(|month| name(month.from.as_millis())).collect();
        assert_eq!(told, names.into_iter().rev().take(13).rev().collect::<Vec<_>>());
        for (month, told) in told.iter().zip(&usage.months) {
            for (access, count) in [(Access::Edit, told.edit), (Access::LiveView, told.live)] {
                let given = self.events.iter().filter(|event| name(event.at) == *month);
                let given = given.filter_map(|event| event.opened).filter(|(got, _, _)| *got == access);
                assert_eq!(count, given.map(|(_, _, user)| user).collect::<HashSet<_>>().len() as u64);
            }
        }
    }
}
