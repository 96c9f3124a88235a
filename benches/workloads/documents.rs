//! Opens and closes a third connection on documents with two users, in random order, and takes the callbacks.

use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, grouped, per, race, timed};

pub(crate) fn compare(scale: Scale) {
    for documents in [1000, 100_000, 1_000_000] {
        race(&OpenClose { documents, scale }, scale);
    }
}

struct OpenClose {
    documents: usize,
    scale: Scale,
}

/// Pairs between two drains.
const EVERY: [usize; 3] = [1, 64, 1024];
/// Pairs between two drains where every pair is timed by itself.
const EVERY_ONE_BY_ONE: usize = 64;

impl Workload for OpenClose {
    fn title(&self) -> String {
        let documents = grouped(self.documents);
        format!("open + close of a third connection, {documents} documents, draining included")
    }

    fn figures(&self) -> Vec<Figure> {
        let drained = EVERY.map(|every| format!("pair, drained every {}", grouped(every)));
        let callback = "a callback taken and acknowledged".to_owned();
        let calls = EVERY.map(|every| format!("  calls alone, drained every {}", grouped(every)));
        let one_by_one = "  calls alone, each pair timed by itself".to_owned();
        [&drained[..], &[callback], &calls, &[one_by_one]].concat()
    }

    fn owned(&self) -> bool {
        self.documents <= 100_000
    }

    fn prepare<C: Contender>(&self) -> Round {
        let mut crowd = Crowd::<C>::new(self.scale.documents(self.documents), 2, None);
        let pairs = self.scale.pairs();
        Box::new(move || {
            let spans = EVERY.map(|every| {
                crowd.warm_up();
                crowd.visit(pairs, Some(every))
            });
            let drained = spans.each_ref().map(|spans| per(spans.total(), pairs));
            let calls = spans.each_ref().map(|spans| per(spans.calls, pairs));
            let callback = callback(&mut crowd, pairs);
            crowd.warm_up();
            let one_by_one = per(crowd.visit_one_by_one(pairs, EVERY_ONE_BY_ONE), pairs);
            [&drained[..], &[callback], &calls, &[one_by_one]].concat()
        })
    }
}

/// Callbacks that are taken in one go.
const BLOCK: usize = 512;

/// Nanoseconds to take and acknowledge one callback. Takes about `count` callbacks.
fn callback<C: Contender>(crowd: &mut Crowd<C>, count: usize) -> f64 {
    crowd.warm_up();
    let (mut span, mut taken) = (0.0, 0);
    while taken < count {
        let keys = crowd.next_keys(BLOCK);
        let handles = crowd.open_all(keys);
        let (block, callbacks) = timed(crowd.clock_cost(), || crowd.contender.drain());
        assert_eq!(callbacks, handles.len());
        span += block;
        taken += callbacks;
        crowd.leave(handles);
    }
    per(span, taken)
}
