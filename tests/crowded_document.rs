//! One document and a crowd: who is in it, in which order, and what the storage hears of it, against lists that are as naive
//! as can be, while few actions may wait and the storage takes callbacks now and then.
//!
//! `COEDIT_SEEDS=10000 cargo test --release --test crowded_document` runs more of them.

mod support;

use coedit::{Access, Bounds, ConnectionId, Delivery, DocumentKey, SeatCount, User, UserId};
use support::random::Random;
use support::story::Stories;
use support::{World, key, seconds, user};

const STEPS: usize = 300;
const RETRIES: usize = 3;

struct Crowd {
    random: Random,
    world: World,
    document: DocumentKey,
    users: Vec<User>,
    connections: Vec<Tab>,
    /// Users in the order of their first tab's coming.
    present: Vec<UserId>,
    /// Users who edit, in the order in which they came to.
    editing: Vec<UserId>,
    in_hand: Option<Delivery>,
    stories: Stories,
    /// Of a hundred steps so many are comings.
    comings: usize,
}

#[derive(Clone)]
struct Tab {
    id: ConnectionId,
    user: UserId,
    access: Access,
}

impl Crowd {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let users = *random.pick(&[2, 3, 7, 8, 9, 12, 100]);
        // Short ids are kept in another way than long ones.
        let id = |number: usize| format!("{}{number}", ["", "a-user-with-a-long-name-"][number % 2]);
        let bounds = Bounds { waiting_actions: *random.pick(&[1, 2, 3, 4, 1024]), ..Bounds::default() };
        let count = *random.pick(&[SeatCount::Connections, SeatCount::UsersOfDocuments]);
        Crowd {
            random,
            world: World::new(|config| config.bounds(bounds).seat_count(count)),
            document: key("document"),
            users: (0..users).map(|number| user(&id(number))).collect(),
            connections: Vec::new(),
            present: Vec::new(),
            editing: Vec::new(),
            in_hand: None,
            stories: Stories::new(RETRIES),
            comings: 50,
        }
    }

    fn run(mut self) {
        for step in 0..STEPS {
            if step % 30 == 0 {
                self.comings = *self.random.pick(&[20, 50, 80]);
            }
            match self.random.below(10) {
                0..6 if self.random.below(100) < self.comings => self.come(),
                0..6 => self.go(),
                6 => self.drop_somebody(),
                7 => self.ask(),
                8 => {
                    let count = self.random.below(12);
                    self.pass(count);
                }
                _ => self.take_some(),
            }
            self.check();
        }
        self.end();
    }

    fn chosen(&mut self) -> Option<usize> {
        (!self.connections.is_empty()).then(|| self.random.below(self.connections.len()))
    }

    fn come(&mut self) {
        let who = self.random.pick(&self.users).clone();
        let asked = *self.random.pick(&[Access::View, Access::LiveView, Access::Edit, Access::Edit]);
        let (id, grant) = self.world.engine.admit(&self.document, &who, asked).unwrap();
        self.connections.push(Tab { id, user: who.id().clone(), access: grant.access });
        self.count();
    }

    fn go(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let tab = self.connections.remove(chosen);
        self.world.engine.close(tab.id).unwrap();
        assert!(self.world.engine.close(tab.id).is_err(), "once");
        self.count();
    }

    fn drop_somebody(&mut self) {
        let Some(chosen) = self.chosen() else { return };
        let Tab { id, user, .. } = self.connections[chosen].clone();
        let engine = &self.world.engine;
        let dropped: &dyn Fn(&Tab) -> bool = match self.random.below(20) {
            0 => {
                engine.drop_all(&self.document).unwrap();
                &|_| true
            }
            1..10 => {
                engine.drop_users(&self.document, std::slice::from_ref(&user)).unwrap();
                &|tab| tab.user == user
            }
            _ => {
                engine.drop_connection(id).unwrap();
                &|tab| tab.id == id
            }
        };
        for tab in self.connections.iter_mut().filter(|tab| dropped(tab)) {
            tab.access = Access::View;
        }
        self.count();
    }

    fn ask(&mut self) {
        if let Some(chosen) = self.chosen() {
            let Tab { id, access, .. } = self.connections[chosen];
            assert_eq!(self.world.engine.change(id).is_ok(), access == Access::Edit);
        }
        let userdata = self.random.one_in(2).then_some("some userdata");
        // Refused where the document is not open, or nothing is to be saved, or too much was asked.
        let _ = self.world.engine.info(&self.document, userdata);
        if self.random.one_in(2) {
            let _ = self.world.engine.force_save(&self.document, userdata);
        }
    }

    fn pass(&mut self, count: usize) {
        self.world.pass(seconds(count as u64));
    }

    fn take_some(&mut self) {
        for _ in 0..*self.random.pick(&[1, 1, 5, 100]) {
            if let Some(delivery) = self.in_hand.take() {
                let fails = self.random.one_in(10);
                self.stories.settled(delivery.callback(), !fails);
                drop(if fails { delivery.fail() } else { delivery.ack() });
            }
            self.in_hand = self.world.callbacks.try_recv().ok();
        }
    }

    /// Brings the lists up to date: who is new comes last, who is there no more goes.
    fn count(&mut self) {
        let renew = |list: &mut Vec<UserId>, tabs: &[Tab], counts: &dyn Fn(&Tab) -> bool| {
            let is_in = |user: &UserId| tabs.iter().any(|tab| counts(tab) && tab.user == *user);
            list.retain(|user| is_in(user));
            for tab in tabs.iter().filter(|tab| counts(tab)) {
                if !list.contains(&tab.user) {
                    list.push(tab.user.clone());
                }
            }
        };
        renew(&mut self.present, &self.connections, &|_| true);
        renew(&mut self.editing, &self.connections, &|tab| tab.access == Access::Edit);
    }

    fn check(&self) {
        let engine = &self.world.engine;
        engine.validate().unwrap();
        let participants = engine.participants(&self.document);
        assert!(participants.iter().map(|one| one.user.id()).eq(&self.present), "{participants:?}");
        assert_eq!(engine.editors(&self.document), self.editing);
        assert!(self.connections.iter().all(|tab| engine.access(tab.id) == Some(tab.access)));
    }

    /// Everything is told; with nobody left nothing is left.
    fn end(mut self) {
        if self.random.one_in(2) {
            while !self.connections.is_empty() {
                self.go();
            }
        }
        for _ in 0..20 {
            self.pass(20);
            while let Some(delivery) = self.in_hand.take().or_else(|| self.world.callbacks.try_recv().ok()) {
                self.stories.settled(delivery.callback(), true);
                delivery.ack();
            }
        }
        self.check();
        let mut told = self.stories.editing(&self.document);
        told.sort();
        self.editing.sort();
        assert_eq!(told, self.editing);
        assert!(!self.connections.is_empty() || self.world.engine.documents() == 0);
    }
}

#[test]
fn p4_a_crowded_document_is_told_truly_however_few_actions_may_wait() {
    let seeds = std::env::var("COEDIT_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    for seed in 0..seeds {
        let run = std::panic::catch_unwind(|| Crowd::new(seed).run());
        assert!(run.is_ok(), "seed {seed}");
    }
}
