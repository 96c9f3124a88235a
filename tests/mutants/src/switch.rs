//! Which mutant is on. This file is copied into the mutated library; it is no part of the real one.
//!
//! `MUTANT` is the number of the one mutant that is on. With `MUTANTS_REACHED` the numbers of all mutants that a run passes are
//! written to that file, each once.

#![allow(missing_docs, dead_code, unreachable_pub)]

use std::collections::HashSet;
use std::io::Write;
use std::sync::{LazyLock, Mutex};

static ON: LazyLock<u32> =
    LazyLock::new(|| std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX));

static REACHED: LazyLock<Option<Mutex<Reached>>> = LazyLock::new(|| {
    let path = std::env::var_os("MUTANTS_REACHED")?;
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path).ok()?;
    Some(Mutex::new(Reached { file, numbers: HashSet::new() }))
});

struct Reached {
    file: std::fs::File,
    numbers: HashSet<u32>,
}

pub fn on(number: u32) -> bool {
    if let Some(reached) = &*REACHED {
        let mut reached = reached.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if reached.numbers.insert(number) {
            let _ = reached.file.write_all(format!("{number}\n").as_bytes());
        }
    }
    *ON == number
}

pub fn eq<A: PartialEq<B> + ?Sized, B: ?Sized>(number: u32, a: &A, b: &B) -> bool {
    (a == b) ^ on(number)
}

pub fn ne<A: PartialEq<B> + ?Sized, B: ?Sized>(number: u32, a: &A, b: &B) -> bool {
    (a != b) ^ on(number)
}

/// Each comparison has two mutants: the next closest comparison, and the opposite.
pub fn lt<A: PartialOrd<B> + ?Sized, B: ?Sized>(number: u32, a: &A, b: &B) -> bool {
    if on(number) { a <= b } else { (a < b) ^ on(number + 1) }
}

pub fn le<A: PartialOrd<B> + ?Sized, B: ?Sized>(number: u32, a: &A, b: &B) -> bool {
    if on(number) { a < b } else { (a <= b) ^ on(number + 1) }
}

pub fn gt<A: PartialOrd<B> + ?Sized, B: ?Sized>(number: u32, a: &A, b: &B) -> bool {
    if on(number) { a >= b } else { (a > b) ^ on(number + 1) }
}

pub fn ge<A: PartialOrd<B> + ?Sized, B: ?Sized>(number: u32, a: &A, b: &B) -> bool {
    if on(number) { a > b } else { (a >= b) ^ on(number + 1) }
}
