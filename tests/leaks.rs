//! Bytes in use, counted by the allocator: what everybody left is given back, and a host that stalls costs no more for
//! going on stalling. One test only: another would be counted with it.
//!
//! `COEDIT_LEAK_OPERATIONS=10000000 cargo test --release --test leaks` looks for slower leaks.

mod support;

use std::alloc::System;
use std::time::Duration;

use coedit::door::{Acknowledge, Door, LINE_MAX, Lines};
use coedit::{
    Access, Bounds, Config, Connection, Delivery, DocumentKey, Engine, ManualClock, Status, Timestamp, User,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::random::Random;
use support::{START, Settle, World, id, key, seconds, user};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const KIB: usize = 1024;
/// What the harness, on another thread, may take meanwhile, blocks of queues and nodes of trees that come and go, and the
/// hash table of a shard or two that grows once more.
const SLACK: usize = 24 * KIB;

/// Bytes that are allocated and not given back.
fn in_use() -> usize {
    let stats = GLOBAL.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn assert_at_most(bytes: usize, most: usize, what: &str) {
    assert!(bytes <= most, "{what}: {bytes} bytes, and {most} at most were to be");
}

/// The harness is heard once at most; a leak, every time.
fn gives_everything_back(what: &str, act: impl Fn()) {
    for last in [false, false, true] {
        let before = in_use();
        act();
        let after = in_use();
        if after == before {
            return;
        }
        assert!(!last, "{what}: {before} bytes before, {after} after");
    }
}

/// A busy engine: everything a host and its storage may call, on documents that come and go.
struct Work<'a> {
    world: &'a World,
    random: Random,
    open: Vec<Connection>,
    in_hand: Vec<Delivery>,
    /// How many callbacks of each status were settled.
    settled: [usize; 8],
    stalled: bool,
}

/// Documents that are in use at one time; each is used for a while and never again.
const WINDOW: usize = 40;
const MOST_OPEN: usize = 300;

impl<'a> Work<'a> {
    fn new(world: &'a World, seed: u64) -> Self {
        let random = Random::new(seed);
        Work { world, random, open: Vec::new(), in_hand: Vec::new(), settled: [0; 8], stalled: false }
    }

    fn operate(&mut self, operations: usize) {
        for operation in 0..operations {
            let document = self.key(operation);
            match self.random.below(20) {
                0..4 => self.come(&document),
                4..7 => self.go(),
                7..10 => drop(self.chosen().map(|tab| self.open[tab].change())),
                10 => self.drop_somebody(&document),
                11 => self.ask(&document),
                12 => {
                    self.world.clock.advance(Duration::from_millis(200));
                    self.world.engine.tick();
                    self.world.notices.try_iter().for_each(drop);
                }
                13 => self.rarely(&document),
                _ if self.stalled => {}
                _ => self.serve(),
            }
        }
    }

    /// Documents come into use one after the other.
    fn key(&mut self, operation: usize) -> DocumentKey {
        key(&format!("document-{}", operation / 50 + self.random.below(WINDOW)))
    }

    fn user(&mut self) -> User {
        let user = user(&format!("user-{}", self.random.below(50)));
        if self.random.one_in(2) { user.named("Somebody").unwrap() } else { user }
    }

    fn chosen(&mut self) -> Option<usize> {
        (!self.open.is_empty()).then(|| self.random.below(self.open.len()))
    }

    fn come(&mut self, document: &DocumentKey) {
        if self.open.len() < MOST_OPEN {
            let asked = *self.random.pick(&[Access::Edit, Access::Edit, Access::LiveView, Access::View]);
            let user = self.user();
            self.open.push(self.world.engine.open(document, &user, asked).unwrap());
        }
    }

    fn go(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let tab = self.open.swap_remove(chosen);
        let engine = &self.world.engine;
        match self.random.below(4) {
            0 => drop(tab),
            1 => tab.lost(),
            2 => drop(engine.adopt(tab.into_id()).unwrap()),
            _ => engine.close(tab.into_id()).unwrap(),
        }
    }

    fn drop_somebody(&mut self, document: &DocumentKey) {
        let users = [self.user().id().clone(), self.user().id().clone(), id("nobody")];
        let engine = &self.world.engine;
        match self.random.below(4) {
            0 => drop(engine.drop_all(document)),
            1 => drop(self.chosen().map(|tab| self.world.engine.drop_connection(self.open[tab].id()))),
            _ => drop(engine.drop_users(document, &users)),
        }
    }

    fn ask(&mut self, document: &DocumentKey) {
        let engine = &self.world.engine;
        let tab = self.chosen().map(|tab| self.open[tab].id());
        match self.random.below(6) {
            0 => drop(engine.info(document, Some("some userdata"))),
            1 => drop(engine.force_save(document, Some("some userdata"))),
            2 => drop(tab.map(|tab| engine.press_save(tab))),
            3 => drop(tab.map(|tab| engine.submit_form(tab))),
            4 => drop(engine.rename(document, "A title")),
            _ => drop((engine.participants(document), engine.editors(document), engine.license())),
        }
    }

    fn rarely(&mut self, document: &DocumentKey) {
        let engine = &self.world.engine;
        match self.random.below(40) {
            0 => engine.set_edit_limit(*self.random.pick(&[None, Some(0), Some(60)])).unwrap(),
            1 => self.stalled = self.random.one_in(4),
            2 => self.delete_forgotten(),
            3..6 => drop(engine.delete_forgotten(document)),
            6 => drop(engine.forgotten_at(document)),
            7 => engine.validate().unwrap(),
            _ => {}
        }
    }

    /// Workers take some and settle some, more than come in.
    fn serve(&mut self) {
        for _ in 0..4 {
            self.in_hand.extend(self.world.callbacks.try_recv());
            if self.random.one_in(2) && !self.in_hand.is_empty() {
                let chosen = self.random.below(self.in_hand.len());
                let delivery = self.in_hand.swap_remove(chosen);
                self.settle(delivery);
            }
        }
    }

    fn settle(&mut self, mut delivery: Delivery) {
        if self.random.one_in(4) {
            delivery.kept_at("https://storage/where/it/lies").unwrap();
        }
        self.settled[usize::from(delivery.callback().status.number())] += 1;
        let failing = matches!(delivery.callback().status, Status::Save | Status::ForceSave);
        match self.random.below(if failing { 4 } else { 20 }) {
            0 => drop(delivery),
            1 => drop(delivery.failed()),
            _ => drop(delivery.acked()),
        }
    }

    fn delete_forgotten(&self) {
        for forgotten in self.world.engine.forgotten() {
            self.world.engine.delete_forgotten(&forgotten.key).unwrap();
        }
    }

    /// Everybody leaves and everything is settled.
    fn end(mut self) -> [usize; 8] {
        self.open.clear();
        loop {
            while let Some(delivery) = self.in_hand.pop().or_else(|| self.world.callbacks.try_recv().ok()) {
                self.settle(delivery);
            }
            let Some(due) = self.world.engine.next_deadline() else { break };
            self.world.clock.move_to(due);
            self.world.engine.tick();
        }
        self.delete_forgotten();
        let engine = &self.world.engine;
        engine.set_edit_limit(None).unwrap();
        self.world.notices.try_iter().for_each(drop);
        engine.validate().unwrap();
        assert_eq!((engine.documents(), engine.limits().edit.in_use), (0, 0));
        self.settled
    }
}

fn busy_world(shards: usize, usage: bool) -> World {
    World::new(|config| {
        let (config, pauses) = (config.shards(shards).usage(usage), [seconds(1)]);
        config.retry_pauses(pauses).force_save_interval(Some(seconds(7))).save_delay(seconds(1))
    })
}

/// (a) After everybody left and every callback was settled an engine holds what it held when new, but for what waits to be
/// used again.
fn a_busy_engine_leaks_nothing() {
    // What was used in the years of this work is remembered, within a bound of its own: it is looked at by itself, so that
    // it hides no leak.
    a_busy_engine_leaks_nothing_but(false, 0);
    a_busy_engine_leaks_nothing_but(true, USAGE);
}

/// The history of usage, at most.
const USAGE: usize = 2 * 1024 * KIB;

fn a_busy_engine_leaks_nothing_but(usage: bool, history: usize) {
    /// More than the work ever has at one time, so that no table grows in it.
    const PEAK_DOCUMENTS: usize = 1_000;
    const PEAK_CONNECTIONS: usize = MOST_OPEN + 20;
    /// What a place in the tables may cost, room to grow counted in.
    const PER_DOCUMENT: usize = KIB;
    const PER_CONNECTION: usize = 128;

    let operations = std::env::var("COEDIT_LEAK_OPERATIONS").ok().and_then(|text| text.parse().ok());
    let operations: usize = operations.unwrap_or(300_000);
    let world = busy_world(1, usage);
    let new = in_use();
    let mut crowd: Vec<Connection> = Vec::with_capacity(PEAK_CONNECTIONS);
    for number in 0..PEAK_DOCUMENTS {
        let connection = world.edit(&format!("crowded-{number}"), &format!("user-{number}"));
        connection.change().unwrap();
        crowd.push(connection);
        if crowd.len() == PEAK_CONNECTIONS {
            // Their documents stay, unsaved.
            crowd.clear();
        }
    }
    assert_eq!(world.engine.documents(), PEAK_DOCUMENTS);
    drop(crowd);
    Work::new(&world, 1).end();
    let work = |seed| {
        let mut work = Work::new(&world, seed);
        work.operate(operations);
        work.end()
    };
    let settled = work(2);
    for status in [1, 2, 3, 4, 6, 7] {
        assert!(settled[status] > 0, "no callback of status {status} in {settled:?}");
    }
    let warm = in_use();
    let most = PEAK_DOCUMENTS * PER_DOCUMENT + PEAK_CONNECTIONS * PER_CONNECTION;
    assert_at_most(warm, new + most + history, "the tables after a crowd");
    work(3);
    assert_at_most(in_use(), warm + SLACK + history, "after as much work again");
}

/// (b) Dropping an engine gives back everything, whatever is open, untaken, in hand or forgotten.
fn b_an_engine_that_is_gone_holds_nothing() {
    for way in 0..6 {
        gives_everything_back("an engine that is gone", || give_up(way));
    }
}

fn give_up(way: u64) {
    let before = in_use();
    let world = busy_world(4, true);
    let mut work = Work::new(&world, way);
    work.operate(5_000);
    let (mut open, mut in_hand) = (work.open, work.in_hand);
    // Whatever that left: one of each kind at least.
    world.engine.set_edit_limit(None).unwrap();
    for name in ["unsaved", "in-hand", "untaken"] {
        open.push(world.edit(name, "ann"));
        open.last().unwrap().change().unwrap();
        in_hand.extend(world.callbacks.try_recv());
    }
    open.push(world.edit("untaken", "ben"));
    assert!(!open.is_empty() && !in_hand.is_empty());
    assert!(in_use() > before + SLACK, "it is counted");
    match way {
        // The handles go first, and what they left is told to nobody.
        0 => {
            drop((open, world));
            drop(in_hand);
        }
        1 => {
            drop(in_hand);
            drop(world);
            drop(open);
        }
        // Workers outlive the engine and take all there is.
        2 | 3 => {
            let World { engine, callbacks, notices, .. } = world;
            drop((engine, open));
            for delivery in in_hand {
                delivery.acked();
            }
            callbacks.iter().for_each(|delivery| drop(delivery.acked()));
            drop(notices);
        }
        // Storage and transport were gone before.
        4 => {
            let World { engine, callbacks, notices, .. } = world;
            drop((callbacks, notices));
            drop(in_hand);
            drop((engine, open));
        }
        _ => {
            world.engine.drain();
            drop((in_hand, open));
            drop(world);
        }
    }
}

const DOCUMENTS: usize = 100;
const USERS: usize = 5;
const TABS: usize = 2;

/// Hosts that stall: 100 documents with 5 users who come, type, go and ask.
struct Crowd {
    engine: Engine,
    clock: std::sync::Arc<ManualClock>,
    random: Random,
    keys: Vec<DocumentKey>,
    users: Vec<User>,
    tabs: Vec<Option<Connection>>,
}

impl Crowd {
    fn new(set: impl FnOnce(Config) -> Config) -> Self {
        let World { engine, clock, .. } = World::new(set);
        Crowd {
            engine,
            clock,
            random: Random::new(7),
            keys: (0..DOCUMENTS).map(|number| key(&format!("document-{number}"))).collect(),
            users: (0..USERS).map(|number| user(&format!("user-{number}"))).collect(),
            tabs: (0..DOCUMENTS * USERS * TABS).map(|_| None).collect(),
        }
    }

    fn operate(&mut self, operations: usize) {
        for _ in 0..operations {
            let place = self.random.below(self.tabs.len());
            let (document, who) = (place % DOCUMENTS, place / DOCUMENTS % USERS);
            let key = &self.keys[document];
            match (self.random.below(8), &self.tabs[place]) {
                (0, _) => drop(self.engine.info(key, Some("some userdata"))),
                (1, _) => drop(self.engine.force_save(key, Some("some userdata"))),
                (2, _) if self.random.one_in(10) => {
                    self.clock.advance(seconds(10));
                    self.engine.tick();
                }
                (3..6, Some(tab)) => tab.change().unwrap(),
                (_, Some(_)) => self.tabs[place] = None,
                (_, None) => {
                    let opened = self.engine.open(key, &self.users[who], Access::Edit).unwrap();
                    assert!(opened.may_edit());
                    self.tabs[place] = Some(opened);
                }
            }
        }
        // Everybody is in, so that two moments can be compared.
        for (place, tab) in self.tabs.iter_mut().enumerate().filter(|(_, tab)| tab.is_none()) {
            let (document, who) = (place % DOCUMENTS, place / DOCUMENTS % USERS);
            *tab = Some(self.engine.open(&self.keys[document], &self.users[who], Access::Edit).unwrap());
        }
        self.engine.validate().unwrap();
    }
}

/// (c) A host that never takes a callback costs what its documents and their users cost.
fn c_a_host_that_never_takes_a_callback_is_bounded() {
    const PER_DOCUMENT: usize = 2 * KIB;
    /// One open connection of one user, and its comings and goings that wait.
    const PER_TAB: usize = KIB / 2;
    let small = Bounds { waiting_actions: 16, asked: 4, turns: 8, ..Bounds::default() };
    let costs = PER_DOCUMENT + USERS * TABS * PER_TAB;
    stall("a stalled host", small, [10_000, 190_000], costs);

    // With the bounds that hosts get, once they are reached.
    let Bounds { waiting_actions, asked, .. } = Bounds::default();
    let waiting = waiting_actions * 32 + asked * (256 + USERS * TABS * 64);
    stall("a stalled host with the default bounds", Bounds::default(), [400_000, 200_000], costs + waiting);
}

fn stall(what: &str, bounds: Bounds, [first, then]: [usize; 2], most_per_document: usize) {
    /// What may differ between two moments: room to grow in queues that were nearly at their bound.
    const GROWTH_PER_DOCUMENT: usize = KIB / 4;
    let before = in_use();
    let mut crowd = Crowd::new(|config| config.bounds(bounds));
    crowd.operate(first);
    let early = in_use();
    crowd.operate(then);
    assert_at_most(in_use(), early + DOCUMENTS * GROWTH_PER_DOCUMENT, what);
    assert_at_most(in_use() - before, DOCUMENTS * most_per_document, what);
}

/// (c) Nor do documents that came and went unchanged while nobody took a callback.
fn c_documents_that_come_and_go_are_bounded() {
    const WAITING: usize = 64;
    /// Of one document that waits, whatever became of it.
    const PER_DOCUMENT: usize = 4 * KIB;
    let bounds = Bounds { waiting_documents: WAITING, ..Bounds::default() };
    let before = in_use();
    let world = World::new(|config| config.bounds(bounds));
    let visit = |number: usize| {
        let document = format!("document-{number}");
        let tabs = [world.edit(&document, "ann"), world.edit(&document, "ben")];
        if number.is_multiple_of(3) {
            // Refused past the bound.
            drop(world.engine.info(&key(&document), Some("some userdata")));
        }
        drop(tabs);
    };
    (0..10_000).for_each(visit);
    let early = in_use();
    (10_000..100_000).for_each(visit);
    let late = in_use();
    assert_at_most(late, early + SLACK, "ever new documents");
    assert_at_most(late - before, 8 * KIB + 2 * WAITING * PER_DOCUMENT, "ever new documents");
    world.engine.validate().unwrap();
    assert!(world.callbacks.try_iter().map(Delivery::ack).count() >= WAITING, "what was kept is told");
}

/// (c) Nor does a transport that never takes a notice, nor one that does not want any.
fn c_notices_that_nobody_takes_are_bounded() {
    const WAITING: usize = 64;
    const PER_NOTICE: usize = KIB;
    let bounds = Bounds { notices: WAITING, ..Bounds::default() };
    let World { engine, notices, .. } = World::new(|config| config.bounds(bounds));
    let tab = engine.open(&key("document"), &user("ann"), Access::View).unwrap();
    let title = "A title".repeat(50);
    let rename = |times| (0..times).for_each(|_| engine.rename(&key("document"), &title).unwrap());
    let none = in_use();
    rename(1_000);
    let early = in_use();
    assert!(early >= none + WAITING * title.len(), "they are counted");
    assert_at_most(early, none + WAITING * PER_NOTICE + SLACK, "notices that wait");
    rename(20_000);
    assert_at_most(in_use(), early + SLACK, "notices that wait, after 20 times as many");
    assert!(notices.missed() > 20_000);
    drop(notices);
    assert_at_most(in_use(), none + SLACK, "notices that nobody waits for any more");
    rename(1_000);
    assert_at_most(in_use(), none + SLACK, "notices that nobody wants");
    drop(tab);
}

/// (d) With callbacks switched off nothing is kept for them.
fn d_without_callbacks_nothing_is_kept() {
    /// Of the tables: stays that are taken and given back.
    const GROWTH: usize = 16 * KIB;
    let mut crowd = Crowd::new(|config| config.callbacks(false).force_save_interval(Some(seconds(1))));
    crowd.operate(2_000);
    let early = in_use();
    crowd.operate(100_000);
    assert_at_most(in_use(), early + GROWTH, "without callbacks");
    assert_eq!(crowd.engine.next_deadline(), None);
    crowd.tabs.iter_mut().for_each(|tab| *tab = None);
    assert_eq!(crowd.engine.documents(), 0);
    let empty = in_use();
    for number in 0..20_000 {
        let document = key(&format!("another-{number}"));
        let tab = crowd.engine.open(&document, &crowd.users[0], Access::Edit).unwrap();
        tab.change().unwrap();
        assert!(crowd.engine.info(&document, Some("some userdata")).is_ok());
        assert!(crowd.engine.force_save(&document, None).is_err());
    }
    assert_at_most(in_use(), empty + SLACK, "documents that came and went without callbacks");
}

/// A door in real time keeps nothing of what is over: no label, no delivery, no document.
fn e_a_door_keeps_nothing_of_what_is_over() {
    let clock = ManualClock::new(Timestamp::from_millis(START));
    let config = Config::new().shards(4).save_delay(Duration::ZERO).clock(clock);
    let mut door = Door::new(Engine::new(config).unwrap(), Acknowledge::Manual);
    let mut out = Vec::with_capacity(16 * KIB);
    let mut say = |line: String| {
        out.clear();
        door.line(line.as_bytes(), &mut out);
        assert!(out.starts_with(br#"{"reply":{"error":0"#), "{line}: {}", String::from_utf8_lossy(&out));
    };
    let mut visit = |number: usize| {
        let ack = format!(r#"{{"c":"ack","key":"document-{number}","error":0,"url":"somewhere"}}"#);
        say(format!(
            r#"{{"c":"open","key":"document-{number}","connection":"tab-{number}","user":{{"id":"ann"}}}}"#
        ));
        say(ack.clone());
        say(format!(r#"{{"c":"change","connection":"tab-{number}"}}"#));
        say(format!(r#"{{"c":"drop","key":"document-{number}","users":["ann"]}}"#));
        say(ack);
        say(format!(r#"{{"c":"close","connection":"tab-{number}"}}"#));
    };
    (0..1_000).for_each(&mut visit);
    let early = in_use();
    (1_000..6_000).for_each(&mut visit);
    assert_at_most(in_use(), early + SLACK, "a door");
    assert_eq!(door.engine().documents(), 0);
}

/// (c) What a rush took is given back when it is over, while some stay: but for books of some bytes for what was there at
/// one time, and boxes and queues of a fixed size that wait to be used again.
fn g_a_rush_is_given_back() {
    const RUSH: usize = 40_000;
    const LEAST_PER_DOCUMENT: usize = 200;
    const BOOKS_PER_DOCUMENT: usize = 2;
    const WAITING_TO_BE_USED: usize = 256 * KIB;
    let world = World::new(|config| config.shards(4).usage(false));
    let told = || world.callbacks.try_iter().map(Delivery::ack).count();
    let quiet: Vec<Connection> =
        (0..100).map(|number| world.edit(&format!("quiet-{number}"), "ann")).collect();
    told();
    let before = in_use();
    for _ in 0..2 {
        let open = |number| {
            [world.edit(&format!("rush-{number}"), "ann"), world.edit(&format!("rush-{number}"), "ben")]
        };
        let rush: Vec<_> = (0..RUSH).map(open).collect();
        assert_eq!(told(), 2 * RUSH);
        assert!(in_use() > before + RUSH * LEAST_PER_DOCUMENT, "it is counted");
        drop(rush);
        assert_eq!(told(), 2 * RUSH);
        world.engine.validate().unwrap();
        assert_at_most(in_use(), before + RUSH * BOOKS_PER_DOCUMENT + WAITING_TO_BE_USED, "after a rush");
    }
    assert!(quiet.iter().all(Connection::may_edit));
}

/// A stream without any line end costs what a line may cost, and nothing once the line is too long.
fn f_a_stream_without_line_ends_is_bounded() {
    // A vector that grows has room for as much again.
    const MOST: usize = 2 * LINE_MAX;
    let piece = vec![b'['; 1_000];
    let mut lines = Lines::default();
    let before = in_use();
    let mut most = 0;
    for fed in (1..=20 * LINE_MAX / piece.len()).map(|count| count * piece.len()) {
        lines.feed(&piece, |_| panic!("no line has ended"));
        let kept = in_use().saturating_sub(before);
        assert!(fed <= LINE_MAX || kept <= SLACK, "{kept} bytes of a line of {fed}");
        assert!(fed > LINE_MAX || kept + SLACK >= fed, "it is counted");
        most = most.max(kept);
    }
    assert_at_most(most, MOST + SLACK, "a line that goes on");
    let mut count = 0;
    lines.end(|line| {
        assert!(line.is_none());
        count += 1;
    });
    assert_eq!(count, 1);
}

#[test]
fn p6_nothing_leaks_and_a_stalled_host_is_bounded() {
    // What is set up once in a process is not counted as a leak.
    let World { engine, callbacks, .. } = busy_world(4, true);
    drop(engine);
    assert!(callbacks.recv().is_err());
    let sections = [
        g_a_rush_is_given_back,
        f_a_stream_without_line_ends_is_bounded,
        e_a_door_keeps_nothing_of_what_is_over,
        d_without_callbacks_nothing_is_kept,
        c_notices_that_nobody_takes_are_bounded,
        c_documents_that_come_and_go_are_bounded,
        c_a_host_that_never_takes_a_callback_is_bounded,
        b_an_engine_that_is_gone_holds_nothing,
        a_busy_engine_leaks_nothing,
    ];
    for (number, section) in sections.into_iter().enumerate() {
        gives_everything_back(&format!("section {number}"), section);
    }
}
