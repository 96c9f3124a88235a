//! Restarts while real threads open, change, lose the line, come back and close, and a worker saves.

mod support;

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;

use coedit::*;
use support::random::Random;
use support::*;

const DOCUMENTS: usize = 3;
const THREADS: usize = 3;
const LIMIT: u32 = 4;
const ROUNDS: usize = 40;
/// The engine is suspended after so many calls of all threads.
const CALLS: usize = 120;

fn config() -> Config {
    let config = Config::new().shards(4).edit_limit(Some(LIMIT)).reconnect_grace(Some(seconds(3600)));
    config.save_delay(seconds(0)).ack_timeout(None)
}

fn name(document: usize) -> DocumentKey {
    key(&format!("document-{document}"))
}

/// A connection, as its thread knows it.
struct Tab {
    id: ConnectionId,
    token: ResumeToken,
    document: usize,
    access: Access,
    is_lost: bool,
    /// An open may have taken its seat over.
    may_be_gone: bool,
}

/// Numbers that order what happened in all threads.
#[derive(Default)]
struct Order {
    next: AtomicU64,
    /// When the last change of each document began that was accepted.
    changed: [AtomicU64; DOCUMENTS],
    /// When a worker received the last save of each document that it acknowledged.
    saved: [AtomicU64; DOCUMENTS],
}

impl Order {
    fn next(&self) -> u64 {
        self.next.fetch_add(1, SeqCst) + 1
    }
}

/// What one thread does until the engine is suspended.
struct Person<'a> {
    engine: &'a Engine,
    order: &'a Order,
    user: User,
    random: Random,
    tabs: Vec<Tab>,
    /// Connections whose token was not told in time.
    orphans: u32,
}

impl Person<'_> {
    fn act(&mut self) {
        let chosen = self.random.below(self.tabs.len().max(1));
        match self.random.below(8) {
            0 | 1 => self.open(),
            _ if self.tabs.is_empty() => {}
            2 => {
                let tab = &mut self.tabs[chosen];
                tab.is_lost |= self.engine.lost(tab.id).is_ok();
            }
            3 | 4 => {
                let tab = &mut self.tabs[chosen];
                if let Ok(back) = self.engine.resume(&tab.token, 0) {
                    assert_eq!(back.granted().access, tab.access, "P11");
                    (tab.id, tab.is_lost, tab.may_be_gone) = (back.into_id(), false, false);
                }
            }
            5 => {
                if self.engine.close(self.tabs[chosen].id).is_ok() {
                    self.tabs.swap_remove(chosen);
                }
            }
            _ => {
                let (tab, began) = (&self.tabs[chosen], self.order.next());
                if self.engine.change(tab.id).is_ok() {
                    assert_eq!(tab.access, Access::Edit);
                    self.order.changed[tab.document].fetch_max(began, SeqCst);
                }
            }
        }
    }

    fn open(&mut self) {
        let document = self.random.below(DOCUMENTS);
        let Ok(tab) = self.engine.open(&name(document), &self.user, Access::Edit) else { return };
        let access = tab.granted().access;
        if access == Access::Edit {
            for other in self.tabs.iter_mut().filter(|one| one.document == document && one.is_lost) {
                other.may_be_gone |= other.access == Access::Edit;
            }
        }
        match tab.token() {
            Some(token) => {
                let id = tab.into_id();
                self.tabs.push(Tab { id, token, document, access, is_lost: false, may_be_gone: false });
            }
            None => {
                self.orphans += 1;
                let _ = tab.into_id();
            }
        }
    }
}

/// Acknowledges, and sometimes fails, until the engine ends.
fn work(callbacks: &Callbacks, order: &Order, seed: u64) {
    let mut random = Random::new(seed);
    for delivery in callbacks.iter() {
        let received = order.next();
        let callback = delivery.callback();
        let document = (0..DOCUMENTS).find(|one| name(*one) == callback.key).unwrap();
        let is_save = matches!(callback.status, Status::Save | Status::ForceSave);
        if random.one_in(5) {
            delivery.fail();
        } else if delivery.ack() != Answered::Late && is_save {
            order.saved[document].fetch_max(received, SeqCst);
        }
    }
}

/// Lets threads race on an engine, and suspends it meanwhile. Returns the snapshot and what the threads know.
fn race(engine: &Engine, order: &Order, round: usize) -> (String, Vec<Tab>, u32) {
    let (calls, stops) = (AtomicUsize::new(0), AtomicBool::new(false));
    let left = Mutex::new((Vec::new(), 0));
    let callbacks = engine.callbacks();
    let mut json = String::new();
    thread::scope(|scope| {
        scope.spawn(|| work(&callbacks, order, round as u64));
        for number in 0..THREADS {
            let (calls, stops, left) = (&calls, &stops, &left);
            scope.spawn(move || {
                let user = user(&format!("user-{number}"));
                let random = Random::new((round * THREADS + number) as u64);
                let mut person = Person { engine, order, user, random, tabs: Vec::new(), orphans: 0 };
                while !stops.load(SeqCst) {
                    person.act();
                    calls.fetch_add(1, SeqCst);
                }
                let mut left = left.lock().unwrap();
                left.0.extend(person.tabs);
                left.1 += person.orphans;
            });
        }
        while calls.load(SeqCst) < CALLS {
            assert!(engine.limits().edit.in_use <= LIMIT, "P1");
            engine.validate().unwrap();
            thread::yield_now();
        }
        json = serde_json::to_string(&engine.suspend(seconds(600))).unwrap();
        stops.store(true, SeqCst);
    });
    let (tabs, orphans) = left.into_inner().unwrap();
    (json, tabs, orphans)
}

/// Every seat and every change is there again.
fn check(engine: &Engine, order: &Order, tabs: Vec<Tab>, orphans: u32) {
    engine.validate().unwrap();
    let unsaved: HashSet<DocumentKey> = engine.unsaved().into_iter().map(|one| one.key).collect();
    for document in 0..DOCUMENTS {
        let [changed, saved] = [&order.changed, &order.saved].map(|all| all[document].load(SeqCst));
        let is_listed = unsaved.contains(&name(document));
        assert!(changed <= saved || is_listed, "P5: document-{document} is lost: {changed} {saved}");
    }
    let limits = engine.limits();
    assert!(limits.edit.in_use <= LIMIT, "P1");
    let (mut edits, mut all) = (0, 0);
    for tab in tabs {
        match engine.resume(&tab.token, 0) {
            Ok(back) => {
                assert_eq!(back.granted().access, tab.access, "P11");
                edits += u32::from(back.may_edit());
                all += 1;
                let _ = back.into_id();
            }
            Err(error) => assert!(tab.may_be_gone && error == ResumeError::Unknown, "P11: {error}"),
        }
    }
    assert!((edits..=edits + orphans).contains(&limits.edit.in_use), "P11: {edits} {limits:?}");
    assert_eq!(limits.connections.in_use, all + orphans, "P11");
}

#[test]
fn p1_p5_p11_threads_race_with_a_suspend() {
    for round in 0..ROUNDS {
        let order = Order::default();
        let engine = Engine::new(config()).unwrap();
        let (json, tabs, orphans) = race(&engine, &order, round);
        let snapshot: Snapshot = serde_json::from_str(&json).unwrap();
        let restored = Engine::restore(config(), snapshot).unwrap();
        drop(engine);
        check(&restored, &order, tabs, orphans);
        // The timer thread and the worker of the restored engine save what is left.
        let callbacks = restored.callbacks();
        let shutdown = restored.begin_shutdown(seconds(600));
        callbacks.iter().for_each(|delivery| drop(delivery.acked()));
        assert!(shutdown.wait().is_complete(), "P5");
    }
}

/// A snapshot of a running engine looks at 128 documents at a time. One that is closed and opened again meanwhile is in it
/// once.
#[test]
fn p5_a_document_that_moves_is_in_a_snapshot_once() {
    const MANY: usize = 4_000;
    const SNAPSHOTS: usize = 20;
    let world = World::new(|config| config.shards(1).callbacks(false));
    let mut tabs: Vec<_> = (0..MANY)
        .map(|number| Some(world.open(&format!("document-{number}"), "ann", Access::View)))
        .collect();
    let stops = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // The two take each other's place.
            while !stops.load(SeqCst) {
                for (first, last) in [(1, MANY - 1), (MANY - 1, 1)] {
                    (tabs[first], tabs[last]) = (None, None);
                    for place in [first, last] {
                        let name = format!("document-{place}");
                        tabs[place] = Some(world.open(&name, "ann", Access::View));
                    }
                }
            }
        });
        let snapshots: Vec<Snapshot> = (0..SNAPSHOTS).map(|_| world.engine.snapshot()).collect();
        stops.store(true, SeqCst);
        for snapshot in snapshots {
            Engine::restore(Config::new().clock(world.clock.clone()), snapshot).unwrap();
        }
    });
}
