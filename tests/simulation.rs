//! Seeded simulations on a manual clock. Thousands of users join, change documents and lose their connections. Workers
//! stall and die, the storage fails, hangs, answers late and recovers, and all limits change. The simulation checks the
//! promises after every step. It ends as everybody leaves, or in the middle, by a shutdown or a drop of the last handle.
//!
//! `COEDIT_SEEDS=1000 cargo test --release --test simulation` runs 1000 seeds. `COEDIT_SEED=7` runs only seed 7. A failure
//! prints its seed.

mod support;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, Answered, Bounds, Callback, Callbacks, Clock, Config, Connection, Delivery, DocumentKey, Engine,
    Notice, Reason, Report, Status, Timestamp, TryRecvError, User,
};
use support::World;
use support::crowd::{Crowd, Tab};
use support::random::Random;
use support::replay::{Dues, Replay};

/// The size of a simulation, and how its storage behaves now.
struct Conditions {
    documents: usize,
    users: usize,
    steps: usize,
    /// True while the workers take no callback.
    stalled: bool,
    /// The percentage of callbacks that fail now.
    failing: usize,
    /// The percentage of callbacks that the storage answers late now, or never.
    hanging: usize,
}

/// A callback that a worker has, or had until it ran out.
struct InHand {
    delivery: Delivery,
    /// When it runs out. `None` if it has any time.
    deadline: Option<Timestamp>,
    hangs: bool,
}

/// How a simulation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Every connection closes, and every callback is settled.
    Closes,
    ShutsDown,
    /// The last handle of the engine is dropped.
    Drops,
}

struct Simulation {
    random: Random,
    conditions: Conditions,
    world: World,
    /// Takes saves and closings alone.
    saves: Callbacks,
    ack_timeout: Option<Duration>,
    /// The time that a shutdown or the last drop leaves.
    stop_deadline: Duration,
    keys: Vec<DocumentKey>,
    users: Vec<User>,
    /// The open connections, as opens, closes and drops report them.
    crowd: Crowd,
    /// The time of the last accepted change of each document.
    changed: BTreeMap<usize, Timestamp>,
    in_hand: Vec<InHand>,
    replay: Replay,
    dues: Dues,
    /// The saves that the storage acknowledged and of which no notice was read yet.
    saved: Vec<(DocumentKey, Status)>,
    /// A hash of everything that a host can observe.
    fingerprint: DefaultHasher,
    draining: bool,
    /// True once the last handle of the engine is dropped.
    is_dropped: bool,
}

fn pauses(random: &mut Random) -> Vec<Duration> {
    let seconds: &[u64] = random.pick::<&[u64]>(&[&[], &[1, 3], &[1, 2, 4, 8, 16, 32, 60, 60], &[0, 30]]);
    seconds.iter().copied().map(Duration::from_secs).collect()
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let sizes = [(1, 3, 800), (3, 12, 1_500), (40, 200, 2_000), (400, 3_000, 4_000)];
        let (documents, users, steps) = *random.pick(&sizes);
        let crowd = Crowd::new(&mut random);
        let bounds = Bounds {
            waiting_actions: *random.pick(&[1, 3, 8, 1024]),
            waiting_documents: *random.pick(&[1, 10, 65_536]),
            asked: *random.pick(&[1, 64]),
            turns: *random.pick(&[1, 100]),
            ..Bounds::default()
        };
        let pauses = pauses(&mut random);
        let interval = *random.pick(&[None, Some(Duration::from_secs(7))]);
        let ack_timeout = random.pick(&[None, Some(1), Some(2_000), Some(60_000)]).map(Duration::from_millis);
        let patience = Duration::from_millis(*random.pick(&[0, 500, 5_000, 60_000]));
        let save_delay = Duration::from_millis(*random.pick(&[0, 3_000, 10_000]));
        let stop_deadline = Duration::from_millis(*random.pick(&[0, 1_000, 10_000, 60_000, 1_000_000]));

        let world = World::new(|config| {
            let config = crowd.config(config).bounds(bounds).force_save_interval(interval);
            let config = config.retry_pauses(pauses.clone()).ack_timeout(ack_timeout);
            config.save_patience(patience).save_delay(save_delay).drop_deadline(stop_deadline)
        });
        Simulation {
            random,
            conditions: Conditions { documents, users, steps, stalled: false, failing: 0, hanging: 0 },
            saves: world.engine.save_callbacks(),
            world,
            ack_timeout,
            stop_deadline,
            keys: (0..documents).map(|n| support::key(&format!("document-{n}"))).collect(),
            users: (0..users).map(|n| support::user(&format!("user-{n}"))).collect(),
            crowd,
            changed: BTreeMap::new(),
            in_hand: Vec::new(),
            replay: Replay::new(pauses.len()),
            dues: Dues::new(save_delay, patience),
            saved: Vec::new(),
            fingerprint: DefaultHasher::new(),
            draining: false,
            is_dropped: false,
        }
    }

    fn run(mut self) -> u64 {
        let end = *self.random.pick(&[End::Closes, End::Closes, End::ShutsDown, End::Drops]);
        let steps = match end {
            End::Closes => self.conditions.steps,
            End::ShutsDown | End::Drops => self.random.below(self.conditions.steps),
        };
        for step in 0..steps {
            self.step();
            self.check();
            // These two checks take time in proportion to the open connections.
            if self.crowd.tabs.len() < 20 || step % 64 == 0 {
                self.world.engine.validate().unwrap();
                self.crowd.check_holders(&self.world.engine);
            }
        }
        match end {
            End::Closes => self.close_everything(),
            End::ShutsDown | End::Drops => self.stop(end),
        }
    }

    fn record(&mut self, what: impl Hash) {
        what.hash(&mut self.fingerprint);
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..30 => self.open(),
            30..42 => self.close(),
            42..65 => self.change(),
            65..67 => self.send_command(),
            67..68 => self.look_after_forgotten(),
            68..70 => self.drop_access(),
            70..71 => self.change_conditions(),
            71..73 => self.crowd.change_a_limit(&mut self.random, &self.world.engine),
            73..82 => self.pass(),
            _ => self.work(),
        }
    }

    fn open(&mut self) {
        let (document, user) =
            (self.random.below(self.conditions.documents), self.random.below(self.conditions.users));
        let asked =
            *self.random.pick(&[Access::Edit, Access::Edit, Access::Edit, Access::LiveView, Access::View]);
        let (key, engine, now) = (&self.keys[document], &self.world.engine, self.world.clock.now());
        let user_of_open = &self.users[user];
        let expected = self.random.one_in(2).then(|| engine.would_admit(key, user_of_open.id(), asked));
        let opened = engine.open(key, user_of_open, asked);
        let answer = opened.as_ref().map(Connection::granted).map_err(|error| *error);
        assert_eq!(expected.unwrap_or(answer), answer);
        self.crowd.check_open((document, user, asked), now, answer);
        self.record((document, answer.is_ok()));
        let Ok(connection) = opened else { return };
        let (grant, id) = (connection.granted(), connection.into_id());
        match grant.reason {
            Some(Reason::Saving) => {
                assert_eq!(self.replay.status_in_hand(&self.keys[document]), Some(Status::Save));
            }
            Some(Reason::Draining) => assert!(self.draining),
            _ => {}
        }
        let present = self.world.engine.participants(&self.keys[document]);
        assert!(
            present.iter().any(|one| one.user.id() == self.users[user].id()),
            "P2: the user is a participant"
        );
        self.crowd.opened(Tab { id, document, user, access: grant.access }, now);
        if grant.access == Access::Edit {
            self.dues.is_no_longer_due(&self.keys[document]);
        }
        self.record((grant.access, grant.reason));
    }

    fn close(&mut self) {
        if self.crowd.tabs.is_empty() {
            return;
        }
        let chosen = self.random.below(self.crowd.tabs.len());
        let Tab { id, document, access, .. } = self.crowd.tabs.swap_remove(chosen);
        let lost = self.random.one_in(3);
        if lost {
            self.world.engine.lost(id).unwrap();
        } else {
            self.world.engine.close(id).unwrap();
        }
        assert!(self.world.engine.close(id).is_err(), "a connection closes only once");
        if access == Access::Edit {
            self.editor_left(document, self.draining);
        }
    }

    /// An editor left. Its document may have a save or a closing now, which is due `at_once` or after the save delay.
    fn editor_left(&mut self, document: usize, at_once: bool) {
        let edits = |tab: &Tab| tab.document == document && tab.access == Access::Edit;
        if !self.crowd.tabs.iter().any(edits) {
            let key = &self.keys[document];
            let is_unsaved = self.world.engine.unsaved().iter().any(|one| one.key == *key);
            self.dues.last_editor_left(key, self.world.clock.now(), at_once || !is_unsaved);
        }
    }

    /// The host deletes a document from the list of forgotten ones, or has its save tried again.
    fn look_after_forgotten(&mut self) {
        let forgotten = self.world.engine.forgotten();
        if forgotten.is_empty() {
            return;
        }
        let key = &self.random.pick(&forgotten).key;
        let document = self.keys.iter().position(|one| one == key).unwrap();
        if self.random.one_in(2) {
            self.world.engine.delete_forgotten(key).unwrap();
            if !self.world.engine.unsaved().iter().any(|one| one.key == *key) {
                self.replay.needs_no_save(key, self.changed[&document]);
            }
        } else if self.world.engine.retry_forgotten(key).is_ok() {
            self.dues.last_editor_left(key, self.world.clock.now(), true);
        }
    }

    fn change(&mut self) {
        if self.crowd.tabs.is_empty() {
            return;
        }
        // Every change has a time of its own, so the time in a save identifies its last change.
        self.world.clock.advance(Duration::from_millis(1));
        let Tab { id, document, access, .. } = *self.random.pick(&self.crowd.tabs);
        let accepted = self.world.engine.change(id).is_ok();
        assert_eq!(accepted, access == Access::Edit, "P3: only edit access may change a document");
        if accepted {
            self.changed.insert(document, self.world.clock.now());
        }
    }

    fn send_command(&mut self) {
        let document = self.random.below(self.conditions.documents);
        let key = &self.keys[document];
        let editors = self.world.engine.editors(key);
        let answer = self.world.engine.is_open(key).then(|| editors.clone());
        let info = self.world.engine.info(key, Some("for the simulation"));
        assert_eq!(info.ok(), answer, "P7: a question about an open document is answered, whatever waits");
        let forced = self.world.engine.force_save(key, None).map_err(|error| error.code().number());
        self.record((editors.len(), forced));
    }

    fn drop_access(&mut self) {
        let document = self.random.below(self.conditions.documents);
        let key = self.keys[document].clone();
        let user = self.random.pick(&self.users).id().clone();
        let (document, dropped) = match self.random.below(3) {
            0 => (document, self.world.engine.drop_all(&key).unwrap_or_default()),
            1 => (document, self.world.engine.drop_users(&key, &[user]).unwrap_or_default()),
            _ => match self.crowd.tabs.first() {
                Some(tab) => (tab.document, self.world.engine.drop_connection(tab.id).unwrap()),
                None => return,
            },
        };
        let edits = |tab: &Tab| tab.access == Access::Edit && dropped.connections.contains(&tab.id);
        let was_edited = self.crowd.tabs.iter().any(edits);
        self.crowd.dropped(&dropped.connections);
        if was_edited {
            self.editor_left(document, true);
        }
        self.dues.skip_delay(&self.keys[document], self.world.clock.now());
        for id in &dropped.connections {
            assert!(self.world.engine.change(*id).is_err(), "P3: a dropped connection changes nothing");
        }
        let notices = self.check_notices();
        let notices = notices.iter().filter(|notice| matches!(notice, Notice::Dropped { .. })).count();
        assert_eq!(notices, dropped.connections.len());
    }

    fn check_notices(&mut self) -> Vec<Notice> {
        let notices = self.world.take_notices();
        let mut saved = Vec::new();
        for notice in &notices {
            self.crowd.check_notice(notice);
            if let Notice::Saved { key, status, .. } = notice {
                saved.push((key.clone(), *status));
            }
        }
        assert_eq!(saved, std::mem::take(&mut self.saved), "a notice tells of every acknowledged save");
        notices
    }

    fn change_conditions(&mut self) {
        self.conditions.stalled = self.random.one_in(3);
        self.conditions.failing = *self.random.pick(&[0, 0, 10, 50, 100]);
        self.conditions.hanging = *self.random.pick(&[0, 0, 10, 50, 100]);
        if self.draining && self.random.one_in(2) {
            self.draining = false;
            self.world.engine.undrain();
        } else if self.random.one_in(10) {
            self.draining = true;
            self.world.engine.drain();
            self.dues.skip_delays(self.world.clock.now());
        }
        assert_eq!(self.world.engine.is_draining(), self.draining);
    }

    fn pass(&mut self) {
        let millis = *self.random.pick(&[1, 10, 500, 1_000, 4_000, 10_000, 60_000]);
        // A pass of several hours now and then, so that named users expire.
        let millis = if self.random.one_in(20) { 30_000_000 } else { millis };
        self.world.pass(Duration::from_millis(millis));
        self.ticked();
    }

    /// The engine ran what is due. What a worker has may have run out, and a save may go before everything of its document.
    fn ticked(&mut self) {
        let now = self.world.clock.now();
        let ran_out = self.in_hand.iter().filter(|one| one.deadline.is_some_and(|deadline| deadline <= now));
        for InHand { delivery, .. } in ran_out {
            let key = &delivery.callback().key;
            if self.replay.in_hand(key) == Some(delivery.number()) {
                fails(&mut self.replay, &self.dues, key, now);
            }
        }
        self.dues.overdue(now).for_each(|key| self.replay.may_supersede(key));
    }

    /// Workers take some callbacks and settle some of those that they have.
    fn work(&mut self) {
        if self.conditions.stalled {
            return;
        }
        for _ in 0..self.random.below(6) {
            if !self.take() {
                break;
            }
        }
        for _ in 0..self.random.below(6) {
            if self.in_hand.is_empty() {
                break;
            }
            let chosen = self.random.below(self.in_hand.len());
            if self.in_hand[chosen].hangs && !self.random.one_in(20) {
                self.ask_for_time(chosen);
                continue;
            }
            let InHand { delivery, .. } = self.in_hand.swap_remove(chosen);
            let fails = self.random.below(100) < self.conditions.failing;
            self.settle(delivery, fails);
        }
    }

    /// A worker takes a callback if there is one.
    fn take(&mut self) -> bool {
        let save = if self.random.one_in(3) { self.saves.try_recv().ok() } else { None };
        let saves_only = save.is_some();
        let taken = save.or_else(|| self.world.callbacks.try_recv().ok());
        if self.is_dropped {
            // With no handle left, a receiver runs what is due.
            self.ticked();
        }
        let Some(delivery) = taken else { return false };
        let Callback { key, status, .. } = delivery.callback();
        assert!(!saves_only || matches!(status, Status::Save | Status::SaveFailed | Status::Closed));
        self.replay.taken(&delivery);
        if *status == Status::Save {
            self.dues.is_no_longer_due(key);
        }
        let now = self.world.clock.now();
        let deadline = self.ack_timeout.map(|timeout| now.after(timeout));
        let hangs = self.random.below(100) < self.conditions.hanging;
        self.in_hand.push(InHand { delivery, deadline, hangs });
        self.ask_for_time(self.in_hand.len() - 1);
        true
    }

    /// Some workers ask for more time. Checks how much they have.
    fn ask_for_time(&mut self, chosen: usize) {
        let now = self.world.clock.now();
        let InHand { delivery, deadline, .. } = &mut self.in_hand[chosen];
        let is_in_hand = self.replay.in_hand(&delivery.callback().key) == Some(delivery.number());
        if self.random.one_in(4) {
            let time = Duration::from_millis(*self.random.pick(&[1, 2_000, 100_000]));
            if delivery.extend(time) {
                assert!(is_in_hand, "a delivery that ran out got more time");
                *deadline = deadline.map(|deadline| deadline.max(now.after(time)));
            }
        }
        if let Some(until) = delivery.deadline() {
            let most = deadline.unwrap_or(Timestamp::MAX);
            assert!(is_in_hand && until <= most, "{until}, not {most}");
        }
    }

    fn settle(&mut self, delivery: Delivery, fails: bool) {
        if self.world.callbacks.report().is_some() {
            assert_eq!(delivery.ack(), Answered::Late, "the engine has ended");
            return;
        }
        let (callback, number) = (delivery.callback().clone(), delivery.number());
        let key = &callback.key;
        if fails {
            let is_in_hand = self.replay.in_hand(key) == Some(number);
            let counts = delivery.deadline().is_some();
            assert!(!counts || is_in_hand, "{key}: delivery {number} was settled before");
            if self.random.one_in(3) {
                // The worker panics.
                drop(delivery);
            } else {
                assert_eq!(delivery.fail(), if counts { Answered::InTime } else { Answered::Late });
            }
            if counts {
                self::fails(&mut self.replay, &self.dues, key, self.world.clock.now());
            }
            self.record((key.as_bytes(), callback.status, counts));
            return;
        }
        let kept = self.random.one_in(4);
        let answered = if kept { delivery.ack_kept() } else { delivery.ack() };
        self.replay.answered(&callback, Some(number), answered);
        if kept && callback.status == Status::SaveFailed && answered == Answered::InTime {
            self.replay.needs_no_save(key, callback.lastsave.unwrap());
        }
        if answered != Answered::Late && matches!(callback.status, Status::Save | Status::ForceSave) {
            self.saved.push((key.clone(), callback.status));
        }
        self.record((key.as_bytes(), callback.status, answered));
    }

    fn check(&mut self) {
        self.crowd.check(&self.world.engine);
        let notices = self.check_notices();
        let storage = notices.iter().filter(|notice| matches!(notice, Notice::Storage { .. })).count();
        let limits = notices.iter().filter(|notice| matches!(notice, Notice::Limit { .. })).count();
        self.record((storage, limits));
    }

    /// Closes every connection and settles every callback. At the end each change must be saved or its document listed.
    fn close_everything(mut self) -> u64 {
        while !self.crowd.tabs.is_empty() {
            self.close();
        }
        self.check();
        self.crowd.check_holders(&self.world.engine);
        self.conditions.failing = if self.random.one_in(4) { 100 } else { 0 };
        self.conditions.hanging = 0;
        let mut handed_out = 0_usize;
        loop {
            while !self.in_hand.is_empty() || self.take() {
                let Some(InHand { delivery, .. }) = self.in_hand.pop() else { continue };
                let fails = delivery.callback().status == Status::Save && self.conditions.failing > 0;
                self.settle(delivery, fails);
                handed_out += 1;
            }
            let Some(due) = self.world.engine.next_deadline() else { break };
            self.world.clock.move_to(due);
            self.world.engine.tick();
            self.ticked();
        }
        self.check_notices();
        self.world.engine.validate().unwrap();
        self.replay.assert_balanced();
        let forgotten: Vec<DocumentKey> =
            self.world.engine.forgotten().into_iter().map(|one| one.key).collect();
        self.assert_all_saved_but(&forgotten);
        // A forgotten document is open, because its changes are unsaved.
        let open = self.world.engine.documents();
        assert_eq!((open, self.world.engine.limits().edit.in_use), (forgotten.len(), 0));
        self.record((handed_out, forgotten.len()));
        self.fingerprint.finish()
    }

    fn assert_all_saved_but(&self, listed: &[DocumentKey]) {
        for (document, at) in &self.changed {
            let key = &self.keys[*document];
            let saved = self.replay.saved(key) >= *at;
            assert!(
                saved || listed.contains(key),
                "P5: the change of {key} at {at} is neither saved nor listed"
            );
        }
    }

    /// The engine is stopped now. Until it has ended, workers go on as before.
    fn stop(mut self, end: End) -> u64 {
        self.world.engine.tick();
        self.ticked();
        let now = self.world.clock.now();
        let tabs = std::mem::take(&mut self.crowd.tabs);
        self.replay.pauses_begin_again();
        for tab in tabs.iter().filter(|tab| tab.access == Access::Edit) {
            self.dues.last_editor_left(&self.keys[tab.document], now, true);
        }
        self.dues.skip_delays(now);
        self.dues.patience = self.dues.patience.min(self.stop_deadline / 4);
        match end {
            End::Drops => {
                let other = Config::new().shards(1).clock(self.world.clock.clone());
                self.world.engine = Engine::new(other).unwrap();
                self.is_dropped = true;
            }
            _ => drop(self.world.engine.begin_shutdown(self.stop_deadline)),
        }
        let notices = self.check_notices();
        let closed = notices.iter().filter(|notice| matches!(notice, Notice::Disconnected { .. })).count();
        assert_eq!(closed, tabs.len(), "each connection is told");
        let report = self.run_until_the_end();
        self.check_report(&report, now.after(self.stop_deadline));
        self.fingerprint.finish()
    }

    fn run_until_the_end(&mut self) -> Arc<Report> {
        loop {
            if let Some(report) = self.world.callbacks.report() {
                return report;
            }
            if self.random.one_in(30) {
                self.conditions.stalled = self.random.one_in(3);
                self.conditions.failing = *self.random.pick(&[0, 0, 10, 50, 100]);
                self.conditions.hanging = *self.random.pick(&[0, 0, 10, 50, 100]);
            }
            if self.random.one_in(3) {
                let millis = *self.random.pick(&[1, 10, 500, 1_000, 4_000, 10_000]);
                self.world.clock.advance(Duration::from_millis(millis));
                if self.is_dropped {
                    self.take();
                } else {
                    self.world.engine.tick();
                    self.ticked();
                }
            }
            self.work();
            self.check_notices();
        }
    }

    /// The engine has ended. It lists every document whose changes are not saved, and nothing counts any more.
    fn check_report(&mut self, report: &Report, deadline: Timestamp) {
        for receiver in [&self.world.callbacks, &self.saves] {
            assert_eq!(receiver.try_recv().err(), Some(TryRecvError::Disconnected));
        }
        self.check_notices();
        assert_eq!(self.world.notices.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected));
        let unsaved = report.unsaved.iter().map(|one| &one.key);
        let listed: Vec<DocumentKey> =
            unsaved.chain(report.forgotten.iter().map(|one| &one.key)).cloned().collect();
        self.assert_all_saved_but(&listed);
        if self.world.clock.now() < deadline {
            assert!(report.unsaved.is_empty(), "it ended before the deadline: {:?}", report.unsaved);
            self.replay.assert_balanced();
        }
        for InHand { delivery, .. } in self.in_hand.drain(..) {
            assert_eq!((delivery.deadline(), delivery.extend(Duration::MAX)), (None, false));
            assert_eq!(delivery.ack(), Answered::Late);
        }
        assert_eq!(self.world.callbacks.report().as_deref(), Some(report), "the report is final");
        self.record((report.saved, report.unsaved.len(), listed));
    }
}

/// A callback that a worker has failed or ran out. A save that is due goes before it then.
fn fails(replay: &mut Replay, dues: &Dues, key: &DocumentKey, now: Timestamp) {
    if dues.is_due(key, now) {
        replay.may_supersede(key);
    }
    replay.failed(key);
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    match number("COEDIT_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("COEDIT_SEEDS").unwrap_or(60)).collect(),
    }
}

fn run(seed: u64) -> u64 {
    std::panic::catch_unwind(|| Simulation::new(seed).run()).unwrap_or_else(|panic| {
        eprintln!("the simulation with COEDIT_SEED={seed} broke a promise");
        std::panic::resume_unwind(panic)
    })
}

#[test]
fn p1_to_p6_hold_in_every_simulation() {
    for seed in seeds() {
        run(seed);
    }
}

#[test]
fn p9_the_same_seed_gives_the_same_run() {
    for seed in seeds().into_iter().take(12) {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
