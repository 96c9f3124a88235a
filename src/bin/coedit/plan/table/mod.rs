//! Prints a plan as a table.

mod assumptions;
mod future;
mod shares;
mod text;
mod trace_rows;
mod what_if_rows;

use std::cmp::Ordering;
use std::fmt;

use super::figures::{Formula, Method, Plan, RangeFigures, ServerAnswer, TargetFigures};
use super::percent::percent;
use shares::Shares;
pub(super) use text::paragraph;
use text::{by, load_text};
pub(crate) use text::{described, documents};

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
        self.0.what_if.iter().try_for_each(|what_if| what_if_rows::write(f, what_if))?;
        let target = percent(plan.target);
        paragraph(f, "target", &format!("at most {target} of the opens fall back to view-only"))?;
        for warning in &plan.warnings {
            paragraph(f, "warning", warning)?;
        }
        writeln!(f)?;
        write!(f, "{}", Shares::new(plan))?;
        self.compare_rules_of_thumb(f)?;
        self.questions(f)
    }
}

impl Table<'_> {
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
        self.0.targets.iter().try_for_each(|target| target_row(f, target))?;
        if let Some(servers) = &self.0.servers {
            writeln!(f)?;
            servers.answers.iter().try_for_each(|answer| server_row(f, servers.servers, *answer))?;
        }
        self.0.growth.iter().try_for_each(|growth| future::growth_rows(f, growth))?;
        self.0.prices.iter().try_for_each(|prices| future::price_rows(f, prices))?;
        assumptions::write(f, self.0)
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

fn server_row(f: &mut fmt::Formatter<'_>, servers: u32, answer: ServerAnswer) -> fmt::Result {
    let ServerAnswer { by: formula, each, together, one } = answer;
    let name = if formula == Formula::ErlangB { format!("{servers} servers") } else { String::new() };
    let text =
        format!("each needs {each}, together {together} where one server needs {one}, {}", by(formula));
    paragraph(f, &name, &text)
}

fn target_row(f: &mut fmt::Formatter<'_>, target: &TargetFigures) -> fmt::Result {
    let answers = target.answers.iter().map(|answer| format!("{} {}", answer.connections, by(answer.by)));
    let answers: Vec<String> = answers.collect();
    paragraph(f, &format!("for {}", percent(target.target)), &answers.join(", "))
}
