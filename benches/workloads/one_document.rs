//! One document with many users: nothing but `info` may cost them.

use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, per, race, timed};

const USERS: [usize; 4] = [1, 10, 100, 1000];

pub(crate) fn compare(scale: Scale) {
    race(&Visits { scale }, scale);
    race(&Infos { scale }, scale);
}

fn crowds<C: Contender>(scale: Scale) -> [Crowd<C>; 4] {
    USERS.map(|users| Crowd::new(1, scale.of(users, 10), None))
}

struct Visits {
    scale: Scale,
}

impl Workload for Visits {
    fn title(&self) -> String {
        "one document: open + close of one more user, drained every 64".to_owned()
    }

    fn figures(&self) -> Vec<Figure> {
        let names = |users| [format!("pair, {users} users"), "  the same with the draining".to_owned()];
        let scaling = "pair at 1,000 users / at 10 (ratio)".to_owned();
        USERS.into_iter().flat_map(names).chain([scaling]).collect()
    }

    fn prepare<C: Contender>(&self) -> Round {
        let mut crowds = crowds::<C>(self.scale);
        // A thousand names are copied four times a pair by those who do that.
        let pairs = self.scale.of(4096, 256);
        Box::new(move || {
            let mut figures = Vec::new();
            for crowd in &mut crowds {
                crowd.visit(64, Some(64));
                let [calls, drains] = crowd.visit(pairs, Some(64));
                figures.extend([per(calls, pairs), per(calls + drains, pairs)]);
            }
            figures.push(figures[6] / figures[2]);
            figures
        })
    }
}

struct Infos {
    scale: Scale,
}

impl Workload for Infos {
    fn title(&self) -> String {
        "one document: info".to_owned()
    }

    fn figures(&self) -> Vec<Figure> {
        USERS.into_iter().map(|users| format!("info of {users} users")).collect()
    }

    fn prepare<C: Contender>(&self) -> Round {
        let crowds = crowds::<C>(self.scale);
        let blocks = self.scale.of(32, 2);
        // Fewer than the engine lets wait for one document.
        let block = 32;
        Box::new(move || {
            let info = |crowd: &Crowd<C>| {
                let ask = || (0..block).map(|_| crowd.contender.info(&crowd.keys[0])).sum::<usize>();
                let mut total = 0.0;
                for _ in 0..blocks {
                    total += timed(crowd.clock_cost(), ask).0;
                    crowd.contender.drain();
                }
                per(total, block * blocks)
            };
            crowds.iter().map(info).collect()
        })
    }
}
