//! The figures of a plan. The table, the JSON object and the picture show them.

use std::collections::BTreeSet;

use coedit::Timestamp;
use coedit::capacity::{
    CONNECTIONS_MAX, Observed, OutOfBounds, RuleOfThumb, connections_for, connections_for_group,
    engset_curve, erlang_b_curve,
};
use serde::Serialize;

use super::read::Recording;
use super::recorded::RecordedWindow;
use super::trace::Trace;

#[derive(Serialize)]
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
    /// The limit that the picture draws: the given limit, or else the first answer.
    #[serde(skip)]
    pub(crate) limit: u32,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fallbacks: Option<u64>,
}

/// The share of opens that may fall back, and the limit of the command line.
#[derive(Clone, Copy)]
pub(crate) struct Goal {
    pub(crate) share: f64,
    pub(crate) limit: Option<u32>,
}

impl Plan {
    pub(crate) fn of_users(
        users: u32,
        docs_per_user: f64,
        concurrent: f64,
        goal: Goal,
    ) -> Result<Self, OutOfBounds> {
        let group = rounded_up(f64::from(users) * docs_per_user);
        let load = f64::from(users) * docs_per_user * concurrent;
        // If the group was rounded up, the load stays as given.
        let at_work = load / f64::from(group);
        let mut answers = vec![(Method::ErlangB, connections_for(load, goal.share)?)];
        answers.push((Method::Engset, connections_for_group(group, at_work, goal.share)?));
        answers.extend(rules_of_thumb(users));
        let sources = Sources { load, group: Some((group, at_work)), observed: None };
        let crowd = Crowd::Users { users, docs_per_user, concurrent, group };
        Ok(Plan { crowd: Some(crowd), ..sources.plan(answers, goal)? })
    }

    /// `stay` is in minutes.
    pub(crate) fn of_opens(opens_per_hour: f64, stay: f64, goal: Goal) -> Result<Self, OutOfBounds> {
        let load = opens_per_hour * stay / 60.0;
        Plan::of_load(load, Crowd::Opens { opens_per_hour, stay }, goal)
    }

    /// `load` is the load of the busiest hour, in erlangs.
    pub(crate) fn of_usage(recorded: RecordedWindow, load: f64, goal: Goal) -> Result<Self, OutOfBounds> {
        let needed = |load| connections_for(load, goal.share).ok();
        let warnings = recorded.warnings(needed(load).unwrap_or_default(), needed);
        Ok(Plan { warnings, ..Plan::of_load(load, Crowd::Usage(recorded), goal)? })
    }

    fn of_load(load: f64, crowd: Crowd, goal: Goal) -> Result<Self, OutOfBounds> {
        let answers = vec![(Method::ErlangB, connections_for(load, goal.share)?)];
        let sources = Sources { load, group: None, observed: None };
        Ok(Plan { crowd: Some(crowd), ..sources.plan(answers, goal)? })
    }

    pub(crate) fn of_trace(trace: &Trace, goal: Goal) -> Result<Self, OutOfBounds> {
        let observed = &trace.observed;
        if let Recording::Levels(_) = trace.recording {
            return Plan::of_series(observed, goal);
        }
        let (from, to) = observed.span().unwrap_or_default();
        let (peak, peak_at) = observed.peak().unwrap_or_default();
        let (busiest_hour, load) = observed.busiest_hour().unwrap_or_default();
        let mut answers = vec![(Method::Observed, observed.limit_for(goal.share)?)];
        answers.push((Method::ErlangB, connections_for(load, goal.share)?));
        answers.extend(trace.users().into_iter().flat_map(rules_of_thumb));
        let figures = TraceFigures {
            opens: observed.opens(),
            users: trace.users(),
            documents: trace.documents(),
            from,
            to,
            peak,
            peak_at,
            mean_load: observed.load(),
            busiest_hour,
            mean_stay: observed.mean_duration().as_secs_f64() / 60.0,
        };
        let sources = Sources { load, group: None, observed: Some(observed) };
        Ok(Plan { trace: Some(figures), ..sources.plan(answers, goal)? })
    }

    /// A series has no opens, so there is only the formula.
    fn of_series(observed: &Observed, goal: Goal) -> Result<Self, OutOfBounds> {
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

/// The input from which the shares of a plan are computed.
struct Sources<'a> {
    load: f64,
    group: Option<(u32, f64)>,
    observed: Option<&'a Observed>,
}

impl Sources<'_> {
    /// Makes a plan of the limit that each method gives. The first is the answer if the command line has no limit.
    fn plan(&self, mut answers: Vec<(Method, u32)>, goal: Goal) -> Result<Plan, OutOfBounds> {
        let first = answers.first().map_or(0, |(_, connections)| *connections);
        answers.extend(goal.limit.map(|limit| (Method::Given, limit)));
        let connections = || answers.iter().map(|(_, connections)| *connections);
        let top = self.top(first, connections());
        let step = top.div_ceil(LISTED_LIMITS).max(1);
        let mut wanted: BTreeSet<u32> = (0..=top).step_by(step as usize).collect();
        wanted.extend(connections());
        let limits = self.limits(&wanted)?;
        let find = |connections: u32| limits.iter().find(|limit| limit.connections == connections).copied();
        let answers = answers
            .into_iter()
            .filter_map(|(method, connections)| Some(Answer { method, limit: find(connections)? }))
            .collect();
        let limits = limits.iter().copied().filter(|limit| limit.connections <= top).collect();
        let limit = goal.limit.unwrap_or(first);
        Ok(Plan {
            target: goal.share,
            load: self.load,
            crowd: None,
            trace: None,
            warnings: Vec::new(),
            notes: Vec::new(),
            answers,
            limits,
            limit,
        })
    }

    /// The largest limit to list: an eighth above the peak and the answers, without the answers that are far off.
    fn top(&self, first: u32, answers: impl Iterator<Item = u32>) -> u32 {
        let peak = self.observed.and_then(Observed::peak).map_or(0, |(peak, _)| peak);
        let near = first.max(peak).saturating_mul(3);
        let top = answers.filter(|connections| *connections <= near).max().unwrap_or_default().max(peak);
        top.saturating_add(top / 8).saturating_add(1).min(CONNECTIONS_MAX)
    }

    /// Computes the shares under all `wanted` limits in one pass.
    fn limits(&self, wanted: &BTreeSet<u32>) -> Result<Vec<LimitFigures>, OutOfBounds> {
        let mut erlang = erlang_b_curve(self.load)?;
        let mut engset = self.group.map(|(users, at_work)| engset_curve(users, at_work)).transpose()?;
        let (mut next, mut limits) = (0, Vec::new());
        for &connections in wanted {
            let skipped = (connections - next) as usize;
            let observed = self.observed;
            limits.push(LimitFigures {
                connections,
                erlang_b: nth(&mut erlang, skipped),
                engset: engset.as_mut().map(|engset| nth(engset, skipped)),
                observed: observed.map(|observed| observed.share(connections)),
                fallbacks: observed.map(|observed| observed.fallbacks(connections)),
            });
            next = connections.saturating_add(1);
        }
        Ok(limits)
    }
}

/// About the highest number of limits that a plan lists.
const LISTED_LIMITS: u32 = 2_000;

fn rules_of_thumb(users: u32) -> [(Method, u32); 2] {
    let RuleOfThumb { at_least, all_at_work } = RuleOfThumb::of(users);
    [(Method::RuleOfThumb, at_least), (Method::RuleOfThumbAllAtWork, all_at_work)]
}

fn nth(shares: &mut impl Iterator<Item = f64>, skipped: usize) -> f64 {
    shares.nth(skipped).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn rounded_up(count: f64) -> u32 {
    // A rounding error can lift a whole number slightly.
    (count - 1e-9).ceil() as u32
}
