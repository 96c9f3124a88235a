//! How long an open takes at worst, while others open, change and close, a worker takes callbacks, and ticks run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, race, timed};

pub(crate) fn compare(scale: Scale) {
    race(&Tails { scale }, scale);
}

/// Of a thousand.
const QUANTILES: [(&str, usize); 4] =
    [("open, p50", 500), ("open, p99", 990), ("open, p99.9", 999), ("open, worst", 1000)];

struct Tails {
    scale: Scale,
}

impl Workload for Tails {
    fn title(&self) -> String {
        "latency of an open under load, 100000 documents".to_owned()
    }

    fn figures(&self) -> Vec<Figure> {
        QUANTILES.map(|(name, _)| name.to_owned()).to_vec()
    }

    fn rounds(&self, scale: Scale) -> usize {
        scale.of(7, 2)
    }

    fn prepare<C: Contender>(&self) -> Round {
        let mut crowd = Crowd::<C>::new(self.scale.documents(100_000), 2, None);
        let opens = self.scale.of(50_000, 100);
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        // Documents that nobody else is in: when their editor goes, they are to be saved.
        let passing: Vec<C::Key> = (500_000_000..500_001_000).map(C::key).collect();
        Box::new(move || {
            let keys = crowd.next_keys(opens);
            let stop = AtomicBool::new(false);
            let until_stopped = |act: &dyn Fn()| {
                while !stop.load(Ordering::Relaxed) {
                    act();
                }
            };
            let crowd = &crowd;
            let load = |user: C::User| {
                let mut keys = passing.iter().cycle();
                while let (Some(key), false) = (keys.next(), stop.load(Ordering::Relaxed)) {
                    let (handle, _) = crowd.contender.open(key, &user);
                    crowd.contender.change(&handle);
                    crowd.contender.close(handle);
                }
            };
            let (load, until_stopped) = (&load, &until_stopped);
            let mut spans = thread::scope(|scope| {
                for number in 1..cores.max(2) {
                    scope.spawn(move || load(C::user(100 + number)));
                }
                scope.spawn(move || {
                    until_stopped(&|| {
                        if crowd.contender.drain() == 0 {
                            thread::sleep(Duration::from_micros(50));
                        }
                    });
                });
                scope.spawn(move || {
                    until_stopped(&|| {
                        crowd.contender.tick();
                        thread::sleep(Duration::from_millis(1));
                    });
                });
                let measure = |key| {
                    let (span, (handle, _)) =
                        timed(crowd.clock_cost(), || crowd.contender.open(key, &crowd.visitor));
                    crowd.contender.close(handle);
                    span
                };
                let spans: Vec<f64> = crowd.keys[keys].iter().map(measure).collect();
                stop.store(true, Ordering::Relaxed);
                spans
            });
            spans.sort_by(f64::total_cmp);
            QUANTILES.map(|(_, of_1000)| spans[(spans.len() - 1) * of_1000 / 1000]).to_vec()
        })
    }
}
