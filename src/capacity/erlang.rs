//! A large crowd: Erlang's loss formula.
//!
//! A. K. Erlang published it in 1917 for telephone trunks; the recurrence is the usual way to compute it (V. B. Iversen,
//! Teletraffic Engineering Handbook, ITU-D). It holds for opens that come at random, independent of each other (a Poisson
//! process), and for every distribution of the stay that has the same mean: only the load counts.

use std::iter;

use super::{LOAD_MAX, OutOfBounds, check_connections, check_load, check_share};

/// The share of opens that fall back where `load` erlangs meet so many connections: Erlang B.
///
/// `load`: 0 to [`LOAD_MAX`]. `connections`: at most [`CONNECTIONS_MAX`](super::CONNECTIONS_MAX). Exact to
/// some nine digits. Costs the connections.
///
/// ```
/// use coedit::capacity::erlang_b;
///
/// assert_eq!(erlang_b(1.0, 1)?, 0.5); // a connection that is wanted all the time is taken half of it
/// assert!((erlang_b(4.461, 10)? - 0.01).abs() < 1e-5);
/// assert!(erlang_b(f64::NAN, 1).is_err());
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn erlang_b(load: f64, connections: u32) -> Result<f64, OutOfBounds> {
    check_connections(connections)?;
    Ok(erlang_b_curve(load)?.nth(connections as usize).unwrap_or_default())
}

/// The same with 0, 1, 2 … connections, without an end: every limit in one pass. An item costs one division.
///
/// ```
/// use coedit::capacity::erlang_b_curve;
///
/// assert_eq!(erlang_b_curve(1.0)?.take(3).collect::<Vec<f64>>(), [1.0, 0.5, 0.2]);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn erlang_b_curve(load: f64) -> Result<impl Iterator<Item = f64>, OutOfBounds> {
    check_load(load)?;
    // Sums and products of what is not negative: no digits cancel out, and an error in one item is smaller in the next.
    let with_one_more = move |(connections, share): &(f64, f64)| {
        let (connections, wanted) = (connections + 1.0, load * share);
        Some((connections, wanted / (connections + wanted)))
    };
    Ok(iter::successors(Some((0.0, 1.0)), with_one_more).map(|(_, share)| share))
}

/// The fewest connections with which at most `share` of the opens fall back, at `load` erlangs.
///
/// Bounds of `load` as for [`erlang_b`]; `share` is more than 0 and less than 1. Costs the answer, which is never far above
/// the load.
///
/// ```
/// use coedit::capacity::connections_for;
///
/// assert_eq!(connections_for(20.0, 0.01)?, 30);
/// assert_eq!(connections_for(0.0, 0.01)?, 1); // with none, whoever comes falls back
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for(load: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_share(share)?;
    // Past the load the shares fall ever faster: one of them fits.
    let fewer = erlang_b_curve(load)?.take_while(|falls_back| *falls_back > share).count();
    Ok(u32::try_from(fewer).unwrap_or(u32::MAX))
}

/// The largest load, in erlangs, of which at most `share` falls back with so many connections.
///
/// Bounds as for [`erlang_b`] and [`connections_for`]; at most [`LOAD_MAX`]. Exact to nine digits. Costs some fifty times the
/// connections.
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
    // What is carried, load x (1 - share), is at most the connections.
    let (mut low, mut high) = (0.0, (f64::from(connections) / (1.0 - share)).min(LOAD_MAX));
    while high - low > high * 1e-12 {
        let middle = f64::midpoint(low, high);
        // Between the smallest numbers there is none.
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
