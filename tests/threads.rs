//! Tests with real threads. Four editors open, change, close and drop connections on three documents. Of three storage
//! workers, one is slow, one panics and one fails. One thread moves the clock and the limit, and one validates the engine
//! all the time.
//!
//! The tests count the held seats from outside. The count goes up after an open gets edit access, and down before the
//! connection closes or loses its access. So it is never more than the held seats, and a count above the limit proves that
//! the engine exceeded it. After every phase every connection is closed, and the settled callbacks must be consistent.
//!
//! `COEDIT_SEEDS=1000 cargo test --release --test threads` runs 1000 rounds of each test. `COEDIT_SEED=7` runs only seed 7.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use coedit::{
    Access, Answered, Callback, Callbacks, Clock, Config, Connection, Delivery, DocumentKey, Engine,
    ManualClock, Reason, Status, Timestamp, User,
};
use support::random::Random;
use support::replay::Replay;
use support::{START, Settle, World, key, user};

const DOCUMENTS: usize = 3;
const EDITORS: usize = 4;
/// The number of calls of each editor in a phase.
const OPERATIONS: usize = 800;
/// The number of moves of the clock in a phase. Some of them also change the limit.
const MOVES: usize = 500;
/// Far more time of the manual clock than all phases take.
const ALL_MILLIS: u64 = 100_000_000;
/// The maximum number of connections of one editor.
const TABS: usize = 4;
/// A limit that never refuses an editor.
const ROOM_FOR_ALL: u32 = 16;
/// The number of users of one editor. The editor has the first two alone. All editors share the third.
const USERS: usize = 3;

/// The settings of a phase.
#[derive(Clone, Copy)]
struct Phase {
    /// The limits in force, one after the other. No connection is open when the phase starts.
    limits: &'static [u32],
    /// True if editors drop the access of each other. Then nobody can count from outside.
    wild: bool,
    /// The percentage of saves that fail.
    failing: usize,
}

const CALM: Phase = Phase { limits: &[3], wild: false, failing: 0 };

impl Phase {
    /// Returns the highest limit of the phase.
    fn max_limit(&self) -> u32 {
        self.limits.iter().copied().max().unwrap()
    }
}

/// The behaviour of a worker.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Slow,
    Panics,
    Fails,
}

/// A connection, as its editor knows it.
struct Tab {
    connection: Connection,
    document: usize,
    user: usize,
    /// True if it got edit access and, as far as this editor knows, still has it.
    edits: bool,
}

/// The state that all threads share.
struct Shared {
    clock: Arc<ManualClock>,
    keys: Vec<DocumentKey>,
    /// The number of milliseconds since the start. Every change has a millisecond of its own.
    millis: AtomicU64,
    /// The latest time at which an accepted change of each document started.
    changed: Vec<AtomicU64>,
    held: AtomicU32,
    most_held: AtomicU32,
    done: AtomicBool,
    in_hand: Mutex<HashSet<DocumentKey>>,
    /// Every settled callback in order. The flag is true if it was acknowledged.
    settled: Mutex<Vec<(Arc<Callback>, bool)>>,
    panics: AtomicUsize,
}

impl Shared {
    fn new(clock: Arc<ManualClock>) -> Self {
        Shared {
            clock,
            keys: (0..DOCUMENTS).map(|number| key(&format!("document-{number}"))).collect(),
            millis: AtomicU64::new(0),
            changed: (0..DOCUMENTS).map(|_| AtomicU64::new(0)).collect(),
            held: AtomicU32::new(0),
            most_held: AtomicU32::new(0),
            done: AtomicBool::new(false),
            in_hand: Mutex::default(),
            settled: Mutex::default(),
            panics: AtomicUsize::new(0),
        }
    }

    /// Moves the clock forward to a time that no other call gets, and returns it.
    fn advance(&self, millis: u64) -> u64 {
        let time = START + self.millis.fetch_add(millis, SeqCst) + millis;
        self.clock.move_to(Timestamp::from_millis(time));
        time
    }
}

/// An editor. It opens, changes, closes, drops and sends commands.
struct Editor<'a> {
    shared: &'a Shared,
    engine: &'a Engine,
    phase: Phase,
    random: Random,
    users: Vec<User>,
    open: Vec<Tab>,
}

impl<'a> Editor<'a> {
    fn new(shared: &'a Shared, engine: &'a Engine, phase: Phase, number: usize, seed: u64) -> Self {
        let mut users: Vec<User> = (1..USERS).map(|n| user(&format!("user-{number}-{n}"))).collect();
        users.push(user("everybody"));
        let random = Random::new(seed.wrapping_mul(31).wrapping_add(number as u64));
        Editor { shared, engine, phase, random, users, open: Vec::new() }
    }

    fn operate(&mut self) {
        for _ in 0..OPERATIONS {
            match self.random.below(16) {
                0..5 if self.open.len() < TABS => self.open(),
                0..8 => self.close(),
                8..13 => self.change(),
                13 => self.drop_own_connection(),
                14 => self.drop_users(),
                _ => self.send_command(),
            }
        }
    }

    fn open(&mut self) {
        let (document, user) = (self.random.below(DOCUMENTS), self.random.below(USERS));
        let asked =
            *self.random.pick(&[Access::Edit, Access::Edit, Access::Edit, Access::LiveView, Access::View]);
        let opened = self.engine.open(&self.shared.keys[document], &self.users[user], asked);
        let connection = opened.expect("P2: an open never fails");
        let granted = connection.granted();
        let edits = granted.access == Access::Edit;
        match granted.reason {
            None => assert_eq!(granted.access, asked),
            Some(Reason::ConnectionLimit) => {
                assert!(self.phase.max_limit() < ROOM_FOR_ALL, "P1: refused while a seat was free");
            }
            reason => assert_eq!(reason, Some(Reason::Saving)),
        }
        if edits && !self.phase.wild {
            let held = self.shared.held.fetch_add(1, SeqCst) + 1;
            self.shared.most_held.fetch_max(held, SeqCst);
            assert!(held <= self.phase.max_limit(), "P1: {held} hold edit access");
        }
        self.open.push(Tab { connection, document, user, edits });
    }

    /// Call this before the connection loses its access.
    fn count_down(&self, tab: &mut Tab) {
        if std::mem::take(&mut tab.edits) && !self.phase.wild {
            self.shared.held.fetch_sub(1, SeqCst);
        }
    }

    fn chosen(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.random.below(self.open.len()))
    }

    fn close(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let mut tab = self.open.swap_remove(chosen);
        self.count_down(&mut tab);
        match self.random.below(3) {
            0 => drop(tab.connection),
            1 => assert_eq!(tab.connection.lost(), Ok(None)),
            _ => {
                let id = tab.connection.into_id();
                self.engine.close(id).unwrap();
                assert!(self.engine.close(id).is_err(), "a connection closes only once");
            }
        }
    }

    fn change(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let tab = &mut self.open[chosen];
        let time = self.shared.advance(1);
        let accepted = tab.connection.change().is_ok();
        if accepted {
            self.shared.changed[tab.document].fetch_max(time, SeqCst);
        }
        if self.phase.wild {
            assert!(tab.edits || !accepted, "P3: a dropped connection changed something");
            tab.edits = accepted;
        } else {
            assert_eq!(
                accepted, tab.edits,
                "P3: exactly the connections with edit access may change a document"
            );
        }
    }

    fn drop_own_connection(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let mut tab = self.open.swap_remove(chosen);
        self.count_down(&mut tab);
        self.engine.drop_connection(tab.connection.id()).unwrap();
        assert!(tab.connection.change().is_err(), "P3: a change was accepted after the drop");
        self.open.push(tab);
    }

    /// Drops all connections of one user of this editor, or in a wild phase of everybody.
    fn drop_users(&mut self) {
        let (document, user) = (self.random.below(DOCUMENTS), self.random.below(USERS - 1));
        let everybody = self.phase.wild && self.random.one_in(2);
        let mut open = std::mem::take(&mut self.open);
        let dropped = |tab: &&mut Tab| tab.document == document && (everybody || tab.user == user);
        open.iter_mut().filter(dropped).for_each(|tab| self.count_down(tab));
        let key = &self.shared.keys[document];
        // The document may not be open.
        let _ = if everybody {
            self.engine.drop_all(key)
        } else {
            self.engine.drop_users(key, &[self.users[user].id().clone()])
        };
        for tab in open.iter_mut().filter(dropped) {
            assert!(tab.connection.change().is_err(), "P3: a change was accepted after the drop");
        }
        self.open = open;
    }

    fn send_command(&mut self) {
        let key = &self.shared.keys[self.random.below(DOCUMENTS)];
        match self.random.below(5) {
            0 => drop(self.engine.info(key, Some("from an editor"))),
            1 => drop(self.engine.force_save(key, None)),
            2 => drop(self.open.first().map(|tab| self.engine.press_save(tab.connection.id()))),
            3 => drop(self.open.last().map(|tab| self.engine.submit_form(tab.connection.id()))),
            _ => {
                for tab in &self.open {
                    let present = self.engine.participants(&self.shared.keys[tab.document]);
                    assert!(
                        present.iter().any(|one| one.user.id() == self.users[tab.user].id()),
                        "P2: the user is a participant"
                    );
                }
            }
        }
    }

    fn leave(&mut self) {
        while !self.open.is_empty() {
            self.close();
        }
    }
}

/// A worker of the storage.
struct Worker<'a> {
    shared: &'a Shared,
    behaviour: Behaviour,
    failing: usize,
    random: Random,
    served: usize,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared, behaviour: Behaviour, failing: usize, seed: u64) -> Self {
        let random = Random::new(seed.wrapping_mul(17).wrapping_add(behaviour as u64));
        Worker { shared, behaviour, failing, random, served: 0 }
    }

    fn work(&mut self, engine: &Engine, callbacks: &Callbacks) {
        loop {
            let done = self.shared.done.load(SeqCst);
            match callbacks.try_recv() {
                Ok(delivery) => self.serve(Some(engine), delivery),
                Err(_) if done => return,
                Err(_) => thread::yield_now(),
            }
        }
    }

    fn serve(&mut self, engine: Option<&Engine>, mut delivery: Delivery) {
        let callback = Arc::new(delivery.callback().clone());
        let alone = self.shared.in_hand.lock().unwrap().insert(callback.key.clone());
        assert!(alone, "P4: two callbacks of one document at one time");
        if let Some(engine) = engine {
            assert!(engine.is_outstanding(&callback.key));
            if self.behaviour == Behaviour::Slow {
                self.call_engine(engine, &callback);
            }
        }
        if self.random.one_in(2) {
            delivery.kept_at("where it lies").unwrap();
        }
        let fails = match callback.status {
            Status::Save | Status::ForceSave => self.random.below(100) < self.failing,
            _ => self.behaviour == Behaviour::Fails && self.random.one_in(5),
        };
        self.served += 1;
        if self.behaviour == Behaviour::Panics && (self.served == 1 || fails || self.random.one_in(6)) {
            return self.panic(delivery, callback);
        }
        let mut settled = self.shared.settled.lock().unwrap();
        self.shared.in_hand.lock().unwrap().remove(&callback.key);
        if fails {
            delivery.failed()
        } else {
            delivery.acked()
        };
        settled.push((callback, !fails));
    }

    /// Panics while it holds the delivery. The engine hands out no other callback of the document before the delivery is
    /// dropped, so the callback is recorded in order.
    fn panic(&self, delivery: Delivery, callback: Arc<Callback>) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            let _in_hand = delivery;
            self.shared.in_hand.lock().unwrap().remove(&callback.key);
            self.shared.settled.lock().unwrap().push((callback, false));
            // Panics without printing a message.
            resume_unwind(Box::new("the worker panics"));
        }));
        assert!(result.is_err());
        self.shared.panics.fetch_add(1, SeqCst);
    }

    /// Calls the engine, as a storage may from its callback handler.
    fn call_engine(&mut self, engine: &Engine, callback: &Callback) {
        for _ in 0..self.random.below(10) {
            assert!(engine.editors(&callback.key).len() <= EDITORS * TABS);
            let _ = (engine.participants(&callback.key), engine.forgotten(), engine.next_deadline());
            thread::yield_now();
        }
        // A request for each answer would never end.
        if callback.action.is_some() {
            let _ = engine.info(&callback.key, Some("from a worker"));
        }
        assert!(engine.is_outstanding(&callback.key));
    }
}

/// Settings by which no callback runs out, and a save goes before others of its document only after one of them failed.
/// So what happens does not depend on how fast the threads are.
fn patient(config: Config) -> Config {
    config.ack_timeout(None).save_patience(Duration::from_millis(2 * ALL_MILLIS))
}

/// Replays a callback that was settled. After a failure the next save or closing may go before everything that waits.
fn replay_settled(replay: &mut Replay, callback: &Callback, done: bool) {
    replay.settled(callback, done);
    if !done {
        replay.may_supersede(&callback.key);
    }
}

/// One engine that runs through several phases.
struct Run {
    world: World,
    shared: Shared,
    replay: Replay,
    random: Random,
    statuses: BTreeMap<u8, usize>,
    forgotten: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let pauses = [1, 5].map(Duration::from_millis);
        let world =
            World::new(|config| patient(config).save_delay(Duration::from_millis(60)).retry_pauses(pauses));
        Run {
            shared: Shared::new(world.clock.clone()),
            world,
            replay: Replay::new(pauses.len()),
            random: Random::new(seed),
            statuses: BTreeMap::new(),
            forgotten: 0,
        }
    }

    fn phase(&mut self, phase: Phase) {
        let seed = self.random.next();
        let Run { shared, world, .. } = &*self;
        let World { engine, callbacks, notices, .. } = world;
        engine.set_edit_limit(phase.limits.first().copied()).unwrap();
        shared.done.store(false, SeqCst);
        thread::scope(|scope| {
            let editors: Vec<_> = (0..EDITORS)
                .map(|number| {
                    scope.spawn(move || {
                        let mut editor = Editor::new(shared, engine, phase, number, seed);
                        editor.operate();
                        editor.leave();
                    })
                })
                .collect();
            for behaviour in [Behaviour::Slow, Behaviour::Panics, Behaviour::Fails] {
                scope.spawn(move || {
                    Worker::new(shared, behaviour, phase.failing, seed).work(engine, callbacks);
                });
            }
            scope.spawn(move || {
                loop {
                    let done = shared.done.load(SeqCst);
                    engine.validate().unwrap();
                    let in_use = engine.limits().edit.in_use;
                    assert!(in_use <= phase.max_limit(), "P1: {in_use} seats");
                    assert!(engine.documents() <= DOCUMENTS && engine.forgotten().len() <= DOCUMENTS);
                    if done {
                        return;
                    }
                }
            });
            scope.spawn(move || {
                let mut random = Random::new(!seed);
                for _ in 0..MOVES {
                    shared.advance(*random.pick(&[1, 10, 40]));
                    engine.tick();
                    if random.one_in(4) {
                        engine.set_edit_limit(Some(*random.pick(phase.limits))).unwrap();
                    }
                    thread::yield_now();
                }
            });
            let ended: Vec<_> = editors.into_iter().map(thread::ScopedJoinHandle::join).collect();
            shared.done.store(true, SeqCst);
            for end in ended {
                end.unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
        notices.try_iter().for_each(drop);
        self.settle_the_rest(phase, seed);
        self.check();
    }

    /// Moves the clock until nothing is due, and takes and settles every callback.
    fn settle_the_rest(&self, phase: Phase, seed: u64) {
        let Run { shared, world, .. } = self;
        let mut workers = [Behaviour::Panics, Behaviour::Slow]
            .map(|behaviour| Worker::new(shared, behaviour, phase.failing, seed));
        loop {
            for (turn, delivery) in world.callbacks.try_iter().enumerate() {
                workers[turn % 2].serve(Some(&world.engine), delivery);
            }
            let Some(due) = world.engine.next_deadline() else { break };
            if due.as_millis() >= START + ALL_MILLIS {
                // The end of a patience that nobody needs any more.
                break;
            }
            shared.millis.fetch_max(due.as_millis() - START, SeqCst);
            world.clock.move_to(due);
            world.engine.tick();
        }
        assert!(world.callbacks.try_recv().is_err());
    }

    /// Checks the engine after every connection is closed and every callback is settled.
    fn check(&mut self) {
        let engine = &self.world.engine;
        engine.validate().unwrap();
        for (callback, done) in std::mem::take(&mut *self.shared.settled.lock().unwrap()) {
            replay_settled(&mut self.replay, &callback, done);
            *self.statuses.entry(callback.status.number()).or_default() += 1;
        }
        self.replay.assert_balanced();
        let limits = engine.limits();
        // A forgotten document is open, because its changes are unsaved.
        let open = engine.documents() - engine.forgotten().len();
        assert_eq!((open, limits.edit.in_use, limits.live.in_use), (0, 0, 0));
        assert_eq!(self.shared.held.load(SeqCst), 0);
        assert!(self.shared.in_hand.lock().unwrap().is_empty());
        let forgotten: Vec<DocumentKey> = engine.forgotten().into_iter().map(|one| one.key).collect();
        self.forgotten += forgotten.len();
        for (key, changed) in self.shared.keys.iter().zip(&self.shared.changed) {
            let changed = Timestamp::from_millis(changed.load(SeqCst));
            let saved = self.replay.saved(key);
            assert!(
                changed <= saved || changed == Timestamp::default() || forgotten.contains(key),
                "P5: {key} was changed at {changed}, saved at {saved}, and is not listed"
            );
            if forgotten.contains(key) && self.random.one_in(2) {
                engine.delete_forgotten(key).unwrap();
                discard_changes(&self.shared, key);
            }
        }
    }

    /// Checks that the phases covered callbacks of these statuses, worker panics and changes.
    fn assert_covered(&self, statuses: &[u8]) {
        for status in statuses {
            assert!(
                self.statuses.contains_key(status),
                "no callback of status {status} in {:?}",
                self.statuses
            );
        }
        assert!(self.shared.panics.load(SeqCst) > 0);
        assert!(self.shared.changed.iter().any(|changed| changed.load(SeqCst) > 0));
    }
}

/// Records that the changes of a deleted forgotten document are gone.
fn discard_changes(shared: &Shared, key: &DocumentKey) {
    let position = shared.keys.iter().position(|one| one == key).unwrap();
    shared.changed[position].store(0, SeqCst);
}

fn rounds(default: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    match number("COEDIT_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("COEDIT_SEEDS").unwrap_or(default)).collect(),
    }
}

#[test]
fn p1_the_limit_is_never_exceeded_and_nobody_is_refused_below_it() {
    for seed in rounds(2) {
        let mut run = Run::new(seed);
        for limit in [&[3][..], &[1], &[2]] {
            run.shared.most_held.store(0, SeqCst);
            run.phase(Phase { limits: limit, ..CALM });
            assert_eq!(run.shared.most_held.load(SeqCst), limit[0], "the limit was reached");
        }
        // Connections keep their access past a lowered limit, but there are never more than the highest limit.
        run.phase(Phase { limits: &[3, 2, 1, 0], ..CALM });
        run.phase(Phase { limits: &[ROOM_FOR_ALL], ..CALM });
        run.assert_covered(&[1, 2, 4]);
    }
}

#[test]
fn p4_callbacks_of_every_document_are_consistent_under_threads() {
    for seed in rounds(2) {
        let mut run = Run::new(seed);
        for limits in [&[3][..], &[3, 1], &[ROOM_FOR_ALL]] {
            run.phase(Phase { limits, wild: true, failing: 10 });
        }
        run.assert_covered(&[1, 2, 4, 6]);
    }
}

#[test]
fn p5_every_change_under_threads_is_in_an_acknowledged_save_or_listed() {
    for seed in rounds(2) {
        let mut run = Run::new(seed);
        for failing in [50, 100, 80] {
            run.phase(Phase { failing, wild: failing == 80, ..CALM });
        }
        // A force save is mostly given up because its document closes, and then the storage is not told so.
        for _ in 0..50 {
            if run.statuses.contains_key(&7) {
                break;
            }
            run.phase(Phase { failing: 100, ..CALM });
        }
        run.phase(CALM);
        run.assert_covered(&[1, 2, 3, 4, 6, 7]);
        assert!(run.forgotten > 0);
    }
}

/// Threads that own handles of the engine end one after the other, with documents open and unsaved. Workers that wait for
/// callbacks get every callback and then the end.
#[test]
fn p5_when_the_last_handle_is_dropped_workers_get_every_save_and_then_the_end() {
    // No worker fails this many times in a row.
    const RETRIES: usize = 64;
    for seed in rounds(5) {
        let world =
            World::new(|config| patient(config).edit_limit(Some(3)).retry_pauses([Duration::ZERO; RETRIES]));
        let shared = Shared::new(world.clock.clone());
        let World { engine, callbacks, notices, .. } = world;
        thread::scope(|scope| {
            for number in 0..EDITORS {
                let (shared, engine) = (&shared, engine.clone());
                scope.spawn(move || {
                    let mut editor = Editor::new(shared, &engine, Phase { wild: true, ..CALM }, number, seed);
                    editor.operate();
                    // The last connections end only by the drop of their handles.
                    for tab in editor.open.drain(..).skip(number % 2) {
                        let _ = tab.connection.into_id();
                    }
                });
            }
            drop(engine);
            for behaviour in [Behaviour::Slow, Behaviour::Panics, Behaviour::Fails] {
                let (shared, callbacks) = (&shared, &callbacks);
                scope.spawn(move || {
                    let mut worker = Worker::new(shared, behaviour, 25, seed);
                    callbacks.iter().for_each(|delivery| worker.serve(None, delivery));
                });
            }
        });
        let mut replay = Replay::new(RETRIES);
        for (callback, done) in shared.settled.into_inner().unwrap() {
            assert!(!matches!(callback.status, Status::SaveFailed | Status::ForceSaveFailed), "{callback:?}");
            replay_settled(&mut replay, &callback, done);
        }
        replay.assert_balanced();
        for (key, changed) in shared.keys.iter().zip(&shared.changed) {
            let changed = changed.load(SeqCst);
            assert!(changed > 0 && replay.saved(key).as_millis() >= changed, "P5: {key} at {changed}");
        }
        assert!(notices.iter().count() < OPERATIONS * EDITORS * TABS, "the notices end");
    }
}

/// A real clock whose wall time goes with its steady time.
struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(START).after(self.0.elapsed())
    }

    fn steady(&self) -> Option<Duration> {
        Some(self.0.elapsed())
    }
}

/// What the threads of a stopping host share.
struct Stopping {
    began: Instant,
    /// For each document, a time shortly before its last accepted change.
    changed: [AtomicU64; DOCUMENTS],
    /// For each document, the time of the last change in an acknowledged save that counts.
    saved: [AtomicU64; DOCUMENTS],
    /// The deliveries that nobody answers, or late.
    kept: Mutex<Vec<Delivery>>,
}

impl Stopping {
    fn key(document: usize) -> DocumentKey {
        key(&format!("document-{document}"))
    }

    /// Whole milliseconds that have passed for certain, on the clock of the engine.
    fn millis(&self) -> u64 {
        START + u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    fn edit(&self, engine: &Engine, mut random: Random) {
        let mut open = Vec::new();
        for _ in 0..OPERATIONS / 4 {
            let document = random.below(DOCUMENTS);
            match random.below(4) {
                0 => open.extend(
                    engine
                        .open(&Stopping::key(document), &user("ann"), Access::Edit)
                        .ok()
                        .map(|tab| (document, tab)),
                ),
                1 if !open.is_empty() => drop(open.swap_remove(random.below(open.len()))),
                2 => drop(engine.force_save(&Stopping::key(document), None)),
                _ => {
                    for (document, tab) in &open {
                        let before = self.millis();
                        if tab.change().is_ok() {
                            self.changed[*document].fetch_max(before, SeqCst);
                        }
                    }
                }
            }
        }
        // Some connections end only with the engine.
        for (_, tab) in open.into_iter().step_by(2) {
            let _ = tab.into_id();
        }
    }

    /// Takes callbacks until the engine has ended.
    fn work(&self, callbacks: &Callbacks, mut random: Random) {
        for delivery in callbacks.iter() {
            match random.below(8) {
                0..4 => self.acknowledge(delivery),
                4 => drop(delivery.fail()),
                5 => self.kept.lock().unwrap().push(delivery),
                6 => {
                    let panics = move || {
                        let _in_hand = delivery;
                        // Panics without printing a message.
                        resume_unwind(Box::new("the worker panics"));
                    };
                    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
                }
                _ => {
                    let late = self.kept.lock().unwrap().pop();
                    [Some(delivery), late].into_iter().flatten().for_each(|one| self.acknowledge(one));
                }
            }
        }
    }

    fn acknowledge(&self, delivery: Delivery) {
        let callback = delivery.callback().clone();
        let counts = delivery.ack() != Answered::Late;
        if counts && matches!(callback.status, Status::Save | Status::ForceSave) {
            let document = (0..DOCUMENTS).find(|one| Stopping::key(*one) == callback.key).unwrap();
            self.saved[document].fetch_max(callback.lastsave.unwrap().as_millis(), SeqCst);
        }
    }
}

/// Workers fail, panic and hang while the host stops, on a real clock with short times. However far each one came: every
/// change is saved, or its document is in the report.
#[test]
fn p5_a_host_on_a_real_clock_stops_in_time_and_loses_nothing() {
    for seed in rounds(6) {
        let mut random = Random::new(seed);
        let short = Duration::from_millis;
        let config = Config::new().clock(RealClock(Instant::now())).timer(random.one_in(2));
        let config = config.ack_timeout(Some(short(3))).save_patience(short(2)).save_delay(short(1));
        let config = config.retry_pauses([1, 2].map(short)).drop_deadline(short(60));
        let stopping = Stopping {
            began: Instant::now(),
            changed: Default::default(),
            saved: Default::default(),
            kept: Mutex::default(),
        };
        let engine = Engine::new(config).unwrap();
        let (callbacks, for_saves) = (engine.callbacks(), engine.save_callbacks());
        let told = thread::scope(|scope| {
            for receiver in [&callbacks, &callbacks, &for_saves] {
                let (stopping, random) = (&stopping, Random::new(random.next()));
                scope.spawn(move || stopping.work(receiver, random));
            }
            for _ in 0..EDITORS {
                let (stopping, engine, random) = (&stopping, engine.clone(), Random::new(random.next()));
                scope.spawn(move || stopping.edit(&engine, random));
            }
            if random.one_in(2) {
                Some(engine.shutdown(short(60)))
            } else {
                drop(engine);
                None
            }
        });
        let report = callbacks.report().expect("the workers have ended, and so has the engine");
        assert!(told.is_none_or(|told| Arc::ptr_eq(&told, &report)), "the report is final");
        for delivery in stopping.kept.into_inner().unwrap() {
            assert_eq!(delivery.ack(), Answered::Late);
        }
        let unsaved = report.unsaved.iter().map(|one| &one.key);
        let listed: Vec<&DocumentKey> = unsaved.chain(report.forgotten.iter().map(|one| &one.key)).collect();
        assert_eq!(listed.iter().collect::<HashSet<_>>().len(), listed.len(), "each once: {report:?}");
        for document in 0..DOCUMENTS {
            let [changed, saved] =
                [&stopping.changed, &stopping.saved].map(|times| times[document].load(SeqCst));
            let key = Stopping::key(document);
            let is_listed = listed.contains(&&key);
            assert!(is_listed || changed <= saved, "P5: {key} at {changed}, saved at {saved}: {report:?}");
            assert!(!is_listed || changed > 0, "{key} was not changed: {report:?}");
        }
    }
}
