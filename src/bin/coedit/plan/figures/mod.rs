//! The figures of a plan. The table, the JSON object and the picture show them.

mod cautions;
mod demand;
mod growth;
mod making;
mod prices;
mod servers;
mod sources;
mod targets;
mod under;

use coedit::Timestamp;
use serde::Serialize;

use super::options::Concurrent;
use super::recorded::RecordedWindow;
use super::what_if::WhatIf;
pub(crate) use cautions::{Cause, Caution};
pub(crate) use demand::{Demand, Formula};
pub(crate) use growth::{Growth, GrowthFigures, RunsOut};
pub(crate) use prices::{AnswerCost, NamedUsersCost, PriceFigures, Prices, USERS_MAX};
pub(crate) use servers::{ServerAnswer, ServerFigures};
pub(crate) use sources::near;
pub(crate) use targets::{RangeFigures, TargetFigures};
pub(crate) use under::{PeriodFigures, UnderFigures, WeekFigures};

#[derive(Default, Serialize)]
pub(crate) struct Plan {
    /// The share of opens that may fall back.
    pub(crate) target: f64,
    /// The load in erlangs. For a trace and for usage, the load of the busiest hour.
    pub(crate) load: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crowd: Option<Crowd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<TraceFigures>,
    /// Why the answers may be wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
    /// What is odd in the trace, in whole sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
    pub(crate) answers: Vec<Answer>,
    /// Limits from 0 up to a little above the largest answer. Answers more than three times the first are left out. A
    /// long list skips limits at regular steps.
    pub(crate) limits: Vec<LimitFigures>,
    /// The limit that is enough if refused users stay as viewers. `None` if the size of the group is not known, or if it is too
    /// large to compute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) staying: Option<LimitFigures>,
    /// What the formulas do not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cautions: Vec<Caution>,
    /// The answers for every target, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<TargetFigures>,
    /// The answers for a range of users at work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) range: Option<RangeFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) servers: Option<ServerFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) growth: Option<GrowthFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prices: Option<PriceFigures>,
    /// The course of a trace under the first answer and under the given limits.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) under: Vec<UnderFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) weeks: Option<WeekFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) what_if: Option<WhatIf>,
    /// The limit that the picture draws: the given limit, or else the first answer.
    #[serde(skip)]
    pub(crate) limit: u32,
    /// The mean stay, in minutes.
    #[serde(skip)]
    pub(crate) stay: f64,
    /// Local time minus UTC, in minutes, for the times of the table.
    #[serde(skip)]
    pub(crate) utc_offset: i32,
}

/// Where the load comes from, if not from a trace.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Crowd {
    Users { users: u32, docs_per_user: f64, concurrent: f64, group: u32 },
    Opens { opens_per_hour: f64, stay: f64 },
    Usage(RecordedWindow),
    Series(SeriesFigures),
}

/// The figures of a series of the number of connections.
#[derive(Clone, Serialize)]
pub(crate) struct SeriesFigures {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// The average number of connections.
    pub(crate) average: f64,
    pub(crate) peak: u32,
    pub(crate) peak_at: Timestamp,
    pub(crate) busiest_hour: Timestamp,
}

/// The figures of a trace.
#[derive(Clone, Serialize)]
pub(crate) struct TraceFigures {
    pub(crate) opens: u64,
    /// `None` if an open has no user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) users: Option<u32>,
    /// `None` if an open has no document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) documents: Option<u32>,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) peak: u32,
    pub(crate) peak_at: Timestamp,
    pub(crate) mean_load: f64,
    pub(crate) busiest_hour: Timestamp,
    pub(crate) busiest_quarter: Timestamp,
    /// The load of the busiest 15 minutes.
    pub(crate) quarter_load: f64,
    /// In minutes.
    pub(crate) mean_stay: f64,
}

/// A limit and the method that gives it.
#[derive(Serialize)]
pub(crate) struct Answer {
    #[serde(rename = "by")]
    pub(crate) method: Method,
    #[serde(flatten)]
    pub(crate) limit: LimitFigures,
}

/// A way to find a limit. The names in JSON are part of the program's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Method {
    ErlangB,
    Engset,
    Observed,
    #[serde(rename = "thumb")]
    RuleOfThumb,
    #[serde(rename = "thumb-all-at-work")]
    RuleOfThumbAllAtWork,
    /// The limit of the command line.
    #[serde(rename = "limit")]
    Given,
}

/// A limit and the shares of opens that fall back under it.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct LimitFigures {
    pub(crate) connections: u32,
    pub(crate) erlang_b: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) engset: Option<f64>,
    /// Only under the limits of the table, because it takes long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) engset_staying: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fallbacks: Option<u64>,
}

/// The shares of opens that may fall back, and the limits of the command line.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'a> {
    /// Not empty.
    pub(crate) shares: &'a [f64],
    pub(crate) limits: &'a [u32],
    /// The mean stay of a user, in minutes.
    pub(crate) stay: f64,
    pub(crate) servers: Option<u32>,
    pub(crate) growth: Option<Growth>,
    pub(crate) prices: Option<Prices>,
}

impl Goal<'_> {
    /// The share that the table is for.
    pub(crate) fn share(&self) -> f64 {
        self.shares.first().copied().unwrap_or(0.01)
    }
}

/// A number of users, and how they work.
#[derive(Clone, Copy)]
pub(crate) struct People {
    pub(crate) users: u32,
    pub(crate) docs_per_user: f64,
    pub(crate) concurrent: Concurrent,
}

impl Plan {
    /// Returns the limit that a method gives, if the plan uses the method.
    pub(crate) fn answer(&self, method: Method) -> Option<LimitFigures> {
        self.answers.iter().find(|answer| answer.method == method).map(|answer| answer.limit)
    }
}
