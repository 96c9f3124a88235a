//! Engset's loss formula, for a group of known size.
//!
//! T. Engset published the formula in 1918. The recurrence is the usual way to compute it (V. B. Iversen, Teletraffic
//! Engineering Handbook, ITU-D). Unlike Erlang's formula, it takes into account that a user who already has a connection
//! does not open another one. So a small group needs fewer connections than Erlang's formula says.
//!
//! The result is the share of *opens* that fall back (call congestion). It is not the share of time in which all connections
//! are taken (time congestion). A user who opens meets only the other users. So the call congestion of a group is the time
//! congestion of the same group without one user.
//!
//! coedit differs from Engset's model in one point. In the model, a refused user leaves at once and comes back after the
//! usual pause. In coedit, a refused user stays as a viewer and opens nothing meanwhile. So fewer opens fall back than the
//! formula says. The result is on the safe side: by 10 to 20 % of the share if few opens fall back, by more if many do. See
//! [`engset_staying`](super::engset_staying) for a model without this difference.

use std::iter;

use super::{CONNECTIONS_MAX, OutOfBounds, check, check_connections, check_share};

/// Engset: the share of opens that fall back if a group of users shares a number of connections. Each user has one
/// connection or none.
///
/// `users` is at most [`CONNECTIONS_MAX`]. A user who works on two documents at the same time counts as two. `at_work` is the
/// share of the time, 0 to 1, in which a user has a connection open if none is refused. The load is `users * at_work`. The
/// result is exact to about nine digits. The cost is proportional to the connections.
///
/// ```
/// use coedit::capacity::{engset, erlang_b};
///
/// assert_eq!(engset(10, 0.5, 10)?, 0.0); // one connection for each user
/// assert!(engset(20, 0.5, 15)? < erlang_b(10.0, 15)?);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn engset(users: u32, at_work: f64, connections: u32) -> Result<f64, OutOfBounds> {
    check_connections(connections)?;
    Ok(engset_curve(users, at_work)?.nth(connections as usize).unwrap_or_default())
}

/// The results of [`engset()`] for 0, 1, 2 … connections. The iterator never ends. Each item costs one division.
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
    // The recurrence of Erlang B with the load (users - n) at_work / (1 - at_work). Both sides of the fraction are multiplied
    // by 1 - at_work, so that at_work = 1 is no special case.
    let next = move |(connections, share): &(f64, f64)| {
        let connections = connections + 1.0;
        let offered = (users - connections) * at_work * share;
        let share = if offered > 0.0 { offered / (connections * (1.0 - at_work) + offered) } else { 0.0 };
        Some((connections, share))
    };
    // Without users, no open falls back.
    let first = if users > 0.0 { 1.0 } else { 0.0 };
    Ok(iter::successors(Some((0.0, first)), next).map(|(_, share)| share))
}

/// The smallest number of connections with which at most `share` of the opens of a group fall back. It is at most the number
/// of users.
///
/// `users` and `at_work` are bounded as for [`engset()`]. `share` is more than 0 and less than 1. The cost is proportional to
/// the result.
///
/// ```
/// use coedit::capacity::connections_for_group;
///
/// assert_eq!(connections_for_group(100, 0.2, 0.01)?, 29); // Erlang's formula says 30
/// assert_eq!(connections_for_group(100, 1.0, 0.01)?, 100); // all users always work
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for_group(users: u32, at_work: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_share(share)?;
    let too_few = engset_curve(users, at_work)?.take_while(|falls_back| *falls_back > share).count();
    Ok(u32::try_from(too_few).unwrap_or(u32::MAX))
}
