//! Opening that is asked about first: what would be given is what is given, and asking changes nothing.
#![allow(dead_code, unreachable_pub, reason = "every test file uses its own part")]

use coedit::{Access, Connection, Grant, Holder, License, Limits, OpenError, Reason, Timestamp};

use super::{World, id, key, user};

pub fn granted(access: Access) -> Grant {
    Grant { access, reason: None }
}

pub fn refused(reason: Reason) -> Grant {
    Grant { access: Access::View, reason: Some(reason) }
}

/// All of the limits that a host can see.
#[derive(Debug, PartialEq)]
pub struct Taken {
    pub limits: Limits,
    pub license: License,
    pub holders: Vec<Holder>,
    pub documents: usize,
    pub deadline: Option<Timestamp>,
}

impl Taken {
    pub fn of(world: &World) -> Self {
        world.engine.validate().unwrap();
        Taken {
            limits: world.engine.limits(),
            license: world.engine.license(),
            holders: world.engine.holders(1_000),
            documents: world.engine.documents(),
            deadline: world.engine.next_deadline(),
        }
    }
}

/// Asks what would be given, then opens: the answers are the same, and asking changed nothing.
pub fn try_come(world: &World, document: &str, who: &str, asked: Access) -> Result<Connection, OpenError> {
    let before = Taken::of(world);
    let expected = world.engine.would_admit(&key(document), &id(who), asked);
    assert_eq!(Taken::of(world), before, "asking for {who} on {document} changed something");
    let opened = world.engine.open(&key(document), &user(who), asked);
    let answer = opened.as_ref().map(Connection::granted).map_err(|error| *error);
    assert_eq!(expected, answer, "{who} on {document}");
    if opened.is_err() {
        assert_eq!(Taken::of(world), before, "the error for {who} on {document} changed something");
    }
    world.engine.validate().unwrap();
    opened
}

/// The same where it is no error. A refusal takes no seat of any limit.
pub fn come(world: &World, document: &str, who: &str, asked: Access) -> Connection {
    let before = Taken::of(world);
    let connection = try_come(world, document, who, asked).unwrap();
    if connection.granted().reason.is_some() {
        let after = Taken::of(world);
        let seats = |taken: &Taken| (taken.limits.edit, taken.limits.live, taken.license.quota.clone());
        assert_eq!(seats(&after), seats(&before), "the refusal of {who} on {document} took a seat");
        assert_eq!(after.holders, before.holders);
    }
    connection
}

/// What somebody is given who asks, and goes.
pub fn tries(world: &World, document: &str, who: &str, asked: Access) -> Grant {
    come(world, document, who, asked).granted()
}
