//! Simulated days through the engine against the formulas: opens at random, stays of several kinds, limits that are reached.
//!
//! The clock is the manual one and the seeds are fixed, so each figure is the same in every run. Each check takes the 99.9 %
//! confidence interval of the measured share from 20 batches of equal length (Student's t with 19 degrees of freedom); the
//! first tenth of a run, in which the house fills, is not counted.

mod support;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use coedit::capacity::{Observed, Seat, engset, erlang_b};
use coedit::{Access, ConnectionId, DocumentKey, Reason, Timestamp, User};
use support::random::Random;
use support::{START, World, key, user};

/// How long a connection stays, in mean stays.
#[derive(Clone, Copy, Debug)]
enum Stay {
    Constant,
    Uniform,
    Exponential,
    /// Nine in ten stay short, one in ten long: two exponentials with means of 1/3 and 7. Squared coefficient of variation 8.
    TwoKinds,
    /// A log-normal one with σ = 1.2: most stay short, a few very long. Squared coefficient of variation 3.2.
    HeavyTail,
}

const STAYS: [Stay; 5] = [Stay::Constant, Stay::Uniform, Stay::Exponential, Stay::TwoKinds, Stay::HeavyTail];

impl Stay {
    fn draw(self, random: &mut Random) -> f64 {
        match self {
            Stay::Constant => 1.0,
            Stay::Uniform => 2.0 * unit(random),
            Stay::Exponential => exponential(random),
            Stay::TwoKinds if random.one_in(10) => 7.0 * exponential(random),
            Stay::TwoKinds => exponential(random) / 3.0,
            Stay::HeavyTail => {
                let normal = (-2.0 * unit(random).ln()).sqrt() * (std::f64::consts::TAU * unit(random)).cos();
                (1.2 * normal - 0.72).exp()
            }
        }
    }
}

/// Evenly between 0 and 1, never 0.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn unit(random: &mut Random) -> f64 {
    ((random.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

fn exponential(random: &mut Random) -> f64 {
    -unit(random).ln()
}

/// The mean stay: 20 minutes, in seconds.
const MEAN_STAY: f64 = 1_200.0;

fn stays(count: f64) -> Duration {
    Duration::from_secs_f64(count * MEAN_STAY)
}

/// What was open, to be closed at its time: the earliest is the greatest.
type Leaving<T> = BinaryHeap<(Reverse<Timestamp>, T)>;

/// A house of documents behind an engine with a limit, and what each of its opens got.
struct House {
    world: World,
    random: Random,
    documents: Vec<DocumentKey>,
    users: Vec<User>,
    observed: Observed,
    limit: u32,
    fell_back: Vec<bool>,
}

impl House {
    fn new(seed: u64, limit: u32) -> Self {
        House {
            world: World::new(|config| config.edit_limit(Some(limit)).callbacks(false)),
            random: Random::new(seed),
            documents: (0..40).map(|number| key(&format!("document-{number}"))).collect(),
            users: (0..60).map(|number| user(&format!("user-{number}"))).collect(),
            observed: Observed::new(),
            limit,
            fell_back: Vec::new(),
        }
    }

    fn open(&mut self, at: Timestamp) -> (ConnectionId, Seat) {
        self.world.clock.move_to(at);
        let (document, who) = (self.random.pick(&self.documents), self.random.pick(&self.users));
        let connection = self.world.engine.open(document, who, Access::Edit).unwrap();
        let reason = connection.granted().reason;
        assert!(matches!(reason, None | Some(Reason::ConnectionLimit)));
        self.fell_back.push(reason.is_some());
        (connection.into_id(), self.observed.came(at))
    }

    fn close(&mut self, at: Timestamp, id: ConnectionId, seat: Seat) {
        self.world.clock.move_to(at);
        self.world.engine.close(id).unwrap();
        self.observed.gone(seat, at);
    }

    /// The measured share lies where `expected` says, within its confidence interval, which is narrow enough to mean
    /// something.
    fn agrees(&self, expected: f64, name: &str) {
        self.world.engine.validate().unwrap();
        let (share, half) = measured(&self.fell_back);
        assert!((share - expected).abs() <= half, "{name}: {share} ± {half}, not {expected}");
        assert!(half < 0.25 * expected, "{name}: ± {half} is too wide to show {expected}");
    }
}

/// The share of `true`s after the first tenth, and half the width of its 99.9 % confidence interval.
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

/// Opens that come at random, as many as `opens`, at a load of `load`.
fn crowd(seed: u64, stay: Stay, load: f64, limit: u32, opens: usize) -> House {
    let mut house = House::new(seed, limit);
    let mut leaving: Leaving<Inside> = BinaryHeap::new();
    let mut now = 0.0;
    for _ in 0..opens {
        now += exponential(&mut house.random) / load;
        let at = Timestamp::from_millis(START).after(stays(now));
        while let Some((Reverse(due), inside)) = leaving.pop() {
            if due > at {
                leaving.push((Reverse(due), inside));
                break;
            }
            house.close(due, inside.id, inside.seat);
        }
        let (id, seat) = house.open(at);
        let due = at.after(stays(stay.draw(&mut house.random)));
        leaving.push((Reverse(due), Inside { id, seat, number: house.fell_back.len() }));
    }
    house
}

/// An open connection, in order of coming.
#[derive(Debug)]
struct Inside {
    id: ConnectionId,
    seat: Seat,
    number: usize,
}

impl PartialEq for Inside {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Inside {}

impl PartialOrd for Inside {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Inside {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.number.cmp(&other.number)
    }
}

#[test]
fn erlang_b_is_what_the_engine_does_however_long_they_stay() {
    for (seed, stay) in (1..).zip(STAYS) {
        for (load, limit, opens) in [(2.0, 3, 15_000), (18.0, 20, 40_000)] {
            let house = crowd(seed, stay, load, limit, opens);
            house.agrees(erlang_b(load, limit).unwrap(), &format!("{stay:?}, {load} on {limit}"));
        }
    }
}

/// The analysis of what was seen says exactly what the engine did, not only about.
#[test]
#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
fn the_analysis_is_exactly_what_the_engine_did() {
    for (seed, stay) in (20..).zip(STAYS) {
        let house = crowd(seed, stay, 18.0, 20, 4_000);
        let fallbacks = house.fell_back.iter().filter(|fell| **fell).count() as u64;
        assert_eq!((house.observed.fallbacks(house.limit), house.observed.opens()), (fallbacks, 4_000));
        assert!((house.observed.load() / 18.0 - 1.0).abs() < 0.25, "{stay:?}: {}", house.observed.load());
        assert!(fallbacks as f64 > 0.05 * 4_000.0);
        // And of a limit that was not in force.
        let other = crowd(seed, stay, 18.0, 12, 4_000);
        let fallbacks = other.fell_back.iter().filter(|fell| **fell).count() as u64;
        assert_eq!(house.observed.fallbacks(12), fallbacks);
    }
}

/// A group of known size, each of whom pauses, opens, stays. One who is refused leaves at once or stays on as a viewer.
fn group(seed: u64, stay: Stay, (users, at_work): (usize, f64), limit: u32, leaves: bool) -> House {
    let mut house = House::new(seed, limit);
    let start = Timestamp::from_millis(START);
    let pause = |random: &mut Random| stays(exponential(random) * (1.0 - at_work) / at_work);
    let mut next: BinaryHeap<(Reverse<Timestamp>, usize)> =
        (0..users).map(|one| (Reverse(start.after(pause(&mut house.random))), one)).collect();
    let mut inside: Vec<Option<(ConnectionId, Seat)>> = (0..users).map(|_| None).collect();
    while house.fell_back.len() < 30_000 {
        let (Reverse(at), one) = next.pop().unwrap();
        let later = match inside[one].take() {
            Some((id, seat)) => {
                house.close(at, id, seat);
                pause(&mut house.random)
            }
            None => {
                let (id, seat) = house.open(at);
                if leaves && house.fell_back.ends_with(&[true]) {
                    house.close(at, id, seat);
                    pause(&mut house.random)
                } else {
                    inside[one] = Some((id, seat));
                    stays(stay.draw(&mut house.random))
                }
            }
        };
        next.push((Reverse(at.after(later)), one));
    }
    house
}

#[test]
fn engset_is_what_the_engine_does_where_one_who_is_refused_leaves() {
    for (seed, stay) in (40..).zip(STAYS) {
        let house = group(seed, stay, (30, 0.4), 14, true);
        house.agrees(engset(30, 0.4, 14).unwrap(), &format!("{stay:?}"));
    }
}

#[test]
fn engset_is_on_the_safe_side_where_one_who_is_refused_views() {
    let engset = engset(30, 0.4, 14).unwrap();
    for (seed, stay) in (60..).zip([Stay::Constant, Stay::Exponential]) {
        let (share, half) = measured(&group(seed, stay, (30, 0.4), 14, false).fell_back);
        assert!(
            share + half < engset && share > 0.6 * engset,
            "{stay:?}: {share} ± {half}, at most {engset}"
        );
    }
}
