//! Opens and closes under a shortage: no free seat, or a host that takes no callbacks.

use crate::contenders::Contender;
use crate::measure::{Crowd, Figure, Round, Scale, Workload, grouped, per, race};

pub(crate) fn compare_refused(scale: Scale) {
    for documents in [1000, 100_000] {
        race(&Refused { documents, scale }, scale);
    }
}

pub(crate) fn compare_stalled(scale: Scale) {
    for documents in [1000, 100_000] {
        race(&Stalled { documents, scale }, scale);
    }
}

struct Refused {
    documents: usize,
    scale: Scale,
}

impl Workload for Refused {
    fn title(&self) -> String {
        let documents = grouped(self.documents);
        format!("open + close at a full limit, {documents} documents, drained every 64, calls alone")
    }

    fn figures(&self) -> Vec<Figure> {
        ["pair, admitted", "pair, refused", "refused / admitted (ratio)"].map(str::to_owned).to_vec()
    }

    fn prepare<C: Contender>(&self) -> Round {
        let documents = self.scale.documents(self.documents);
        let mut crowds = [None, Some(documents * 2)].map(|limit| Crowd::<C>::new(documents, 2, limit));
        let pairs = self.scale.pairs();
        Box::new(move || {
            let [admitted, refused] = crowds.each_mut().map(|crowd| {
                crowd.warm_up();
                per(crowd.visit(pairs, Some(64)).calls, pairs)
            });
            vec![admitted, refused, refused / admitted]
        })
    }
}

struct Stalled {
    documents: usize,
    scale: Scale,
}

impl Workload for Stalled {
    fn title(&self) -> String {
        format!("open + close, {} documents, no callback is taken", grouped(self.documents))
    }

    fn figures(&self) -> Vec<Figure> {
        vec!["pair".to_owned()]
    }

    fn prepare<C: Contender>(&self) -> Round {
        let mut crowd = Crowd::<C>::new(self.scale.documents(self.documents), 2, None);
        let pairs = self.scale.pairs();
        Box::new(move || {
            // An unbounded queue keeps growing from round to round, as it would in production.
            crowd.visit(pairs / 8, None);
            vec![per(crowd.visit(pairs, None).calls, pairs)]
        })
    }
}
