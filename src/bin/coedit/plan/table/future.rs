//! The rows about growth and prices.

use std::fmt;

use super::text::{method_name, paragraph};
use crate::plan::figures::{AnswerCost, GrowthFigures, NamedUsersCost, PriceFigures, RunsOut, USERS_MAX};
use crate::plan::percent::percent;

pub(super) fn growth_rows(f: &mut fmt::Formatter<'_>, growth: &GrowthFigures) -> fmt::Result {
    let GrowthFigures { growth, months, answers } = growth;
    writeln!(f)?;
    let mut name = format!("{} more a month", percent(*growth));
    for RunsOut { answer, connections, month, .. } in answers {
        let when = match month {
            None => format!("enough for {months} months"),
            Some(0) => "too few now".to_owned(),
            Some(month) => format!("too few from month {month} on"),
        };
        paragraph(f, &name, &format!("{connections} ({}): {when}", method_name(*answer)))?;
        name.clear();
    }
    Ok(())
}

pub(super) fn price_rows(f: &mut fmt::Formatter<'_>, prices: &PriceFigures) -> fmt::Result {
    writeln!(f)?;
    let mut name = "price";
    for AnswerCost { answer, connections, cost } in &prices.answers {
        paragraph(f, name, &format!("{connections} connections ({}): {cost:.2}", method_name(*answer)))?;
        name = "";
    }
    let Some(NamedUsersCost { users, cost, break_even, .. }) = prices.named_users else { return Ok(()) };
    paragraph(f, "", &format!("{users} named users: {cost:.2}"))?;
    let text = match break_even {
        Some(users) => {
            format!("from {users} users on, enough connections by Erlang B cost no more than named users")
        }
        None => format!("connections cost more than named users for any number of users up to {USERS_MAX}"),
    };
    paragraph(f, "break-even", &text)
}
