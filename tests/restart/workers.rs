//! The storage and its workers, and commands of the host.

use coedit::{Access, Answered, Clock, ConnectionId, Delivery, Status, Timestamp, UserId};

use super::book::Fenced;
use super::{Host, InHand, millis};
use crate::support::seconds;

impl Host {
    fn document_of(&self, delivery: &Delivery) -> usize {
        let key = &delivery.callback().key;
        self.keys.iter().position(|one| one == key).expect("a document of the test")
    }

    /// Workers take some callbacks and settle some of those that they have.
    pub(super) fn work(&mut self) {
        self.tick();
        self.note_failures();
        for _ in 0..self.random.below(4) {
            let saves_only = self.random.one_in(3);
            self.take(saves_only);
        }
        for _ in 0..self.random.below(4) {
            if self.in_hand.is_empty() {
                return;
            }
            let chosen = self.random.below(self.in_hand.len());
            if self.random.one_in(8) {
                self.in_hand[chosen].delivery.extend(seconds(3));
            } else if !self.in_hand[chosen].hangs || self.random.one_in(10) {
                let in_hand = self.in_hand.swap_remove(chosen);
                self.settle(in_hand);
            }
        }
    }

    /// A worker takes a callback. Returns true if there was one.
    pub(super) fn take(&mut self, saves_only: bool) -> bool {
        let receiver = if saves_only { &self.running.saves } else { &self.running.callbacks };
        let Ok(delivery) = receiver.try_recv() else { return false };
        assert!(self.numbers.insert(delivery.number()), "no number is used twice, whichever engine gave it");
        let document = self.document_of(&delivery);
        self.note_failures();
        self.book.documents[document].taken(delivery.callback());
        let hangs = self.random.below(100) < self.hanging;
        self.in_hand.push(InHand { delivery, hangs, ran_out: false, taken: self.step });
        true
    }

    /// What ran out is handed out again, or was given up.
    pub(super) fn note_failures(&mut self) {
        for place in 0..self.in_hand.len() {
            let InHand { delivery, ran_out, .. } = &mut self.in_hand[place];
            if delivery.deadline().is_none() && !std::mem::replace(ran_out, true) {
                let document = self.document_of(&self.in_hand[place].delivery);
                self.book.documents[document].told.retries = true;
            }
        }
        self.read_notices();
    }

    pub(super) fn settle(&mut self, in_hand: InHand) {
        let InHand { mut delivery, taken, .. } = in_hand;
        let document = self.document_of(&delivery);
        let callback = delivery.callback().clone();
        let counts = delivery.deadline().is_some();
        if self.random.one_in(4) {
            delivery.kept_at("kept").unwrap();
        }
        if self.random.below(100) < self.failing {
            if self.random.one_in(3) {
                // The worker panics.
                drop(delivery);
            } else {
                assert_eq!(delivery.fail(), if counts { Answered::InTime } else { Answered::Late });
            }
            self.book.documents[document].told.retries |= counts;
            return;
        }
        let kept = self.random.one_in(3);
        let answered = if kept { delivery.ack_kept() } else { delivery.ack() };
        assert_eq!(answered == Answered::InTime, counts);
        let is_edited = self.book.is_edited(document);
        let book = &mut self.book.documents[document];
        book.answered(&callback, answered, is_edited);
        let holds = match callback.status {
            Status::Save | Status::ForceSave => answered != Answered::Late,
            Status::SaveFailed => kept && answered == Answered::InTime,
            _ => false,
        };
        if holds {
            let lastsave = callback.lastsave.expect("a save has the time of its last change");
            book.held = book.held.max(lastsave);
            if callback.status == Status::Save && taken >= book.granted {
                book.closed = book.closed.max(lastsave);
            }
        }
    }

    /// The storage acknowledges everything at once. Then it knows exactly who edits.
    pub(super) fn calm(&mut self) {
        let moods = (self.failing, self.hanging);
        (self.failing, self.hanging) = (0, 0);
        self.tick();
        self.note_failures();
        loop {
            while let Some(in_hand) = self.in_hand.pop() {
                self.settle(in_hand);
            }
            if !self.take(false) {
                break;
            }
        }
        self.check();
        let unsaved = self.unsaved();
        for document in 0..self.keys.len() {
            let edits = std::array::from_fn(|user| self.book.edits(document, user));
            let is_unsaved = unsaved.contains(&self.keys[document]);
            self.book.documents[document].assert_told(edits, is_unsaved);
        }
        (self.failing, self.hanging) = moods;
    }
}

/// The host.
impl Host {
    pub(super) fn command(&mut self) {
        self.tick();
        let document = self.random.below(self.keys.len());
        let key = &self.keys[document];
        match self.random.below(4) {
            0 => drop(self.engine().info(key, Some("a question"))),
            1 => drop(self.engine().force_save(key, Some("a command"))),
            2 => drop(self.engine().retry_forgotten(key)),
            _ => {
                self.engine().drain();
                self.engine().undrain();
            }
        }
    }

    fn some_user(&mut self) -> Option<usize> {
        self.random.one_in(2).then(|| self.random.below(self.users.len()))
    }

    /// Makes the tabs of a user, or of everybody, view-only in the book. Returns true if they are those that lost it.
    fn demote(&mut self, document: usize, user: Option<usize>, dropped: &[ConnectionId]) {
        let mut expected = Vec::new();
        for place in 0..self.book.tabs.len() {
            let tab = &self.book.tabs[place];
            let hit = tab.document == document && user.is_none_or(|one| tab.user == one);
            if hit && tab.access == Access::Edit {
                expected.push(tab.id);
                self.book.demote(place);
            }
        }
        let mut dropped = dropped.to_vec();
        expected.sort_unstable();
        dropped.sort_unstable();
        assert_eq!(dropped, expected, "P3");
    }

    pub(super) fn drop_access(&mut self) {
        self.tick();
        let document = self.random.below(self.keys.len());
        let user = self.some_user();
        let ids: Option<Vec<UserId>> = user.map(|user| vec![self.users[user].id().clone()]);
        let key = &self.keys[document];
        let dropped = match &ids {
            Some(ids) => self.engine().drop_users(key, ids),
            None => self.engine().drop_all(key),
        };
        if let Ok(dropped) = dropped {
            self.demote(document, user, &dropped.connections);
        }
    }

    pub(super) fn fence(&mut self) {
        self.tick();
        let document = self.random.below(self.keys.len());
        let user = self.some_user();
        let ids: Option<Vec<UserId>> = user.map(|user| vec![self.users[user].id().clone()]);
        let key = self.keys[document].clone();
        if self.random.one_in(3) {
            self.engine().unfence(&key, ids.as_deref());
            let lifted = |one: &Fenced| one.document == document && (user.is_none() || one.user == user);
            self.book.fences.retain(|one| !lifted(one));
            return;
        }
        let time = self.random.pick(&[None, Some(1_000), Some(20_000)]).map(millis);
        let dropped = self.engine().fence(&key, ids.as_deref(), time).unwrap();
        self.demote(document, user, &dropped.connections);
        let until: Option<Timestamp> = time.map(|time| self.clock.now().after(time));
        self.book.fences.retain(|one| (one.document, one.user) != (document, user));
        self.book.fences.push(Fenced { document, user, until });
    }
}
