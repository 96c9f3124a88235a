//! Runs one history on the engine and on the model and compares everything observable after every operation.

use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, Answered, Callbacks, ConnectionId, Delivery, DocumentKey, Engine, ForceSaveType, Forgotten,
    ManualClock, NamedUsers, Notice, PendingDocument, Timestamp, User, UserId,
};
use crossbeam_channel::Receiver;

use super::op::Op;
use super::settings::{CAPS, DAYS, End, LIMITS, SMALL, Settings};
use super::{Model, Outcome, Pending};

/// The engine and the model, side by side.
pub struct Both {
    /// `None` once the last handle is dropped.
    engine: Option<Engine>,
    clock: Arc<ManualClock>,
    callbacks: Callbacks,
    save_callbacks: Callbacks,
    notices: Receiver<Notice>,
    model: Model,
    keys: Vec<DocumentKey>,
    users: Vec<User>,
    /// Every connection that was ever opened.
    connections: Vec<ConnectionId>,
    /// The deliveries that nobody settled, also those that ran out or were superseded.
    in_hand: Vec<Delivery>,
    /// True once the end was seen.
    ended: bool,
}

const START: u64 = 1_700_000_000_000;
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

/// Picks one of `choices`.
fn pick<T: Copy>(choices: &[T], number: u8) -> T {
    choices[usize::from(number) % choices.len()]
}

impl Both {
    pub fn new(settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let config = settings.config().shards(64).clock(clock.clone());
        let engine = Engine::new(config).unwrap();
        let user = |n: usize| {
            let user = User::new(&format!("user-{n}")).unwrap();
            if n.is_multiple_of(2) { user.named(&format!("User {n}")).unwrap() } else { user }
        };
        Both {
            callbacks: engine.callbacks(),
            save_callbacks: engine.save_callbacks(),
            notices: engine.notices(),
            engine: Some(engine),
            clock,
            keys: (0..settings.documents)
                .map(|n| DocumentKey::new(&format!("document-{n}")).unwrap())
                .collect(),
            model: Model::new(settings, START),
            users: (0..5).map(user).collect(),
            connections: Vec::new(),
            in_hand: Vec::new(),
            ended: false,
        }
    }

    fn key(&self, number: u8) -> DocumentKey {
        self.keys[usize::from(number) % self.keys.len()].clone()
    }

    /// Picks a document, every other time one that is forgotten if there is any.
    fn forgotten_key(&self, number: u8) -> DocumentKey {
        let forgotten = self.model.forgotten();
        match forgotten.len() {
            0 => self.key(number),
            _ if number & 1 == 1 => self.key(number / 2),
            count => forgotten[usize::from(number / 2) % count].0.clone(),
        }
    }

    /// Picks one of the latest connections, open or closed.
    fn connection(&self, number: u8) -> Option<ConnectionId> {
        let latest = &self.connections[self.connections.len().saturating_sub(24)..];
        (!latest.is_empty()).then(|| latest[usize::from(number) % latest.len()])
    }

    fn delivery(&mut self, number: u8) -> Option<Delivery> {
        let count = self.in_hand.len();
        (count > 0).then(|| self.in_hand.remove(usize::from(number) % count))
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().expect("there is a handle")
    }

    pub fn run(&mut self, op: &Op) {
        if self.engine.is_some() || needs_no_handle(op) {
            self.step(op);
            self.compare(op);
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each operation")]
    fn step(&mut self, op: &Op) {
        let title = "a title";
        let userdata = |given: &bool| given.then_some("some data");
        match op {
            Op::Open { document, user, asked } => self.open(*document, *user, *asked),
            Op::WouldAdmit { document, user, asked } => self.would_admit(*document, *user, *asked),
            Op::Close(number) => {
                let Some(id) = self.connection(*number) else { return };
                assert_eq!(self.engine().close(id), self.model.close(id), "{op:?}");
            }
            Op::Change(number) => {
                let Some(id) = self.connection(*number) else { return };
                assert_eq!(self.engine().change(id), self.model.change(id), "{op:?}");
            }
            Op::Info { document, userdata: given } => {
                let key = self.key(*document);
                let expected = self.model.info(&key, userdata(given));
                assert_eq!(self.engine().info(&key, userdata(given)), expected, "{op:?}");
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
                assert_eq!(self.engine().drop_users(&key, &chosen), expected, "{op:?}");
            }
            Op::DropAll(document) => {
                let key = self.key(*document);
                assert_eq!(self.engine().drop_all(&key), self.model.drop_access(&key, None), "{op:?}");
            }
            Op::DropConnection(number) => {
                let Some(id) = self.connection(*number) else { return };
                assert_eq!(self.engine().drop_connection(id), self.model.drop_connection(id), "{op:?}");
            }
            Op::ForceSave { document, userdata: given } => {
                let key = self.key(*document);
                let expected = self.model.force_save(&key, userdata(given));
                assert_eq!(self.engine().force_save(&key, userdata(given)), expected, "{op:?}");
            }
            Op::PressSave(number) => {
                let Some(id) = self.connection(*number) else { return };
                let expected = self.model.force_save_by(id, ForceSaveType::Button);
                assert_eq!(self.engine().press_save(id), expected, "{op:?}");
            }
            Op::SubmitForm(number) => {
                let Some(id) = self.connection(*number) else { return };
                let expected = self.model.force_save_by(id, ForceSaveType::Form);
                assert_eq!(self.engine().submit_form(id), expected, "{op:?}");
            }
            Op::Rename(document) => {
                let key = self.key(*document);
                self.engine().rename(&key, title).unwrap();
                self.model.rename(&key, title);
            }
            Op::EditLimit(number) => {
                let limit = pick(&LIMITS, *number);
                self.engine().set_edit_limit(limit).unwrap();
                self.model.set_edit_limit(limit);
            }
            Op::LiveLimit(number) => {
                let limit = pick(&LIMITS, *number);
                self.engine().set_live_limit(limit).unwrap();
                self.model.set_live_limit(limit);
            }
            Op::DocumentLimit(number) => {
                let limit = pick(&SMALL, *number);
                self.engine().set_document_limit(limit).unwrap();
                self.model.settings.document_limit = limit;
            }
            Op::UserLimit(number) => {
                let limit = pick(&SMALL, *number);
                self.engine().set_user_limit(limit).unwrap();
                self.model.settings.user_limit = limit;
            }
            Op::NamedUsers { edit, live, days } => {
                let (edit, live) = (pick(&SMALL, *edit), pick(&SMALL, *live));
                let quota = NamedUsers { edit, live, expire_days: pick(&DAYS, *days) };
                self.engine().set_named_users(quota).unwrap();
                self.model.set_named_users(quota);
            }
            Op::MaxConnections(number) => {
                let cap = pick(&CAPS, *number);
                self.engine().set_max_connections(cap).unwrap();
                self.model.set_max_connections(cap);
            }
            Op::Holders(max) => self.compare_holders(usize::from(*max % 16)),
            Op::License => self.compare_license(),
            Op::Usage => self.compare_usage(),
            Op::Pass(millis) => self.pass(u64::from(*millis)),
            Op::PassToDeadline => {
                if let Some(due) = self.model.next_deadline() {
                    self.pass(due.saturating_sub(self.model.now));
                }
            }
            Op::PassFar { unit, count } => {
                let to_midnight = DAY - self.model.now % DAY;
                self.pass(match unit % 8 {
                    0 | 1 => u64::from(*count) * MINUTE,
                    2 => to_midnight - 1,
                    3 | 4 => to_midnight,
                    5 => u64::from(count % 48) * 60 * MINUTE,
                    6 => u64::from(count % 5) * DAY,
                    _ => 31 * DAY,
                });
            }
            Op::Take => drop(self.take(false)),
            Op::TakeSave => drop(self.take(true)),
            Op::Extend { delivery, millis } => self.extend(*delivery, u64::from(*millis)),
            Op::Ack { delivery, url } => self.settle(*delivery, Outcome::Done, *url, Delivery::ack),
            Op::AckKept { delivery, url } => self.settle(*delivery, Outcome::Kept, *url, Delivery::ack_kept),
            Op::Fail { delivery, url } => self.settle(*delivery, Outcome::Failed, *url, Delivery::fail),
            Op::Die(delivery) => {
                let Some(delivery) = self.delivery(*delivery) else { return };
                self.model.settle(delivery.number(), Outcome::Failed, None);
                drop(delivery);
            }
            Op::DeleteForgotten(document) => {
                let key = self.forgotten_key(*document);
                assert_eq!(
                    self.engine().delete_forgotten(&key).is_ok(),
                    self.model.delete_forgotten(&key),
                    "{op:?}"
                );
            }
            Op::RetryForgotten(document) => {
                let key = self.forgotten_key(*document);
                let expected = self.model.retry_forgotten(&key);
                assert_eq!(self.engine().retry_forgotten(&key), expected, "{op:?}");
            }
            Op::Version => assert_eq!(self.engine().version(), self.model.settings.version),
            Op::Drain => {
                self.engine().drain();
                self.model.drain();
            }
            Op::Undrain => {
                self.engine().undrain();
                self.model.undrain();
            }
            Op::ShutDown(millis) => {
                let millis = u64::from(*millis);
                self.shut_down(millis, |both| {
                    let _ = both.engine().begin_shutdown(Duration::from_millis(millis));
                });
            }
            Op::DropHandle => {
                let millis = self.model.settings.drop_deadline;
                self.shut_down(millis, |both| both.engine = None);
            }
        }
    }

    /// Begins a shutdown. The contract does not say in which order the documents are closed, so the model takes the order
    /// from the notices.
    fn shut_down(&mut self, millis: u64, begin: impl FnOnce(&mut Self)) {
        begin(self);
        let notices: Vec<Notice> = self.notices.try_iter().collect();
        let mut order: Vec<DocumentKey> = notices.iter().filter_map(disconnected).collect();
        order.dedup();
        self.model.begin_shutdown(millis, &order);
        assert_eq!(notices, std::mem::take(&mut self.model.notices), "notices of the shutdown");
    }

    fn take(&mut self, saves_only: bool) -> Option<u64> {
        if self.engine.is_none() {
            // Where no handle is left, the receivers run what is due.
            self.model.pass(0);
        }
        let receiver = if saves_only { &self.save_callbacks } else { &self.callbacks };
        let delivery = receiver.try_recv();
        let of = |one: &Delivery| (one.callback().clone(), one.number(), one.attempt());
        assert_eq!(delivery.as_ref().map(of).map_err(|error| *error), self.model.take(saves_only));
        let delivery = delivery.ok()?;
        let number = delivery.number();
        self.in_hand.push(delivery);
        Some(number)
    }

    fn pick(&self, document: u8, user: u8, asked: u8) -> (DocumentKey, User, Access) {
        let asked = pick(&[Access::Edit, Access::Edit, Access::LiveView, Access::View], asked);
        (self.key(document), self.users[usize::from(user) % self.users.len()].clone(), asked)
    }

    fn would_admit(&mut self, document: u8, user: u8, asked: u8) {
        let (key, user, asked) = self.pick(document, user, asked);
        let expected = self.model.grant(&key, user.id(), asked, false);
        assert_eq!(self.engine().would_admit(&key, user.id(), asked), expected, "{asked} for {user:?}");
    }

    fn open(&mut self, document: u8, user: u8, asked: u8) {
        if asked & 4 == 0 {
            self.would_admit(document, user, asked);
        }
        let (key, user, asked) = self.pick(document, user, asked);
        let expected = self.model.grant(&key, user.id(), asked, true);
        let opened = self.engine().open(&key, &user, asked);
        assert_eq!(opened.as_ref().map(coedit::Connection::granted).map_err(|error| *error), expected);
        let (Ok(connection), Ok(grant)) = (opened, expected) else { return };
        let id = connection.into_id();
        self.model.opened(id, &key, &user, grant);
        self.connections.push(id);
    }

    fn pass(&mut self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        self.model.pass(millis);
        match &self.engine {
            Some(engine) => drop(engine.tick()),
            // The receiver runs what is due.
            None => drop(self.take(false)),
        }
    }

    fn extend(&mut self, delivery: u8, millis: u64) {
        let count = self.in_hand.len();
        if count > 0 {
            let delivery = &self.in_hand[usize::from(delivery) % count];
            let expected = self.model.extend(delivery.number(), millis);
            assert_eq!(delivery.extend(Duration::from_millis(millis)), expected);
        }
    }

    fn settle(
        &mut self,
        delivery: u8,
        outcome: Outcome,
        url: bool,
        settle: impl FnOnce(Delivery) -> Answered,
    ) {
        let Some(mut delivery) = self.delivery(delivery) else { return };
        let url = url.then_some("file:///kept");
        if let Some(url) = url {
            delivery.kept_at(url).unwrap();
        }
        let expected = self.model.settle(delivery.number(), outcome, url);
        let given = format!("{outcome:?} of {:?}", delivery.callback());
        assert_eq!(settle(delivery), expected, "{given}");
    }

    fn compare(&mut self, op: &Op) {
        self.compare_notices(op);
        let report = self.callbacks.report();
        let forgotten = |all: &[Forgotten]| -> Vec<_> {
            all.iter().map(|one| (one.key.clone(), one.url.as_ref().map(ToString::to_string))).collect()
        };
        assert_eq!(report.is_some(), self.model.report().is_some(), "the end after {op:?}");
        if let (Some(report), Some(end)) = (report, self.model.report()) {
            assert_eq!(report.saved, end.saved, "saved at the end");
            assert_pending(&report.unsaved, &end.unsaved, "at the end");
            assert_eq!(forgotten(&report.forgotten), end.forgotten, "forgotten at the end");
        }
        for delivery in &self.in_hand {
            let expected = self.model.deadline_of(delivery.number());
            let deadline =
                delivery.deadline().map(|due| if due == Timestamp::MAX { u64::MAX } else { due.as_millis() });
            assert_eq!(deadline, expected, "{:?} after {op:?}", delivery.callback());
        }
        let Some(engine) = &self.engine else { return };
        engine.validate().unwrap_or_else(|error| panic!("after {op:?}: {error}"));
        for key in &self.keys {
            assert_eq!(engine.editors(key), self.model.editors(key), "editors after {op:?}");
            assert_eq!(engine.is_open(key), self.model.is_open(key), "{key} open after {op:?}");
            let fields = |all: Vec<coedit::Participant>| -> Vec<(UserId, Access, u32)> {
                all.into_iter().map(|one| (one.user.id().clone(), one.access, one.connections)).collect()
            };
            let (engine, model) = (engine.participants(key), self.model.participants(key));
            assert_eq!(fields(engine), fields(model), "participants after {op:?}");
        }
        self.compare_limits(op);
        assert_eq!(engine.documents(), self.model.open_documents(), "documents after {op:?}");
        assert_eq!(engine.is_draining(), self.model.is_draining());
        assert_eq!(forgotten(&engine.forgotten()), self.model.forgotten(), "forgotten after {op:?}");
        assert_pending(&engine.unsaved(), &self.model.unsaved(), &format!("unsaved after {op:?}"));
        let remaining = engine.remaining();
        assert_eq!(remaining.connections, self.model.limits()[2].in_use);
        assert_pending(&remaining.documents, &self.model.remaining(), &format!("remaining after {op:?}"));
        let (engine, model) = (engine.next_deadline().map(Timestamp::as_millis), self.model.next_deadline());
        assert!(
            model.is_none_or(|due| engine.is_some_and(|engine| engine <= due)),
            "deadline {engine:?} later than {model:?} after {op:?}"
        );
        for id in self.connections.iter().rev().take(24) {
            assert_eq!(self.engine().access(*id), self.model.access(*id), "access after {op:?}");
        }
    }

    /// Compares the notices. What falls due in several documents at once may be told in any order of documents. After the
    /// end nothing is told.
    fn compare_notices(&mut self, op: &Op) {
        let mut engine: Vec<Notice> = self.notices.try_iter().collect();
        let mut model = std::mem::take(&mut self.model.notices);
        if self.model.report().is_some() && !self.ended {
            self.ended = true;
        } else if self.ended {
            model.clear();
        }
        // Without a handle a receiver runs what is due.
        let runs_due = matches!(op, Op::Pass(_) | Op::PassToDeadline | Op::PassFar { .. });
        if runs_due || self.engine.is_none() {
            engine.sort_by_key(key_of);
            model.sort_by_key(key_of);
        }
        assert_eq!(engine, model, "notices after {op:?}");
    }

    fn compare_limits(&self, op: &Op) {
        let (limits, settings) = (self.engine().limits(), &self.model.settings);
        assert_eq!(
            [limits.edit, limits.live, limits.connections],
            self.model.limits(),
            "limits after {op:?}"
        );
        assert_eq!((limits.document, limits.user), (settings.document_limit, settings.user_limit));
        assert_eq!(limits.named_users, settings.named_users);
    }

    fn compare_holders(&self, max: usize) {
        let holders: Vec<_> = self.engine().holders(max).into_iter().map(Model::holder).collect();
        assert_eq!(holders, self.model.holders(max), "{max} holders");
    }

    fn compare_license(&mut self) {
        let license = self.engine().license();
        let named = |list: Vec<coedit::NamedUser>| -> Vec<_> {
            list.into_iter().map(|one| (one.userid, one.expire)).collect()
        };
        assert_eq!([license.quota.users, license.quota.users_view].map(named), self.model.quota());
        let (terms, settings) = (license.license, &self.model.settings);
        let [limits, reported] = [
            [settings.edit_limit, settings.live_limit, settings.named_users.edit, settings.named_users.live],
            [terms.connections, terms.connections_view, terms.users_count, terms.users_view_count].map(Some),
        ];
        assert_eq!(reported, limits.map(|limit| limit.or(Some(0))));
        let has_named_users = settings.named_users.edit.or(settings.named_users.live).is_some();
        assert_eq!(terms.users_expire, if has_named_users { settings.named_users.expire_days } else { 0 });
    }

    fn compare_usage(&self) {
        let usage = self.engine().usage();
        assert_eq!(usage.is_some(), self.model.settings.usage);
        if let Some(usage) = usage {
            self.model.usage.check(&usage, self.model.now);
        }
    }

    /// Settles everything in hand. One in four fails.
    fn settle_all(&mut self) {
        while let Some(delivery) = self.in_hand.first() {
            if delivery.number().is_multiple_of(4) {
                self.settle(0, Outcome::Failed, false, Delivery::fail);
            } else {
                self.settle(0, Outcome::Done, false, Delivery::ack);
            }
        }
    }

    /// Closes every connection, or ends the engine, and settles every callback. Checks that nothing is left.
    pub fn finish(mut self) {
        if self.engine.is_some() {
            self.compare_holders(usize::MAX);
        }
        match self.model.settings.end {
            _ if self.engine.is_none() => {}
            End::Close => {}
            End::ShutDown => self.run(&Op::ShutDown(20_000)),
            End::DropHandle => self.run(&Op::DropHandle),
        }
        if self.engine.is_some() {
            for number in (0..self.connections.len()).rev() {
                let id = self.connections[number];
                assert_eq!(self.engine().close(id), self.model.close(id));
            }
        }
        self.settle_all();
        loop {
            while self.take(false).is_some() {
                self.settle_all();
            }
            self.compare(&Op::PassToDeadline);
            let due = self.model.next_deadline().filter(|_| self.model.report().is_none());
            let Some(due) = due else { break };
            self.pass(due.saturating_sub(self.model.now));
            self.settle_all();
        }
        let Some(engine) = self.engine.take() else {
            assert!(self.callbacks.report().is_some(), "an engine without a handle ends");
            return;
        };
        if let Some(report) = self.callbacks.report() {
            assert_eq!(*engine.shutdown(Duration::ZERO), *report, "there is one report");
            return;
        }
        self.engine = Some(engine);
        self.compare_license();
        self.compare_usage();
        let engine = self.engine();
        // A forgotten document is open until it is deleted.
        for forgotten in engine.forgotten() {
            engine.delete_forgotten(&forgotten.key).unwrap();
        }
        assert_eq!((engine.documents(), engine.limits().edit.in_use), (0, 0));
        engine.validate().unwrap();
    }
}

/// Returns true if the operation can be run where no handle of the engine is left.
fn needs_no_handle(op: &Op) -> bool {
    matches!(
        op,
        Op::Pass(_)
            | Op::PassToDeadline
            | Op::PassFar { .. }
            | Op::Take
            | Op::TakeSave
            | Op::Extend { .. }
            | Op::Ack { .. }
            | Op::AckKept { .. }
            | Op::Fail { .. }
            | Op::Die(_)
    )
}

fn assert_pending(engine: &[PendingDocument], model: &[Pending], context: &str) {
    let fields = |one: &PendingDocument| (one.key.clone(), one.state, one.since.as_millis(), one.failures);
    let engine: Vec<_> = engine.iter().map(fields).collect();
    let is_same = |((key, state, since, failures), expected): (&(DocumentKey, _, u64, usize), &Pending)| {
        (key, state, failures) == (&expected.0, &expected.1, &expected.3)
            && expected.2.is_none_or(|expected| expected == *since)
    };
    assert!(
        engine.len() == model.len() && engine.iter().zip(model).all(is_same),
        "{context}: {engine:?}, expected {model:?}"
    );
}

fn disconnected(notice: &Notice) -> Option<DocumentKey> {
    match notice {
        Notice::Disconnected { key, .. } => Some(key.clone()),
        _ => None,
    }
}

/// Returns the document that a notice is about.
fn key_of(notice: &Notice) -> Option<DocumentKey> {
    match notice {
        Notice::Storage { key, .. } | Notice::Saved { key, .. } => Some(key.clone()),
        _ => None,
    }
}
