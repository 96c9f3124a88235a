//! A plan as a table for people.

use std::collections::BTreeSet;
use std::fmt;

use super::figures::{By, Crowd, Limit, Plan, Recorded, Seen};

pub(crate) struct Table<'a>(pub(crate) &'a Plan);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        if let Some(crowd) = &plan.crowd {
            writeln!(f, "{:<20}{}", "who comes", described(crowd))?;
            writeln!(f, "{:<20}{:.2} connections open on the average, were none refused", "load", plan.load)?;
        }
        if let Some(seen) = &plan.trace {
            seen_rows(f, seen, plan.load)?;
        }
        writeln!(
            f,
            "{:<20}at most {} of the opens fall back to view-only\n",
            "target",
            percent(plan.target)
        )?;
        self.heading(f)?;
        for limit in self.rows() {
            self.row(f, limit)?;
        }
        self.price_of_the_thumb(f)
    }
}

impl Table<'_> {
    fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = vec![if self.0.trace.is_some() { "Erlang B (busiest hour)" } else { "Erlang B" }];
        if self.0.trace.is_some() {
            names.insert(0, "observed");
        }
        if self.0.answer(By::Engset).is_some() {
            names.push("Engset");
        }
        write!(f, "{:>11}", "connections")?;
        for name in names {
            write!(f, "   {name:<COLUMN$}")?;
        }
        writeln!(f, "   who says so")
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, limit: Limit) -> fmt::Result {
        write!(f, "{:>11}", limit.connections)?;
        let shares: Vec<f64> =
            [limit.observed, Some(limit.erlang_b), limit.engset].into_iter().flatten().collect();
        let said = self.0.answers.iter().filter(|answer| answer.limit.connections == limit.connections);
        let said: Vec<&str> = said.map(|answer| phrase(answer.by)).collect();
        for (position, share) in shares.iter().enumerate() {
            // No spaces at the end of a line.
            let width = if said.is_empty() && position + 1 == shares.len() { 0 } else { COLUMN };
            write!(f, "   {:<width$}", part(*share))?;
        }
        if !said.is_empty() {
            write!(f, "   {}", said.join("; "))?;
        }
        writeln!(f)
    }

    /// Every answer, and some limits around the first.
    fn rows(&self) -> Vec<Limit> {
        let answers = self.0.answers.iter().map(|answer| answer.limit);
        let first = self.0.answers.first().map_or(0, |answer| answer.limit.connections);
        let around: BTreeSet<u64> =
            AROUND.iter().map(|percent| u64::from(first) * percent / 100).filter(|at| *at > 0).collect();
        let mut rows: Vec<Limit> = answers.collect();
        rows.extend(self.0.limits.iter().filter(|limit| around.contains(&u64::from(limit.connections))));
        rows.sort_by_key(|limit| limit.connections);
        rows.dedup_by_key(|limit| limit.connections);
        rows
    }

    fn price_of_the_thumb(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(needed) = self.0.answers.first().map(|answer| answer.limit.connections) else {
            return Ok(());
        };
        let thumbs = [(By::Thumb, "one a user"), (By::ThumbAllAtWork, "two a user")];
        for (position, (by, rule)) in thumbs.into_iter().enumerate() {
            let Some(thumb) = self.0.answer(by) else { continue };
            let name = if position == 0 { "\nrule of thumb" } else { "" };
            let (more, than) =
                (thumb.connections.abs_diff(needed), f64::from(thumb.connections) / f64::from(needed.max(1)));
            let compared = match thumb.connections.cmp(&needed) {
                std::cmp::Ordering::Less => format!("{more} fewer than needed"),
                std::cmp::Ordering::Equal => "what is needed".to_owned(),
                std::cmp::Ordering::Greater => format!("{more} more than needed, {than:.1} times as many"),
            };
            let width = 20 + name.len() - name.trim_start().len();
            writeln!(f, "{name:<width$}{rule}: {}, {compared}", thumb.connections)?;
        }
        Ok(())
    }
}

/// How wide a share is written, in characters.
const COLUMN: usize = 23;
/// The limits around the first answer that are shown, in percent of it.
const AROUND: [u64; 7] = [70, 80, 90, 95, 105, 110, 120];

fn seen_rows(f: &mut fmt::Formatter<'_>, seen: &Seen, load: f64) -> fmt::Result {
    let users = if seen.users == 1 { "1 user".to_owned() } else { format!("{} users", seen.users) };
    writeln!(f, "{:<20}{} by {users}, from {} to {}", "opens", seen.opens, seen.from, seen.to)?;
    writeln!(f, "{:<20}{:.1} minutes on the average", "stay", seen.mean_stay)?;
    writeln!(f, "{:<20}{} connections at {}", "peak", seen.peak, seen.peak_at)?;
    writeln!(
        f,
        "{:<20}{:.2} connections on the average, {load:.2} in the busiest hour, from {}",
        "load", seen.mean_load, seen.busiest_hour
    )
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
        Crowd::Usage(Recorded { window, from, to, average, peak, peak_at, opens, refused }) => format!(
            "{opens} opens in the {window} from {from} to {to}, {refused} refused for the limit; {average:.2} connections \
             edited on the average, {peak} at {peak_at}"
        ),
    }
}

fn phrase(by: By) -> &'static str {
    match by {
        By::ErlangB => "enough by Erlang B",
        By::Engset => "enough by Engset",
        By::Observed => "enough in the trace",
        By::Thumb => "thumb: one a user",
        By::ThumbAllAtWork => "thumb, all at work: two a user",
        By::Limit => "the given limit",
    }
}

/// A share in percent and as one in so many.
fn part(share: f64) -> String {
    if share == 0.0 {
        "never".to_owned()
    } else if share < 1e-6 {
        "under 1 in a million".to_owned()
    } else {
        let places = usize::from(share > 0.1);
        format!("{:>9} 1 in {:.places$}", percent(share), 1.0 / share)
    }
}

/// A share in percent, with as many places as say something.
pub(crate) fn percent(share: f64) -> String {
    let places = match share {
        _ if (share * 100.0).fract() == 0.0 => 0,
        _ if share >= 0.001 => 2,
        _ => 4,
    };
    format!("{:.places$} %", share * 100.0)
}
