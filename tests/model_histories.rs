//! Runs long random histories under random limits on the engine and on a naive model of the wire contract.
//!
//! After every operation the tests compare replies, callbacks in order, notices, participants, seats and forgotten
//! documents. They compare the holders of seats, the named users and the usage when an operation of the history asks for
//! them, and at the end.
//!
//! `PROPTEST_CASES=100000 cargo test --test model_histories --release` runs more histories.

mod model;

use model::both::Both;
use model::op::Op;
use model::settings::{SETTINGS_LEN, Settings};
use proptest::prelude::*;

fn settings() -> impl Strategy<Value = Settings> {
    any::<[u8; SETTINGS_LEN]>().prop_map(Settings::from_bytes)
}

fn operation() -> impl Strategy<Value = Op> {
    any::<[u8; 4]>().prop_map(Op::from_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn p1_to_p10_the_engine_agrees_with_the_model(
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
