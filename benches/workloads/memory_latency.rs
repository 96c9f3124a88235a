//! The latency of this machine's memory: the cost of a dependent random read.

use std::hint::black_box;

use crate::measure::{Random, Scale, clock_cost, grouped, line, median, per, timed};

/// A cache line that holds the index of the next one to read.
#[repr(align(64))]
#[derive(Clone)]
struct Line {
    next: u32,
}

pub(crate) fn compare(scale: Scale) {
    println!("\nlatency of this machine's memory");
    for lines in [1000, 1_000_000] {
        let mut ring = Ring::new(scale.documents(lines));
        let steps = scale.of(200_000, 100);
        let mut rounds: Vec<f64> = (0..scale.rounds()).map(|_| ring.read(steps)).collect();
        let name = format!("a dependent random read, {} lines of 64 bytes", grouped(lines));
        line(&name, median(&mut rounds), "ns");
    }
    line("a clock read", clock_cost(), "ns");
}

/// Cache lines linked into one ring, in random order.
pub(crate) struct Ring {
    lines: Vec<Line>,
    at: u32,
}

impl Ring {
    /// Links `count` lines with Sattolo's shuffle, which makes a single cycle.
    pub(crate) fn new(count: usize) -> Self {
        let mut lines: Vec<Line> = (0..count).map(|at| Line { next: u32::try_from(at).unwrap() }).collect();
        let mut random = Random::new();
        for at in (1..count).rev() {
            let other = random.below(at);
            let next = lines[at].next;
            lines[at].next = std::mem::replace(&mut lines[other].next, next);
        }
        Ring { lines, at: 0 }
    }

    /// Follows the ring for `steps` reads. Returns the nanoseconds of one.
    pub(crate) fn read(&mut self, steps: usize) -> f64 {
        let chase = || (0..steps).fold(self.at, |at, _| self.lines[at as usize].next);
        let (span, at) = timed(0.0, || black_box(chase()));
        self.at = at;
        per(span, steps)
    }
}
