//! Compares simulated days with the capacity formulas: random opens, connection times of several distributions, and limits
//! that are reached.
//!
//! The tests use a manual clock and fixed seeds, so each figure is the same in every run. Each check takes the 99.9 %
//! confidence interval of the measured share from 20 batches of equal length (Student's t with 19 degrees of freedom). It
//! does not count the first tenth of a run, in which the engine fills.

mod support;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use coedit::capacity::{Observed, ObservedConnection, engset, erlang_b};
use coedit::{Access, ConnectionId, DocumentKey, Reason, Timestamp, User};
use support::random::Random;
use support::{START, World, key, user};

/// The distribution of the duration of a connection, in units of the mean duration.
#[derive(Clone, Copy, Debug)]
enum Durations {
    Constant,
    Uniform,
    Exponential,
    /// Nine in ten are short and one in ten is long: two exponential distributions with means of 1/3 and 7. The squared
    /// coefficient of variation is 8.
    TwoKinds,
    /// A log-normal distribution with σ = 1.2: most are short and a few are very long. The squared coefficient of variation
    /// is 3.2.
    HeavyTail,
}

const DISTRIBUTIONS: [Durations; 5] = [
    Durations::Constant,
    Durations::Uniform,
    Durations::Exponential,
    Durations::TwoKinds,
    Durations::HeavyTail,
];

impl Durations {
    fn draw(self, random: &mut Random) -> f64 {
        match self {
            Durations::Constant => 1.0,
            Durations::Uniform => 2.0 * unit(random),
            Durations::Exponential => exponential(random),
            Durations::TwoKinds if random.one_in(10) => 7.0 * exponential(random),
            Durations::TwoKinds => exponential(random) / 3.0,
            Durations::HeavyTail => {
                let normal = (-2.0 * unit(random).ln()).sqrt() * (std::f64::consts::TAU * unit(random)).cos();
                (1.2 * normal - 0.72).exp()
            }
        }
    }
}

/// Returns a uniform number between 0 and 1, never 0.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn unit(random: &mut Random) -> f64 {
    ((random.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn exponential(random: &mut Random) -> f64 {
    -unit(random).ln()
}

/// The mean duration of a connection in seconds: 20 minutes.
const MEAN_SECONDS: f64 = 1_200.0;

/// Returns `count` mean durations.
fn means(count: f64) -> Duration {
    Duration::from_secs_f64(count * MEAN_SECONDS)
}

/// The connections to be closed. The greatest is the one that closes first.
type CloseQueue<T> = BinaryHeap<(Reverse<Timestamp>, T)>;

/// A simulated office: an engine with a limit, its documents and users, and the result of each open.
struct Office {
    world: World,
    random: Random,
    documents: Vec<DocumentKey>,
    users: Vec<User>,
    observed: Observed,
    limit: u32,
    fell_back: Vec<bool>,
}

impl Office {
    fn new(seed: u64, limit: u32) -> Self {
        Office {
            world: World::new(|config| config.edit_limit(Some(limit)).callbacks(false)),
            random: Random::new(seed),
            documents: (0..40).map(|number| key(&format!("document-{number}"))).collect(),
            users: (0..60).map(|number| user(&format!("user-{number}"))).collect(),
            observed: Observed::new(),
            limit,
            fell_back: Vec::new(),
        }
    }

    fn open(&mut self, at: Timestamp) -> (ConnectionId, ObservedConnection) {
        self.world.clock.move_to(at);
        let (document, user) = (self.random.pick(&self.documents), self.random.pick(&self.users));
        let connection = self.world.engine.open(document, user, Access::Edit).unwrap();
        let reason = connection.granted().reason;
        assert!(matches!(reason, None | Some(Reason::ConnectionLimit)));
        self.fell_back.push(reason.is_some());
        (connection.into_id(), self.observed.record_open(at))
    }

    fn close(&mut self, at: Timestamp, id: ConnectionId, seat: ObservedConnection) {
        self.world.clock.move_to(at);
        self.world.engine.close(id).unwrap();
        self.observed.record_close(seat, at);
    }

    /// Checks that the confidence interval of the measured share contains `expected` and is narrow.
    fn assert_share(&self, expected: f64, name: &str) {
        self.world.engine.validate().unwrap();
        let (share, half) = measured(&self.fell_back);
        assert!((share - expected).abs() <= half, "{name}: {share} ± {half}, not {expected}");
        assert!(half < 0.25 * expected, "{name}: an interval of ± {half} is too wide for {expected}");
    }
}

/// Returns the share of `true` after the first tenth, and half the width of its 99.9 % confidence interval.
#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
fn measured(fell_back: &[bool]) -> (f64, f64) {
    let counted = &fell_back[fell_back.len() / 10..];
    let shares: Vec<f64> = counted
        .chunks_exact(counted.len() / BATCHES)
        .map(|batch| batch.iter().filter(|fell| **fell).count() as f64 / batch.len() as f64)
        .collect();
    let batches = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / batches;
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (batches - 1.0);
    (mean, STUDENT * (variance / batches).sqrt())
}

const BATCHES: usize = 20;

/// The two-sided 99.9 % quantile of Student's t with 19 degrees of freedom.
const STUDENT: f64 = 3.883;

/// Runs `opens` random opens at a load of `load`.
fn random_opens(seed: u64, durations: Durations, load: f64, limit: u32, opens: usize) -> Office {
    let mut office = Office::new(seed, limit);
    let mut close_queue: CloseQueue<OpenConnection> = BinaryHeap::new();
    let mut now = 0.0;
    for _ in 0..opens {
        now += exponential(&mut office.random) / load;
        let at = Timestamp::from_millis(START).after(means(now));
        while let Some((Reverse(due), connection)) = close_queue.pop() {
            if due > at {
                close_queue.push((Reverse(due), connection));
                break;
            }
            office.close(due, connection.id, connection.seat);
        }
        let (id, seat) = office.open(at);
        let due = at.after(means(durations.draw(&mut office.random)));
        close_queue.push((Reverse(due), OpenConnection { id, seat, number: office.fell_back.len() }));
    }
    office
}

/// An open connection. Connections are ordered by their number.
#[derive(Debug)]
struct OpenConnection {
    id: ConnectionId,
    seat: ObservedConnection,
    number: usize,
}

impl PartialEq for OpenConnection {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for OpenConnection {}

impl PartialOrd for OpenConnection {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OpenConnection {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

#[test]
fn the_engine_agrees_with_erlang_b_under_any_distribution_of_durations() {
    for (seed, durations) in (1..).zip(DISTRIBUTIONS) {
        for (load, limit, opens) in [(2.0, 3, 15_000), (18.0, 20, 40_000)] {
            let office = random_opens(seed, durations, load, limit, opens);
            office.assert_share(erlang_b(load, limit).unwrap(), &format!("{durations:?}, {load} on {limit}"));
        }
    }
}

/// The analysis of the observed opens gives exactly the fallbacks of the engine.
#[test]
#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
fn the_analysis_agrees_exactly_with_the_engine() {
    for (seed, durations) in (20..).zip(DISTRIBUTIONS) {
        let office = random_opens(seed, durations, 18.0, 20, 4_000);
        let fallbacks = office.fell_back.iter().filter(|fell| **fell).count() as u64;
        assert_eq!((office.observed.fallbacks(office.limit), office.observed.opens()), (fallbacks, 4_000));
        assert!(
            (office.observed.load() / 18.0 - 1.0).abs() < 0.25,
            "{durations:?}: {}",
            office.observed.load()
        );
        assert!(fallbacks as f64 > 0.05 * 4_000.0);
        // The analysis is also exact for a limit that was not in force.
        let other = random_opens(seed, durations, 18.0, 12, 4_000);
        let fallbacks = other.fell_back.iter().filter(|fell| **fell).count() as u64;
        assert_eq!(office.observed.fallbacks(12), fallbacks);
    }
}

/// Simulates a group of known size. Each user pauses, opens a connection and closes it later. A refused user leaves at once
/// if `leaves`, and stays as a viewer otherwise.
fn group(
    seed: u64,
    durations: Durations,
    (users, at_work): (usize, f64),
    limit: u32,
    leaves: bool,
) -> Office {
    let mut office = Office::new(seed, limit);
    let start = Timestamp::from_millis(START);
    let pause = |random: &mut Random| means(exponential(random) * (1.0 - at_work) / at_work);
    let mut next: BinaryHeap<(Reverse<Timestamp>, usize)> =
        (0..users).map(|one| (Reverse(start.after(pause(&mut office.random))), one)).collect();
    let mut connections: Vec<Option<(ConnectionId, ObservedConnection)>> = (0..users).map(|_| None).collect();
    while office.fell_back.len() < 30_000 {
        let (Reverse(at), one) = next.pop().unwrap();
        let later = match connections[one].take() {
            Some((id, seat)) => {
                office.close(at, id, seat);
                pause(&mut office.random)
            }
            None => {
                let (id, seat) = office.open(at);
                if leaves && office.fell_back.ends_with(&[true]) {
                    office.close(at, id, seat);
                    pause(&mut office.random)
                } else {
                    connections[one] = Some((id, seat));
                    means(durations.draw(&mut office.random))
                }
            }
        };
        next.push((Reverse(at.after(later)), one));
    }
    office
}

#[test]
fn the_engine_agrees_with_engset_if_refused_users_leave() {
    for (seed, durations) in (40..).zip(DISTRIBUTIONS) {
        let office = group(seed, durations, (30, 0.4), 14, true);
        office.assert_share(engset(30, 0.4, 14).unwrap(), &format!("{durations:?}"));
    }
}

#[test]
fn engset_is_an_upper_bound_if_refused_users_view() {
    let engset = engset(30, 0.4, 14).unwrap();
    for (seed, durations) in (60..).zip([Durations::Constant, Durations::Exponential]) {
        let (share, half) = measured(&group(seed, durations, (30, 0.4), 14, false).fell_back);
        assert!(
            share + half < engset && share > 0.6 * engset,
            "{durations:?}: {share} ± {half}, at most {engset}"
        );
    }
}
