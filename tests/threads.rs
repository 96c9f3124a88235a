//! Real threads: four who open, type, close and drop on three documents, three workers of the storage of whom one is slow,
//! one dies and one fails, somebody who moves the time and the limit, and somebody who recounts everything all the while.
//!
//! What is held is counted from outside, up after an open that got edit and down before the connection is closed or
//! dropped: the count is never more than what is held, so above the limit it proves that the limit was exceeded. After
//! every phase everybody has left, and the callbacks as they were settled must tell a story that holds together.
//!
//! `COEDIT_SEEDS=1000 cargo test --release --test threads` runs so many rounds of each test, `COEDIT_SEED=7` that one.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use coedit::{
    Access, Callback, Callbacks, Connection, Delivery, DocumentKey, Engine, ManualClock, Reason, Status,
    Timestamp, User,
};
use support::random::Random;
use support::story::Stories;
use support::{START, Settle, World, key, user};

const DOCUMENTS: usize = 3;
const EDITORS: usize = 4;
/// Calls of each editor in a phase.
const OPERATIONS: usize = 800;
/// Moves of the time, and now and then of the limit, in a phase.
const MOVES: usize = 500;
/// Far more of the clock's time than all phases take.
const ALL_MILLIS: u64 = 100_000_000;
/// Connections that one editor has at most.
const TABS: usize = 4;
/// A limit at which no editor is ever refused for it.
const ROOM_FOR_ALL: u32 = 16;
/// The first two are of one editor, the third is of all.
const USERS: usize = 3;

/// What a phase is like.
#[derive(Clone, Copy)]
struct Phase {
    /// The limits in force, one after the other; nobody is in when the phase begins.
    limits: &'static [u32],
    /// Whether editors drop one another, so that nobody can count from outside.
    wild: bool,
    /// How many in a hundred saves fail.
    failing: usize,
}

const CALM: Phase = Phase { limits: &[3], wild: false, failing: 0 };

impl Phase {
    fn most(&self) -> u32 {
        self.limits.iter().copied().max().unwrap()
    }
}

/// How a worker works.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Slow,
    Dies,
    Fails,
}

/// A connection as its editor knows it.
struct Tab {
    connection: Connection,
    document: usize,
    who: usize,
    /// It got edit access, and nobody whom this editor knows of took it.
    edits: bool,
}

/// What all threads share.
struct Scene {
    clock: Arc<ManualClock>,
    keys: Vec<DocumentKey>,
    /// Milliseconds since the start. Every change takes one of its own.
    moments: AtomicU64,
    /// Of each document, the latest moment at which an accepted change began.
    changed: Vec<AtomicU64>,
    held: AtomicU32,
    most_held: AtomicU32,
    done: AtomicBool,
    in_hand: Mutex<HashSet<DocumentKey>>,
    /// Every callback as it was settled, and whether it was done.
    settled: Mutex<Vec<(Arc<Callback>, bool)>>,
    deaths: AtomicUsize,
}

impl Scene {
    fn new(clock: Arc<ManualClock>) -> Self {
        Scene {
            clock,
            keys: (0..DOCUMENTS).map(|number| key(&format!("document-{number}"))).collect(),
            moments: AtomicU64::new(0),
            changed: (0..DOCUMENTS).map(|_| AtomicU64::new(0)).collect(),
            held: AtomicU32::new(0),
            most_held: AtomicU32::new(0),
            done: AtomicBool::new(false),
            in_hand: Mutex::default(),
            settled: Mutex::default(),
            deaths: AtomicUsize::new(0),
        }
    }

    /// Moves the clock on, to a moment that no other call gets.
    fn moment(&self, millis: u64) -> u64 {
        let moment = START + self.moments.fetch_add(millis, SeqCst) + millis;
        self.clock.move_to(Timestamp::from_millis(moment));
        moment
    }
}

/// An editor: opens, types, closes, drops, asks.
struct Editor<'a> {
    scene: &'a Scene,
    engine: &'a Engine,
    phase: Phase,
    random: Random,
    users: Vec<User>,
    open: Vec<Tab>,
}

impl<'a> Editor<'a> {
    fn new(scene: &'a Scene, engine: &'a Engine, phase: Phase, number: usize, seed: u64) -> Self {
        let mut users: Vec<User> = (1..USERS).map(|n| user(&format!("user-{number}-{n}"))).collect();
        users.push(user("everybody"));
        let random = Random::new(seed.wrapping_mul(31).wrapping_add(number as u64));
        Editor { scene, engine, phase, random, users, open: Vec::new() }
    }

    fn operate(&mut self) {
        for _ in 0..OPERATIONS {
            match self.random.below(16) {
                0..5 if self.open.len() < TABS => self.come(),
                0..8 => self.go(),
                8..13 => self.type_something(),
                13 => self.drop_own_connection(),
                14 => self.drop_users(),
                _ => self.ask(),
            }
        }
    }

    fn come(&mut self) {
        let (document, who) = (self.random.below(DOCUMENTS), self.random.below(USERS));
        let asked =
            *self.random.pick(&[Access::Edit, Access::Edit, Access::Edit, Access::LiveView, Access::View]);
        let opened = self.engine.open(&self.scene.keys[document], &self.users[who], asked);
        let connection = opened.expect("P2: nobody is turned away");
        let granted = connection.granted();
        let edits = granted.access == Access::Edit;
        match granted.reason {
            None => assert_eq!(granted.access, asked),
            Some(Reason::ConnectionLimit) => {
                assert!(self.phase.most() < ROOM_FOR_ALL, "P1: refused while seats were free");
            }
            reason => assert_eq!(reason, Some(Reason::Saving)),
        }
        if edits && !self.phase.wild {
            let held = self.scene.held.fetch_add(1, SeqCst) + 1;
            self.scene.most_held.fetch_max(held, SeqCst);
            assert!(held <= self.phase.most(), "P1: {held} hold edit access");
        }
        self.open.push(Tab { connection, document, who, edits });
    }

    /// To be called before the access is given up.
    fn count_down(&self, tab: &mut Tab) {
        if std::mem::take(&mut tab.edits) && !self.phase.wild {
            self.scene.held.fetch_sub(1, SeqCst);
        }
    }

    fn chosen(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.random.below(self.open.len()))
    }

    fn go(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let mut tab = self.open.swap_remove(chosen);
        self.count_down(&mut tab);
        match self.random.below(3) {
            0 => drop(tab.connection),
            1 => tab.connection.lost(),
            _ => {
                let id = tab.connection.into_id();
                self.engine.close(id).unwrap();
                assert!(self.engine.close(id).is_err(), "closed once");
            }
        }
    }

    fn type_something(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let tab = &mut self.open[chosen];
        let moment = self.scene.moment(1);
        let accepted = tab.connection.change().is_ok();
        if accepted {
            self.scene.changed[tab.document].fetch_max(moment, SeqCst);
        }
        if self.phase.wild {
            assert!(tab.edits || !accepted, "P3: who was dropped changed something");
            tab.edits = accepted;
        } else {
            assert_eq!(accepted, tab.edits, "P3: access is enforced, and kept");
        }
    }

    fn drop_own_connection(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let mut tab = self.open.swap_remove(chosen);
        self.count_down(&mut tab);
        self.engine.drop_connection(tab.connection.id()).unwrap();
        assert!(tab.connection.change().is_err(), "P3: after the drop");
        self.open.push(tab);
    }

    /// Drops all tabs of one user of this editor's own, or in a wild phase of everybody.
    fn drop_users(&mut self) {
        let (document, who) = (self.random.below(DOCUMENTS), self.random.below(USERS - 1));
        let everybody = self.phase.wild && self.random.one_in(2);
        let mut open = std::mem::take(&mut self.open);
        let dropped = |tab: &&mut Tab| tab.document == document && (everybody || tab.who == who);
        open.iter_mut().filter(dropped).for_each(|tab| self.count_down(tab));
        let key = &self.scene.keys[document];
        // The document may not be open.
        let _ = if everybody {
            self.engine.drop_all(key)
        } else {
            self.engine.drop_users(key, &[self.users[who].id().clone()])
        };
        for tab in open.iter_mut().filter(dropped) {
            assert!(tab.connection.change().is_err(), "P3: after the drop");
        }
        self.open = open;
    }

    fn ask(&mut self) {
        let key = &self.scene.keys[self.random.below(DOCUMENTS)];
        match self.random.below(5) {
            0 => drop(self.engine.info(key, Some("from an editor"))),
            1 => drop(self.engine.force_save(key, None)),
            2 => drop(self.open.first().map(|tab| self.engine.press_save(tab.connection.id()))),
            3 => drop(self.open.last().map(|tab| self.engine.submit_form(tab.connection.id()))),
            _ => {
                for tab in &self.open {
                    let present = self.engine.participants(&self.scene.keys[tab.document]);
                    assert!(
                        present.iter().any(|one| one.user.id() == self.users[tab.who].id()),
                        "P2: let in"
                    );
                }
            }
        }
    }

    fn leave(&mut self) {
        while !self.open.is_empty() {
            self.go();
        }
    }
}

/// A worker of the storage.
struct Worker<'a> {
    scene: &'a Scene,
    manner: Manner,
    failing: usize,
    random: Random,
    served: usize,
}

impl<'a> Worker<'a> {
    fn new(scene: &'a Scene, manner: Manner, failing: usize, seed: u64) -> Self {
        let random = Random::new(seed.wrapping_mul(17).wrapping_add(manner as u64));
        Worker { scene, manner, failing, random, served: 0 }
    }

    fn work(&mut self, engine: &Engine, callbacks: &Callbacks) {
        loop {
            let done = self.scene.done.load(SeqCst);
            match callbacks.try_recv() {
                Ok(delivery) => self.serve(Some(engine), delivery),
                Err(_) if done => return,
                Err(_) => thread::yield_now(),
            }
        }
    }

    fn serve(&mut self, engine: Option<&Engine>, mut delivery: Delivery) {
        let callback = Arc::new(delivery.callback().clone());
        let alone = self.scene.in_hand.lock().unwrap().insert(callback.key.clone());
        assert!(alone, "P4: two callbacks of one document at one time");
        if let Some(engine) = engine {
            assert!(engine.is_outstanding(&callback.key));
            if self.manner == Manner::Slow {
                self.dawdle(engine, &callback);
            }
        }
        if self.random.one_in(2) {
            delivery.kept_at("where it lies").unwrap();
        }
        let fails = match callback.status {
            Status::Save | Status::ForceSave => self.random.below(100) < self.failing,
            _ => self.manner == Manner::Fails && self.random.one_in(5),
        };
        self.served += 1;
        if self.manner == Manner::Dies && (self.served == 1 || fails || self.random.one_in(6)) {
            return self.die(delivery, callback);
        }
        let mut settled = self.scene.settled.lock().unwrap();
        self.scene.in_hand.lock().unwrap().remove(&callback.key);
        if fails {
            delivery.failed()
        } else {
            delivery.acked()
        };
        settled.push((callback, !fails));
    }

    /// Panics with the delivery in hand. No other callback of the document is handed out before it is dropped, so it is
    /// recorded in its order.
    fn die(&self, delivery: Delivery, callback: Arc<Callback>) {
        let died = catch_unwind(AssertUnwindSafe(|| {
            let _in_hand = delivery;
            self.scene.in_hand.lock().unwrap().remove(&callback.key);
            self.scene.settled.lock().unwrap().push((callback, false));
            // A panic without its message on the screen.
            resume_unwind(Box::new("the worker dies"));
        }));
        assert!(died.is_err());
        self.scene.deaths.fetch_add(1, SeqCst);
    }

    /// Asks this and that, as a storage may from inside its callback handler.
    fn dawdle(&mut self, engine: &Engine, callback: &Callback) {
        for _ in 0..self.random.below(10) {
            assert!(engine.editors(&callback.key).len() <= EDITORS * TABS);
            let _ = (engine.participants(&callback.key), engine.forgotten(), engine.next_deadline());
            thread::yield_now();
        }
        // An answer to an answer would never end.
        if callback.action.is_some() {
            let _ = engine.info(&callback.key, Some("from a worker"));
        }
        assert!(engine.is_outstanding(&callback.key));
    }
}

/// One engine through several phases.
struct Play {
    world: World,
    scene: Scene,
    stories: Stories,
    random: Random,
    statuses: BTreeMap<u8, usize>,
    forgotten: usize,
}

impl Play {
    fn new(seed: u64) -> Self {
        let pauses = [5, 20].map(Duration::from_millis);
        let world = World::new(|config| config.save_delay(Duration::from_millis(30)).retry_pauses(pauses));
        Play {
            scene: Scene::new(world.clock.clone()),
            world,
            stories: Stories::new(pauses.len()),
            random: Random::new(seed),
            statuses: BTreeMap::new(),
            forgotten: 0,
        }
    }

    fn phase(&mut self, phase: Phase) {
        let seed = self.random.next();
        let Play { scene, world, .. } = &*self;
        let World { engine, callbacks, notices, .. } = world;
        engine.set_edit_limit(phase.limits.first().copied()).unwrap();
        scene.done.store(false, SeqCst);
        thread::scope(|scope| {
            let editors: Vec<_> = (0..EDITORS)
                .map(|number| {
                    scope.spawn(move || {
                        let mut editor = Editor::new(scene, engine, phase, number, seed);
                        editor.operate();
                        editor.leave();
                    })
                })
                .collect();
            for manner in [Manner::Slow, Manner::Dies, Manner::Fails] {
                scope.spawn(move || Worker::new(scene, manner, phase.failing, seed).work(engine, callbacks));
            }
            scope.spawn(move || {
                loop {
                    let done = scene.done.load(SeqCst);
                    engine.validate().unwrap();
                    let in_use = engine.limits().edit.in_use;
                    assert!(in_use <= phase.most(), "P1: {in_use} seats");
                    assert!(engine.documents() <= DOCUMENTS && engine.forgotten().len() <= DOCUMENTS);
                    if done {
                        return;
                    }
                }
            });
            scope.spawn(move || {
                let mut random = Random::new(!seed);
                for _ in 0..MOVES {
                    scene.moment(*random.pick(&[1, 10, 40]));
                    engine.tick();
                    if random.one_in(4) {
                        engine.set_edit_limit(Some(*random.pick(phase.limits))).unwrap();
                    }
                    thread::yield_now();
                }
            });
            let ended: Vec<_> = editors.into_iter().map(thread::ScopedJoinHandle::join).collect();
            scene.done.store(true, SeqCst);
            for end in ended {
                end.unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
        notices.try_iter().for_each(drop);
        self.settle_the_rest(phase, seed);
        self.check();
    }

    /// Moves the clock until nothing is due and takes what there is.
    fn settle_the_rest(&self, phase: Phase, seed: u64) {
        let Play { scene, world, .. } = self;
        let mut workers =
            [Manner::Dies, Manner::Slow].map(|manner| Worker::new(scene, manner, phase.failing, seed));
        loop {
            for (turn, delivery) in world.callbacks.try_iter().enumerate() {
                workers[turn % 2].serve(Some(&world.engine), delivery);
            }
            let Some(due) = world.engine.next_deadline() else { break };
            assert!(due.as_millis() < START + ALL_MILLIS, "something is due again and again");
            scene.moments.fetch_max(due.as_millis() - START, SeqCst);
            world.clock.move_to(due);
            world.engine.tick();
        }
        assert!(world.callbacks.try_recv().is_err());
    }

    /// Everybody has left, and all that was to be told is settled.
    fn check(&mut self) {
        let engine = &self.world.engine;
        engine.validate().unwrap();
        for (callback, done) in std::mem::take(&mut *self.scene.settled.lock().unwrap()) {
            self.stories.settled(&callback, done);
            *self.statuses.entry(callback.status.number()).or_default() += 1;
        }
        self.stories.assert_balanced();
        let limits = engine.limits();
        assert_eq!((engine.documents(), limits.edit.in_use, limits.live.in_use), (0, 0, 0));
        assert_eq!(self.scene.held.load(SeqCst), 0);
        assert!(self.scene.in_hand.lock().unwrap().is_empty());
        let forgotten: Vec<DocumentKey> = engine.forgotten().into_iter().map(|one| one.key).collect();
        self.forgotten += forgotten.len();
        for (key, changed) in self.scene.keys.iter().zip(&self.scene.changed) {
            let changed = Timestamp::from_millis(changed.load(SeqCst));
            let saved = self.stories.saved(key);
            assert!(
                changed <= saved || changed == Timestamp::default() || forgotten.contains(key),
                "P5: {key} was changed at {changed}, saved at {saved}, and is not listed"
            );
            if forgotten.contains(key) && self.random.one_in(2) {
                engine.delete_forgotten(key).unwrap();
                changed_is_gone(&self.scene, key);
            }
        }
    }

    /// That the phases did what they are there for.
    fn assert_told(&self, statuses: &[u8]) {
        for status in statuses {
            assert!(self.statuses.contains_key(status), "no {status} in {:?}", self.statuses);
        }
        assert!(self.scene.deaths.load(SeqCst) > 0);
        assert!(self.scene.changed.iter().any(|changed| changed.load(SeqCst) > 0));
    }
}

/// Whoever deletes a forgotten document gives up its changes.
fn changed_is_gone(scene: &Scene, key: &DocumentKey) {
    let position = scene.keys.iter().position(|one| one == key).unwrap();
    scene.changed[position].store(0, SeqCst);
}

fn rounds(fewest: u64) -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    match number("COEDIT_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("COEDIT_SEEDS").unwrap_or(fewest)).collect(),
    }
}

#[test]
fn p1_the_limit_is_never_exceeded_nor_anybody_refused_below_it() {
    for seed in rounds(2) {
        let mut play = Play::new(seed);
        for limit in [&[3][..], &[1], &[2]] {
            play.scene.most_held.store(0, SeqCst);
            play.phase(Phase { limits: limit, ..CALM });
            assert_eq!(play.scene.most_held.load(SeqCst), limit[0], "the limit was reached");
        }
        // Whoever is in stays in past a lower limit, but never are there more than at the highest.
        play.phase(Phase { limits: &[3, 2, 1, 0], ..CALM });
        play.phase(Phase { limits: &[ROOM_FOR_ALL], ..CALM });
        play.assert_told(&[1, 2, 4]);
    }
}

#[test]
fn p4_the_story_of_every_document_holds_together_whatever_the_threads() {
    for seed in rounds(2) {
        let mut play = Play::new(seed);
        for limits in [&[3][..], &[3, 1], &[ROOM_FOR_ALL]] {
            play.phase(Phase { limits, wild: true, failing: 10 });
        }
        play.assert_told(&[1, 2, 4, 6]);
    }
}

#[test]
fn p5_every_change_among_threads_is_in_an_acknowledged_save_or_listed() {
    for seed in rounds(2) {
        let mut play = Play::new(seed);
        for failing in [50, 100, 80, 0] {
            play.phase(Phase { failing, wild: failing == 80, ..CALM });
        }
        play.assert_told(&[1, 2, 3, 4, 6, 7]);
        assert!(play.forgotten > 0);
    }
}

/// Threads that own handles of the engine go one after the other, with documents open and unsaved; workers that wait for
/// callbacks get every one and then the end.
#[test]
fn p5_when_the_last_thread_lets_go_workers_get_every_save_and_then_the_end() {
    // As often as nobody fails in a row.
    const RETRIES: usize = 64;
    for seed in rounds(5) {
        let world =
            World::new(|config| config.edit_limit(Some(3)).retry_pauses([Duration::from_millis(1); RETRIES]));
        let scene = Scene::new(world.clock.clone());
        let World { engine, callbacks, notices, .. } = world;
        thread::scope(|scope| {
            for number in 0..EDITORS {
                let (scene, engine) = (&scene, engine.clone());
                scope.spawn(move || {
                    let mut editor = Editor::new(scene, &engine, Phase { wild: true, ..CALM }, number, seed);
                    editor.operate();
                    // Those who go last go by the end of their handles alone.
                    for tab in editor.open.drain(..).skip(number % 2) {
                        let _ = tab.connection.into_id();
                    }
                });
            }
            drop(engine);
            for manner in [Manner::Slow, Manner::Dies, Manner::Fails] {
                let (scene, callbacks) = (&scene, &callbacks);
                scope.spawn(move || {
                    let mut worker = Worker::new(scene, manner, 25, seed);
                    callbacks.iter().for_each(|delivery| worker.serve(None, delivery));
                });
            }
        });
        let mut stories = Stories::new(RETRIES);
        for (callback, done) in scene.settled.into_inner().unwrap() {
            assert!(!matches!(callback.status, Status::SaveFailed | Status::ForceSaveFailed), "{callback:?}");
            stories.settled(&callback, done);
        }
        stories.assert_balanced();
        for (key, changed) in scene.keys.iter().zip(&scene.changed) {
            let changed = changed.load(SeqCst);
            assert!(changed > 0 && stories.saved(key).as_millis() >= changed, "P5: {key} at {changed}");
        }
        assert!(notices.iter().count() < OPERATIONS * EDITORS * TABS, "they end");
    }
}
