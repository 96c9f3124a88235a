//! The whole of it, against a second implementation that keeps every event and goes through them all.

mod naive;
mod world;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use proptest::prelude::*;

use super::{Cut, Meter, Recorder, Taken, Usage};
use crate::access::{ACCESSES, Access};
use crate::time::Timestamp;
use world::World;

const DAY: u64 = 86_400_000;
const SHARDS: usize = 3;

/// A hash of a number: the last step of `SplitMix64` (Steele, Lea and Flood, 2014).
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[derive(Clone, Copy, Debug)]
enum Gap {
    By(u64),
    /// To the next multiple.
    Align(u64),
}

fn gap() -> impl Strategy<Value = Gap> {
    prop_oneof![
        6 => Just(Gap::By(0)),
        4 => (0..1_000_u64).prop_map(Gap::By),
        4 => (0..150_000_u64).prop_map(Gap::By),
        2 => (0..2 * DAY).prop_map(Gap::By),
        1 => (0..40 * DAY).prop_map(Gap::By),
        1 => (0..800 * DAY).prop_map(Gap::By),
        2 => prop::sample::select(vec![60_000, 900_000, 3_600_000, DAY / 4, DAY]).prop_map(Gap::Align),
    ]
}

proptest! {
    #[test]
    fn every_number_is_that_of_a_second_implementation(
        since in prop_oneof![Just(0), 0..DAY, 1_700_000_000_000..1_710_000_000_000_u64],
        steps in prop::collection::vec((gap(), 0..10_u8, any::<u32>()), 1..120),
    ) {
        let mut world = World::new(since);
        let mut now = since;
        for (gap, action, pick) in steps {
            now = match gap {
                Gap::By(millis) => now + millis,
                Gap::Align(to) => now.next_multiple_of(to),
            };
            let pick = u64::from(pick);
            match action {
                0..5 => world.open(now, pick),
                5..7 => world.move_one(now, pick, true),
                7 => world.move_one(now, pick, false),
                _ => world.naive.check(&world.usage(now), now),
            }
        }
        world.naive.check(&world.usage(now), now);
        world.naive.check(&world.usage(now + 1), now + 1);
        world.naive.check(&world.usage(now + 400 * DAY), now + 400 * DAY);
    }

    /// Times that a clock set back or a late thread brings are still times within the window, and never a panic.
    #[test]
    fn time_that_goes_backward_keeps_every_number_sound(
        steps in prop::collection::vec((0..200_000_u64, 0..4_u8, any::<u32>()), 1..100),
    ) {
        let mut world = World::new(100_000);
        for (now, action, pick) in steps {
            let pick = u64::from(pick);
            match action {
                0 | 1 => world.open(now, pick),
                2 => world.move_one(now, pick, true),
                _ => {
                    let usage = world.usage(now);
                    prop_assert!(usage.at >= usage.since);
                    for level in [usage.hour.edit, usage.hour.live, usage.hour.view] {
                        prop_assert!(f64::from(level.min) <= level.average || usage.at == usage.since);
                        prop_assert!(level.average <= f64::from(level.max));
                        prop_assert!(usage.hour.from <= level.max_at && level.max_at <= usage.at);
                    }
                }
            }
        }
        let opens = world.naive.events.iter().filter(|event| event.opened.is_some()).count() as u64;
        prop_assert_eq!(world.usage(300_000).year.opens, opens);
    }
}

#[test]
fn idle_years_cost_a_step_a_bucket_and_keep_the_counts() {
    let mut world = World::new(0);
    world.open(5, 2);
    let year = 365 * DAY;
    for years in [1, 2, 3, 1_000, 8_000] {
        let usage = world.usage(years * year);
        assert_eq!(usage.hour.edit.average.to_bits(), 1.0_f64.to_bits());
        assert_eq!(usage.year.edit.max_at, Timestamp::from_millis(((years - 1) * year).max(5)));
        assert_eq!((usage.year.opens, usage.year.edit.min), (u64::from(years == 1), u32::from(years > 1)));
    }
    let end = world.usage(u64::MAX);
    assert_eq!((end.at, end.hour.edit.max), (Timestamp::MAX, 1));
    world.move_one(u64::MAX, 0, true);
    assert_eq!(world.usage(u64::MAX).hour.edit.min, 0);
}

#[test]
fn memory_is_bounded_whatever_the_traffic() {
    let world = World::new(0);
    let mut now = 0;
    let mut user = 0;
    // So that in the end each bucket of each ring and each month has had many users.
    for (step, steps) in [(DAY, 400), (DAY / 4, 130), (3_600_000, 180), (900_000, 100), (60_000, 70)] {
        for _ in 0..steps {
            now += step;
            world.begin(Timestamp::from_millis(now));
            for access in ACCESSES {
                for _ in 0..130 {
                    user += 1;
                    let moment = Timestamp::from_millis(now);
                    world.meters[0].borrow_mut().opened(moment, access, None, mix(user));
                }
            }
        }
    }
    let usage = world.usage(now);
    assert!(usage.hour.users > 128 && usage.months.iter().all(|month| month.edit > 128 && month.live > 128));
    let bytes = world.recorder.bytes();
    assert!((1_700_000..2 << 20).contains(&bytes), "{bytes} bytes");
    assert!(size_of::<Meter>() + 3 * 2_048 <= 6_656, "{} bytes a meter", size_of::<Meter>());
}

#[test]
fn threads_miss_no_peak_and_no_open() {
    let recorder = Recorder::new(Timestamp::from_millis(0));
    let meters: Vec<_> = (0..SHARDS).map(|_| Mutex::new(Meter::new(Timestamp::from_millis(0)))).collect();
    let (clock, edits) = (AtomicU64::new(0), AtomicU32::new(0));
    let present = |access| if access == Access::Edit { edits.load(Ordering::SeqCst) } else { 0 };
    let take = |cut: Cut| {
        let mut all = Taken::default();
        for meter in &meters {
            let taken = meter.lock().take(cut);
            all.add(&taken);
        }
        all
    };
    let run = |thread: u64| {
        let mut most = 0;
        for round in 0..3_000_u64 {
            let now = Timestamp::from_millis(clock.fetch_add(mix(round) % 40, Ordering::SeqCst));
            if recorder.is_due(now) {
                recorder.collect(now, present, take);
            }
            let count = edits.fetch_add(1, Ordering::SeqCst) + 1;
            recorder.rose(Access::Edit, count, now);
            most = most.max(count);
            let meter = &meters[usize::try_from(mix(thread + round)).unwrap() % SHARDS];
            meter.lock().opened(now, Access::Edit, None, mix(thread));
            meter.lock().moved(now, Some(Access::Edit), None);
            recorder.fell(Access::Edit, edits.fetch_sub(1, Ordering::SeqCst) - 1);
            if round % 100 == 0 {
                let level = recorder.usage(now, present, take).year.edit;
                assert!(level.average <= f64::from(level.max) && level.max <= 4);
            }
        }
        most
    };
    let most = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || run(thread))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max()
    });
    let usage = recorder.usage(Timestamp::from_millis(clock.load(Ordering::SeqCst)), present, take);
    assert_eq!((Some(usage.year.edit.max), usage.year.opens, usage.year.users), (most, 12_000, 4));
    assert!(meters.iter().all(|meter| meter.lock().counts() == [0; 3]));
}

#[test]
fn it_is_written_and_read_back() {
    let mut world = World::new(1_700_611_200_000);
    world.open(1_700_611_200_000, 2);
    world.open(1_700_611_200_000, 0);
    let usage = world.usage(1_700_611_201_000);
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
