//! Who is in the document: one participant a user, with that user's connections.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::member::{Member, Tab};
use crate::access::{Access, Participant};
use crate::hash::Hasher;
use crate::ids::{ConnectionId, User, UserId};
use crate::seats::Seats;

/// Names a participant within its session.
pub(crate) type ParticipantId = u32;

/// The participants of one document.
#[derive(Debug, Default)]
pub(crate) struct Participants {
    /// A participant keeps its slot, so that its id stays valid. A vacant slot is used again.
    slots: Vec<Option<Member>>,
    /// Finds participants by user, once there are more than [`SCAN_MAX`].
    index: Option<Box<HashTable<ParticipantId>>>,
    /// How many slots are taken.
    len: u32,
    /// No slot below this one is vacant.
    first_vacant: u32,
    /// The next number for `order` and `arrival`.
    next_number: u32,
    /// Connections with edit access.
    editing: u32,
    /// Users with edit access.
    editors: u32,
    /// All connections.
    connections: u32,
}

/// Room for so many participants is made one by one, and kept.
const FEW: usize = 4;
/// Up to so many participants are searched one by one.
const SCAN_MAX: usize = 16;

impl std::ops::Index<ParticipantId> for Participants {
    type Output = Member;

    fn index(&self, id: ParticipantId) -> &Member {
        self.slots[id as usize].as_ref().expect("a participant that is referred to is kept")
    }
}

impl std::ops::IndexMut<ParticipantId> for Participants {
    fn index_mut(&mut self, id: ParticipantId) -> &mut Member {
        self.slots[id as usize].as_mut().expect("a participant that is referred to is kept")
    }
}

/// Questions.
impl Participants {
    /// Connections with edit access.
    pub(crate) fn editing(&self) -> u32 {
        self.editing
    }

    /// Users with edit access.
    pub(crate) fn editors(&self) -> u32 {
        self.editors
    }

    /// All connections.
    pub(crate) fn connections(&self) -> u32 {
        self.connections
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ParticipantId, &Member)> {
        (0..).zip(&self.slots).filter_map(|(id, slot)| Some((id, slot.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.slots.iter_mut().flatten()
    }

    /// Finds a participant by user. Costs one lookup, or a scan of at most [`SCAN_MAX`].
    pub(crate) fn find(&self, user: &UserId, hasher: &Hasher) -> Option<ParticipantId> {
        match &self.index {
            None => self.iter().find(|(_, participant)| participant.user.id() == user).map(|(id, _)| id),
            Some(index) => index.find(hasher.hash_one(user), |id| self[*id].user.id() == user).copied(),
        }
    }

    /// The participants that `which` picks, in the order in which they began to edit.
    pub(crate) fn in_order(&self, which: impl Fn(&Member) -> bool) -> Vec<ParticipantId> {
        self.numbered(which).into_iter().map(|(_, id)| id).collect()
    }

    /// The same, each with its number in the order.
    fn numbered(&self, which: impl Fn(&Member) -> bool) -> SmallVec<[(u32, ParticipantId); 8]> {
        let mut found = SmallVec::new();
        let mut sorted = true;
        for (id, participant) in self.iter() {
            if which(participant) {
                sorted &= found.last().is_none_or(|(last, _)| *last < participant.order);
                found.push((participant.order, id));
            }
        }
        if !sorted {
            found.sort_unstable();
        }
        found
    }

    /// Appends the users that `which` picks to `users`, in the order in which they began to edit.
    pub(crate) fn append_users(&self, users: &mut Vec<UserId>, which: impl Fn(&Member) -> bool) {
        let (start, mut last, mut sorted) = (users.len(), None, true);
        for participant in self.slots.iter().flatten().filter(|participant| which(participant)) {
            sorted &= last < Some(participant.order);
            last = Some(participant.order);
            users.push(participant.user.id().clone());
        }
        // The slots are mostly in order already.
        if !sorted {
            users.truncate(start);
            users.extend(self.numbered(which).iter().map(|(_, id)| self[*id].user.id().clone()));
        }
    }

    /// Every user with a connection, in order of arrival.
    pub(crate) fn present(&self) -> Vec<Participant> {
        let mut present: Vec<&Member> =
            self.slots.iter().flatten().filter(|participant| !participant.tabs.is_empty()).collect();
        present.sort_unstable_by_key(|participant| participant.arrival);
        let info = |participant: &&Member| Participant {
            user: participant.user.clone(),
            access: participant.tabs.iter().map(|tab| tab.access).max().unwrap_or(Access::View),
            connections: u32::try_from(participant.tabs.len()).unwrap_or(u32::MAX),
        };
        present.iter().map(info).collect()
    }
}

/// Changes.
impl Participants {
    /// Adds a connection of `user`.
    pub(crate) fn join(&mut self, user: &User, tab: Tab, hasher: &Hasher) -> ParticipantId {
        let number = self.number();
        let id = match self.find(user.id(), hasher) {
            Some(id) => id,
            None => self.insert(Member::new(user, number), hasher),
        };
        let edits = tab.access == Access::Edit;
        self.connections += 1;
        self.editing += u32::from(edits);
        let participant = &mut self[id];
        participant.user.learn_name(user);
        if participant.tabs.is_empty() {
            participant.arrival = number;
        }
        let begins_to_edit = edits && !participant.is_editing();
        // A user whose leave was not handed out yet keeps its place: the callbacks that wait list who the storage counts,
        // sorted by the `order` of now.
        if begins_to_edit && participant.is_unknown_to_storage() {
            participant.order = number;
        }
        participant.tabs.push(tab);
        self.editors += u32::from(begins_to_edit);
        id
    }

    /// Takes a connection away. The caller [`release`](Self::release)s the participant afterwards. In the result are the
    /// seats that become free.
    pub(crate) fn leave(&mut self, id: ParticipantId, connection: ConnectionId) -> Tab {
        let participant = &mut self[id];
        let mut tab = participant.tabs.remove(participant.tab_position(connection));
        tab.seats = participant.pass_on_seats(&tab);
        if participant.tabs.is_empty() {
            participant.tabs.shrink_to_fit();
        }
        self.connections -= 1;
        self.access_ended(id, tab.access);
        tab
    }

    /// Makes one connection view-only. In the result, the connection as it was, are the seats that become free.
    pub(crate) fn demote(&mut self, id: ParticipantId, connection: ConnectionId) -> Tab {
        let participant = &mut self[id];
        let at = participant.tab_position(connection);
        let mut tab = participant.tabs[at];
        participant.tabs[at].access = Access::View;
        participant.tabs[at].seats = Seats::default();
        tab.seats = participant.pass_on_seats(&tab);
        self.access_ended(id, tab.access);
        tab
    }

    fn access_ended(&mut self, id: ParticipantId, access: Access) {
        if access == Access::Edit {
            self.editing -= 1;
            self.editors -= u32::from(!self[id].is_editing());
        }
    }

    /// Forgets a participant that has no connection and of whom the storage is to hear nothing more.
    pub(crate) fn release(&mut self, id: ParticipantId, hasher: &Hasher) {
        let participant = &self[id];
        if !participant.tabs.is_empty() || !participant.is_unknown_to_storage() {
            return;
        }
        let hash = hasher.hash_one(participant.user.id());
        if let Some(index) = &mut self.index {
            index.find_entry(hash, |other| *other == id).expect("every participant is indexed").remove();
        }
        self.slots[id as usize] = None;
        self.len -= 1;
        self.first_vacant = self.first_vacant.min(id);
        self.shrink(hasher);
    }

    fn insert(&mut self, participant: Member, hasher: &Hasher) -> ParticipantId {
        let vacant = self.first_vacant as usize;
        let at = self
            .slots
            .iter()
            .skip(vacant)
            .position(Option::is_none)
            .map_or(self.slots.len(), |at| at + vacant);
        if at == self.slots.len() {
            if at == self.slots.capacity() {
                // Most documents have a few users, where a vector would make room for four more.
                self.slots.reserve_exact(if at < FEW { 1 } else { at });
            }
            self.slots.push(None);
        }
        self.slots[at] = Some(participant);
        let id = u32::try_from(at).expect("a shard names fewer than 2^32 connections");
        self.first_vacant = id + 1;
        self.len += 1;
        if self.index.is_some() {
            self.add_to_index(id, hasher);
        } else if self.len as usize > SCAN_MAX {
            self.build_index(hasher);
        }
        id
    }

    fn build_index(&mut self, hasher: &Hasher) {
        self.index = Some(Box::new(HashTable::with_capacity(self.len as usize)));
        let ids: Vec<ParticipantId> = self.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.add_to_index(id, hasher);
        }
    }

    fn add_to_index(&mut self, id: ParticipantId, hasher: &Hasher) {
        if let Some(index) = &mut self.index {
            let hash = |id: &ParticipantId| {
                let participant = self.slots[*id as usize].as_ref();
                hasher.hash_one(participant.expect("an indexed participant is kept").user.id())
            };
            index.insert_unique(hash(&id), id, hash);
        }
    }

    /// Gives memory back after many have left.
    fn shrink(&mut self, hasher: &Hasher) {
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        if self.slots.capacity() > FEW && self.slots.len() * 4 < self.slots.capacity() {
            self.slots.shrink_to_fit();
            if self.index.take().is_some() && self.len as usize > SCAN_MAX {
                self.build_index(hasher);
            }
        }
    }

    /// The next number for an order. When the numbers are used up, all participants are numbered anew.
    fn number(&mut self) -> u32 {
        if self.next_number == u32::MAX {
            let mut all: Vec<&mut Member> = self.slots.iter_mut().flatten().collect();
            all.sort_unstable_by_key(|participant| participant.arrival);
            (0..).zip(&mut all).for_each(|(number, participant)| participant.arrival = number);
            all.sort_unstable_by_key(|participant| participant.order);
            (0..).zip(&mut all).for_each(|(number, participant)| participant.order = number);
            self.next_number = self.len;
        }
        self.next_number += 1;
        self.next_number - 1
    }
}

impl Participants {
    /// Recounts every total.
    pub(crate) fn validate(&self, hasher: &Hasher) -> Result<(), String> {
        let mut counted = [0; 4];
        for (id, participant) in self.iter() {
            let edits = participant.edits();
            if self.find(participant.user.id(), hasher) != Some(id) {
                return Err(format!("participant {id} is not in order: {participant:?}"));
            }
            let tabs = u32::try_from(participant.tabs.len()).unwrap_or(u32::MAX);
            for (total, more) in counted.iter_mut().zip([1, edits, u32::from(edits > 0), tabs]) {
                *total += more;
            }
        }
        let totals = [self.len, self.editing, self.editors, self.connections];
        let indexed = self.index.as_ref().map_or(self.len as usize, |index| index.len());
        if counted != totals || indexed != self.len as usize {
            return Err(format!("totals {totals:?}, counted {counted:?}, {indexed} indexed"));
        }
        let lowest = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        if (self.first_vacant as usize) > lowest {
            return Err(format!("slot {lowest} is vacant and would not be found"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hasher;
    use crate::time::Timestamp;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn user(number: usize) -> User {
        User::new(&format!("user-{number}")).unwrap()
    }

    fn id(bits: u64) -> ConnectionId {
        ConnectionId::from_bits(bits)
    }

    fn tab(bits: u64, access: Access) -> Tab {
        Tab::new(id(bits), access, Seats::default(), NOW)
    }

    #[test]
    fn users_are_found_by_scan_and_by_index() {
        let hasher = hasher(true);
        let mut participants = Participants::default();
        let all: Vec<ParticipantId> =
            (0..100).map(|n| participants.join(&user(n), tab(n as u64, Access::Edit), &hasher)).collect();
        participants.validate(&hasher).unwrap();
        for (n, participant) in all.iter().enumerate() {
            assert_eq!(participants.find(user(n).id(), &hasher), Some(*participant));
        }
        for (n, participant) in all.iter().enumerate() {
            participants.leave(*participant, id(n as u64));
            participants.release(*participant, &hasher);
            participants.validate(&hasher).unwrap();
        }
        assert!(
            participants.len == 0 && participants.slots.capacity() <= FEW && participants.index.is_none()
        );
    }

    #[test]
    fn editors_are_in_order_of_editing_and_participants_in_order_of_arrival() {
        let hasher = hasher(true);
        let mut participants = Participants::default();
        participants.join(&user(0), tab(0, Access::View), &hasher);
        for n in 1..=20 {
            participants.join(&user(n), tab(n as u64, Access::Edit), &hasher);
        }
        participants.join(&user(0), tab(21, Access::Edit), &hasher);
        let order: Vec<User> = participants.present().into_iter().map(|one| one.user).collect();
        assert_eq!(order, (0..=20).map(user).collect::<Vec<_>>());
        let mut editors = Vec::new();
        participants.append_users(&mut editors, Member::is_editing);
        assert_eq!(editors, (1..=20).chain([0]).map(|n| user(n).id().clone()).collect::<Vec<_>>());
    }

    #[test]
    fn the_order_survives_the_end_of_the_numbers() {
        let hasher = hasher(true);
        let mut participants = Participants { next_number: u32::MAX - 2, ..Participants::default() };
        for n in 0..6 {
            participants.join(&user(n), tab(n as u64, Access::Edit), &hasher);
        }
        let order: Vec<User> = participants.present().into_iter().map(|one| one.user).collect();
        assert_eq!(order, (0..6).map(user).collect::<Vec<_>>());
        let mut editors = Vec::new();
        participants.append_users(&mut editors, |_| true);
        assert_eq!(editors, (0..6).map(|n| user(n).id().clone()).collect::<Vec<_>>());
    }

    #[test]
    fn a_seat_passes_to_another_tab_of_the_user_with_the_same_access() {
        let hasher = hasher(true);
        let mut participants = Participants::default();
        let held = Seats { access: true, user: true };
        let ann = participants.join(&user(0), Tab::new(id(0), Access::Edit, held, NOW), &hasher);
        participants.join(&user(0), tab(1, Access::Edit), &hasher);
        participants.join(&user(0), tab(2, Access::LiveView), &hasher);
        assert_eq!(participants.leave(ann, id(0)).seats, Seats::default());
        assert_eq!(participants[ann].tab(id(1)).seats, held);
        assert_eq!(participants.demote(ann, id(1)).seats, held);
    }
}
