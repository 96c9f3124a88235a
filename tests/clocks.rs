//! Wall clocks that are set back, ahead or right, and machines that were suspended: delays do not notice, labels follow.

mod support;
use support::*;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use coedit::{Access, Callbacks, Clock, Config, Engine, NamedUsers, Reason, Status, SystemClock, Timestamp};

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

/// A host's clock that only shows a wall time.
#[derive(Clone, Default)]
struct WallClock(Arc<AtomicU64>);

impl WallClock {
    fn starting() -> Self {
        let clock = WallClock::default();
        clock.show(START);
        clock
    }

    fn show(&self, millis: u64) {
        self.0.store(millis, Ordering::SeqCst);
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A machine's clock: a wall clock that can be set, and a steady one.
#[derive(Clone)]
struct Machine {
    wall: WallClock,
    steady: Arc<AtomicU64>,
}

impl Machine {
    /// The machine has been running for five seconds.
    fn starting() -> Self {
        Machine { wall: WallClock::starting(), steady: Arc::new(5_000.into()) }
    }

    /// Both clocks run on.
    fn run(&self, millis: u64) {
        self.steady.fetch_add(millis, Ordering::SeqCst);
        self.wall.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn wall(&self) -> u64 {
        self.wall.now().as_millis()
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        self.wall.now()
    }

    fn steady(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.steady.load(Ordering::SeqCst)))
    }
}

fn engine(clock: &(impl Clock + Clone)) -> (Engine, Callbacks) {
    let engine = Engine::new(Config::new().clock(clock.clone())).unwrap();
    let callbacks = engine.callbacks();
    (engine, callbacks)
}

fn edit(engine: &Engine, document: &str, id: &str) -> coedit::Connection {
    engine.open(&key(document), &user(id), Access::Edit).unwrap()
}

/// Ann opens `doc`, changes it, and leaves.
fn edit_and_leave(engine: &Engine) {
    edit(engine, "doc", "ann").change().unwrap();
}

fn statuses(callbacks: &Callbacks) -> Vec<Status> {
    callbacks.try_iter().map(|delivery| delivery.acked().status).collect()
}

/// The `lastsave` of the save that is due.
fn lastsave(callbacks: &Callbacks) -> u64 {
    let save = callbacks.try_iter().map(Settle::acked).find(|callback| callback.status == Status::Save);
    save.expect("a save is due").lastsave.unwrap().as_millis()
}

#[test]
fn p9_a_clock_that_goes_back_an_hour_delays_no_save_by_an_hour() {
    let clock = WallClock::starting();
    let (engine, callbacks) = engine(&clock);
    edit_and_leave(&engine);
    assert_eq!(statuses(&callbacks), [Status::Editing]);
    clock.show(START - HOUR);
    assert_eq!(engine.next_deadline(), Some(Timestamp::from_millis(START - HOUR + 10_000)));
    engine.tick();
    assert_eq!(statuses(&callbacks), []);
    clock.show(START - HOUR + 10_000);
    engine.tick();
    assert_eq!(statuses(&callbacks), [Status::Save], "10 s later");
    assert_eq!(engine.now(), clock.now());
}

/// A machine whose cheap steady clock lags ten milliseconds behind.
#[derive(Clone)]
struct Lagging(Machine);

impl Clock for Lagging {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn steady(&self) -> Option<Duration> {
        self.0.steady()
    }

    fn coarse_steady(&self) -> Option<Duration> {
        Some(self.0.steady()?.saturating_sub(Duration::from_millis(10)))
    }

    // So that the pauses have no jitter.
    fn is_manual(&self) -> bool {
        true
    }
}

#[test]
fn p5_the_pause_after_a_failure_is_not_shorter_by_the_error_of_a_cheap_clock() {
    let clock = Lagging(Machine::starting());
    let config = Config::new().clock(clock.clone()).retry_pauses([seconds(1)]);
    let engine = Engine::new(config).unwrap();
    let callbacks = engine.callbacks();
    let _tab = edit(&engine, "doc", "ann");
    let callback = callbacks.try_recv().unwrap();
    engine.tick();
    clock.0.run(5);
    callback.fail();
    clock.0.run(999);
    engine.tick();
    assert!(callbacks.try_recv().is_err(), "a pause lasts a second and more");
    clock.0.run(1);
    engine.tick();
    assert_eq!(statuses(&callbacks), [Status::Editing]);
}

#[test]
fn p9_usage_counts_on_after_a_clock_that_was_ahead_for_a_moment() {
    let clock = WallClock::starting();
    let (engine, _callbacks) = engine(&clock);
    clock.show(START + 30 * DAY);
    drop(edit(&engine, "doc", "ann"));
    for hour in 0..48 {
        clock.show(START + hour * HOUR);
        drop(edit(&engine, "doc", "ann"));
    }
    let usage = engine.usage().unwrap();
    assert!(
        usage.hour.opens <= 2,
        "{} opens in the last hour, which ends {}",
        usage.hour.opens,
        usage.hour.to
    );
    assert_eq!((usage.at, usage.hour.to), (clock.now(), clock.now()));
    let month = usage.months.last().unwrap();
    assert_eq!((month.from, month.edit), ("2023-11-01T00:00:00.000Z".parse().unwrap(), 1));
}

/// The same delays, whatever the wall clock does meanwhile.
#[test]
fn p9_a_wall_clock_moves_no_delay_of_a_machine_with_a_steady_clock() {
    for wall in [0, START - HOUR, START, START + HOUR, START + 30 * DAY, Timestamp::MAX.as_millis()] {
        let machine = Machine::starting();
        let (engine, callbacks) = engine(&machine);
        edit_and_leave(&engine);
        assert_eq!(statuses(&callbacks), [Status::Editing]);
        machine.wall.show(wall);
        machine.run(9_999);
        engine.tick();
        assert_eq!(statuses(&callbacks), [], "{wall}");
        machine.run(1);
        assert!(engine.next_deadline().unwrap() <= machine.now());
        engine.tick();
        assert_eq!(callbacks.try_recv().unwrap().failed().status, Status::Save);
        // The first pause, which is up to a fifth longer or shorter.
        let [shortest, longest] = [800, 1_200].map(|pause| machine.now().after(Duration::from_millis(pause)));
        assert!(engine.tick().is_some_and(|due| (shortest..=longest).contains(&due)), "{wall}");
        machine.run(1_200);
        engine.tick();
        assert_eq!(statuses(&callbacks), [Status::Save], "{wall}");
    }
}

#[test]
fn p9_timed_force_saves_go_by_steady_time() {
    let machine = Machine::starting();
    let config = Config::new().clock(machine.clone()).force_save_interval(Some(seconds(60)));
    let engine = Engine::new(config).unwrap();
    let callbacks = engine.callbacks();
    let ann = edit(&engine, "doc", "ann");
    ann.change().unwrap();
    machine.wall.show(START + 30 * DAY);
    machine.run(59_999);
    engine.tick();
    assert_eq!(statuses(&callbacks), [Status::Editing]);
    machine.wall.show(START - HOUR);
    machine.run(1);
    engine.tick();
    assert_eq!(statuses(&callbacks), [Status::ForceSave]);
}

#[test]
fn p9_the_windows_of_usage_are_right_after_a_wall_clock_was_ahead_for_a_moment() {
    let machine = Machine::starting();
    let (engine, _callbacks) = engine(&machine);
    let ann = edit(&engine, "doc", "ann");
    machine.run(30 * 60_000);
    let right = machine.wall();
    machine.wall.show(right + 30 * DAY);
    let ahead = engine.usage().unwrap();
    assert_eq!((ahead.at, ahead.since), (machine.now(), Timestamp::from_millis(START + 30 * DAY)));
    drop(edit(&engine, "doc", "ben"));
    machine.wall.show(right);
    machine.run(30 * 60_000);
    drop(ann);
    machine.run(60 * 60_000);
    let usage = engine.usage().unwrap();
    assert_eq!((usage.since, usage.at), (Timestamp::from_millis(START), machine.now()));
    for window in [&usage.day, &usage.week, &usage.month, &usage.year] {
        assert_eq!((window.from, window.opens, window.users), (usage.since, 2, 2));
        assert_eq!((window.edit.max, window.edit.max_at), (2, Timestamp::from_millis(right)));
        // Ann for an hour out of two.
        assert_eq!(window.edit.average.to_bits(), 0.5_f64.to_bits());
    }
    let hour = usage.hour;
    assert_eq!((hour.from, hour.to), (Timestamp::from_millis(START + HOUR), machine.now()));
    assert_eq!((hour.opens, hour.edit.max, hour.edit.min), (0, 1, 0));
    let [month] = usage.months[..] else { panic!("{:?}", usage.months) };
    assert_eq!((month.from.to_string().as_str(), month.edit), ("2023-11-01T00:00:00.000Z", 2));
}

#[test]
fn the_months_of_usage_survive_a_wall_clock_that_is_ahead_for_moments() {
    let machine = Machine::starting();
    let (engine, _callbacks) = engine(&machine);
    // Two users in every month. The second one comes while the wall clock is ahead.
    for month in 0..16 {
        drop(edit(&engine, "doc", &format!("early-{month}")));
        machine.run(DAY);
        let right = machine.wall();
        let ahead = [right + 40 * DAY, right + 3_000 * DAY, Timestamp::MAX.as_millis()];
        machine.wall.show(ahead[month % 3]);
        drop(edit(&engine, "doc", &format!("late-{month}")));
        engine.usage().unwrap();
        machine.wall.show(right);
        machine.run(29 * DAY);
    }
    let months = engine.usage().unwrap().months;
    assert_eq!(months.len(), 13);
    assert!(months[..12].iter().all(|month| month.edit == 2), "{months:?}");
    assert_eq!((months[12].from.to_string().as_str(), months[12].edit), ("2025-03-01T00:00:00.000Z", 0));
}

#[test]
fn lastsave_follows_a_wall_clock_that_is_corrected() {
    for right in [START + HOUR, START + 30 * DAY] {
        let machine = Machine::starting();
        let (engine, callbacks) = engine(&machine);
        let ann = edit(&engine, "doc", "ann");
        ann.change().unwrap();
        machine.wall.show(right);
        machine.run(1_000);
        ann.change().unwrap();
        drop(ann);
        machine.run(10_000);
        engine.tick();
        assert_eq!(lastsave(&callbacks), right + 1_000);
    }
    // The clock was ahead. A document that was not changed meanwhile has the right time at once.
    let machine = Machine::starting();
    machine.wall.show(START + 30 * DAY);
    let (engine, callbacks) = engine(&machine);
    let ann = edit(&engine, "doc", "ann");
    machine.wall.show(START);
    machine.run(1_000);
    ann.change().unwrap();
    drop(ann);
    machine.run(10_000);
    engine.tick();
    assert_eq!(lastsave(&callbacks), START + 1_000);
}

/// The steady clock stood still meanwhile.
#[test]
fn lastsave_is_right_after_a_machine_was_suspended() {
    let machine = Machine::starting();
    let (engine, callbacks) = engine(&machine);
    let ann = edit(&engine, "doc", "ann");
    ann.change().unwrap();
    machine.run(1_000);
    machine.wall.show(machine.wall() + 8 * HOUR);
    engine.tick();
    ann.change().unwrap();
    assert_eq!(engine.holders(1)[0].active, machine.now());
    drop(ann);
    let due = machine.now().after(seconds(10));
    assert_eq!(engine.next_deadline(), Some(due));
    machine.run(10_000);
    engine.tick();
    assert_eq!(lastsave(&callbacks), START + 1_000 + 8 * HOUR);
}

#[test]
fn p9_lastsave_never_goes_back_within_a_session() {
    for wall in [0, START - 30 * DAY, START - HOUR, START - 1] {
        let machine = Machine::starting();
        let (engine, callbacks) = engine(&machine);
        // Somebody looks on, so that the session goes on after the save.
        let viewer = engine.open(&key("doc"), &user("zoe"), Access::View).unwrap();
        edit_and_leave(&engine);
        machine.run(10_000);
        engine.tick();
        assert_eq!(lastsave(&callbacks), START);
        machine.wall.show(wall);
        machine.run(10_000);
        edit_and_leave(&engine);
        machine.run(10_000);
        engine.tick();
        let history = callbacks.try_iter().map(Settle::acked).last().unwrap();
        assert_eq!(history.lastsave, Some(Timestamp::from_millis(START.max(wall + 10_000))), "{wall}");
        assert_eq!(
            history.history.unwrap().changes[0].created,
            Timestamp::from_millis(START.max((wall + 10_000) / 1_000 * 1_000))
        );
        drop(viewer);
    }
}

#[test]
fn named_users_count_by_the_days_of_the_wall_clock() {
    let machine = Machine::starting();
    let named = NamedUsers { edit: Some(1), live: None, expire_days: 2 };
    let engine = Engine::new(Config::new().clock(machine.clone()).named_users(named)).unwrap();
    let reason = |id: &str| engine.open(&key("doc"), &user(id), Access::Edit).unwrap().granted().reason;
    assert_eq!((reason("ann"), reason("ben")), (None, Some(Reason::UserQuota)));
    // A day back, her days are longer by one. Nobody else gets in meanwhile.
    machine.wall.show(START - DAY);
    machine.run(1_000);
    assert_eq!((reason("ann"), reason("ben")), (None, Some(Reason::UserQuota)));
    // The machine was suspended over the weekend: her days are over, although it did not run.
    machine.wall.show(START + 3 * DAY);
    machine.run(1_000);
    assert_eq!((reason("ben"), reason("ann")), (None, Some(Reason::UserQuota)));
    for wall in [0, Timestamp::MAX.as_millis(), START] {
        machine.wall.show(wall);
        machine.run(1_000);
        reason("ann");
        engine.validate().unwrap();
    }
}

#[test]
fn a_clock_may_be_set_to_anything_at_any_moment() {
    let walls = [START, 0, Timestamp::MAX.as_millis(), START + 30 * DAY, START - HOUR, 1];
    let calls = |engine: &Engine, callbacks: &Callbacks, round: usize| {
        let tab = edit(engine, "doc", "ann");
        tab.change().unwrap();
        engine.tick();
        let (usage, holders) = (engine.usage().unwrap(), engine.holders(9));
        assert!(usage.since <= usage.at && usage.hour.from <= usage.hour.to, "{round}");
        assert_eq!(holders.len(), 1);
        let _any = engine.next_deadline();
        drop(tab);
        engine.tick();
        callbacks.try_iter().for_each(|delivery| drop(delivery.acked()));
        engine.validate().unwrap();
    };
    let machine = Machine::starting();
    let (with_steady, its_callbacks) = engine(&machine);
    let clock = WallClock::starting();
    let (without, other_callbacks) = engine(&clock);
    for round in 0..60 {
        let wall = walls[round * round % walls.len()];
        machine.wall.show(wall);
        machine.run(round as u64 * 300);
        calls(&with_steady, &its_callbacks, round);
        clock.show(wall);
        calls(&without, &other_callbacks, round);
    }
}

#[test]
fn the_system_clock_shows_wall_time_and_steady_time() {
    let clock = SystemClock::new();
    assert!(clock.now() > Timestamp::from_millis(START));
    let [first, second] = [clock.steady(), clock.steady()];
    assert!(first.is_some() && first <= second && clock.coarse_steady().is_some());
    assert!(Arc::new(clock).steady() >= second, "a shared clock is the same clock");
    assert_eq!(WallClock::starting().steady(), None);
}
