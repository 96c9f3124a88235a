//! How things are measured.

mod crowd;
mod race;
mod random;

use std::time::{Duration, Instant};

pub(crate) use crowd::Crowd;
pub(crate) use race::{Figure, Round, Workload, line, median, race};
pub(crate) use random::{Random, shuffled};

/// How much is measured: all of it, or just enough to see that it runs.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) smoke: bool,
}

impl Scale {
    pub(crate) fn of(self, real: usize, smoke: usize) -> usize {
        if self.smoke { smoke.min(real) } else { real }
    }

    pub(crate) fn documents(self, real: usize) -> usize {
        self.of(real, 50)
    }

    pub(crate) fn rounds(self) -> usize {
        self.of(15, 2)
    }

    /// Pairs of open and close in a round.
    pub(crate) fn pairs(self) -> usize {
        self.of(20_480, 1024)
    }
}

/// What a clock read costs: it is taken off every span, which has one of its two reads in it.
pub(crate) fn clock_cost() -> f64 {
    let mut spans: Vec<f64> = (0..1001).map(|_| nanoseconds(Instant::now().elapsed())).collect();
    median(&mut spans)
}

pub(crate) fn nanoseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1e9
}

/// How many nanoseconds `act` takes.
pub(crate) fn timed<R>(clock_cost: f64, act: impl FnOnce() -> R) -> (f64, R) {
    let start = Instant::now();
    let result = act();
    (nanoseconds(start.elapsed()) - clock_cost, result)
}

#[expect(clippy::cast_precision_loss, reason = "counts of things done, far below 2^52")]
pub(crate) fn per(total: f64, count: usize) -> f64 {
    total / count.max(1) as f64
}
