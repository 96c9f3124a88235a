//! Days that differ.
//!
//! Erlang's formula assumes that the load is known. If it is a tenth higher on some days and a tenth lower on others, the high
//! days lose more than the low days gain. The share is the average over all opens of all days, so that a day counts as often
//! as users open on it. The loads are normally distributed. Such mixtures are usual for call centres (G. Jongbloed and G.
//! Koole, Managing uncertainty in call centres using Poisson mixtures, 2001).

use super::{
    CONNECTIONS_MAX, LOAD_MAX, OutOfBounds, check, check_connections, check_load, check_share, erlang_b,
};

/// The largest deviation that [`erlang_b_varying`] accepts. With a larger one, loads below zero would count.
pub const DEVIATION_MAX: f64 = 0.3;

/// Erlang B for days that differ: the share of all opens that fall back.
///
/// `load` is the mean load in erlangs, bounded as for [`erlang_b`]. `deviation` is the standard deviation of the load, as a part
/// of its mean: 0.1 if two days of three are within a tenth of the mean. It is 0 to [`DEVIATION_MAX`]. It costs about 60 times
/// as much as [`erlang_b`].
///
/// ```
/// use coedit::capacity::{erlang_b, erlang_b_varying};
///
/// assert!((erlang_b_varying(20.0, 0.0, 30)? - erlang_b(20.0, 30)?).abs() < 1e-12);
/// assert!(erlang_b_varying(20.0, 0.1, 30)? > 1.2 * erlang_b(20.0, 30)?);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn erlang_b_varying(load: f64, deviation: f64, connections: u32) -> Result<f64, OutOfBounds> {
    check_load(load)?;
    check_connections(connections)?;
    check((0.0..=DEVIATION_MAX).contains(&deviation), "the deviation", "0 to 0.3")?;
    // The trapezoidal rule is exact to ten digits for this step, because all is smooth and ends in zero.
    let (mut opens, mut refused) = (0.0, 0.0);
    for step in -32..=32 {
        let deviations = f64::from(step) / STEPS;
        let part = 1.0 + deviations * deviation;
        if part > 0.0 {
            let weight = part * (-0.5 * deviations * deviations).exp();
            opens += weight;
            refused += weight * erlang_b((load * part).min(LOAD_MAX), connections)?;
        }
    }
    Ok(refused / opens)
}

/// The steps of a standard deviation.
const STEPS: f64 = 4.0;

/// The smallest number of connections with which at most `share` of all opens fall back if days differ.
///
/// The parameters are bounded as for [`erlang_b_varying`]. `share` is more than 0 and less than 1. It costs about 1,000 times as
/// much as [`erlang_b`].
///
/// ```
/// use coedit::capacity::{connections_for, connections_for_varying};
///
/// assert_eq!(connections_for(346.7, 0.01)?, 371);
/// assert_eq!(connections_for_varying(346.7, 0.1, 0.01)?, 399);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for_varying(load: f64, deviation: f64, share: f64) -> Result<u32, OutOfBounds> {
    check_load(load)?;
    check_share(share)?;
    let (mut least, mut most, mut step) = (0, 0, 64);
    while most < CONNECTIONS_MAX && erlang_b_varying(load, deviation, most)? > share {
        least = most + 1;
        most = most.saturating_add(step).min(CONNECTIONS_MAX);
        step *= 2;
    }
    while least < most {
        let middle = least.midpoint(most);
        if erlang_b_varying(load, deviation, middle)? > share {
            least = middle + 1;
        } else {
            most = middle;
        }
    }
    Ok(most)
}
