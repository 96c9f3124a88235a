//! Bytes and allocator calls: `cargo bench --bench memory`.
//!
//! This is a program of its own because counting makes every allocation slower. The times of the contenders that
//! allocate most would look worse than they are.

#[allow(dead_code, reason = "the other benchmarks use more of it")]
mod contenders;

use std::alloc::System;

use contenders::{Ablation, Afternoon, Coedit, Contender, Floor, OneMutex, Owned};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The number of documents in the counts of allocator calls.
const DOCUMENTS: usize = 1000;

fn main() {
    let given = |wanted| std::env::args().any(|argument| argument == wanted);
    let smoke = given("--test") || !given("--bench");
    print_calls(if smoke { 2048 } else { 102_400 });
    print_bytes(smoke);
}

/// Calls `$function` for each contender, in the order of [`print_header`].
macro_rules! each_contender {
    ($function:ident $arguments:tt) => {
        [
            $function::<Floor> $arguments,
            $function::<Coedit> $arguments,
            $function::<Owned> $arguments,
            $function::<Afternoon> $arguments,
            $function::<Ablation> $arguments,
            $function::<OneMutex> $arguments,
        ]
    };
}

fn print_calls(pairs: usize) {
    println!("allocations and reallocations in the steady state, 1,000 documents with two users");
    print_header();
    for (every, name) in [(1, "1"), (64, "64"), (1024, "1,024")] {
        let counts = each_contender!(drained_pair(pairs, every));
        print_row(&format!("pair, drained every {name}"), &counts);
    }
    let counts = each_contender!(single_calls(pairs));
    for (at, name) in ["open", "change", "close"].iter().enumerate() {
        print_row(&format!("  {name} of a third connection"), &counts.map(|counts| counts[at]));
    }
}

fn print_bytes(smoke: bool) {
    println!("\nbytes in use per connection, two users in each document");
    print_header();
    let cases = [
        (1000, true, "1,000 documents"),
        (100_000, true, "100,000 documents"),
        (1_000_000, true, "1,000,000 documents"),
        (100_000, false, "100,000 documents, never drained"),
    ];
    for (documents, drained, name) in cases {
        let documents = if smoke { documents / 1000 } else { documents };
        print_row(name, &each_contender!(bytes(documents, drained)));
    }
}

fn print_header() {
    print!("  {:34}", "");
    for name in [Floor::NAME, Coedit::NAME, Owned::NAME, Afternoon::NAME, Ablation::NAME, OneMutex::NAME] {
        print!("{name:>11}");
    }
    println!();
}

fn print_row(name: &str, values: &[f64]) {
    print!("  {name:34}");
    for value in values {
        print!("{value:>11.3}");
    }
    println!();
}

/// Documents with two users each, and a third user who opens and closes.
struct Documents<C: Contender> {
    /// Declared before the contender, so dropped before it: an owning connection closes when it is dropped.
    _held: Vec<C::Handle>,
    contender: C,
    keys: Vec<C::Key>,
    visitor: C::User,
}

impl<C: Contender> Documents<C> {
    fn new() -> Self {
        let contender = C::new(u32::MAX - 1);
        let keys: Vec<C::Key> = (0..DOCUMENTS).map(C::key).collect();
        let users = [0, 1].map(C::user);
        let open = |key| users.each_ref().map(|user| contender.open(key, user).0);
        let held = keys.iter().flat_map(open).collect();
        contender.drain();
        Documents { _held: held, contender, keys, visitor: C::user(2) }
    }

    fn open(&self, number: usize) -> C::Handle {
        self.contender.open(&self.keys[number * 7 % DOCUMENTS], &self.visitor).0
    }
}

/// Allocator calls of an open, its close, and taking and acknowledging their callbacks.
fn drained_pair<C: Contender>(pairs: usize, every: usize) -> f64 {
    let documents = Documents::<C>::new();
    let visit = || {
        for number in 0..pairs {
            documents.contender.close(documents.open(number));
            if (number + 1).is_multiple_of(every) {
                documents.contender.drain();
            }
        }
    };
    // The first pass grows what grows once.
    visit();
    per(allocator_calls(visit).0, pairs)
}

/// Allocator calls of an open, a change and a close, drained every 64.
fn single_calls<C: Contender>(pairs: usize) -> [f64; 3] {
    let documents = Documents::<C>::new();
    let visit = || {
        let mut totals = [0; 3];
        for number in 0..pairs {
            let (opens, handle) = allocator_calls(|| documents.open(number));
            // Only the first change of a document allocates, in the first pass.
            let (changes, _) = allocator_calls(|| documents.contender.change(&handle));
            let (closes, ()) = allocator_calls(|| documents.contender.close(handle));
            totals = [totals[0] + opens, totals[1] + changes, totals[2] + closes];
            if (number + 1).is_multiple_of(64) {
                documents.contender.drain();
            }
        }
        totals
    };
    // The first pass grows what grows once.
    visit();
    visit().map(|total| per(total, pairs))
}

/// Runs `act` and returns how often it called the allocator. This thread is the only one.
fn allocator_calls<R>(act: impl FnOnce() -> R) -> (usize, R) {
    let region = Region::new(ALLOCATOR);
    let result = act();
    let change = region.change();
    (change.allocations + change.reallocations, result)
}

/// Bytes in use per connection. Keys, users and handles of the host are not counted.
fn bytes<C: Contender>(documents: usize, drained: bool) -> f64 {
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

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per(total: usize, count: usize) -> f64 {
    total as f64 / count as f64
}
