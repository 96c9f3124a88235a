//! Opens a connection and checks `would_admit` first: it changes nothing and gives the same answer as the open.
#![allow(dead_code, unreachable_pub, reason = "each test file uses only a part")]

use coedit::{Access, Connection, Grant, Holder, License, Limits, OpenError, Reason, Timestamp};

use super::{World, id, key, user};

pub fn granted(access: Access) -> Grant {
    Grant { access, reason: None }
}

pub fn refused(reason: Reason) -> Grant {
    Grant { access: Access::View, reason: Some(reason) }
}

/// Everything about the limits that a host can see.
#[derive(Debug, PartialEq)]
pub struct LimitState {
    pub limits: Limits,
    pub license: License,
    pub holders: Vec<Holder>,
    pub documents: usize,
    pub deadline: Option<Timestamp>,
}

impl LimitState {
    pub fn of(world: &World) -> Self {
        world.engine.validate().unwrap();
        LimitState {
            limits: world.engine.limits(),
            license: world.engine.license(),
            holders: world.engine.holders(1_000),
            documents: world.engine.documents(),
            deadline: world.engine.next_deadline(),
        }
    }
}

/// Calls `would_admit`, then opens. Checks that both give the same answer and that `would_admit` changes nothing.
pub fn try_open_checked(
    world: &World,
    document: &str,
    name: &str,
    asked: Access,
) -> Result<Connection, OpenError> {
    let before = LimitState::of(world);
    let expected = world.engine.would_admit(&key(document), &id(name), asked);
    assert_eq!(LimitState::of(world), before, "`would_admit` for {name} on {document} changed something");
    let opened = world.engine.open(&key(document), &user(name), asked);
    let answer = opened.as_ref().map(Connection::granted).map_err(|error| *error);
    assert_eq!(expected, answer, "{name} on {document}");
    if opened.is_err() {
        assert_eq!(LimitState::of(world), before, "the error for {name} on {document} changed something");
    }
    world.engine.validate().unwrap();
    opened
}

/// Does the same and panics on an error. Checks that a refusal takes no seat of any limit.
pub fn open_checked(world: &World, document: &str, name: &str, asked: Access) -> Connection {
    let before = LimitState::of(world);
    let connection = try_open_checked(world, document, name, asked).unwrap();
    if connection.granted().reason.is_some() {
        let after = LimitState::of(world);
        let seats = |state: &LimitState| (state.limits.edit, state.limits.live, state.license.quota.clone());
        assert_eq!(seats(&after), seats(&before), "the refusal of {name} on {document} took a seat");
        assert_eq!(after.holders, before.holders);
    }
    connection
}

/// Opens a connection, closes it at once and returns what it was granted.
pub fn open_and_close(world: &World, document: &str, name: &str, asked: Access) -> Grant {
    open_checked(world, document, name, asked).granted()
}
