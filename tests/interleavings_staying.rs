//! Tests of staying in under the model checker shuttle, as `interleavings.rs`:
//! `RUSTFLAGS="--cfg shuttle" cargo test --release --test interleavings_staying`.
#![cfg(all(shuttle, feature = "async"))]

use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, Config, Connection, ConnectionId, DocumentKey, Engine, ManualClock, Notice, ResumeError,
    ResumeToken, Timestamp, User,
};
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

fn engine(set: impl FnOnce(Config) -> Config) -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    (Engine::new(set(Config::new()).clock(clock.clone())).unwrap(), clock)
}

fn key(text: &str) -> DocumentKey {
    DocumentKey::new(text).unwrap()
}

fn open(engine: &Engine, document: &str, user: &str) -> Connection {
    engine.open(&key(document), &User::new(user).unwrap(), Access::Edit).unwrap()
}

/// Returns one document of each of two shards.
fn documents_of_two_shards(engine: &Engine) -> [String; 2] {
    // The lowest bit of a connection id is its shard.
    let shard = |document: &String| open(engine, document, "nobody").id().to_bits() & 1;
    let names = || ('a'..='z').map(String::from);
    let first = names().next().unwrap();
    let other = names().find(|name| shard(name) != shard(&first)).unwrap();
    [first, other]
}

const GRACE: Duration = Duration::from_secs(60);

/// An engine with one seat, and a connection that has lost the line and holds it.
fn with_a_lost_seat(shards: usize) -> (Engine, Arc<ManualClock>, ConnectionId, ResumeToken) {
    let (engine, clock) = engine(|config| {
        config.edit_limit(Some(1)).reconnect_grace(Some(GRACE)).callbacks(false).shards(shards)
    });
    let tab = open(&engine, "x", "ann");
    let (id, token) = (tab.id(), tab.token().unwrap());
    tab.lost().unwrap();
    (engine, clock, id, token)
}

/// Checks that the old id is refused, and that whoever has the seat is counted once.
fn assert_one_seat(engine: &Engine, old: ConnectionId, holders: usize) {
    engine.validate().unwrap();
    assert!(engine.change(old).is_err() && !engine.may_edit(old) && engine.close(old).is_err());
    assert_eq!(engine.limits().edit.in_use as usize, holders);
    assert_eq!(engine.limits().connections.in_use as usize, engine.connections(&key("x")).len());
}

#[test]
fn p11_a_resume_and_a_close_of_the_same_connection() {
    check(|| {
        let (engine, _, old, token) = with_a_lost_seat(1);
        let closing = {
            let engine = engine.clone();
            thread::spawn(move || engine.close(old).is_ok())
        };
        let back = engine.resume(&token, 0).map(Connection::into_id);
        let closed = closing.join().unwrap();
        // One of the two came first, and the other one was refused.
        assert_eq!(back.is_ok(), !closed);
        if let Ok(back) = back {
            assert!(engine.may_edit(back));
        }
        assert_one_seat(&engine, old, usize::from(!closed));
    });
}

#[test]
fn p3_a_resume_and_a_drop_of_the_same_connection() {
    check(|| {
        let (engine, _, old, token) = with_a_lost_seat(1);
        let dropping = {
            let engine = engine.clone();
            thread::spawn(move || engine.drop_all(&key("x")).unwrap().connections)
        };
        let back = engine.resume(&token, 0).unwrap();
        let dropped = dropping.join().unwrap();
        // Whichever came first, the seat is gone.
        assert!(!back.may_edit() && back.change().is_err());
        assert!(dropped == [old] || dropped == [back.id()]);
        assert_eq!(dropped == [old], !back.granted().access.eq(&Access::Edit));
        assert_eq!(engine.limits().edit.in_use, 0);
        engine.validate().unwrap();
    });
}

#[test]
fn p11_a_resume_and_the_end_of_the_lease() {
    check(|| {
        let (engine, clock, old, token) = with_a_lost_seat(1);
        let notices = engine.notices();
        let ticking = {
            let engine = engine.clone();
            thread::spawn(move || {
                clock.advance(GRACE);
                engine.tick();
            })
        };
        let back = engine.resume(&token, 0).map(Connection::into_id);
        ticking.join().unwrap();
        let ended = notices.try_iter().filter(|one| matches!(one, Notice::Disconnected { .. })).count();
        match back {
            Ok(back) => assert!(engine.may_edit(back) && ended == 0, "it was resumed and ended"),
            Err(error) => assert!(error == ResumeError::Unknown && ended == 1),
        }
        assert_one_seat(&engine, old, usize::from(back.is_ok()));
    });
}

#[test]
fn p11_two_resumes_of_the_same_connection() {
    check(|| {
        let (engine, _, old, token) = with_a_lost_seat(1);
        let notices = engine.notices();
        let threads: Vec<_> = [1, 2]
            .map(|attempt| {
                let engine = engine.clone();
                thread::spawn(move || engine.resume(&token, attempt).map(Connection::into_id))
            })
            .into();
        let back: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let second = back[1].expect("the later attempt always gets the seat");
        assert!(engine.may_edit(second), "a delayed attempt displaced its successor");
        let superseded = notices.try_iter().filter(|one| matches!(one, Notice::Disconnected { .. })).count();
        match back[0] {
            Ok(first) => assert!(engine.change(first).is_err() && superseded == 1),
            Err(error) => assert!(error == ResumeError::Stale && superseded == 0),
        }
        assert_one_seat(&engine, old, 1);
    });
}

/// Somebody else wants the seat, before the lease ends and after.
#[test]
fn p11_a_resume_and_an_open_that_wants_the_seat() {
    for late in [false, true] {
        for shards in [1, 16] {
            check(move || {
                let (engine, clock, old, token) = with_a_lost_seat(shards);
                let opening = {
                    let (engine, clock) = (engine.clone(), clock.clone());
                    thread::spawn(move || {
                        if late {
                            clock.advance(GRACE);
                        }
                        open(&engine, "bcd", "ben")
                    })
                };
                let back = engine.resume(&token, 0).ok();
                let ben = opening.join().unwrap();
                let holds = back.as_ref().is_some_and(Connection::may_edit);
                assert!(late || holds, "the seat was lost within the lease");
                assert_ne!(holds, ben.may_edit(), "one of the two has the seat");
                engine.validate().unwrap();
                assert_eq!(engine.limits().edit.in_use, 1);
                assert!(engine.change(old).is_err());
                drop((back, ben));
                assert_eq!(engine.limits().connections.in_use, 0);
            });
        }
    }
}

/// The page was reloaded without its token, while another page has it.
#[test]
fn p11_a_resume_and_a_reload_by_the_same_user() {
    check(|| {
        let (engine, _, old, token) = with_a_lost_seat(1);
        let opening = {
            let engine = engine.clone();
            thread::spawn(move || open(&engine, "x", "ann"))
        };
        let back = engine.resume(&token, 0).ok();
        let reloaded = opening.join().unwrap();
        let holds = back.as_ref().is_some_and(Connection::may_edit);
        assert_ne!(holds, reloaded.may_edit(), "one of the two has the seat");
        assert_one_seat(&engine, old, 1);
    });
}

/// Two newcomers want the seats of two leases that are due, while a late tick runs. Neither is refused.
#[test]
fn p1_nobody_is_refused_for_a_lease_that_is_due() {
    check(|| {
        let (engine, clock) = engine(|config| {
            config.edit_limit(Some(2)).reconnect_grace(Some(GRACE)).callbacks(false).shards(2)
        });
        let documents = documents_of_two_shards(&engine);
        for document in &documents {
            open(&engine, document, "ann").lost().unwrap();
        }
        clock.advance(GRACE);
        let ticking = {
            let engine = engine.clone();
            thread::spawn(move || {
                engine.tick();
                engine.validate().unwrap();
            })
        };
        let opening = documents.map(|document| {
            let engine = engine.clone();
            thread::spawn(move || open(&engine, &document, "ben"))
        });
        let tabs = opening.map(|thread| thread.join().unwrap());
        ticking.join().unwrap();
        assert!(tabs.iter().all(Connection::may_edit), "somebody was refused while a lease was due");
        engine.validate().unwrap();
        drop(tabs);
        assert_eq!(engine.limits().connections.in_use, 0);
    });
}

/// A tick runs while another thread brings something that is due at once. The tick ends.
#[test]
fn p7_a_tick_does_not_wait_for_what_comes_meanwhile() {
    check(|| {
        let (engine, clock) = engine(|config| config.idle(Some(GRACE)).expiry_warning(GRACE).shards(1));
        let ann = open(&engine, "x", "ann");
        clock.advance(GRACE);
        let threads = [
            thread::spawn({
                let engine = engine.clone();
                move || drop(engine.tick())
            }),
            thread::spawn({
                let engine = engine.clone();
                move || {
                    engine.fence(&key("y"), None, Some(Duration::ZERO)).unwrap();
                    drop(open(&engine, "y", "ben"));
                }
            }),
        ];
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(!ann.may_edit());
        engine.validate().unwrap();
    });
}
