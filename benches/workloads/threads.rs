//! Threads: each on documents of its own, or all on one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, clock_cost, per, race, timed};

/// Documents of each thread where they have their own.
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
        let on = if self.distinct { "20000 documents of its own each" } else { "one document" };
        format!("open + close by {} threads, {on}, each drains every 64", self.count)
    }

    fn figures(&self) -> Vec<Figure> {
        let together = |of| format!("{of}, {} threads: time / all pairs", self.count);
        let alone = |of| format!("{of}, 1 thread");
        let speedup = |of| format!("{of}: times as fast (ratio)");
        let of_all = |of| [alone(of), together(of), speedup(of)];
        ["pair", "drained"].into_iter().flat_map(of_all).collect()
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
            let figures = |of: usize| [alone[of], together[of], alone[of] / together[of]];
            (0..2).flat_map(figures).collect()
        })
    }
}

/// A thread for each visitor, for as long as `window`: all of them at work from the first to the last moment, however
/// long they take to start. Nanoseconds a pair of all together: the calls alone, and with the draining.
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
                // Not a barrier: whoever slept would start when the others are done.
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
    [0, 1].map(|of| paces.iter().map(|pace| pace[of].recip()).sum::<f64>().recip())
}

/// Until `stop`. Nanoseconds a pair: the calls alone, and with the draining.
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
    [per(calls, pairs), per(all, pairs)]
}
