//! P1, P3, P11 and P12 as one statement: whatever threads call at one time, the calls answer as if each happened at one
//! moment between its start and its end, one after the other.
//!
//! Real threads make random calls on a small engine. Each call and its answer are recorded, with when it began and ended.
//! Then Wing and Gong's algorithm looks for an order of the calls in which a small sequential model gives the same answers.
//! Not every call has one moment: `linearizability/steps.rs` lists the steps of those that have more.
//!
//! `COEDIT_HISTORIES=1000000 cargo test --release --test linearizability` checks a million histories. `COEDIT_SEED` is the
//! first seed.
//!
//! Under the model checker shuttle, which chooses how the threads interleave, more calls meet:
//! `RUSTFLAGS="--cfg shuttle" cargo test --release --test linearizability`.
#![allow(unreachable_pub, reason = "the modules are shared by the files of this test")]

#[path = "linearizability/call.rs"]
mod call;
#[path = "linearizability/checker.rs"]
mod checker;
#[path = "linearizability/histories.rs"]
mod histories;
#[path = "linearizability/model.rs"]
mod model;
#[path = "linearizability/player.rs"]
mod player;
#[path = "support/random.rs"]
mod random;
#[path = "linearizability/steps.rs"]
mod steps;
#[path = "linearizability/waiting_steps.rs"]
mod waiting_steps;
#[cfg(not(shuttle))]
#[path = "linearizability/wrong_engines.rs"]
mod wrong_engines;

#[cfg(not(shuttle))]
use std::thread;

use call::Event;
use checker::is_linearizable;
use histories::{Thread, history};
#[cfg(shuttle)]
use shuttle::thread;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn on_threads(threads: Vec<Thread>) -> Vec<Event> {
    let started: Vec<_> = threads.into_iter().map(thread::spawn).collect();
    started.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

/// Checks the history of a seed. Returns true if two calls were under way at one time.
fn check(seed: u64) -> bool {
    let (player, events) = history(seed, on_threads);
    player.engine.validate().unwrap();
    assert!(is_linearizable(&player.start, &events), "seed {seed} has no order:\n{}", print(&events));
    events.windows(2).any(|pair| pair[1].start < pair[0].end)
}

fn print(events: &[Event]) -> String {
    let line = |event: &Event| {
        let Event { thread, start, end, call, answer } = event;
        format!("  {start:3}..{end:<3} thread {thread}: {call:?} -> {answer:?}\n")
    };
    events.iter().map(line).collect()
}

#[cfg(not(shuttle))]
#[test]
fn p1_p3_p11_p12_every_history_of_threads_has_an_order() {
    let (first, count) = (number("COEDIT_SEED", 0), number("COEDIT_HISTORIES", 2_000));
    let overlapping = (first..first + count).filter(|seed| check(*seed)).count();
    println!("{count} histories, {overlapping} with calls at one time");
}

/// Half of the interleavings are random, and half use priorities with few changes (PCT), which finds rarer bugs.
#[cfg(shuttle)]
#[test]
fn p1_p3_p11_p12_every_history_of_interleavings_has_an_order() {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    let (first, count) = (number("COEDIT_SEED", 0), number("COEDIT_HISTORIES", 2_000));
    let (seeds, overlapping) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicU64::new(0)));
    let next = {
        let (seeds, overlapping) = (seeds.clone(), overlapping.clone());
        move || {
            overlapping.fetch_add(u64::from(check(seeds.fetch_add(1, SeqCst))), SeqCst);
        }
    };
    let half = usize::try_from(count / 2).unwrap();
    let mut config = shuttle::Config::new();
    // An engine built without optimisation is copied on the stack.
    config.stack_size = 1 << 17;
    shuttle::Runner::new(RandomScheduler::new(half), config.clone()).run(next.clone());
    shuttle::Runner::new(PctScheduler::new(3, half), config).run(next);
    println!("{count} histories, {} with calls at one time", overlapping.load(SeqCst));
}

/// The last reads of a history come after all else, so one false answer among them is never true in another order.
#[cfg(not(shuttle))]
#[test]
fn a_false_read_in_the_end_is_always_refused() {
    use call::Answer;
    use coedit::Access;

    for seed in 0..200 {
        let (player, events) = history(seed, on_threads);
        for at in (0..events.len()).rev().take_while(|at| events[*at].thread == 0) {
            let mut events = events.clone();
            let answer = &mut events[at].answer;
            *answer = match answer {
                Answer::Access(Some(Access::Edit)) => Answer::Access(Some(Access::View)),
                Answer::Access(_) => Answer::Access(Some(Access::Edit)),
                Answer::Editors(editors) if editors.is_empty() => Answer::Editors(vec![0]),
                Answer::Editors(_) => Answer::Editors(Vec::new()),
                Answer::Limits { limit, in_use, waiting } => {
                    Answer::Limits { limit: *limit, in_use: *in_use + 1, waiting: *waiting }
                }
                other => panic!("{other:?} is no read"),
            };
            assert!(!is_linearizable(&player.start, &events), "seed {seed}:\n{}", print(&events));
        }
    }
}
