//! How many connections a crowd needs: by formula, by rule of thumb, and by what was seen.
//!
//! Users come when they like and stay a while; one who finds all connections taken is let in view-only, and nobody waits for
//! one. Telephony calls that a *loss system*. The *load* is the mean number of connections that would be open if none were
//! refused: opens an hour times the mean stay in hours; its unit is the erlang. The *share that falls back* is the part of all
//! opens that get view-only where they asked to edit.
//!
//! - A large crowd, users of whom one knows only the load: [`erlang_b`], [`connections_for`], [`load_for`],
//!   [`erlang_b_curve`].
//! - A group of known size: [`engset()`], [`connections_for_group`], [`engset_curve`].
//! - What a buyer is told to take: [`RuleOfThumb`].
//! - What would have been in a day that was recorded, for every limit at once: [`Observed`].
//!
//! None of this needs an engine. The formulas are plain functions of numbers; a number out of its bounds is an
//! [`OutOfBounds`].
//!
//! ```
//! use coedit::capacity::{RuleOfThumb, connections_for, connections_for_group, erlang_b};
//!
//! // 200 users of whom 60 % are at work at one time with 1.5 documents open each: 180 connections on the average.
//! let load = 200.0 * 0.6 * 1.5;
//! let connections = connections_for(load, 0.01)?; // at most 1 in 100 opens falls back
//! assert_eq!(connections, 201);
//! assert!(erlang_b(load, 200)? > 0.01 && erlang_b(load, 201)? <= 0.01);
//! assert_eq!(connections_for_group(300, 0.6, 0.01)?, 195); // fewer, as nobody else can come
//! assert_eq!(RuleOfThumb::of(200).all_at_work, 400); // nearly twice of what is needed
//! # Ok::<(), coedit::capacity::OutOfBounds>(())
//! ```

mod engset;
mod erlang;
mod hours;
mod observed;
mod stretches;
mod thumb;

use std::fmt;

pub use engset::{connections_for_group, engset, engset_curve};
pub use erlang::{connections_for, erlang_b, erlang_b_curve, load_for};
pub use observed::{Observed, Seat};
pub use stretches::Stretch;
pub use thumb::RuleOfThumb;

/// Most connections, and most users of a group, that the formulas take. They cost a few nanoseconds a connection.
pub const CONNECTIONS_MAX: u32 = 1 << 24;

/// The largest load that the formulas take, in erlangs.
pub const LOAD_MAX: f64 = 10_000_000.0;

/// A number that a formula was given is out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfBounds {
    /// The number.
    pub number: &'static str,
    /// What it must be.
    pub rule: &'static str,
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} must be {}", self.number, self.rule)
    }
}

impl std::error::Error for OutOfBounds {}

/// Where `fits` is false, the error that says what `number` must be. No comparison holds for a NaN, so it never fits.
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
