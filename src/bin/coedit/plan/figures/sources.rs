//! Computes the figures of every limit.

use std::collections::BTreeSet;

use coedit::capacity::{CONNECTIONS_MAX, Observed, OutOfBounds, engset_curve, erlang_b_curve};

use super::{
    Answer, Demand, Goal, GrowthFigures, LimitFigures, Method, Plan, PriceFigures, ServerFigures,
    TargetFigures,
};

/// The input from which the shares of a plan are computed.
pub(super) struct Sources<'a> {
    pub(super) demand: Demand,
    pub(super) observed: Option<&'a Observed>,
}

impl Sources<'_> {
    /// Makes a plan of the limit that each method gives. The first is the answer if the command line has no limit.
    pub(super) fn plan(&self, mut answers: Vec<(Method, u32)>, goal: Goal<'_>) -> Result<Plan, OutOfBounds> {
        let first = answers.first().map_or(0, |(_, connections)| *connections);
        answers.extend(goal.limits.iter().map(|limit| (Method::Given, *limit)));
        let staying = self.demand.staying(goal.share())?;
        let connections = || answers.iter().map(|(_, connections)| *connections);
        let top = self.top(first, connections());
        let step = top.div_ceil(LISTED_LIMITS).max(1);
        let mut wanted: BTreeSet<u32> = (0..=top).step_by(step as usize).collect();
        let shown: BTreeSet<u32> = connections().chain(near(first)).chain(staying).collect();
        wanted.extend(&shown);
        let limits = self.limits(&wanted, &shown)?;
        let find = |connections: u32| limits.iter().find(|limit| limit.connections == connections).copied();
        let answers: Vec<Answer> = answers
            .into_iter()
            .filter_map(|(method, connections)| Some(Answer { method, limit: find(connections)? }))
            .collect();
        let staying = staying.and_then(find);
        let limits = limits.iter().copied().filter(|limit| limit.connections <= top).collect();
        let growth =
            goal.growth.map(|growth| GrowthFigures::new(growth, self.demand, &answers, goal.share()));
        let servers = goal.servers.map(|servers| ServerFigures::new(servers, self.demand, goal.share()));
        Ok(Plan {
            servers: servers.transpose()?,
            growth: growth.transpose()?,
            prices: goal.prices.map(|prices| PriceFigures::new(prices, &answers)),
            target: goal.share(),
            load: self.demand.load,
            answers,
            limits,
            staying,
            stay: goal.stay,
            targets: self.targets(goal.shares)?,
            limit: goal.limits.first().copied().unwrap_or(first),
            ..Plan::default()
        })
    }

    /// Returns the answers for every target, if there are several.
    fn targets(&self, shares: &[f64]) -> Result<Vec<TargetFigures>, OutOfBounds> {
        let several = if shares.len() > 1 { shares } else { &[] };
        several.iter().map(|share| TargetFigures::new(*share, self.demand, self.observed)).collect()
    }

    /// The largest limit to list: an eighth above the peak and the answers, without the answers that are far off.
    fn top(&self, first: u32, answers: impl Iterator<Item = u32>) -> u32 {
        let peak = self.observed.and_then(Observed::peak).map_or(0, |(peak, _)| peak);
        let near = first.max(peak).saturating_mul(3);
        let top = answers.filter(|connections| *connections <= near).max().unwrap_or_default().max(peak);
        top.saturating_add(top / 8).saturating_add(1).min(CONNECTIONS_MAX)
    }

    /// Computes the shares under all `wanted` limits in one pass. The table shows some of them.
    fn limits(
        &self,
        wanted: &BTreeSet<u32>,
        shown: &BTreeSet<u32>,
    ) -> Result<Vec<LimitFigures>, OutOfBounds> {
        let mut erlang = erlang_b_curve(self.demand.load)?;
        let mut engset =
            self.demand.group.map(|(users, at_work)| engset_curve(users, at_work)).transpose()?;
        let (mut next, mut limits) = (0, Vec::new());
        for &connections in wanted {
            let skipped = (connections - next) as usize;
            let observed = self.observed;
            let engset_staying =
                if shown.contains(&connections) { self.demand.staying_share(connections)? } else { None };
            limits.push(LimitFigures {
                connections,
                erlang_b: nth(&mut erlang, skipped),
                engset: engset.as_mut().map(|engset| nth(engset, skipped)),
                engset_staying,
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

fn nth(shares: &mut impl Iterator<Item = f64>, skipped: usize) -> f64 {
    shares.nth(skipped).unwrap_or_default()
}

/// The limits near the first answer that the table shows.
pub(crate) fn near(first: u32) -> impl Iterator<Item = u32> {
    let part = move |percent: u64| u32::try_from(u64::from(first) * percent / 100).unwrap_or(u32::MAX);
    NEAR.into_iter().map(part).filter(|limit| (1..=CONNECTIONS_MAX).contains(limit))
}

/// In percent of the answer.
const NEAR: [u64; 7] = [70, 80, 90, 95, 105, 110, 120];
