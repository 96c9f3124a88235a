//! The engine, used through its public API.

use coedit::{Access, Callbacks, Config, Connection, ConnectionId, DocumentKey, Engine, User};
use std::time::Duration;

use super::Contender;

/// The engine where the host keeps connection ids.
pub(crate) struct Coedit {
    pub(crate) engine: Engine,
    pub(crate) callbacks: Callbacks,
}

impl Coedit {
    pub(crate) fn with(config: Config) -> Self {
        let engine = Engine::new(config).unwrap();
        Coedit { callbacks: engine.callbacks(), engine }
    }
}

impl Contender for Coedit {
    const NAME: &'static str = "coedit";
    type Key = DocumentKey;
    type User = User;
    type Handle = ConnectionId;

    fn new(limit: u32) -> Self {
        // A short delay, so that saves fall due in the workloads that tick.
        Coedit::with(Config::new().edit_limit(Some(limit)).save_delay(Duration::from_millis(5)))
    }

    fn key(number: usize) -> DocumentKey {
        DocumentKey::new(&format!("document-{number:09}")).unwrap()
    }

    fn user(number: usize) -> User {
        User::new(&format!("user-{number:09}")).unwrap()
    }

    fn open(&self, key: &DocumentKey, user: &User) -> (ConnectionId, bool) {
        let (id, grant) = self.engine.admit(key, user, Access::Edit).unwrap();
        (id, grant.access == Access::Edit)
    }

    fn close(&self, id: ConnectionId) {
        self.engine.close(id).unwrap();
    }

    fn change(&self, id: &ConnectionId) -> bool {
        self.engine.change(*id).is_ok()
    }

    fn info(&self, key: &DocumentKey) -> usize {
        self.engine.info(key, None).unwrap().len()
    }

    fn drop_user(&self, key: &DocumentKey, user: &User) -> usize {
        self.engine.drop_users(key, std::slice::from_ref(user.id())).unwrap().connections.len()
    }

    fn drain(&self) -> usize {
        let mut taken = 0;
        for delivery in self.callbacks.try_iter() {
            delivery.ack();
            taken += 1;
        }
        taken
    }

    fn tick(&self) {
        self.engine.tick();
    }
}

/// The engine where the host holds owning connections. Each one holds a counted reference to the engine.
pub(crate) struct Owned(Coedit);

impl Contender for Owned {
    const NAME: &'static str = "owned";
    type Key = DocumentKey;
    type User = User;
    type Handle = Connection;

    fn new(limit: u32) -> Self {
        Owned(Coedit::new(limit))
    }

    fn key(number: usize) -> DocumentKey {
        Coedit::key(number)
    }

    fn user(number: usize) -> User {
        Coedit::user(number)
    }

    fn open(&self, key: &DocumentKey, user: &User) -> (Connection, bool) {
        let connection = self.0.engine.open(key, user, Access::Edit).unwrap();
        let edits = connection.granted().access == Access::Edit;
        (connection, edits)
    }

    fn close(&self, connection: Connection) {
        connection.close();
    }

    fn change(&self, connection: &Connection) -> bool {
        connection.change().is_ok()
    }

    fn info(&self, key: &DocumentKey) -> usize {
        self.0.info(key)
    }

    fn drop_user(&self, key: &DocumentKey, user: &User) -> usize {
        self.0.drop_user(key, user)
    }

    fn drain(&self) -> usize {
        self.0.drain()
    }

    fn tick(&self) {
        self.0.tick();
    }
}
