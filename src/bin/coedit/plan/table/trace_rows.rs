//! The rows of a trace: what is in it, and what its users would have met under a limit.

use std::fmt;

use super::text::{Local, paragraph};
use crate::plan::figures::{PeriodFigures, Plan, TraceFigures, UnderFigures};
use crate::plan::percent::percent;

pub(super) fn write(f: &mut fmt::Formatter<'_>, plan: &Plan, figures: &TraceFigures) -> fmt::Result {
    let TraceFigures { opens, from, to, peak, peak_at, mean_load, busiest_hour, mean_stay, .. } = figures;
    let local = |at| Local(at, plan.utc_offset);
    let users = figures.users.map(|users| format!(" by {}", people(users.into()))).unwrap_or_default();
    paragraph(f, "opens", &format!("{opens}{users}, from {} to {}", local(*from), local(*to)))?;
    paragraph(f, "stay", &format!("{mean_stay:.1} minutes on the average"))?;
    paragraph(f, "peak", &format!("{peak} connections at {}", local(*peak_at)))?;
    let hour = format!("{:.2} in the busiest hour, from {}", plan.load, local(*busiest_hour));
    let quarter = format!(
        "{:.2} in the busiest 15 minutes, from {}",
        figures.quarter_load,
        local(figures.busiest_quarter)
    );
    paragraph(f, "load", &format!("{mean_load:.2} connections on the average, {hour}, {quarter}"))?;
    plan.under.iter().try_for_each(|under| under_rows(f, plan, figures, under))?;
    let Some(weeks) = plan.weeks else { return Ok(()) };
    let text = format!(
        "{} to {} connections are enough for most weeks, by the days of the last {}",
        weeks.low, weeks.high, weeks.days
    );
    paragraph(f, "from week to week", &text)
}

fn under_rows(
    f: &mut fmt::Formatter<'_>,
    plan: &Plan,
    figures: &TraceFigures,
    under: &UnderFigures,
) -> fmt::Result {
    let all = format!("{} of {} opens fall back, {}", under.fallbacks, figures.opens, percent(under.share));
    paragraph(f, &format!("under {}", under.connections), &all)?;
    if under.fallbacks == 0 {
        return Ok(());
    }
    for (name, worst) in [("  worst hour", under.worst_hour), ("  worst day", under.worst_day)] {
        let Some(PeriodFigures { from, opens, fallbacks, share }) = worst else { continue };
        let from = Local(from, plan.utc_offset);
        paragraph(f, name, &format!("{fallbacks} of {opens} opens, {}, from {from}", percent(share)))?;
    }
    if let Some((hit, users)) = under.users_hit.zip(figures.users) {
        paragraph(f, "  users hit", &format!("{hit} of {} at least once", people(users.into())))?;
    }
    let at = under.view_only_peak_at.map(|at| format!(" at {}", Local(at, plan.utc_offset)));
    let text = format!(
        "at most {} connections at one time,{}; at least one for {}, {} in all",
        under.view_only_peak,
        at.unwrap_or_default(),
        in_words(under.view_only_minutes),
        in_words(under.view_only_sum_minutes)
    );
    paragraph(f, "  view-only", &text)
}

fn people(users: u64) -> String {
    if users == 1 { "1 user".to_owned() } else { format!("{users} users") }
}

/// Writes minutes in hours if they are many.
fn in_words(minutes: f64) -> String {
    if minutes < 120.0 { format!("{minutes:.1} minutes") } else { format!("{:.1} hours", minutes / 60.0) }
}
