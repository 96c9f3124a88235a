//! Compares the models for users who stay or retry, for tabs that open together, and for days that differ, with simulations and
//! with independent sums.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter;

use coedit::capacity::{
    CONNECTIONS_MAX, RETRYING_LOAD_MAX, Retrying, STAYING_USERS_MAX, connections_for_batches,
    connections_for_retrying, connections_for_returning, connections_for_staying, connections_for_varying,
    engset, engset_staying, erlang_b, erlang_b_batches, erlang_b_retrying, erlang_b_varying,
};
use proptest::prelude::*;

/// A group of editors and viewers, `(users, at_work, connections)`.
type Group = (usize, f64, usize);

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}

/// Where the chain goes from a state, and at which rates.
fn steps(
    (users, at_work, connections): Group,
    (editors, viewers): (usize, usize),
) -> Vec<((usize, usize), f64)> {
    let (mut steps, pauses) = (Vec::new(), number(users - editors - viewers));
    if pauses > 0.0 {
        let to = if editors < connections { (editors + 1, viewers) } else { (editors, viewers + 1) };
        steps.push((to, pauses * at_work));
    }
    if editors > 0 {
        steps.push(((editors - 1, viewers), number(editors) * (1.0 - at_work)));
    }
    if viewers > 0 {
        steps.push(((editors, viewers - 1), number(viewers) * (1.0 - at_work)));
    }
    steps
}

/// Repeats single steps of the chain of editors and viewers until nothing changes. It uses no property of the chain.
fn staying_stepped(group: Group) -> f64 {
    let (users, _, connections) = group;
    let all =
        (0..=connections).flat_map(|editors| (0..=users - editors).map(move |viewers| (editors, viewers)));
    let all: Vec<(usize, usize)> = all.collect();
    let mut states = vec![vec![0.0; users + 1]; users + 1];
    states[0][0] = 1.0;
    let mut change = 1.0;
    while change > 1e-15 {
        let mut next = states.clone();
        for &(editors, viewers) in &all {
            let here = states[editors][viewers] / (number(users) * 1.1);
            for (to, rate) in steps(group, (editors, viewers)) {
                next[to.0][to.1] += here * rate;
                next[editors][viewers] -= here * rate;
            }
        }
        let changes = states
            .iter()
            .flatten()
            .zip(next.iter().flatten())
            .map(|(before, after): (&f64, &f64)| (before - after).abs());
        change = changes.fold(0.0, f64::max);
        states = next;
    }
    let rate =
        |(editors, viewers): &(usize, usize)| states[*editors][*viewers] * number(users - editors - viewers);
    let refused: f64 = all.iter().filter(|(editors, _)| *editors == connections).map(rate).sum();
    refused / all.iter().map(rate).sum::<f64>()
}

#[test]
fn staying_viewers_agree_with_the_steps_of_the_chain() {
    for (users, at_work, connections) in
        [(1, 0.5, 1), (2, 0.5, 1), (6, 0.5, 2), (8, 0.3, 3), (5, 0.8, 1), (12, 0.1, 2), (9, 0.9, 8)]
    {
        let stepped = staying_stepped((users, at_work, connections));
        let (users, connections) = (u32::try_from(users).unwrap(), u32::try_from(connections).unwrap());
        let share = engset_staying(users, at_work, connections).unwrap();
        assert!((share - stepped).abs() < 1e-9, "{users} {at_work} {connections}: {share}, not {stepped}");
    }
}

/// The whole group of 1,040, of whom a third is at work, on 200 connections. A simulation of 400,000 opens gave 42.87 % with
/// random stays, and 42.70 % with nearly equal ones. If nothing were random, `1 - 200 / load` would be 42.3 %.
#[test]
fn staying_viewers_fall_back_far_less_often_than_engset_says() {
    let at_work = 1.0 / 3.0;
    let staying = |connections| engset_staying(1_040, at_work, connections).unwrap();
    assert!((engset(1_040, at_work, 200).unwrap() - 0.526).abs() < 0.0005);
    assert!((staying(200) - 0.4268).abs() < 0.0001, "{}", staying(200));
    // Simulated: 1.13 % of a million opens.
    assert!((staying(366) - 0.0105).abs() < 0.0001, "{}", staying(366));
    assert_eq!(connections_for_staying(1_040, at_work, 0.01), Ok(367));
    // The crowd of the same load needs no other model: refused users who stay do not slow it down.
    assert!((erlang_b(1_040.0 / 3.0, 200).unwrap() - staying(200)).abs() < 0.0001);
}

#[test]
fn staying_viewers_at_the_bounds() {
    assert_eq!((engset_staying(0, 0.5, 0), engset_staying(4, 0.0, 1)), (Ok(0.0), Ok(0.0)));
    assert_eq!((engset_staying(4, 0.5, 0), engset_staying(4, 0.5, 4)), (Ok(1.0), Ok(0.0)));
    assert_eq!((engset_staying(4, 1.0, 1), engset_staying(4, 1.0, 5)), (Ok(0.75), Ok(0.0)));
    assert!((engset_staying(4, 1.0 - 1e-9, 1).unwrap() - 0.75).abs() < 1e-6);
    assert!(
        engset_staying(STAYING_USERS_MAX + 1, 0.5, 1).is_err() && engset_staying(4, f64::NAN, 1).is_err()
    );
    assert!(engset_staying(4, 0.5, CONNECTIONS_MAX + 1).is_err());
    assert!(connections_for_staying(4, 0.5, 1.0).is_err() && connections_for_staying(4, 1.5, 0.5).is_err());
    // Far more are at work than there are connections.
    for users in [3_000, 1_000_000] {
        let (share, load) = (engset_staying(users, 0.9, 100).unwrap(), f64::from(users) * 0.9);
        assert!((share - (1.0 - 100.0 / load)).abs() < 0.001, "{share}");
    }
}

proptest! {
    #[test]
    fn fewer_opens_fall_back_if_viewers_stay(users in 1_u32..120, at_work in 0.0..1.0, connections in 0_u32..120) {
        let share = engset_staying(users, at_work, connections).unwrap();
        prop_assert!((0.0..=engset(users, at_work, connections).unwrap() + 1e-9).contains(&share));
        prop_assert!(engset_staying(users, at_work, connections + 1).unwrap() <= share + 1e-9);
        let enough = connections_for_staying(users, at_work, 0.01).unwrap();
        prop_assert!(engset_staying(users, at_work, enough).unwrap() <= 0.01);
        prop_assert!(enough == 0 || engset_staying(users, at_work, enough - 1).unwrap() > 0.01);
    }
}

/// 800 users with 1.3 documents each, of whom a third is at work.
const LOAD: f64 = 1_040.0 / 3.0;

/// A small generator of random numbers (xorshift).
struct Random(u64);

impl Random {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }
}

/// A crowd whose opens come in batches of one or two and who ask again at fixed times. Times are in millionths of a mean stay.
struct Simulation {
    connections: usize,
    /// From one retry to the next, if refused users ask again.
    retry: Option<u64>,
    random: Random,
    due: BinaryHeap<Reverse<(u64, Due)>>,
    /// For each connection that is open, whether it edits.
    opened: Vec<Option<bool>>,
    held: usize,
    never: f64,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Close(usize),
    Retry(usize),
}

const STAY: f64 = 1_000_000.0;

impl Simulation {
    /// Returns a random time with a mean of `stays`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time is positive")]
    fn time(&mut self, stays: f64) -> u64 {
        self.random.exponential(stays * STAY).round() as u64
    }

    /// Returns true if the open is admitted.
    fn open(&mut self, now: u64) -> bool {
        let (index, admitted) = (self.opened.len(), self.held < self.connections);
        let closes = now + self.time(1.0);
        self.due.push(Reverse((closes, Due::Close(index))));
        if let Some(retry) = self.retry.filter(|_| !admitted) {
            self.due.push(Reverse((now + retry, Due::Retry(index))));
        }
        self.opened.push(Some(admitted));
        self.held += usize::from(admitted);
        admitted
    }

    fn run_until(&mut self, now: u64) {
        while self.due.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            match self.due.pop() {
                Some(Reverse((_, Due::Close(index)))) => match self.opened[index].take() {
                    Some(true) => self.held -= 1,
                    _ => self.never += 1.0,
                },
                Some(Reverse((at, Due::Retry(index)))) if self.opened[index] == Some(false) => {
                    if self.held < self.connections {
                        (self.opened[index], self.held) = (Some(true), self.held + 1);
                    } else if let Some(retry) = self.retry {
                        self.due.push(Reverse((at + retry, Due::Retry(index))));
                    }
                }
                _ => {}
            }
        }
    }
}

/// Returns the share of opens that fall back at first, and the share that never gets edit access. The empty start weighs little.
fn simulated(load: f64, pairs: f64, connections: usize, retry: Option<u64>) -> (f64, f64) {
    let (random, due) = (Random(0x9e37_79b9_7f4a_7c15), BinaryHeap::new());
    let mut crowd = Simulation { connections, retry, random, due, opened: Vec::new(), held: 0, never: 0.0 };
    let (mut now, mut opens, mut refused) = (0, 0.0, 0.0);
    while opens < 400_000.0 {
        now += crowd.time((1.0 + pairs) / load);
        crowd.run_until(now);
        for _ in 0..if crowd.random.unit() < pairs { 2 } else { 1 } {
            opens += 1.0;
            refused += if crowd.open(now) { 0.0 } else { 1.0 };
        }
    }
    (refused / opens, crowd.never / opens)
}

#[test]
fn tabs_that_open_together_agree_with_a_simulation() {
    for (load, connections) in [(20.0, 24), (5.0, 8)] {
        let (simulated, _) = simulated(load, 0.3, connections as usize, None);
        let share = erlang_b_batches(load, &[0.7, 0.3], connections).unwrap();
        assert!((share / simulated - 1.0).abs() < 0.05, "{share}, simulated {simulated}");
    }
    // Hayward's approximation gives 375. It treats a batch as a load with a variance of 1.23 times its mean.
    assert_eq!(connections_for_batches(LOAD, &[0.7, 0.3], 0.01), Ok(376));
    assert_eq!(connections_for_batches(LOAD, &[7.0], 0.01), Ok(371));
}

/// Batches of two on two connections. From none to two at the rate 1, from one to two at 1, from two to one at 2, from one to
/// none at 1.
#[test]
fn tabs_that_open_together_agree_with_a_case_computed_by_hand() {
    // None, one and two are equally probable. A batch loses no tab, one and two.
    assert!((erlang_b_batches(2.0, &[0.0, 1.0], 2).unwrap() - 0.5).abs() < 1e-12);
    assert_eq!(erlang_b_batches(2.0, &[0.0, 1.0], 0), Ok(1.0));
    for sizes in [&[][..], &[0.0], &[-1.0, 2.0], &[f64::NAN], &[f64::INFINITY], &[1.0; 101]] {
        assert!(
            erlang_b_batches(1.0, sizes, 1).is_err() && connections_for_batches(1.0, sizes, 0.1).is_err()
        );
    }
}

#[test]
fn retries_agree_with_a_simulation() {
    for (load, connections, retries) in [(20.0, 25, 15_u32), (40.0, 48, 5), (5.0, 6, 30)] {
        let (first, never) = simulated(load, 0.0, connections as usize, Some(1_000_000 / u64::from(retries)));
        let share = erlang_b_retrying(load, connections, f64::from(retries)).unwrap();
        assert!((share.falls_back / first - 1.0).abs() < 0.06, "{share:?}, simulated {first}");
        assert!((share.never_edits / never - 1.0).abs() < 0.06, "{share:?}, simulated {never}");
    }
}

/// In the limits, those who ask never again are Erlang's, and those who ask at all times wait in a queue that they leave as
/// editors leave: they fall back as often as a Poisson distribution reaches the connections.
#[test]
fn retries_agree_with_their_limits() {
    let none = erlang_b_retrying(20.0, 25, 0.0).unwrap();
    let erlang = erlang_b(20.0, 25).unwrap();
    assert!((none.falls_back - erlang).abs() < 1e-9 && (none.never_edits - erlang).abs() < 1e-9, "{none:?}");
    let terms = iter::successors(Some((0.0, (-20.0_f64).exp())), |(n, term)| {
        Some((n + 1.0, term * 20.0 / (n + 1.0)))
    });
    let below: f64 = terms.take(25).map(|(_, term)| term).sum();
    let all = erlang_b_retrying(20.0, 25, 1e6).unwrap();
    assert!((all.falls_back - (1.0 - below)).abs() < 1e-4, "{all:?}, not {}", 1.0 - below);
}

/// The chain leaves out unlikely states. Without retries, it has to agree with Erlang B to nine digits all the same.
#[test]
fn the_likely_states_are_enough() {
    for (load, connections) in
        [(1.0, 30), (346.7, 200), (346.7, 371), (346.7, 500), (346.7, 800), (9_000.0, 9_100)]
    {
        let (share, erlang) =
            (erlang_b_retrying(load, connections, 0.0).unwrap(), erlang_b(load, connections).unwrap());
        assert!(
            (share.falls_back / erlang - 1.0).abs() < 1e-9,
            "{load} on {connections}: {share:?}, not {erlang}"
        );
        assert!(
            (share.never_edits / erlang - 1.0).abs() < 1e-9,
            "{load} on {connections}: {share:?}, not {erlang}"
        );
    }
}

/// Asking again every two minutes of a mean stay of 30. The 375 of extended Erlang B would lose 2.3 % of the first opens: a
/// simulation of 1.5 million opens gave 2.31 %, and 0.95 % for 383.
#[test]
fn retries_need_more_than_extended_erlang_b_says() {
    assert_eq!(connections_for_returning(LOAD, 0.01), Ok(375));
    assert_eq!(connections_for_retrying(LOAD, 15.0, 0.01), Ok(383));
    assert_eq!(connections_for_retrying(LOAD, 0.0, 0.01), Ok(371));
    let with_375 = erlang_b_retrying(LOAD, 375, 15.0).unwrap();
    assert!((with_375.falls_back - 0.0236).abs() < 0.0005 && (with_375.never_edits - 0.0022).abs() < 0.0001);
}

#[test]
fn retries_at_the_bounds() {
    let all = |share| Ok(Retrying { falls_back: share, never_edits: share });
    assert_eq!((erlang_b_retrying(5.0, 0, 1.0), erlang_b_retrying(0.0, 1, 1.0)), (all(1.0), all(0.0)));
    assert_eq!(erlang_b_retrying(1.0, 1_000, 15.0), all(erlang_b(1.0, 1_000).unwrap()));
    assert!(erlang_b_retrying(1.0, 1, f64::NAN).is_err() && erlang_b_retrying(1.0, 1, -1.0).is_err());
    assert!(erlang_b_retrying(RETRYING_LOAD_MAX * 1.01, 1, 1.0).is_err());
    assert!(
        connections_for_retrying(f64::NAN, 1.0, 0.1).is_err()
            && connections_for_retrying(1.0, 1.0, 0.0).is_err()
    );
    assert!(
        connections_for_retrying(1e9, 1.0, 0.1).is_err() && connections_for_returning(f64::NAN, 0.1).is_err()
    );
    assert_eq!(connections_for_retrying(0.0, 1.0, 0.1), Ok(1));
}

/// The same mixture, summed over a hundred times finer steps in another way: the middles of slices of equal probability weigh
/// alike. 398 connections lose 1.0006 %.
#[test]
fn days_that_differ_agree_with_a_finer_sum() {
    let finer = |connections: u32| {
        let (mut opens, mut refused) = (0.0, 0.0);
        for slice in -3_000..3_000 {
            let deviations: f64 = (f64::from(slice) + 0.5) / 500.0;
            let load = LOAD * (1.0 + 0.1 * deviations);
            let weight = (-deviations.powi(2) / 2.0).exp() * load;
            opens += weight;
            refused += weight * erlang_b(load, connections).unwrap();
        }
        refused / opens
    };
    for connections in [371, 398, 399] {
        let share = erlang_b_varying(LOAD, 0.1, connections).unwrap();
        assert!((share - finer(connections)).abs() < 1e-8, "{share} {}", finer(connections));
    }
    assert_eq!(connections_for_varying(LOAD, 0.1, 0.01), Ok(399));
    assert_eq!(connections_for_varying(LOAD, 0.0, 0.01), Ok(371));
    assert_eq!((connections_for_varying(0.0, 0.1, 0.01), erlang_b_varying(0.0, 0.3, 0)), (Ok(1), Ok(1.0)));
    assert!(erlang_b_varying(1.0, 0.31, 1).is_err() && erlang_b_varying(f64::NAN, 0.1, 1).is_err());
    assert!(
        connections_for_varying(1.0, f64::NAN, 0.1).is_err()
            && connections_for_varying(1.0, 0.1, 1.0).is_err()
    );
}
