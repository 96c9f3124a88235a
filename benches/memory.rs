//! Bytes and allocator calls a connection: `cargo bench --bench memory`. A program of its own, because an allocator that
//! counts makes every allocation dearer: the baselines, which allocate more, would seem slower than they are.

#[allow(dead_code, reason = "the other benchmarks use more of it")]
mod contenders;

use std::alloc::System;

use contenders::{Ablation, Afternoon, Coedit, Contender, Floor, OneMutex, Owned};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let given = |wanted| std::env::args().any(|argument| argument == wanted);
    let smoke = given("--test") || !given("--bench");
    println!("bytes in use a connection, two users in each document");
    header();
    for (documents, drained) in
        [(1000, true), (100_000, true), (900_000, true), (1_000_000, true), (100_000, false)]
    {
        let documents = if smoke { documents / 1000 } else { documents };
        row(
            &format!("{documents} documents{}", if drained { "" } else { ", stalled host" }),
            &[
                bytes::<Floor>(documents, drained),
                bytes::<Coedit>(documents, drained),
                bytes::<Owned>(documents, drained),
                bytes::<Afternoon>(documents, drained),
                bytes::<Ablation>(documents, drained),
                bytes::<OneMutex>(documents, drained),
            ],
        );
    }
    println!("\nallocations and reallocations, steady state, 1000 documents that two users are in");
    header();
    let pairs = if smoke { 1000 } else { 100_000 };
    let all = [
        calls::<Floor>(pairs),
        calls::<Coedit>(pairs),
        calls::<Owned>(pairs),
        calls::<Afternoon>(pairs),
        calls::<Ablation>(pairs),
        calls::<OneMutex>(pairs),
    ];
    for (at, name) in ["an open of a third", "its change", "its close", "draining, a pair"].iter().enumerate()
    {
        row(name, &all.map(|calls| calls[at]));
    }
}

fn header() {
    print!("  {:34}", "");
    for name in [Floor::NAME, Coedit::NAME, Owned::NAME, Afternoon::NAME, Ablation::NAME, OneMutex::NAME] {
        print!("{name:>11}");
    }
    println!();
}

fn row(name: &str, values: &[f64]) {
    print!("  {name:34}");
    for value in values {
        print!("{value:>11.3}");
    }
    println!();
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn per(total: usize, count: usize) -> f64 {
    total as f64 / count as f64
}

fn bytes<C: Contender>(documents: usize, drained: bool) -> f64 {
    // What the host keeps itself is not counted: the handles' own bytes, the names.
    let mut handles = Vec::with_capacity(documents * 2);
    let users = [0, 1].map(C::user);
    let region = Region::new(ALLOCATOR);
    let contender = C::new(u32::MAX - 1);
    for document in 0..documents {
        let key = C::key(document);
        handles.extend(users.iter().map(|user| contender.open(&key, user).0));
        if drained && document % 64 == 0 {
            contender.drain();
        }
    }
    if drained {
        contender.drain();
    }
    let change = region.change();
    let in_use = change.bytes_allocated - change.bytes_deallocated;
    drop((handles, contender));
    per(in_use, documents * 2)
}

/// Allocations and reallocations, in this thread's program the only ones.
fn count<R>(total: &mut usize, act: impl FnOnce() -> R) -> R {
    let calls = |stats: Stats| stats.allocations + stats.reallocations;
    let region = Region::new(ALLOCATOR);
    let result = act();
    *total += calls(region.change());
    result
}

/// Of an open, a change, a close, and the draining after a pair.
fn calls<C: Contender>(pairs: usize) -> [f64; 4] {
    const DOCUMENTS: usize = 1000;
    let contender = C::new(u32::MAX - 1);
    let keys: Vec<C::Key> = (0..DOCUMENTS).map(C::key).collect();
    let users = [0, 1, 2].map(C::user);
    let held: Vec<C::Handle> =
        keys.iter().flat_map(|key| [0, 1].map(|user| contender.open(key, &users[user]).0)).collect();
    contender.drain();
    // What grows once grows in the first half.
    let [mut opens, mut closes, mut drains, mut changes] = [0; 4];
    for number in 0..pairs * 2 {
        if number == pairs {
            [opens, closes, drains, changes] = [0; 4];
        }
        let (handle, _) = count(&mut opens, || contender.open(&keys[number * 7 % DOCUMENTS], &users[2]));
        // After the first change of a document nothing is new in a further one.
        count(&mut changes, || contender.change(&handle));
        count(&mut closes, || contender.close(handle));
        if number % 64 == 63 {
            count(&mut drains, || contender.drain());
        }
    }
    drop((held, contender));
    [opens, changes, closes, drains].map(|calls| per(calls, pairs))
}
