//! One document and a crowd that comes, goes and is dropped, while more actions wait for the storage than may. What the
//! engine says is compared with naive lists after every step, what it tells with a replay of all that it told before.
//!
//! `COEDIT_SEEDS=10000 cargo test --release --test crowded_document` runs so many seeds, `COEDIT_SEED=7` that one. A
//! failure says its seed.

mod support;

use coedit::{
    Access, Bounds, Callback, Callbacks, ConnectionId, Delivery, DocumentKey, Engine, SeatCount, Status,
    TryRecvError, User, UserId,
};
use support::random::Random;
use support::story::Stories;
use support::{Settle, World, key, seconds, user};

const STEPS: usize = 400;
/// Every so many steps crowd and storage are in another mood.
const MOOD: usize = 40;
const RETRIES: usize = 3;

/// One connection, and what it may do as far as opens and drops tell.
#[derive(Clone)]
struct Tab {
    id: ConnectionId,
    user: UserId,
    access: Access,
}

/// Who is in the document, as naively as can be: everybody's tabs are gone through after every change.
#[derive(Default)]
struct Naive {
    tabs: Vec<Tab>,
    /// In the order in which they came.
    participants: Vec<UserId>,
    /// In the order in which they began to edit.
    editors: Vec<UserId>,
}

impl Naive {
    fn open(&mut self, tab: Tab) {
        self.tabs.push(tab);
        self.update();
    }

    fn close(&mut self, position: usize) -> Tab {
        let tab = self.tabs.remove(position);
        self.update();
        tab
    }

    fn drop_those(&mut self, is_dropped: impl Fn(&Tab) -> bool) {
        for tab in self.tabs.iter_mut().filter(|tab| is_dropped(tab)) {
            tab.access = Access::View;
        }
        self.update();
    }

    fn update(&mut self) {
        let present = users(self.tabs.iter());
        let editing = users(self.tabs.iter().filter(|tab| tab.access == Access::Edit));
        keep_order(&mut self.participants, &present);
        keep_order(&mut self.editors, &editing);
    }

    /// The most that the user may do, and through how many tabs the user is here.
    fn presence(&self, user: &UserId) -> (Access, usize) {
        let tabs = || self.tabs.iter().filter(|tab| tab.user == *user);
        (tabs().map(|tab| tab.access).max().unwrap(), tabs().count())
    }

    /// The engine says the same of everybody, in the same order.
    fn compare(&self, engine: &Engine, document: &DocumentKey) {
        let participants = engine.participants(document);
        let ids: Vec<&UserId> = participants.iter().map(|one| one.user.id()).collect();
        assert_eq!(ids, self.participants.iter().collect::<Vec<_>>(), "participants");
        for one in &participants {
            let told = (one.access, one.connections as usize);
            assert_eq!(told, self.presence(one.user.id()), "{}", one.user.id());
        }
        assert_eq!(engine.editors(document), self.editors, "editors");
        for tab in &self.tabs {
            assert_eq!(engine.access(tab.id), Some(tab.access), "a tab of {}", tab.user);
        }
    }
}

fn users<'a>(tabs: impl Iterator<Item = &'a Tab>) -> Vec<UserId> {
    tabs.map(|tab| tab.user.clone()).collect()
}

/// Who is there no more leaves the list, who is new comes last.
fn keep_order(list: &mut Vec<UserId>, present: &[UserId]) {
    list.retain(|user| present.contains(user));
    for user in present {
        if !list.contains(user) {
            list.push(user.clone());
        }
    }
}

/// The document storage: it has one callback in hand, for as long as it likes.
struct Storage {
    callbacks: Callbacks,
    in_hand: Option<Delivery>,
    /// How many in a hundred callbacks fail now.
    failing: usize,
    /// The replay: panics where a callback lists others than those who edit by all actions told.
    stories: Stories,
    /// What requests were answered at once: the storage hears of each with its place here as its userdata.
    answers: Vec<Vec<UserId>>,
    /// The status of the last callback that told an action.
    last_action: Option<Status>,
}

impl Storage {
    fn new(callbacks: Callbacks) -> Self {
        Storage {
            callbacks,
            in_hand: None,
            failing: 0,
            stories: Stories::new(RETRIES),
            answers: Vec::new(),
            last_action: None,
        }
    }

    /// Settles what is in hand and takes the next; whether there was one.
    fn serve(&mut self, random: &mut Random) -> bool {
        if let Some(delivery) = self.in_hand.take() {
            let fails = random.below(100) < self.failing;
            self.hear(delivery.callback(), fails);
            match (fails, random.one_in(2)) {
                (false, _) => drop(delivery.acked()),
                (true, false) => drop(delivery.failed()),
                // The worker dies.
                (true, true) => drop(delivery),
            }
        }
        self.in_hand = self.callbacks.try_recv().ok();
        self.in_hand.is_some()
    }

    fn hear(&mut self, callback: &Callback, fails: bool) {
        self.stories.settled(callback, !fails);
        if callback.action.is_some() {
            self.last_action = Some(callback.status);
        }
        if let Some(userdata) = &callback.userdata {
            let place: usize = userdata.parse().unwrap();
            let told = callback.users.as_deref().unwrap_or_default();
            assert_eq!(told, self.answers[place], "who edited when it was asked: {callback:?}");
        }
    }

    fn check(&self) {
        assert!(self.in_hand.is_none() || self.callbacks.try_recv().is_err(), "one outstanding");
    }

    /// Whoever was told to go last closed the document or had it saved.
    fn check_closed(&self) {
        assert_ne!(self.last_action, Some(Status::Editing), "the document was never closed");
    }
}

struct Crowd {
    random: Random,
    world: World,
    document: DocumentKey,
    users: Vec<User>,
    naive: Naive,
    storage: Storage,
    /// Whether the document is ever changed. Where it is not, the last who goes closes it and nothing is saved.
    is_changed: bool,
    /// How many in a hundred who come or go, come.
    coming: usize,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        // Few and many, and about as many as make a document keep its users in another way.
        let users = *random.pick(&[2, 3, 4, 7, 8, 9, 10, 12, 30, 100]);
        let waiting_actions = *random.pick(&[1, 2, 3, 4, 1_024]);
        let seat_count =
            *random.pick(&[SeatCount::Connections, SeatCount::Connections, SeatCount::UsersOfDocuments]);
        let bounds = Bounds { waiting_actions, ..Bounds::default() };
        let pauses = [seconds(1); RETRIES];
        let world =
            World::new(|config| config.bounds(bounds).seat_count(seat_count).retry_pauses(pauses).shards(1));
        Crowd {
            is_changed: random.one_in(2),
            random,
            storage: Storage::new(world.callbacks.clone()),
            world,
            document: key("document"),
            users: (0..users).map(member).collect(),
            naive: Naive::default(),
            coming: 50,
        }
    }

    fn run(mut self) {
        for step in 0..STEPS {
            if step % MOOD == 0 {
                self.change_mood();
            }
            self.step();
            self.check();
        }
        self.end();
    }

    fn change_mood(&mut self) {
        self.coming = *self.random.pick(&[20, 50, 80]);
        self.storage.failing = *self.random.pick(&[0, 10, 50]);
    }

    fn step(&mut self) {
        match self.random.below(10) {
            0..6 => self.come_or_go(),
            6 => self.drop_somebody(),
            7 => self.change_and_ask(),
            8 => self.pass(),
            _ => self.serve(),
        }
    }

    fn come_or_go(&mut self) {
        if self.naive.tabs.is_empty() || self.random.below(100) < self.coming {
            self.come();
        } else {
            self.go();
        }
    }

    fn come(&mut self) {
        let user = self.random.pick(&self.users);
        let asked = *self.random.pick(&[Access::View, Access::LiveView, Access::Edit, Access::Edit]);
        // Whoever asks to edit while the document is saved gets view access.
        let (id, grant) = self.world.engine.admit(&self.document, user, asked).unwrap();
        self.naive.open(Tab { id, user: user.id().clone(), access: grant.access });
    }

    fn go(&mut self) {
        let Some(position) = self.position() else { return };
        let tab = self.naive.close(position);
        self.world.engine.close(tab.id).unwrap();
        assert!(self.world.engine.close(tab.id).is_err(), "closed once");
    }

    fn drop_somebody(&mut self) {
        let Some(position) = self.position() else { return };
        let Tab { id, user, .. } = self.naive.tabs[position].clone();
        match self.random.below(20) {
            0 => {
                self.world.engine.drop_all(&self.document).unwrap();
                self.naive.drop_those(|_| true);
            }
            1..10 => {
                self.world.engine.drop_users(&self.document, std::slice::from_ref(&user)).unwrap();
                self.naive.drop_those(|tab| tab.user == user);
            }
            _ => {
                self.world.engine.drop_connection(id).unwrap();
                self.naive.drop_those(|tab| tab.id == id);
            }
        }
    }

    /// An answer to a request is told after all that was done before: what has cancelled out so far is queued.
    fn change_and_ask(&mut self) {
        if self.is_changed {
            self.change();
        }
        if self.random.one_in(4) {
            self.ask();
        }
        if self.random.one_in(4) {
            // Refused where nothing is unsaved, or too much is asked.
            let _ = self.world.engine.force_save(&self.document, None);
        }
    }

    fn change(&mut self) {
        let Some(position) = self.position() else { return };
        let Tab { id, access, .. } = self.naive.tabs[position];
        assert_eq!(self.world.engine.change(id).is_ok(), access == Access::Edit, "only who edits");
    }

    fn ask(&mut self) {
        let place = self.storage.answers.len().to_string();
        let userdata = self.random.one_in(2).then_some(place.as_str());
        // Refused where there is no document, or too much is asked.
        let Ok(editors) = self.world.engine.info(&self.document, userdata) else { return };
        assert_eq!(editors, self.naive.editors, "the answer to an info");
        if userdata.is_some() {
            self.storage.answers.push(editors);
        }
    }

    fn pass(&mut self) {
        let count = self.random.below(12) as u64;
        self.world.pass(seconds(count));
    }

    /// Between these the storage stalls, with something in hand or without.
    fn serve(&mut self) {
        let most = *self.random.pick(&[1, 1, 5, 100]);
        for _ in 0..most {
            if !self.storage.serve(&mut self.random) {
                break;
            }
        }
    }

    /// Where one of the tabs stands, if any is open.
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
            self.all_go();
        }
        self.tell_everything();
        self.check();
        self.check_told();
        if self.naive.tabs.is_empty() {
            assert_eq!(self.world.engine.documents(), 0, "nobody is left");
            self.storage.check_closed();
        }
        let Crowd { world: World { engine, .. }, storage, .. } = self;
        drop(engine);
        assert_ne!(storage.callbacks.try_recv().err(), Some(TryRecvError::Empty), "the engine is gone");
    }

    fn all_go(&mut self) {
        while !self.naive.tabs.is_empty() {
            self.go();
        }
    }

    /// The storage has recovered, and time passes until no save and no retry is left.
    fn tell_everything(&mut self) {
        self.storage.failing = 0;
        loop {
            while self.storage.serve(&mut self.random) {}
            let Some(due) = self.world.engine.next_deadline() else { break };
            self.world.clock.move_to(due);
            self.world.engine.tick();
        }
    }

    /// By what was told those edit who edit.
    fn check_told(&self) {
        let mut told = self.storage.stories.editing(&self.document);
        let mut editors = self.naive.editors.clone();
        told.sort();
        editors.sort();
        assert_eq!(told, editors, "who edits by all that was told");
    }
}

/// Every third has a long id: those are kept in another way.
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
fn p4_a_crowded_document_is_told_truly_however_few_actions_may_wait() {
    for seed in seeds() {
        std::panic::catch_unwind(|| Crowd::new(seed).run()).unwrap_or_else(|panic| {
            eprintln!("the crowd of COEDIT_SEED={seed} broke a promise");
            std::panic::resume_unwind(panic)
        });
    }
}
