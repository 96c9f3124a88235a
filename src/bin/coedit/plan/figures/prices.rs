//! What connections cost, and what named users cost.

use coedit::capacity::{OutOfBounds, connections_for};
use serde::Serialize;

use super::{Answer, Method};

/// The price of a connection and of a named user.
#[derive(Clone, Copy)]
pub(crate) struct Prices {
    pub(crate) connection: f64,
    pub(crate) user: Option<f64>,
}

/// What each answer costs.
#[derive(Clone, Serialize)]
pub(crate) struct PriceFigures {
    pub(crate) price_connection: f64,
    pub(crate) answers: Vec<AnswerCost>,
    /// What named users cost. `None` without a price of a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) named_users: Option<NamedUsersCost>,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct AnswerCost {
    pub(crate) answer: Method,
    pub(crate) connections: u32,
    pub(crate) cost: f64,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct NamedUsersCost {
    pub(crate) price_user: f64,
    pub(crate) users: u32,
    pub(crate) cost: f64,
    /// From so many users on, enough connections by Erlang B cost no more than the users. `None`: not for any number of users
    /// up to [`USERS_MAX`].
    pub(crate) break_even: Option<u32>,
}

/// Above this number of users, the break-even is not looked for.
pub(crate) const USERS_MAX: u32 = 100_000;

impl PriceFigures {
    pub(super) fn new(prices: Prices, answers: &[Answer]) -> Self {
        let cost = |answer: &Answer| {
            let connections = answer.limit.connections;
            AnswerCost {
                answer: answer.method,
                connections,
                cost: f64::from(connections) * prices.connection,
            }
        };
        let answers = answers.iter().map(cost).collect();
        PriceFigures { price_connection: prices.connection, answers, named_users: None }
    }
}

impl Prices {
    /// `load` is the load of all `users`. `None` without a price of a user.
    pub(super) fn named_users(
        self,
        users: u32,
        load: f64,
        share: f64,
    ) -> Result<Option<NamedUsersCost>, OutOfBounds> {
        let Some(price_user) = self.user else { return Ok(None) };
        let load_per_user = load / f64::from(users);
        let cheaper = |users: u32| {
            let connections = connections_for(f64::from(users) * load_per_user, share)?;
            Ok(f64::from(connections) * self.connection <= f64::from(users) * price_user)
        };
        let cost = f64::from(users) * price_user;
        Ok(Some(NamedUsersCost { price_user, users, cost, break_even: break_even(cheaper)? }))
    }
}

/// Returns the first number of users from which on `cheaper` is true. A large group needs fewer connections for each user.
fn break_even(cheaper: impl Fn(u32) -> Result<bool, OutOfBounds>) -> Result<Option<u32>, OutOfBounds> {
    let mut most = 1;
    while !cheaper(most)? {
        if most >= USERS_MAX {
            return Ok(None);
        }
        most = (most * 2).min(USERS_MAX);
    }
    let mut least = most / 2 + 1;
    while least < most {
        let middle = least.midpoint(most);
        if cheaper(middle)? { most = middle } else { least = middle + 1 }
    }
    // Connections are whole, so that near the break-even one user more can cost a connection more.
    let mut users = least;
    for next in least..least.saturating_add(ROUNDING).min(USERS_MAX) {
        if !cheaper(next)? {
            users = next + 1;
        }
    }
    Ok(Some(users))
}

/// So many users above the break-even, the roundings do not matter.
const ROUNDING: u32 = 300;
