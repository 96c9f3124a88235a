//! `info`, `change` and `drop_users` on documents in random order.

use super::memory_latency::Ring;
use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, grouped, per, race, timed};

pub(crate) fn compare(scale: Scale) {
    for documents in [1000, 1_000_000] {
        race(&Calls { documents, scale }, scale);
    }
}

struct Calls {
    documents: usize,
    scale: Scale,
}

/// Calls of `info` between two drains.
const EVERY: usize = 64;

impl Workload for Calls {
    fn title(&self) -> String {
        format!("calls on {} documents with two users and a visitor", grouped(self.documents))
    }

    fn figures(&self) -> Vec<Figure> {
        let calls = ["info", "change", "drop of the visitor"];
        let reads = ["a dependent random read", "info / such a read (ratio)"];
        [&calls[..], &reads].concat().into_iter().map(str::to_owned).collect()
    }

    fn prepare<C: Contender>(&self) -> Round {
        let mut crowd = Crowd::<C>::new(self.scale.documents(self.documents), 2, None);
        let count = self.scale.of(16_384, 50).min(crowd.keys.len());
        let reads = self.scale.of(100_000, 50);
        let mut ring = Ring::new(self.scale.of(1_000_000, 50));
        Box::new(move || {
            crowd.warm_up();
            let info = info(&mut crowd, count);
            let [change, drop] = change_and_drop(&mut crowd, count);
            let read = ring.read(reads);
            vec![info, change, drop, read, info / read]
        })
    }
}

/// Nanoseconds of an `info`.
fn info<C: Contender>(crowd: &mut Crowd<C>, count: usize) -> f64 {
    let keys = crowd.next_keys(count);
    let mut span = 0.0;
    for keys in crowd.keys[keys].chunks(EVERY) {
        let ask = || keys.iter().map(|key| crowd.contender.info(key)).sum::<usize>();
        span += timed(crowd.clock_cost(), ask).0;
        crowd.contender.drain();
    }
    per(span, count)
}

/// Nanoseconds of a change, and of a drop of one user. Both use the same documents, so the drop finds a part of them in
/// the caches.
fn change_and_drop<C: Contender>(crowd: &mut Crowd<C>, count: usize) -> [f64; 2] {
    let keys = crowd.next_keys(count);
    let visits = crowd.enter(keys.clone());
    let change = || visits.iter().filter(|visit| crowd.contender.change(visit)).count();
    let (change, accepted) = timed(crowd.clock_cost(), change);
    assert_eq!(accepted, count);
    let drop = |key| crowd.contender.drop_user(key, &crowd.visitor);
    let drop = || crowd.keys[keys].iter().map(drop).sum::<usize>();
    let (drop, dropped) = timed(crowd.clock_cost(), drop);
    assert_eq!(dropped, count);
    crowd.leave(visits);
    [change, drop].map(|span| per(span, count))
}
