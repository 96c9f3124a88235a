//! Prints a plan as a table.

mod text;
mod trace_rows;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use super::figures::{Crowd, LimitFigures, Method, Plan, RangeFigures, TargetFigures, near};
use text::{WIDTH, by, load_text, paragraph, percent_and_odds, phrase};
pub(crate) use text::{described, percent};

pub(crate) struct Table<'a>(pub(crate) &'a Plan);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        if let Some(crowd) = &plan.crowd {
            paragraph(f, "who comes", &described(crowd))?;
            paragraph(f, "load", &load_text(crowd, plan.load))?;
        }
        if let Some(figures) = &plan.trace {
            trace_rows::write(f, plan, figures)?;
        }
        let target = percent(plan.target);
        paragraph(f, "target", &format!("at most {target} of the opens fall back to view-only"))?;
        for warning in &plan.warnings {
            paragraph(f, "warning", warning)?;
        }
        writeln!(f)?;
        self.heading(f)?;
        for limit in self.rows() {
            self.row(f, limit)?;
        }
        self.compare_rules_of_thumb(f)?;
        self.questions(f)
    }
}

impl Table<'_> {
    fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = self.0.trace.is_some();
        let by_hour = trace || matches!(self.0.crowd, Some(Crowd::Usage(_)));
        let mut names = vec![if by_hour { "Erlang B (1 hour)" } else { "Erlang B" }];
        if trace {
            names.insert(0, "observed");
        }
        if self.0.answer(Method::Engset).is_some() {
            names.push(if trace { "Engset (15 minutes)" } else { "Engset" });
        }
        write!(f, "{:>NUMBERS$}", "connections")?;
        for name in names {
            write!(f, "{:SPACE$}{name:<COLUMN$}", "")?;
        }
        writeln!(f, "{:SPACE$}who says so", "")
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, limit: LimitFigures) -> fmt::Result {
        write!(f, "{:>NUMBERS$}", limit.connections)?;
        let shares: Vec<f64> =
            [limit.observed, Some(limit.erlang_b), limit.engset].into_iter().flatten().collect();
        let answers = self.0.answers.iter().filter(|answer| answer.limit.connections == limit.connections);
        let methods: Vec<&str> = answers.map(|answer| phrase(answer.method)).collect();
        for (position, share) in shares.iter().enumerate() {
            // The last column of a line has no padding, so that no line ends with spaces.
            let width = if methods.is_empty() && position + 1 == shares.len() { 0 } else { COLUMN };
            write!(f, "{:SPACE$}{:<width$}", "", percent_and_odds(*share))?;
        }
        let begins = NUMBERS + shares.len() * (SPACE + COLUMN) + SPACE;
        let mut column = begins - SPACE;
        for (position, method) in methods.iter().enumerate() {
            let end = if position + 1 < methods.len() { ";" } else { "" };
            if position > 0 && column + 1 + method.len() + end.len() > WIDTH {
                write!(f, "\n{:begins$}{method}{end}", "")?;
                column = begins + method.len() + end.len();
            } else {
                let space = if position > 0 { 1 } else { SPACE };
                write!(f, "{:space$}{method}{end}", "")?;
                column += space + method.len() + end.len();
            }
        }
        writeln!(f)
    }

    /// Returns all answers, and some limits near the first answer.
    fn rows(&self) -> Vec<LimitFigures> {
        let answers = self.0.answers.iter().map(|answer| answer.limit);
        let first = self.0.answers.first().map_or(0, |answer| answer.limit.connections);
        let near: BTreeSet<u32> = near(first).collect();
        let mut rows: Vec<LimitFigures> = answers.collect();
        rows.extend(self.0.limits.iter().filter(|limit| near.contains(&limit.connections)));
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

    /// Prints what was asked beside the limit.
    fn questions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(range) = &self.0.range {
            writeln!(f)?;
            range_row(f, range)?;
        }
        if !self.0.targets.is_empty() {
            writeln!(f)?;
        }
        self.0.targets.iter().try_for_each(|target| target_row(f, target))
    }
}

fn range_row(f: &mut fmt::Formatter<'_>, range: &RangeFigures) -> fmt::Result {
    let RangeFigures { low, high, answers } = range;
    let answers = answers.iter().map(|answer| format!("{} to {} {}", answer.low, answer.high, by(answer.by)));
    let answers: Vec<String> = answers.collect();
    let text = format!(
        "{} to {} of the users need {}; the table is for {}",
        percent(*low),
        percent(*high),
        answers.join(", "),
        percent(*high)
    );
    paragraph(f, "at work", &text)
}

fn target_row(f: &mut fmt::Formatter<'_>, target: &TargetFigures) -> fmt::Result {
    let answers = target.answers.iter().map(|answer| format!("{} {}", answer.connections, by(answer.by)));
    let answers: Vec<String> = answers.collect();
    paragraph(f, &format!("for {}", percent(target.target)), &answers.join(", "))
}

/// The width of the numbers of connections, of a column of shares, and of the space before it, in characters.
const NUMBERS: usize = 11;
const COLUMN: usize = 20;
const SPACE: usize = 2;
