//! A group of known size: Engset's loss formula.
//!
//! T. Engset, 1918; the recurrence is the usual one (V. B. Iversen, Teletraffic Engineering Handbook, ITU-D). Against Erlang's
//! formula it knows that whoever is in cannot come once more: a small group needs fewer connections than its load alone says.
//!
//! It is about *opens* (call congestion), which is what users meet, not about the part of the time in which all connections
//! are taken (time congestion). One who opens meets the others: call congestion in a group is time congestion in the same
//! group without one.
//!
//! One difference to coedit: Engset lets one who is refused go at once, to come again after the usual pause. Here one stays
//! on as a viewer and meanwhile opens nothing, so that fewer fall back than Engset says. The answer is on the safe side: by a
//! tenth or two of the share where few fall back, by more where many do.

use std::iter;

use super::{CONNECTIONS_MAX, OutOfBounds, check, check_connections, check_share};

/// The share of opens that fall back where a group of so many `users`, each with one connection or none, meets so many
/// connections.
///
/// `users`: at most [`CONNECTIONS_MAX`]; one who works on two documents at a time counts as two. `at_work`: the share of the
/// time that each has a connection open where none is refused, 0 to 1; the load is `users * at_work`. Exact to some nine
/// digits. Costs the connections.
///
/// ```
/// use coedit::capacity::{engset, erlang_b};
///
/// assert_eq!(engset(10, 0.5, 10)?, 0.0); // a connection for each
/// assert!(engset(20, 0.5, 15)? < erlang_b(10.0, 15)?);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn engset(users: u32, at_work: f64, connections: u32) -> Result<f64, OutOfBounds> {
    check_connections(connections)?;
    Ok(engset_curve(users, at_work)?.nth(connections as usize).unwrap_or_default())
}

/// The same with 0, 1, 2 … connections, without an end: every limit in one pass. An item costs one division.
///
/// ```
/// use coedit::capacity::engset_curve;
///
/// assert_eq!(engset_curve(2, 0.5)?.take(4).collect::<Vec<f64>>(), [1.0, 0.5, 0.0, 0.0]);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn engset_curve(users: u32, at_work: f64) -> Result<impl Iterator<Item = f64>, OutOfBounds> {
    check(users <= CONNECTIONS_MAX, "the number of users", "at most 16,777,216")?;
    check((0.0..=1.0).contains(&at_work), "the share of the time at work", "0 to 1")?;
    let users = f64::from(users);
    // As in Erlang's; the odds of being at work are multiplied out, so that 1 is no special case.
    let with_one_more = move |(connections, share): &(f64, f64)| {
        let connections = connections + 1.0;
        let wanted = (users - connections) * at_work * share;
        let share = if wanted > 0.0 { wanted / (connections * (1.0 - at_work) + wanted) } else { 0.0 };
        Some((connections, share))
    };
    // With nobody there nobody falls back, with or without connections.
    let none = if users > 0.0 { 1.0 } else { 0.0 };
    Ok(iter::successors(Some((0.0, none)), with_one_more).map(|(_, share)| share))
}

/// The fewest connections with which at most `share` of the opens of a group fall back; at most its users.
///
/// Bounds as for [`engset`]; `share` is more than 0 and less than 1. Costs the answer.
///
/// ```
/// use coedit::capacity::connections_for_group;
///
/// assert_eq!(connections_for_group(100, 0.2, 0.01)?, 29); // by Erlang's formula it were 30
/// assert_eq!(connections_for_group(100, 1.0, 0.01)?, 100); // all are always at work
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for_group(users: u32, at_work: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_share(share)?;
    let fewer = engset_curve(users, at_work)?.take_while(|falls_back| *falls_back > share).count();
    Ok(u32::try_from(fewer).unwrap_or(u32::MAX))
}
