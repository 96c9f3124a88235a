//! Runs typed operations on the engine and on the naive model of the wire contract and compares both after each one.
#![no_main]

#[path = "../../tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;
use model::both::Both;
use model::op::Op;
use model::settings::{SETTINGS_LEN, Settings};

fuzz_target!(|input: &[u8]| {
    let Some((settings, rest)) = input.split_first_chunk::<SETTINGS_LEN>() else { return };
    let mut both = Both::new(Settings::from_bytes(*settings));
    for bytes in rest.as_chunks::<4>().0.iter().take(2_000) {
        both.run(&Op::from_bytes(*bytes));
    }
    both.finish();
});
