//! The usage of the engine, computed from a record of everything that happened.

use coedit::{Access, DocumentKey, Level, Month, Reason, Timestamp, Usage, UserId, Window};

use super::denials::{Denials, Present};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

pub const ACCESSES: [Access; 3] = [Access::Edit, Access::LiveView, Access::View];

/// A connection opened, closed or got another access.
struct Event {
    at: u64,
    /// The number of connections with each access after the event.
    counts: [u32; 3],
    opened: Option<Opened>,
}

pub struct Opened {
    pub user: UserId,
    pub access: Access,
    pub reason: Option<Reason>,
}

/// Every event since the engine started.
pub struct Record {
    since: u64,
    events: Vec<Event>,
    /// When the cap of all connections refused an open.
    cap_refusals: Vec<u64>,
    /// When connections began to wait for edit access.
    waits: Vec<u64>,
    /// When connections that waited were granted it, and after how many seconds.
    grants: Vec<(u64, u64)>,
    denials: Denials,
}

fn distinct_users<'a>(opened: impl Iterator<Item = &'a Opened>) -> u64 {
    let mut users: Vec<&UserId> = opened.map(|opened| &opened.user).collect();
    users.sort();
    users.dedup();
    users.len() as u64
}

impl Record {
    pub fn new(since: u64) -> Self {
        Record {
            since,
            events: Vec::new(),
            cap_refusals: Vec::new(),
            waits: Vec::new(),
            grants: Vec::new(),
            denials: Denials::default(),
        }
    }

    pub fn add_cap_refusal(&mut self, at: u64) {
        self.cap_refusals.push(at);
    }

    pub fn add_wait(&mut self, at: u64) {
        self.waits.push(at);
    }

    /// Each wait is rounded to a second.
    pub fn add_grant(&mut self, at: u64, millis: u64) {
        self.grants.push((at, (millis + 500) / 1_000));
    }

    /// A limit, or something else, refused edit access to an open.
    pub fn refuse(&mut self, at: u64, user: (DocumentKey, UserId), reason: Reason, present: &Present) {
        self.denials.refuse(at, user, reason, present);
    }

    /// Who is there and who edits, after something changed.
    pub fn follow(&mut self, at: u64, present: &Present) {
        self.denials.follow(at, present);
    }

    /// The engine was restored: who was there is back in time, or has left.
    pub fn restart(&mut self, at: u64, present: &Present) {
        self.denials.restart(at, present);
    }

    pub fn add(&mut self, at: u64, counts: [u32; 3], opened: Option<Opened>) {
        self.events.push(Event { at, counts, opened });
    }

    /// Compares the usage that the engine reports with the record, at the time `now`.
    pub fn check(&self, usage: &Usage, now: u64) {
        assert_eq!((usage.since.as_millis(), usage.at.as_millis()), (self.since, now));
        let windows = [
            (&usage.hour, HOUR, MINUTE),
            (&usage.day, DAY, 15 * MINUTE),
            (&usage.week, 7 * DAY, HOUR),
            (&usage.month, 30 * DAY, 6 * HOUR),
            (&usage.year, 365 * DAY, DAY),
        ];
        for (window, length, bucket) in windows {
            // The start of the bucket that contains the time one whole window ago.
            let from = ((now - length) / bucket * bucket).max(self.since);
            assert_eq!((window.from.as_millis(), window.to.as_millis()), (from, now));
            self.check_window(window, from, now);
        }
        self.check_months(&usage.months, now);
    }

    fn check_window(&self, window: &Window, from: u64, to: u64) {
        for (place, reported) in [window.edit, window.live, window.view].into_iter().enumerate() {
            let level = self.level(place, from, to);
            let extremes = |level: Level| (level.min, level.max, level.max_at.as_millis());
            assert_eq!(extremes(reported), level.0, "{} from {from} to {to}", ACCESSES[place]);
            assert!((reported.average - level.1).abs() < 1e-9, "{reported:?}, {level:?} from {from} to {to}");
        }
        let opened = || self.events.iter().filter(|one| one.at >= from).filter_map(|one| one.opened.as_ref());
        assert_eq!(window.opens, opened().count() as u64);
        assert_eq!(window.users, distinct_users(opened()));
        for reason in opened().filter_map(|opened| opened.reason) {
            let count = opened().filter(|opened| opened.reason == Some(reason)).count() as u64;
            assert_eq!(window.fallbacks.get(&reason), Some(&count), "{reason}");
        }
        let capped = self.cap_refusals.iter().filter(|at| **at >= from).count() as u64;
        assert_eq!(window.fallbacks.get(&Reason::ConnectionCap).copied().unwrap_or(0), capped);
        let fallbacks = opened().filter(|opened| opened.reason.is_some()).count() as u64;
        assert_eq!(window.fallbacks.values().sum::<u64>(), fallbacks + capped);
        self.check_waits(window, from);
        self.denials.check(&window.denials, from, to);
    }

    fn check_waits(&self, window: &Window, from: u64) {
        let begun = self.waits.iter().filter(|at| **at >= from).count();
        let grants = self.grants.iter().filter(|(at, _)| *at >= from);
        let times: Vec<u64> = grants.map(|(_, seconds)| *seconds).collect();
        let reported = window.waits;
        let counts = [reported.begun, reported.granted].map(u64::from);
        assert_eq!(counts, [begun as u64, times.len() as u64], "waits from {from}");
        assert_eq!(u64::from(reported.longest_s), times.iter().copied().max().unwrap_or(0));
        #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
        let average = times.iter().sum::<u64>() as f64 / times.len().max(1) as f64;
        assert!((reported.average_s - average).abs() < 1e-9, "{reported:?}, {average} from {from}");
    }

    /// Returns the minimum, the maximum, the first time of the maximum, and the average.
    fn level(&self, place: usize, from: u64, to: u64) -> ((u32, u32, u64), f64) {
        let before = self.events.iter().rfind(|one| one.at < from).map_or(0, |one| one.counts[place]);
        let mut steps = vec![(from, before)];
        steps.extend(self.events.iter().filter(|one| one.at >= from).map(|one| (one.at, one.counts[place])));
        let ends = steps[1..].iter().map(|(at, _)| *at).chain([to]);
        let area: u64 = steps.iter().zip(ends).map(|((at, count), end)| u64::from(*count) * (end - at)).sum();
        let counts = || steps.iter().map(|(_, count)| *count);
        let (min, max) = (counts().min().unwrap(), counts().max().unwrap());
        let max_at = steps.iter().find(|(_, count)| *count == max).unwrap().0;
        #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
        let average = if to > from { area as f64 / (to - from) as f64 } else { 0.0 };
        ((min, max, max_at), average)
    }

    fn check_months(&self, months: &[Month], now: u64) {
        // The month of a time, such as `2023-11`.
        let name = |at: u64| Timestamp::from_millis(at).to_string()[..7].to_owned();
        // Thirteen months have at most 397 days.
        let days = (self.since / DAY).max(now / DAY - 400)..=now / DAY;
        let mut names: Vec<String> = days.map(|day| name(day * DAY)).collect();
        names.dedup();
        let last = &names[names.len().saturating_sub(13)..];
        assert_eq!(months.iter().map(|month| name(month.from.as_millis())).collect::<Vec<_>>(), last);
        let events: Vec<_> = self.events.iter().map(|one| (name(one.at), one.opened.as_ref())).collect();
        for (month, of_month) in months.iter().zip(last) {
            for (access, reported) in [(Access::Edit, month.edit), (Access::LiveView, month.live)] {
                let opened =
                    events.iter().filter(|(name, _)| name == of_month).filter_map(|(_, opened)| *opened);
                let opened = opened.filter(|one| one.access == access);
                assert_eq!(reported, distinct_users(opened), "{access} in {of_month}");
            }
        }
    }
}
