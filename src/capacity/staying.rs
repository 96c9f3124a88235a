//! A group of known size whose refused users stay as viewers.
//!
//! Engset's formula assumes that a refused user leaves at once. In coedit, a refused user gets view-only access and stays as
//! long as an editor would. Meanwhile this user opens nothing. So fewer opens fall back than [`engset()`](super::engset())
//! says, and the difference is large if many do: on half of the connections that a group needs, Engset's formula counts the
//! same user again and again.
//!
//! The model is a Markov chain of two numbers, the editors and the viewers. Stays and pauses are random (exponentially
//! distributed). A viewer stays a viewer, also if a connection gets free. The chain is solved exactly: there are viewers at
//! first only if all connections are taken, so that the states with one number of viewers follow from those with one viewer
//! more. The shape of the stays has a small influence.
//! Simulations with stays of nearly equal length, and with very unequal ones, gave 42.6 to 42.9 % where the chain gives 42.7 %,
//! and 0.9 to 1.3 % where it gives 1.05 %.
//!
//! A crowd of unlimited size needs no such model. Its opens do not depend on who is there, so that Erlang's formula holds
//! whether refused users leave or stay.

use super::{OutOfBounds, check, check_connections, check_share, connections_for_group, engset};

/// The largest number of users that [`engset_staying`] and its family accept. The cost grows with the square of the load.
pub const STAYING_USERS_MAX: u32 = 50_000;

/// The share of opens that fall back if a group of users shares a number of connections and refused users stay as viewers.
///
/// `users` is at most [`STAYING_USERS_MAX`]. `at_work` is the share of the time, 0 to 1, in which a user has a document open,
/// as editor or as viewer. On average, `users * at_work * (1 - result)` users edit and `users * at_work * result` view.
///
/// The result is exact to about nine digits for a share above 1e-200. A smaller share is that of [`engset()`](super::engset()).
/// The cost is proportional to the connections times the most viewers that are likely: about one millisecond for a load of
/// 350, and seconds for the largest group on half of the connections that it needs.
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
    check(users <= STAYING_USERS_MAX, "the number of users", "at most 50,000")?;
    let if_they_leave = engset(users, at_work, connections)?;
    if if_they_leave < SMALLEST || connections == 0 {
        return Ok(if_they_leave);
    }
    if at_work >= 1.0 {
        // In the rare pauses, no other user opens: each user comes back to the same access.
        return Ok(f64::from(users - connections) / f64::from(users));
    }
    Ok(Chain::new(users, at_work, connections).share_of_opens())
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

/// Below this share, the numbers of one row of the chain would be too far apart for an `f64`.
const SMALLEST: f64 = 1e-200;

/// The Markov chain. Its rates are scaled so that a pause ends at the rate `opens`, and a stay at the rate `closes`.
struct Chain {
    users: f64,
    opens: f64,
    closes: f64,
    connections: usize,
    /// More viewers are too improbable to count.
    viewers_max: u32,
}

/// The states with one number of viewers. They are in order of the editors, from none up. All weights of a chain have one
/// common factor, which is not known before the last row is computed.
struct Row {
    weights: Vec<f64>,
    sum: f64,
}

impl Chain {
    fn new(users: u32, at_work: f64, connections: u32) -> Self {
        // Editors and viewers together are binomially distributed, and only an open that meets no free connection adds a
        // viewer. Ten standard deviations above the mean are as improbable as 1e-20.
        let group = f64::from(users);
        let deviation = (group * at_work * (1.0 - at_work)).sqrt();
        let present = (group * at_work + 10.0 * deviation + 20.0).min(group);
        let viewers_max = rounded_up(present).saturating_sub(connections).max(1);
        Chain {
            users: group,
            opens: at_work,
            closes: 1.0 - at_work,
            connections: connections as usize,
            viewers_max: viewers_max.min(users - connections),
        }
    }

    /// Adds up the rates of all opens, and of those that meet no free connection.
    fn share_of_opens(&self) -> f64 {
        let (mut all, mut refused) = (0.0, 0.0);
        let mut more_viewers: Option<Row> = None;
        for viewers in (0..=self.viewers_max).rev().map(f64::from) {
            let mut row = self.row(viewers, more_viewers.as_ref());
            for (editors, weight) in row.weights.iter().enumerate() {
                all += weight * self.pauses(count(editors), viewers);
            }
            let full = row.weights.last().copied().unwrap_or_default();
            refused += full * self.pauses(count(self.connections), viewers);
            if row.sum > LARGE {
                row.weights.iter_mut().for_each(|weight| *weight /= row.sum);
                all /= row.sum;
                refused /= row.sum;
                row.sum = 1.0;
            }
            more_viewers = Some(row);
        }
        refused / all
    }

    /// Computes the weights of a row from those of the row with one viewer more.
    ///
    /// In balance, as many viewers come as go: `full * pauses * opens = sum_above * (viewers + 1) * closes`. This gives the
    /// weight of the state with all connections taken. The balance of each other state gives its weight from that of the
    /// state with one editor more. All terms are positive, so that no digits cancel out.
    fn row(&self, viewers: f64, more_viewers: Option<&Row>) -> Row {
        let come_from_above = (viewers + 1.0) * self.closes;
        let full = more_viewers.map_or(1.0, |above| {
            come_from_above * above.sum / (self.pauses(count(self.connections), viewers) * self.opens)
        });
        // For each number of editors: `weight = (weight with one more * its rate down + flow_in) / rate_out`.
        let mut factors = Vec::with_capacity(self.connections);
        let (mut lost, mut flow_in, mut rate_out, mut rate_up) = (0.0, 0.0, 1.0, 0.0);
        for editors in 0..self.connections {
            let down = count(editors) * self.closes;
            let above = more_viewers.map_or(0.0, |above| above.weights[editors]);
            lost = viewers * self.closes + down * lost / rate_out;
            flow_in = come_from_above * above + rate_up * flow_in / rate_out;
            rate_up = self.pauses(count(editors), viewers) * self.opens;
            rate_out = rate_up + lost;
            factors.push((flow_in, rate_out));
        }
        let mut weights = vec![full; self.connections + 1];
        let mut weight = full;
        for (editors, (flow_in, rate_out)) in factors.into_iter().enumerate().rev() {
            weight = (weight * count(editors + 1) * self.closes + flow_in) / rate_out;
            weights[editors] = weight;
        }
        Row { sum: weights.iter().sum(), weights }
    }

    /// The users who have nothing open.
    fn pauses(&self, editors: f64, viewers: f64) -> f64 {
        self.users - editors - viewers
    }
}

/// If the sum of a row is above this, all weights are divided by the sum.
const LARGE: f64 = 1e50;

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn rounded_up(number: f64) -> u32 {
    number.ceil() as u32
}
