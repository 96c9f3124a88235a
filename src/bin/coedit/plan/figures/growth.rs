//! A number of users that grows, and the month in which a limit is too low for it.

use coedit::capacity::OutOfBounds;
use serde::Serialize;

use super::{Answer, Demand, Formula, Method};

/// When each limit runs out.
#[derive(Clone, Serialize)]
pub(crate) struct GrowthFigures {
    /// The growth in a month, as a part of the users.
    pub(crate) growth: f64,
    /// How far the plan looks ahead.
    pub(crate) months: u32,
    pub(crate) answers: Vec<RunsOut>,
}

/// The end of one limit.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct RunsOut {
    /// The answer that has this limit.
    pub(crate) answer: Method,
    pub(crate) connections: u32,
    /// The formula that says so.
    pub(crate) by: Formula,
    /// The first month in which more opens fall back than the target allows. 0 is now. `None`: not within the months.
    pub(crate) month: Option<u32>,
}

/// How the number of users grows.
#[derive(Clone, Copy)]
pub(crate) struct Growth {
    /// In a month, as a part of the users.
    pub(crate) rate: f64,
    pub(crate) months: u32,
}

impl GrowthFigures {
    pub(super) fn new(
        growth: Growth,
        demand: Demand,
        answers: &[Answer],
        share: f64,
    ) -> Result<Self, OutOfBounds> {
        let runs_out = |answer: &Answer| {
            let (answer, connections) = (answer.method, answer.limit.connections);
            let by = if answer == Method::Engset { Formula::Engset } else { Formula::ErlangB };
            let month =
                growth.runs_out(|month| Ok(growth.of(demand, month).share(by, connections)? > share))?;
            Ok(RunsOut { answer, connections, by, month })
        };
        let answers = answers.iter().map(runs_out).collect::<Result<_, _>>()?;
        Ok(GrowthFigures { growth: growth.rate, months: growth.months, answers })
    }
}

impl Growth {
    fn of(self, demand: Demand, month: u32) -> Demand {
        demand.times((1.0 + self.rate).powf(month.into()))
    }

    /// Returns the first month in which a limit is too low. It stays too low.
    fn runs_out(
        self,
        too_low: impl Fn(u32) -> Result<bool, OutOfBounds>,
    ) -> Result<Option<u32>, OutOfBounds> {
        let (mut least, mut most) = (0, self.months + 1);
        while least < most {
            let middle = least.midpoint(most);
            if middle > self.months || too_low(middle)? {
                most = middle;
            } else {
                least = middle + 1;
            }
        }
        Ok(Some(least).filter(|month| *month <= self.months))
    }
}
