//! The other calls, on documents in random order: `info`, `drop`, `change`, and taking a callback.

use super::yardstick::Ring;
use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, per, race, timed};

pub(crate) fn compare(scale: Scale) {
    for documents in [1000, 1_000_000] {
        race(&Calls { documents, scale }, scale);
    }
}

struct Calls {
    documents: usize,
    scale: Scale,
}

/// Callbacks of `info` are drained after so many, as those of pairs are.
const DRAINED: usize = 64;

impl Workload for Calls {
    fn title(&self) -> String {
        format!("calls on {} documents with two users and a visitor", self.documents)
    }

    fn figures(&self) -> Vec<Figure> {
        let calls = ["info", "change", "drop of the visitor", "a message taken and acknowledged"];
        let reads = ["a dependent random read", "info, in such reads (ratio)"];
        [&calls[..], &reads].concat().into_iter().map(str::to_owned).collect()
    }

    fn prepare<C: Contender>(&self) -> Round {
        let mut crowd = Crowd::<C>::new(self.scale.documents(self.documents), 2, None);
        let count = self.scale.of(16_384, 50).min(crowd.keys.len());
        let reads = self.scale.of(100_000, 50);
        let mut ring = Ring::new(self.scale.of(1_000_000, 50));
        Box::new(move || {
            let cost = crowd.clock_cost();
            crowd.warm_up();
            // Other documents for each call where there are enough.
            let keys = crowd.next_keys(count);
            let mut info = 0.0;
            for keys in crowd.keys[keys].chunks(DRAINED) {
                let ask = || keys.iter().map(|key| crowd.contender.info(key)).sum::<usize>();
                info += timed(cost, ask).0;
                crowd.contender.drain();
            }

            let keys = crowd.next_keys(count);
            let visits = crowd.enter(keys.clone());
            let change = || visits.iter().filter(|visit| crowd.contender.change(visit)).count();
            let (change, accepted) = timed(cost, change);
            assert_eq!(accepted, count);
            let drop = |key| crowd.contender.drop_user(key, &crowd.visitor);
            // The same documents as for the change: a drop finds some of them in the caches, with every contender.
            let (drop, dropped) = timed(cost, || crowd.keys[keys].iter().map(drop).sum::<usize>());
            assert_eq!(dropped, count);
            crowd.go(visits);

            let keys = crowd.next_keys(count);
            let visit = |key| crowd.contender.open(key, &crowd.visitor).0;
            let visits: Vec<_> = crowd.keys[keys].iter().map(visit).collect();
            let (drain, told) = timed(cost, || crowd.contender.drain());
            assert_eq!(told, count);
            crowd.go(visits);
            let read = ring.read(reads);
            let info = per(info, count);
            vec![info, per(change, count), per(drop, count), per(drain, told), read, info / read]
        })
    }
}
