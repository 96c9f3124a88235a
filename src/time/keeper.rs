//! Both kinds of time, read off one clock.

use std::sync::Arc;

use super::follow::Follower;
use super::forward::ForwardSteps;
use super::{Clock, Moment, Now, Timestamp};
use crate::sync::Apart;

/// Reads an engine's clock.
pub(crate) struct Timekeeper {
    clock: Arc<dyn Clock>,
    is_manual: bool,
    source: Apart<Source>,
}

/// Where steady time comes from.
#[derive(Debug)]
enum Source {
    /// The clock tells it.
    Steady(Follower),
    /// It is derived from the wall clock. Coarse readings have a sum of their own: they lag behind the precise ones, and
    /// that is no step back.
    Wall { precise: ForwardSteps, coarse: ForwardSteps },
}

impl Timekeeper {
    /// Steady time begins with the present wall time.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let (steady, wall) = (clock.steady(), clock.now());
        let steps = || ForwardSteps::new(wall);
        let source = match steady {
            Some(steady) => Source::Steady(Follower::new(steady, wall)),
            None => Source::Wall { precise: steps(), coarse: steps() },
        };
        Timekeeper { is_manual: clock.is_manual(), clock, source: Apart::new(source) }
    }

    /// Returns true if the host sets the time.
    pub(crate) fn is_manual(&self) -> bool {
        self.is_manual
    }

    /// The present time.
    pub(crate) fn now(&self) -> Now {
        match &*self.source {
            Source::Steady(follower) => follower.now(&*self.clock),
            Source::Wall { precise, coarse } => derived(precise, coarse, || self.clock.now()),
        }
    }

    /// The present time, cheap and a few milliseconds late. Follows a change of the wall clock within a second.
    pub(crate) fn coarse(&self) -> Now {
        match &*self.source {
            Source::Steady(follower) => follower.coarse(&*self.clock),
            Source::Wall { precise, coarse } => derived(coarse, precise, || self.clock.coarse()),
        }
    }

    /// What the wall clock shows at `moment`, if it goes on as it does now.
    pub(crate) fn wall_at(&self, moment: Moment) -> Timestamp {
        self.now().wall_at(moment)
    }
}

/// The present time by the sum of one kind of reading, but not before what the other kind has shown.
fn derived(steps: &ForwardSteps, other: &ForwardSteps, read: impl Fn() -> Timestamp) -> Now {
    let (sum, wall) = steps.read(read);
    Now { steady: Moment::from_millis(sum.max(other.latest())), wall }
}

impl std::fmt::Debug for Timekeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timekeeper").field("source", &*self.source).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::time::{ManualClock, SystemClock};

    const START: u64 = 1_700_611_200_000;
    const HOUR: u64 = 3_600_000;

    /// A clock whose wall time, steady time and coarse steady time a test sets, in milliseconds.
    #[derive(Default)]
    struct TestClock {
        wall: AtomicU64,
        steady: AtomicU64,
        coarse: AtomicU64,
    }

    impl TestClock {
        /// Sets the steady time, coarse and precise.
        fn pass_to(&self, steady: u64) {
            self.steady.store(steady, Ordering::SeqCst);
            self.coarse.store(steady, Ordering::SeqCst);
        }

        fn show(&self, wall: u64) {
            self.wall.store(wall, Ordering::SeqCst);
        }
    }

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.wall.load(Ordering::SeqCst))
        }

        fn steady(&self) -> Option<Duration> {
            Some(Duration::from_millis(self.steady.load(Ordering::SeqCst)))
        }

        fn coarse_steady(&self) -> Option<Duration> {
            Some(Duration::from_millis(self.coarse.load(Ordering::SeqCst)))
        }
    }

    fn keeper() -> (Arc<TestClock>, Timekeeper) {
        let clock = Arc::new(TestClock::default());
        clock.show(START);
        clock.pass_to(7_000);
        (clock.clone(), Timekeeper::new(clock))
    }

    /// Steady and wall time, in milliseconds since the start.
    fn since_start(now: Now) -> (i64, i64) {
        let since = |millis: u64| millis.cast_signed() - START.cast_signed();
        (since(now.steady.as_millis()), since(now.wall.as_millis()))
    }

    #[test]
    fn p9_a_manual_clock_shows_one_time() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(5)));
        let keeper = Timekeeper::new(clock.clone());
        assert!(keeper.is_manual());
        for time in [5, 6, 60_000, START, Timestamp::MAX.as_millis()].map(Timestamp::from_millis) {
            clock.move_to(time);
            let both = Now { steady: Moment::from_millis(time.as_millis()), wall: time };
            assert_eq!((keeper.coarse(), keeper.now()), (both, both));
            for millis in [0, 5, START, Timestamp::MAX.as_millis()] {
                assert_eq!(keeper.wall_at(Moment::from_millis(millis)), Timestamp::from_millis(millis));
            }
        }
    }

    #[test]
    fn p9_steady_time_goes_on_whatever_the_wall_clock_does() {
        let (clock, keeper) = keeper();
        clock.pass_to(8_000);
        clock.show(START - HOUR);
        assert_eq!(since_start(keeper.now()), (1_000, -3_600_000));
        assert_eq!(since_start(keeper.coarse()), (1_000, -3_600_000));
        clock.show(START + 30 * 24 * HOUR);
        clock.pass_to(8_500);
        assert_eq!(since_start(keeper.now()), (1_500, 2_592_000_000));
        let due = Moment::from_millis(START + 2_000);
        assert_eq!(keeper.wall_at(due).as_millis(), START + 30 * 24 * HOUR + 500, "in half a second");
    }

    #[test]
    fn coarse_readings_follow_the_wall_clock_within_a_second() {
        let (clock, keeper) = keeper();
        // The machine was suspended for an hour.
        clock.show(START + HOUR);
        assert_eq!(since_start(keeper.coarse()), (0, 0));
        clock.pass_to(7_999);
        assert_eq!(since_start(keeper.coarse()), (999, 999));
        clock.pass_to(8_000);
        clock.show(START + HOUR + 1_000);
        assert_eq!(since_start(keeper.coarse()), (1_000, 3_601_000));
        clock.pass_to(8_400);
        assert_eq!(since_start(keeper.coarse()), (1_400, 3_601_400));
    }

    #[test]
    fn p9_coarse_and_precise_readings_do_not_go_back_against_each_other() {
        let (clock, keeper) = keeper();
        clock.steady.store(7_010, Ordering::SeqCst);
        assert_eq!(since_start(keeper.now()).0, 10);
        assert_eq!(since_start(keeper.coarse()).0, 10, "the coarse clock shows 7,000 still");
        clock.coarse.store(7_020, Ordering::SeqCst);
        assert_eq!(since_start(keeper.coarse()).0, 20);
        assert_eq!(since_start(keeper.now()).0, 20, "the coarse clock is ahead");
        clock.pass_to(0);
        assert_eq!(since_start(keeper.now()).0, 20, "a steady clock that goes back is held");
    }

    #[test]
    fn p9_coarse_readings_that_lag_behind_are_no_steps_back() {
        struct Lagging(ManualClock);
        impl Clock for Lagging {
            fn now(&self) -> Timestamp {
                self.0.now()
            }

            fn coarse(&self) -> Timestamp {
                Timestamp::from_millis(self.0.now().as_millis() / 10 * 10)
            }
        }
        let clock = Arc::new(Lagging(ManualClock::new(Timestamp::from_millis(START))));
        let keeper = Timekeeper::new(clock.clone());
        for passed in 1..1_000 {
            clock.0.advance(Duration::from_millis(1));
            assert_eq!(since_start(keeper.now()), (passed, passed));
            assert_eq!(since_start(keeper.coarse()), (passed, passed / 10 * 10));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn the_system_clock_is_right_in_both_ways() {
        let before = SystemClock::new().now();
        let keeper = Timekeeper::new(Arc::new(SystemClock::new()));
        let mut latest = Moment::default();
        for round in 0..10_000 {
            let now = if round % 3 == 0 { keeper.now() } else { keeper.coarse() };
            assert!(latest <= now.steady && !keeper.is_manual());
            latest = now.steady;
        }
        // Whatever the wall clock did meanwhile, it shows no time of another year.
        let apart = keeper.now().wall.as_millis().abs_diff(before.as_millis());
        assert!(apart < 365 * 24 * HOUR, "{apart}");
    }

    #[test]
    fn p9_steady_time_goes_back_in_no_thread() {
        let (clock, keeper) = keeper();
        let rounds: u64 = if cfg!(miri) { 20 } else { 10_000 };
        let run = |thread: u64| {
            let mut latest = Moment::default();
            for round in 0..rounds {
                clock.steady.fetch_add(1, Ordering::SeqCst);
                clock.coarse.store(clock.steady.load(Ordering::SeqCst) / 4 * 4, Ordering::SeqCst);
                clock.show(round * thread * 1_000);
                let now = if round % 2 == 0 { keeper.now() } else { keeper.coarse() };
                assert!(latest <= now.steady, "{latest:?} and then {now:?}");
                latest = now.steady;
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || run(thread));
            }
        });
        assert_eq!(since_start(keeper.now()).0, 4 * i64::try_from(rounds).unwrap());
    }
}
