//! What would have been under every limit: one pass over a record against one limit at a time.

use std::time::Duration;

use coedit::Timestamp;
use coedit::capacity::{Observed, Seat};
use proptest::prelude::*;

/// What happened, `millis` after the event before: somebody came, or the one who is at this place among those inside went.
#[derive(Clone, Copy, Debug)]
enum Event {
    Came { millis: u64 },
    Went { millis: u64, place: usize },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    // Mostly minutes; sometimes none, sometimes days.
    let millis = || prop_oneof![6 => 0..400_000_u64, 1 => Just(0), 1 => 0..200_000_000_u64];
    let came = millis().prop_map(|millis| Event::Came { millis });
    let went = (millis(), any::<usize>()).prop_map(|(millis, place)| Event::Went { millis, place });
    prop::collection::vec(prop_oneof![3 => came, 2 => went], 0..120)
}

const START: u64 = 1_700_611_200_000;

fn observe(events: &[Event]) -> Observed {
    let (mut observed, mut now) = (Observed::new(), START);
    let mut inside: Vec<Seat> = Vec::new();
    for event in events {
        match *event {
            Event::Came { millis } => {
                now += millis;
                inside.push(observed.came(Timestamp::from_millis(now)));
            }
            Event::Went { millis, place } if !inside.is_empty() => {
                now += millis;
                observed.gone(inside.remove(place % inside.len()), Timestamp::from_millis(now));
            }
            Event::Went { .. } => {}
        }
        assert_eq!(observed.open() as usize, inside.len());
    }
    observed
}

/// One limit, played through: fallbacks, and the peak with its first moment.
fn play(events: &[Event], limit: usize) -> (u64, Option<(u32, Timestamp)>) {
    let (mut inside, mut now): (Vec<bool>, u64) = (Vec::new(), START);
    let (mut fallbacks, mut peak) = (0, None);
    for event in events {
        match *event {
            Event::Came { millis } => {
                now += millis;
                let held = inside.iter().filter(|holds| **holds).count();
                inside.push(held < limit);
                if held >= limit {
                    fallbacks += 1;
                } else if peak.is_none_or(|(most, _)| held + 1 > most) {
                    peak = Some((held + 1, Timestamp::from_millis(now)));
                }
            }
            Event::Went { millis, place } if !inside.is_empty() => {
                now += millis;
                inside.remove(place % inside.len());
            }
            Event::Went { .. } => {}
        }
    }
    (fallbacks, peak.map(|(most, at)| (u32::try_from(most).unwrap(), at)))
}

/// Connections open over time: from each moment on so many.
fn course(events: &[Event]) -> Vec<(u64, u32)> {
    let mut course = vec![(START, 0)];
    for event in events {
        let &(now, open) = course.last().unwrap();
        match *event {
            Event::Came { millis } => course.push((now + millis, open + 1)),
            Event::Went { millis, .. } if open > 0 => course.push((now + millis, open - 1)),
            Event::Went { .. } => {}
        }
    }
    course
}

/// Milliseconds held in `from..to`.
fn held(course: &[(u64, u32)], from: u64, to: u64) -> u64 {
    let ends = course.iter().skip(1).map(|(end, _)| *end).chain([u64::MAX]);
    let stretches = course.iter().zip(ends);
    stretches.map(|(&(begin, open), end)| u64::from(open) * to.min(end).saturating_sub(from.max(begin))).sum()
}

proptest! {
    #[test]
    fn one_pass_is_as_good_as_one_for_each_limit(events in events()) {
        let observed = observe(&events);
        for limit in 0..60 {
            let (fallbacks, peak) = play(&events, limit as usize);
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
    #[expect(clippy::cast_precision_loss, reason = "as the code that is looked at")]
    fn loads_and_stays_are_what_was_held(events in events()) {
        let (observed, course) = (observe(&events), course(&events));
        let Some((first, latest)) = observed.span() else {
            prop_assert_eq!(course.len(), 1);
            return Ok(());
        };
        let (first, latest) = (first.as_millis(), latest.as_millis());
        prop_assert_eq!(latest, course.last().unwrap().0);
        let all = held(&course, first, latest);
        let expected = if first == latest { 0.0 } else { all as f64 / (latest - first) as f64 };
        prop_assert!((observed.load() - expected).abs() < 1e-9);
        prop_assert_eq!(observed.mean_stay(), Duration::from_millis(all / observed.opens()));

        let hour = 3_600_000;
        let hours = (first / hour..=latest / hour).map(|number| held(&course, number * hour, latest.min((number + 1) * hour)));
        let (_, load) = observed.busiest_hour().unwrap();
        prop_assert!((load - hours.max().unwrap() as f64 / hour as f64).abs() < 1e-9);
    }

    /// However long the record, the picture of it is small and has every peak and every fallback.
    #[test]
    fn a_picture_has_every_peak_and_every_fallback(events in events()) {
        let (observed, course) = (observe(&events), course(&events));
        let stretches: Vec<_> = observed.stretches().collect();
        prop_assert!(stretches.len() <= 2_000);
        let ends = stretches.iter().skip(1).map(|stretch| stretch.from.as_millis()).chain([u64::MAX]);
        for (stretch, end) in stretches.iter().zip(ends) {
            let from = stretch.from.as_millis();
            let carried = course.iter().take_while(|(at, _)| *at < from).last().map_or(0, |(_, open)| *open);
            let within = course.iter().filter(|(at, _)| (from..end).contains(at)).map(|(_, open)| *open);
            prop_assert_eq!(stretch.most, within.chain([carried]).max().unwrap());
        }
        for limit in 0..20 {
            let marked = stretches.iter().any(|stretch| stretch.falls_back(limit));
            prop_assert_eq!(marked, observed.fallbacks(limit) > 0);
        }
    }
}

#[test]
fn time_that_goes_back_stands_still_and_a_record_may_go_on() {
    let at = Timestamp::from_millis;
    let mut observed = Observed::new();
    assert_eq!((observed.peak(), observed.busiest_hour(), observed.span()), (None, None, None));
    assert_eq!((observed.load(), observed.share(0), observed.mean_stay()), (0.0, 0.0, Duration::ZERO));
    let seat = observed.came(at(5_000));
    assert_eq!((seat.number(), observed.peak_under(0)), (1, None));
    observed.gone(seat, at(1_000));
    assert_eq!((observed.span(), observed.load()), (Some((at(5_000), at(5_000))), 0.0));
    let _stays = observed.came(at(6_000));
    observed.until(at(9_000));
    assert_eq!((observed.span(), observed.load()), (Some((at(5_000), at(9_000))), 0.75));

    let mut other = Observed::new();
    for _ in 0..3 {
        let _ = other.came(at(0));
    }
    observed.gone(other.came(at(0)), at(9_000));
    assert_eq!(observed.open(), 1, "a number that was never given here");
}
