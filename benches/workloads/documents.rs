//! Open and close of a third connection on a document that two are in, documents in random order.

use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, per, race};

pub(crate) fn compare(scale: Scale) {
    for documents in [1000, 100_000, 900_000, 1_000_000] {
        race(&OpenClose { documents, scale }, scale);
    }
}

struct OpenClose {
    documents: usize,
    scale: Scale,
}

/// Callbacks are drained after so many pairs.
const DRAINED: [usize; 3] = [1, 64, 1024];
/// The same where every pair is timed by itself.
const APART: usize = 64;

impl Workload for OpenClose {
    fn title(&self) -> String {
        format!("open + close of a third connection, {} documents", self.documents)
    }

    fn figures(&self) -> Vec<Figure> {
        let names =
            |every| [format!("pair, drained every {every}"), "  the same with the draining".to_owned()];
        let apart = format!("pair apart, drained every {APART}");
        DRAINED.into_iter().flat_map(names).chain([apart]).collect()
    }

    fn owned(&self) -> bool {
        self.documents <= 100_000
    }

    fn prepare<C: Contender>(&self) -> Round {
        let mut crowd = Crowd::<C>::new(self.scale.documents(self.documents), 2, None);
        let pairs = self.scale.pairs();
        Box::new(move || {
            let mut measure = |every| {
                crowd.warm_up();
                let [calls, drains] = crowd.visit(pairs, Some(every));
                [per(calls, pairs), per(calls + drains, pairs)]
            };
            let mut figures: Vec<f64> = DRAINED.into_iter().flat_map(&mut measure).collect();
            crowd.warm_up();
            figures.push(per(crowd.visit_apart(pairs, APART), pairs));
            figures
        })
    }
}
