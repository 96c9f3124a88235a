//! Restores an engine from arbitrary bytes. A snapshot that is refused has a clear error, and none makes the engine panic:
//! whatever is accepted is in order, hands everything out, and can be suspended and restored again.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use coedit::{Access, Config, DocumentKey, Engine, ManualClock, Snapshot, Timestamp, User};
use libfuzzer_sys::fuzz_target;

/// The time of the seeds.
const START: Timestamp = Timestamp::from_millis(1_700_611_200_000);

fuzz_target!(|input: &[u8]| {
    let Some((&settings, json)) = input.split_first() else { return };
    let Ok(snapshot) = serde_json::from_slice::<Snapshot>(json) else { return };
    let clock = Arc::new(ManualClock::new(START));
    let few = |bits: u8| [None, Some(2), Some(1), Some(0)][usize::from(bits & 3)];
    let config = Config::new().edit_limit(few(settings)).max_connections(few(settings >> 2)).shards(2);
    let config = config.retry_pauses([Duration::from_secs(1)]).clock(clock.clone());
    let Ok(engine) = Engine::restore(config.clone(), snapshot) else { return };
    engine.validate().expect("a restored engine is in order");
    let user = User::new("ann").expect("the id is well-formed");
    let key = DocumentKey::new("report").expect("the key is well-formed");
    let callbacks = engine.callbacks();
    for round in 0..8_u8 {
        let tab = engine.open(&key, &user, Access::Edit);
        let _ = tab.as_ref().map(|tab| tab.change());
        for (number, delivery) in callbacks.try_iter().take(64).enumerate() {
            if settings >> (number % 8) & 1 == round & 1 {
                delivery.ack()
            } else {
                delivery.fail()
            };
        }
        clock.advance(Duration::from_secs(20));
        engine.tick();
        engine.validate().expect("the engine stays in order");
    }
    let again = engine.suspend(Duration::ZERO);
    let json = serde_json::to_vec(&again).expect("a snapshot can be written");
    let again = serde_json::from_slice(&json).expect("a snapshot can be read");
    let engine = Engine::restore(config, again).expect("what an engine has written can be restored");
    engine.validate().expect("a restored engine is in order");
});
