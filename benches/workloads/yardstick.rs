//! What memory costs here and now: a dependent random read.

use std::hint::black_box;

use crate::measure::{Random, Scale, clock_cost, line, median, per, timed};

/// A cache line.
#[repr(align(64))]
#[derive(Clone)]
struct Line {
    next: u32,
}

pub(crate) fn compare(scale: Scale) {
    println!("\nyardstick");
    let cost = clock_cost();
    for lines in [1000, 1_000_000] {
        let mut ring = Ring::new(scale.documents(lines));
        let steps = scale.of(200_000, 100);
        let mut rounds: Vec<f64> = (0..scale.rounds()).map(|_| ring.read(steps)).collect();
        line(&format!("dependent random read, {lines} lines of 64 bytes"), median(&mut rounds), "ns");
    }
    line("clock read", cost, "ns");
}

/// Lines that each say which is the next, in random order.
pub(crate) struct Ring {
    lines: Vec<Line>,
    at: u32,
}

impl Ring {
    /// All of them in one ring (Sattolo's shuffle).
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

    /// Nanoseconds a read.
    pub(crate) fn read(&mut self, steps: usize) -> f64 {
        let chase = || (0..steps).fold(self.at, |at, _| self.lines[at as usize].next);
        let (span, at) = timed(0.0, || black_box(chase()));
        self.at = at;
        per(span, steps)
    }
}
