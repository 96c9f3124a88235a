//! Compares the range of limits from week to week with weeks that are drawn and recorded one by one.

use coedit::Timestamp;
use coedit::capacity::Observed;

const DAY: u64 = 86_400_000;
/// A Monday, 00:00 UTC.
const MONDAY: u64 = 1_700_438_400_000;

/// A small generator of random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The connections of a day: when each opens and closes, in milliseconds from midnight.
type DayOfWork = Vec<(u64, u64)>;

/// A day from eight to five. `opens` is the number of connections, which stay for up to an hour.
fn day_of_work(opens: u64, random: &mut Random) -> DayOfWork {
    let minutes = |count: u64| count * 60_000;
    let stay = |random: &mut Random| {
        let from = minutes(480) + random.below(minutes(480));
        (from, from + random.below(minutes(60)))
    };
    (0..opens).map(|_| stay(random)).collect()
}

/// Weeks from Monday to Sunday. Mondays are busy, weekends are empty, and days and weeks differ by about a fifth.
fn weeks_of_work(weeks: u64, random: &mut Random) -> Vec<DayOfWork> {
    let mut days = Vec::new();
    for _ in 0..weeks {
        let week = 90 + random.below(30);
        for mean in [160, 120, 120, 120, 80, 0, 0] {
            let opens = mean * week / 100 * (85 + random.below(30)) / 100;
            days.push(day_of_work(opens, random));
        }
    }
    days
}

/// Records days one after another.
fn observe<'a>(days: impl Iterator<Item = &'a DayOfWork>) -> Observed {
    let mut observed = Observed::new();
    for (day, midnight) in days.zip((MONDAY..).step_by(usize::try_from(DAY).unwrap())) {
        let edges = day
            .iter()
            .enumerate()
            .flat_map(|(index, (opens, closes))| [(*opens, 0, index), (*closes, 1, index)]);
        let mut edges: Vec<(u64, u8, usize)> = edges.collect();
        edges.sort_unstable();
        let mut open: Vec<_> = day.iter().map(|_| None).collect();
        for (at, edge, index) in edges {
            let at = Timestamp::from_millis(midnight + at);
            if edge == 0 {
                open[index] = Some(observed.record_open(at));
            } else {
                observed.record_close(open[index].take().unwrap(), at);
            }
        }
    }
    observed
}

/// Returns how many of 100 weeks that `next` makes have a limit within the range of `days`.
fn weeks_inside(days: &[DayOfWork], mut next: impl FnMut() -> Vec<DayOfWork>) -> usize {
    let range = observe(days.iter()).limit_range(0.01).unwrap().unwrap();
    assert_eq!(range.days as usize, days.iter().rposition(|day| !day.is_empty()).unwrap() + 1);
    let limits = (0..100).map(|_| observe(next().iter()).limit_for(0.01).unwrap());
    limits.filter(|limit| (range.low..=range.high).contains(limit)).count()
}

#[test]
fn the_range_contains_most_weeks_that_are_drawn_from_the_recording() {
    for (weeks, seed) in [(2, 11), (8, 12), (26, 13)] {
        let mut random = Random(seed);
        let days = weeks_of_work(weeks, &mut random);
        let pick = |random: &mut Random, weekday: u64| {
            days[usize::try_from(random.below(weeks) * 7 + weekday).unwrap()].clone()
        };
        let inside = weeks_inside(&days, || (0..7).map(|weekday| pick(&mut random, weekday)).collect());
        assert!(inside >= 90, "{inside} of 100 weeks of drawn days, {weeks} recorded");
        let whole = |random: &mut Random| {
            let first = usize::try_from(random.below(weeks) * 7).unwrap();
            days[first..first + 7].to_vec()
        };
        let inside = weeks_inside(&days, || whole(&mut random));
        assert!(inside >= 90, "{inside} of 100 drawn weeks, {weeks} recorded");
    }
}

/// Weeks to come are another matter than recorded ones. After half a year, the range contains most of them as well.
#[test]
fn the_range_of_half_a_year_contains_most_weeks_to_come() {
    let mut random = Random(15);
    let days = weeks_of_work(26, &mut random);
    let inside = weeks_inside(&days, || weeks_of_work(1, &mut random));
    assert!(inside >= 90, "{inside} of 100");
}

#[test]
fn the_range_contains_the_limit_of_the_whole_recording_and_needs_two_days() {
    let mut random = Random(16);
    let days = weeks_of_work(1, &mut random);
    assert_eq!(Observed::new().limit_range(0.01), Ok(None));
    assert_eq!(observe(days.iter().take(1)).limit_range(0.01), Ok(None));
    assert!(Observed::new().limit_range(0.0).is_err());
    for count in 2..=5 {
        for share in [0.001, 0.01, 0.2, 0.99] {
            let observed = observe(days.iter().take(count));
            let range = observed.limit_range(share).unwrap().unwrap();
            assert!((range.low..=range.high).contains(&observed.limit_for(share).unwrap()), "{range:?}");
            assert_eq!(observed.limit_range(share), Ok(Some(range)), "the same every time");
        }
    }
    // Days a million years apart.
    let mut observed = Observed::new();
    let _ = observed.record_open(Timestamp::from_millis(0));
    let _ = observed.record_open(Timestamp::from_millis(DAY * 365_000_000));
    assert_eq!(observed.limit_range(0.01).unwrap().unwrap().high, 2);
}
