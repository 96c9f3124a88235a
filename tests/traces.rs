//! Replays recorded sessions and compares the counts with known values.

use coedit::door::{Acknowledge, Door, Lines, Tally};
use coedit::{Access, Config, ErrorCode, Status};

fn replay(trace: &[u8], limit: u32) -> (Tally, Door) {
    let mut door = Door::replay(Config::new().edit_limit(Some(limit)), Acknowledge::Auto).unwrap();
    let (mut lines, mut out) = (Lines::default(), Vec::new());
    lines.feed(trace, |line| {
        door.line(line.unwrap(), &mut out);
        out.clear();
    });
    door.end(&mut out);
    door.engine().validate().unwrap();
    (door.tally().clone(), door)
}

/// Returns the opens with edit access, the opens with view access, the callbacks with status 1, the callbacks with
/// status 2, and the replies with error 5.
fn counts(tally: &Tally) -> [u64; 5] {
    let opens = |access| tally.opens.get(&access).copied().unwrap_or(0);
    let callbacks = |status| tally.callbacks.get(&status).copied().unwrap_or(0);
    let refused = tally.errors.get(&ErrorCode::Command).copied().unwrap_or(0);
    assert_eq!(tally.errors.values().sum::<u64>(), refused, "no unexpected error: {:?}", tally.errors);
    assert_eq!(tally.callbacks.len(), 2, "only statuses 1 and 2: {:?}", tally.callbacks);
    [opens(Access::Edit), opens(Access::View), callbacks(Status::Editing), callbacks(Status::Save), refused]
}

#[test]
fn p1_clownschool_under_a_limit_of_one() {
    let (tally, door) = replay(include_bytes!("data/clownschool.jsonl"), 1);
    assert_eq!(counts(&tally), [1, 2, 1, 1, 2_020]);
    assert_eq!((tally.operations, tally.peak, tally.saves, tally.documents()), (3_859, 1, 1, 1));
    assert_eq!(door.engine().documents(), 0);
}

#[test]
fn clownschool_under_a_limit_of_two() {
    let (tally, _) = replay(include_bytes!("data/clownschool.jsonl"), 2);
    assert_eq!(counts(&tally), [3, 0, 5, 1, 0]);
}

#[test]
fn p1_rfcs_under_a_limit_of_twenty() {
    let (tally, door) = replay(include_bytes!("data/rfcs.jsonl"), 20);
    assert_eq!(counts(&tally), [4_881, 933, 4_905, 4_857, 937]);
    assert_eq!((tally.peak, tally.documents(), tally.saves), (20, 1_470, 4_857));
    assert_eq!((door.engine().documents(), door.engine().forgotten().len()), (0, 0));
}

#[test]
fn p9_a_replay_is_the_same_every_time() {
    let run = || {
        let config = Config::new().edit_limit(Some(20));
        let mut door = Door::replay(config, Acknowledge::Auto).unwrap();
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        lines.feed(include_bytes!("data/rfcs.jsonl"), |line| door.line(line.unwrap(), &mut out));
        door.end(&mut out);
        out
    };
    assert!(run() == run(), "the output has the same bytes");
}
