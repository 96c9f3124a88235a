//! What the formulas assume, and what it costs if it is not so.

use std::fmt;

use super::text::paragraph;
use crate::plan::figures::{Cause, Caution, Crowd, Method, Plan};

pub(super) fn write(f: &mut fmt::Formatter<'_>, plan: &Plan) -> fmt::Result {
    let mut name = "more is needed";
    if !plan.cautions.is_empty() {
        writeln!(f)?;
    }
    for caution in &plan.cautions {
        paragraph(f, name, &caution_text(*caution, plan.stay))?;
        name = "";
    }
    let mut name = "what this means";
    writeln!(f)?;
    for sentence in sentences(plan) {
        paragraph(f, name, sentence)?;
        name = "";
    }
    Ok(())
}

fn caution_text(Caution { cause, connections }: Caution, stay: f64) -> String {
    let condition = match cause {
        Cause::TabsOpenTogether => "if 30 % of the users open two documents at once".to_owned(),
        Cause::RefusedComeBack => "if refused users leave and come back later".to_owned(),
        Cause::RefusedAskAgain => {
            format!("if refused users ask again every two minutes, in a stay of {stay} minutes")
        }
        Cause::DaysVary => "if the load of one day in three is more than a tenth above or below".to_owned(),
    };
    format!("{connections} {condition}")
}

/// Returns what the words and the columns of the table mean, one sentence each.
fn sentences(plan: &Plan) -> Vec<&'static str> {
    let mut sentences =
        vec!["Load: how many connections are open on average in the busiest hour, if none is refused."];
    if let Some(Crowd::Users { .. }) = plan.crowd {
        sentences.push("--concurrent: the share of the users at work in the busiest hour, not over the day.");
    }
    if plan.trace.is_some() {
        sentences.push("Observed: the trace itself; who is refused stays as a viewer.");
    }
    sentences.push("Erlang B: so many users that the rate of opens is always the same, at random times.");
    if plan.answer(Method::Engset).is_some() {
        sentences.push(if plan.trace.is_some() {
            "Engset: the users as a group, as many of them at work as in the busiest 15 minutes; who is refused leaves."
        } else {
            "Engset: a group of this size; who is refused leaves at once and comes back later."
        });
        sentences.push(if plan.staying.is_some() {
            "Viewers stay: the same group; who is refused stays as a viewer and opens nothing meanwhile."
        } else {
            "Viewers who stay are left out: for a load above 1,000 this takes long."
        });
    } else if plan.trace.as_ref().is_some_and(|trace| trace.users.is_some()) {
        sentences
            .push("Engset is left out: users have more than one document open, so the group is not known.");
    }
    sentences
}
