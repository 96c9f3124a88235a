//! Typed operations on the engine and on the naive model of the wire contract, compared after every one.
#![no_main]

#[path = "../../tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;
use model::Settings;
use model::both::{Both, Op};

fuzz_target!(|input: &[u8]| {
    let Some((&[limits, times, bounds], rest)) = input.split_first_chunk::<3>() else { return };
    let pick = |byte: u8, count: u8| usize::from(byte % count);
    let settings = Settings {
        edit_limit: [Some(0), Some(1), Some(2), Some(40), None][pick(limits, 5)],
        live_limit: [Some(0), Some(1), Some(2), None][pick(limits / 5, 4)],
        save_delay: [0, 1_000, 10_000][pick(times, 3)],
        retry_pauses: [&[][..], &[1_000], &[1_000, 2_000, 4_000], &[0, 500]][pick(times / 3, 4)].to_vec(),
        force_save_interval: [None, Some(5_000), Some(50)][pick(times / 12, 3)],
        asked: [1, 2, 64][pick(bounds, 3)],
        turns: [1, 2, 3, 100][pick(bounds / 3, 4)],
    };
    let mut both = Both::new(settings);
    for bytes in rest.as_chunks::<4>().0.iter().take(2_000) {
        both.run(&Op::from_bytes(*bytes));
    }
    both.finish();
});
