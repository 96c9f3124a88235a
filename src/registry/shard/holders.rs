//! Who holds seats, and the limits that a shard has to learn of.

use std::collections::{BinaryHeap, HashMap};

use super::Shard;
use crate::access::{Access, Holder};
use crate::ids::{DocumentKey, UserId};
use crate::seats::Seats;
use crate::time::Timestamp;

/// Places that are looked at under one hold of the lock.
const SLICE: u32 = 256;

/// The stays that were idle for the longest time, at most so many of them.
#[derive(Debug)]
pub(crate) struct Idlest {
    most: usize,
    /// The most recently active on top: it goes first.
    found: BinaryHeap<Idle>,
}

/// Ordered by when it was active, then by document and user.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Idle {
    active: Timestamp,
    key: DocumentKey,
    user: UserId,
    access: Access,
    connections: u32,
}

impl Idlest {
    pub(crate) fn new(most: usize) -> Self {
        Idlest { most, found: BinaryHeap::new() }
    }

    /// Whether one that was active then is among them, as far as that is known.
    fn may_hold(&self, active: Timestamp) -> bool {
        self.found.len() < self.most || self.found.peek().is_some_and(|last| active <= last.active)
    }

    /// With no lock held: it frees who is among them no longer.
    pub(crate) fn add(&mut self, found: Vec<Idle>) {
        for idle in found {
            self.found.push(idle);
            if self.found.len() > self.most {
                self.found.pop();
            }
        }
    }

    /// Longest idle first.
    pub(crate) fn holders(self) -> Vec<Holder> {
        let holder = |idle: Idle| {
            let Idle { active, key, user, access, connections } = idle;
            Holder { key, user, access, connections, active }
        };
        self.found.into_sorted_vec().into_iter().map(holder).collect()
    }
}

impl Shard {
    /// Looks through some places from `from` on for what may be among the idlest. Also where to go on, if there are more.
    pub(crate) fn idle(&self, from: u32, idlest: &Idlest) -> (Vec<Idle>, Option<u32>) {
        let (to, mut found) = (from.saturating_add(SLICE), Vec::new());
        for session in (from..to).filter_map(|place| self.session(place)) {
            for (_, stay) in session.stays() {
                let holds = stay.connections > 0 && stay.access() > Access::View;
                if holds && idlest.may_hold(stay.active()) {
                    found.push(Idle {
                        active: stay.active(),
                        key: session.key().clone(),
                        user: stay.user.id().clone(),
                        access: stay.access(),
                        connections: stay.connections,
                    });
                }
            }
        }
        (found, (to < self.documents.end()).then_some(to))
    }

    /// Counts the seats of users from now on, those that are taken too; or no longer.
    pub(crate) fn count_users(&mut self, on: bool, seats: &Seats) {
        if on && !self.counts_users {
            for (user, count) in self.seats_of_users(seats.by_users()) {
                seats.users.of(&user).add(&user, count);
            }
        }
        self.counts_users = on;
    }

    /// Counts connections under the cap from now on, those that are open too; or no longer.
    pub(crate) fn cap(&mut self, on: bool, seats: &Seats) {
        let open = u32::try_from(self.connections.len()).unwrap_or(u32::MAX);
        match (self.capped, on) {
            (false, true) => drop(seats.all.add(open)),
            (true, false) => drop(seats.all.free(open)),
            _ => {}
        }
        self.capped = on;
    }

    /// Seats of edit access by user.
    pub(super) fn seats_of_users(&self, by_users: bool) -> HashMap<UserId, u32> {
        let mut seats = HashMap::new();
        for (_, session) in self.documents.iter() {
            for (_, stay) in session.stays() {
                if stay.access() == Access::Edit && stay.connections > 0 {
                    let count = if by_users { 1 } else { stay.connections };
                    *seats.entry(stay.user.id().clone()).or_default() += count;
                }
            }
        }
        seats
    }
}
