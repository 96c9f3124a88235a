//! Opens and closes by several threads: each on documents of its own, or all on one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, clock_cost, per, race, timed};

/// The number of documents of each thread.
const OWN: usize = 20_000;

pub(crate) fn compare(scale: Scale) {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for count in [2, 4, 8, 16].into_iter().filter(|count| *count <= cores.max(2)) {
        for distinct in [true, false] {
            race(&Threads { count, distinct, scale }, scale);
        }
    }
}

struct Threads {
    count: usize,
    distinct: bool,
    scale: Scale,
}

impl Workload for Threads {
    fn title(&self) -> String {
        let on = if self.distinct { "20,000 documents each" } else { "one document" };
        format!("open + close by {} threads, {on}, draining every 64 included", self.count)
    }

    fn figures(&self) -> Vec<Figure> {
        let alone = |name| format!("{name}, 1 thread");
        let together = |name| format!("{name}, {} threads: time / all pairs", self.count);
        let speedup = |name| format!("{name}, speedup (ratio)");
        let figures = |name| [alone(name), together(name), speedup(name)];
        ["pair", "  calls alone"].into_iter().flat_map(figures).collect()
    }

    fn prepare<C: Contender>(&self) -> Round {
        let documents = if self.distinct { self.count * self.scale.documents(OWN) } else { 1 };
        let crowd = Crowd::<C>::new(documents, 2, None);
        let visitors: Vec<C::User> = (2..2 + self.count).map(C::user).collect();
        let (count, distinct) = (self.count, self.distinct);
        let window = Duration::from_millis(self.scale.of(20, 1) as u64);
        Box::new(move || {
            let part = crowd.keys.len() / if distinct { count } else { 1 };
            let keys = |number| if distinct { number * part..(number + 1) * part } else { 0..part };
            let run = |threads| run(&crowd, &visitors[..threads], &keys, window);
            run(1);
            let (alone, together) = (run(1), run(count));
            let figures = |at: usize| [alone[at], together[at], alone[at] / together[at]];
            (0..2).flat_map(figures).collect()
        })
    }
}

/// Runs a thread for each visitor until `window` has passed. Returns the time divided by the pairs of all threads, in
/// nanoseconds: with draining, and the calls alone. All threads work from the first to the last moment.
fn run<C: Contender>(
    crowd: &Crowd<C>,
    visitors: &[C::User],
    keys: &impl Fn(usize) -> std::ops::Range<usize>,
    window: Duration,
) -> [f64; 2] {
    let (started, stop) = (&AtomicUsize::new(0), &AtomicBool::new(false));
    let paces = thread::scope(|scope| {
        let start = |(number, visitor)| {
            let keys = &crowd.keys[keys(number)];
            scope.spawn(move || {
                started.fetch_add(1, Ordering::SeqCst);
                // A barrier would put threads to sleep, and those would start late.
                while started.load(Ordering::SeqCst) < visitors.len() {
                    std::hint::spin_loop();
                }
                visit(&crowd.contender, keys, visitor, stop)
            })
        };
        let threads: Vec<_> = visitors.iter().enumerate().map(start).collect();
        thread::sleep(window);
        stop.store(true, Ordering::SeqCst);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    [0, 1].map(|at| paces.iter().map(|pace| pace[at].recip()).sum::<f64>().recip())
}

/// Opens and closes until `stop`. Returns the nanoseconds of a pair: with draining, and the calls alone.
fn visit<C: Contender>(contender: &C, keys: &[C::Key], visitor: &C::User, stop: &AtomicBool) -> [f64; 2] {
    let cost = clock_cost();
    let (mut keys, mut pairs) = (keys.iter().cycle(), 0);
    let [mut calls, mut all] = [0.0; 2];
    while pairs == 0 || !stop.load(Ordering::Relaxed) {
        let block = || {
            for key in keys.by_ref().take(64) {
                contender.close(contender.open(key, visitor).0);
            }
        };
        let (span, ()) = timed(cost, block);
        calls += span;
        all += span + timed(cost, || contender.drain()).0;
        pairs += 64;
    }
    [per(all, pairs), per(calls, pairs)]
}
