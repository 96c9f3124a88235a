//! The tools that the workloads measure with.

mod crowd;
mod race;
mod random;

use std::time::{Duration, Instant};

pub(crate) use crowd::Crowd;
pub(crate) use race::{Figure, Round, Workload, line, median, race};
pub(crate) use random::{Random, shuffled};

/// The size of a run: full size, or a smoke run that only shows that everything works.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) smoke: bool,
}

impl Scale {
    pub(crate) fn of(self, full: usize, smoke: usize) -> usize {
        if self.smoke { smoke.min(full) } else { full }
    }

    pub(crate) fn documents(self, full: usize) -> usize {
        self.of(full, 50)
    }

    pub(crate) fn rounds(self) -> usize {
        self.of(15, 2)
    }

    /// Pairs of open and close in a round.
    pub(crate) fn pairs(self) -> usize {
        self.of(20_480, 1024)
    }
}

/// Measures the cost of a clock read, in nanoseconds. A measured span contains one of its two reads, so the cost of one
/// is subtracted from it.
pub(crate) fn clock_cost() -> f64 {
    let mut spans: Vec<f64> = (0..1001).map(|_| nanoseconds(Instant::now().elapsed())).collect();
    median(&mut spans)
}

pub(crate) fn nanoseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e9
}

/// Runs `act` and returns how many nanoseconds it took.
pub(crate) fn timed<R>(clock_cost: f64, act: impl FnOnce() -> R) -> (f64, R) {
    let start = Instant::now();
    let result = act();
    (nanoseconds(start.elapsed()) - clock_cost, result)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn per(total: f64, count: usize) -> f64 {
    total / count.max(1) as f64
}

/// Writes a number with a comma at every thousand.
pub(crate) fn grouped(number: usize) -> String {
    if number < 1000 {
        return number.to_string();
    }
    format!("{},{:03}", grouped(number / 1000), number % 1000)
}
