//! Compares the recorder with a second implementation, which keeps every event and walks through all of them.

mod metered_engine;
mod naive;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use proptest::prelude::*;

use super::{Collected, Meter, Period, Recorder, Usage};
use crate::access::{ACCESSES, Access};
use crate::time::Timestamp;
use metered_engine::{MeteredEngine, both, moment};

const DAY: u64 = 86_400_000;
const SHARDS: usize = 3;

/// Hashes a number with the last step of `SplitMix64` (Steele, Lea and Flood, 2014).
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The time between two steps of a test, in milliseconds.
#[derive(Clone, Copy, Debug)]
enum TimeStep {
    Advance(u64),
    /// Advances to the next multiple.
    AlignTo(u64),
}

fn time_step() -> impl Strategy<Value = TimeStep> {
    prop_oneof![
        6 => Just(TimeStep::Advance(0)),
        4 => (0..1_000_u64).prop_map(TimeStep::Advance),
        4 => (0..150_000_u64).prop_map(TimeStep::Advance),
        2 => (0..2 * DAY).prop_map(TimeStep::Advance),
        1 => (0..40 * DAY).prop_map(TimeStep::Advance),
        1 => (0..800 * DAY).prop_map(TimeStep::Advance),
        2 => prop::sample::select(vec![60_000, 900_000, 3_600_000, DAY / 4, DAY]).prop_map(TimeStep::AlignTo),
    ]
}

proptest! {
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn every_number_agrees_with_the_second_implementation(
        since in prop_oneof![Just(0), 0..DAY, 1_700_000_000_000..1_710_000_000_000_u64],
        steps in prop::collection::vec((time_step(), 0..10_u8, any::<u32>()), 1..120),
    ) {
        let mut engine = MeteredEngine::new(since);
        let mut now = since;
        for (step, action, pick) in steps {
            now = match step {
                TimeStep::Advance(millis) => now + millis,
                TimeStep::AlignTo(to) => now.next_multiple_of(to),
            };
            let pick = u64::from(pick);
            match action {
                0..5 => engine.open(now, pick),
                5..7 => engine.close(now, pick),
                7 => engine.make_viewer(now, pick),
                _ => engine.naive.check(&engine.usage(now), now),
            }
        }
        engine.naive.check(&engine.usage(now), now);
        engine.naive.check(&engine.usage(now + 1), now + 1);
        engine.naive.check(&engine.usage(now + 400 * DAY), now + 400 * DAY);
    }

    /// A clock that is set back, or a late thread, never causes a panic or a number outside its bounds.
    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn every_number_stays_in_bounds_while_the_clock_goes_backward(
        steps in prop::collection::vec((0..200_000_u64, 0..4_u8, any::<u32>()), 1..100),
    ) {
        let mut engine = MeteredEngine::new(100_000);
        for (now, action, pick) in steps {
            let pick = u64::from(pick);
            match action {
                0 | 1 => engine.open(now, pick),
                2 => engine.close(now, pick),
                _ => {
                    let usage = engine.usage(now);
                    prop_assert!(usage.at >= usage.since);
                    for level in [usage.hour.edit, usage.hour.live, usage.hour.view] {
                        prop_assert!(f64::from(level.min) <= level.average || usage.at == usage.since);
                        prop_assert!(level.average <= f64::from(level.max));
                        prop_assert!(usage.hour.from <= level.max_at && level.max_at <= usage.at);
                    }
                }
            }
        }
        let opens = engine.naive.events.iter().filter(|event| event.opened.is_some()).count() as u64;
        prop_assert_eq!(engine.usage(300_000).year.opens, opens);
    }
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
fn idle_years_cost_one_step_a_bucket_and_keep_the_counts() {
    let mut engine = MeteredEngine::new(0);
    engine.open(5, 2);
    let year = 365 * DAY;
    for years in [1, 2, 3, 1_000, 8_000] {
        let usage = engine.usage(years * year);
        assert_eq!(usage.hour.edit.average.to_bits(), 1.0_f64.to_bits());
        assert_eq!(usage.year.edit.max_at, Timestamp::from_millis(((years - 1) * year).max(5)));
        assert_eq!((usage.year.opens, usage.year.edit.min), (u64::from(years == 1), u32::from(years > 1)));
    }
    let end = engine.usage(u64::MAX);
    assert_eq!((end.at, end.hour.edit.max), (Timestamp::MAX, 1));
    engine.close(u64::MAX, 0);
    assert_eq!(engine.usage(u64::MAX).hour.edit.min, 0);
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
fn memory_is_bounded_under_any_traffic() {
    let engine = MeteredEngine::new(0);
    let mut now = 0;
    let mut user = 0;
    // The steps give every bucket of every window and every month more than 128 users.
    for (step, steps) in [(DAY, 400), (DAY / 4, 130), (3_600_000, 180), (900_000, 100), (60_000, 70)] {
        for _ in 0..steps {
            now += step;
            engine.collect_if_due(moment(now));
            for access in ACCESSES {
                for _ in 0..130 {
                    user += 1;
                    engine.meters[0].borrow_mut().record_open(moment(now), access, None, mix(user));
                }
            }
        }
    }
    let usage = engine.usage(now);
    assert!(usage.hour.users > 128 && usage.months.iter().all(|month| month.edit > 128 && month.live > 128));
    let bytes = engine.recorder.bytes();
    assert!((1_800_000..2_097_152).contains(&bytes), "{bytes} bytes");
    let meter = size_of::<Meter>() + 3 * 2_320;
    assert!(meter <= 7_680, "{meter} bytes a meter");
}

#[test]
fn no_peak_and_no_open_of_several_threads_is_missed() {
    let recorder = Recorder::new(both(moment(0)));
    let meters: Vec<_> = (0..SHARDS).map(|_| Mutex::new(Meter::new(moment(0)))).collect();
    let (clock, edits) = (AtomicU64::new(0), AtomicU32::new(0));
    let present = |access| if access == Access::Edit { edits.load(Ordering::SeqCst) } else { 0 };
    let collect_shards = |period: Period| {
        let mut all = Collected::default();
        for meter in &meters {
            let collected = meter.lock().collect(period);
            all.add(&collected);
        }
        all
    };
    let rounds = if cfg!(miri) { 10 } else { 3_000 };
    let run = |thread: u64| {
        let mut peak = 0;
        for round in 0..rounds {
            let now = moment(clock.fetch_add(mix(round) % 40, Ordering::SeqCst));
            if recorder.is_due(now) {
                recorder.collect(both(now), present, collect_shards);
            }
            let count = edits.fetch_add(1, Ordering::SeqCst) + 1;
            recorder.record_rise(Access::Edit, count, now);
            peak = peak.max(count);
            let meter = &meters[usize::try_from(mix(thread + round)).unwrap() % SHARDS];
            meter.lock().record_open(now, Access::Edit, None, mix(thread));
            meter.lock().record_change(now, Some(Access::Edit), None);
            recorder.record_fall(Access::Edit, edits.fetch_sub(1, Ordering::SeqCst) - 1);
            if round % 100 == 0 {
                let level = recorder.usage(both(now), present, collect_shards).year.edit;
                assert!(level.average <= f64::from(level.max) && level.max <= 4);
            }
        }
        peak
    };
    let peak = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max()
    });
    let usage = recorder.usage(both(moment(clock.load(Ordering::SeqCst))), present, collect_shards);
    assert_eq!((Some(usage.year.edit.max), usage.year.opens, usage.year.users), (peak, 4 * rounds, 4));
    assert!(meters.iter().all(|meter| meter.lock().counts() == [0; 3]));
}

#[test]
fn usage_is_serialized_and_deserialized() {
    let mut engine = MeteredEngine::new(1_700_611_200_000);
    engine.open(1_700_611_200_000, 2);
    engine.open(1_700_611_200_000, 0);
    let usage = engine.usage(1_700_611_201_000);
    let text = serde_json::to_string(&usage).unwrap();
    assert!(text.starts_with(concat!(
        r#"{"at":"2023-11-22T00:00:01.000Z","since":"2023-11-22T00:00:00.000Z","#,
        r#""hour":{"from":"2023-11-22T00:00:00.000Z","to":"2023-11-22T00:00:01.000Z","#,
        r#""edit":{"min":0,"average":1.0,"max":1,"max_at":"2023-11-22T00:00:00.000Z"},"#,
    )));
    assert!(text.contains(r#""opens":2,"edits":1,"fallbacks":{"connection-limit":1},"users":1}"#));
    assert!(text.ends_with(r#""months":[{"from":"2023-11-01T00:00:00.000Z","edit":1,"live":0}]}"#));
    assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
}
