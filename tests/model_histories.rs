//! Long random histories of every operation, on the engine and on a naive model of the wire contract: replies, callbacks in
//! order, notices, participants, seats, forgotten documents, all compared after every operation.
//!
//! `PROPTEST_CASES=100000 cargo test --test model_histories --release` runs more of them.

mod model;

use model::Settings;
use model::both::{Both, Op};
use proptest::prelude::*;
use proptest::sample::select;

fn settings() -> impl Strategy<Value = Settings> {
    (
        select(vec![Some(0), Some(1), Some(2), Some(40), None]),
        select(vec![Some(0), Some(1), Some(2), None]),
        select(vec![0, 1_000, 10_000]),
        select(vec![vec![], vec![1_000], vec![1_000, 2_000, 4_000], vec![0, 500]]),
        select(vec![None, None, Some(5_000), Some(50)]),
        select(vec![1, 2, 64]),
        select(vec![1, 2, 3, 100]),
    )
        .prop_map(
            |(edit_limit, live_limit, save_delay, retry_pauses, force_save_interval, asked, turns)| {
                Settings {
                    edit_limit,
                    live_limit,
                    save_delay,
                    retry_pauses,
                    force_save_interval,
                    asked,
                    turns,
                }
            },
        )
}

fn operation() -> impl Strategy<Value = Op> {
    any::<[u8; 4]>().prop_map(Op::from_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn p1_to_p10_the_engine_does_what_the_model_does(
        settings in settings(),
        history in prop::collection::vec(operation(), 1..400),
    ) {
        let mut both = Both::new(settings);
        for op in &history {
            both.run(op);
        }
        both.finish();
    }
}
