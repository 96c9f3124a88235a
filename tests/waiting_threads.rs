//! P12 under real threads: seats pass on while others come, go, lose the line and change limits. When all is quiet nobody
//! waits for a seat that is free, no limit is exceeded, and no seat is lost.
//!
//! `COEDIT_SEEDS=100 cargo test --release --test waiting_threads` runs 100 rounds.

mod support;
use support::random::Random;
use support::*;

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use coedit::{
    Access, AccessCause, Config, Connection, EditRequest, Engine, Notice, Reason, RequestError, Waiting,
};

const THREADS: u64 = 5;
const OPERATIONS: usize = 800;
const EDIT_LIMIT: u32 = 4;
const DOCUMENT_LIMIT: u32 = 2;

fn rounds() -> u64 {
    std::env::var("COEDIT_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// One thread's connections come and go. Returns those that are open at the end.
fn come_and_go(engine: &Engine, mut random: Random, number: u64) -> Vec<Connection> {
    let mut open: Vec<Connection> = Vec::new();
    for _ in 0..OPERATIONS {
        let pick = if open.is_empty() { 0 } else { random.below(open.len()) };
        match random.below(10) {
            0..=2 if open.len() < 6 => {
                let document = key(&format!("d{}", random.below(3)));
                let name = user(&format!("u{number}-{}", random.below(3)));
                let asked = [Access::Edit, Access::View][random.below(2)];
                open.push(engine.open(&document, &name, asked).unwrap());
            }
            _ if open.is_empty() => {}
            3..=5 => {
                let answer = open[pick].request_edit();
                assert!(!matches!(answer, Err(RequestError::TooMany | RequestError::ShutDown)), "{answer:?}");
            }
            6 => open[pick].release_edit().unwrap_or_default(),
            7 => drop(open.swap_remove(pick)),
            8 => {
                let tab = open.swap_remove(pick);
                let token = tab.token().unwrap();
                tab.lost().unwrap();
                thread::yield_now();
                open.push(engine.resume(&token, 0).unwrap());
            }
            _ if open[pick].may_edit() => drop(open[pick].change()),
            _ => drop(engine.drop_connection(open[pick].id())),
        }
    }
    open
}

/// Checks that a seat of the limit which stops each waiter is really taken.
fn nobody_waits_for_nothing(world: &World, open: &[Connection]) {
    let limits = world.engine.limits();
    assert!(limits.edit.in_use <= EDIT_LIMIT, "{limits:?}");
    for tab in open.iter().filter(|tab| tab.position().is_some()) {
        match tab.request_edit().unwrap() {
            EditRequest::Waiting { reason: Reason::ConnectionLimit, .. } => {
                assert_eq!(limits.edit.in_use, EDIT_LIMIT);
            }
            EditRequest::Waiting { reason: Reason::DocumentLimit | Reason::Saving, .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn p12_threads_that_come_and_go_leave_nobody_waiting_for_a_free_seat() {
    for seed in 0..rounds() {
        let world = World::new(|config| {
            let config = config.edit_limit(Some(EDIT_LIMIT)).document_limit(Some(DOCUMENT_LIMIT));
            config.reconnect_grace(Some(Duration::from_secs(60))).save_delay(Duration::ZERO)
        });
        let (engine, done) = (&world.engine, AtomicBool::new(false));
        let open: Vec<Connection> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|number| {
                    let random = Random::new(seed * THREADS + number + 1);
                    scope.spawn(move || come_and_go(engine, random, number))
                })
                .collect();
            let callbacks = engine.callbacks();
            scope.spawn(|| {
                let callbacks = callbacks;
                while !done.load(SeqCst) {
                    callbacks.try_iter().for_each(|delivery| drop(delivery.acked()));
                    engine.tick();
                    engine.validate().unwrap();
                    assert!(engine.limits().edit.in_use <= EDIT_LIMIT);
                    thread::yield_now();
                }
            });
            let open = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            done.store(true, SeqCst);
            open
        });
        world.acknowledge_all();
        engine.tick();
        engine.validate().unwrap();
        nobody_waits_for_nothing(&world, &open);
        let before = engine.limits();
        engine.undrain();
        engine.tick();
        assert_eq!(engine.limits(), before, "who asks everybody in line finds nobody to serve");
        drop(open);
        engine.validate().unwrap();
        let limits = engine.limits();
        assert_eq!(
            (limits.edit.in_use, limits.connections.in_use, limits.waiting),
            (0, 0, Waiting::default())
        );
    }
}

/// More get a seat at one moment than one call serves. The engine's own thread goes on at once, although nothing else is due.
#[test]
fn p12_the_timer_serves_those_whom_a_raised_limit_lets_in() {
    const WAITERS: usize = 600;
    // Nothing else is ever due.
    let config = Config::new().edit_limit(Some(0)).usage(false);
    let engine = Engine::new(config).unwrap();
    let notices = engine.notices();
    let mut all = Vec::new();
    // In the first round the thread may not sleep yet.
    for round in 0..3 {
        engine.set_edit_limit(Some(0)).unwrap();
        let open = |number| {
            let user = user(&format!("u{round}-{number}"));
            engine.open(&key("doc"), &user, Access::Edit).unwrap()
        };
        let tabs: Vec<Connection> = (0..WAITERS).map(open).collect();
        for tab in &tabs {
            assert!(matches!(tab.request_edit(), Ok(EditRequest::Waiting { .. })));
        }
        engine.set_edit_limit(None).unwrap();
        for _ in 0..WAITERS {
            // Only where the engine is wrong does this wait for long.
            let is_grant =
                |notice: &Notice| matches!(notice, Notice::Access { cause: AccessCause::Granted, .. });
            while !is_grant(&notices.recv_timeout(Duration::from_secs(50)).expect("a grant")) {}
        }
        assert!(tabs.iter().all(Connection::may_edit));
        all.extend(tabs);
    }
    engine.validate().unwrap();
}
