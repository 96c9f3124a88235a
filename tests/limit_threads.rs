//! Limits among real threads. What is held is counted from outside, up after a grant and down before it is given up: the count
//! is never more than what is held, so above a limit it proves that the limit was exceeded.
//!
//! `COEDIT_SEEDS=100 cargo test --release --test limit_threads` runs so many rounds of each test.

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

/// What is held at the least, by what it is counted by.
#[derive(Default)]
struct Held(Mutex<HashMap<String, u32>>);

impl Held {
    /// One more of `what`. Returns how many of it there are, and of how many things there are any.
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

/// Threads that do something again and again, beside one that recounts everything all the while and one that does `aside`.
/// At the end nobody is in.
fn crowd(world: &World, seed: u64, operate: impl Fn(usize, &mut Random) + Sync, aside: impl Fn() + Sync) {
    let done = AtomicBool::new(false);
    let recount = || world.engine.validate().unwrap();
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
        for task in [&recount as &(dyn Fn() + Sync), &aside] {
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
    world.told();
    let limits = world.engine.limits();
    assert_eq!((limits.edit.in_use, limits.connections.in_use, world.engine.documents()), (0, 0, 0));
}

fn let_go(world: &World, connection: Connection, random: &mut Random) {
    match random.below(4) {
        0 => connection.lost(),
        1 => world.engine.close(connection.into_id()).unwrap(),
        2 => drop(world.engine.drop_connection(connection.id()).unwrap()),
        _ => drop(connection),
    }
}

/// Threads open under a limit of `most`; `names` says of a document and a user what the limit counts by. Returns how many were
/// granted and how many refused.
fn contend(
    set: impl Fn(Config) -> Config,
    names: impl Fn(usize, usize) -> String + Sync,
    most: u32,
    reason: Reason,
    aside: impl Fn(&World) + Sync,
) -> (usize, usize) {
    let counts = Mutex::new((0, 0));
    for seed in 0..rounds() {
        let (world, held) = (World::new(&set), Held::default());
        let operate = |number: usize, random: &mut Random| {
            let (document, who) = (random.below(3), number % 2);
            let connection = world.open(&format!("doc-{document}"), &format!("user-{who}"), Edit);
            if connection.granted().access != Edit {
                assert_eq!(connection.granted(), refused(reason));
                counts.lock().unwrap().1 += 1;
                return;
            }
            counts.lock().unwrap().0 += 1;
            let name = names(document, who);
            let (count, _) = held.up(&name);
            assert!(count <= most, "P1: {count} of {name} under a limit of {most}");
            if random.one_in(2) {
                thread::yield_now();
            }
            held.down(&name);
            let_go(&world, connection, random);
        };
        crowd(&world, seed, operate, || aside(&world));
    }
    counts.into_inner().unwrap()
}

#[test]
fn p1_threads_never_hold_more_on_a_document_than_its_limit() {
    let by_document = |document: usize, _| format!("document {document}");
    let limit = |config: Config| config.document_limit(Some(1));
    let (granted, refused) = contend(limit, by_document, 1, Reason::DocumentLimit, |_| {});
    assert!(granted > 0 && refused > 0, "{granted} granted, {refused} refused");
}

#[test]
fn p1_threads_never_hold_more_of_a_user_than_its_limit() {
    let by_user = |_, who: usize| format!("user {who}");
    let limit = |config: Config| config.user_limit(Some(1));
    let (granted, refused) = contend(limit, by_user, 1, Reason::UserLimit, |_| {});
    assert!(granted > 0 && refused > 0, "{granted} granted, {refused} refused");
}

#[test]
fn p1_limits_of_documents_and_users_hold_while_another_thread_moves_them() {
    let moved = |world: &World| {
        for limit in [2, 1, 0, 2] {
            world.engine.set_user_limit(Some(limit)).unwrap();
            thread::yield_now();
        }
    };
    let limit = |config: Config| config.user_limit(Some(2));
    contend(limit, |_, who| format!("user {who}"), 2, Reason::UserLimit, moved);
    let moved = |world: &World| {
        for limit in [2, 1, 0, 2] {
            world.engine.set_document_limit(Some(limit)).unwrap();
            thread::yield_now();
        }
    };
    let limit = |config: Config| config.document_limit(Some(2));
    contend(limit, |document, _| format!("document {document}"), 2, Reason::DocumentLimit, moved);
}

/// As many threads as seats, each with one connection at a time: there always is a seat, of every limit.
#[test]
fn p1_threads_are_never_refused_by_any_limit_while_it_has_room() {
    let all = u32::try_from(THREADS).unwrap();
    let quota = NamedUsers { edit: Some(2), live: None, expire_days: 1 };
    for count in [SeatCount::Connections, SeatCount::UsersOfDocuments] {
        let world = World::new(|config| {
            let config = config.document_limit(Some(all)).user_limit(Some(all)).named_users(quota);
            config.edit_limit(Some(all)).max_connections(Some(all)).seat_count(count)
        });
        let operate = |number: usize, random: &mut Random| {
            let connection = world.edit(&format!("doc-{}", random.below(3)), &format!("user-{}", number % 2));
            let_go(&world, connection, random);
        };
        // Switched off and on again, nothing is lost and nothing counted twice.
        let switched = || {
            for limit in [None, Some(all)] {
                world.engine.set_user_limit(limit).unwrap();
                world.engine.set_max_connections(limit).unwrap();
            }
        };
        crowd(&world, 0, operate, switched);
    }
}

#[test]
fn p1_threads_never_have_more_open_than_the_cap() {
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
                    assert!(count <= CAP, "P1: {count} are open");
                    thread::yield_now();
                    held.down("open");
                    drop(connection);
                }
            }
        };
        let moved = || {
            for cap in [2, 1, 0, CAP] {
                world.engine.set_max_connections(Some(cap)).unwrap();
                thread::yield_now();
            }
        };
        crowd(&world, seed, operate, moved);
        assert!(refused.load(SeqCst));
    }
}

#[test]
fn p1_threads_never_hold_more_seats_where_users_of_documents_are_counted() {
    const LIMIT: usize = 2;
    for seed in 0..rounds() {
        let set = |config: Config| config.edit_limit(Some(2)).seat_count(SeatCount::UsersOfDocuments);
        let (world, held) = (World::new(set), Held::default());
        let operate = |number: usize, random: &mut Random| {
            let name = format!("{}-{}", random.below(2), number % 2);
            let (document, who) = name.split_once('-').unwrap();
            let connection = world.open(document, who, Edit);
            if connection.granted().access == Edit {
                let (_, seats) = held.up(&name);
                assert!(seats <= LIMIT, "P1: {seats} users of documents edit");
                thread::yield_now();
                held.down(&name);
                let_go(&world, connection, random);
            } else {
                assert_eq!(connection.granted(), refused(Reason::ConnectionLimit));
            }
        };
        crowd(&world, seed, operate, || {});
    }
}

#[test]
fn p1_threads_never_give_access_to_more_named_users_than_the_quota() {
    const QUOTA: usize = 3;
    for seed in 0..rounds() {
        let quota = NamedUsers { edit: Some(3), live: None, expire_days: 1 };
        let world = World::new(|config| config.named_users(quota).document_limit(Some(2)));
        let named = Mutex::new(BTreeSet::new());
        let operate = |_: usize, random: &mut Random| {
            let who = format!("user-{}", random.below(8));
            let known = named.lock().unwrap().contains(&who);
            let connection = world.open(&format!("doc-{}", random.below(3)), &who, Edit);
            match connection.granted().reason {
                None => {
                    let mut named = named.lock().unwrap();
                    named.insert(who);
                    assert!(named.len() <= QUOTA, "P1: {named:?} were given access");
                }
                Some(Reason::DocumentLimit) => {}
                reason => assert!(reason == Some(Reason::UserQuota) && !known, "{who} counts, {reason:?}"),
            }
            drop(connection);
        };
        crowd(&world, seed, operate, || {});
        let counts = world.engine.license().quota.users.into_iter().map(|one| one.userid.to_string());
        assert_eq!(counts.collect::<BTreeSet<_>>(), named.into_inner().unwrap());
    }
}
