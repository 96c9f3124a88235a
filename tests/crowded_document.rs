//! Many users join, leave and are dropped on one document, while more actions happen than may wait for the storage. After
//! every step the test compares the engine with naive lists, and its callbacks with a replay of all earlier callbacks.
//!
//! `COEDIT_SEEDS=10000 cargo test --release --test crowded_document` runs 10000 seeds. `COEDIT_SEED=7` runs only seed 7. A
//! failure prints its seed.

mod support;

use std::collections::HashSet;
use std::time::Duration;

use coedit::{
    Access, Answered, Bounds, Callback, Callbacks, Clock, ConnectionId, Delivery, DocumentKey, Engine,
    SeatCount, Status, Timestamp, TryRecvError, User, UserId,
};
use support::random::Random;
use support::replay::{Dues, Replay};
use support::{World, key, seconds, user};

const STEPS: usize = 400;
/// After this many steps the probabilities of joins and of failures change.
const STEPS_PER_PHASE: usize = 40;
const RETRIES: usize = 3;
const SAVE_DELAY: Duration = Duration::from_secs(10);
const ACK_TIMEOUT: Duration = Duration::from_secs(60);

/// One connection, with the access that opens and drops gave it.
#[derive(Clone)]
struct Tab {
    id: ConnectionId,
    user: UserId,
    access: Access,
}

/// A naive list of the participants. It goes through all connections after every change.
#[derive(Default)]
struct NaiveDocument {
    tabs: Vec<Tab>,
    /// In the order in which they arrived.
    participants: Vec<UserId>,
    /// In the order in which they began to edit.
    editors: Vec<UserId>,
    /// Users who stopped to edit. They keep their place among the editors if they come back before the storage was handed
    /// their leave, which this list does not know.
    stopped: HashSet<UserId>,
    /// Those of them who came back.
    returned: HashSet<UserId>,
}

impl NaiveDocument {
    fn open(&mut self, tab: Tab) {
        self.tabs.push(tab);
        self.update();
    }

    fn close(&mut self, position: usize) -> Tab {
        let tab = self.tabs.remove(position);
        self.update();
        tab
    }

    fn drop_matching(&mut self, is_dropped: impl Fn(&Tab) -> bool) {
        for tab in self.tabs.iter_mut().filter(|tab| is_dropped(tab)) {
            tab.access = Access::View;
        }
        self.update();
    }

    fn update(&mut self) {
        let present = users(self.tabs.iter());
        let editing = users(self.tabs.iter().filter(|tab| tab.access == Access::Edit));
        keep_order(&mut self.participants, &present);
        let stopped = self.editors.iter().filter(|user| !editing.contains(user)).cloned();
        self.stopped.extend(stopped);
        self.returned.extend(self.stopped.iter().filter(|user| editing.contains(user)).cloned());
        self.stopped.retain(|user| !editing.contains(user));
        self.returned.retain(|user| editing.contains(user));
        keep_order(&mut self.editors, &editing);
    }

    /// Returns the highest access of the user and the number of the user's connections.
    fn participation(&self, user: &UserId) -> (Access, usize) {
        let tabs = || self.tabs.iter().filter(|tab| tab.user == *user);
        (tabs().map(|tab| tab.access).max().unwrap(), tabs().count())
    }

    /// Checks that the engine has the same participants and editors in the same order.
    fn compare(&self, engine: &Engine, document: &DocumentKey) {
        let participants = engine.participants(document);
        let ids: Vec<&UserId> = participants.iter().map(|one| one.user.id()).collect();
        assert_eq!(ids, self.participants.iter().collect::<Vec<_>>(), "participants");
        for one in &participants {
            let actual = (one.access, one.connections as usize);
            assert_eq!(actual, self.participation(one.user.id()), "{}", one.user.id());
        }
        self.compare_editors(&engine.editors(document));
        for tab in &self.tabs {
            assert_eq!(engine.access(tab.id), Some(tab.access), "a tab of {}", tab.user);
        }
    }
}

impl NaiveDocument {
    /// Checks that these are the editors. Those who did not return are in their order.
    fn compare_editors(&self, editors: &[UserId]) {
        let sorted = |users: &[UserId]| {
            let mut users = users.to_vec();
            users.sort();
            users
        };
        assert_eq!(sorted(editors), sorted(&self.editors), "editors");
        let stayed = |users: &[UserId]| -> Vec<UserId> {
            users.iter().filter(|user| !self.returned.contains(user)).cloned().collect()
        };
        assert_eq!(stayed(editors), stayed(&self.editors), "the order of editors");
    }

    /// The storage was handed everything: whoever comes back from now on goes to the end.
    fn all_handed_out(&mut self, editors: Vec<UserId>) {
        self.compare_editors(&editors);
        self.editors = editors;
        self.stopped.clear();
        self.returned.clear();
    }
}

fn users<'a>(tabs: impl Iterator<Item = &'a Tab>) -> Vec<UserId> {
    tabs.map(|tab| tab.user.clone()).collect()
}

/// Removes users who are gone and appends new ones.
fn keep_order(list: &mut Vec<UserId>, present: &[UserId]) {
    list.retain(|user| present.contains(user));
    for user in present {
        if !list.contains(user) {
            list.push(user.clone());
        }
    }
}

/// The document storage. It holds one callback for an arbitrary time.
struct Storage {
    callbacks: Callbacks,
    /// The callback, and when it runs out.
    in_hand: Option<(Delivery, Timestamp)>,
    /// The percentage of callbacks that fail now.
    failing: usize,
    /// Panics if a callback lists other users than the editors that all earlier callbacks give.
    replay: Replay,
    /// Since when the save or the closing of the document is due.
    dues: Dues,
    /// The answers to the requests. The userdata of a request is the index of its answer.
    answers: Vec<Vec<UserId>>,
    /// The status of the last callback with an action.
    last_action: Option<Status>,
}

impl Storage {
    fn new(callbacks: Callbacks, patience: Duration) -> Self {
        Storage {
            callbacks,
            in_hand: None,
            failing: 0,
            replay: Replay::new(RETRIES),
            dues: Dues::new(SAVE_DELAY, patience),
            answers: Vec::new(),
            last_action: None,
        }
    }

    /// Settles the callback in hand and takes the next one. Returns true if there was one.
    fn serve(&mut self, random: &mut Random, now: Timestamp) -> bool {
        if let Some((delivery, _)) = self.in_hand.take() {
            self.settle(delivery, random, now);
        }
        let Ok(delivery) = self.callbacks.try_recv() else { return false };
        self.replay.taken(&delivery);
        self.check_callback(delivery.callback());
        if delivery.callback().status == Status::Save {
            self.dues.is_no_longer_due(&delivery.callback().key);
        }
        self.in_hand = Some((delivery, now.after(ACK_TIMEOUT)));
        true
    }

    fn settle(&mut self, delivery: Delivery, random: &mut Random, now: Timestamp) {
        let (callback, number) = (delivery.callback().clone(), delivery.number());
        if random.below(100) >= self.failing {
            return self.replay.answered(&callback, Some(number), delivery.ack());
        }
        let counts = delivery.deadline().is_some();
        if random.one_in(2) {
            assert_eq!(delivery.fail(), if counts { Answered::InTime } else { Answered::Late });
        } else {
            // The worker panics.
            drop(delivery);
        }
        if counts {
            self.fails(&callback.key, now);
        }
    }

    /// The callback failed or ran out. A save that is due goes before it then.
    fn fails(&mut self, key: &DocumentKey, now: Timestamp) {
        if self.dues.is_due(key, now) {
            self.replay.may_supersede(key);
        }
        self.replay.failed(key);
    }

    /// The engine ran what is due.
    fn ticked(&mut self, key: &DocumentKey, now: Timestamp) {
        let ran_out = self.in_hand.as_ref().filter(|(_, deadline)| *deadline <= now);
        if ran_out.is_some_and(|(delivery, _)| self.replay.in_hand(key) == Some(delivery.number())) {
            self.fails(key, now);
        }
        if self.dues.overdue(now).next().is_some() {
            self.replay.may_supersede(key);
        }
    }

    fn check_callback(&mut self, callback: &Callback) {
        if callback.action.is_some() {
            self.last_action = Some(callback.status);
        }
        if let Some(userdata) = &callback.userdata {
            let place: usize = userdata.parse().unwrap();
            let users = callback.users.as_deref().unwrap_or_default();
            assert_eq!(users, self.answers[place], "the editors at the time of the request: {callback:?}");
        }
    }

    fn check(&self) {
        let is_outstanding = |(delivery, _): &(Delivery, Timestamp)| delivery.deadline().is_some();
        assert!(
            !self.in_hand.as_ref().is_some_and(is_outstanding) || self.callbacks.try_recv().is_err(),
            "only one callback is outstanding"
        );
    }

    /// Checks that the last action closed or saved the document.
    fn check_closed(&self) {
        assert_ne!(self.last_action, Some(Status::Editing), "the document was never closed");
    }
}

struct Crowd {
    random: Random,
    world: World,
    document: DocumentKey,
    users: Vec<User>,
    naive: NaiveDocument,
    storage: Storage,
    /// True if users change the document. If not, the last leave closes it without a save.
    is_changed: bool,
    /// The percentage of joins among joins and leaves.
    join_percent: usize,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        // Small and large numbers, and numbers near the size at which a document stores its users in another way.
        let users = *random.pick(&[2, 3, 4, 7, 8, 9, 10, 12, 30, 100]);
        let waiting_actions = *random.pick(&[1, 2, 3, 4, 1_024]);
        let seat_count =
            *random.pick(&[SeatCount::Connections, SeatCount::Connections, SeatCount::UsersOfDocuments]);
        let bounds = Bounds { waiting_actions, ..Bounds::default() };
        let pauses = [seconds(1); RETRIES];
        // With much patience everything is told in order unless a callback fails.
        let patience = seconds(*random.pick(&[0, 5, 1_000_000]));
        let world = World::new(|config| {
            let config = config.bounds(bounds).seat_count(seat_count).shards(1);
            let config = config.retry_pauses(pauses).save_delay(SAVE_DELAY);
            config.save_patience(patience).ack_timeout(Some(ACK_TIMEOUT))
        });
        Crowd {
            is_changed: random.one_in(2),
            random,
            storage: Storage::new(world.callbacks.clone(), patience),
            world,
            document: key("document"),
            users: (0..users).map(member).collect(),
            naive: NaiveDocument::default(),
            join_percent: 50,
        }
    }

    fn run(mut self) {
        for step in 0..STEPS {
            if step % STEPS_PER_PHASE == 0 {
                self.change_probabilities();
            }
            self.step();
            self.check();
        }
        self.end();
    }

    fn change_probabilities(&mut self) {
        self.join_percent = *self.random.pick(&[20, 50, 80]);
        self.storage.failing = *self.random.pick(&[0, 10, 50]);
    }

    fn step(&mut self) {
        match self.random.below(10) {
            0..6 => self.open_or_close(),
            6 => self.drop_access(),
            7 => self.change_and_send_commands(),
            8 => self.pass(),
            _ => self.serve(),
        }
    }

    fn open_or_close(&mut self) {
        if self.naive.tabs.is_empty() || self.random.below(100) < self.join_percent {
            self.open();
        } else {
            self.close();
        }
    }

    fn open(&mut self) {
        let user = self.random.pick(&self.users);
        let asked = *self.random.pick(&[Access::View, Access::LiveView, Access::Edit, Access::Edit]);
        // A request for edit access gets view access while the document is saved.
        let (id, grant) = self.world.engine.admit(&self.document, user, asked).unwrap();
        self.naive.open(Tab { id, user: user.id().clone(), access: grant.access });
        if !self.naive.editors.is_empty() {
            self.storage.dues.is_no_longer_due(&self.document);
        }
    }

    fn close(&mut self) {
        let Some(position) = self.position() else { return };
        let was_edited = !self.naive.editors.is_empty();
        let tab = self.naive.close(position);
        self.world.engine.close(tab.id).unwrap();
        assert!(self.world.engine.close(tab.id).is_err(), "a connection closes only once");
        self.editors_left(was_edited, false);
    }

    /// If the last editor left, a save or a closing is due, `at_once` or after the save delay.
    fn editors_left(&mut self, was_edited: bool, at_once: bool) {
        if was_edited && self.naive.editors.is_empty() {
            let is_unsaved = !self.world.engine.unsaved().is_empty();
            let now = self.world.clock.now();
            self.storage.dues.last_editor_left(&self.document, now, at_once || !is_unsaved);
        }
    }

    fn drop_access(&mut self) {
        let Some(position) = self.position() else { return };
        let Tab { id, user, .. } = self.naive.tabs[position].clone();
        let was_edited = !self.naive.editors.is_empty();
        match self.random.below(20) {
            0 => {
                self.world.engine.drop_all(&self.document).unwrap();
                self.naive.drop_matching(|_| true);
            }
            1..10 => {
                self.world.engine.drop_users(&self.document, std::slice::from_ref(&user)).unwrap();
                self.naive.drop_matching(|tab| tab.user == user);
            }
            _ => {
                self.world.engine.drop_connection(id).unwrap();
                self.naive.drop_matching(|tab| tab.id == id);
            }
        }
        self.editors_left(was_edited, true);
        self.storage.dues.skip_delay(&self.document, self.world.clock.now());
    }

    /// An answer comes after everything that happened before its request. So the request queues the actions that the engine
    /// has merged so far.
    fn change_and_send_commands(&mut self) {
        if self.is_changed {
            self.change();
        }
        if self.random.one_in(4) {
            self.request_info();
        }
        if self.random.one_in(4) {
            // The engine refuses this if nothing is unsaved or too many requests wait.
            let _ = self.world.engine.force_save(&self.document, None);
        }
    }

    fn change(&mut self) {
        let Some(position) = self.position() else { return };
        let Tab { id, access, .. } = self.naive.tabs[position];
        // Every change has a time of its own, so the time in a save identifies its last change.
        self.world.clock.advance(Duration::from_millis(1));
        assert_eq!(
            self.world.engine.change(id).is_ok(),
            access == Access::Edit,
            "only edit access may change a document"
        );
    }

    fn request_info(&mut self) {
        let place = self.storage.answers.len().to_string();
        let userdata = self.random.one_in(2).then_some(place.as_str());
        // The engine refuses this if the document is not open or too many requests wait.
        let Ok(editors) = self.world.engine.info(&self.document, userdata) else { return };
        self.naive.compare_editors(&editors);
        if userdata.is_some() {
            self.storage.answers.push(editors);
        }
    }

    fn pass(&mut self) {
        let count = self.random.below(12) as u64;
        self.world.pass(seconds(count));
        self.storage.ticked(&self.document, self.world.clock.now());
    }

    /// The storage serves some callbacks. Between two calls it stalls, with or without a callback in hand.
    fn serve(&mut self) {
        let max = *self.random.pick(&[1, 1, 5, 100]);
        for _ in 0..max {
            if !self.storage.serve(&mut self.random, self.world.clock.now()) {
                self.all_handed_out();
                break;
            }
        }
    }

    /// With nothing waiting, nothing outstanding, no attempt and no save to come, the storage knows everything.
    fn all_handed_out(&mut self) {
        let editors = self.world.engine.editors(&self.document);
        if self.storage.replay.is_up_to_date(&self.document) && !editors.is_empty() {
            self.naive.all_handed_out(editors);
        }
    }

    /// Picks the position of one open connection.
    fn position(&mut self) -> Option<usize> {
        let open = self.naive.tabs.len();
        (open > 0).then(|| self.random.below(open))
    }

    fn check(&self) {
        self.world.engine.validate().unwrap();
        self.naive.compare(&self.world.engine, &self.document);
        self.storage.check();
    }

    fn end(mut self) {
        if self.random.one_in(2) {
            self.close_all();
        }
        self.settle_everything();
        self.check();
        self.check_editors();
        if self.naive.tabs.is_empty() {
            assert_eq!(self.world.engine.documents(), 0, "no document is left");
            self.storage.replay.assert_balanced();
            self.storage.check_closed();
        }
        let Crowd { world: World { engine, .. }, storage, .. } = self;
        drop(engine);
        assert_ne!(
            storage.callbacks.try_recv().err(),
            Some(TryRecvError::Empty),
            "the receiver is disconnected"
        );
    }

    fn close_all(&mut self) {
        while !self.naive.tabs.is_empty() {
            self.close();
        }
    }

    /// Lets the storage recover, and time pass until no save and no retry is left.
    fn settle_everything(&mut self) {
        self.storage.failing = 0;
        loop {
            while self.storage.serve(&mut self.random, self.world.clock.now()) {}
            let Some(due) = self.world.engine.next_deadline() else { break };
            self.world.clock.move_to(due);
            self.world.engine.tick();
            self.storage.ticked(&self.document, self.world.clock.now());
        }
    }

    /// Checks that the callbacks give the editors of the naive list.
    fn check_editors(&self) {
        let mut replayed = self.storage.replay.editing(&self.document);
        let mut editors = self.naive.editors.clone();
        replayed.sort();
        editors.sort();
        assert_eq!(replayed, editors, "the editors according to all callbacks");
    }
}

/// Every third user has a long id, which the engine stores in another way.
fn member(number: usize) -> User {
    let start = if number.is_multiple_of(3) { "somebody-with-a-long-id-" } else { "u" };
    user(&format!("{start}{number}"))
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    match number("COEDIT_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("COEDIT_SEEDS").unwrap_or(100)).collect(),
    }
}

#[test]
fn p4_callbacks_of_a_crowded_document_are_consistent_under_any_bound_of_waiting_actions() {
    for seed in seeds() {
        std::panic::catch_unwind(|| Crowd::new(seed).run()).unwrap_or_else(|panic| {
            eprintln!("the run with COEDIT_SEED={seed} broke a promise");
            std::panic::resume_unwind(panic)
        });
    }
}
