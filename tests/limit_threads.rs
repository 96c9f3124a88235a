//! Limits under real threads. The tests count the held seats from outside. The count goes up after a grant and down before
//! the release. So it is never more than the held seats, and a count above a limit proves that the limit was exceeded.
//!
//! `COEDIT_SEEDS=100 cargo test --release --test limit_threads` runs 100 rounds of each test.

mod support;
use support::limits::refused;
use support::random::Random;
use support::*;

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use coedit::Access::Edit;
use coedit::{Access, Config, Connection, NamedUsers, OpenError, Reason, SeatCount};

const THREADS: usize = 6;
const OPERATIONS: usize = 600;

/// Counts the seats that are certainly held, by the name of what a limit counts.
#[derive(Default)]
struct Held(Mutex<HashMap<String, u32>>);

impl Held {
    /// Counts one more seat for `what`. Returns the count for `what` and the number of names with a count.
    fn up(&self, what: &str) -> (u32, usize) {
        let mut held = self.0.lock().unwrap();
        *held.entry(what.to_owned()).or_default() += 1;
        (held[what], held.len())
    }

    fn down(&self, what: &str) {
        let mut held = self.0.lock().unwrap();
        *held.get_mut(what).unwrap() -= 1;
        held.retain(|_, count| *count > 0);
    }
}

fn rounds() -> u64 {
    std::env::var("COEDIT_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

/// Runs threads that call `operate` again and again. One more thread validates the engine all the time, and one calls
/// `background`. At the end no connection is open.
fn run_threads(
    world: &World,
    seed: u64,
    operate: impl Fn(usize, &mut Random) + Sync,
    background: impl Fn() + Sync,
) {
    let done = AtomicBool::new(false);
    let validate = || world.engine.validate().unwrap();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|number| {
                let operate = &operate;
                scope.spawn(move || {
                    let mut random = Random::new(seed.wrapping_mul(31).wrapping_add(number as u64));
                    (0..OPERATIONS).for_each(|_| operate(number, &mut random));
                })
            })
            .collect();
        for task in [&validate as &(dyn Fn() + Sync), &background] {
            let done = &done;
            scope.spawn(move || {
                while !done.load(SeqCst) {
                    task();
                    thread::yield_now();
                }
            });
        }
        let ended: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        done.store(true, SeqCst);
        for end in ended {
            end.unwrap();
        }
    });
    world.acknowledge_all();
    let limits = world.engine.limits();
    assert_eq!((limits.edit.in_use, limits.connections.in_use, world.engine.documents()), (0, 0, 0));
}

fn release(world: &World, connection: Connection, random: &mut Random) {
    match random.below(4) {
        0 => connection.lost(),
        1 => world.engine.close(connection.into_id()).unwrap(),
        2 => drop(world.engine.drop_connection(connection.id()).unwrap()),
        _ => drop(connection),
    }
}

/// Opens connections on several threads under a limit of `max`. `names` gives the name of what the limit counts for a
/// document and a user. Returns the number of granted and of refused opens.
fn compete(
    set: impl Fn(Config) -> Config,
    names: impl Fn(usize, usize) -> String + Sync,
    max: u32,
    reason: Reason,
    background: impl Fn(&World) + Sync,
) -> (usize, usize) {
    let counts = Mutex::new((0, 0));
    for seed in 0..rounds() {
        let (world, held) = (World::new(&set), Held::default());
        let operate = |number: usize, random: &mut Random| {
            let (document, user_number) = (random.below(3), number % 2);
            let connection = world.open(&format!("doc-{document}"), &format!("user-{user_number}"), Edit);
            if connection.granted().access != Edit {
                assert_eq!(connection.granted(), refused(reason));
                counts.lock().unwrap().1 += 1;
                return;
            }
            counts.lock().unwrap().0 += 1;
            let name = names(document, user_number);
            let (count, _) = held.up(&name);
            assert!(count <= max, "P1: {count} of {name} under a limit of {max}");
            if random.one_in(2) {
                thread::yield_now();
            }
            held.down(&name);
            release(&world, connection, random);
        };
        run_threads(&world, seed, operate, || background(&world));
    }
    counts.into_inner().unwrap()
}

#[test]
fn p1_threads_never_exceed_the_limit_of_a_document() {
    let by_document = |document: usize, _| format!("document {document}");
    let limit = |config: Config| config.document_limit(Some(1));
    let (granted, refused) = compete(limit, by_document, 1, Reason::DocumentLimit, |_| {});
    assert!(granted > 0 && refused > 0, "{granted} granted, {refused} refused");
}

#[test]
fn p1_threads_never_exceed_the_limit_of_a_user() {
    let by_user = |_, user: usize| format!("user {user}");
    let limit = |config: Config| config.user_limit(Some(1));
    let (granted, refused) = compete(limit, by_user, 1, Reason::UserLimit, |_| {});
    assert!(granted > 0 && refused > 0, "{granted} granted, {refused} refused");
}

#[test]
fn p1_limits_of_documents_and_users_hold_while_another_thread_changes_them() {
    let change_limit = |world: &World| {
        for limit in [2, 1, 0, 2] {
            world.engine.set_user_limit(Some(limit)).unwrap();
            thread::yield_now();
        }
    };
    let limit = |config: Config| config.user_limit(Some(2));
    compete(limit, |_, user| format!("user {user}"), 2, Reason::UserLimit, change_limit);
    let change_limit = |world: &World| {
        for limit in [2, 1, 0, 2] {
            world.engine.set_document_limit(Some(limit)).unwrap();
            thread::yield_now();
        }
    };
    let limit = |config: Config| config.document_limit(Some(2));
    compete(limit, |document, _| format!("document {document}"), 2, Reason::DocumentLimit, change_limit);
}

/// There are as many threads as seats and each has one connection at a time, so every limit always has a free seat.
#[test]
fn p1_threads_are_never_refused_while_every_limit_has_a_free_seat() {
    let all = u32::try_from(THREADS).unwrap();
    let quota = NamedUsers { edit: Some(2), live: None, expire_days: 1 };
    for count in [SeatCount::Connections, SeatCount::UsersOfDocuments] {
        let world = World::new(|config| {
            let config = config.document_limit(Some(all)).user_limit(Some(all)).named_users(quota);
            config.edit_limit(Some(all)).max_connections(Some(all)).seat_count(count)
        });
        let operate = |number: usize, random: &mut Random| {
            let connection = world.edit(&format!("doc-{}", random.below(3)), &format!("user-{}", number % 2));
            release(&world, connection, random);
        };
        // Switching a limit off and on again loses no seat and counts none twice.
        let switch_limits = || {
            for limit in [None, Some(all)] {
                world.engine.set_user_limit(limit).unwrap();
                world.engine.set_max_connections(limit).unwrap();
            }
        };
        run_threads(&world, 0, operate, switch_limits);
    }
}

#[test]
fn p1_threads_never_exceed_the_maximum_of_connections() {
    const CAP: u32 = 3;
    for seed in 0..rounds() {
        let (world, held) = (World::new(|config| config.max_connections(Some(CAP))), Held::default());
        let refused = AtomicBool::new(false);
        let operate = |number: usize, random: &mut Random| {
            let asked = *random.pick(&[Access::View, Access::LiveView, Edit]);
            let document = key(&format!("doc-{}", random.below(3)));
            match world.engine.open(&document, &user(&format!("user-{number}")), asked) {
                Err(error) => {
                    assert_eq!(error, OpenError::TooMany);
                    refused.store(true, SeqCst);
                }
                Ok(connection) => {
                    assert_eq!(connection.granted().access, asked);
                    let (count, _) = held.up("open");
                    assert!(count <= CAP, "P1: {count} connections are open");
                    thread::yield_now();
                    held.down("open");
                    drop(connection);
                }
            }
        };
        let change_cap = || {
            for cap in [2, 1, 0, CAP] {
                world.engine.set_max_connections(Some(cap)).unwrap();
                thread::yield_now();
            }
        };
        run_threads(&world, seed, operate, change_cap);
        assert!(refused.load(SeqCst));
    }
}

#[test]
fn p1_threads_never_exceed_the_limit_if_users_of_documents_are_counted() {
    const LIMIT: usize = 2;
    for seed in 0..rounds() {
        let set = |config: Config| config.edit_limit(Some(2)).seat_count(SeatCount::UsersOfDocuments);
        let (world, held) = (World::new(set), Held::default());
        let operate = |number: usize, random: &mut Random| {
            let name = format!("{}-{}", random.below(2), number % 2);
            let (document, user) = name.split_once('-').unwrap();
            let connection = world.open(document, user, Edit);
            if connection.granted().access == Edit {
                let (_, seats) = held.up(&name);
                assert!(seats <= LIMIT, "P1: {seats} users of documents edit");
                thread::yield_now();
                held.down(&name);
                release(&world, connection, random);
            } else {
                assert_eq!(connection.granted(), refused(Reason::ConnectionLimit));
            }
        };
        run_threads(&world, seed, operate, || {});
    }
}

#[test]
fn p1_threads_never_exceed_the_quota_of_named_users() {
    const QUOTA: usize = 3;
    for seed in 0..rounds() {
        let quota = NamedUsers { edit: Some(3), live: None, expire_days: 1 };
        let world = World::new(|config| config.named_users(quota).document_limit(Some(2)));
        let named = Mutex::new(BTreeSet::new());
        let operate = |_: usize, random: &mut Random| {
            let name = format!("user-{}", random.below(8));
            let known = named.lock().unwrap().contains(&name);
            let connection = world.open(&format!("doc-{}", random.below(3)), &name, Edit);
            match connection.granted().reason {
                None => {
                    let mut named = named.lock().unwrap();
                    named.insert(name);
                    assert!(named.len() <= QUOTA, "P1: {named:?} have access");
                }
                Some(Reason::DocumentLimit) => {}
                reason => assert!(
                    reason == Some(Reason::UserQuota) && !known,
                    "{name} counts as named, refused with {reason:?}"
                ),
            }
            drop(connection);
        };
        run_threads(&world, seed, operate, || {});
        let counts = world.engine.license().quota.users.into_iter().map(|one| one.userid.to_string());
        assert_eq!(counts.collect::<BTreeSet<_>>(), named.into_inner().unwrap());
    }
}
