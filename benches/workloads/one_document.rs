//! One document with many users. The cost of a call must not depend on how many there are, except for `info`.

use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, grouped, per, race, timed};

const USERS: [usize; 4] = [1, 10, 100, 1000];

pub(crate) fn compare(scale: Scale) {
    race(&Visits { scale }, scale);
    race(&Infos { scale }, scale);
}

fn crowds<C: Contender>(scale: Scale) -> [Crowd<C>; 4] {
    USERS.map(|users| Crowd::new(1, scale.of(users, 10), None))
}

fn users(count: usize) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} user{plural}", grouped(count))
}

struct Visits {
    scale: Scale,
}

/// Pairs between two drains.
const EVERY: usize = 64;

impl Workload for Visits {
    fn title(&self) -> String {
        format!("one document: open + close of one more user, drained every {EVERY}, draining included")
    }

    fn figures(&self) -> Vec<Figure> {
        let drained = USERS.map(|count| format!("pair, {}", users(count)));
        let scaling = "pair, 1,000 users / 10 users (ratio)".to_owned();
        let calls = USERS.map(|count| format!("  calls alone, {}", users(count)));
        [&drained[..], &[scaling], &calls].concat()
    }

    fn prepare<C: Contender>(&self) -> Round {
        let mut crowds = crowds::<C>(self.scale);
        // Few pairs: some contenders copy a thousand names at every one.
        let pairs = self.scale.of(4096, 256);
        Box::new(move || {
            let spans = crowds.each_mut().map(|crowd| {
                crowd.visit(EVERY, Some(EVERY));
                crowd.visit(pairs, Some(EVERY))
            });
            let drained = spans.each_ref().map(|spans| per(spans.total(), pairs));
            let calls = spans.each_ref().map(|spans| per(spans.calls, pairs));
            [&drained[..], &[drained[3] / drained[1]], &calls].concat()
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
        USERS.map(|count| format!("info, {}", users(count))).to_vec()
    }

    fn prepare<C: Contender>(&self) -> Round {
        let crowds = crowds::<C>(self.scale);
        let blocks = self.scale.of(32, 2);
        // The engine keeps at most 64 `info` callbacks of a document. A block stays below that.
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
