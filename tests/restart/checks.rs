//! What must hold at any time, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use coedit::{Access, ConnectionId, ConnectionState, DisconnectCause, DocumentKey, Notice, Timestamp};

use super::Host;
use super::book::USERS;
use super::told::user_number;
use crate::support::seconds;

impl Host {
    pub(super) fn unsaved(&self) -> BTreeSet<DocumentKey> {
        self.engine().unsaved().into_iter().map(|one| one.key).collect()
    }

    pub(super) fn check(&mut self) {
        self.tick();
        self.note_failures();
        assert!(self.expired.is_empty(), "the transport did not hear of {:?}", self.expired);
        self.check_seats();
        self.check_connections();
        self.check_saves();
        self.check_fences();
    }

    /// P1: the limits hold, and the engine counts the seats that the book counts.
    fn check_seats(&self) {
        let engine = self.engine();
        engine.validate().unwrap();
        self.book.assert_within(&self.limits);
        let limits = engine.limits();
        let seats = self.book.seats_in_use(self.limits.by_users);
        assert_eq!(limits.edit.in_use, seats, "P11: a seat was lost or counted twice: {:?}", self.book.tabs);
        assert_eq!(limits.connections.in_use, self.book.connections(), "{:?}", self.book.tabs);
    }

    /// Exactly the connections of the book are there, with what they may do.
    fn check_connections(&self) {
        for (document, key) in self.keys.iter().enumerate() {
            let mut found = BTreeMap::new();
            for info in self.engine().connections(key) {
                let user = user_number(info.user.id().as_str());
                let is_lost = info.state == ConnectionState::Lost;
                assert_eq!(found.insert(info.connection, (user, info.access, is_lost)), None);
            }
            let own = self.book.tabs.iter().filter(|tab| tab.document == document);
            let own: BTreeMap<ConnectionId, (usize, Access, bool)> =
                own.map(|tab| (tab.id, (tab.user, tab.access, tab.lost_until.is_some()))).collect();
            assert_eq!(found, own, "P11: {key}");
            let editors: BTreeSet<usize> =
                self.engine().editors(key).iter().map(|user| user_number(user.as_str())).collect();
            let expected: BTreeSet<usize> =
                (0..USERS).filter(|user| self.book.edits(document, *user) > 0).collect();
            assert_eq!(editors, expected, "{key}");
        }
    }

    /// P5: what no acknowledged save holds is listed, and nothing is listed without reason.
    fn check_saves(&self) {
        let listed = self.unsaved();
        for (key, document) in self.keys.iter().zip(&self.book.documents) {
            if listed.contains(key) {
                assert!(document.changed > document.closed, "{key} is listed, and saved: {document:?}");
            } else {
                assert!(document.changed <= document.held, "P5: {key} is lost: {document:?}");
            }
        }
    }

    fn check_fences(&self) {
        let number = |key: &DocumentKey| self.keys.iter().position(|one| one == key).unwrap();
        let listed: BTreeSet<(usize, Option<usize>, Option<Timestamp>)> = self
            .engine()
            .fences()
            .into_iter()
            .map(|fence| (number(&fence.key), fence.user.map(|user| user_number(user.as_str())), fence.until))
            .collect();
        let own = self.book.fences.iter().map(|fence| (fence.document, fence.user, fence.until)).collect();
        assert_eq!(listed, own, "P3: the fences");
    }

    pub(super) fn read_notices(&mut self) {
        let notices: Vec<Notice> = self.running.notices.try_iter().collect();
        for notice in notices {
            match notice {
                Notice::Storage { key, status, .. } => {
                    let document = self.keys.iter().position(|one| *one == key).unwrap();
                    self.book.documents[document].given_up(status);
                }
                Notice::Disconnected { connection, cause: DisconnectCause::Lease, .. } => {
                    assert!(self.expired.remove(&connection), "{connection} left too early, or twice");
                }
                Notice::Disconnected { cause, .. } => assert_eq!(cause, DisconnectCause::Superseded),
                _ => {}
            }
        }
    }

    /// The storage is well again. Some come back, the rest never does, and all leave: every change is saved in the end.
    pub(super) fn end(&mut self) {
        (self.failing, self.hanging) = (0, 0);
        self.stale.clear();
        let tokens: Vec<_> = self.book.tabs.iter().filter_map(|tab| tab.token).collect();
        self.tick();
        for token in tokens {
            if self.random.one_in(2) {
                self.come_back(token, u64::MAX);
            }
        }
        self.settle_all();
        for place in (0..self.book.tabs.len()).rev() {
            let tab = self.book.leave(place);
            self.handles.remove(&tab.id);
            let _ = self.engine().close(tab.id);
        }
        for _ in 0..2 {
            self.settle_all();
            for key in &self.keys {
                let _ = self.engine().retry_forgotten(key);
            }
        }
        let engine = self.engine();
        assert!(engine.unsaved().is_empty() && engine.remaining().documents.is_empty());
        assert_eq!((engine.documents(), self.book.connections()), (0, 0));
        for (key, document) in self.keys.iter().zip(&self.book.documents) {
            assert!(document.changed <= document.held, "P5: {key} is lost: {document:?}");
        }
    }

    /// Acknowledges everything, over the longest pauses and leases.
    fn settle_all(&mut self) {
        for _ in 0..6 {
            self.calm();
            self.clock.advance(seconds(61));
        }
        self.calm();
    }
}
