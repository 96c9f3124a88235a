//! A host that restarts again and again, on a manual clock, and the tests' own books of it.
#![allow(unreachable_pub, reason = "the test file uses all of it")]

mod book;
mod checks;
mod people;
mod restarting;
mod told;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Callbacks, Clock, Config, Connection, ConnectionId, Delivery, DocumentKey, Engine, ManualClock, Notice,
    ResumeToken, Timestamp, User,
};
use crossbeam_channel::Receiver;

use crate::support::random::Random;
use crate::support::{START, key, user};
use book::{Book, Limits, USERS};
use restarting::{some_limits, with_limits};

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A callback that a worker has.
struct InHand {
    delivery: Delivery,
    hangs: bool,
    /// Its time was over when the tests looked.
    ran_out: bool,
    /// The step in which it was handed out.
    taken: usize,
}

/// A snapshot, and the books of its moment.
struct Saved {
    json: String,
    book: Book,
    taken: Timestamp,
}

/// An engine with its receivers.
struct Running {
    engine: Engine,
    callbacks: Callbacks,
    saves: Callbacks,
    notices: Receiver<Notice>,
}

impl Running {
    fn new(engine: Engine) -> Self {
        Running {
            callbacks: engine.callbacks(),
            saves: engine.save_callbacks(),
            notices: engine.notices(),
            engine,
        }
    }
}

/// How often what happened.
pub type Counts = BTreeMap<&'static str, usize>;

pub struct Host {
    random: Random,
    step: usize,
    clock: Arc<ManualClock>,
    config: Config,
    limits: Limits,
    running: Running,
    keys: Vec<DocumentKey>,
    users: Vec<User>,
    book: Book,
    /// The handles of some connections.
    handles: BTreeMap<ConnectionId, Connection>,
    /// Every token of this world.
    tokens: Vec<ResumeToken>,
    in_hand: Vec<InHand>,
    /// What workers had when their engine was suspended.
    stale: Vec<Delivery>,
    /// The numbers of all deliveries.
    numbers: BTreeSet<u64>,
    /// Whose leases ended since the notices were read.
    expired: BTreeSet<ConnectionId>,
    saved: Option<Saved>,
    /// The percentages of callbacks with which the storage fails, and which it answers late or never.
    failing: usize,
    hanging: usize,
    counts: Counts,
}

/// Creation and time.
impl Host {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let retries: &[u64] = random.pick::<&[u64]>(&[&[], &[1_000], &[1_000, 2_000, 60_000], &[0, 100]]);
        let pauses: Vec<Duration> = retries.iter().copied().map(millis).collect();
        let config = Config::new()
            .clock(clock.clone())
            .shards(*random.pick(&[1, 4]))
            .retry_pauses(pauses)
            .ack_timeout(random.pick(&[None, Some(1), Some(2_000), Some(60_000)]).map(millis))
            .save_patience(millis(*random.pick(&[0, 500, 5_000, 60_000])))
            .save_delay(millis(*random.pick(&[0, 3_000, 10_000])))
            .force_save_interval(random.pick(&[None, None, Some(4_000)]).map(millis));
        let documents = *random.pick(&[1, 2, 4]);
        let limits = some_limits(&mut random, None);
        let engine = Engine::new(with_limits(&config, &limits)).unwrap();
        Host {
            random,
            step: 0,
            clock,
            config,
            limits,
            running: Running::new(engine),
            keys: (0..documents).map(|number| key(&format!("document-{number}"))).collect(),
            users: (0..USERS).map(|number| user(&format!("user-{number}"))).collect(),
            book: Book::new(documents),
            handles: BTreeMap::new(),
            tokens: Vec::new(),
            in_hand: Vec::new(),
            stale: Vec::new(),
            numbers: BTreeSet::new(),
            expired: BTreeSet::new(),
            saved: None,
            failing: 0,
            hanging: 0,
            counts: Counts::new(),
        }
    }

    pub fn run(mut self) -> Counts {
        for _ in 0..10 + self.random.below(70) {
            self.step += 1;
            self.act();
            if self.random.one_in(3) {
                self.check();
            }
        }
        self.end();
        self.counts
    }

    fn engine(&self) -> &Engine {
        &self.running.engine
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn count(&mut self, what: &'static str, more: usize) {
        *self.counts.entry(what).or_default() += more;
    }

    /// Ends in the books what is due. The engine does so too at its next tick, or when it matters.
    fn expire(&mut self) {
        let left = self.book.expire(self.now());
        self.count("leases that ended", left.len());
        self.handles.retain(|id, _| !left.contains(id));
        self.expired.extend(left);
    }

    fn tick(&mut self) {
        self.engine().tick();
        self.expire();
    }

    fn act(&mut self) {
        match self.random.below(40) {
            0..7 => self.open(),
            7..10 => self.close(),
            10..14 => self.lose(),
            14..19 => self.resume(),
            19..24 => self.change(),
            24 => self.command(),
            25 => self.drop_access(),
            26 => self.fence(),
            27..30 => {
                let time = *self.random.pick(&[10, 1_000, 4_000, 12_000, 70_000, 130_000]);
                self.clock.advance(millis(time));
                if self.random.one_in(2) {
                    self.tick();
                }
            }
            30 => {
                self.failing = *self.random.pick(&[0, 0, 20, 60, 100]);
                self.hanging = *self.random.pick(&[0, 0, 20, 60, 100]);
            }
            31 => self.take_snapshot(),
            32 => self.suspend(),
            33 if self.saved.is_some() => self.crash(),
            34 => self.calm(),
            _ => self.work(),
        }
    }
}
