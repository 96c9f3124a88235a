//! Counts the bytes in use with an instrumented allocator. The engine frees what nobody uses any more, and the memory for a
//! stalled host does not grow with time. This file has only one test, because a second one would be counted with it.
//!
//! `COEDIT_LEAK_OPERATIONS=10000000 cargo test --release --test leaks` finds slower leaks.

mod support;

use std::alloc::System;
use std::cell::Cell;
use std::time::Duration;

use coedit::door::{Acknowledge, Door, LINE_MAX, Lines};
use coedit::{
    Access, Bounds, Config, Connection, Delivery, DocumentKey, Engine, ManualClock, Notice, Status,
    Timestamp, Turn, User,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use support::random::Random;
use support::{START, Settle, World, id, key, seconds, user};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const KIB: usize = 1024;
/// The memory that may differ between two measurements: allocations of the test harness on another thread, blocks of queues,
/// nodes of trees, and the hash tables of one or two shards that grow once more.
const SLACK: usize = 24 * KIB;

/// Returns the number of bytes that are allocated and not freed.
fn in_use() -> usize {
    let stats = GLOBAL.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

fn assert_at_most(bytes: usize, max: usize, what: &str) {
    assert!(bytes <= max, "{what}: {bytes} bytes in use, expected at most {max}");
}

/// Checks that `act` frees everything that it allocates. It tries three times: an allocation of the test harness disturbs
/// at most one try, a leak shows in all of them.
fn assert_frees_everything(what: &str, act: impl Fn()) {
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

/// Makes random calls of every kind that a host and its storage can make, on ever new documents.
struct Work<'a> {
    world: &'a World,
    random: Random,
    open: Vec<Connection>,
    in_hand: Vec<Delivery>,
    /// The number of settled callbacks of each status.
    settled: [usize; 8],
    stalled: bool,
}

/// The number of documents in use at one time. Each document is used for a while and never again.
const WINDOW: usize = 40;
const MAX_OPEN: usize = 300;

impl<'a> Work<'a> {
    fn new(world: &'a World, seed: u64) -> Self {
        let random = Random::new(seed);
        Work { world, random, open: Vec::new(), in_hand: Vec::new(), settled: [0; 8], stalled: false }
    }

    fn operate(&mut self, operations: usize) {
        for operation in 0..operations {
            let document = self.key(operation);
            match self.random.below(20) {
                0..4 => self.open(&document),
                4..7 => self.close(),
                7..10 => drop(self.chosen().map(|tab| self.open[tab].change())),
                10 => self.drop_access(&document),
                11 => self.send_command(&document),
                12 => {
                    self.world.clock.advance(Duration::from_millis(200));
                    self.world.engine.tick();
                    self.world.notices.try_iter().for_each(drop);
                }
                13 => self.call_rarely(&document),
                _ if self.stalled => {}
                _ => self.serve(),
            }
        }
    }

    /// Picks one of the documents in use. The later the operation, the later the documents.
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

    fn open(&mut self, document: &DocumentKey) {
        if self.open.len() < MAX_OPEN {
            let asked = *self.random.pick(&[Access::Edit, Access::Edit, Access::LiveView, Access::View]);
            let user = self.user();
            self.open.push(self.world.engine.open(document, &user, asked).unwrap());
        }
    }

    fn close(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let tab = self.open.swap_remove(chosen);
        let engine = &self.world.engine;
        match self.random.below(4) {
            0 => drop(tab),
            1 => assert_eq!(tab.lost(), Ok(None)),
            2 => drop(engine.adopt(tab.into_id()).unwrap()),
            _ => engine.close(tab.into_id()).unwrap(),
        }
    }

    fn drop_access(&mut self, document: &DocumentKey) {
        let users = [self.user().id().clone(), self.user().id().clone(), id("nobody")];
        let engine = &self.world.engine;
        match self.random.below(4) {
            0 => drop(engine.drop_all(document)),
            1 => drop(self.chosen().map(|tab| self.world.engine.drop_connection(self.open[tab].id()))),
            _ => drop(engine.drop_users(document, &users)),
        }
    }

    fn send_command(&mut self, document: &DocumentKey) {
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

    fn call_rarely(&mut self, document: &DocumentKey) {
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

    /// Workers take and settle some callbacks, more than new ones arrive.
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

    /// Closes every connection and settles every callback.
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

/// (a) After every connection is closed and every callback is settled, an engine uses the memory of a new one and a pool of
/// bounded size.
fn a_busy_engine_leaks_nothing() {
    // The usage history has a bound of its own. The first run is without it, so that it hides no leak.
    assert_busy_engine_leaks_nothing(false, 0);
    assert_busy_engine_leaks_nothing(true, USAGE);
}

/// The bound of the usage history.
const USAGE: usize = 2 * 1024 * KIB;

fn assert_busy_engine_leaks_nothing(usage: bool, history: usize) {
    /// More than the work has at any time, so that no table grows during it.
    const PEAK_DOCUMENTS: usize = 1_000;
    const PEAK_CONNECTIONS: usize = MAX_OPEN + 20;
    /// The bytes for one entry of the tables, with their spare capacity.
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
            // Their documents stay, because their changes are unsaved.
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
    let max = PEAK_DOCUMENTS * PER_DOCUMENT + PEAK_CONNECTIONS * PER_CONNECTION;
    assert_at_most(warm, new + max + history, "the tables after their peak");
    work(3);
    assert_at_most(in_use(), warm + SLACK + history, "after the same amount of work again");
}

/// (b) Dropping an engine frees everything: open connections, waiting and outstanding callbacks, forgotten documents.
fn b_a_dropped_engine_frees_everything() {
    for way in 0..6 {
        assert_frees_everything("a dropped engine", || use_and_drop(way));
    }
}

fn use_and_drop(way: u64) {
    let before = in_use();
    let world = busy_world(4, true);
    let mut work = Work::new(&world, way);
    work.operate(5_000);
    let (mut open, mut in_hand) = (work.open, work.in_hand);
    // Makes sure that there is at least one of each kind.
    world.engine.set_edit_limit(None).unwrap();
    for name in ["unsaved", "in-hand", "untaken"] {
        open.push(world.edit(name, "ann"));
        open.last().unwrap().change().unwrap();
        in_hand.extend(world.callbacks.try_recv());
    }
    open.push(world.edit("untaken", "ben"));
    assert!(!open.is_empty() && !in_hand.is_empty());
    assert!(in_use() > before + SLACK, "the allocator counts the memory");
    match way {
        // The connections and the engine are dropped first. Nobody takes their last callbacks.
        0 => {
            drop((open, world));
            drop(in_hand);
        }
        1 => {
            drop(in_hand);
            drop(world);
            drop(open);
        }
        // Workers outlive the engine and take every callback.
        2 | 3 => {
            let World { engine, callbacks, notices, .. } = world;
            drop((engine, open));
            for delivery in in_hand {
                delivery.acked();
            }
            callbacks.iter().for_each(|delivery| drop(delivery.acked()));
            drop(notices);
        }
        // The receivers of callbacks and notices are dropped before the engine.
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

/// A host that takes no callback: 100 documents with 5 users who open, change, close and send commands.
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
            let (document, user) = (place % DOCUMENTS, place / DOCUMENTS % USERS);
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
                    let opened = self.engine.open(key, &self.users[user], Access::Edit).unwrap();
                    assert!(opened.may_edit());
                    self.tabs[place] = Some(opened);
                }
            }
        }
        // Opens every closed tab, so that two measurements can be compared.
        for (place, tab) in self.tabs.iter_mut().enumerate().filter(|(_, tab)| tab.is_none()) {
            let (document, user) = (place % DOCUMENTS, place / DOCUMENTS % USERS);
            *tab = Some(self.engine.open(&self.keys[document], &self.users[user], Access::Edit).unwrap());
        }
        self.engine.validate().unwrap();
    }
}

/// (c) If a host never takes a callback, memory depends only on its documents and their users.
fn c_a_host_that_never_takes_a_callback_is_bounded() {
    const PER_DOCUMENT: usize = 2 * KIB;
    /// The bytes for one open connection, with its waiting joins and leaves.
    const PER_TAB: usize = KIB / 2;
    let small = Bounds { waiting_actions: 16, asked: 4, turns: 8, ..Bounds::default() };
    let costs = PER_DOCUMENT + USERS * TABS * PER_TAB;
    stall("a stalled host", small, [10_000, 190_000], costs);

    // With the default bounds, after they are reached.
    // A force save that waits has the history up to when it was asked for.
    let Bounds { waiting_actions, asked, turns, .. } = Bounds::default();
    let (answers, force_saves) =
        (asked * (256 + USERS * TABS * 64), asked * (256 + turns * size_of::<Turn>()));
    let waiting = waiting_actions * 32 + answers + force_saves;
    stall("a stalled host with the default bounds", Bounds::default(), [400_000, 200_000], costs + waiting);
}

fn stall(what: &str, bounds: Bounds, [first, then]: [usize; 2], max_per_document: usize) {
    /// The memory that may differ between two measurements: spare capacity of queues that were near their bound.
    const GROWTH_PER_DOCUMENT: usize = KIB / 4;
    let before = in_use();
    let mut crowd = Crowd::new(|config| config.bounds(bounds));
    crowd.operate(first);
    let early = in_use();
    crowd.operate(then);
    assert_at_most(in_use(), early + DOCUMENTS * GROWTH_PER_DOCUMENT, what);
    assert_at_most(in_use() - before, DOCUMENTS * max_per_document, what);
}

/// (c) Memory for unchanged documents that open and close is bounded while nobody takes a callback.
fn c_documents_that_come_and_go_are_bounded() {
    const WAITING: usize = 64;
    /// The bytes for one closed document with waiting callbacks.
    const PER_DOCUMENT: usize = 4 * KIB;
    let bounds = Bounds { waiting_documents: WAITING, ..Bounds::default() };
    let before = in_use();
    let world = World::new(|config| config.bounds(bounds));
    let visit = |number: usize| {
        let document = format!("document-{number}");
        let tabs = [world.edit(&document, "ann"), world.edit(&document, "ben")];
        if number.is_multiple_of(3) {
            // Past the bound the engine answers this and keeps nothing of it.
            let editors = world.engine.info(&key(&document), Some("some userdata"));
            assert_eq!(editors.map(|users| users.len()), Ok(2));
        }
        drop(tabs);
    };
    (0..10_000).for_each(visit);
    let early = in_use();
    (10_000..100_000).for_each(visit);
    let late = in_use();
    assert_at_most(late, early + SLACK, "new documents again and again");
    assert_at_most(late - before, 8 * KIB + 2 * WAITING * PER_DOCUMENT, "new documents again and again");
    world.engine.validate().unwrap();
    assert!(
        world.callbacks.try_iter().map(Settle::acked).count() >= WAITING,
        "the callbacks within the bound are handed out"
    );
}

/// (c) Memory for notices is bounded if the transport never takes them, and zero if nobody subscribes.
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
    assert!(early >= none + WAITING * title.len(), "the allocator counts the memory");
    assert_at_most(early, none + WAITING * PER_NOTICE + SLACK, "waiting notices");
    rename(20_000);
    assert_at_most(in_use(), early + SLACK, "waiting notices, after 20 times as many");
    assert_eq!(notices.try_iter().count(), WAITING);
    rename(1);
    assert!(matches!(notices.try_recv(), Ok(Notice::Missed { count: 20_000.. })));
    drop(notices);
    assert_at_most(in_use(), none + SLACK, "after the receiver of notices is dropped");
    rename(1_000);
    assert_at_most(in_use(), none + SLACK, "notices without a subscriber");
    drop(tab);
}

/// (d) With callbacks switched off, the engine keeps nothing for them.
fn d_without_callbacks_nothing_is_kept() {
    /// Growth of the tables while connections open and close.
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
    assert_at_most(in_use(), empty + SLACK, "closed documents without callbacks");
}

/// (e) A door keeps no label, delivery or document that is closed and settled.
fn e_a_door_frees_what_is_closed() {
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

/// (g) The memory of a peak is freed after the peak, while some documents stay open. What remains is the tables of slots and
/// the index, at most 48 bytes for each document and each connection of the peak, and pools of a fixed size.
fn g_the_memory_of_a_peak_is_freed() {
    const PEAK: usize = 40_000;
    const MIN_PER_DOCUMENT: usize = 200;
    const REMAINING_PER_SLOT: usize = 48;
    /// A document and two connections.
    const SLOTS_PER_DOCUMENT: usize = 3;
    const POOLS: usize = 256 * KIB;
    let world = World::new(|config| config.shards(4).usage(false));
    let acknowledge_all = || world.callbacks.try_iter().map(Settle::acked).count();
    let quiet: Vec<Connection> =
        (0..100).map(|number| world.edit(&format!("quiet-{number}"), "ann")).collect();
    acknowledge_all();
    let before = in_use();
    for _ in 0..2 {
        let open = |number| {
            [world.edit(&format!("peak-{number}"), "ann"), world.edit(&format!("peak-{number}"), "ben")]
        };
        let peak: Vec<_> = (0..PEAK).map(open).collect();
        assert_eq!(acknowledge_all(), 2 * PEAK);
        assert!(in_use() > before + PEAK * MIN_PER_DOCUMENT, "the allocator counts the memory");
        drop(peak);
        assert_eq!(acknowledge_all(), 2 * PEAK);
        world.engine.validate().unwrap();
        assert_at_most(
            in_use(),
            before + PEAK * SLOTS_PER_DOCUMENT * REMAINING_PER_SLOT + POOLS,
            "after a peak",
        );
    }
    assert!(quiet.iter().all(Connection::may_edit));
}

/// (h) A call allocates nothing once everything has its size: what a callback needs is used again.
fn h_in_the_steady_state_nothing_is_allocated() {
    const ROUNDS: usize = 2_000;
    /// A channel takes a block for every 31 documents that wait.
    const CALLBACKS_FOR_ONE: usize = 20;
    let world = World::new(|config| config.shards(1).usage(false).save_delay(Duration::ZERO));
    let (document, ann, ben) = (key("document"), user("ann"), user("ben"));
    let _stays = world.engine.open(&document, &user("zoe"), Access::Edit).unwrap();
    let callbacks = Cell::new(0);
    let serve = || callbacks.set(callbacks.get() + world.callbacks.try_iter().map(Delivery::ack).count());
    let join_and_leave = || {
        let open = |user| world.engine.open(&document, user, Access::Edit).unwrap().into_id();
        let tabs = [open(&ann), open(&ben)];
        serve();
        for tab in tabs {
            world.engine.close(tab).unwrap();
        }
        serve();
    };
    let ask = || {
        drop(world.engine.info(&document, None));
        serve();
    };
    // The answer to a question is a list of its own, which the caller gets.
    let rows: [(&str, &dyn Fn(), usize); 2] =
        [("joins and leaves", &join_and_leave, 0), ("questions", &ask, 1)];
    for (what, calls, own) in rows {
        (0..100).for_each(|_| calls());
        let (before, served) = (GLOBAL.stats().allocations, callbacks.get());
        (0..ROUNDS).for_each(|_| calls());
        let allocations = GLOBAL.stats().allocations - before;
        let served = callbacks.get() - served;
        let most = served * own + served / CALLBACKS_FOR_ONE;
        assert!(allocations <= most, "{what}: {allocations} allocations for {served} callbacks");
    }
    assert_eq!(callbacks.get(), 1 + (ROUNDS + 100) * 5);
}

/// (f) A stream without line ends uses at most the memory of one line, and none once the line is too long.
fn f_a_stream_without_line_ends_is_bounded() {
    // A growing vector has a capacity of up to twice its length.
    const MAX: usize = 2 * LINE_MAX;
    let piece = vec![b'['; 1_000];
    let mut lines = Lines::default();
    let before = in_use();
    let mut max = 0;
    for fed in (1..=20 * LINE_MAX / piece.len()).map(|count| count * piece.len()) {
        lines.feed(&piece, |_| panic!("a line ended"));
        let kept = in_use().saturating_sub(before);
        assert!(fed <= LINE_MAX || kept <= SLACK, "{kept} bytes in use for a line of {fed}");
        assert!(fed > LINE_MAX || kept + SLACK >= fed, "the allocator counts the memory");
        max = max.max(kept);
    }
    assert_at_most(max, MAX + SLACK, "a line without an end");
    let mut count = 0;
    lines.end(|line| {
        assert!(line.is_none());
        count += 1;
    });
    assert_eq!(count, 1);
}

#[test]
fn p6_nothing_leaks_and_memory_for_a_stalled_host_is_bounded() {
    // Allocations that happen once in a process are not counted as leaks.
    let World { engine, callbacks, .. } = busy_world(4, true);
    drop(engine);
    assert!(callbacks.recv().is_err());
    let sections = [
        h_in_the_steady_state_nothing_is_allocated,
        g_the_memory_of_a_peak_is_freed,
        f_a_stream_without_line_ends_is_bounded,
        e_a_door_frees_what_is_closed,
        d_without_callbacks_nothing_is_kept,
        c_notices_that_nobody_takes_are_bounded,
        c_documents_that_come_and_go_are_bounded,
        c_a_host_that_never_takes_a_callback_is_bounded,
        b_a_dropped_engine_frees_everything,
        a_busy_engine_leaks_nothing,
    ];
    for (number, section) in sections.into_iter().enumerate() {
        assert_frees_everything(&format!("section {number}"), section);
    }
}
