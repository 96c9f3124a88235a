//! Recounting a shard.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use super::{Shard, Standing};
use crate::access::ACCESSES;
use crate::ids::UserId;
use crate::registry::hasher::KeyHasher;
use crate::seats::Seats;
use crate::session::{Rules, Stay, StayId};

/// What is taken of the engine's limits, by access where there are three.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) seats: [u32; 3],
    pub(crate) connections: [u32; 3],
    /// Under the cap.
    pub(crate) all: u32,
    pub(crate) users: HashMap<UserId, u32>,
}

impl Taken {
    pub(crate) fn add(&mut self, other: Taken) {
        for access in ACCESSES {
            self.seats[access as usize] += other.seats[access as usize];
            self.connections[access as usize] += other.connections[access as usize];
        }
        self.all += other.all;
        for (user, count) in other.users {
            *self.users.entry(user).or_default() += count;
        }
    }
}

impl Shard {
    /// Recounts everything. Returns what is taken of the engine's limits.
    pub(crate) fn validate(
        &self,
        rules: &Rules,
        hasher: &KeyHasher,
        seats: &Seats,
        metered: bool,
    ) -> Result<Taken, String> {
        let mut counted = HashMap::<(u32, StayId), u32>::new();
        for (slot, connection) in self.connections.open() {
            *counted.entry((connection.document, connection.stay)).or_default() += 1;
            let stay = self.session(connection.document).map(|session| session.stay(connection.stay));
            if stay.is_none() {
                return Err(format!("connection {slot} is in no document"));
            }
        }
        let (mut documents, mut open, mut forgotten, mut deadlines) = (0, 0, 0, 0);
        let (mut connections, mut users) = ([0; 3], [0; 3]);
        for (place, session) in self.documents.iter() {
            session.validate(rules)?;
            let Standing { open: is_open, deadline, has_next } = session.standing();
            documents += 1;
            open += usize::from(is_open);
            forgotten += usize::from(session.is_forgotten());
            deadlines += usize::from(deadline.is_some());
            for access in ACCESSES {
                connections[access as usize] += session.by_access()[access as usize];
                let here = |stay: &Stay| stay.access() == access && stay.connections > 0;
                users[access as usize] += session.stays().map(|(_, stay)| u32::from(here(stay))).sum::<u32>();
            }
            let in_order = self.find(session.key(), hasher.hash_one(session.key())) == Some(place)
                && deadline.is_none_or(|due| self.deadlines.contains(&(due, place)))
                && self.forgotten.contains(&place) == session.is_forgotten()
                && (self.documents.is_queued(place) || !has_next)
                && !session.is_over();
            if !in_order {
                return Err(format!("document {} is not in order: {session:?}", session.key()));
            }
            for (stay, Stay { connections, .. }) in session.stays() {
                if counted.remove(&(place, stay)).unwrap_or(0) != *connections {
                    return Err(format!("stay {stay} of {} has other connections", session.key()));
                }
            }
        }
        let staged: HashSet<u32> = self.staged.iter().map(|(_, place)| *place).collect();
        if staged.len() != self.staged.len() || !staged.iter().all(|place| self.documents.is_queued(*place)) {
            return Err(format!("shard {}: not staged once each: {:?}", self.numbering.shard, self.staged));
        }
        let sums = [documents, open, forgotten, deadlines, connections.iter().sum::<u32>() as usize];
        let totals =
            [self.table.len(), self.open, self.forgotten.len(), self.deadlines.len(), self.connections.len()];
        if sums != totals {
            return Err(format!("shard {}: totals {totals:?}, counted {sums:?}", self.numbering.shard));
        }
        let counts = self.meter.counts();
        if metered && counts != connections {
            return Err(format!(
                "shard {}: metered {counts:?}, counted {connections:?}",
                self.numbering.shard
            ));
        }
        Ok(Taken {
            seats: if seats.by_users() { users } else { connections },
            connections,
            all: if self.capped { connections.iter().sum() } else { 0 },
            users: if self.counts_users { self.seats_of_users(seats.by_users()) } else { HashMap::new() },
        })
    }
}
