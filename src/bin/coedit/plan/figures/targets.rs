//! The answers for several targets, and for a range of users at work.

use coedit::capacity::{Observed, OutOfBounds};
use serde::Serialize;

use super::{Demand, Formula};

/// The answers for one target.
#[derive(Clone, Serialize)]
pub(crate) struct TargetFigures {
    pub(crate) target: f64,
    pub(crate) answers: Vec<FormulaAnswer>,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct FormulaAnswer {
    pub(crate) by: Formula,
    pub(crate) connections: u32,
}

/// The answers if the share of the users at work is in a range.
#[derive(Clone, Serialize)]
pub(crate) struct RangeFigures {
    /// The lowest share of the users at work.
    pub(crate) low: f64,
    /// The highest. The rest of the plan is for this share.
    pub(crate) high: f64,
    pub(crate) answers: Vec<RangeAnswer>,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct RangeAnswer {
    pub(crate) by: Formula,
    pub(crate) low: u32,
    pub(crate) high: u32,
}

impl TargetFigures {
    pub(super) fn new(target: f64, demand: Demand, observed: Option<&Observed>) -> Result<Self, OutOfBounds> {
        let observed = observed.map(|observed| observed.limit_for(target)).transpose()?;
        let observed = observed.map(|connections| (Formula::Observed, connections));
        let answers = observed.into_iter().chain(demand.answers(target)?);
        let answer = |(by, connections)| FormulaAnswer { by, connections };
        Ok(TargetFigures { target, answers: answers.map(answer).collect() })
    }
}

impl RangeFigures {
    /// Each end is a share of the users at work and its demand.
    pub(super) fn new(low: (f64, Demand), high: (f64, Demand), share: f64) -> Result<Self, OutOfBounds> {
        let ends = low.1.answers(share)?.into_iter().zip(high.1.answers(share)?);
        let answer = |((by, low), (_, high))| RangeAnswer { by, low, high };
        Ok(RangeFigures { low: low.0, high: high.0, answers: ends.map(answer).collect() })
    }
}
