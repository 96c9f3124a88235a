//! Recounting a shard.

use std::collections::HashMap;
use std::hash::BuildHasher;

use super::{Shard, Standing};
use crate::access::{ACCESSES, Access};
use crate::registry::hasher::KeyHasher;
use crate::session::{Rules, Stay, StayId};

impl Shard {
    /// Recounts everything. Returns the seats that connections hold: edit, live view.
    pub(crate) fn validate(&self, rules: &Rules, hasher: &KeyHasher) -> Result<[u32; 2], String> {
        let mut counted = HashMap::<(u32, StayId), u32>::new();
        let mut seats = [0; 2];
        for (slot, connection) in self.connections.open() {
            *counted.entry((connection.document, connection.stay)).or_default() += 1;
            let stay = self.session(connection.document).map(|session| session.stay(connection.stay));
            match stay.map(|stay| stay.access) {
                Some(Access::Edit) => seats[0] += 1,
                Some(Access::LiveView) => seats[1] += 1,
                Some(Access::View) => {}
                None => return Err(format!("connection {slot} is in no document")),
            }
        }
        let (mut documents, mut open, mut forgotten, mut deadlines) = (0, 0, 0, 0);
        let mut connections = [0; 3];
        for (place, session) in self.documents.iter() {
            session.validate(rules)?;
            let Standing { open: is_open, deadline, has_next, over, .. } = session.standing();
            documents += 1;
            open += usize::from(is_open);
            forgotten += usize::from(session.is_forgotten());
            deadlines += usize::from(deadline.is_some());
            for access in ACCESSES {
                connections[access as usize] += session.by_access()[access as usize];
            }
            let in_order = self.find(session.key(), hasher.hash_one(session.key())) == Some(place)
                && deadline.is_none_or(|due| self.deadlines.contains(&(due, place)))
                && self.forgotten.contains(&place) == session.is_forgotten()
                && (self.documents.is_queued(place) || !has_next)
                && !over;
            if !in_order {
                return Err(format!("document {} is not in order: {session:?}", session.key()));
            }
            for (stay, Stay { connections, .. }) in session.stays() {
                if counted.remove(&(place, stay)).unwrap_or(0) != *connections {
                    return Err(format!("stay {stay} of {} has other connections", session.key()));
                }
            }
        }
        let sums = [documents, open, forgotten, deadlines, connections.iter().sum::<u32>() as usize];
        let totals =
            [self.table.len(), self.open, self.forgotten.len(), self.deadlines.len(), self.connections.len()];
        if sums != totals || seats != [connections[2], connections[1]] {
            return Err(format!("shard {}: totals {totals:?} and {seats:?}, counted {sums:?}", self.number));
        }
        Ok(seats)
    }
}
