//! A group of known size whose refused users stay as viewers.
//!
//! Engset's formula assumes that a refused user leaves at once. In coedit, a refused user gets view-only access and stays as
//! long as an editor would. Meanwhile this user opens nothing. So fewer opens fall back than [`engset()`](super::engset())
//! says, and the difference is large if many do: on half of the connections that a group needs, Engset's formula counts the
//! same user again and again.
//!
//! The model is a Markov chain of two numbers, the editors and the viewers. Stays and pauses are random (exponentially
//! distributed). A viewer stays a viewer, also if a connection gets free. The chain is solved exactly. The shape of the stays has a small influence.
//! Simulations with stays of nearly equal length, and with very unequal ones, gave 42.6 to 42.9 % where the chain gives 42.7 %,
//! and 0.9 to 1.3 % where it gives 1.05 %.
//!
//! A crowd of unlimited size needs no such model. Its opens do not depend on who is there, so that Erlang's formula holds
//! whether refused users leave or stay.

use super::chain::{Chain, Source};
use super::{
    OutOfBounds, SMALLEST_SHARE, check, check_connections, check_share, connections_for_group, engset,
};

/// The largest number of users that [`engset_staying`] and its family accept.
pub const STAYING_USERS_MAX: u32 = 1_000_000;

/// The share of opens that fall back if a group of users shares a number of connections and refused users stay as viewers.
///
/// `users` is at most [`STAYING_USERS_MAX`]. `at_work` is the share of the time, 0 to 1, in which a user has a document open,
/// as editor or as viewer. On average, `users * at_work * (1 - result)` users edit and `users * at_work * result` view.
///
/// The result is exact to about nine digits for a share above 1e-200. A smaller share is that of [`engset()`](super::engset()).
/// The cost is proportional to the load: about a millisecond for 350 erlangs.
///
/// ```
/// use coedit::capacity::{engset, engset_staying};
///
/// // 1,040 users, of whom a third is at work, on 200 connections.
/// assert!((engset(1_040, 1.0 / 3.0, 200)? - 0.526).abs() < 0.001);
/// assert!((engset_staying(1_040, 1.0 / 3.0, 200)? - 0.427).abs() < 0.001);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn engset_staying(users: u32, at_work: f64, connections: u32) -> Result<f64, OutOfBounds> {
    check_connections(connections)?;
    check(users <= STAYING_USERS_MAX, "the number of users", "at most 1,000,000")?;
    let if_they_leave = engset(users, at_work, connections)?;
    if if_they_leave < SMALLEST_SHARE || connections == 0 {
        return Ok(if_they_leave);
    }
    if at_work >= 1.0 {
        // In the rare pauses, no other user opens: each user comes back to the same access.
        return Ok(f64::from(users - connections) / f64::from(users));
    }
    let source = Source::Group { users, opens: at_work };
    Ok(Chain { source, closes: 1.0 - at_work, retries: 0.0, connections }.solve().fall_back)
}

/// The smallest number of connections with which at most `share` of the opens of a group fall back, if refused users stay as
/// viewers.
///
/// The parameters are bounded as for [`engset_staying`]. `share` is more than 0 and less than 1. It costs about as much as
/// ten times [`engset_staying`].
///
/// ```
/// use coedit::capacity::{connections_for_group, connections_for_staying};
///
/// assert_eq!(connections_for_group(1_040, 1.0 / 3.0, 0.01)?, 369);
/// assert_eq!(connections_for_staying(1_040, 1.0 / 3.0, 0.01)?, 367);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for_staying(users: u32, at_work: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_share(share)?;
    // What is enough if refused users leave is enough if they stay.
    let (mut least, mut enough) = (0, connections_for_group(users, at_work, share)?);
    while least < enough {
        let middle = least.midpoint(enough);
        if engset_staying(users, at_work, middle)? > share {
            least = middle + 1;
        } else {
            enough = middle;
        }
    }
    Ok(enough)
}
