//! The figures of a plan. The table, the JSON object and the picture show them.

mod cautions;
mod demand;
mod growth;
mod prices;
mod servers;
mod sources;
mod targets;
mod under;

use coedit::Timestamp;
use coedit::capacity::{Observed, OutOfBounds, RuleOfThumb, connections_for};
use serde::Serialize;

use super::options::Concurrent;
use super::read::Recording;
use super::recorded::RecordedWindow;
use super::trace::Trace;
use super::what_if::WhatIf;
pub(crate) use cautions::{Cause, Caution};
pub(crate) use demand::{Demand, Formula};
pub(crate) use growth::{Growth, GrowthFigures, RunsOut};
pub(crate) use prices::{AnswerCost, NamedUsersCost, PriceFigures, Prices, USERS_MAX};
pub(crate) use servers::{ServerAnswer, ServerFigures};
use sources::Sources;
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
    pub(crate) fn of_users(people: People, goal: Goal<'_>) -> Result<Self, OutOfBounds> {
        let People { users, docs_per_user, concurrent: Concurrent { low, high } } = people;
        let demand = Demand::of_users(users, docs_per_user, high);
        let mut answers = vec![(Method::ErlangB, connections_for(demand.load, goal.share())?)];
        answers.extend(demand.engset(goal.share())?.map(|connections| (Method::Engset, connections)));
        answers.extend(rules_of_thumb(users));
        let group = demand.group.map_or(0, |(group, _)| group);
        let crowd = Crowd::Users { users, docs_per_user, concurrent: high, group };
        let range = if low < high {
            let lowest = Demand::of_users(users, docs_per_user, low);
            Some(RangeFigures::new((low, lowest), (high, demand), goal.share())?)
        } else {
            None
        };
        let sources = Sources { demand, observed: None };
        let cautions = cautions::cautions(demand.load, goal.stay, goal.share())?;
        let mut plan = sources.plan(answers, goal)?;
        if let (Some(figures), Some(prices)) = (&mut plan.prices, goal.prices) {
            figures.named_users = prices.named_users(users, demand.load, goal.share())?;
        }
        Ok(Plan { crowd: Some(crowd), range, cautions, ..plan })
    }

    pub(crate) fn of_opens(opens_per_hour: f64, goal: Goal<'_>) -> Result<Self, OutOfBounds> {
        let stay = goal.stay;
        let load = opens_per_hour * stay / 60.0;
        Plan::of_load(load, Crowd::Opens { opens_per_hour, stay }, goal)
    }

    /// `load` is the load of the busiest hour, in erlangs.
    pub(crate) fn of_usage(recorded: RecordedWindow, load: f64, goal: Goal<'_>) -> Result<Self, OutOfBounds> {
        let needed = |load| connections_for(load, goal.share()).ok();
        let warnings = recorded.warnings(needed(load).unwrap_or_default(), needed);
        Ok(Plan { warnings, ..Plan::of_load(load, Crowd::Usage(recorded), goal)? })
    }

    fn of_load(load: f64, crowd: Crowd, goal: Goal<'_>) -> Result<Self, OutOfBounds> {
        let answers = vec![(Method::ErlangB, connections_for(load, goal.share())?)];
        let sources = Sources { demand: Demand { load, group: None }, observed: None };
        let cautions = cautions::cautions(load, goal.stay, goal.share())?;
        Ok(Plan { crowd: Some(crowd), cautions, ..sources.plan(answers, goal)? })
    }

    pub(crate) fn of_trace(trace: &Trace, goal: Goal<'_>) -> Result<Self, OutOfBounds> {
        let observed = &trace.observed;
        if let Recording::Levels(_) = trace.recording {
            return Plan::of_series(observed, goal);
        }
        let figures = TraceFigures::new(trace);
        let (_, load) = observed.busiest_hour().unwrap_or_default();
        let demand = Demand { load, group: figures.group() };
        let enough = observed.limit_for(goal.share())?;
        let mut answers = vec![(Method::Observed, enough)];
        answers.push((Method::ErlangB, connections_for(load, goal.share())?));
        answers.extend(demand.engset(goal.share())?.map(|connections| (Method::Engset, connections)));
        answers.extend(trace.users().into_iter().flat_map(rules_of_thumb));
        let mut limits = vec![enough];
        limits.extend(goal.limits.iter().filter(|limit| **limit != enough));
        let under = |limit| UnderFigures::new(observed, limit, figures.users.is_some());
        let under = limits.into_iter().map(under).collect();
        let weeks = observed.limit_range(goal.share())?.map(WeekFigures::from);
        let sources = Sources { demand, observed: Some(observed) };
        Ok(Plan { trace: Some(figures), under, weeks, ..sources.plan(answers, goal)? })
    }

    /// A series has no opens, so there is only the formula.
    fn of_series(observed: &Observed, goal: Goal<'_>) -> Result<Self, OutOfBounds> {
        let (from, to) = observed.span().unwrap_or_default();
        let (peak, peak_at) = observed.peak().unwrap_or_default();
        let (busiest_hour, load) = observed.busiest_hour().unwrap_or_default();
        let series = SeriesFigures { from, to, average: observed.load(), peak, peak_at, busiest_hour };
        Plan::of_load(load, Crowd::Series(series), goal)
    }

    /// Returns the limit that a method gives, if the plan uses the method.
    pub(crate) fn answer(&self, method: Method) -> Option<LimitFigures> {
        self.answers.iter().find(|answer| answer.method == method).map(|answer| answer.limit)
    }
}

impl TraceFigures {
    fn new(trace: &Trace) -> Self {
        let observed = &trace.observed;
        let (from, to) = observed.span().unwrap_or_default();
        let (peak, peak_at) = observed.peak().unwrap_or_default();
        let (busiest_hour, _) = observed.busiest_hour().unwrap_or_default();
        let (busiest_quarter, quarter_load) = observed.busiest_quarter_hour().unwrap_or_default();
        TraceFigures {
            opens: observed.opens(),
            users: trace.users(),
            documents: trace.documents(),
            from,
            to,
            peak,
            peak_at,
            mean_load: observed.load(),
            busiest_hour,
            busiest_quarter,
            quarter_load,
            mean_stay: observed.mean_duration().as_secs_f64() / 60.0,
        }
    }

    /// The users as a group, and the share of them at work in the busiest 15 minutes. `None` if the users are not known, or if
    /// they have more than one document open each: then the size of the group is not known.
    fn group(&self) -> Option<(u32, f64)> {
        let users = self.users?;
        let at_work = self.quarter_load / f64::from(users);
        (at_work <= 1.0).then_some((users, at_work))
    }
}

fn rules_of_thumb(users: u32) -> [(Method, u32); 2] {
    let RuleOfThumb { at_least, all_at_work } = RuleOfThumb::of(users);
    [(Method::RuleOfThumb, at_least), (Method::RuleOfThumbAllAtWork, all_at_work)]
}
