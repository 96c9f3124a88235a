//! A host that is killed with SIGKILL at random moments, again and again, while people work, and starts again from its last
//! snapshot.
//!
//! `COEDIT_KILLS=200 cargo test --test crash -- --nocapture` kills it 200 times. `COEDIT_SEED=7` makes other choices; when
//! the system runs what is not up to the seed. A failure prints both.

mod killing;
#[path = "../../../support/random.rs"]
mod random;
#[allow(dead_code, reason = "every test file uses its own part")]
mod support;

use killing::Story;

/// So many rounds more it may take until every promise was asked for: the moments are random.
const ROUNDS_MORE: u64 = 100;

#[test]
fn p1_p5_p11_a_host_killed_at_any_moment_keeps_what_its_last_snapshot_has() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (seed, kills) = (number("COEDIT_SEED", 1), number("COEDIT_KILLS", 10));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut story = Story::begin(seed).await;
        let mut rounds = 0;
        while rounds < kills || !story.tried_enough() {
            assert!(rounds < kills + ROUNDS_MORE, "too little was tried: {story}");
            story.works().await;
            story.is_killed().await;
            story.starts_again().await;
            rounds += 1;
        }
        story.ends().await;
    });
}
