//! Who is in the document: every user's stay, in the order of coming.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::ordered::{Further, Indexed, NONE, Ordered, Pushed};
use super::spares::Pool;
use crate::access::{ACCESSES, Access, Participant};
use crate::ids::{User, UserId};
use crate::table::Numbers;
use crate::time::Timestamp;

/// Names a [`Stay`] within its session.
pub(crate) type StayId = u32;

/// One user's uninterrupted stay in the document with one access, through one connection or several.
///
/// A user who leaves and comes back begins another stay, at the end of the order. The old one is kept, without
/// connections, until the storage was told that it ended.
#[derive(Debug)]
pub(crate) struct Stay {
    pub(crate) user: User,
    marks: Marks,
    /// Connections open now.
    pub(crate) connections: u32,
    /// Connections open as far as the storage was told.
    pub(crate) told: u32,
    /// The shard's: the connection of this stay that came last, from which on they are linked.
    pub(crate) latest_connection: u32,
}

/// What a stay may do, and when it was last seen doing something, in one word: a stay takes 32 bytes.
#[derive(Clone, Copy, Debug)]
struct Marks(u32);

/// Milliseconds by which a stay counts time: from the Unix epoch on, 30 bits of them last until 2106.
const BEAT: u64 = 4000;
const BEATS_MAX: u32 = (1 << 30) - 1;

impl Stay {
    pub(crate) fn access(&self) -> Access {
        ACCESSES[(self.marks.0 >> 30) as usize % ACCESSES.len()]
    }

    /// When a connection of it was opened or made a change for the last time, or up to four seconds before.
    pub(crate) fn active(&self) -> Timestamp {
        Timestamp::from_millis(u64::from(self.marks.0 & BEATS_MAX) * BEAT)
    }

    /// It is active now.
    pub(crate) fn touch(&mut self, now: Timestamp) {
        self.marks = Marks::new(self.access(), now.max(self.active()));
    }
}

impl Marks {
    fn new(access: Access, now: Timestamp) -> Self {
        let beats = u32::try_from(now.as_millis() / BEAT).unwrap_or(BEATS_MAX).min(BEATS_MAX);
        Marks((access as u32) << 30 | beats)
    }
}

/// The stays of one document.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Roster {
    /// Connections with edit access.
    editing: u32,
    /// All connections.
    connections: u32,
    pub(super) stays: Ordered<Stay, Index>,
}

/// The stays that have connections, by user.
#[derive(Debug, Default)]
pub(crate) struct Index {
    stays: Numbers,
    hasher: RandomState,
}

impl Roster {
    pub(crate) fn new() -> Self {
        Roster { stays: Ordered::new(), editing: 0, connections: 0 }
    }

    /// Connections with edit access.
    pub(crate) fn editing(&self) -> u32 {
        self.editing
    }

    /// Whether nobody is connected.
    pub(crate) fn is_empty(&self) -> bool {
        self.connections == 0
    }

    /// Whether all stays are in place.
    pub(super) fn is_small(&self) -> bool {
        self.stays.are_here()
    }

    pub(crate) fn stay(&self, id: StayId) -> &Stay {
        &self.stays[id]
    }

    pub(crate) fn stay_mut(&mut self, id: StayId) -> &mut Stay {
        &mut self.stays[id]
    }

    /// The user's stays that have connections, by access. O(1).
    #[inline]
    pub(crate) fn stays_of(&self, user: &UserId) -> [Option<StayId>; 3] {
        let mut found = [None; 3];
        match self.stays.index() {
            None => {
                for (id, stay) in self.stays.tagged(user.tag()) {
                    if stay.connections > 0 && stay.user.id() == user {
                        found[stay.access() as usize] = Some(id);
                    }
                }
            }
            Some(index) => {
                for id in index.stays.with(index.hasher.hash_one(user)) {
                    let stay = &self.stays[id];
                    if stay.user.id() == user {
                        found[stay.access() as usize] = Some(id);
                    }
                }
            }
        }
        found
    }

    /// Adds one connection of `user`, which stands in the shard's `slot`. Returns the stay, and which connection of it was
    /// the latest before.
    #[inline]
    pub(crate) fn join(
        &mut self,
        user: &User,
        access: Access,
        now: Timestamp,
        slot: u32,
        pool: &mut Pool<Further<Stay, Index>>,
    ) -> (StayId, u32) {
        self.connections += 1;
        self.editing += u32::from(access == Access::Edit);
        let tag = user.id().tag();
        let mut beside = None;
        if !self.stays.lacks(tag) {
            let present = self.stays_of(user.id());
            if let Some(id) = present[access as usize] {
                let stay = &mut self.stays[id];
                stay.connections += 1;
                stay.user.learn_name(user);
                stay.touch(now);
                return (id, std::mem::replace(&mut stay.latest_connection, slot));
            }
            beside = Some(present);
        }
        let Pushed { id, index, slot: place } = self.stays.push(tag, beside, pool);
        *place = Some(Stay {
            user: user.clone(),
            marks: Marks::new(access, now),
            connections: 1,
            told: 0,
            latest_connection: slot,
        });
        if index != Indexed::No {
            self.index_stay(id, index == Indexed::Begins);
        }
        (id, NONE)
    }

    /// Takes one connection away. The stay itself goes by [`release`](Self::release). Returns its access.
    #[inline]
    pub(crate) fn leave(&mut self, id: StayId) -> Access {
        let stay = &mut self.stays[id];
        stay.connections -= 1;
        let (access, gone) = (stay.access(), stay.connections == 0);
        self.connections -= 1;
        self.editing -= u32::from(access == Access::Edit);
        if gone && self.stays.index().is_some() {
            self.unindex(id);
        }
        access
    }

    /// Lets the index no longer find a stay.
    #[cold]
    fn unindex(&mut self, id: StayId) {
        if let Some(hash) = self.hash_of(id)
            && let Some(index) = self.stays.index_mut()
        {
            // Few enough to be freed here.
            index.stays.remove(hash, id, u32::MAX);
        }
    }

    /// By which the index finds a stay, if there is one.
    fn hash_of(&self, id: StayId) -> Option<u64> {
        Some(self.stays.index()?.hasher.hash_one(self.stays[id].user.id()))
    }

    /// Frees the stay if it is over and the storage has nothing more to hear of it.
    ///
    /// The storage has more to hear of one that it was told nothing of only if that still waits, which the outbox knows.
    #[inline]
    pub(crate) fn release(&mut self, id: StayId) {
        let over = |stay: &Stay| stay.connections == 0 && stay.told == 0;
        if self.stays.get(id).is_some_and(over) {
            self.stays.remove(id);
        }
    }

    /// The users who hold edit access, in order of joining.
    pub(crate) fn editors(&self) -> Vec<UserId> {
        self.users(self.editing, |stay| stay.access() == Access::Edit && stay.connections > 0)
    }

    /// The users who edit as far as the storage was told.
    pub(super) fn told_editors(&self) -> Vec<UserId> {
        self.users(self.editing.saturating_add(2), |stay| stay.told > 0)
    }

    /// There are hardly more than `most`.
    fn users(&self, most: u32, which: impl Fn(&Stay) -> bool) -> Vec<UserId> {
        let mut users = Vec::with_capacity(self.stays.len().min(most as usize));
        self.stays.each(|stay| {
            if which(stay) {
                users.push(stay.user.id().clone());
            }
        });
        users
    }

    /// Every user with a connection, in order of joining.
    pub(crate) fn participants(&self) -> Vec<Participant> {
        let arrivals = self.stays.arrivals();
        let stays = arrivals.into_iter().map(|id| &self.stays[id]);
        let present: Vec<&Stay> = stays.filter(|stay| stay.connections > 0).collect();
        // The stays of one user stand beside each other.
        present
            .chunk_by(|one, other| one.user.id() == other.user.id())
            .map(|stays| Participant {
                user: stays.iter().find(|stay| stay.user.name().is_some()).unwrap_or(&stays[0]).user.clone(),
                access: stays.iter().map(|stay| stay.access()).max().unwrap_or(Access::View),
                connections: stays.iter().map(|stay| stay.connections).sum(),
            })
            .collect()
    }

    /// Gives up a box in which no stay is any more.
    #[inline]
    pub(super) fn take_empty(&mut self) -> Option<Box<Further<Stay, Index>>> {
        self.stays.take_empty()
    }

    /// Lets the index find a stay that has come; where it has just begun, all that are present.
    #[cold]
    fn index_stay(&mut self, id: StayId, begins: bool) {
        let present = |(id, stay): (StayId, &Stay)| (stay.connections > 0).then_some(id);
        let new = if begins { self.stays.iter().filter_map(present).collect() } else { vec![id] };
        for id in new {
            if let Some(hash) = self.hash_of(id)
                && let Some(index) = self.stays.index_mut()
            {
                index.stays.insert(hash, id);
            }
        }
    }

    /// Users with edit access, counted: O(stays).
    pub(crate) fn editors_here(&self) -> u32 {
        let edits = |stay: &Stay| stay.access() == Access::Edit && stay.connections > 0;
        self.stays.iter().map(|(_, stay)| u32::from(edits(stay))).sum()
    }

    /// How many connections have each access, counted.
    pub(crate) fn by_access(&self) -> [u32; 3] {
        let mut connections = [0; 3];
        for (_, stay) in self.stays.iter() {
            connections[stay.access() as usize] += stay.connections;
        }
        connections
    }

    /// Recounts everything.
    pub(super) fn validate(&self) -> Result<(), String> {
        let connections = self.by_access();
        let mut present = 0;
        for (id, stay) in self.stays.iter() {
            present += usize::from(stay.connections > 0);
            let found = self.stays_of(stay.user.id())[stay.access() as usize];
            if stay.connections > 0 && found != Some(id) {
                return Err(format!("stay {id} of {} is found as {found:?}", stay.user.id()));
            }
        }
        let totals = [connections[Access::Edit as usize], connections.iter().sum()];
        if totals != [self.editing, self.connections] {
            return Err(format!("{} of {} edit, counted {totals:?}", self.editing, self.connections));
        }
        match self.stays.index() {
            Some(index) if index.stays.len() != present => {
                Err(format!("{} stays indexed, {present} present", index.stays.len()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn user(number: usize) -> User {
        User::new(&format!("user-{number}")).unwrap()
    }

    fn join(roster: &mut Roster, number: usize, access: Access) -> StayId {
        roster.join(&user(number), access, NOW, NONE, &mut Pool::default()).0
    }

    #[test]
    fn users_are_found_past_the_walk_and_back() {
        let mut roster = Roster::new();
        let stays: Vec<StayId> = (0..100).map(|n| join(&mut roster, n, Access::Edit)).collect();
        roster.validate().unwrap();
        for (n, id) in stays.iter().enumerate() {
            assert_eq!(roster.stays_of(user(n).id()), [None, None, Some(*id)]);
            assert_eq!(join(&mut roster, n, Access::Edit), *id);
        }
        for id in &stays {
            roster.leave(*id);
            roster.leave(*id);
            roster.release(*id);
            roster.validate().unwrap();
        }
        assert!(roster.is_empty());
    }

    #[test]
    fn a_user_keeps_the_place_of_the_first_tab() {
        for others in [1, 20] {
            let mut roster = Roster::new();
            let view = join(&mut roster, 0, Access::View);
            for n in 1..=others {
                join(&mut roster, n, Access::Edit);
            }
            join(&mut roster, 0, Access::Edit);
            roster.leave(view);
            roster.release(view);
            let order: Vec<_> = roster.participants().into_iter().map(|p| p.user).collect();
            assert_eq!(order, (0..=others).map(user).collect::<Vec<_>>());
            let editors: Vec<_> = (1..=others).chain([0]).map(|n| user(n).id().clone()).collect();
            assert_eq!(roster.editors(), editors);
        }
    }

    #[test]
    fn a_stay_takes_half_a_cache_line() {
        assert_eq!(size_of::<Option<Stay>>(), 32);
    }
}
