//! A host that stops at a random moment, by a shutdown or by the drop of the last handle, while its storage acknowledges,
//! fails, hangs and answers late. In the end every change is in an acknowledged save, or its document is listed, and no
//! document is listed without reason. While a worker is free for saves, none waits longer than the save patience.
//!
//! `COEDIT_SEEDS=10000 cargo test --release --test stops` runs 10000 worlds. `COEDIT_SEED=7` runs only world 7. A failure
//! prints its seed.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, Answered, Callback, Callbacks, Clock, Config, Connection, ConnectionId, Delivery, DocumentKey,
    Engine, ManualClock, Notice, OpenError, Report, Status, Timestamp, TryRecvError, User,
};
use crossbeam_channel::Receiver;
use support::random::Random;
use support::replay::{Dues, Replay};
use support::{Settle, World, key, seconds, summary, user};

const USERS: usize = 4;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The tests' own book of one document.
#[derive(Debug, Default)]
struct Book {
    /// The time of the last change. Each has a time of its own.
    changed: Timestamp,
    /// The time of the last change that any acknowledged save holds.
    held: Timestamp,
    /// The time of the last change in an acknowledged save of status 2 after whose hand-out nobody edited.
    closed: Timestamp,
    /// The step in which somebody was granted edit access last.
    granted: usize,
}

/// What an open connection is, and a handle of it if it has one.
struct Tab {
    id: ConnectionId,
    handle: Option<Connection>,
    document: usize,
    access: Access,
}

/// A callback that a worker has, or had until it ran out.
struct InHand {
    delivery: Delivery,
    /// When it runs out. `None` if it has any time.
    deadline: Option<Timestamp>,
    hangs: bool,
    /// The step in which it was handed out.
    taken: usize,
}

struct Host {
    random: Random,
    step: usize,
    clock: Arc<ManualClock>,
    /// `None` once the last handle is dropped.
    engine: Option<Engine>,
    callbacks: Callbacks,
    saves: Callbacks,
    notices: Receiver<Notice>,
    keys: Vec<DocumentKey>,
    users: Vec<User>,
    tabs: Vec<Tab>,
    ack_timeout: Option<Duration>,
    /// The time that the stop leaves.
    deadline: Duration,
    /// Whether a worker for saves alone takes them at once.
    has_free_worker: bool,
    /// The percentages of callbacks with which the storage fails, and which it answers late or never.
    failing: usize,
    hanging: usize,
    in_hand: Vec<InHand>,
    books: Vec<Book>,
    replay: Replay,
    dues: Dues,
    /// The documents of which a closing was handed out since the last editor left.
    closings: BTreeSet<DocumentKey>,
    /// So many saves of status 2 were acknowledged in time since the stop.
    saved: usize,
    stopped: bool,
    /// When the engine last ran what was due.
    ticked: Timestamp,
}

impl Host {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let retries: &[u64] =
            random.pick::<&[u64]>(&[&[], &[1_000], &[1_000, 2_000, 4_000, 60_000], &[0, 100]]);
        let pauses: Vec<Duration> = retries.iter().copied().map(millis).collect();
        let ack_timeout = random.pick(&[None, Some(1), Some(2_000), Some(60_000)]).map(millis);
        let patience = millis(*random.pick(&[0, 500, 5_000, 60_000]));
        let save_delay = millis(*random.pick(&[0, 3_000, 10_000]));
        let deadline = millis(*random.pick(&[0, 200, 3_000, 30_000, 120_000, 10_000_000]));
        let interval = random.pick(&[None, None, Some(4_000)]).map(millis);
        let documents = *random.pick(&[1, 1, 2, 5]);
        let World { engine, clock, callbacks, notices } = World::new(|config: Config| {
            let config = config.retry_pauses(pauses.clone()).ack_timeout(ack_timeout).drop_deadline(deadline);
            config.save_patience(patience).save_delay(save_delay).force_save_interval(interval)
        });
        Host {
            step: 0,
            saves: engine.save_callbacks(),
            engine: Some(engine),
            clock,
            callbacks,
            notices,
            keys: (0..documents).map(|number| key(&format!("document-{number}"))).collect(),
            users: (0..USERS).map(|number| user(&format!("user-{number}"))).collect(),
            tabs: Vec::new(),
            ack_timeout,
            deadline,
            has_free_worker: random.one_in(2),
            failing: 0,
            hanging: 0,
            in_hand: Vec::new(),
            books: (0..documents).map(|_| Book::default()).collect(),
            replay: Replay::new(pauses.len()),
            dues: Dues::new(save_delay, patience),
            closings: BTreeSet::new(),
            saved: 0,
            stopped: false,
            ticked: Timestamp::default(),
            random,
        }
    }

    fn run(mut self) {
        for _ in 0..10 + self.random.below(150) {
            self.step();
            self.pass(0);
        }
        let until = self.stop();
        while self.callbacks.report().is_none() {
            self.step += 1;
            if self.random.one_in(3) {
                let time = *self.random.pick(&[1, 100, 1_000, 5_000, 60_000]);
                self.pass(time);
            }
            self.work();
        }
        self.check_end(until);
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("the host runs")
    }

    fn step(&mut self) {
        self.step += 1;
        match self.random.below(20) {
            0..5 => self.open(),
            5..8 => self.close(),
            8..12 => self.change(),
            12 => self.command(),
            13 => self.drop_access(),
            14..16 => {
                let time = *self.random.pick(&[10, 1_000, 4_000, 12_000, 70_000]);
                self.pass(time);
            }
            16 => {
                self.failing = *self.random.pick(&[0, 0, 20, 60, 100]);
                self.hanging = *self.random.pick(&[0, 0, 20, 60, 100]);
            }
            _ => self.work(),
        }
    }

    fn open(&mut self) {
        let document = self.random.below(self.keys.len());
        let asked = *self.random.pick(&[Access::Edit, Access::Edit, Access::Edit, Access::View]);
        let user = self.random.pick(&self.users).clone();
        let connection = self.engine().open(&self.keys[document], &user, asked).unwrap();
        let access = connection.granted().access;
        let (id, handle) = if self.random.one_in(2) {
            (connection.id(), Some(connection))
        } else {
            (connection.into_id(), None)
        };
        self.tabs.push(Tab { id, handle, document, access });
        if access == Access::Edit {
            self.books[document].granted = self.step;
            self.dues.is_no_longer_due(&self.keys[document]);
        }
    }

    fn close(&mut self) {
        if self.tabs.is_empty() {
            return;
        }
        let chosen = self.random.below(self.tabs.len());
        let Tab { id, handle, document, access } = self.tabs.swap_remove(chosen);
        match handle {
            Some(handle) => drop(handle),
            None => self.engine().close(id).unwrap(),
        }
        if access == Access::Edit {
            self.editor_left(document, false);
        }
    }

    /// If it was the last editor, a save or a closing is due, `at_once` or after the save delay.
    fn editor_left(&mut self, document: usize, at_once: bool) {
        let edits = |tab: &Tab| tab.document == document && tab.access == Access::Edit;
        if !self.tabs.iter().any(edits) {
            self.closings.remove(&self.keys[document]);
            let is_unsaved = self.is_unsaved(document);
            self.dues.last_editor_left(&self.keys[document], self.now(), at_once || !is_unsaved);
        }
    }

    fn is_unsaved(&self, document: usize) -> bool {
        self.engine().unsaved().iter().any(|one| one.key == self.keys[document])
    }

    fn change(&mut self) {
        if self.tabs.is_empty() {
            return;
        }
        self.clock.advance(millis(1));
        let Tab { id, document, access, .. } = *self.random.pick(&self.tabs);
        let accepted = self.engine().change(id).is_ok();
        assert_eq!(accepted, access == Access::Edit);
        if accepted {
            self.books[document].changed = self.now();
        }
    }

    fn command(&mut self) {
        let document = self.random.below(self.keys.len());
        let (key, now) = (self.keys[document].clone(), self.now());
        match self.random.below(4) {
            0 => drop(self.engine().info(&key, Some("a question"))),
            1 => drop(self.engine().force_save(&key, None)),
            2 if self.engine().retry_forgotten(&key).is_ok() => {
                self.closings.remove(&key);
                self.dues.last_editor_left(&key, now, true);
            }
            _ => {
                self.engine().drain();
                self.engine().undrain();
                self.dues.skip_delays(now);
            }
        }
    }

    fn drop_access(&mut self) {
        let document = self.random.below(self.keys.len());
        let key = self.keys[document].clone();
        let Ok(dropped) = self.engine().drop_all(&key) else { return };
        for tab in self.tabs.iter_mut().filter(|tab| dropped.connections.contains(&tab.id)) {
            tab.access = Access::View;
        }
        if !dropped.connections.is_empty() {
            self.editor_left(document, true);
        }
        self.dues.skip_delay(&key, self.now());
    }

    /// Lets time pass, and runs what is due.
    fn pass(&mut self, time: u64) {
        self.clock.advance(millis(time));
        match &self.engine {
            Some(engine) => drop(engine.tick()),
            // With no handle left, a receiver runs what is due.
            None => drop(self.take_from(true)),
        }
        self.ticked();
        if self.has_free_worker {
            while self.take_from(true) {}
            self.check_waiting();
        }
    }

    /// The engine ran what is due. What a worker has may have run out, and a save may go before everything of its document.
    fn ticked(&mut self) {
        let now = self.now();
        let ran_out = self.in_hand.iter().filter(|one| one.deadline.is_some_and(|deadline| deadline <= now));
        for InHand { delivery, .. } in ran_out {
            let key = &delivery.callback().key;
            if self.replay.in_hand(key) == Some(delivery.number()) {
                let was_due = self.dues.is_due(key, self.ticked) && !self.closings.contains(key);
                fails(&mut self.replay, (was_due, self.dues.is_due(key, now)), key);
            }
        }
        self.dues.overdue(now).for_each(|key| self.replay.may_supersede(key));
        self.ticked = now;
    }

    /// No save and no closing has been due for the save patience without being handed out: a worker was free.
    fn check_waiting(&self) {
        let waiting: Vec<_> =
            self.dues.overdue(self.now()).filter(|key| !self.closings.contains(*key)).collect();
        let is_over = self.callbacks.report().is_some();
        assert!(is_over || waiting.is_empty(), "{waiting:?} waited for more than {:?}", self.dues.patience);
    }

    /// Workers take some callbacks and settle some of those that they have.
    fn work(&mut self) {
        for _ in 0..self.random.below(4) {
            let saves_only = self.random.one_in(3);
            self.take_from(saves_only);
        }
        for _ in 0..self.random.below(4) {
            if self.in_hand.is_empty() {
                return;
            }
            let chosen = self.random.below(self.in_hand.len());
            if self.random.one_in(5) {
                self.extend(chosen);
            } else if !self.in_hand[chosen].hangs || self.random.one_in(10) {
                let in_hand = self.in_hand.swap_remove(chosen);
                self.settle(in_hand);
            }
        }
    }

    /// A worker takes a callback. Returns true if there was one.
    fn take_from(&mut self, saves_only: bool) -> bool {
        let taken = if saves_only { self.saves.try_recv() } else { self.callbacks.try_recv() };
        if self.engine.is_none() {
            self.ticked();
        }
        let Ok(delivery) = taken else { return false };
        let Callback { key, status, action, .. } = delivery.callback();
        assert!(!saves_only || matches!(status, Status::Save | Status::SaveFailed | Status::Closed));
        self.replay.taken(&delivery);
        if *status == Status::Save {
            self.dues.is_no_longer_due(key);
        }
        if *status == Status::Closed && action.is_some() {
            self.closings.insert(key.clone());
        }
        let deadline = self.ack_timeout.map(|timeout| self.now().after(timeout));
        let hangs = self.random.below(100) < self.hanging;
        self.in_hand.push(InHand { delivery, deadline, hangs, taken: self.step });
        true
    }

    fn extend(&mut self, chosen: usize) {
        let now = self.now();
        let InHand { delivery, deadline, .. } = &mut self.in_hand[chosen];
        let time = millis(*self.random.pick(&[1, 2_000, 100_000]));
        if delivery.extend(time) {
            *deadline = deadline.map(|deadline| deadline.max(now.after(time)));
        }
    }

    fn settle(&mut self, in_hand: InHand) {
        let InHand { mut delivery, taken, .. } = in_hand;
        let (callback, number) = (delivery.callback().clone(), delivery.number());
        if self.callbacks.report().is_some() {
            assert_eq!(delivery.ack(), Answered::Late, "the engine has ended");
            return;
        }
        if self.random.one_in(4) {
            delivery.kept_at("kept").unwrap();
        }
        if self.random.below(100) < self.failing {
            let counts = delivery.deadline().is_some();
            if self.random.one_in(3) {
                // The worker panics.
                drop(delivery);
            } else {
                assert_eq!(delivery.fail(), if counts { Answered::InTime } else { Answered::Late });
            }
            if counts {
                let key = &callback.key;
                let was_due = self.dues.is_due(key, self.ticked) && !self.closings.contains(key);
                let is_due = self.dues.is_due(key, self.now());
                fails(&mut self.replay, (was_due, is_due), key);
            }
            return;
        }
        let kept = self.random.one_in(3);
        let answered = if kept { delivery.ack_kept() } else { delivery.ack() };
        self.replay.answered(&callback, Some(number), answered);
        self.write_down(&callback, (answered, kept), taken);
    }

    /// Enters an acknowledgement that counts in the book.
    fn write_down(&mut self, callback: &Callback, (answered, kept): (Answered, bool), taken: usize) {
        let Callback { key, status, lastsave, .. } = callback;
        let document = self.keys.iter().position(|one| one == key).unwrap();
        let book = &mut self.books[document];
        let holds = match status {
            Status::Save | Status::ForceSave => answered != Answered::Late,
            Status::SaveFailed => kept && answered == Answered::InTime,
            _ => false,
        };
        if !holds {
            return;
        }
        let lastsave = lastsave.expect("a save has the time of its last change");
        book.held = book.held.max(lastsave);
        self.replay.needs_no_save(key, lastsave);
        if *status == Status::Save && taken >= book.granted {
            book.closed = book.closed.max(lastsave);
            self.dues.is_no_longer_due(key);
        }
        self.saved += usize::from(self.stopped && *status == Status::Save && answered == Answered::InTime);
    }

    /// Stops the host. Returns when the engine ends at the latest.
    fn stop(&mut self) -> Timestamp {
        let now = self.now();
        let tabs = std::mem::take(&mut self.tabs);
        for tab in tabs.iter().filter(|tab| tab.access == Access::Edit) {
            self.closings.remove(&self.keys[tab.document]);
            self.dues.last_editor_left(&self.keys[tab.document], now, true);
        }
        self.dues.skip_delays(now);
        self.dues.patience = self.dues.patience.min(self.deadline / 4);
        self.replay.pauses_begin_again();
        self.stopped = true;
        self.notices.try_iter().for_each(drop);
        let count = tabs.len();
        let handles = tabs.iter().filter(|tab| tab.handle.is_some()).count();
        let drops = self.random.one_in(2);
        let told = if drops {
            // The last handle may be a connection's. Those that are dropped close by themselves.
            self.engine = None;
            drop(tabs);
            count - handles
        } else {
            let shutdown = self.engine().begin_shutdown(self.deadline);
            let time = seconds(*self.random.pick(&[0, 1_000_000]));
            assert_eq!(self.engine().begin_shutdown(time).report(), shutdown.report());
            let opened = self.engine().open(&self.keys[0], &self.users[0], Access::View);
            assert_eq!(opened.err(), Some(OpenError::ShutDown));
            count
        };
        let closed = |notice: &Notice| matches!(notice, Notice::Disconnected { .. });
        assert_eq!(self.notices.try_iter().filter(closed).count(), told);
        now.after(self.deadline)
    }

    fn check_end(&mut self, until: Timestamp) {
        let report = self.callbacks.report().expect("the engine has ended");
        for receiver in [&self.callbacks, &self.saves] {
            assert_eq!(receiver.try_recv().err(), Some(TryRecvError::Disconnected));
        }
        let keys = |report: &Report| {
            let unsaved: Vec<DocumentKey> = report.unsaved.iter().map(|one| one.key.clone()).collect();
            let forgotten: Vec<DocumentKey> = report.forgotten.iter().map(|one| one.key.clone()).collect();
            (unsaved, forgotten)
        };
        let (unsaved, forgotten) = keys(&report);
        assert!(unsaved.is_sorted() && forgotten.is_sorted());
        let listed: BTreeSet<&DocumentKey> = unsaved.iter().chain(&forgotten).collect();
        assert_eq!(listed.len(), unsaved.len() + forgotten.len(), "no document is in both lists: {report:?}");
        for (key, book) in self.keys.iter().zip(&self.books) {
            if listed.contains(key) {
                assert!(book.changed > book.closed, "{key} is listed, and saved: {book:?}");
            } else {
                assert!(book.changed <= book.held, "P5: {key} is neither saved nor listed: {book:?}");
            }
        }
        assert!(report.saved >= self.saved, "{} of {}", report.saved, self.saved);
        if self.now() < until {
            assert!(unsaved.is_empty(), "it ended early: {unsaved:?}");
            self.replay.assert_balanced();
        }
        // Nothing counts any more.
        for InHand { delivery, .. } in self.in_hand.drain(..) {
            assert_eq!(delivery.deadline(), None);
            assert!(!delivery.extend(seconds(1)));
            assert_eq!(delivery.ack(), Answered::Late);
        }
        self.clock.advance(seconds(1_000_000));
        if let Some(engine) = &self.engine {
            engine.tick();
            engine.validate().unwrap();
            assert_eq!(engine.next_deadline(), None);
            let left: Vec<DocumentKey> = engine.unsaved().into_iter().map(|one| one.key).collect();
            assert_eq!(left, listed.into_iter().cloned().collect::<Vec<_>>(), "the report is final");
            assert_eq!(engine.forgotten(), report.forgotten, "the report is final");
        }
        assert_eq!(self.callbacks.report(), Some(report), "the report is final");
    }
}

/// A callback that a worker has failed or ran out. A save that was due goes before it then, and one that falls due in the
/// same moment may.
fn fails(replay: &mut Replay, (was_due, is_due): (bool, bool), key: &DocumentKey) {
    replay.failed(key);
    if was_due {
        replay.must_supersede(key);
    } else if is_due {
        replay.may_supersede(key);
    }
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    match number("COEDIT_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("COEDIT_SEEDS").unwrap_or(500)).collect(),
    }
}

#[test]
fn p5_a_host_that_stops_at_any_moment_loses_no_save() {
    for seed in seeds() {
        std::panic::catch_unwind(|| Host::new(seed).run()).unwrap_or_else(|panic| {
            eprintln!("the world with COEDIT_SEED={seed} broke a promise");
            std::panic::resume_unwind(panic)
        });
    }
}

/// Lets ann join, change and force save `doc`, and leave. Returns the force save in the hands of a worker.
fn force_saved_and_left(world: &World) -> Delivery {
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(summary(&world.ack()), "1 +ann [ann]");
    world.engine.force_save(&key("doc"), None).unwrap();
    let forced = world.take();
    assert_eq!(forced.callback().status, Status::ForceSave);
    forced
}

#[test]
fn p5_a_force_save_that_is_acknowledged_late_takes_the_place_of_no_save() {
    let world = World::plain();
    let forced = force_saved_and_left(&world);
    world.pass(seconds(10));
    world.pass(seconds(5));
    let save = world.take();
    assert_eq!(summary(save.callback()), "2 -ann [ann]", "it went before the force save");
    assert_eq!(forced.ack(), Answered::LateSave);
    world.engine.validate().unwrap();
    assert!(save.deadline().is_some());
    assert_eq!(save.ack(), Answered::InTime);
    assert!(world.engine.unsaved().is_empty());
    assert!(world.edit("doc", "ben").may_edit());
}

#[test]
fn a_closing_that_fails_is_told_again_though_others_came_and_went() {
    let bounds = coedit::Bounds { waiting_actions: 1, ..coedit::Bounds::default() };
    for time_out in [false, true] {
        let world = World::new(|config| config.bounds(bounds));
        let ann = world.edit("doc", "ann");
        assert_eq!(summary(&world.ack()), "1 +ann [ann]");
        drop(ann);
        drop(world.edit("doc", "ben"));
        let closing = world.take();
        assert_eq!(summary(closing.callback()), "4 -ann");
        if time_out {
            world.pass(seconds(5));
            assert!(closing.deadline().is_some(), "nothing goes before it");
            world.pass(seconds(55));
            assert_eq!(closing.ack(), Answered::Late);
        } else {
            closing.fail();
        }
        world.pass(seconds(1));
        assert_eq!(world.acknowledge_all(), ["4 -ann"]);
        assert!(world.engine.remaining().documents.is_empty());
    }
}

#[test]
fn changes_of_a_superseded_force_save_get_a_timed_one_if_an_editor_comes_back() {
    let world = World::new(|config| config.force_save_interval(Some(seconds(20))).ack_timeout(None));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    assert_eq!(summary(&world.ack()), "1 +ann [ann]");
    world.pass(seconds(20));
    let _hangs = world.take();
    drop(ann);
    world.pass(seconds(10));
    world.pass(seconds(5));
    let _ben = world.edit("doc", "ben");
    assert_eq!(world.acknowledge_all(), ["1 -ann []", "1 +ben [ben]"]);
    world.pass(seconds(20));
    assert_eq!(world.acknowledge_all(), ["6 [ann]"]);
}

#[test]
fn p4_a_timed_force_save_with_nothing_left_to_hold_hides_no_leave() {
    let bounds = coedit::Bounds { waiting_actions: 1, ..coedit::Bounds::default() };
    let world = World::new(|config| {
        let config = config.bounds(bounds).retry_pauses([]).save_delay(seconds(0));
        config.force_save_interval(Some(seconds(4)))
    });
    let one = world.edit("doc", "ann");
    one.change().unwrap();
    assert_eq!(summary(&world.ack()), "1 +ann [ann]");
    world.pass(seconds(4));
    let late = world.take();
    assert_eq!(late.callback().status, Status::ForceSave);
    let other = world.edit("doc", "ann");
    world.pass(seconds(60));
    // The next timed force save waits after the second join. There is no room for a leave.
    world.pass(seconds(4));
    drop(one);
    assert_eq!(late.ack(), Answered::LateSave);
    drop(other);
    assert_eq!(world.acknowledge_all(), ["1 +ann [ann]", "1 -ann [ann]", "2 -ann [ann]"]);
}

#[test]
fn p5_a_save_of_a_forgotten_document_that_is_acknowledged_late_needs_no_other() {
    let world = World::new(|config| config.retry_pauses([]));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    world.ack();
    drop(ann);
    world.pass(seconds(10));
    let late = world.take();
    assert_eq!(late.callback().status, Status::Save);
    world.pass(seconds(60));
    assert_eq!(world.acknowledge_all(), ["3 -ann [ann]"]);
    world.engine.retry_forgotten(&key("doc")).unwrap();
    assert_eq!(late.ack(), Answered::LateSave);
    assert!(world.engine.unsaved().is_empty() && world.engine.forgotten().is_empty());
    assert_eq!(world.acknowledge_all(), [""; 0]);
    assert_eq!(world.engine.documents(), 0);
}

#[test]
fn a_second_shutdown_takes_no_patience_away() {
    let world = World::plain();
    world.edit("doc", "ann").change().unwrap();
    let joined = world.take();
    let shutdown = world.engine.begin_shutdown(seconds(20));
    world.engine.begin_shutdown(seconds(0));
    world.pass(seconds(4));
    assert!(joined.deadline().is_some());
    assert_eq!(joined.ack(), Answered::InTime);
    assert_eq!(world.acknowledge_all(), ["2 -ann [ann]"]);
    assert!(shutdown.report().unwrap().is_complete());
}

#[test]
fn p5_a_shutdown_waits_for_the_save_of_a_forgotten_document_that_is_tried_again() {
    let world = World::new(|config| config.retry_pauses([]));
    let ann = world.edit("doc", "ann");
    ann.change().unwrap();
    world.ack();
    drop(ann);
    world.pass(seconds(10));
    world.take().fail();
    assert_eq!(world.acknowledge_all(), ["3 -ann [ann]"]);
    world.engine.retry_forgotten(&key("doc")).unwrap();
    let shutdown = world.engine.begin_shutdown(seconds(20));
    assert_eq!(world.acknowledge_all(), ["2 [ann]"]);
    assert!(shutdown.report().unwrap().is_complete());
}

/// Documents are stopped in the order in which they were told, so that a report is the same in every run.
#[test]
fn p9_the_same_stop_gives_the_same_report() {
    let run = || {
        let world = World::plain();
        let mut told = BTreeMap::new();
        for document in ["a", "b", "c"] {
            world.edit(document, "ann").change().unwrap();
        }
        let shutdown = world.engine.begin_shutdown(seconds(20));
        while let Ok(delivery) = world.callbacks.try_recv() {
            let number = delivery.number();
            told.insert(number, summary(&delivery.failed()));
        }
        world.pass(seconds(20));
        (told, shutdown.report().map(|report| format!("{report:?}")))
    };
    assert_eq!(run(), run());
}
