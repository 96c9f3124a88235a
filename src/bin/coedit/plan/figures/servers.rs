//! Several servers that share a load.

use coedit::capacity::{OutOfBounds, connections_for, connections_for_each, connections_for_each_group};
use serde::Serialize;

use super::{Demand, Formula};

/// How many connections each of several servers needs.
#[derive(Clone, Serialize)]
pub(crate) struct ServerFigures {
    pub(crate) servers: u32,
    pub(crate) answers: Vec<ServerAnswer>,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct ServerAnswer {
    pub(crate) by: Formula,
    /// The connections of each server.
    pub(crate) each: u32,
    /// The connections of all servers.
    pub(crate) together: u64,
    /// The connections of one server with the whole load.
    pub(crate) one: u32,
}

impl ServerFigures {
    pub(super) fn new(servers: u32, demand: Demand, share: f64) -> Result<Self, OutOfBounds> {
        let answer = |by, each: u32, one| ServerAnswer {
            by,
            each,
            together: u64::from(each) * u64::from(servers),
            one,
        };
        let each = connections_for_each(servers, demand.load, share)?;
        let mut answers = vec![answer(Formula::ErlangB, each, connections_for(demand.load, share)?)];
        if let Some((users, at_work)) = demand.group {
            let each = connections_for_each_group(servers, users, at_work, share)?;
            answers.push(answer(Formula::Engset, each, demand.engset(share)?.unwrap_or_default()));
        }
        Ok(ServerFigures { servers, answers })
    }
}
