//! Recounting the whole engine.

use std::collections::BTreeMap;

use super::Registry;
use super::shard::Shard;
use crate::access::{ACCESSES, Access};
use crate::admission::Admission;
use crate::ids::UserId;

/// What the connections of some shards hold, counted from scratch.
#[derive(Debug, Default, PartialEq, Eq)]
struct CountedSeats {
    /// Seats and connections by access.
    seats: [u32; 3],
    connections: [u32; 3],
    users: BTreeMap<UserId, u32>,
    /// Viewers who wait for edit access.
    waiting: usize,
}

impl Registry {
    /// Recounts every total from scratch. The seats are compared only if no other thread changed anything meanwhile.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let calls = || -> Vec<u64> {
            (0..self.shards.len()).map(|index| self.read(index, |shard| shard.calls)).collect()
        };
        // Read with no lock held, since the clock is host code.
        let cx = self.context(self.clock.coarse());
        // While a limit is switched on or off, some shards count for it and some do not.
        let _changing = self.changing_limit.lock();
        let before = calls();
        let mut counted = CountedSeats::default();
        for index in 0..self.shards.len() {
            let metered = self.recorder.is_some();
            let recounted = self.read(index, |shard| {
                counted.add(shard, &self.admission);
                shard.validate(&cx, metered)
            });
            recounted.map_err(|error| format!("shard {index}: {error}"))?;
        }
        let compared = self.compare(&counted);
        if before == calls() { compared } else { Ok(()) }
    }

    fn compare(&self, counted: &CountedSeats) -> Result<(), String> {
        let admission = &self.admission;
        let connections = ACCESSES.map(|access| admission.connections(access));
        let in_use = [Access::LiveView, Access::Edit].map(|access| admission.seats_in_use(access));
        let all = admission.capped_connections();
        if counted.seats[1..] != in_use
            || counted.connections != connections
            || counted.connections.iter().sum::<u32>() != all
        {
            return Err(format!("{in_use:?} seats, {connections:?} and {all} in use, counted {counted:?}"));
        }
        admission.validate_waiters(counted.waiting)?;
        let users = admission.user_seats.counts();
        if users == counted.users { Ok(()) } else { Err(format!("{users:?} in use, counted {counted:?}")) }
    }
}

impl CountedSeats {
    fn add(&mut self, shard: &Shard, admission: &Admission) {
        let members = shard.sessions(0).flat_map(|(_, session)| session.members().map(|(_, member)| member));
        for member in members {
            for tab in &member.tabs {
                let waits = tab.access < Access::Edit && admission.waiter(tab.connection).is_some();
                self.waiting += usize::from(waits);
                self.connections[tab.access.index()] += 1;
                self.seats[tab.access.index()] += u32::from(tab.seats.access);
                if tab.seats.user {
                    *self.users.entry(member.user.id().clone()).or_default() += 1;
                }
            }
        }
    }
}
