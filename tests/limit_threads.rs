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
use coedit::{
    Access, Config, Connection, Limit, LimitLevel, NamedUsers, Notice, OpenError, Pool, Reason, SeatCount,
};

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
        0 => assert_eq!(connection.lost(), Ok(None)),
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

/// Threads open and close around the level of the warning and change the limit. When all is quiet, the last notice of each
/// limit tells its level.
#[test]
fn p1_the_last_notice_of_a_limit_tells_its_level() {
    for seed in 0..rounds() {
        let world = World::new(|config| config.edit_limit(Some(10)).max_connections(Some(10)));
        let kept: Vec<_> = (0..4).map(|n| world.edit("doc", &format!("kept-{n}"))).collect();
        thread::scope(|scope| {
            for number in 0..THREADS as u64 {
                let world = &world;
                scope.spawn(move || {
                    let mut random = Random::new(seed.wrapping_mul(31).wrapping_add(number));
                    for _ in 0..OPERATIONS {
                        let document = key(&format!("doc-{}", random.below(3)));
                        drop(world.engine.open(&document, &user("ann"), Edit));
                        if random.one_in(20) {
                            let limit = Some(*random.pick(&[4, 6, 7, 10]));
                            world.engine.set_edit_limit(limit).unwrap();
                            world.engine.set_max_connections(limit).unwrap();
                        }
                    }
                });
            }
        });
        let limits = world.engine.limits();
        let notices = world.take_notices();
        for (pool, limit) in [(Pool::Edit, limits.edit), (Pool::Max, limits.connections)] {
            assert_level(&notices, pool, limit);
        }
        drop(kept);
    }
}

fn assert_level(notices: &[Notice], about: Pool, Limit { limit, in_use }: Limit) {
    let of_pool = |notice: &Notice| match notice {
        Notice::Limit { pool, level, limit, .. } if *pool == about => Some((*level, *limit)),
        _ => None,
    };
    let limit = limit.unwrap();
    let (level, told) = notices.iter().rev().find_map(of_pool).unwrap_or((LimitLevel::Clear, limit));
    if in_use * 100 >= limit * 70 {
        assert!(level > LimitLevel::Clear, "{about:?}: {level:?} of {told} at {in_use} of {limit}");
    } else if in_use * 100 <= limit * 60 {
        assert_eq!(level, LimitLevel::Clear, "{about:?}: at {in_use} of {limit}");
    }
}

/// A limit of users is switched on and off by slices, while others open and close between the slices.
#[test]
fn p1_a_limit_of_users_that_is_switched_over_many_documents_counts_each_seat_once() {
    const DOCUMENTS: usize = 1_500;
    for count in [SeatCount::Connections, SeatCount::UsersOfDocuments] {
        let world = World::new(|config| config.shards(1).seat_count(count));
        let kept: Vec<_> =
            (0..DOCUMENTS).map(|n| world.edit(&format!("doc-{n}"), &format!("user-{}", n % 700))).collect();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let (world, done) = (&world, &done);
            let visitors: Vec<_> = (0..2)
                .map(|number| {
                    scope.spawn(move || {
                        let mut random = Random::new(number);
                        let mut open = Vec::new();
                        while !done.load(SeqCst) {
                            let document = format!("doc-{}", random.below(2 * DOCUMENTS));
                            open.push(world.edit(&document, &format!("user-{}", random.below(700))));
                            if open.len() > 20 {
                                let place = random.below(open.len());
                                drop(open.swap_remove(place));
                            }
                        }
                    })
                })
                .collect();
            for _ in 0..20 {
                for limit in [Some(1_000), None] {
                    world.engine.set_user_limit(limit).unwrap();
                    // Recounts the seats of every user.
                    world.engine.validate().unwrap();
                }
            }
            done.store(true, SeqCst);
            for visitor in visitors {
                visitor.join().unwrap();
            }
        });
        world.engine.set_user_limit(Some(2)).unwrap();
        world.engine.validate().unwrap();
        // 1,500 documents of 700 users: the first 100 have three, the others two.
        assert_eq!(world.open("new", "user-100", Edit).granted(), refused(Reason::UserLimit));
        drop(kept);
        assert_eq!(world.open("new", "user-100", Edit).granted().access, Edit);
        world.engine.validate().unwrap();
    }
}

/// A day of named users ends while threads open, and the administrator lists who counts. The quota has room for all of
/// the new day, so nobody is refused, and nobody is listed twice.
#[test]
fn p1_nobody_is_refused_for_users_whose_day_is_over() {
    const USERS: usize = 2_000;
    let quota = NamedUsers { edit: Some(2_000), live: None, expire_days: 0 };
    let world = World::new(|config| config.named_users(quota).callbacks(false));
    let name = |day: usize, n: usize| {
        if n.is_multiple_of(2) { format!("user-{n}") } else { format!("user-{n}-of-{day}") }
    };
    for day in 0..3 {
        thread::scope(|scope| {
            for half in 0..2 {
                let world = &world;
                scope.spawn(move || {
                    (0..USERS)
                        .filter(|n| n / 2 % 2 == half)
                        .for_each(|n| drop(world.edit("doc", &name(day, n))));
                });
            }
            scope.spawn(|| {
                for _ in 0..20 {
                    let listed = world.engine.license().quota.users;
                    let distinct: BTreeSet<_> = listed.iter().map(|one| &one.userid).collect();
                    assert_eq!(distinct.len(), listed.len());
                }
            });
        });
        assert_eq!(world.engine.license().quota.users.len(), USERS);
        assert_eq!(world.open("doc", "one more", Edit).granted(), refused(Reason::UserQuota));
        world.clock.advance(seconds(24 * 3_600));
    }
}
