//! P12: seeded worlds of waiting. Viewers ask for edit access and wait while everything that frees a seat, takes one or ends a
//! place happens in any order. After each call a [`Book`] of the test's own says who is next, and whether anybody waits for a
//! seat that is free.
//!
//! `COEDIT_SEEDS=100000 cargo test --release --test waiting_worlds` runs so many worlds, some thousand by default.
//! `COEDIT_SEED=7` runs only the world of seed 7. A failure prints its seed.

#[path = "waiting_worlds/book.rs"]
mod book;
#[path = "waiting_worlds/host.rs"]
mod host;
mod support;

use std::collections::HashMap;
use std::time::Duration;

use book::{Book, Call, Set, look};
use coedit::{
    Access, Config, ConnectionId, Delivery, EditRequest, NamedUsers, Notice, Reason, RequestError,
    ResumeError, ResumeToken, SeatCount, Status, UserId,
};
use support::random::Random;
use support::{START, World, id, key, seconds, user};

const GRACE: Duration = Duration::from_secs(30);
const DAY: u64 = 86_400_000;

/// What happened in all worlds together, so that a test can tell that they have waited for everything.
#[derive(Debug, Default)]
struct Counts {
    begun: u32,
    granted: u32,
    /// How many waited at the limit of the engine, of a document, of a user, and for a save, counted after each call.
    at: [u32; 4],
    without_line: u32,
    wanted: usize,
}

struct Waiting {
    random: Random,
    world: World,
    book: Book,
    documents: Vec<String>,
    users: Vec<UserId>,
    tokens: HashMap<ConnectionId, ResumeToken>,
    /// The callbacks that a worker has.
    in_hand: Vec<Delivery>,
    /// The documents whose save a drop asked for.
    awaited: Vec<String>,
    fences: Vec<(String, Option<UserId>, Option<u64>)>,
    has_grace: bool,
    has_takeovers: bool,
    now: u64,
    /// Whether time passed since the last tick.
    late: bool,
    without_line: u32,
    wanted: usize,
    at: [u32; 4],
}

impl Waiting {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let limit = |random: &mut Random, times: usize, most: usize| {
            (!random.one_in(times)).then(|| u32::try_from(random.below(most)).unwrap())
        };
        let set = Set {
            edit: limit(&mut random, 8, 4),
            document: limit(&mut random, 2, 3),
            user: limit(&mut random, 2, 3),
            named: random.one_in(4).then(|| u32::try_from(1 + random.below(3)).unwrap()),
            by_users: random.one_in(3),
        };
        let has_grace = !random.one_in(4);
        let idle = *random.pick(&[None, None, Some(seconds(20))]);
        let warning = *random.pick(&[Duration::ZERO, seconds(10)]);
        let pauses: Vec<Duration> =
            random.pick::<&[u64]>(&[&[], &[1], &[5, 30]]).iter().copied().map(seconds).collect();
        let delay = *random.pick(&[0, 10]);
        let by_users = if set.by_users { SeatCount::UsersOfDocuments } else { SeatCount::Connections };
        let world = World::new(|config: Config| {
            let config = config.edit_limit(set.edit).document_limit(set.document).user_limit(set.user);
            let config = config.named_users(NamedUsers { edit: set.named, ..NamedUsers::default() });
            let config = config.seat_count(by_users).reconnect_grace(has_grace.then_some(GRACE));
            let config = config.idle_when_wanted(idle).expiry_warning(warning).live_limit(Some(2));
            config.retry_pauses(pauses).save_delay(seconds(delay))
        });
        Waiting {
            documents: (0..=random.below(4)).map(|n| format!("document-{n}")).collect(),
            users: (0..=random.below(6)).map(|n| id(&format!("user-{n}"))).collect(),
            book: Book { set, ..Book::default() },
            random,
            world,
            tokens: HashMap::new(),
            in_hand: Vec::new(),
            awaited: Vec::new(),
            fences: Vec::new(),
            has_grace,
            has_takeovers: idle.is_some(),
            now: START,
            late: false,
            without_line: 0,
            wanted: 0,
            at: [0; 4],
        }
    }

    fn run(mut self) -> Counts {
        for _ in 0..20 + self.random.below(100) {
            self.step();
        }
        self.end();
        let Book { begun, granted, .. } = self.book;
        Counts { begun, granted, at: self.at, without_line: self.without_line, wanted: self.wanted }
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0..=8 => self.open(),
            9..=14 => self.request(),
            15 => self.release(),
            16..=18 => self.close(),
            19..=20 => self.lose(),
            21..=23 => self.resume(),
            24 => self.drop_some(),
            25 => self.fence(),
            26 => self.unfence(),
            27..=28 => self.set_limit(),
            29 => self.drain(),
            30 => self.change(),
            31..=32 => self.take(),
            33..=34 => self.settle(),
            35 => self.late(),
            _ => self.pass(),
        }
    }

    fn call(&self) -> Call {
        Call { late: self.late, ..Call::default() }
    }

    /// Compares the engine with the book after a call.
    fn after(&mut self, call: &Call) {
        let engine = &self.world.engine;
        engine.validate().unwrap();
        let notices = self.world.take_notices();
        let is_wanted =
            |one: &&Notice| matches!(one, Notice::Access { cause: coedit::AccessCause::Wanted, .. });
        self.wanted += notices.iter().filter(is_wanted).count();
        let now = self.now;
        self.book.named.retain(|_, until| *until > now);
        self.book.named_until = now - now % DAY + DAY;
        self.fences.retain(|(.., until)| until.is_none_or(|until| until > now));
        let unsaved: Vec<String> = engine
            .unsaved()
            .into_iter()
            .filter(|one| one.state != coedit::DocumentState::Forgotten)
            .map(|one| one.key.as_str().to_owned())
            .collect();
        self.awaited.retain(|one| unsaved.contains(one) && engine.editors(&key(one)).is_empty());
        self.in_hand.retain(|delivery| delivery.deadline().is_some());
        let saves = self.in_hand.iter().filter(|one| one.callback().status == Status::Save);
        let saves = saves.map(|one| one.callback().key.as_str().to_owned());
        self.book.saving = saves.chain(self.awaited.iter().cloned()).collect();
        self.book.check(call, look(engine, &self.documents), &notices);

        let limits = engine.limits();
        if let Some(tab) = self.book.tabs.values().next() {
            let [in_use, _] = self.book.use_of(Reason::ConnectionLimit, tab);
            assert_eq!(limits.edit.in_use as usize, in_use, "the seats that are in use");
        }
        let waiting = limits.waiting;
        let counted = self.book.waiting();
        assert_eq!([waiting.edit, waiting.document, waiting.user, waiting.saving], counted);
        self.at = std::array::from_fn(|n| self.at[n] + counted[n]);
        for tab in self.book.tabs.values().filter(|tab| tab.access == Access::Edit) {
            assert!(!self.is_fenced(&tab.document, &tab.user), "P3: {tab:?} edits and is fenced");
        }
    }

    fn is_fenced(&self, document: &str, user: &UserId) -> bool {
        self.fences
            .iter()
            .any(|(one, whom, _)| one == document && whom.as_ref().is_none_or(|one| one == user))
    }

    fn pick(&mut self, of: impl Fn(&Book, ConnectionId) -> bool) -> Option<ConnectionId> {
        let all: Vec<ConnectionId> =
            self.book.tabs.keys().copied().filter(|one| of(&self.book, *one)).collect();
        (!all.is_empty()).then(|| *self.random.pick(&all))
    }
}

/// Connections.
impl Waiting {
    fn open(&mut self) {
        let document = self.random.pick(&self.documents).clone();
        let name = self.random.pick(&self.users).clone();
        let asked =
            *self.random.pick(&[Access::Edit, Access::Edit, Access::Edit, Access::LiveView, Access::View]);
        let engine = &self.world.engine;
        let tab = engine.open(&key(&document), &user(name.as_str()), asked).unwrap();
        let token = tab.token();
        assert_eq!(token.is_some(), self.has_grace);
        let granted = tab.granted();
        let id = tab.into_id();
        self.tokens.extend(token.map(|token| (id, token)));
        let refused = asked == Access::Edit && granted.access != Access::Edit;
        assert!(!refused || granted.reason.is_some());
        self.after(&Call { answered: Some(id), ..self.call() });
        if refused && self.random.one_in(2) {
            self.ask(id);
        }
    }

    fn request(&mut self) {
        let asks_again = self.random.one_in(5);
        let who = self.pick(|book, id| asks_again || book.tabs[&id].access != Access::Edit);
        if let Some(id) = who {
            self.ask(id);
        }
    }

    fn ask(&mut self, id: ConnectionId) {
        let tab = self.book.tabs[&id].clone();
        let place = self.book.place_of_user(&tab);
        let begun = self.begun();
        let answer = self.world.engine.request_edit(id);
        // What was due came first: perhaps the other connection of the user got its seat, or its lease ended.
        let still_waits =
            |place: &ConnectionId| self.world.engine.access(*place).is_some_and(|one| one != Access::Edit);
        let place = place.filter(|place| *place == id || still_waits(place));
        // It stood in line, and an idle editor's seat was freed for it in the same call.
        let has_stood = place.is_none() && self.begun() > begun;
        let call = Call { answered: Some(id), ..self.call() };
        match answer {
            Ok(EditRequest::Granted) => {
                // It goes by the place of its user, whichever connection has it. Whoever edits already needs none.
                if let Some(place) = place.filter(|_| tab.access != Access::Edit) {
                    self.book.moves(place, id);
                } else if has_stood {
                    self.book.stands(id, None);
                }
            }
            Ok(EditRequest::Waiting { reason, position }) => {
                self.book.stands(id, place);
                self.after(&call);
                let now = &self.book.tabs[&id];
                assert_eq!(now.position, Some(position), "{reason}");
                assert!(now.reason == Some(reason), "{reason}: {now:?}");
                return;
            }
            Ok(EditRequest::Refused(reason)) => {
                self.without_line += 1;
                match reason {
                    Reason::Fenced => assert!(self.is_fenced(&tab.document, &tab.user) && place.is_none()),
                    Reason::Draining => assert!(self.book.draining),
                    _ => assert_eq!(reason, Reason::UserQuota),
                }
                // Whoever has a place keeps it, though it is in no line.
                if place.is_some() || has_stood {
                    self.book.stands(id, place);
                }
            }
            Err(RequestError::Lost) => assert!(tab.lost),
            // Its lease was over.
            Err(error) => assert!(self.late && error == RequestError::Unknown),
        }
        self.after(&call);
    }

    /// How many waits the engine has recorded.
    fn begun(&self) -> u32 {
        if self.has_takeovers { self.world.engine.usage().unwrap().year.waits.begun } else { 0 }
    }

    fn release(&mut self) {
        let Some(id) = self.pick(|_, _| true) else { return };
        match self.world.engine.release_edit(id) {
            Ok(()) => self.book.ends(id),
            Err(error) => assert!(error == RequestError::Lost && self.book.tabs[&id].lost),
        }
        self.after(&self.call());
    }

    fn close(&mut self) {
        let Some(id) = self.pick(|_, _| true) else { return };
        self.book.ends(id);
        self.world.engine.close(id).unwrap();
        self.after(&self.call());
    }

    fn lose(&mut self) {
        let Some(id) = self.pick(|book, id| !book.tabs[&id].lost) else { return };
        if !self.has_grace {
            self.book.ends(id);
        }
        assert_eq!(self.world.engine.lost(id), Ok(self.has_grace.then_some(GRACE)));
        self.after(&self.call());
    }

    fn resume(&mut self) {
        let any = self.random.one_in(4);
        let Some(id) = self.pick(|book, id| any || book.tabs[&id].lost) else { return };
        let Some(token) = self.tokens.get(&id).copied() else { return };
        let tab = match self.world.engine.resume(&token, 0) {
            Ok(tab) => tab,
            Err(error) => {
                assert!(error == ResumeError::Unknown && self.late);
                return self.after(&self.call());
            }
        };
        let granted = tab.granted();
        let new = tab.into_id();
        self.tokens.remove(&id);
        self.tokens.insert(new, token);
        self.book.moves(id, new);
        // The seat of an editor moves with it, and nobody is told.
        self.after(&Call { answered: Some(new), ..self.call() });
        assert_eq!(self.book.tabs[&new].access, granted.access);
    }

    fn change(&mut self) {
        if let Some(id) = self.pick(|book, id| book.tabs[&id].access == Access::Edit && !book.tabs[&id].lost)
        {
            self.world.engine.change(id).unwrap();
            self.after(&self.call());
        }
    }
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    match number("COEDIT_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("COEDIT_SEEDS").unwrap_or(1_000)).collect(),
    }
}

#[test]
fn p12_in_any_world_nobody_is_passed_over_and_nobody_waits_for_a_free_seat() {
    let mut all = Counts::default();
    for seed in seeds() {
        let counts = std::panic::catch_unwind(|| Waiting::new(seed).run()).unwrap_or_else(|panic| {
            eprintln!("the world with COEDIT_SEED={seed} broke a promise");
            std::panic::resume_unwind(panic)
        });
        all.begun += counts.begun;
        all.granted += counts.granted;
        all.without_line += counts.without_line;
        all.wanted += counts.wanted;
        all.at = std::array::from_fn(|n| all.at[n] + counts.at[n]);
    }
    println!("{all:?}");
    let least = all.at.into_iter().chain([all.granted, all.without_line]).min();
    assert!(seeds().len() < 1_000 || (least > Some(500) && all.wanted > 30), "{all:?}");
}
