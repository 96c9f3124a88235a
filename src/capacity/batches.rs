//! Tabs that open together.
//!
//! Erlang's formula assumes that opens are independent of each other. Users who open two documents at once need more
//! connections for the same load. The model is that of batch arrivals with partial acceptance (`M^X/M/c/c`; V. B. Iversen,
//! Teletraffic Engineering Handbook, ITU-D): of a batch, as many tabs as there are free
//! connections get edit access. Each tab closes by itself. If the tabs of a batch also close together, slightly more connections
//! are needed: 379 in place of 376 in the example of [`connections_for_batches`], by simulation.

use super::{CONNECTIONS_MAX, OutOfBounds, check, check_connections, check_load, check_share};

/// The share of tabs that fall back if tabs open in batches.
///
/// `load` is that of all tabs, in erlangs, bounded as for [`erlang_b`](super::erlang_b). `sizes` has the share of batches of
/// one tab, of two tabs, and so on: at most 100 numbers of at least 0 that are not all 0. They need not add up to 1. The cost is
/// proportional to the connections times the largest size.
///
/// ```
/// use coedit::capacity::{erlang_b, erlang_b_batches};
///
/// assert!((erlang_b_batches(20.0, &[1.0], 30)? - erlang_b(20.0, 30)?).abs() < 1e-12);
/// assert!(erlang_b_batches(20.0, &[0.7, 0.3], 30)? > 1.3 * erlang_b(20.0, 30)?);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn erlang_b_batches(load: f64, sizes: &[f64], connections: u32) -> Result<f64, OutOfBounds> {
    check_connections(connections)?;
    let mut batches = Batches::new(load, sizes)?;
    (0..connections).for_each(|_| batches.add_connection());
    Ok(batches.share())
}

/// The smallest number of connections with which at most `share` of the tabs fall back if tabs open in batches.
///
/// The parameters are bounded as for [`erlang_b_batches`]. `share` is more than 0 and less than 1.
///
/// ```
/// use coedit::capacity::{connections_for, connections_for_batches};
///
/// let load = 800.0 * 1.3 / 3.0; // of 800 users, a third is at work, and 30 % of those open two documents
/// assert_eq!(connections_for(load, 0.01)?, 371);
/// assert_eq!(connections_for_batches(load, &[0.7, 0.3], 0.01)?, 376);
/// # Ok::<(), coedit::capacity::OutOfBounds>(())
/// ```
pub fn connections_for_batches(load: f64, sizes: &[f64], share: f64) -> Result<u32, OutOfBounds> {
    check_share(share)?;
    let mut batches = Batches::new(load, sizes)?;
    let mut connections = 0;
    while batches.share() > share && connections < CONNECTIONS_MAX {
        batches.add_connection();
        connections += 1;
    }
    Ok(connections)
}

/// The probabilities of the highest numbers of taken connections, without their common factor.
///
/// For each n, as often as the taken connections go from n + 1 down to n, a batch lifts them from at most n to above n. This
/// gives the weight of each number from those below it, and a further connection changes no weight.
struct Batches {
    /// The rate of batches, if the mean stay is 1.
    rate: f64,
    /// For each n from 0 up, the share of the batches with more than n tabs. Not empty.
    larger: Vec<f64>,
    /// The weights of the latest numbers of taken connections, the highest first. As many as the largest size.
    latest: Vec<f64>,
    /// The sum of all weights.
    sum: f64,
    connections: f64,
}

/// The largest number of tabs of a batch.
const SIZE_MAX: usize = 100;

impl Batches {
    fn new(load: f64, sizes: &[f64]) -> Result<Self, OutOfBounds> {
        check_load(load)?;
        let all: f64 = sizes.iter().sum();
        let fit = sizes.iter().all(|size| *size >= 0.0) && all > 0.0 && all.is_finite();
        check(fit && sizes.len() <= SIZE_MAX, "the shares of batch sizes", "at most 100, and not all 0")?;
        let larger: Vec<f64> = (0..sizes.len()).map(|size| sizes[size..].iter().sum::<f64>() / all).collect();
        // The mean size is the sum of the shares of larger batches.
        let rate = load / larger.iter().sum::<f64>();
        let mut latest = vec![0.0; sizes.len()];
        latest[0] = 1.0;
        Ok(Batches { rate, larger, latest, sum: 1.0, connections: 0.0 })
    }

    fn add_connection(&mut self) {
        self.connections += 1.0;
        let lifts = |(weight, larger): (&f64, &f64)| weight * larger;
        let weight =
            self.rate * self.latest.iter().zip(&self.larger).map(lifts).sum::<f64>() / self.connections;
        self.latest.rotate_right(1);
        self.latest[0] = weight;
        self.sum += weight;
        if self.sum > 1e100 {
            self.latest.iter_mut().for_each(|weight| *weight /= self.sum);
            self.sum = 1.0;
        }
    }

    /// Returns the share of tabs that meet no free connection.
    fn share(&self) -> f64 {
        // Of a batch, the tabs beyond the free connections are refused.
        let refused = |free: usize| self.larger.iter().skip(free).sum::<f64>();
        let tabs = self.latest.iter().enumerate().map(|(free, weight)| weight * refused(free)).sum::<f64>();
        tabs / self.larger.iter().sum::<f64>() / self.sum
    }
}
