//! Counts the bytes that stay in use after a crowd has left while somebody stays. This file has only one test, because a
//! second one would be counted with it.

mod support;

use std::alloc::System;

use coedit::{Access, Config, ConnectionId, NamedUsers};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::random::Random;
use support::{Settle, World, seconds};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CROWD: usize = 50_000;
/// The tables of slots and the index may stay at their peak.
const PER_SLOT: usize = 48;
/// Pools of a fixed size, and blocks of channels.
const POOLS: usize = 256 * 1024;
/// What a connection of its own user takes at least, so that a test that counts nothing fails.
const MIN_PER_CONNECTION: usize = 100;

/// Returns the number of bytes that are allocated and not freed.
fn in_use() -> usize {
    let stats = GLOBAL.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// In which order a crowd leaves.
#[derive(Clone, Copy, Debug)]
enum Order {
    AsTheyCame,
    Backwards,
    Random,
}

fn settle(world: &World) {
    world.callbacks.try_iter().for_each(|delivery| drop(delivery.acked()));
}

/// Opens a connection for each name of a document and a user.
fn arrive(world: &World, access: Access, name: impl Fn(usize) -> (String, String)) -> Vec<ConnectionId> {
    let mut open = Vec::with_capacity(CROWD);
    for number in 0..CROWD {
        let (document, user) = name(number);
        open.push(world.open(&document, &user, access).into_id());
        if number % 1_000 == 0 {
            settle(world);
        }
    }
    settle(world);
    open
}

fn leave(world: &World, mut open: Vec<ConnectionId>, order: Order) {
    match order {
        Order::AsTheyCame => {}
        Order::Backwards => open.reverse(),
        Order::Random => {
            let mut random = Random::new(1);
            (0..CROWD).for_each(|place| open.swap(place, random.below(CROWD)));
        }
    }
    for (number, id) in open.iter().enumerate() {
        world.engine.close(*id).unwrap();
        if number % 1_000 == 0 {
            settle(world);
        }
    }
    settle(world);
}

/// A crowd comes and leaves, while some who came before it and after it stay. Returns the bytes for each that stay in use.
fn come_and_go(
    set: impl FnOnce(Config) -> Config,
    access: Access,
    order: Order,
    name: impl Fn(usize) -> (String, String),
) -> (World, usize) {
    let world = World::new(|config| set(config.shards(4).usage(false)));
    let _early = world.open("doc", "early", access);
    settle(&world);
    let before = in_use();
    let open = arrive(&world, access, name);
    assert!(in_use() > before + CROWD * MIN_PER_CONNECTION, "the allocator counts the memory");
    let late = world.open("doc", "late", access);
    leave(&world, open, order);
    let left = in_use().saturating_sub(before);
    world.engine.validate().unwrap();
    assert!(late.granted().access == access);
    (world, left.saturating_sub(POOLS))
}

fn of_one_document(number: usize) -> (String, String) {
    ("doc".to_owned(), format!("user-{number}"))
}

fn of_many_documents(number: usize) -> (String, String) {
    (format!("doc-{number}"), format!("user-{number}"))
}

fn a_crowd_of_one_document() {
    for order in [Order::AsTheyCame, Order::Backwards, Order::Random] {
        let (_, left) = come_and_go(|config| config, Access::View, order, of_one_document);
        assert!(left <= CROWD * PER_SLOT, "viewers, {order:?}: {} bytes each", left / CROWD);
    }
}

fn many_tabs_of_one_user() {
    // A close costs a walk over the tabs of the user, so there are fewer.
    const TABS: usize = 4_000;
    let world = World::new(|config| config.shards(4).usage(false));
    let stays = world.open("doc", "ann", Access::View);
    let before = in_use();
    let open: Vec<_> = (0..TABS).map(|_| world.open("doc", "ann", Access::View)).collect();
    drop(open);
    let left = in_use().saturating_sub(before);
    assert!(left <= TABS * 24 + 1_024, "the tabs of one user: {} bytes each", left / TABS);
    drop(stays);
}

fn seats_of_users() {
    let set = |config: Config| config.user_limit(Some(3));
    let (_, left) = come_and_go(set, Access::Edit, Order::Random, of_many_documents);
    // One slot of a connection, and one of its document.
    assert!(left <= CROWD * 2 * PER_SLOT, "with a limit of users: {} bytes each", left / CROWD);
    let (_, without) = come_and_go(|config| config, Access::Edit, Order::Random, of_many_documents);
    assert!(left <= without + POOLS, "the limit of users leaves {left} bytes, none {without}");
}

/// Named users count until midnight. From then on a tick, or the opens that follow, free them.
fn named_users() {
    let quota = NamedUsers { edit: Some(1_000_000), live: None, expire_days: 0 };
    let set = |config: Config| config.named_users(quota);
    for ticks in [true, false] {
        let (world, counting) = come_and_go(set, Access::Edit, Order::AsTheyCame, of_many_documents);
        assert_eq!(world.engine.license().quota.users.len(), CROWD + 2);
        let before = in_use();
        world.clock.advance(seconds(24 * 3_600));
        world.edit("doc", "new").close();
        if ticks {
            world.engine.tick();
        } else {
            (0..CROWD / 10).for_each(|_| world.edit("doc", "new").close());
        }
        settle(&world);
        assert_eq!(world.engine.license().quota.users.len(), 1);
        let freed = before.saturating_sub(in_use());
        assert!(freed >= CROWD * 64, "{freed} bytes freed of {counting}, ticks: {ticks}");
    }
}

#[test]
fn p6_memory_follows_what_is_open_now() {
    a_crowd_of_one_document();
    many_tabs_of_one_user();
    seats_of_users();
    named_users();
}
