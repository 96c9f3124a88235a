//! What a host does in a world of waiting: it drops, fences, changes limits, drains, takes callbacks and lets time pass.

use std::time::Duration;

use coedit::{Access, Answered, ConnectionId, NamedUsers, UserId};

use crate::book::{Call, look};
use crate::support::{key, seconds};
use crate::{DAY, Waiting};

impl Waiting {
    pub(crate) fn drop_some(&mut self) {
        let document = self.random.pick(&self.documents).clone();
        let engine = &self.world.engine;
        let (is_dropped, places) = match self.random.below(3) {
            0 => (engine.drop_all(&key(&document)).is_ok(), self.places_of(&document, None)),
            1 => {
                let name = self.random.pick(&self.users).clone();
                let is_dropped = engine.drop_users(&key(&document), std::slice::from_ref(&name)).is_ok();
                (is_dropped, self.places_of(&document, Some(&name)))
            }
            _ => {
                let Some(id) = self.pick(|book, id| book.tabs[&id].document == document) else { return };
                let is_waiting = self.book.places.contains_key(&id);
                (
                    self.world.engine.drop_connection(id).is_ok(),
                    is_waiting.then_some(id).into_iter().collect(),
                )
            }
        };
        assert!(is_dropped || places.is_empty());
        self.dropped(is_dropped, document, places);
    }

    pub(crate) fn places_of(&self, document: &str, name: Option<&UserId>) -> Vec<ConnectionId> {
        let is_named = |id: &&ConnectionId| {
            let tab = &self.book.tabs[id];
            tab.document == document && name.is_none_or(|name| *name == tab.user)
        };
        self.book.places.keys().filter(is_named).copied().collect()
    }

    /// A drop, or a fence, ends these places, and gets a save.
    pub(crate) fn dropped(&mut self, is_dropped: bool, document: String, places: Vec<ConnectionId>) {
        self.book.places.retain(|place, _| !places.contains(place));
        if is_dropped {
            self.awaited.push(document);
        }
        self.after(&Call { dropped: places, ..self.call() });
    }

    pub(crate) fn fence(&mut self) {
        let document = self.random.pick(&self.documents).clone();
        let name = (!self.random.one_in(3)).then(|| self.random.pick(&self.users).clone());
        let time = *self.random.pick(&[None, Some(seconds(10))]);
        let names = name.as_ref().map(std::slice::from_ref);
        self.world.engine.fence(&key(&document), names, time).unwrap();
        let until = time.map(|_| self.now + 10_000);
        self.fences.retain(|(one, whom, _)| (one, whom) != (&document, &name));
        self.fences.push((document.clone(), name.clone(), until));
        let places = self.places_of(&document, name.as_ref());
        self.dropped(true, document, places);
    }

    pub(crate) fn unfence(&mut self) {
        let document = self.random.pick(&self.documents).clone();
        self.world.engine.unfence(&key(&document), None);
        self.fences.retain(|(one, ..)| *one != document);
        self.after(&self.call());
    }

    pub(crate) fn set_limit(&mut self) {
        let limit = (!self.random.one_in(5)).then(|| u32::try_from(self.random.below(5)).unwrap());
        let (engine, set) = (&self.world.engine, &mut self.book.set);
        match self.random.below(3) {
            0 => {
                engine.set_edit_limit(limit).unwrap();
                set.edit = limit;
            }
            1 => {
                engine.set_document_limit(limit).unwrap();
                set.document = limit;
            }
            _ => {
                engine.set_user_limit(limit).unwrap();
                set.user = limit;
            }
        }
        self.after(&self.call());
    }

    pub(crate) fn drain(&mut self) {
        self.book.draining = !self.book.draining;
        if self.book.draining {
            self.world.engine.drain();
        } else {
            self.world.engine.undrain();
        }
        self.after(&self.call());
    }

    pub(crate) fn take(&mut self) {
        self.in_hand.extend(self.world.callbacks.try_recv());
        self.after(&self.call());
    }

    pub(crate) fn settle(&mut self) {
        if self.in_hand.is_empty() {
            return self.take();
        }
        let number = self.random.below(self.in_hand.len());
        let delivery = self.in_hand.swap_remove(number);
        if self.random.one_in(4) {
            delivery.fail();
        } else {
            assert!(delivery.ack() == Answered::InTime || self.late);
        }
        self.after(&self.call());
    }

    /// Time passes, and no tick comes.
    pub(crate) fn late(&mut self) {
        self.advance();
        self.late = true;
    }

    pub(crate) fn pass(&mut self) {
        self.advance();
        self.world.engine.tick();
        self.late = false;
        self.after(&Call { ticked: true, ..Call::default() });
    }

    pub(crate) fn advance(&mut self) {
        let time = *self.random.pick(&[0, 0, 1_000, 5_000, 5_000, 20_000, 31_000, 61_000, DAY]);
        // A day passes seldom, since it ends everything else.
        let time = if time == DAY && !self.random.one_in(4) { 1 } else { time };
        self.world.clock.advance(Duration::from_millis(time));
        self.now += time;
    }

    /// Without limits and saves nobody waits who is there.
    pub(crate) fn end(&mut self) {
        let engine = &self.world.engine;
        engine.undrain();
        engine.set_edit_limit(None).unwrap();
        engine.set_document_limit(None).unwrap();
        engine.set_user_limit(None).unwrap();
        engine.set_named_users(NamedUsers::default()).unwrap();
        self.in_hand.clear();
        for _ in 0..4 {
            for delivery in self.world.callbacks.try_iter() {
                delivery.ack();
            }
            self.world.clock.advance(seconds(31));
            engine.tick();
        }
        engine.validate().unwrap();
        let now = look(engine, &self.documents);
        let waits = now
            .iter()
            .find(|(id, tab)| self.book.places.contains_key(id) && !tab.lost && tab.access != Access::Edit);
        assert!(waits.is_none(), "{waits:?}");
        let is_granted = |id: &&ConnectionId| now.get(id).is_some_and(|tab| tab.access == Access::Edit);
        let granted = self.book.places.keys().filter(is_granted).count();
        self.book.granted += u32::try_from(granted).unwrap();
        let waits = engine.usage().unwrap().year.waits;
        assert_eq!((waits.begun, waits.granted), (self.book.begun, self.book.granted), "usage");
        for id in now.keys() {
            engine.close(*id).unwrap();
        }
        engine.validate().unwrap();
        let limits = engine.limits();
        assert_eq!((limits.edit.in_use, limits.live.in_use, limits.connections.in_use), (0, 0, 0));
    }
}
