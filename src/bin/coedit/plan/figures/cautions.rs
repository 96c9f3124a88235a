//! What the formulas do not know, and how many connections it costs.

use coedit::capacity::{
    OutOfBounds, connections_for_batches, connections_for_retrying, connections_for_returning,
    connections_for_varying,
};
use serde::Serialize;

use super::demand::CHAIN_LOAD_MAX;

/// What makes more connections necessary than Erlang B says, and how many are enough then.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Caution {
    #[serde(rename = "if")]
    pub(crate) cause: Cause,
    pub(crate) connections: u32,
}

/// The names in JSON are part of the program's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// Three users of ten open two documents at once.
    TabsOpenTogether,
    /// Refused users leave and come back later.
    RefusedComeBack,
    /// Refused users ask again every two minutes while they stay.
    RefusedAskAgain,
    /// The load differs from day to day, with a standard deviation of a tenth.
    DaysVary,
}

/// The share of opens with one tab, and with two.
const TABS: [f64; 2] = [0.7, 0.3];
/// In minutes.
const RETRY: f64 = 2.0;
const DEVIATION: f64 = 0.1;
/// Above this load, the formula for days that vary takes too long.
const VARYING_LOAD_MAX: f64 = 2_000.0;
/// The same for the other formulas that are not chains.
const LOAD_MAX: f64 = 100_000.0;

/// Computes what is cheap to compute. `stay` is in minutes.
pub(super) fn cautions(load: f64, stay: f64, share: f64) -> Result<Vec<Caution>, OutOfBounds> {
    let mut cautions = Vec::new();
    let mut add = |cause, connections| cautions.push(Caution { cause, connections });
    if load <= LOAD_MAX {
        add(Cause::TabsOpenTogether, connections_for_batches(load, &TABS, share)?);
    }
    // Who is refused nearly always comes back without end.
    if load / (1.0 - share) <= LOAD_MAX {
        add(Cause::RefusedComeBack, connections_for_returning(load, share)?);
    }
    if load <= CHAIN_LOAD_MAX {
        let retries = (stay / RETRY).min(RETRIES_MAX);
        add(Cause::RefusedAskAgain, connections_for_retrying(load, retries, share)?);
    }
    if load <= VARYING_LOAD_MAX {
        add(Cause::DaysVary, connections_for_varying(load, DEVIATION, share)?);
    }
    Ok(cautions)
}

/// The largest number of retries that the formula accepts.
const RETRIES_MAX: f64 = 1_000_000.0;
