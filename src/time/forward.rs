//! Steady time out of a wall clock: for a host's clock that shows nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Timestamp;

/// Adds up the forward steps of a wall clock. A step back adds nothing, and later forward steps count from there.
///
/// Until the clock first goes back, the sum is what the clock shows.
#[derive(Debug)]
pub(super) struct ForwardSteps {
    /// The latest sum, in milliseconds.
    latest: AtomicU64,
    /// By how much the sum exceeds what the clock shows: all steps back together.
    back: AtomicU64,
}

impl ForwardSteps {
    pub(super) fn new(wall: Timestamp) -> Self {
        ForwardSteps { latest: AtomicU64::new(wall.as_millis()), back: AtomicU64::new(0) }
    }

    /// The latest sum that any thread has seen.
    pub(super) fn latest(&self) -> u64 {
        self.latest.load(Ordering::SeqCst)
    }

    /// Reads the clock. Returns the sum and what the clock shows.
    pub(super) fn read(&self, clock: impl Fn() -> Timestamp) -> (u64, Timestamp) {
        loop {
            // Loaded before the clock is read. So if the reading is below it, the clock went back, and the reading is
            // not just older than that of another thread.
            let latest = self.latest();
            let back = self.back.load(Ordering::SeqCst);
            let wall = clock();
            let sum = wall.as_millis().saturating_add(back);
            if sum >= latest {
                if sum > latest {
                    self.latest.fetch_max(sum, Ordering::SeqCst);
                }
                return (sum, wall);
            }
            // If this fails, another thread has just counted a step back, perhaps the same one.
            let more = back.saturating_add(latest - sum);
            if self.back.compare_exchange(back, more, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                return (latest, wall);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(steps: &ForwardSteps, millis: u64) -> u64 {
        steps.read(|| Timestamp::from_millis(millis)).0
    }

    #[test]
    fn p9_only_steps_forward_add_up() {
        let steps = ForwardSteps::new(Timestamp::from_millis(1_000));
        let readings = [1_000, 1_500, 500, 500, 600, 0, 10, 5_010];
        let sums = [1_000, 1_500, 1_500, 1_500, 1_600, 1_600, 1_610, 6_610];
        assert_eq!(readings.map(|millis| read(&steps, millis)), sums);
        assert_eq!(steps.latest(), 6_610);
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn the_ends_of_time_are_no_trouble() {
        let steps = ForwardSteps::new(Timestamp::MAX);
        for _ in 0..100_000 {
            assert!(read(&steps, 0) <= read(&steps, Timestamp::MAX.as_millis()));
        }
        assert_eq!(steps.latest(), u64::MAX);
    }

    #[test]
    fn a_reading_that_is_late_is_no_step_back() {
        let steps = ForwardSteps::new(Timestamp::from_millis(1_000));
        // While this thread reads 1,001, another one reads 1,002.
        let late = || {
            assert_eq!(read(&steps, 1_002), 1_002);
            Timestamp::from_millis(1_001)
        };
        assert_eq!(steps.read(late).0, 1_001);
        assert_eq!(read(&steps, 1_003), 1_003, "the sum is still what the clock shows");
    }

    #[test]
    fn a_step_back_that_two_threads_see_counts_once() {
        let steps = ForwardSteps::new(Timestamp::from_millis(1_000));
        let first = std::cell::Cell::new(true);
        let clock = || {
            if first.replace(false) {
                assert_eq!(read(&steps, 400), 1_000);
            }
            Timestamp::from_millis(400)
        };
        assert_eq!(steps.read(clock).0, 1_000);
        assert_eq!(read(&steps, 500), 1_100);
    }

    #[test]
    fn p9_many_threads_agree_on_the_sum() {
        let rounds = if cfg!(miri) { 20 } else { 20_000 };
        let wall = AtomicU64::new(1_000_000);
        let steps = ForwardSteps::new(Timestamp::from_millis(1_000_000));
        let clock = || Timestamp::from_millis(wall.load(Ordering::SeqCst));
        let run = || {
            let mut before = 0;
            for _ in 0..rounds {
                wall.fetch_add(1, Ordering::SeqCst);
                let (sum, _) = steps.read(clock);
                assert!(before <= sum, "{before} and then {sum}");
                before = sum;
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(run))));
        assert_eq!(steps.read(clock).0, 1_000_000 + 4 * rounds, "nothing is counted twice");
        wall.store(500, Ordering::SeqCst);
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(run))));
        let sum = steps.read(clock).0;
        assert!((1_000_000 + 4 * rounds..=1_000_000 + 8 * rounds).contains(&sum), "{sum}");
    }
}
