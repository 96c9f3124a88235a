//! An engine that is suspended or dies, and the next one, which is made of its snapshot.

use std::time::Duration;

use coedit::{
    Access, Answered, ConnectionId, Delivery, DocumentKey, Engine, OpenError, Snapshot, TryRecvError,
};
use serde_json::Value;

use super::{Both, config, pick};
use crate::model::settings::{GRACES, LIMITS, SMALL};

impl Both {
    /// The next process goes on, every fourth time with other settings.
    pub(super) fn restart(&mut self, how: u8, limits: u8, small: u8) {
        let dies = how & 1 == 1;
        if !dies && self.model.is_shutting_down() {
            // It would wait for the end.
            return;
        }
        let engine = self.engine.take().expect("there is a handle");
        let snapshot = if dies { engine.snapshot() } else { engine.suspend(Duration::ZERO) };
        let json = serde_json::to_string(&snapshot).unwrap();
        if dies {
            self.in_hand.clear();
        } else {
            self.check_suspended(&engine);
        }
        if how % 8 < 2 {
            let settings = &mut self.model.settings;
            settings.grace = pick(&GRACES, how / 8);
            settings.edit_limit = pick(&LIMITS, limits);
            settings.live_limit = pick(&LIMITS, limits / 8);
            (settings.document_limit, settings.user_limit) = (pick(&SMALL, small), pick(&SMALL, small / 8));
            settings.max_connections = if small & 64 == 0 { None } else { Some(3) };
        }
        self.restore(&json);
    }

    /// A suspended engine takes no calls, hands nothing out, and tells nothing.
    fn check_suspended(&mut self, engine: &Engine) {
        let (key, user) = (&self.keys[0], &self.users[0]);
        assert_eq!(engine.open(key, user, Access::Edit).unwrap_err(), OpenError::ShutDown);
        for receiver in [&self.callbacks, &self.save_callbacks] {
            assert_eq!(receiver.try_recv().unwrap_err(), TryRecvError::Disconnected);
        }
        for delivery in self.in_hand.drain(..) {
            assert_eq!(Delivery::ack(delivery), Answered::Late);
        }
        for id in &self.connections {
            assert!(engine.close(*id).is_err(), "a suspended engine has no connections");
        }
        self.heard.extend(self.notices.try_iter());
        assert_eq!(self.heard, []);
    }

    fn restore(&mut self, json: &str) {
        let value: Value = serde_json::from_str(json).unwrap();
        let documents = value["documents"].as_array().unwrap().iter();
        let key = |one: &Value| DocumentKey::new(one["key"].as_str().unwrap()).unwrap();
        let order: Vec<DocumentKey> = documents.map(key).collect();
        let snapshot: Snapshot = serde_json::from_str(json).unwrap();
        let engine = Engine::restore(config(&self.model.settings, &self.clock), snapshot).unwrap();
        self.model.restart(&order);
        let connections = self.keys.iter().flat_map(|key| engine.connections(key));
        let token = |id| engine.token(id).expect("a restored connection has a token");
        let ids: Vec<_> = connections.map(|one| (token(one.connection), one.connection)).collect();
        self.model.rename_connections(&ids);
        self.connections = ids.into_iter().map(|(_, id)| id).collect();
        self.connections.sort_by_key(|id| ConnectionId::to_bits(*id));
        (self.callbacks, self.save_callbacks) = (engine.callbacks(), engine.save_callbacks());
        self.notices = engine.notices();
        (self.engine, self.ended) = (Some(engine), false);
        self.pass(0);
    }
}
