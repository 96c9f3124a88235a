//! Prints a plan as a table.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use super::figures::{Crowd, LimitFigures, Method, Plan, SeriesFigures, TraceFigures};
use super::recorded::RecordedWindow;

pub(crate) struct Table<'a>(pub(crate) &'a Plan);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        if let Some(crowd) = &plan.crowd {
            writeln!(f, "{:<20}{}", "who comes", described(crowd))?;
            writeln!(f, "{:<20}{}", "load", load_text(crowd, plan.load))?;
        }
        if let Some(figures) = &plan.trace {
            trace_rows(f, figures, plan.load)?;
        }
        writeln!(
            f,
            "{:<20}at most {} of the opens fall back to view-only\n",
            "target",
            percent(plan.target)
        )?;
        for warning in &plan.warnings {
            writeln!(f, "{:<20}{warning}", "warning")?;
        }
        if !plan.warnings.is_empty() {
            writeln!(f)?;
        }
        self.heading(f)?;
        for limit in self.rows() {
            self.row(f, limit)?;
        }
        self.compare_rules_of_thumb(f)
    }
}

impl Table<'_> {
    fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_hour = self.0.trace.is_some() || matches!(self.0.crowd, Some(Crowd::Usage(_)));
        let mut names = vec![if by_hour { "Erlang B (busiest hour)" } else { "Erlang B" }];
        if self.0.trace.is_some() {
            names.insert(0, "observed");
        }
        if self.0.answer(Method::Engset).is_some() {
            names.push("Engset");
        }
        write!(f, "{:>11}", "connections")?;
        for name in names {
            write!(f, "   {name:<COLUMN$}")?;
        }
        writeln!(f, "   who says so")
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, limit: LimitFigures) -> fmt::Result {
        write!(f, "{:>11}", limit.connections)?;
        let shares: Vec<f64> =
            [limit.observed, Some(limit.erlang_b), limit.engset].into_iter().flatten().collect();
        let answers = self.0.answers.iter().filter(|answer| answer.limit.connections == limit.connections);
        let methods: Vec<&str> = answers.map(|answer| phrase(answer.method)).collect();
        for (position, share) in shares.iter().enumerate() {
            // The last column of a line has no padding, so that no line ends with spaces.
            let width = if methods.is_empty() && position + 1 == shares.len() { 0 } else { COLUMN };
            write!(f, "   {:<width$}", percent_and_odds(*share))?;
        }
        if !methods.is_empty() {
            write!(f, "   {}", methods.join("; "))?;
        }
        writeln!(f)
    }

    /// Returns all answers, and some limits near the first answer.
    fn rows(&self) -> Vec<LimitFigures> {
        let answers = self.0.answers.iter().map(|answer| answer.limit);
        let first = self.0.answers.first().map_or(0, |answer| answer.limit.connections);
        let near: BTreeSet<u64> =
            NEAR.iter().map(|percent| u64::from(first) * percent / 100).filter(|at| *at > 0).collect();
        let mut rows: Vec<LimitFigures> = answers.collect();
        rows.extend(self.0.limits.iter().filter(|limit| near.contains(&u64::from(limit.connections))));
        rows.sort_by_key(|limit| limit.connections);
        rows.dedup_by_key(|limit| limit.connections);
        rows
    }

    fn compare_rules_of_thumb(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(needed) = self.0.answers.first().map(|answer| answer.limit.connections) else {
            return Ok(());
        };
        let rules = [(Method::RuleOfThumb, "one a user"), (Method::RuleOfThumbAllAtWork, "two a user")];
        for (position, (method, rule)) in rules.into_iter().enumerate() {
            let Some(answer) = self.0.answer(method) else { continue };
            let name = if position == 0 { "\nrule of thumb" } else { "" };
            let difference = answer.connections.abs_diff(needed);
            let ratio = f64::from(answer.connections) / f64::from(needed.max(1));
            let compared = match answer.connections.cmp(&needed) {
                Ordering::Less => format!("{difference} fewer than needed"),
                Ordering::Equal => "what is needed".to_owned(),
                Ordering::Greater => format!("{difference} more than needed, {ratio:.1} times as many"),
            };
            let width = 20 + name.len() - name.trim_start().len();
            writeln!(f, "{name:<width$}{rule}: {}, {compared}", answer.connections)?;
        }
        Ok(())
    }
}

/// The width of a column of shares, in characters.
const COLUMN: usize = 23;
/// The limits near the first answer that the table shows, in percent of the answer.
const NEAR: [u64; 7] = [70, 80, 90, 95, 105, 110, 120];

fn trace_rows(f: &mut fmt::Formatter<'_>, figures: &TraceFigures, load: f64) -> fmt::Result {
    let TraceFigures { opens, from, to, peak, peak_at, mean_load, busiest_hour, mean_stay, .. } = figures;
    let users = match figures.users {
        None => String::new(),
        Some(1) => " by 1 user".to_owned(),
        Some(users) => format!(" by {users} users"),
    };
    writeln!(f, "{:<20}{opens}{users}, from {from} to {to}", "opens")?;
    writeln!(f, "{:<20}{mean_stay:.1} minutes on the average", "stay")?;
    writeln!(f, "{:<20}{peak} connections at {peak_at}", "peak")?;
    writeln!(
        f,
        "{:<20}{mean_load:.2} connections on the average, {load:.2} in the busiest hour, from {busiest_hour}",
        "load"
    )
}

fn load_text(crowd: &Crowd, load: f64) -> String {
    match crowd {
        Crowd::Usage(RecordedWindow { busiest_hour: Some(hour), .. }) => {
            let open = format!("{:.2} connections open on the average", hour.average);
            let refused = match hour.refused {
                0 => String::new(),
                refused => format!(", {load:.2} if the {refused} refused users are counted"),
            };
            format!("{open}{refused}, in the busiest hour, from {}", hour.from)
        }
        _ => format!("{load:.2} connections open on the average, were none refused"),
    }
}

pub(crate) fn described(crowd: &Crowd) -> String {
    match crowd {
        Crowd::Users { users, docs_per_user, concurrent, group } => format!(
            "{users} users with {docs_per_user} documents each (a group of {group}), {} of them at work at one time",
            percent(*concurrent)
        ),
        Crowd::Opens { opens_per_hour, stay } => {
            format!("{opens_per_hour} opens an hour, each for {stay} minutes on the average")
        }
        Crowd::Usage(RecordedWindow { window, from, to, average, peak, peak_at, opens, refused, .. }) => {
            format!(
                "{opens} opens in the {window} from {from} to {to}, {refused} refused for the limit; {average:.2} connections \
             edited on the average, {peak} at {peak_at}"
            )
        }
        Crowd::Series(SeriesFigures { from, to, average, peak, peak_at, busiest_hour }) => format!(
            "a series from {from} to {to}: {average:.2} connections on the average, {peak} at {peak_at}; the load is of \
             the busiest hour, from {busiest_hour}"
        ),
    }
}

fn phrase(method: Method) -> &'static str {
    match method {
        Method::ErlangB => "enough by Erlang B",
        Method::Engset => "enough by Engset",
        Method::Observed => "enough in the trace",
        Method::RuleOfThumb => "thumb: one a user",
        Method::RuleOfThumbAllAtWork => "thumb, all at work: two a user",
        Method::Given => "the given limit",
    }
}

/// Formats a share in percent and as "1 in N".
fn percent_and_odds(share: f64) -> String {
    if share == 0.0 {
        "never".to_owned()
    } else if share < 1e-6 {
        "under 1 in a million".to_owned()
    } else {
        let places = usize::from(share > 0.1);
        format!("{:>9} 1 in {:.places$}", percent(share), 1.0 / share)
    }
}

/// Formats a share in percent. Small shares get more decimal places.
pub(crate) fn percent(share: f64) -> String {
    let places = match share {
        _ if (share * 100.0).fract() == 0.0 => 0,
        _ if share >= 0.001 => 2,
        _ => 4,
    };
    format!("{:.places$} %", share * 100.0)
}
