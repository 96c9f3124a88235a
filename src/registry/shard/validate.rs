//! Recounting a shard.

use std::collections::HashMap;

use super::{Document, Shard};
use crate::access::{ACCESSES, Access};
use crate::session::{Rules, Stay, StayId};

impl Shard {
    /// Recounts everything. Returns the seats that connections hold: edit, live view.
    pub(crate) fn validate(&self, rules: &Rules) -> Result<[u32; 2], String> {
        let mut counted = HashMap::<(u32, StayId), u32>::new();
        let mut seats = [0; 2];
        for (slot, connection) in self.connections.open() {
            *counted.entry((connection.document, connection.stay)).or_default() += 1;
            match connection.access {
                Access::Edit => seats[0] += 1,
                Access::LiveView => seats[1] += 1,
                Access::View => {}
            }
            let stay = self.session(connection.document).map(|session| session.stay(connection.stay));
            if stay.map(|stay| stay.access) != Some(connection.access) {
                return Err(format!("connection {slot} and its stay differ in access"));
            }
        }
        let (mut documents, mut open, mut forgotten, mut deadlines) = (0, 0, 0, 0);
        let mut connections = [0; 3];
        for (place, standing) in (0..).zip(&self.documents) {
            let Some(Document { session, hash, deadline, open: counted_open, .. }) = &standing.document
            else {
                continue;
            };
            session.validate(rules)?;
            documents += 1;
            open += usize::from(session.is_open());
            forgotten += usize::from(session.is_forgotten());
            deadlines += usize::from(deadline.is_some());
            for access in ACCESSES {
                connections[access as usize] += session.connections(access);
            }
            let in_order = self.find(session.key(), *hash) == Some(place)
                && session.next_deadline() == *deadline
                && deadline.is_none_or(|due| self.deadlines.contains(&(due, place)))
                && session.is_open() == *counted_open
                && (standing.queued || !session.has_next())
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
        let sums = [documents, open, forgotten, deadlines, connections.iter().sum::<u32>() as usize];
        let totals =
            [self.table.len(), self.open, self.forgotten.len(), self.deadlines.len(), self.connections.len()];
        if sums != totals || seats != [connections[2], connections[1]] {
            return Err(format!("shard {}: totals {totals:?} and {seats:?}, counted {sums:?}", self.number));
        }
        Ok(seats)
    }
}
