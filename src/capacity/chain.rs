//! The Markov chain of editors and viewers, for refused users who stay.
//!
//! Its state is two numbers, the editors and the viewers. A user who opens becomes an editor if a connection is free, and a
//! viewer if not. Editors and viewers leave at the same rate. A viewer can ask again from time to time, and then becomes an
//! editor if a connection is free.
//!
//! Editors and viewers together are as many as if none were refused. A new viewer comes only while all connections are taken.
//! This makes an exact solution simple: the states with one number of viewers follow from those with one viewer more. And it
//! says which states are too unlikely to count.

/// A chain. A stay ends at the rate `closes`. All other rates are in the same unit.
pub(super) struct Chain {
    pub(super) source: Source,
    pub(super) closes: f64,
    /// The rate at which a viewer asks again.
    pub(super) retries: f64,
    /// At least one.
    pub(super) connections: u32,
}

/// Where the opens come from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// Each user who has nothing open opens at the rate `opens`.
    Group { users: u32, opens: f64 },
    /// So many that the rate does not depend on who is present.
    Crowd { opens: f64 },
}

/// Shares of the opens.
pub(super) struct Shares {
    /// Those that met no free connection.
    pub(super) fall_back: f64,
    /// Those whose viewers left as viewers.
    pub(super) never_edit: f64,
}

/// The likely states with one number of viewers. All weights of a chain have one common factor.
struct Row {
    /// The least number of editors.
    first: u32,
    /// For each number of editors from the least up to all connections.
    weights: Vec<f64>,
    sum: f64,
}

/// The least and the largest likely number of editors and viewers together.
#[derive(Clone, Copy)]
struct Likely {
    least: u32,
    most: u32,
}

impl Row {
    fn weight(&self, editors: u32) -> f64 {
        let index = editors.checked_sub(self.first);
        index.and_then(|index| self.weights.get(index as usize)).copied().unwrap_or_default()
    }

    fn full(&self) -> f64 {
        self.weights.last().copied().unwrap_or_default()
    }
}

/// If the sum of a row is above this, all weights are divided by the sum.
const LARGE: f64 = 1e50;

impl Chain {
    /// Solves the chain. The cost is proportional to the load: about a millisecond for 350 erlangs.
    ///
    /// It must not be so improbable that all connections are taken that the states of a row differ by a factor of 1e200.
    pub(super) fn solve(&self) -> Shares {
        let (mut opens, mut refused, mut lost) = (0.0, 0.0, 0.0);
        let (likely, mut more_viewers) = (self.likely(), None::<Row>);
        let viewers_min = likely.least.saturating_sub(self.connections);
        for count in (viewers_min..=likely.most - self.connections).rev() {
            let first = likely.least.saturating_sub(count);
            let viewers = f64::from(count);
            let mut row = self.row(viewers, first, more_viewers.as_ref());
            let open = |(editors, weight): (u32, &f64)| weight * self.opens(editors, viewers);
            opens += (first..).zip(&row.weights).map(open).sum::<f64>();
            refused += open((self.connections, &row.full()));
            lost += row.sum * viewers * self.closes;
            if row.sum > LARGE {
                for weight in row.weights.iter_mut().chain([&mut opens, &mut refused, &mut lost]) {
                    *weight /= row.sum;
                }
                row.sum = 1.0;
            }
            more_viewers = Some(row);
        }
        Shares { fall_back: refused / opens, never_edit: lost / opens }
    }

    /// Computes the weights of a row from those of the row with one viewer more.
    ///
    /// In balance, as many viewers come as go. This gives the weight of the state with all connections taken. The balance of
    /// each other state gives its weight from that of the state with one editor more. All terms are positive, so that no
    /// digits cancel out.
    fn row(&self, viewers: f64, first: u32, more_viewers: Option<&Row>) -> Row {
        let (leave, ask) = ((viewers + 1.0) * self.closes, (viewers + 1.0) * self.retries);
        let full = more_viewers.map_or(1.0, |above| {
            let go = leave * above.sum + ask * (above.sum - above.full());
            go / self.opens(self.connections, viewers)
        });
        // For each number of editors: `weight = (weight with one more * its rate down + flow_in) / rate_out`.
        let mut factors = Vec::with_capacity((self.connections - first) as usize);
        let (mut lost, mut flow_in, mut rate_out, mut rate_up) = (0.0, 0.0, 1.0, 0.0);
        let above = |editors: u32| more_viewers.map_or(0.0, |above| above.weight(editors));
        let mut one_editor_less = first.checked_sub(1).map_or(0.0, above);
        for editors in first..self.connections {
            let above = above(editors);
            lost = viewers * (self.closes + self.retries) + self.leave(editors) * lost / rate_out;
            flow_in = leave * above + ask * one_editor_less + rate_up * flow_in / rate_out;
            rate_up = self.opens(editors, viewers);
            rate_out = rate_up + lost;
            one_editor_less = above;
            factors.push((flow_in, rate_out));
        }
        let mut weights = vec![full];
        for (editors, (flow_in, rate_out)) in (first..self.connections).zip(factors).rev() {
            let one_more = weights.last().copied().unwrap_or_default();
            weights.push((one_more * self.leave(editors + 1) + flow_in) / rate_out);
        }
        weights.reverse();
        Row { first, sum: weights.iter().sum(), weights }
    }

    /// The rate of opens.
    fn opens(&self, editors: u32, viewers: f64) -> f64 {
        match self.source {
            Source::Group { users, opens } => (f64::from(users) - f64::from(editors) - viewers) * opens,
            Source::Crowd { opens } => opens,
        }
    }

    /// The rate at which editors leave.
    fn leave(&self, editors: u32) -> f64 {
        f64::from(editors) * self.closes
    }

    /// Returns which numbers of editors and viewers together are likely. All connections can be taken.
    ///
    /// The distribution is binomial or Poisson. Ten standard deviations from its mean, the rest is as improbable as 1e-20. If
    /// the connections are so many that they are never taken, three standard deviations more are as improbable, compared with
    /// the share of the time in which they are taken.
    fn likely(&self) -> Likely {
        let (mean, variance, largest) = match self.source {
            Source::Group { users, opens } => {
                let (users, at_work) = (f64::from(users), opens / (opens + self.closes));
                (users * at_work, users * at_work * (1.0 - at_work), users)
            }
            Source::Crowd { opens } => (opens / self.closes, opens / self.closes, f64::INFINITY),
        };
        let (deviation, connections) = (variance.sqrt(), f64::from(self.connections));
        let most = (mean + 10.0 * deviation).max(connections + 3.0 * deviation) + 20.0;
        // Rounded down to zero if it is negative.
        Likely { least: rounded(mean - 10.0 * deviation - 20.0), most: rounded(most.min(largest)) }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn rounded(number: f64) -> u32 {
    number as u32
}
