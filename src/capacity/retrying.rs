//! Refused users who try again.
//!
//! Erlang's formula assumes that nobody comes back. But a user who reloads every two minutes takes the next free connection,
//! and then others find none. There are two models, and the truth is mostly near the second one:
//!
//! - The user comes back later, when the rush is over. Each attempt is as good as another, so that the load is higher by the
//!   share that falls back: [`connections_for_returning`] (extended Erlang B).
//! - The user stays and asks again during the stay: [`erlang_b_retrying`], [`connections_for_retrying`]. A moment at which all
//!   connections are taken lasts longer than two minutes, and all who were refused in it wait for the next free connection.
//!   This is a Markov chain of editors and viewers with retries at random times, solved exactly (the retrial queue with
//!   impatience; G. I. Falin and J. G. C. Templeton, Retrial Queues, 1997). A simulation with retries at fixed times gave
//!   the same shares within 6 %.

use super::chain::{Chain, Source};
use super::{
    OutOfBounds, SMALLEST_SHARE, check, check_connections, check_load, check_share, connections_for, erlang_b,
};

/// The largest load that [`erlang_b_retrying`] accepts, in erlangs.
pub const RETRYING_LOAD_MAX: f64 = 100_000.0;

/// What happens if refused users stay as viewers and ask again. [`erlang_b_retrying`] returns it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retrying {
    /// The share of the opens that fall back at first.
    pub falls_back: f64,
    /// The share of the opens that never get edit access, because the user leaves before.
    pub never_edits: f64,
}

/// Erlang B for refused users who stay as viewers and ask again during their stay.
///
/// `load` is 0 to [`RETRYING_LOAD_MAX`]. `retries` is the number of times that a refused user would ask in a mean stay: 15 if
/// the mean stay is 30 minutes and users ask every two minutes. It is 0 to 1,000,000. The cost is proportional to the
/// load: about a millisecond for 350 erlangs.
///
/// ```
/// use coedit::capacity::{erlang_b, erlang_b_retrying};
///
/// let without = erlang_b(20.0, 30)?;
/// let retrying = erlang_b_retrying(20.0, 30, 15.0)?;
/// assert!(retrying.falls_back > 1.8 * without && retrying.never_edits < 0.5 * without);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn erlang_b_retrying(load: f64, connections: u32, retries: f64) -> Result<Retrying, OutOfBounds> {
    check_connections(connections)?;
    check((0.0..=RETRYING_LOAD_MAX).contains(&load), "the load", "0 to 100,000 erlangs")?;
    check((0.0..=1_000_000.0).contains(&retries), "the number of retries", "0 to 1,000,000")?;
    let without = erlang_b(load, connections)?;
    if connections == 0 || without < SMALLEST_SHARE {
        return Ok(Retrying { falls_back: without, never_edits: without });
    }
    let chain = Chain { source: Source::Crowd { opens: load }, closes: 1.0, retries, connections };
    let shares = chain.solve();
    Ok(Retrying { falls_back: shares.fall_back, never_edits: shares.never_edit })
}

/// The smallest number of connections with which at most `share` of the opens fall back at first, if refused users stay as
/// viewers and ask again.
///
/// The parameters are bounded as for [`erlang_b_retrying`]. `share` is more than 0 and less than 1. It costs about as much as
/// ten times [`erlang_b_retrying`].
///
/// ```
/// use coedit::capacity::{connections_for, connections_for_retrying};
///
/// assert_eq!(connections_for(346.7, 0.01)?, 371);
/// assert_eq!(connections_for_retrying(346.7, 15.0, 0.01)?, 383);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for_retrying(load: f64, retries: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_share(share)?;
    // Retries only add fallbacks. Above this, the connections double until they are enough.
    let mut least = connections_for(load.min(RETRYING_LOAD_MAX), share)?;
    let enough = |connections| Ok(erlang_b_retrying(load, connections, retries)?.falls_back <= share);
    let mut most = least;
    let mut step = 8;
    while !enough(most)? {
        least = most + 1;
        most += step;
        step *= 2;
    }
    while least < most {
        let middle = least.midpoint(most);
        if enough(middle)? {
            most = middle;
        } else {
            least = middle + 1;
        }
    }
    Ok(most)
}

/// The smallest number of connections with which at most `share` of the opens fall back, if every refused user leaves and comes
/// back later, until there is a connection.
///
/// With such users the load is `load / (1 - share)`: every open that falls back is one open more. The parameters are bounded as
/// for [`connections_for`].
///
/// ```
/// use coedit::capacity::connections_for_returning;
///
/// assert_eq!(connections_for_returning(346.7, 0.01)?, 375);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for_returning(load: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_load(load)?;
    check_share(share)?;
    connections_for(load / (1.0 - share), share)
}
