//! Every interleaving of two calls that meet at one point, under the model checker shuttle:
//! `RUSTFLAGS="--cfg shuttle" cargo test --release --test interleavings_exhaustive -- --nocapture`.
//!
//! Each test prints how many schedules it tried: all of them where the calls have few steps, and else all with few
//! preemptions. `COEDIT_MORE_PREEMPTIONS` adds to each bound: one more multiplies the schedules by about fifteen.
#![cfg(all(shuttle, feature = "async"))]
#![allow(unreachable_pub, reason = "the search is a module of this test")]

#[path = "interleavings_exhaustive/search.rs"]
mod search;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use coedit::{
    Access, AccessCause, Answered, Callbacks, Config, Connection, ConnectionId, Delivery, DocumentKey,
    EditRequest, Engine, LimitLevel, ManualClock, Notice, ResumeToken, Status, Timestamp, User, UserId,
};
use crossbeam_channel::Receiver;
use search::Search;
use shuttle::scheduler::DfsScheduler;
use shuttle::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use shuttle::{Runner, thread};

const GRACE: Duration = Duration::from_secs(60);

/// How a scenario is explored: with so many shards, and with so many preemptions at most. `None` stands for all schedules.
type Bounds = (usize, Option<usize>);

/// Both calls are on one document, and few enough steps of them can meet to try all schedules.
const ONE_SHARD: &[Bounds] = &[(1, None)];
/// The calls meet in the limits of the engine. With two shards more steps can meet than all schedules can be tried of.
const ANY_SHARDS: &[Bounds] = &[(1, None), (2, Some(3))];
/// The same for a call that takes several locks, one after the other.
const MANY_LOCKS: &[Bounds] = &[(1, Some(3)), (2, Some(2))];
/// A tick has many steps outside of the lock.
const LONG_TAIL: &[Bounds] = &[(1, Some(5))];

/// Runs a scenario under every schedule within each of the bounds.
fn explore(name: &str, all_bounds: &[Bounds], scenario: impl Fn(usize) + Copy + Send + Sync + 'static) {
    let more = std::env::var("COEDIT_MORE_PREEMPTIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    for (shards, most) in all_bounds {
        let (shards, most) = (*shards, most.map(|most| most + more));
        let mut config = shuttle::Config::new();
        // An engine built without optimisation is copied on the stack.
        config.stack_size = 1 << 17;
        let search = Search::new(most.unwrap_or(usize::MAX));
        let count = Runner::new(search, config).run(move || scenario(shards));
        let bound = most.map_or("all".to_owned(), |most| format!("all with at most {most} preemptions"));
        println!("{name}, shards: {shards}, schedules: {count}, {bound}");
    }
}

/// Creates an engine in which nothing runs but the two calls.
fn engine(shards: usize, set: impl FnOnce(Config) -> Config) -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let config = Config::new().shards(shards).usage(false).timer(false).clock(clock.clone());
    (Engine::new(set(config)).unwrap(), clock)
}

fn key(text: &str) -> DocumentKey {
    DocumentKey::new(text).unwrap()
}

fn open(engine: &Engine, document: &str, user: &str) -> ConnectionId {
    engine.open(&key(document), &User::new(user).unwrap(), Access::Edit).map(Connection::into_id).unwrap()
}

/// Runs the call beside the other one, and returns what both returned.
fn race<A: Send + 'static, B>(one: impl FnOnce() -> A + Send + 'static, other: impl FnOnce() -> B) -> (A, B) {
    let thread = thread::spawn(one);
    let second = other();
    (thread.join().unwrap(), second)
}

/// Two threads add one to a number, each by a load and a store. Returns whether an addition was lost.
fn loses_an_addition() -> bool {
    let number = Arc::new(AtomicUsize::new(0));
    let other = number.clone();
    let add = |number: &AtomicUsize| number.store(number.load(SeqCst) + 1, SeqCst);
    race(move || add(&other), || add(&number));
    number.load(SeqCst) == 1
}

/// The search itself: without a bound it tries as many schedules as shuttle's, and one preemption is enough for this bug.
#[test]
fn the_search_misses_no_schedule_within_its_bound() {
    let count_of = |most: usize| {
        let lost = Arc::new(AtomicBool::new(false));
        let found = lost.clone();
        let run = move || {
            found.fetch_or(loses_an_addition(), SeqCst);
        };
        (Runner::new(Search::new(most), shuttle::Config::new()).run(run), lost.load(SeqCst))
    };
    let all = Runner::new(DfsScheduler::new(None, false), shuttle::Config::new());
    let all = all.run(|| {
        loses_an_addition();
    });
    assert_eq!(count_of(usize::MAX), (all, true));
    let (few, found) = count_of(1);
    assert!(found && few < all);
    assert!(!count_of(0).1, "one thread after the other");
}

#[test]
fn p1_the_last_seat_and_two_opens() {
    explore("the last seat and two opens", ANY_SHARDS, |shards| {
        let (engine, _) = engine(shards, |config| config.edit_limit(Some(1)).callbacks(false));
        let other = engine.clone();
        let (ann, ben) = race(move || open(&other, "a", "ann"), || open(&engine, "bcd", "ben"));
        assert_ne!(engine.may_edit(ann), engine.may_edit(ben), "one of the two has the seat");
        assert_eq!(engine.limits().edit.in_use, 1);
        let is_one_shard = ann.to_bits() & 1 == ben.to_bits() & 1 || shards == 1;
        assert_eq!(is_one_shard, shards == 1, "the documents are in two shards, if there are two");
    });
}

#[test]
fn p12_a_freed_seat_with_a_waiter_and_a_newcomer() {
    explore("a freed seat with a waiter, and a newcomer", MANY_LOCKS, |shards| {
        let (engine, _) = engine(shards, |config| config.edit_limit(Some(1)).callbacks(false));
        let ann = open(&engine, "a", "ann");
        let ben = open(&engine, "a", "ben");
        assert!(matches!(engine.request_edit(ben), Ok(EditRequest::Waiting { .. })));
        let other = engine.clone();
        let (closed, cleo) = race(move || other.close(ann), || open(&engine, "bcd", "cleo"));
        assert!(closed.is_ok() && engine.may_edit(ben), "the waiter has the seat");
        assert!(!engine.may_edit(cleo), "a newcomer got the seat");
        assert_eq!(engine.limits().edit.in_use, 1);
    });
}

/// A user's one seat is given back while it asks for it elsewhere, and has a waiter already.
#[test]
fn p12_a_freed_seat_of_a_user_with_a_waiter_and_a_newcomer() {
    explore("a freed seat of a user with a waiter, and a newcomer", MANY_LOCKS, |shards| {
        let (engine, _) = engine(shards, |config| config.user_limit(Some(1)).callbacks(false));
        let [first, second] = ["a", "bcd"].map(|key| open(&engine, key, "ann"));
        assert!(matches!(engine.request_edit(second), Ok(EditRequest::Waiting { .. })));
        let other = engine.clone();
        let (closed, third) = race(move || other.close(first), || open(&engine, "c", "ann"));
        assert!(closed.is_ok() && engine.may_edit(second), "the waiter has the seat");
        assert!(!engine.may_edit(third), "a newcomer got the seat");
    });
}

/// A limit is lifted while somebody who waited at another one comes to wait at it.
#[test]
fn p12_a_lifted_limit_and_a_waiter_that_moves_there() {
    explore("a lifted limit, and a waiter that moves there", MANY_LOCKS, |shards| {
        let (engine, _) = engine(shards, |config| config.edit_limit(Some(1)).callbacks(false));
        let ann = open(&engine, "a", "ann");
        let ben = open(&engine, "bcd", "ben");
        assert!(matches!(engine.request_edit(ben), Ok(EditRequest::Waiting { .. })));
        engine.set_document_limit(Some(0)).unwrap();
        let other = engine.clone();
        let (closed, set) = race(move || other.close(ann), || engine.set_document_limit(None));
        assert!(closed.is_ok() && set.is_ok());
        assert!(engine.may_edit(ben), "it waits at a limit that has room");
    });
}

/// A limit is lifted while another tab of somebody who waits takes its place over, at that limit.
#[test]
fn p12_a_lifted_limit_and_a_tab_that_takes_a_place_over() {
    explore("a lifted limit, and a tab that takes a place over", MANY_LOCKS, |shards| {
        let (engine, _) = engine(shards, |config| config.edit_limit(Some(1)).callbacks(false));
        let ann = open(&engine, "a", "ann");
        let [ben, second] = [0, 1].map(|_| open(&engine, "bcd", "ben"));
        assert!(matches!(engine.request_edit(ben), Ok(EditRequest::Waiting { .. })));
        engine.set_document_limit(Some(0)).unwrap();
        engine.close(ann).unwrap();
        let other = engine.clone();
        let (asked, set) = race(move || other.request_edit(second), || engine.set_document_limit(None));
        assert!(asked.is_ok() && set.is_ok());
        assert!(engine.may_edit(ben) || engine.may_edit(second), "it waits at a limit that has room");
    });
}

#[test]
fn p11_a_resume_and_a_close() {
    explore("a resume and a close", ONE_SHARD, |shards| {
        let config =
            |config: Config| config.edit_limit(Some(1)).callbacks(false).reconnect_grace(Some(GRACE));
        let (engine, _) = engine(shards, config);
        let old = open(&engine, "a", "ann");
        let token: ResumeToken = engine.token(old).unwrap();
        engine.lost(old).unwrap();
        let other = engine.clone();
        let (closed, back) =
            race(move || other.close(old).is_ok(), || engine.resume(&token, 0).map(Connection::into_id));
        assert_eq!(back.is_ok(), !closed, "one of the two came first, and the other one was refused");
        assert!(back.is_ok_and(|back| engine.may_edit(back)) || closed);
        assert!(!engine.may_edit(old) && engine.close(old).is_err());
        assert_eq!(engine.limits().edit.in_use, u32::from(!closed));
    });
}

/// Takes the save of a document in the hands of a worker.
fn save_in_hand(engine: &Engine, clock: &ManualClock) -> (Callbacks, Delivery) {
    let tab = open(engine, "a", "ann");
    engine.change(tab).unwrap();
    let callbacks = engine.callbacks();
    assert_ne!(callbacks.try_recv().unwrap().ack(), Answered::Late);
    engine.close(tab).unwrap();
    clock.advance(Duration::from_secs(10));
    engine.tick();
    let save = callbacks.try_recv().unwrap();
    assert_eq!(save.callback().status, Status::Save);
    (callbacks, save)
}

#[test]
fn p5_an_acknowledgement_and_its_time_out() {
    explore("an acknowledgement and its time-out", LONG_TAIL, |shards| {
        let (engine, clock) = engine(shards, |config| config);
        let notices = engine.notices();
        let (callbacks, save) = save_in_hand(&engine, &clock);
        clock.advance(Duration::from_secs(60));
        let other = engine.clone();
        let (_, answered) = race(move || other.tick(), || save.ack());
        assert_ne!(answered, Answered::Late, "it counts, in time or for what is unsaved");
        clock.advance(Duration::from_secs(1));
        engine.tick();
        assert!(callbacks.try_recv().is_err(), "there is no other attempt");
        let saved = notices.try_iter().filter(|notice| matches!(notice, Notice::Saved { .. })).count();
        assert_eq!((saved, engine.unsaved().len()), (1, 0));
    });
}

#[test]
fn p3_a_drop_and_a_change() {
    explore("a drop and a change", ONE_SHARD, |shards| {
        let (engine, _) = engine(shards, |config| config);
        let tab = open(&engine, "a", "ann");
        let returned = Arc::new(AtomicBool::new(false));
        let (other, end) = (engine.clone(), returned.clone());
        let drops = move || {
            let dropped = other.drop_users(&key("a"), &[UserId::new("ann").unwrap()]).unwrap();
            end.store(true, SeqCst);
            dropped.connections
        };
        let (dropped, (after, changed)) = race(drops, || (returned.load(SeqCst), engine.change(tab)));
        assert!(!(after && changed.is_ok()), "a change was accepted after the drop returned");
        assert_eq!(dropped, [tab]);
        assert_eq!(engine.is_unsaved(&key("a")), changed.is_ok(), "a change counts, or it was refused");
        assert!(engine.change(tab).is_err());
    });
}

/// The level that the last notice about the limit of edit access told.
fn last_level(notices: &Receiver<Notice>) -> LimitLevel {
    let level = |notice| match notice {
        Notice::Limit { level, .. } => Some(level),
        _ => None,
    };
    notices.try_iter().filter_map(level).last().unwrap_or(LimitLevel::Clear)
}

/// One of two seats is given back while somebody opens. Who gets it leaves both seats taken, and a warning. Who comes too
/// early leaves one taken, which is clear.
#[test]
fn p1_the_last_notice_of_a_limit() {
    explore("the last notice of a limit", ANY_SHARDS, |shards| {
        let (engine, _) = engine(shards, |config| config.edit_limit(Some(2)).callbacks(false));
        let notices = engine.notices();
        let ann = open(&engine, "a", "ann");
        let _ben = open(&engine, "a", "ben");
        let other = engine.clone();
        let (closed, cleo) = race(move || other.close(ann), || open(&engine, "bcd", "cleo"));
        assert!(closed.is_ok());
        let (edits, level) = (engine.may_edit(cleo), last_level(&notices));
        assert_eq!(engine.limits().edit.in_use, 1 + u32::from(edits));
        assert_eq!(level == LimitLevel::Clear, !edits, "{level:?}");
    });
}

/// A seat that is given back while a viewer asks for it.
#[test]
fn p12_a_freed_seat_and_a_request() {
    explore("a freed seat and a request", MANY_LOCKS, |shards| {
        let (engine, _) = engine(shards, |config| config.edit_limit(Some(1)).callbacks(false));
        let notices = engine.notices();
        let [ann, ben] = [open(&engine, "a", "ann"), open(&engine, "bcd", "ben")];
        let other = engine.clone();
        let (closed, answer) = race(move || other.close(ann), || engine.request_edit(ben).unwrap());
        assert!(closed.is_ok() && engine.may_edit(ben), "it waits for a free seat");
        let is_grant = |notice: &Notice| matches!(notice, Notice::Access { cause: AccessCause::Granted, .. });
        let told = notices.try_iter().filter(is_grant).count();
        assert!(told == 1 || told == 0 && answer == EditRequest::Granted, "{answer:?}, told {told} times");
    });
}
