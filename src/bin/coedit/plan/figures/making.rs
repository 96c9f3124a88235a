//! Makes the plan of a number of users, of a load, or of what was recorded.

use coedit::capacity::{Observed, OutOfBounds, RuleOfThumb, connections_for};

use super::cautions::cautions;
use super::sources::Sources;
use super::{
    Crowd, Demand, Goal, Method, People, Plan, RangeFigures, SeriesFigures, TraceFigures, UnderFigures,
    WeekFigures,
};
use crate::plan::options::Concurrent;
use crate::plan::read::Recording;
use crate::plan::recorded::RecordedWindow;
use crate::plan::trace::Trace;

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
        let cautions = cautions(demand.load, goal.stay, goal.share())?;
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
        let cautions = cautions(load, goal.stay, goal.share())?;
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
