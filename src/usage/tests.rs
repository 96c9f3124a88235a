//! The whole of it, against a second implementation that keeps every event and goes through them all.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use proptest::prelude::*;

use super::{Cut, Level, Meter, Recorder, Taken, Usage, Window};
use crate::access::{ACCESSES, Access, REASONS, Reason};
use crate::time::Timestamp;

const DAY: u64 = 86_400_000;
const SHARDS: usize = 3;

/// A hash of a number: the last step of `SplitMix64` (Steele, Lea and Flood, 2014).
pub(super) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// How many users there are in the world of the second implementation: few enough to be counted exactly.
const USERS: u64 = 100;

#[derive(Clone, Copy, Debug)]
struct Event {
    at: u64,
    counts: [u32; 3],
    opened: Option<(Access, Option<Reason>, u64)>,
}

/// The second implementation.
struct Naive {
    since: u64,
    events: Vec<Event>,
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
        for reason in REASONS {
            let count = opens.iter().filter(|(_, why, _)| *why == Some(reason)).count() as u64;
            assert_eq!(window.fallbacks.get(&reason).copied(), (count > 0).then_some(count));
        }
        assert_eq!(window.users, opens.iter().map(|(_, _, user)| user).collect::<HashSet<_>>().len() as u64);
    }

    fn check(&self, usage: &Usage, at: u64) {
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

/// The engine's side of it, and the second implementation beside it.
struct World {
    recorder: Recorder,
    meters: Vec<RefCell<Meter>>,
    counts: [Cell<u32>; 3],
    open: Vec<(usize, Access)>,
    naive: Naive,
}

impl World {
    fn new(since: u64) -> Self {
        let now = Timestamp::from_millis(since);
        World {
            recorder: Recorder::new(now),
            meters: (0..SHARDS).map(|_| RefCell::new(Meter::new(now))).collect(),
            counts: Default::default(),
            open: Vec::new(),
            naive: Naive { since, events: Vec::new() },
        }
    }

    fn present(&self, access: Access) -> u32 {
        self.counts[access.place()].get()
    }

    fn take(&self, cut: Cut) -> Taken {
        let mut all = Taken::default();
        self.meters.iter().for_each(|meter| all.add(&meter.borrow_mut().take(cut)));
        all
    }

    fn usage(&self, now: u64) -> Usage {
        let now = Timestamp::from_millis(now);
        self.recorder.usage(now, |access| self.present(access), |cut| self.take(cut))
    }

    fn begin(&self, now: Timestamp) {
        if self.recorder.is_due(now) {
            self.recorder.collect(now, |access| self.present(access), |cut| self.take(cut));
        }
    }

    fn rise(&self, access: Access, now: Timestamp) {
        let count = &self.counts[access.place()];
        count.set(count.get() + 1);
        self.recorder.rose(access, count.get(), now);
    }

    fn fall(&self, access: Access) {
        let count = &self.counts[access.place()];
        count.set(count.get() - 1);
        self.recorder.fell(access, count.get());
    }

    fn note(&mut self, at: u64, opened: Option<(Access, Option<Reason>, u64)>) {
        let counts = ACCESSES.map(|access| self.present(access));
        self.naive.events.push(Event { at, counts, opened });
    }

    fn open(&mut self, at: u64, pick: u64) {
        let now = Timestamp::from_millis(at);
        let (access, user) = (ACCESSES[usize::try_from(pick % 3).unwrap()], pick / 3 % USERS);
        let reason = (access == Access::View)
            .then(|| REASONS.get(usize::try_from(pick / 1_000 % 6).unwrap()).copied())
            .flatten();
        let shard = usize::try_from(pick / 10_000).unwrap() % SHARDS;
        self.begin(now);
        self.rise(access, now);
        self.meters[shard].borrow_mut().opened(now, access, reason, mix(user));
        self.open.push((shard, access));
        self.note(at, Some((access, reason, user)));
    }

    /// Closes a connection, or makes it view-only.
    fn move_one(&mut self, at: u64, pick: u64, close: bool) {
        if self.open.is_empty() {
            return;
        }
        let now = Timestamp::from_millis(at);
        let place = usize::try_from(pick).unwrap() % self.open.len();
        let (shard, from) = self.open[place];
        if !close && from == Access::View {
            return;
        }
        let to = (!close).then_some(Access::View);
        self.begin(now);
        self.meters[shard].borrow_mut().moved(now, Some(from), to);
        self.fall(from);
        match to {
            Some(access) => {
                self.rise(access, now);
                self.open[place].1 = access;
            }
            None => drop(self.open.swap_remove(place)),
        }
        self.note(at, None);
    }
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
        r#""edit":{"min":0,"average":1.0,"max":1,"maxAt":"2023-11-22T00:00:00.000Z"},"#,
    )));
    assert!(text.contains(r#""opens":2,"fallbacks":{"connection-limit":1},"users":1}"#));
    assert!(text.ends_with(r#""months":[{"from":"2023-11-01T00:00:00.000Z","edit":1,"live":0}]}"#));
    assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
}
