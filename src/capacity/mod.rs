//! How many connections a number of users needs: by formula, by rule of thumb, and from a recording.
//!
//! Users open documents at random times and keep them open for a while. If all connections are taken, a user gets view-only
//! access and nobody waits. Telephony calls this a *loss system*. The *load* is the average number of connections that
//! would be open if none were refused: the opens in an hour times their mean duration in hours. Its unit is the erlang. The
//! *share that falls back* is the share of the opens that asked for edit access and got view-only access.
//!
//! - For many users of whom only the load is known: [`erlang_b`], [`connections_for`], [`load_for`], [`erlang_b_curve`].
//! - For a group of known size: [`engset()`], [`connections_for_group`], [`engset_curve`].
//! - For a group whose refused users stay as viewers: [`engset_staying`], [`connections_for_staying`].
//! - For tabs that open together, for refused users who try again, and for days that differ: [`connections_for_batches`],
//!   [`connections_for_retrying`], [`connections_for_varying`]. Erlang's formula is too low for all three.
//! - For how many users a number of connections is enough, and how many each of several servers needs: [`users_for`],
//!   [`group_for`], [`connections_for_each`].
//! - The rule of thumb that buyers are given: [`RuleOfThumb`].
//! - For a recorded day, the results under every limit at once: [`Observed`]. For classes and meetings, [`timetable`].
//!
//! None of this needs an engine. The formulas are plain functions. If a parameter is outside its bounds, they return
//! [`OutOfBounds`].
//!
//! ```
//! use coedit::capacity::{RuleOfThumb, connections_for, connections_for_group, erlang_b};
//!
//! // 200 users. 60 % of them work at the same time, with 1.5 documents each: 180 connections on average.
//! let load = 200.0 * 0.6 * 1.5;
//! let connections = connections_for(load, 0.01)?; // at most 1 in 100 opens falls back
//! assert_eq!(connections, 201);
//! assert!(erlang_b(load, 200)? > 0.01 && erlang_b(load, 201)? <= 0.01);
//! assert_eq!(connections_for_group(300, 0.6, 0.01)?, 195); // fewer, because nobody else can open
//! assert_eq!(RuleOfThumb::of(200).all_at_work, 400); // nearly twice what is needed
//! # Ok::<(), coedit::capacity::OutOfBounds>(())
//! ```

mod batches;
mod burst;
mod chain;
mod division;
mod engset;
mod erlang;
mod observed;
mod random;
mod retrying;
mod rule_of_thumb;
mod staying;
mod varying;

use std::fmt;

pub use batches::{connections_for_batches, erlang_b_batches};
pub use burst::{Burst, BurstError, TIMETABLE_USERS_MAX, timetable};
pub use division::{connections_for_each, connections_for_each_group, group_for, users_for};
pub use engset::{connections_for_group, engset, engset_curve};
pub use erlang::{connections_for, erlang_b, erlang_b_curve, load_for};
pub use observed::{Interval, LimitRange, Observed, ObservedConnection, UnderLimit, WorstPeriod};
pub use retrying::{
    RETRYING_LOAD_MAX, Retrying, connections_for_retrying, connections_for_returning, erlang_b_retrying,
};
pub use rule_of_thumb::RuleOfThumb;
pub use staying::{STAYING_USERS_MAX, connections_for_staying, engset_staying};
pub use varying::{DEVIATION_MAX, connections_for_varying, erlang_b_varying};

/// The largest number of connections, and of users of a group, that the formulas accept. The formulas cost a few
/// nanoseconds for each connection.
pub const CONNECTIONS_MAX: u32 = 1 << 24;

/// The largest load that the formulas accept, in erlangs.
pub const LOAD_MAX: f64 = 10_000_000.0;

/// Below this share, the weights of a chain are too far apart for an `f64`.
const SMALLEST_SHARE: f64 = 1e-200;

/// The error of a formula whose parameter is outside its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// The name of the parameter, as in "the load".
    pub number: &'static str,
    /// The bounds, as in "0 to 1".
    pub rule: &'static str,
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.number, self.rule)
    }
}

impl std::error::Error for OutOfBounds {}

/// Returns an error if `fits` is false. A NaN never fits, because no comparison with it is true.
fn check(fits: bool, number: &'static str, rule: &'static str) -> Result<(), OutOfBounds> {
    if fits { Ok(()) } else { Err(OutOfBounds { number, rule }) }
}

fn check_load(load: f64) -> Result<(), OutOfBounds> {
    check((0.0..=LOAD_MAX).contains(&load), "the load", "0 to 10,000,000 erlangs")
}

fn check_connections(connections: u32) -> Result<(), OutOfBounds> {
    check(connections <= CONNECTIONS_MAX, "the number of connections", "at most 16,777,216")
}

fn check_share(share: f64) -> Result<(), OutOfBounds> {
    check(share > 0.0 && share < 1.0, "the share that falls back", "more than 0 and less than 1")
}
