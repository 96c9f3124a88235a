//! Which mutant is on. This file is copied into the mutated library; it is no part of the real one.
//!
//! `MUTANT` is the number of the one mutant that is on. With `MUTANTS_REACHED` the numbers of all mutants that a run passes are
//! written to that file, each once.

#![allow(missing_docs, dead_code, unreachable_pub)]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ON: LazyLock<u32> =
    LazyLock::new(|| std::env::var("MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX));

static REACHED: LazyLock<Option<File>> = LazyLock::new(|| {
    let path = std::env::var_os("MUTANTS_REACHED")?;
    OpenOptions::new().create(true).append(true).open(path).ok()
});

/// Which numbers are written.
static WRITTEN: [AtomicBool; 65_536] = [const { AtomicBool::new(false) }; 65_536];

pub fn on(number: u32) -> bool {
    if let Some(mut file) = REACHED.as_ref()
        && !WRITTEN[number as usize].load(Ordering::Relaxed)
        && !WRITTEN[number as usize].swap(true, Ordering::Relaxed)
    {
        let _ = file.write_all(format!("{number}\n").as_bytes());
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
