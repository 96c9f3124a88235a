//! Tests of waiting under the model checker shuttle, as `interleavings.rs`:
//! `RUSTFLAGS="--cfg shuttle" cargo test --release --test interleavings_waiting`.
#![cfg(all(shuttle, feature = "async"))]

use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, AccessCause, Config, Connection, ConnectionId, DocumentKey, EditRequest, Engine, ManualClock,
    Notice, Reason, Timestamp, User, UserId,
};
use crossbeam_channel::Receiver;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Runner, thread};

/// Runs a scenario under many interleavings: half are random, and half use priorities with few changes (PCT).
fn check(scenario: impl Fn() + Send + Sync + 'static) {
    let count =
        std::env::var("COEDIT_INTERLEAVINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let scenario = Arc::new(scenario);
    let again = scenario.clone();
    let mut config = shuttle::Config::new();
    // An engine built without optimisation is copied on the stack.
    config.stack_size = 1 << 17;
    Runner::new(RandomScheduler::new(count / 2), config.clone()).run(move || scenario());
    Runner::new(PctScheduler::new(3, count / 2), config).run(move || again());
}

const GRACE: Duration = Duration::from_secs(60);

fn config(limit: u32) -> Config {
    Config::new().edit_limit(Some(limit)).reconnect_grace(Some(GRACE)).callbacks(false).shards(2)
}

fn start(config: Config) -> (Engine, Receiver<Notice>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let engine = Engine::new(config.clock(clock)).unwrap();
    let notices = engine.notices();
    (engine, notices)
}

fn key(text: &str) -> DocumentKey {
    DocumentKey::new(text).unwrap()
}

fn open(engine: &Engine, document: &str, user: &str) -> Connection {
    engine.open(&key(document), &User::new(user).unwrap(), Access::Edit).unwrap()
}

fn edit(engine: &Engine, document: &str, user: &str) -> Connection {
    let tab = open(engine, document, user);
    assert!(tab.may_edit());
    tab
}

/// Opens a connection for edit that is refused, and lets it wait.
fn wait(engine: &Engine, document: &str, user: &str) -> Connection {
    let tab = open(engine, document, user);
    assert!(matches!(tab.request_edit(), Ok(EditRequest::Waiting { .. })));
    tab
}

/// Runs the call beside the other one, and returns what both returned.
fn race<A: Send + 'static, B>(one: impl FnOnce() -> A + Send + 'static, other: impl FnOnce() -> B) -> (A, B) {
    let thread = thread::spawn(one);
    let second = other();
    (thread.join().unwrap(), second)
}

/// The connections that heard that they were granted access, in order.
fn granted(notices: &Receiver<Notice>) -> Vec<ConnectionId> {
    let id = |notice| match notice {
        Notice::Access { connection, cause: AccessCause::Granted, .. } => Some(connection),
        _ => None,
    };
    notices.try_iter().filter_map(id).collect()
}

/// Checks after a last tick that so many seats are in use, and that this is what is listed. So no seat is kept for nobody.
fn assert_seats(engine: &Engine, editing: u32, waiting: u32) {
    engine.tick();
    engine.validate().unwrap();
    let limits = engine.limits();
    let listed = ["a", "b", "c", "d"].map(|document| {
        engine.connections(&key(document)).iter().filter(|one| one.access == Access::Edit).count()
    });
    assert_eq!(limits.edit.in_use as usize, listed.iter().sum::<usize>());
    assert!(limits.edit.limit.is_none_or(|limit| limits.edit.in_use <= limit), "P1: {limits:?}");
    let all = limits.waiting.edit + limits.waiting.document + limits.waiting.user + limits.waiting.saving;
    assert_eq!((limits.edit.in_use, all), (editing, waiting));
}

#[test]
fn p12_a_freed_seat_and_a_newcomer() {
    check(|| {
        let (engine, notices) = start(config(1));
        let ann = edit(&engine, "a", "ann");
        let ben = wait(&engine, "b", "ben");
        let other = engine.clone();
        let ((), cleo) = race(move || drop(ann), || open(&other, "c", "cleo"));
        assert!(ben.may_edit() && !cleo.may_edit(), "a newcomer got the seat");
        assert_eq!(granted(&notices), [ben.id()]);
        assert_seats(&engine, 1, 0);
    });
}

/// A viewer asks while the only seat is freed: it has the seat at once or waits, but never for a free seat.
#[test]
fn p12_a_freed_seat_and_a_request() {
    check(|| {
        let (engine, notices) = start(config(1).callbacks(true));
        let callbacks = engine.callbacks();
        let ann = edit(&engine, "a", "ann");
        callbacks.try_recv().unwrap().ack();
        let ben = open(&engine, "b", "ben");
        let ((), answer) = race(move || drop(ann), || ben.request_edit().unwrap());
        let at_once = answer == EditRequest::Granted;
        let waits = EditRequest::Waiting { reason: Reason::ConnectionLimit, position: 1 };
        assert!(at_once || answer == waits, "{answer:?}");
        assert!(ben.may_edit());
        let heard = granted(&notices);
        assert!(at_once || heard == [ben.id()], "{heard:?}");
        assert!(heard.len() <= 1);
        let told = callbacks.try_iter().map(|delivery| (delivery.callback().key.to_string(), delivery.ack()));
        assert_eq!(told.filter(|(key, _)| key == "b").count(), 1, "the storage hears of it at once");
        assert_seats(&engine, 1, 0);
    });
}

/// Two viewers ask while the only seat is freed. One has it, and the other one waits for it.
#[test]
fn p12_a_freed_seat_and_two_requests() {
    check(|| {
        let (engine, _) = start(config(1));
        let ann = edit(&engine, "a", "ann");
        let [ben, cleo] = ["b", "c"].map(|document| open(&engine, document, "x"));
        let freeing = thread::spawn(move || drop(ann));
        let (ben, ()) = race(
            move || {
                ben.request_edit().unwrap();
                ben
            },
            || assert!(cleo.request_edit().is_ok()),
        );
        freeing.join().unwrap();
        assert_seats(&engine, 1, 1);
        assert_ne!(ben.may_edit(), cleo.may_edit());
        let (edits, waits) = if ben.may_edit() { (ben, cleo) } else { (cleo, ben) };
        drop(edits);
        assert!(waits.may_edit());
    });
}

#[test]
fn p12_a_freed_seat_and_a_waiter_that_leaves() {
    for releases in [false, true] {
        check(move || {
            let (engine, notices) = start(config(1));
            let ann = edit(&engine, "a", "ann");
            let [ben, cleo] =
                [("b", "ben"), ("c", "cleo")].map(|(document, user)| wait(&engine, document, user));
            let id = ben.id();
            let (kept, ()) = race(
                move || {
                    if releases {
                        ben.release_edit().unwrap();
                        return Some(ben);
                    }
                    drop(ben);
                    None
                },
                || drop(ann),
            );
            // Ben gave the seat or the place back, whichever it had by then.
            assert!(kept.is_none_or(|ben| ben.access() == Some(Access::View)));
            assert!(cleo.may_edit(), "the seat was lost");
            let heard = granted(&notices);
            assert!(heard == [cleo.id()] || heard == [id, cleo.id()], "{heard:?}");
            assert_seats(&engine, 1, 0);
        });
    }
}

#[test]
fn p1_a_freed_seat_and_a_lowered_limit() {
    check(|| {
        let (engine, notices) = start(config(2));
        let tabs = [edit(&engine, "a", "ann"), edit(&engine, "a", "ben")];
        let cleo = wait(&engine, "c", "cleo");
        let [ann, ben] = tabs;
        let other = engine.clone();
        race(move || other.set_edit_limit(Some(1)).unwrap(), || drop(ann));
        engine.validate().unwrap();
        // The seat passed to cleo before the limit was lowered, or to nobody.
        let passed = cleo.may_edit();
        assert_eq!(engine.limits().edit.in_use, 1 + u32::from(passed));
        assert_eq!(granted(&notices).len(), usize::from(passed));
        drop(ben);
        assert!(cleo.may_edit());
        assert_seats(&engine, 1, 0);
    });
}

#[test]
fn p12_a_raised_limit_and_a_newcomer() {
    check(|| {
        let (engine, notices) = start(config(0));
        let ben = wait(&engine, "b", "ben");
        let other = engine.clone();
        let (_, cleo) = race(move || other.set_edit_limit(Some(1)), || open(&engine, "c", "cleo"));
        assert!(ben.may_edit() && !cleo.may_edit(), "a newcomer got the seat");
        assert_eq!(granted(&notices), [ben.id()]);
        assert_seats(&engine, 1, 0);
    });
}

/// Two seats are freed at once: of the engine, and of a document. The waiters stand at different limits.
#[test]
fn p12_two_freed_seats_and_two_waiters_at_different_limits() {
    check(|| {
        let (engine, notices) = start(config(2).document_limit(Some(1)));
        let [ann, ben] = [edit(&engine, "a", "ann"), edit(&engine, "b", "ben")];
        let at_document = wait(&engine, "a", "cleo");
        let at_engine = wait(&engine, "c", "dan");
        race(move || drop(ann), || drop(ben));
        assert!(at_document.may_edit() && at_engine.may_edit(), "a seat was lost");
        let mut heard = granted(&notices);
        heard.sort_unstable();
        let mut expected = [at_document.id(), at_engine.id()];
        expected.sort_unstable();
        assert_eq!(heard, expected);
        assert_seats(&engine, 2, 0);
    });
}

#[test]
fn p12_two_freed_seats_go_by_ticket_and_the_third_waits_on() {
    check(|| {
        let (engine, notices) = start(config(2));
        let [ann, ben] = [edit(&engine, "a", "ann"), edit(&engine, "b", "ben")];
        let waiters = [("c", "cleo"), ("d", "dan"), ("a", "eve")].map(|(key, user)| wait(&engine, key, user));
        race(move || drop(ann), || drop(ben));
        let mut heard = granted(&notices);
        heard.sort_unstable();
        let mut expected = [waiters[0].id(), waiters[1].id()];
        expected.sort_unstable();
        assert_eq!(heard, expected, "somebody was passed over");
        assert_eq!(waiters[2].position(), Some(1));
        assert_seats(&engine, 2, 1);
    });
}

#[test]
fn p12_a_freed_seat_and_a_waiter_that_is_lost() {
    check(|| {
        let (engine, notices) = start(config(1));
        let ann = edit(&engine, "a", "ann");
        let [ben, cleo] = [("b", "ben"), ("c", "cleo")].map(|(key, user)| wait(&engine, key, user));
        let (token, id) = (ben.token().unwrap(), ben.id());
        race(move || ben.lost().unwrap(), || drop(ann));
        // It had the seat before, and keeps it for its lease; or it was passed over.
        let heard = granted(&notices);
        let first = if heard == [id] { Access::Edit } else { Access::View };
        assert_eq!(engine.access(id), Some(first));
        assert_eq!(cleo.may_edit(), first == Access::View, "the seat was lost: {heard:?}");
        assert_seats(&engine, 1, 1);
        let back = engine.resume(&token, 0).unwrap();
        assert_eq!(back.access(), Some(first));
        assert_eq!([back.position(), cleo.position()].into_iter().flatten().collect::<Vec<_>>(), [1]);
    });
}

#[test]
fn p12_a_freed_seat_and_a_waiter_that_resumes() {
    for lost in [false, true] {
        check(move || {
            let (engine, notices) = start(config(1));
            let ann = edit(&engine, "a", "ann");
            let [ben, cleo] = [("b", "ben"), ("c", "cleo")].map(|(key, user)| wait(&engine, key, user));
            let (token, old) = (ben.token().unwrap(), ben.into_id());
            if lost {
                engine.lost(old).unwrap();
            }
            let other = engine.clone();
            let (back, ()) = race(move || other.resume(&token, 0).unwrap(), || drop(ann));
            let heard = granted(&notices);
            assert!(back.may_edit() != cleo.may_edit(), "the seat was lost, or given twice: {heard:?}");
            assert!(lost || back.may_edit(), "a waiter with an earlier ticket was passed over");
            assert!(heard.len() <= 1);
            assert!(engine.change(old).is_err(), "the old connection may do nothing");
            assert_seats(&engine, 1, 1);
        });
    }
}

#[test]
fn p12_a_request_and_a_close_of_the_same_connection() {
    check(|| {
        let (engine, _) = start(config(1));
        let ann = edit(&engine, "a", "ann");
        let ben = open(&engine, "b", "ben");
        let (id, other) = (ben.id(), engine.clone());
        let (closed, answer) = race(move || other.close(id).is_ok(), || engine.request_edit(id));
        assert!(closed);
        let waits = EditRequest::Waiting { reason: Reason::ConnectionLimit, position: 1 };
        // Where the close comes between its place and its answer, it is refused.
        let answers = [Ok(waits), Ok(EditRequest::Refused(Reason::ConnectionLimit))];
        assert!(answer.is_err() || answers.contains(&answer), "{answer:?}");
        assert_seats(&engine, 1, 0);
        drop(ann);
        assert!(open(&engine, "c", "cleo").may_edit(), "the seat was kept for nobody");
    });
}

#[test]
fn p3_a_drop_and_a_grant() {
    for fence in [false, true] {
        check(move || {
            let (engine, notices) = start(config(1));
            let ann = edit(&engine, "a", "ann");
            let [ben, cleo] = [("b", "ben"), ("c", "cleo")].map(|(key, user)| wait(&engine, key, user));
            let other = engine.clone();
            race(
                move || {
                    let users = [UserId::new("ben").unwrap()];
                    if fence {
                        other.fence(&key("b"), Some(&users), None).unwrap();
                    } else {
                        other.drop_users(&key("b"), &users).unwrap();
                    }
                },
                || drop(ann),
            );
            assert!(!ben.may_edit() && ben.position().is_none(), "it was dropped");
            assert!(cleo.may_edit(), "the seat was lost");
            let all: Vec<Notice> = notices.try_iter().collect();
            let is_drop =
                |one: &&Notice| matches!(one, Notice::Dropped { connection, .. } if *connection == ben.id());
            assert_eq!(all.iter().filter(is_drop).count(), 1);
            assert_seats(&engine, 1, 0);
        });
    }
}

#[test]
fn p12_a_drain_and_a_freed_seat() {
    check(|| {
        let (engine, _) = start(config(1));
        let ann = edit(&engine, "a", "ann");
        let ben = wait(&engine, "b", "ben");
        let other = engine.clone();
        race(
            move || {
                other.drain();
                other.undrain();
            },
            || drop(ann),
        );
        assert_seats(&engine, 1, 0);
        assert!(ben.may_edit(), "it waits for a free seat");
    });
}

/// The snapshot has the seat with whoever had it, and the waiters by ticket.
#[test]
fn p12_a_suspend_and_a_grant() {
    check(|| {
        let (engine, _) = start(config(1));
        let ann = edit(&engine, "a", "ann");
        let [ben, cleo] = [("b", "ben"), ("c", "cleo")].map(|(key, user)| wait(&engine, key, user));
        let tokens = [&ann, &ben, &cleo].map(|tab| tab.token().unwrap());
        let other = engine.clone();
        let (snapshot, ()) = race(move || other.suspend(Duration::ZERO), || drop(ann));
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
        let restored = Engine::restore(config(1).clock(clock), snapshot).unwrap();
        restored.validate().unwrap();
        let back: Vec<Connection> =
            tokens.iter().filter_map(|token| restored.resume(token, 0).ok()).collect();
        let editing = back.iter().filter(|tab| tab.may_edit()).count();
        assert_eq!(editing, 1, "P1: {} are back", back.len());
        assert!(back[0].may_edit(), "the first of those who are there has the seat");
        for (number, tab) in back[1..].iter().enumerate() {
            assert_eq!(tab.position(), Some(u32::try_from(number + 1).unwrap()));
        }
        assert_seats(&restored, 1, u32::try_from(back.len() - 1).unwrap());
        drop((ben, cleo));
    });
}
