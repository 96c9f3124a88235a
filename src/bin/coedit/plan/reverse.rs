//! The question the other way round: for how many users a number of connections is enough.

use std::fmt;
use std::io;

use coedit::capacity::{OutOfBounds, group_for, users_for};
use serde::Serialize;

use super::options::{Concurrent, PlanOptions};
use super::percent::percent;
use super::table::{documents, paragraph};
use crate::failure::bad_argument;

/// For how many users a number of connections is enough.
#[derive(Serialize)]
pub(super) struct Reverse {
    connections: u32,
    docs_per_user: f64,
    /// For each target, and for each end of the range of users at work.
    users: Vec<UsersFor>,
}

#[derive(Serialize)]
struct UsersFor {
    /// The share of opens that may fall back.
    target: f64,
    /// The share of the users at work in the busiest hour.
    concurrent: f64,
    erlang_b: u32,
    engset: u32,
}

impl Reverse {
    pub(super) fn new(options: &PlanOptions, connections: u32) -> io::Result<Self> {
        let docs_per_user = options.docs_per_user.unwrap_or(1.0);
        let Concurrent { low, high } = options.concurrent.unwrap_or_default();
        let mut users = Vec::new();
        for &target in &options.share {
            for concurrent in [low, high].into_iter().take(if low < high { 2 } else { 1 }) {
                let case = UsersFor::new(connections, docs_per_user, concurrent, target);
                users.push(case.map_err(bad_argument)?);
            }
        }
        Ok(Reverse { connections, docs_per_user, users })
    }
}

impl UsersFor {
    fn new(connections: u32, docs_per_user: f64, concurrent: f64, target: f64) -> Result<Self, OutOfBounds> {
        Ok(UsersFor {
            target,
            concurrent,
            erlang_b: users_for(connections, docs_per_user * concurrent, target)?,
            engset: users_of_group(group_for(connections, concurrent, target)?, docs_per_user),
        })
    }
}

/// A group has one member for each document that a user has open.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn users_of_group(group: u32, docs_per_user: f64) -> u32 {
    (f64::from(group) / docs_per_user + 1e-9) as u32
}

impl fmt::Display for Reverse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reverse { connections, docs_per_user, users } = self;
        paragraph(
            f,
            "connections",
            &format!("{connections}, for users with {} each", documents(*docs_per_user)),
        )?;
        writeln!(f)?;
        writeln!(f, "{:>9}  {:>9}  {:>9}  {:>9}", "target", "at work", "Erlang B", "Engset")?;
        for UsersFor { target, concurrent, erlang_b, engset } in users {
            let (target, concurrent) = (percent(*target), percent(*concurrent));
            writeln!(f, "{target:>9}  {concurrent:>9}  {erlang_b:>9}  {engset:>9}")?;
        }
        writeln!(f)?;
        paragraph(f, "what this means", "The connections are enough for so many users.")?;
        for sentence in SENTENCES {
            paragraph(f, "", sentence)?;
        }
        Ok(())
    }
}

const SENTENCES: [&str; 4] = [
    "Target: the share of the opens that may fall back to view-only.",
    "At work: the share of the users at work in the busiest hour, not over the day.",
    "Erlang B: so many users that the rate of opens is always the same, at random times.",
    "Engset: a group of this size; who is refused leaves at once and comes back later.",
];
