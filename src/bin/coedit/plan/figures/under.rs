//! What the users of a trace would have met under a limit.

use coedit::Timestamp;
use coedit::capacity::{LimitRange, Observed, UnderLimit, WorstPeriod};
use serde::Serialize;

/// The course of a trace under one limit.
#[derive(Clone, Serialize)]
pub(crate) struct UnderFigures {
    pub(crate) connections: u32,
    pub(crate) fallbacks: u64,
    pub(crate) share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worst_hour: Option<PeriodFigures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) worst_day: Option<PeriodFigures>,
    /// The users who fell back at least once. `None` if the users are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) users_hit: Option<u64>,
    /// The most connections that were view-only at one time.
    pub(crate) view_only_peak: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) view_only_peak_at: Option<Timestamp>,
    /// For how long somebody was view-only, in minutes.
    pub(crate) view_only_minutes: f64,
    /// The same, where two for a minute are two minutes.
    pub(crate) view_only_sum_minutes: f64,
}

/// The worst hour or day under a limit.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct PeriodFigures {
    pub(crate) from: Timestamp,
    pub(crate) opens: u64,
    pub(crate) fallbacks: u64,
    pub(crate) share: f64,
}

/// The limits that are enough from week to week.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct WeekFigures {
    pub(crate) low: u32,
    pub(crate) high: u32,
    /// From the first day that counts to the latest.
    pub(crate) days: u32,
}

impl UnderFigures {
    pub(super) fn new(observed: &Observed, limit: u32, users_known: bool) -> Self {
        let under: UnderLimit = observed.under(limit);
        UnderFigures {
            connections: limit,
            fallbacks: under.fallbacks,
            share: under.share,
            worst_hour: under.worst_hour.map(PeriodFigures::from),
            worst_day: under.worst_day.map(PeriodFigures::from),
            users_hit: users_known.then_some(under.users_hit),
            view_only_peak: under.view_only_peak.map_or(0, |(peak, _)| peak),
            view_only_peak_at: under.view_only_peak.map(|(_, at)| at),
            view_only_minutes: under.view_only_time.as_secs_f64() / 60.0,
            view_only_sum_minutes: under.view_only_sum.as_secs_f64() / 60.0,
        }
    }
}

impl From<WorstPeriod> for PeriodFigures {
    fn from(worst: WorstPeriod) -> Self {
        let WorstPeriod { from, opens, fallbacks } = worst;
        PeriodFigures { from, opens, fallbacks, share: worst.share() }
    }
}

impl From<LimitRange> for WeekFigures {
    fn from(LimitRange { low, high, days }: LimitRange) -> Self {
        WeekFigures { low, high, days }
    }
}
