//! Erlang's loss formula (Erlang B), for a large number of users.
//!
//! A. K. Erlang published the formula in 1917 for telephone trunks. The recurrence is the usual way to compute it (V. B.
//! Iversen, Teletraffic Engineering Handbook, ITU-D). It assumes that opens are random and independent of each other (a
//! Poisson process). The distribution of the durations does not matter, only their mean: the load is all that counts.

use std::iter;

use super::{LOAD_MAX, OutOfBounds, check_connections, check_load, check_share};

/// Erlang B: the share of opens that fall back if `load` erlangs are offered to a number of connections.
///
/// `load` is 0 to [`LOAD_MAX`]. `connections` is at most [`CONNECTIONS_MAX`](super::CONNECTIONS_MAX). The result is exact to
/// about nine digits. The cost is proportional to the connections.
///
/// ```
/// use coedit::capacity::erlang_b;
///
/// assert_eq!(erlang_b(1.0, 1)?, 0.5); // one connection with a load of one erlang is taken half of the time
/// assert!((erlang_b(4.461, 10)? - 0.01).abs() < 1e-5);
/// assert!(erlang_b(f64::NAN, 1).is_err());
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn erlang_b(load: f64, connections: u32) -> Result<f64, OutOfBounds> {
    check_connections(connections)?;
    Ok(erlang_b_curve(load)?.nth(connections as usize).unwrap_or_default())
}

/// The results of [`erlang_b`] for 0, 1, 2 … connections. The iterator never ends. Each item costs one division.
///
/// ```
/// use coedit::capacity::erlang_b_curve;
///
/// assert_eq!(erlang_b_curve(1.0)?.take(3).collect::<Vec<f64>>(), [1.0, 0.5, 0.2]);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn erlang_b_curve(load: f64) -> Result<impl Iterator<Item = f64>, OutOfBounds> {
    check_load(load)?;
    // B(n) = A B(n-1) / (n + A B(n-1)), with the load A. No term is negative, so that no digits cancel out, and the error
    // of an item is smaller in the next one.
    let next = move |(connections, share): &(f64, f64)| {
        let (connections, offered) = (connections + 1.0, load * share);
        Some((connections, offered / (connections + offered)))
    };
    Ok(iter::successors(Some((0.0, 1.0)), next).map(|(_, share)| share))
}

/// The smallest number of connections with which at most `share` of the opens fall back, at `load` erlangs.
///
/// `load` is bounded as for [`erlang_b`]. `share` is more than 0 and less than 1. The cost is proportional to the result,
/// which is never far above the load.
///
/// ```
/// use coedit::capacity::connections_for;
///
/// assert_eq!(connections_for(20.0, 0.01)?, 30);
/// assert_eq!(connections_for(0.0, 0.01)?, 1); // without a connection, every open falls back
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for(load: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_share(share)?;
    // Above the load the shares fall ever faster, so that the count ends.
    let too_few = erlang_b_curve(load)?.take_while(|falls_back| *falls_back > share).count();
    Ok(u32::try_from(too_few).unwrap_or(u32::MAX))
}

/// The largest load, in erlangs, at which at most `share` of the opens fall back with this number of connections.
///
/// The parameters are bounded as for [`erlang_b`] and [`connections_for`]. The result is at most [`LOAD_MAX`] and exact to
/// nine digits. It costs about fifty times as much as [`erlang_b`].
///
/// ```
/// use coedit::capacity::load_for;
///
/// assert!((load_for(100, 0.01)? - 84.064).abs() < 0.001);
/// assert_eq!(load_for(0, 0.01)?, 0.0);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn load_for(connections: u32, share: f64) -> Result<f64, OutOfBounds> {
    check_connections(connections)?;
    check_share(share)?;
    // The carried load, load x (1 - share), is at most the number of connections.
    let (mut low, mut high) = (0.0, (f64::from(connections) / (1.0 - share)).min(LOAD_MAX));
    while high - low > high * 1e-12 {
        let middle = f64::midpoint(low, high);
        // The smallest numbers have no number between them.
        if middle <= low || middle >= high {
            break;
        }
        if erlang_b(middle, connections)? <= share {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
