//! Seeded worlds of a host that restarts again and again, while people type and the storage acknowledges, fails, hangs and
//! comes back. The host suspends its engine and restores it after some time, or it crashes and restores a snapshot that it
//! took earlier. No seat is lost or counted twice, nobody leaves for the storage who came back in time, and no change is lost.
//!
//! `COEDIT_SEEDS=10000 cargo test --release --test restarts` runs 10000 worlds. `COEDIT_SEED=7` runs only world 7. A failure
//! prints its seed.

mod restart;
mod support;

use restart::{Counts, Host};

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    let default = if cfg!(debug_assertions) { 500 } else { 10_000 };
    match number("COEDIT_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("COEDIT_SEEDS").unwrap_or(default)).collect(),
    }
}

#[test]
fn p1_p5_p11_restarts_lose_no_seat_and_no_save_and_tell_nothing_twice() {
    let mut all = Counts::new();
    let seeds = seeds();
    for seed in &seeds {
        let counts = std::panic::catch_unwind(|| Host::new(*seed).run()).unwrap_or_else(|panic| {
            eprintln!("the world with COEDIT_SEED={seed} broke a promise");
            std::panic::resume_unwind(panic)
        });
        for (what, count) in counts {
            *all.entry(what).or_default() += count;
        }
    }
    println!("{} worlds: {all:?}", seeds.len());
    assert!(seeds.len() < 500 || all.len() == 6 && all.values().all(|count| *count > 0), "{all:?}");
}
