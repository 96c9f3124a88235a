//! Snapshots, suspended engines and crashes.

use std::collections::BTreeSet;

use coedit::{
    Access, Answered, ChangeError, Config, DocumentKey, Engine, OpenError, SeatCount, Snapshot, TryRecvError,
};

use super::book::Limits;
use super::{Host, Running, Saved, millis};
use crate::support::random::Random;
use crate::support::seconds;

/// The limits of the next engine. Seats count what they counted before.
pub(super) fn some_limits(random: &mut Random, before: Option<&Limits>) -> Limits {
    Limits {
        edit: *random.pick(&[None, Some(1), Some(2), Some(5)]),
        document: *random.pick(&[None, None, Some(1), Some(3)]),
        user: *random.pick(&[None, None, Some(1), Some(2)]),
        cap: *random.pick(&[None, None, Some(3), Some(8)]),
        by_users: before.map_or_else(|| random.one_in(3), |before| before.by_users),
        grace: random.pick(&[None, Some(1_000), Some(20_000), Some(120_000), Some(120_000)]).map(millis),
    }
}

pub(super) fn with_limits(config: &Config, limits: &Limits) -> Config {
    let count = if limits.by_users { SeatCount::UsersOfDocuments } else { SeatCount::Connections };
    config
        .clone()
        .edit_limit(limits.edit)
        .document_limit(limits.document)
        .user_limit(limits.user)
        .max_connections(limits.cap)
        .seat_count(count)
        .reconnect_grace(limits.grace)
}

impl Host {
    /// Takes a snapshot of the running engine, for a crash.
    pub(super) fn take_snapshot(&mut self) {
        self.tick();
        self.check();
        let json = serde_json::to_string(&self.engine().snapshot()).unwrap();
        let mut book = self.book.clone();
        // What is out then is handed out again.
        for in_hand in &self.in_hand {
            let key = &in_hand.delivery.callback().key;
            let document = self.keys.iter().position(|one| one == key).unwrap();
            book.documents[document].told.retries = true;
        }
        self.saved = Some(Saved { json, book, taken: self.now() });
    }

    /// Suspends the engine and restores it.
    pub(super) fn suspend(&mut self) {
        self.tick();
        self.check();
        self.count("suspends", 1);
        let (forgotten, told) = (self.engine().forgotten(), self.not_settled());
        let json = serde_json::to_string(&self.engine().suspend(seconds(0))).unwrap();
        let taken = self.now();
        for in_hand in std::mem::take(&mut self.in_hand) {
            let key = &in_hand.delivery.callback().key;
            let document = self.keys.iter().position(|one| one == key).unwrap();
            self.book.documents[document].told.retries = true;
            self.stale.push(in_hand.delivery);
        }
        self.assert_suspended();
        if self.random.one_in(2) {
            self.stale_answers();
        }
        let book = self.book.clone();
        let connections = self.book.connections();
        let lost = self.restore(Saved { json, book, taken });
        if lost == 0 && self.book.connections() == connections {
            assert!(self.not_settled().is_subset(&told), "there is nothing more to tell than before");
        }
        assert_eq!(self.engine().forgotten(), forgotten, "P5");
    }

    /// The suspended engine takes no calls, and dropping connections does nothing.
    fn assert_suspended(&mut self) {
        for receiver in [&self.running.callbacks, &self.running.saves] {
            assert_eq!(receiver.try_recv().err(), Some(TryRecvError::Disconnected));
        }
        let opened = self.engine().open(&self.keys[0], &self.users[0], Access::View);
        assert_eq!(opened.err(), Some(OpenError::ShutDown));
        for tab in &self.book.tabs {
            assert_eq!(self.engine().change(tab.id), Err(ChangeError::Unknown));
        }
        self.handles.clear();
    }

    /// Answers to a suspended engine change nothing.
    fn stale_answers(&mut self) {
        for delivery in self.stale.drain(..) {
            assert_eq!(delivery.ack(), Answered::Late);
        }
    }

    /// The engine is gone, with everything that was not in the latest snapshot.
    pub(super) fn crash(&mut self) {
        self.count("crashes", 1);
        let saved = self.saved.take().expect("a snapshot was taken");
        self.handles.clear();
        self.in_hand.clear();
        self.restore(saved);
    }

    fn not_settled(&self) -> BTreeSet<DocumentKey> {
        self.engine().remaining().documents.into_iter().map(|one| one.key).collect()
    }

    /// Returns how many lost edit access by it.
    fn restore(&mut self, saved: Saved) -> usize {
        let Saved { json, book, taken } = saved;
        self.clock.advance(millis(*self.random.pick(&[0, 1, 3_000, 100_000])));
        if self.random.one_in(3) {
            self.limits = some_limits(&mut self.random, Some(&self.limits));
        }
        let snapshot: Snapshot = serde_json::from_str(&json).unwrap();
        let engine = Engine::restore(with_limits(&self.config, &self.limits), snapshot).unwrap();
        self.running = Running::new(engine);
        self.stale_after_restore();
        self.book = book;
        self.expired.clear();
        let now = self.now();
        let without = self.book.restore(&self.limits, taken, now);
        self.count("seats that were not there any more", without);
        self.adopt_ids();
        self.check();
        self.assert_unsaved_is_kept();
        self.take_snapshot();
        if self.random.one_in(2) {
            self.all_come_back();
        }
        without
    }

    fn stale_after_restore(&mut self) {
        if self.random.one_in(2) {
            self.stale_answers();
        }
    }

    /// Whoever comes back after a restart, in random order, comes back to what it had. Some never come.
    fn all_come_back(&mut self) {
        let mut tokens: Vec<_> = self.book.tabs.iter().filter_map(|tab| tab.token).collect();
        while !tokens.is_empty() {
            let token = tokens.swap_remove(self.random.below(tokens.len()));
            if self.random.below(4) > 0 {
                let place = self.book.with_token(&token).unwrap();
                let attempt = self.book.tabs[place].attempt;
                self.come_back(token, attempt);
            }
        }
    }

    /// The restored connections have ids of the new engine.
    fn adopt_ids(&mut self) {
        for document in 0..self.keys.len() {
            for info in self.engine().connections(&self.keys[document]) {
                let token = self.engine().token(info.connection).expect("only those with a token stay");
                let place = self.book.with_token(&token).expect("P11: a connection came from nowhere");
                self.book.tabs[place].id = info.connection;
            }
        }
    }

    /// P5: what was unsaved when the snapshot was taken is still to be saved.
    fn assert_unsaved_is_kept(&self) {
        let listed: BTreeSet<DocumentKey> = self.unsaved();
        for (key, document) in self.keys.iter().zip(&self.book.documents) {
            assert!(
                document.changed <= document.held || listed.contains(key),
                "P5: {key} is lost: {document:?}"
            );
        }
    }
}
