//! The figures of a plan, which the table, the JSON object and the picture show.

use std::collections::BTreeSet;

use coedit::Timestamp;
use coedit::capacity::{
    CONNECTIONS_MAX, Observed, OutOfBounds, RuleOfThumb, connections_for, connections_for_group,
    engset_curve, erlang_b_curve,
};
use serde::Serialize;

use super::trace::Trace;

#[derive(Serialize)]
pub(crate) struct Plan {
    /// The share of opens that may fall back.
    pub(crate) target: f64,
    /// In erlangs; of a trace, in its busiest hour.
    pub(crate) load: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crowd: Option<Crowd>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<Seen>,
    pub(crate) answers: Vec<Answer>,
    /// From 0 up to where all answers but those far off are; not every one where there are very many.
    pub(crate) limits: Vec<Limit>,
    /// The limit that the picture draws: the given one, or the answer.
    #[serde(skip)]
    pub(crate) limit: u32,
}

/// What is known of those who come.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Crowd {
    Users { users: u32, docs_per_user: f64, concurrent: f64, group: u32 },
    Opens { opens_per_hour: f64, stay: f64 },
    Usage(Recorded),
}

/// What an engine recorded of one window.
#[derive(Clone, Serialize)]
pub(crate) struct Recorded {
    pub(crate) window: &'static str,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Edit connections.
    pub(crate) average: f64,
    pub(crate) peak: u32,
    pub(crate) peak_at: Timestamp,
    pub(crate) opens: u64,
    /// Opens that the engine's limit refused.
    pub(crate) refused: u64,
}

/// What was seen in a trace.
#[derive(Clone, Serialize)]
pub(crate) struct Seen {
    pub(crate) opens: u64,
    pub(crate) users: u32,
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) peak: u32,
    pub(crate) peak_at: Timestamp,
    pub(crate) mean_load: f64,
    pub(crate) busiest_hour: Timestamp,
    /// In minutes.
    pub(crate) mean_stay: f64,
}

/// A limit, and who says it.
#[derive(Serialize)]
pub(crate) struct Answer {
    pub(crate) by: By,
    #[serde(flatten)]
    pub(crate) limit: Limit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum By {
    ErlangB,
    Engset,
    Observed,
    Thumb,
    ThumbAllAtWork,
    Limit,
}

/// A limit, and the shares of opens that fall back under it.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Limit {
    pub(crate) connections: u32,
    pub(crate) erlang_b: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) engset: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fallbacks: Option<u64>,
}

impl Plan {
    pub(crate) fn of_users(
        users: u32,
        docs_per_user: f64,
        concurrent: f64,
        target: f64,
        limit: Option<u32>,
    ) -> Result<Self, OutOfBounds> {
        let group = rounded_up(f64::from(users) * docs_per_user);
        let load = f64::from(users) * docs_per_user * concurrent;
        // The load stays what was said where the group was rounded up.
        let at_work = load / f64::from(group);
        let mut says = vec![(By::ErlangB, connections_for(load, target)?)];
        says.push((By::Engset, connections_for_group(group, at_work, target)?));
        says.extend(thumb(users));
        let sources = Sources { load, group: Some((group, at_work)), observed: None };
        let crowd = Crowd::Users { users, docs_per_user, concurrent, group };
        Ok(Plan { crowd: Some(crowd), ..sources.plan(says, target, limit)? })
    }

    /// `stay` in minutes.
    pub(crate) fn of_opens(
        opens_per_hour: f64,
        stay: f64,
        target: f64,
        limit: Option<u32>,
    ) -> Result<Self, OutOfBounds> {
        let load = opens_per_hour * stay / 60.0;
        let says = vec![(By::ErlangB, connections_for(load, target)?)];
        let crowd = Crowd::Opens { opens_per_hour, stay };
        let sources = Sources { load, group: None, observed: None };
        Ok(Plan { crowd: Some(crowd), ..sources.plan(says, target, limit)? })
    }

    /// What was recorded, and the load that follows from it.
    pub(crate) fn of_usage(
        recorded: Recorded,
        load: f64,
        target: f64,
        limit: Option<u32>,
    ) -> Result<Self, OutOfBounds> {
        let says = vec![(By::ErlangB, connections_for(load, target)?)];
        let sources = Sources { load, group: None, observed: None };
        Ok(Plan { crowd: Some(Crowd::Usage(recorded)), ..sources.plan(says, target, limit)? })
    }

    pub(crate) fn of_trace(trace: &Trace, target: f64, limit: Option<u32>) -> Result<Self, OutOfBounds> {
        let observed = &trace.observed;
        let (from, to) = observed.span().unwrap_or_default();
        let (peak, peak_at) = observed.peak().unwrap_or_default();
        let (busiest_hour, load) = observed.busiest_hour().unwrap_or_default();
        let mut says = vec![(By::Observed, observed.limit_for(target)?)];
        says.push((By::ErlangB, connections_for(load, target)?));
        says.extend(thumb(trace.users));
        let seen = Seen {
            opens: observed.opens(),
            users: trace.users,
            from,
            to,
            peak,
            peak_at,
            mean_load: observed.load(),
            busiest_hour,
            mean_stay: observed.mean_stay().as_secs_f64() / 60.0,
        };
        let sources = Sources { load, group: None, observed: Some(observed) };
        Ok(Plan { trace: Some(seen), ..sources.plan(says, target, limit)? })
    }

    /// What `by` says, if it says anything.
    pub(crate) fn answer(&self, by: By) -> Option<Limit> {
        self.answers.iter().find(|answer| answer.by == by).map(|answer| answer.limit)
    }
}

/// What shares are computed from.
struct Sources<'a> {
    load: f64,
    group: Option<(u32, f64)>,
    observed: Option<&'a Observed>,
}

impl Sources<'_> {
    /// The plan out of what each says; the first is the answer where no limit is given.
    fn plan(&self, mut says: Vec<(By, u32)>, target: f64, limit: Option<u32>) -> Result<Plan, OutOfBounds> {
        let answer = says.first().map_or(0, |(_, connections)| *connections);
        says.extend(limit.map(|limit| (By::Limit, limit)));
        let peak = self.observed.and_then(Observed::peak).map_or(0, |(peak, _)| peak);
        let near = |connections: u32| connections <= answer.max(peak).saturating_mul(3);
        let shown = says.iter().map(|(_, connections)| *connections).filter(|connections| near(*connections));
        let top = shown.max().unwrap_or_default().max(peak);
        let top = top.saturating_add(top / 8).saturating_add(1).min(CONNECTIONS_MAX);
        let step = top.div_ceil(LIMITS).max(1);
        let mut wanted: BTreeSet<u32> = (0..=top).step_by(step as usize).collect();
        wanted.extend(says.iter().map(|(_, connections)| *connections));
        let limits = self.limits(&wanted)?;
        let find = |connections: u32| limits.iter().find(|limit| limit.connections == connections).copied();
        let answers = says
            .into_iter()
            .filter_map(|(by, connections)| Some(Answer { by, limit: find(connections)? }))
            .collect();
        let limits = limits.iter().copied().filter(|limit| limit.connections <= top).collect();
        let limit = limit.unwrap_or(answer);
        Ok(Plan { target, load: self.load, crowd: None, trace: None, answers, limits, limit })
    }

    /// The shares under the `wanted` limits, in one walk.
    fn limits(&self, wanted: &BTreeSet<u32>) -> Result<Vec<Limit>, OutOfBounds> {
        let mut erlang = erlang_b_curve(self.load)?;
        let mut engset = self.group.map(|(users, at_work)| engset_curve(users, at_work)).transpose()?;
        let (mut next, mut limits) = (0, Vec::new());
        for &connections in wanted {
            let skipped = (connections - next) as usize;
            let observed = self.observed;
            limits.push(Limit {
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

/// About as many limits are listed at most.
const LIMITS: u32 = 2_000;

fn thumb(users: u32) -> [(By, u32); 2] {
    let RuleOfThumb { at_least, all_at_work } = RuleOfThumb::of(users);
    [(By::Thumb, at_least), (By::ThumbAllAtWork, all_at_work)]
}

fn nth(shares: &mut impl Iterator<Item = f64>, skipped: usize) -> f64 {
    shares.nth(skipped).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast stops at the ends")]
fn rounded_up(count: f64) -> u32 {
    // A hair above a whole number is one that floating point missed.
    (count - 1e-9).ceil() as u32
}
