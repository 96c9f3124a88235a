//! One history on the engine and on the model, everything observable compared after every operation.

use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, Bounds, Callbacks, Config, ConnectionId, Delivery, DocumentKey, Engine, ForceSaveType,
    ManualClock, Notice, Notices, Timestamp, User, UserId,
};

use super::{Model, Settings};

/// One thing that somebody does. Small numbers pick documents, users, connections and deliveries, wrapped around what
/// there is, so that collisions happen.
#[derive(Clone, Debug)]
pub enum Op {
    Open {
        document: u8,
        user: u8,
        asked: u8,
    },
    Close(u8),
    Change(u8),
    Info {
        document: u8,
        userdata: bool,
    },
    DropUsers {
        document: u8,
        users: u8,
    },
    DropAll(u8),
    DropConnection(u8),
    ForceSave {
        document: u8,
        userdata: bool,
    },
    PressSave(u8),
    SubmitForm(u8),
    Rename(u8),
    EditLimit(u8),
    LiveLimit(u8),
    /// Milliseconds.
    Pass(u16),
    PassToDeadline,
    Take,
    Ack {
        delivery: u8,
        url: bool,
    },
    Fail {
        delivery: u8,
        url: bool,
    },
    /// A worker dies with the delivery in hand.
    Die(u8),
    DeleteForgotten(u8),
    Drain,
}

impl Op {
    /// Any four bytes are an operation, common ones more often.
    pub fn from_bytes([kind, a, b, c]: [u8; 4]) -> Op {
        let flag = c & 1 == 1;
        match kind % 64 {
            0..12 => Op::Open { document: a, user: b, asked: c },
            12..20 => Op::Close(a),
            20..28 => Op::Change(a),
            28..30 => Op::Info { document: a, userdata: flag },
            30..32 => Op::DropUsers { document: a, users: b },
            32 => Op::DropAll(a),
            33 => Op::DropConnection(a),
            34 => Op::ForceSave { document: a, userdata: flag },
            35 => Op::PressSave(a),
            36 => Op::SubmitForm(a),
            37 => Op::Rename(a),
            38 => Op::EditLimit(a),
            39 => Op::LiveLimit(a),
            40..44 => Op::Pass(u16::from_be_bytes([a % 64, b])),
            44..47 => Op::PassToDeadline,
            47..54 => Op::Take,
            54..59 => Op::Ack { delivery: a, url: flag },
            59..61 => Op::Fail { delivery: a, url: flag },
            61 => Op::Die(a),
            62 => Op::DeleteForgotten(a),
            // Draining is for ever, so it must be rare.
            _ => {
                if a < 16 {
                    Op::Drain
                } else {
                    Op::Take
                }
            }
        }
    }
}

/// The engine and the model, side by side.
pub struct Both {
    engine: Engine,
    clock: Arc<ManualClock>,
    callbacks: Callbacks,
    notices: Notices,
    model: Model,
    keys: Vec<DocumentKey>,
    users: Vec<User>,
    /// All that were ever opened.
    connections: Vec<ConnectionId>,
    in_hand: Vec<Delivery>,
}

const START: u64 = 1_700_000_000_000;
/// A limit of each kind: none, some that are reached, many.
const LIMITS: [Option<u32>; 5] = [Some(0), Some(1), Some(2), Some(40), None];

impl Both {
    pub fn new(settings: Settings) -> Self {
        let millis = |millis: &u64| Duration::from_millis(*millis);
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let bounds = Bounds { asked: settings.asked, turns: settings.turns, ..Bounds::default() };
        let config = Config::new()
            .edit_limit(settings.edit_limit)
            .live_limit(settings.live_limit)
            .save_delay(millis(&settings.save_delay))
            .retry_pauses(settings.retry_pauses.iter().map(millis).collect::<Vec<_>>())
            .force_save_interval(settings.force_save_interval.as_ref().map(millis))
            .bounds(bounds)
            .shards(4)
            .clock(clock.clone());
        let engine = Engine::new(config).unwrap();
        let user = |n: usize| {
            let user = User::new(&format!("user-{n}")).unwrap();
            if n.is_multiple_of(2) { user.named(&format!("User {n}")).unwrap() } else { user }
        };
        Both {
            callbacks: engine.callbacks(),
            notices: engine.notices(),
            engine,
            clock,
            model: Model::new(settings, START),
            keys: (0..4).map(|n| DocumentKey::new(&format!("document-{n}")).unwrap()).collect(),
            users: (0..5).map(user).collect(),
            connections: Vec::new(),
            in_hand: Vec::new(),
        }
    }

    fn key(&self, number: u8) -> DocumentKey {
        self.keys[usize::from(number) % self.keys.len()].clone()
    }

    /// One of the latest connections, closed ones among them.
    fn connection(&self, number: u8) -> Option<ConnectionId> {
        let latest = &self.connections[self.connections.len().saturating_sub(24)..];
        (!latest.is_empty()).then(|| latest[usize::from(number) % latest.len()])
    }

    fn delivery(&mut self, number: u8) -> Option<Delivery> {
        let count = self.in_hand.len();
        (count > 0).then(|| self.in_hand.remove(usize::from(number) % count))
    }

    pub fn run(&mut self, op: &Op) {
        self.step(op);
        self.compare(op);
    }

    #[expect(clippy::too_many_lines, reason = "one arm an operation")]
    fn step(&mut self, op: &Op) {
        let title = "a title";
        let userdata = |given: &bool| given.then_some("some data");
        match op {
            Op::Open { document, user, asked } => {
                let asked =
                    [Access::Edit, Access::Edit, Access::LiveView, Access::View][usize::from(*asked) % 4];
                let (key, user) =
                    (self.key(*document), self.users[usize::from(*user) % self.users.len()].clone());
                let expected = self.model.grant(&key, asked);
                let connection = self.engine.open(&key, &user, asked).unwrap();
                assert_eq!(connection.granted(), expected, "{op:?}");
                let id = connection.into_id();
                self.model.opened(id, &key, &user, expected.access);
                self.connections.push(id);
            }
            Op::Close(number) => {
                let Some(id) = self.connection(*number) else { return };
                assert_eq!(self.engine.close(id), self.model.close(id), "{op:?}");
            }
            Op::Change(number) => {
                let Some(id) = self.connection(*number) else { return };
                assert_eq!(self.engine.change(id), self.model.change(id), "{op:?}");
            }
            Op::Info { document, userdata: given } => {
                let key = self.key(*document);
                let expected = self.model.info(&key, userdata(given));
                assert_eq!(self.engine.info(&key, userdata(given)), expected, "{op:?}");
            }
            Op::DropUsers { document, users } => {
                let key = self.key(*document);
                let chosen: Vec<UserId> = (0..=self.users.len())
                    .filter(|bit| users >> bit & 1 == 1)
                    .map(|n| {
                        self.users.get(n).map_or(UserId::new("stranger").unwrap(), |user| user.id().clone())
                    })
                    .collect();
                let expected = self.model.drop_access(&key, Some(&chosen));
                assert_eq!(self.engine.drop_users(&key, &chosen), expected, "{op:?}");
            }
            Op::DropAll(document) => {
                let key = self.key(*document);
                assert_eq!(self.engine.drop_all(&key), self.model.drop_access(&key, None), "{op:?}");
            }
            Op::DropConnection(number) => {
                let Some(id) = self.connection(*number) else { return };
                assert_eq!(self.engine.drop_connection(id), self.model.drop_connection(id), "{op:?}");
            }
            Op::ForceSave { document, userdata: given } => {
                let key = self.key(*document);
                let expected = self.model.force_save(&key, userdata(given));
                assert_eq!(self.engine.force_save(&key, userdata(given)), expected, "{op:?}");
            }
            Op::PressSave(number) => {
                let Some(id) = self.connection(*number) else { return };
                let expected = self.model.force_save_by(id, ForceSaveType::Button);
                assert_eq!(self.engine.press_save(id), expected, "{op:?}");
            }
            Op::SubmitForm(number) => {
                let Some(id) = self.connection(*number) else { return };
                let expected = self.model.force_save_by(id, ForceSaveType::Form);
                assert_eq!(self.engine.submit_form(id), expected, "{op:?}");
            }
            Op::Rename(document) => {
                let key = self.key(*document);
                let renamed = self.engine.rename(&key, title);
                assert_eq!(renamed.is_ok(), self.model.rename(&key, title).is_ok(), "{op:?}");
            }
            Op::EditLimit(number) => {
                let limit = LIMITS[usize::from(*number) % LIMITS.len()];
                self.engine.set_edit_limit(limit).unwrap();
                self.model.settings.edit_limit = limit;
            }
            Op::LiveLimit(number) => {
                let limit = LIMITS[usize::from(*number) % LIMITS.len()];
                self.engine.set_live_limit(limit).unwrap();
                self.model.settings.live_limit = limit;
            }
            Op::Pass(millis) => self.pass(u64::from(*millis)),
            Op::PassToDeadline => {
                if let Some(due) = self.model.next_deadline() {
                    self.pass(due.saturating_sub(self.model.now));
                }
            }
            Op::Take => {
                let delivery = self.callbacks.try_recv().ok();
                assert_eq!(delivery.as_ref().map(|delivery| delivery.callback().clone()), self.model.take());
                self.in_hand.extend(delivery);
            }
            Op::Ack { delivery, url } => self.settle(*delivery, true, *url, |delivery| drop(delivery.ack())),
            Op::Fail { delivery, url } => {
                self.settle(*delivery, false, *url, |delivery| drop(delivery.fail()));
            }
            Op::Die(delivery) => self.settle(*delivery, false, false, drop),
            Op::DeleteForgotten(document) => {
                let key = self.key(*document);
                assert_eq!(
                    self.engine.delete_forgotten(&key).is_ok(),
                    self.model.delete_forgotten(&key),
                    "{op:?}"
                );
            }
            Op::Drain => {
                self.engine.drain();
                self.model.drain();
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        self.engine.tick();
        self.model.pass(millis);
    }

    fn settle(&mut self, delivery: u8, done: bool, url: bool, settle: impl FnOnce(Delivery)) {
        let Some(mut delivery) = self.delivery(delivery) else { return };
        let url = url.then_some("file:///kept");
        if let Some(url) = url {
            delivery.kept_at(url).unwrap();
        }
        let key = delivery.callback().key.clone();
        settle(delivery);
        self.model.settle(&key, done, url);
    }

    fn compare(&mut self, op: &Op) {
        self.engine.validate().unwrap_or_else(|error| panic!("after {op:?}: {error}"));
        let noticed: Vec<Notice> = self.notices.try_iter().collect();
        assert_eq!(noticed, std::mem::take(&mut self.model.notices), "notices after {op:?}");
        for key in &self.keys {
            assert_eq!(self.engine.editors(key), self.model.editors(key), "editors after {op:?}");
            assert_eq!(self.engine.is_open(key), self.model.is_open(key), "{key} open after {op:?}");
            let briefly = |all: Vec<coedit::Participant>| -> Vec<(UserId, Access, u32)> {
                all.into_iter().map(|one| (one.user.id().clone(), one.access, one.connections)).collect()
            };
            let (engine, model) = (self.engine.participants(key), self.model.participants(key));
            assert_eq!(briefly(engine), briefly(model), "participants after {op:?}");
        }
        let limits = self.engine.limits();
        assert_eq!(limits.edit.in_use, self.model.in_use(Access::Edit), "edit seats after {op:?}");
        assert_eq!(limits.live.in_use, self.model.in_use(Access::LiveView), "live seats after {op:?}");
        assert_eq!(self.engine.documents(), self.model.open_documents(), "documents after {op:?}");
        let forgotten: Vec<_> = self
            .engine
            .forgotten()
            .into_iter()
            .map(|one| (one.key, one.url.map(|url| url.to_string())))
            .collect();
        assert_eq!(forgotten, self.model.forgotten(), "forgotten after {op:?}");
        let (engine, model) =
            (self.engine.next_deadline().map(Timestamp::as_millis), self.model.next_deadline());
        assert!(
            model.is_none_or(|due| engine.is_some_and(|engine| engine <= due)),
            "deadline {engine:?} later than {model:?} after {op:?}"
        );
        for id in self.connections.iter().rev().take(24) {
            assert_eq!(self.engine.access(*id), self.model.access(*id), "access after {op:?}");
        }
    }

    /// Everybody goes, and the storage does what it is asked to: nothing may be left.
    pub fn finish(mut self) {
        for number in (0..self.connections.len()).rev() {
            let id = self.connections[number];
            assert_eq!(self.engine.close(id), self.model.close(id));
        }
        while let Some(delivery) = self.in_hand.pop() {
            let key = delivery.callback().key.clone();
            delivery.ack();
            self.model.settle(&key, true, None);
        }
        loop {
            while let Ok(delivery) = self.callbacks.try_recv() {
                let key = delivery.callback().key.clone();
                assert_eq!(Some(&*delivery.ack()), self.model.take().as_ref());
                self.model.settle(&key, true, None);
            }
            let Some(due) = self.model.next_deadline() else { break };
            self.pass(due.saturating_sub(self.model.now));
        }
        self.compare(&Op::Take);
        assert_eq!((self.engine.documents(), self.engine.limits().edit.in_use), (0, 0));
        for forgotten in self.engine.forgotten() {
            self.engine.delete_forgotten(&forgotten.key).unwrap();
        }
        self.engine.validate().unwrap();
    }
}
