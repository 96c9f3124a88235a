//! The rows of limits, with the share of opens that fall back under each.

use std::collections::BTreeSet;
use std::fmt;

use super::text::{WIDTH, percent_and_odds, phrase};
use crate::plan::figures::{Crowd, LimitFigures, Method, Plan, near};
use crate::plan::percent::percent;

/// The limits of a plan, one a line.
pub(super) struct Shares<'a> {
    plan: &'a Plan,
    /// The heading of each column of shares.
    names: Vec<&'static str>,
}

/// The width of the numbers of connections, and of the space before a column, in characters.
const NUMBERS: usize = 11;
const SPACE: usize = 2;

impl fmt::Display for Shares<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.column();
        write!(f, "{:>NUMBERS$}", "connections")?;
        for name in &self.names {
            write!(f, "{:SPACE$}{name:<width$}", "")?;
        }
        writeln!(f, "{:SPACE$}who says so", "")?;
        self.rows().into_iter().try_for_each(|limit| self.row(f, limit))
    }
}

impl<'a> Shares<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        let mut names = Vec::new();
        if plan.trace.is_some() {
            names.push("observed");
        }
        let usage = matches!(plan.crowd, Some(Crowd::Usage(_)));
        names.push(if usage { "Erlang B (busiest hour)" } else { "Erlang B" });
        if plan.answer(Method::Engset).is_some() {
            names.push("Engset");
        }
        if plan.staying.is_some() {
            names.push("viewers stay");
        }
        Shares { plan, names }
    }

    /// Returns the width of a column. Many columns have no odds, so that the table stays narrow.
    fn column(&self) -> usize {
        match self.names.len() {
            1 => 23,
            2 | 3 => 20,
            _ => 12,
        }
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, limit: LimitFigures) -> fmt::Result {
        write!(f, "{:>NUMBERS$}", limit.connections)?;
        let shares = [limit.observed, Some(limit.erlang_b), limit.engset, limit.engset_staying];
        let shares: Vec<f64> = shares.into_iter().flatten().collect();
        let phrases = self.phrases(limit);
        for (position, share) in shares.iter().enumerate() {
            // The last column of a line has no padding, so that no line ends with spaces.
            let width = if phrases.is_empty() && position + 1 == shares.len() { 0 } else { self.column() };
            let share = if shares.len() > 3 { short(*share) } else { percent_and_odds(*share) };
            write!(f, "{:SPACE$}{share:<width$}", "")?;
        }
        self.write_phrases(f, &phrases)
    }

    /// Returns the methods that give a limit.
    fn phrases(&self, limit: LimitFigures) -> Vec<&'static str> {
        let answers = self.plan.answers.iter().filter(|answer| answer.limit.connections == limit.connections);
        let staying = self.plan.staying.filter(|staying| staying.connections == limit.connections);
        let staying = staying.map(|_| "enough if viewers stay");
        answers.map(|answer| phrase(answer.method)).chain(staying).collect()
    }

    /// Writes phrases that do not fit on lines of their own.
    fn write_phrases(&self, f: &mut fmt::Formatter<'_>, phrases: &[&str]) -> fmt::Result {
        let begins = NUMBERS + self.names.len() * (SPACE + self.column()) + SPACE;
        let mut column = begins - SPACE;
        for (position, phrase) in phrases.iter().enumerate() {
            let end = if position + 1 < phrases.len() { ";" } else { "" };
            let width = phrase.len() + end.len();
            if position > 0 && column + 1 + width > WIDTH {
                write!(f, "\n{:begins$}{phrase}{end}", "")?;
                column = begins + width;
            } else {
                let space = if position > 0 { 1 } else { SPACE };
                write!(f, "{:space$}{phrase}{end}", "")?;
                column += space + width;
            }
        }
        writeln!(f)
    }

    /// Returns all answers, and some limits near the first answer.
    fn rows(&self) -> Vec<LimitFigures> {
        let answers = self.plan.answers.iter().map(|answer| answer.limit);
        let first = self.plan.answers.first().map_or(0, |answer| answer.limit.connections);
        let near: BTreeSet<u32> = near(first).collect();
        let mut rows: Vec<LimitFigures> = answers.chain(self.plan.staying).collect();
        rows.extend(self.plan.limits.iter().filter(|limit| near.contains(&limit.connections)));
        rows.sort_by_key(|limit| limit.connections);
        rows.dedup_by_key(|limit| limit.connections);
        rows
    }
}

/// Formats a share in percent alone.
fn short(share: f64) -> String {
    match share {
        0.0 => "never".to_owned(),
        _ if share < 1e-6 => "< 0.0001 %".to_owned(),
        _ => format!("{:>9}", percent(share)),
    }
}
