//! Compares `Observed`, which analyses all limits in one pass, with a simulation of one limit at a time.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use coedit::Timestamp;
use coedit::capacity::{
    Burst, Observed, ObservedConnection, UnderLimit, WorstPeriod, connections_for_group, timetable,
};
use proptest::prelude::*;

/// What happened, `millis` after the event before: a connection opened, or the one at `index` of the open ones closed.
#[derive(Clone, Copy, Debug)]
enum Event {
    Open { millis: u64 },
    Close { millis: u64, index: usize },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    // Mostly minutes, sometimes zero, sometimes days.
    let millis = || prop_oneof![6 => 0..400_000_u64, 1 => Just(0), 1 => 0..200_000_000_u64];
    let opens = millis().prop_map(|millis| Event::Open { millis });
    let closes = (millis(), any::<usize>()).prop_map(|(millis, index)| Event::Close { millis, index });
    prop::collection::vec(prop_oneof![3 => opens, 2 => closes], 0..120)
}

const START: u64 = 1_700_611_200_000;
const HOUR: u64 = 3_600_000;
const MINUTE: u64 = 60_000;

/// Local time minus UTC, in minutes.
const UTC_OFFSET: i32 = -210;

/// The user of an open.
fn user(open: u64) -> u64 {
    open * open % 11
}

fn observe(events: &[Event]) -> Observed {
    let (mut observed, mut now, mut opens) = (Observed::with_utc_offset(UTC_OFFSET), START, 0);
    let mut open: Vec<ObservedConnection> = Vec::new();
    for event in events {
        match *event {
            Event::Open { millis } => {
                now += millis;
                open.push(observed.record_open_by(user(opens), Timestamp::from_millis(now)));
                opens += 1;
            }
            Event::Close { millis, index } if !open.is_empty() => {
                now += millis;
                observed.record_close(open.remove(index % open.len()), Timestamp::from_millis(now));
            }
            Event::Close { .. } => {}
        }
        assert_eq!(observed.open_connections() as usize, open.len());
    }
    observed
}

/// Simulates one limit. Returns the fallbacks, and the peak with the time at which it was first reached.
fn simulate(events: &[Event], limit: usize) -> (u64, Option<(u32, Timestamp)>) {
    let (mut open, mut now): (Vec<bool>, u64) = (Vec::new(), START);
    let (mut fallbacks, mut peak) = (0, None);
    for event in events {
        match *event {
            Event::Open { millis } => {
                now += millis;
                let held = open.iter().filter(|holds| **holds).count();
                open.push(held < limit);
                if held >= limit {
                    fallbacks += 1;
                } else if peak.is_none_or(|(highest, _)| held + 1 > highest) {
                    peak = Some((held + 1, Timestamp::from_millis(now)));
                }
            }
            Event::Close { millis, index } if !open.is_empty() => {
                now += millis;
                open.remove(index % open.len());
            }
            Event::Close { .. } => {}
        }
    }
    (fallbacks, peak.map(|(highest, at)| (u32::try_from(highest).unwrap(), at)))
}

/// The number of open connections from each time on.
fn open_counts(events: &[Event]) -> Vec<(u64, u32)> {
    let mut counts = vec![(START, 0)];
    for event in events {
        let &(now, open) = counts.last().unwrap();
        match *event {
            Event::Open { millis } => counts.push((now + millis, open + 1)),
            Event::Close { millis, .. } if open > 0 => counts.push((now + millis, open - 1)),
            Event::Close { .. } => {}
        }
    }
    counts
}

/// Connections times milliseconds in `from..to`.
fn held(counts: &[(u64, u32)], from: u64, to: u64) -> u64 {
    let ends = counts.iter().skip(1).map(|(end, _)| *end).chain([u64::MAX]);
    let spans = counts.iter().zip(ends);
    spans.map(|(&(begin, open), end)| u64::from(open) * to.min(end).saturating_sub(from.max(begin))).sum()
}

/// A connection under one limit. All times are in milliseconds.
struct Stay {
    opens: u64,
    closes: u64,
    user: u64,
    fell_back: bool,
}

/// Simulates one limit and returns all connections, in the order of their opens.
fn stays(events: &[Event], limit: usize) -> Vec<Stay> {
    let (mut stays, mut open, mut now): (Vec<Stay>, Vec<usize>, u64) = (Vec::new(), Vec::new(), START);
    for event in events {
        match *event {
            Event::Open { millis } => {
                now += millis;
                let held = open.iter().filter(|index| !stays[**index].fell_back).count();
                open.push(stays.len());
                let user = user(stays.len() as u64);
                stays.push(Stay { opens: now, closes: u64::MAX, user, fell_back: held >= limit });
            }
            Event::Close { millis, index } if !open.is_empty() => {
                now += millis;
                let index = open.remove(index % open.len());
                stays[index].closes = now;
            }
            Event::Close { .. } => {}
        }
    }
    for stay in &mut stays {
        stay.closes = stay.closes.min(now);
    }
    stays
}

/// The opens and the fallbacks among `stays`.
fn count<'a>(stays: impl Iterator<Item = &'a Stay>) -> (u64, u64) {
    stays.fold((0, 0), |(opens, fallbacks), stay| (opens + 1, fallbacks + u64::from(stay.fell_back)))
}

fn worst(periods: impl Iterator<Item = (u64, (u64, u64))>) -> Option<WorstPeriod> {
    let (from, (opens, fallbacks)) = periods.max_by_key(|(from, (_, fallbacks))| (*fallbacks, *from))?;
    (fallbacks > 0).then_some(WorstPeriod { from: Timestamp::from_millis(from), opens, fallbacks })
}

fn under(events: &[Event], limit: u32) -> UnderLimit {
    let stays = stays(events, limit as usize);
    let viewers: Vec<&Stay> = stays.iter().filter(|stay| stay.fell_back).collect();
    let within = |from: u64, length: u64| {
        let inside = move |stay: &&Stay| (from..from + length).contains(&stay.opens);
        (from, count(stays.iter().filter(inside)))
    };
    // Midnight is at 03:30 UTC.
    let day = 24 * HOUR;
    let midnight = |at: u64| (at - 210 * MINUTE) / day * day + 210 * MINUTE;
    let view_only = |at: u64| viewers.iter().filter(|stay| (stay.opens..stay.closes).contains(&at)).count();
    // The number of viewers changes at these times only.
    let edges: BTreeSet<u64> = viewers.iter().flat_map(|stay| [stay.opens, stay.closes]).collect();
    let spans = edges.iter().zip(edges.iter().skip(1));
    let busy = spans.filter(|(from, _)| view_only(**from) > 0).map(|(from, to)| to - from);
    let (opens, fallbacks) = count(stays.iter());
    UnderLimit {
        limit,
        fallbacks,
        share: if opens == 0 {
            0.0
        } else {
            f64::from(u32::try_from(fallbacks).unwrap()) / f64::from(u32::try_from(opens).unwrap())
        },
        worst_hour: worst(viewers.iter().map(|stay| within(stay.opens, HOUR))),
        worst_day: worst(viewers.iter().map(|stay| within(midnight(stay.opens), day))),
        users_hit: viewers.iter().map(|stay| stay.user).collect::<BTreeSet<u64>>().len() as u64,
        view_only_peak: view_only_peak(events, limit as usize),
        view_only_time: Duration::from_millis(busy.sum()),
        view_only_sum: Duration::from_millis(viewers.iter().map(|stay| stay.closes - stay.opens).sum()),
    }
}

fn view_only_peak(events: &[Event], limit: usize) -> Option<(u32, Timestamp)> {
    let mut peak: Option<(u32, Timestamp)> = None;
    for (position, event) in events.iter().enumerate() {
        if let Event::Open { .. } = event {
            // Those that are not closed by then close last in this part of the recording.
            let (mut open, mut now): (Vec<bool>, u64) = (Vec::new(), START);
            for event in &events[..=position] {
                match *event {
                    Event::Open { millis } => {
                        now += millis;
                        open.push(open.iter().filter(|edits| **edits).count() < limit);
                    }
                    Event::Close { millis, index } if !open.is_empty() => {
                        now += millis;
                        open.remove(index % open.len());
                    }
                    Event::Close { .. } => {}
                }
            }
            let viewers = u32::try_from(open.iter().filter(|edits| !**edits).count()).unwrap();
            if viewers > peak.map_or(0, |(highest, _)| highest) {
                peak = Some((viewers, Timestamp::from_millis(now)));
            }
        }
    }
    peak
}

proptest! {
    #[test]
    fn one_pass_agrees_with_a_simulation_of_each_limit(events in events()) {
        let observed = observe(&events);
        for limit in 0..60 {
            let (fallbacks, peak) = simulate(&events, limit as usize);
            prop_assert_eq!(observed.fallbacks(limit), fallbacks, "limit {}", limit);
            prop_assert_eq!(observed.peak_under(limit), peak, "limit {}", limit);
        }
        for share in [0.001, 0.1, 0.5, 0.99] {
            let limit = observed.limit_for(share).unwrap();
            prop_assert!(observed.share(limit) <= share);
            prop_assert!(limit == 0 || observed.share(limit - 1) > share);
        }
    }

    #[test]
    fn what_users_meet_agrees_with_a_simulation_of_each_limit(events in events()) {
        let observed = observe(&events);
        prop_assert_eq!(observed.users() as usize, (0..observed.opens()).map(user).collect::<BTreeSet<u64>>().len());
        for limit in [0, 1, 2, 4, 9, 20] {
            prop_assert_eq!(observed.under(limit), under(&events, limit));
        }
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "as in the tested code")]
    fn loads_and_durations_agree_with_the_held_time(events in events()) {
        let (observed, counts) = (observe(&events), open_counts(&events));
        let Some((first, latest)) = observed.span() else {
            prop_assert_eq!(counts.len(), 1);
            return Ok(());
        };
        let (first, latest) = (first.as_millis(), latest.as_millis());
        prop_assert_eq!(latest, counts.last().unwrap().0);
        let all = held(&counts, first, latest);
        let expected = if first == latest { 0.0 } else { all as f64 / (latest - first) as f64 };
        prop_assert!((observed.load() - expected).abs() < 1e-9);
        prop_assert_eq!(observed.mean_duration(), Duration::from_millis(all / observed.opens()));

        // The busiest period begins or ends at an event.
        for (length, busiest) in [(HOUR, observed.busiest_hour()), (HOUR / 4, observed.busiest_quarter_hour())] {
            let begins = counts.iter().flat_map(|(at, _)| [*at, at - length]);
            let most = begins.map(|from| held(&counts, from, latest.min(from + length))).max().unwrap();
            let (from, load) = busiest.unwrap();
            prop_assert!((load - most as f64 / length as f64).abs() < 1e-9);
            let from = from.as_millis();
            prop_assert_eq!(held(&counts, from, latest.min(from + length)), most);
        }
    }

    /// A recording of any length has at most 2,000 intervals.
    #[test]
    fn the_intervals_contain_every_peak_and_every_fallback(events in events()) {
        let (observed, counts) = (observe(&events), open_counts(&events));
        let intervals: Vec<_> = observed.intervals().collect();
        prop_assert!(intervals.len() <= 2_000);
        let ends = intervals.iter().skip(1).map(|interval| interval.from.as_millis()).chain([u64::MAX]);
        for (interval, end) in intervals.iter().zip(ends) {
            let from = interval.from.as_millis();
            let carried = counts.iter().take_while(|(at, _)| *at < from).last().map_or(0, |(_, open)| *open);
            let within = counts.iter().filter(|(at, _)| (from..end).contains(at)).map(|(_, open)| *open);
            prop_assert_eq!(interval.peak, within.chain([carried]).max().unwrap());
        }
        for limit in 0..20 {
            let marked = intervals.iter().any(|interval| interval.has_fallbacks(limit));
            prop_assert_eq!(marked, observed.fallbacks(limit) > 0);
        }
    }
}

/// A class of 400 students. They open within `spread` milliseconds and stay for 45 minutes.
fn class(begins: u64, spread: u64) -> Observed {
    let mut observed = Observed::new();
    let at = |student: u64| begins + student * spread / 400;
    let students: Vec<_> = (0..400)
        .map(|student| (student, observed.record_open(Timestamp::from_millis(at(student)))))
        .collect();
    for (student, connection) in students {
        observed.record_close(connection, Timestamp::from_millis(at(student) + 45 * MINUTE));
    }
    observed
}

/// With the clock's hour, a class at 9:37 had a load of 153 in place of 300.
#[test]
fn a_class_needs_as_many_connections_whenever_it_begins() {
    for begins in (0..60).map(|minute| START + minute * MINUTE) {
        for spread in [0, 5 * MINUTE] {
            let observed = class(begins, spread);
            let (hour, load) = observed.busiest_hour().unwrap();
            assert!((load - 300.0).abs() < 1e-9, "{load}");
            assert_eq!(hour, Timestamp::from_millis(begins));
            let (_, load) = observed.busiest_quarter_hour().unwrap();
            assert!((load - 400.0).abs() < 1e-9, "{load}");
            assert_eq!(observed.limit_for(0.01), Ok(396));
            assert_eq!(connections_for_group(400, load / 400.0, 0.01), Ok(400));
        }
    }
}

#[test]
fn a_class_needs_no_recording() {
    for time in ["00:00", "09:00", "09:37", "23:59"] {
        let class: Burst = format!("400@{time}/45m").parse().unwrap();
        let day = timetable(&[class], Timestamp::from_millis(START)).unwrap();
        let begins = Timestamp::from_millis(START).after(class.begins);
        assert_eq!((day.peak(), day.limit_for(0.01), day.users()), (Some((400, begins)), Ok(396), 400));
        assert_eq!(day.under(399).view_only_time, Duration::from_secs(45 * 60));
    }
    let classes = ["30@08:00/1h30m", "20@09:30/1h", "15@08:30/90m", "9@23:30/1h0m30s"];
    let classes: Vec<Burst> = classes.iter().map(|class| class.parse().unwrap()).collect();
    let day = timetable(&classes, Timestamp::from_millis(START)).unwrap();
    assert_eq!(day.peak().unwrap().0, 45, "the first class leaves when the second one comes");
    assert_eq!(day.span().unwrap().1.as_millis() - START, 24 * HOUR + 30 * MINUTE + 30_000);
    assert_eq!(timetable(&[], Timestamp::default()).unwrap().peak(), None);
    let crowd = Burst { users: 60_000, ..classes[0] };
    assert!(timetable(&[crowd, crowd], Timestamp::default()).is_err());
}

#[test]
fn bursts_are_read_strictly_and_written_back() {
    for text in ["400@09:00/45m", "1@23:59/1h", "7@00:00/1h30m5s", "0@12:30/90s"] {
        let burst: Burst = text.parse().unwrap();
        assert_eq!(burst.to_string().parse(), Ok(burst));
    }
    for text in [
        "",
        "400",
        "400@09:00",
        "@09:00/45m",
        "400@/45m",
        "400@09:00/",
        "400@09:00/45",
        "400@09:00/0m",
        "-4@09:00/45m",
        "400@24:00/45m",
        "400@09:60/45m",
        "400@9/45m",
        "400@09:00/45m1h",
        "400@09:00/m",
        "+4@09:00/45m",
        "4000000000@09:00/1m",
        "400@09:00/45m/1h",
        "4@09:00/5x",
        "4 @09:00/5m",
        "9999999999@09:00/5m",
        "4@09:00/1000000000h",
    ] {
        assert!(text.parse::<Burst>().is_err(), "{text}");
    }
}

/// Five days with 60 connections from nine to five, local time. On Monday at nine, 60 more open within ten minutes.
fn week(utc_offset: i32) -> Observed {
    const MONDAY: u64 = 1_700_438_400_000;
    let nine = |day: u64| MONDAY + (day * 24 + 9) * HOUR - u64::try_from(utc_offset).unwrap() * MINUTE;
    let steady =
        (0..5).flat_map(|day| (0..960).map(move |open| (nine(day) + open * MINUTE / 2, 30 * MINUTE)));
    let monday = (0..60).map(|open| (nine(0) + open * MINUTE / 6, 30 * MINUTE));
    let mut events: Vec<(u64, bool, usize)> = steady
        .chain(monday)
        .enumerate()
        .flat_map(|(index, (opens, stay))| [(opens, true, index), (opens + stay, false, index)])
        .collect();
    events.sort_unstable();
    let mut observed = Observed::with_utc_offset(utc_offset);
    let mut open = HashMap::new();
    for (at, opens, index) in events {
        let at = Timestamp::from_millis(at);
        if opens {
            open.insert(index, observed.record_open_by(index as u64 % 200, at));
        } else {
            observed.record_close(open.remove(&index).unwrap(), at);
        }
    }
    observed
}

#[test]
fn a_week_that_loses_one_percent_loses_more_on_monday_at_nine() {
    let observed = week(120);
    let limit = observed.limit_for(0.01).unwrap();
    let under = observed.under(limit);
    assert!(under.share <= 0.01 && under.share > 0.009, "{under:?}");
    let (hour, day) = (under.worst_hour.unwrap(), under.worst_day.unwrap());
    assert_eq!(day.from.to_string(), "2023-11-19T22:00:00.000Z"); // Monday in Berlin
    assert_eq!((day.opens, day.fallbacks), (1_020, under.fallbacks));
    assert!((day.share() - 0.046).abs() < 0.002, "{}", day.share());
    assert!(hour.from.to_string().starts_with("2023-11-20T07:"), "{}", hour.from);
    assert!(hour.share() > 0.25 && hour.fallbacks == under.fallbacks, "{}", hour.share());
    assert!((40..=under.fallbacks).contains(&under.users_hit), "{under:?}");
    assert!(
        under.view_only_time > Duration::from_secs(30 * 60) && under.view_only_time < under.view_only_sum
    );
}

#[test]
fn time_stands_still_while_it_goes_backward_and_a_recording_can_be_extended() {
    let at = Timestamp::from_millis;
    let mut observed = Observed::new();
    assert_eq!((observed.peak(), observed.busiest_hour(), observed.span()), (None, None, None));
    assert_eq!((observed.load(), observed.share(0), observed.mean_duration()), (0.0, 0.0, Duration::ZERO));
    let connection = observed.record_open(at(5_000));
    assert_eq!((connection.number(), observed.peak_under(0)), (1, None));
    observed.record_close(connection, at(1_000));
    assert_eq!((observed.span(), observed.load()), (Some((at(5_000), at(5_000))), 0.0));
    let _open = observed.record_open(at(6_000));
    observed.extend(at(9_000));
    assert_eq!((observed.span(), observed.load()), (Some((at(5_000), at(9_000))), 0.75));

    let mut other = Observed::new();
    for _ in 0..3 {
        let _ = other.record_open(at(0));
    }
    observed.record_close(other.record_open(at(0)), at(9_000));
    assert_eq!(observed.open_connections(), 1, "the number was never given here");
}
