//! Runs one history on the engine and on the model and compares everything observable after every operation.

mod compare;
mod finish;
mod restarting;
mod staying;

use std::sync::Arc;
use std::time::Duration;

use coedit::{
    Access, Answered, Callbacks, Config, ConnectionId, Delivery, DocumentKey, Engine, ForceSaveType,
    ManualClock, NamedUsers, Notice, ResumeToken, Timestamp, User, UserId,
};
use crossbeam_channel::Receiver;

use super::op::Op;
use super::settings::{CAPS, DAYS, LIMITS, SMALL, Settings};
use super::{Model, Outcome};

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
    /// Every token that was ever given.
    tokens: Vec<ResumeToken>,
    /// Notices that were received and are not compared yet.
    heard: Vec<Notice>,
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

fn config(settings: &Settings, clock: &Arc<ManualClock>) -> Config {
    settings.config().shards(64).clock(clock.clone())
}

impl Both {
    pub fn new(settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let engine = Engine::new(config(&settings, &clock)).unwrap();
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
            tokens: Vec::new(),
            heard: Vec::new(),
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

    /// Picks users by bits. One of them is nobody's.
    fn chosen(&self, bits: u8) -> Vec<UserId> {
        let stranger = || UserId::new("stranger").unwrap();
        let user = |n: usize| self.users.get(n).map_or_else(stranger, |user| user.id().clone());
        (0..=self.users.len()).filter(|bit| bits >> bit & 1 == 1).map(user).collect()
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
                let chosen = self.chosen(*users);
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
                self.model.set_document_limit(limit);
            }
            Op::UserLimit(number) => {
                let limit = pick(&SMALL, *number);
                self.engine().set_user_limit(limit).unwrap();
                self.model.set_user_limit(limit);
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
            Op::Lost(_)
            | Op::Resume { .. }
            | Op::Touch(_)
            | Op::RequestEdit { .. }
            | Op::ReleaseEdit { .. }
            | Op::LoseWaiter(_)
            | Op::ResumeLost(_) => {
                self.step_of_connection(op);
            }
            Op::Fence { .. } | Op::DropFor { .. } | Op::DropConnectionFor { .. } | Op::Unfence { .. } => {
                self.step_of_fence(op);
            }
            Op::Restart { how, limits, small } => self.restart(*how, *limits, *small),
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
            self.model.pass(0, &[]);
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
        if asked == Access::Edit {
            let place = |reason| self.model.next_position(&key, user.id(), reason);
            let expected = expected.map(|grant| grant.reason.and_then(place));
            assert_eq!(self.engine().would_wait_at(&key, user.id()), expected, "{user:?} in {key}");
        }
    }

    fn open(&mut self, document: u8, user: u8, asked: u8) {
        if asked & 4 == 0 {
            self.would_admit(document, user, asked);
        }
        let (key, user, asked) = self.pick(document, user, asked);
        let lost = self.model.seat_to_take_over(&key, user.id(), asked);
        let expected = self.model.grant(&key, user.id(), asked, true);
        let opened = self.engine().open(&key, &user, asked);
        assert_eq!(opened.as_ref().map(coedit::Connection::granted).map_err(|error| *error), expected);
        let (Ok(connection), Ok(grant)) = (opened, expected) else { return };
        let token = connection.token();
        assert_eq!(token.is_some(), self.model.settings.grace.is_some(), "a token");
        let id = connection.into_id();
        match lost {
            Some(lost) => self.model.taken_over([lost, id], &user, token),
            None => self.model.opened(id, token, (&key, &user, asked), grant),
        }
        self.connections.push(id);
        self.tokens.extend(token);
    }

    fn pass(&mut self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
        if let Some(engine) = &self.engine {
            engine.tick();
            self.heard.extend(self.notices.try_iter());
        }
        let order: Vec<ConnectionId> = self.heard.iter().filter_map(staying::connection).collect();
        self.model.pass(millis, &order);
        if self.engine.is_none() {
            // The receiver runs what is due.
            self.take(false);
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

fn disconnected(notice: &Notice) -> Option<DocumentKey> {
    match notice {
        Notice::Disconnected { key, .. } => Some(key.clone()),
        _ => None,
    }
}
