//! Compares the capacity formulas with published tables and with independent sums.

use coedit::capacity::{
    CONNECTIONS_MAX, LOAD_MAX, Observed, RuleOfThumb, connections_for, connections_for_each,
    connections_for_each_group, connections_for_group, engset, engset_curve, erlang_b, erlang_b_curve,
    group_for, load_for, users_for,
};
use proptest::prelude::*;

/// Loads in erlangs from the Erlang B tables of telephone engineers. Each row is a number of connections. The columns are
/// shares of 0.1 %, 1 %, 2 % and 5 %. The tables have two decimals, for small loads three.
const TABLE: [(u32, [f64; 4]); 9] = [
    (1, [0.001, 0.0101, 0.0204, 0.0526]),
    (2, [0.0458, 0.153, 0.223, 0.381]),
    (5, [0.762, 1.36, 1.66, 2.22]),
    (10, [3.09, 4.46, 5.08, 6.22]),
    (20, [9.41, 12.03, 13.18, 15.25]),
    (30, [16.68, 20.34, 21.93, 24.80]),
    (40, [24.44, 29.01, 31.00, 34.60]),
    (50, [32.51, 37.90, 40.26, 44.53]),
    (100, [75.24, 84.06, 87.97, 95.24]),
];

#[test]
fn erlang_b_agrees_with_the_published_tables() {
    for (connections, loads) in TABLE {
        for (load, share) in loads.into_iter().zip([0.001, 0.01, 0.02, 0.05]) {
            let exact = load_for(connections, share).unwrap();
            let last_digit = if load < 1.0 { 0.0005 } else { 0.0051 };
            assert!(
                (exact - load).abs() <= last_digit,
                "{connections} at {share}: {exact}, the table has {load}"
            );
            assert!((erlang_b(exact, connections).unwrap() - share).abs() < 1e-9);
        }
    }
}

/// Adds up the definition: `1 / B = 1 + n/A + n(n-1)/A² + …`.
fn erlang_b_summed(load: f64, connections: u32) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for step in 0..connections {
        term *= f64::from(connections - step) / load;
        sum += term;
    }
    1.0 / sum
}

#[test]
fn erlang_b_agrees_with_the_sum_that_defines_it() {
    for load in [0.001, 0.5, 1.0, 7.3, 40.0, 180.0, 950.0] {
        for (connections, share) in (0..1_200).zip(erlang_b_curve(load).unwrap()) {
            // Smaller shares overflow the sum.
            if share < 1e-290 {
                break;
            }
            let summed = erlang_b_summed(load, connections);
            assert!(
                (share - summed).abs() <= 1e-11 * summed,
                "{load} on {connections}: {share}, not {summed}"
            );
        }
    }
}

/// The Engset formula as an exact fraction, for users who work `part` of `parts` of the time. `others` are the users of the
/// group without the one who opens: `C(others, n) oddsⁿ / (C(others, 0) odds⁰ + … + C(others, n) oddsⁿ)`.
fn engset_exact(users: u32, (part, parts): (u128, u128), connections: u32) -> (u128, u128) {
    let others = u128::from(users - 1);
    let choose =
        |taken: u32| (0..u128::from(taken)).fold(1, |product, step| product * (others - step) / (step + 1));
    let weight = |taken: u32| choose(taken) * part.pow(taken) * (parts - part).pow(connections - taken);
    (weight(connections), (0..=connections).map(weight).sum())
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "one rounding of an exact fraction")]
fn engset_agrees_with_exact_fractions() {
    for users in [1, 2, 5, 12, 30] {
        for (part, parts) in [(1, 100), (1, 5), (1, 2), (3, 5), (9, 10)] {
            for connections in 0..users.min(15) {
                let (over, all) = engset_exact(users, (part, parts), connections);
                let (exact, at_work) = (over as f64 / all as f64, part as f64 / parts as f64);
                let share = engset(users, at_work, connections).unwrap();
                assert!(
                    (share - exact).abs() <= 1e-12 * exact,
                    "{users} {at_work} {connections}: {share} {exact}"
                );
            }
            assert_eq!(engset(users, 0.5, users), Ok(0.0));
        }
    }
}

/// The first case: three users work half of the time and share one connection. Of the two other users, none has a connection
/// with a weight of 1, and one of them has it with a weight of 2.
#[test]
fn engset_agrees_with_cases_computed_by_hand() {
    assert_eq!(engset(3, 0.5, 1), Ok(2.0 / 3.0));
    assert_eq!((engset(0, 0.5, 0), engset(1, 0.5, 0), engset(1, 0.5, 1)), (Ok(0.0), Ok(1.0), Ok(0.0)));
    assert_eq!((engset(7, 1.0, 6), engset(7, 1.0, 7), engset(7, 0.0, 1)), (Ok(1.0), Ok(0.0), Ok(0.0)));
}

#[test]
fn engset_approaches_erlang_b_as_the_group_grows() {
    let unlimited = erlang_b(20.0, 25).unwrap();
    let group = |users: u32| engset(users, 20.0 / f64::from(users), 25).unwrap();
    assert!((group(10_000_000) - unlimited).abs() < 1e-6);
    assert!(group(40) < group(100) && group(100) < group(1_000) && group(1_000) < unlimited);
}

#[test]
fn parameters_outside_their_bounds_are_errors() {
    for load in [-1.0, -f64::MIN_POSITIVE, f64::NAN, f64::INFINITY, LOAD_MAX * 1.001] {
        assert!(erlang_b(load, 1).is_err() && connections_for(load, 0.5).is_err(), "{load}");
        assert!(erlang_b_curve(load).is_err());
    }
    for share in [0.0, -0.5, 1.0, 1.5, f64::NAN, f64::INFINITY] {
        assert!(connections_for(1.0, share).is_err() && load_for(1, share).is_err(), "{share}");
        assert!(connections_for_group(1, 0.5, share).is_err() && Observed::new().limit_for(share).is_err());
    }
    for at_work in [-0.1, 1.1, f64::NAN] {
        assert!(engset(3, at_work, 1).is_err() && connections_for_group(3, at_work, 0.5).is_err());
        assert!(engset_curve(3, at_work).is_err());
    }
    let too_many = CONNECTIONS_MAX + 1;
    assert!(engset(too_many, 0.5, 1).is_err() && engset(1, 0.5, too_many).is_err());
    assert!(erlang_b(1.0, too_many).is_err() && load_for(too_many, 0.5).is_err());
    let error = erlang_b(f64::NAN, 1).unwrap_err();
    assert_eq!(error.to_string(), "the load must be 0 to 10,000,000 erlangs");
}

#[test]
fn parameters_at_their_bounds_are_accepted() {
    assert_eq!((erlang_b(0.0, 0), erlang_b(0.0, 1), erlang_b(5.0, 0)), (Ok(1.0), Ok(0.0), Ok(1.0)));
    assert_eq!(erlang_b(1.0, 1_000_000), Ok(0.0), "too small for an f64");
    assert_eq!(erlang_b(f64::MIN_POSITIVE, 2), Ok(0.0));
    assert!(connections_for(1.0, f64::MIN_POSITIVE).unwrap() < 200);
    assert!(load_for(1, f64::MIN_POSITIVE).unwrap() <= 2.0 * f64::MIN_POSITIVE);
    assert!((LOAD_MAX * 0.999..=LOAD_MAX).contains(&load_for(3, 1.0 - f64::EPSILON).unwrap()));
    assert_eq!((connections_for_group(0, 0.5, 0.5), connections_for_group(9, 0.0, 0.5)), (Ok(0), Ok(1)));
    assert_eq!((RuleOfThumb::of(0).all_at_work, RuleOfThumb::of(u32::MAX).all_at_work), (0, u32::MAX));
}

proptest! {
    /// The result is enough, and one connection fewer is not.
    #[test]
    fn connections_for_is_the_smallest_number_that_is_enough(load in 0.0..2_000.0, share in 1e-6..0.9, users in 1_u32..500) {
        let connections = connections_for(load, share).unwrap();
        prop_assert!(erlang_b(load, connections).unwrap() <= share);
        prop_assert!(erlang_b(load, connections - 1).unwrap() > share);
        let at_work = load / 2_000.0;
        let connections = connections_for_group(users, at_work, share).unwrap();
        prop_assert!(engset(users, at_work, connections).unwrap() <= share);
        prop_assert!(engset(users, at_work, connections - 1).unwrap() > share);
    }

    /// One user more is too many.
    #[test]
    fn users_for_is_the_largest_number_that_fits(connections in 1_u32..300, at_work in 0.01..0.99, share in 1e-4..0.5) {
        let users = users_for(connections, at_work, share).unwrap();
        prop_assert!(erlang_b(f64::from(users) * at_work, connections).unwrap() <= share * (1.0 + 1e-6));
        prop_assert!(erlang_b(f64::from(users + 1) * at_work, connections).unwrap() > share);
        let group = group_for(connections, at_work, share).unwrap();
        prop_assert!(group >= connections && engset(group, at_work, connections).unwrap() <= share);
        prop_assert!(engset(group + 1, at_work, connections).unwrap() > share);
    }

    /// The result fits, and a slightly higher load does not.
    #[test]
    fn load_for_is_the_largest_load_that_fits(connections in 1_u32..400, share in 1e-6..0.9) {
        let load = load_for(connections, share).unwrap();
        prop_assert!(erlang_b(load, connections).unwrap() <= share);
        prop_assert!(erlang_b(load * (1.0 + 1e-9), connections).unwrap() > share);
    }
}

#[test]
fn load_for_ends_with_the_smallest_share() {
    for connections in [1, 2, 100] {
        let load = load_for(connections, f64::from_bits(1)).unwrap();
        assert!(load >= 0.0 && erlang_b(load, connections).unwrap() <= f64::from_bits(1));
    }
}

/// 800 users with 1.3 documents each, of whom a third is at work. Published tables of Erlang B do not go so far, so that the
/// shares are compared with the sum that defines them.
#[test]
fn users_connections_and_servers_for_800_users() {
    let load = 1_040.0 / 3.0;
    for (connections, load) in [(371, load), (194, load / 2.0), (336, 312.0), (400, 374.4)] {
        assert_eq!(connections_for(load, 0.01), Ok(connections));
        assert!(erlang_b_summed(load, connections) <= 0.01 && erlang_b_summed(load, connections - 1) > 0.01);
    }
    assert_eq!(
        (connections_for_each(1, load, 0.01), connections_for_each(2, load, 0.01)),
        (Ok(371), Ok(194))
    );
    assert_eq!((users_for(371, 1.3 / 3.0, 0.01), users_for(200, 1.3 / 3.0, 0.01)), (Ok(800), Ok(414)));
    assert_eq!(connections_for_each_group(2, 1_040, 1.0 / 3.0, 0.01), Ok(191));
    assert_eq!(
        (group_for(0, 0.5, 0.5), group_for(3, 0.0, 0.5), group_for(3, 1.0, 0.5)),
        (Ok(0), Ok(CONNECTIONS_MAX), Ok(3))
    );
    assert_eq!((users_for(0, 0.5, 0.5), users_for(9, 1e-300, 0.5)), (Ok(0), Ok(u32::MAX)));
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(users_for(1, wrong, 0.5).is_err());
    }
    assert!(
        group_for(1, 1.1, 0.5).is_err()
            && group_for(CONNECTIONS_MAX + 1, 0.5, 0.5).is_err()
            && group_for(1, 0.5, 0.0).is_err()
    );
    assert!(connections_for_each(0, 1.0, 0.5).is_err() && connections_for_each(2, f64::NAN, 0.5).is_err());
    assert!(connections_for_each_group(0, 1, 0.5, 0.5).is_err());
    assert!(connections_for_each_group(2, CONNECTIONS_MAX + 1, 0.5, 0.5).is_err());
}
