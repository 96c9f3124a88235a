//! Who is in the document: one participant a user, with that user's connections.

use smallvec::SmallVec;

use super::member::{Member, Tab};
use super::member_list::MemberList;
pub(crate) use super::member_list::ParticipantId;
use crate::access::{Access, Participant, Reason};
use crate::hash::Hasher;
use crate::ids::{ConnectionId, User, UserId};
use crate::seats::Seats;

/// The participants of one document.
#[derive(Debug, Default)]
pub(crate) struct Participants {
    list: MemberList,
    /// The next number for `order` and `arrival`.
    next_number: u32,
    /// Connections with edit access.
    editing: u32,
    /// Users with edit access.
    editors: u32,
    /// All connections.
    connections: u32,
}

impl std::ops::Index<ParticipantId> for Participants {
    type Output = Member;

    fn index(&self, id: ParticipantId) -> &Member {
        &self.list[id]
    }
}

impl std::ops::IndexMut<ParticipantId> for Participants {
    fn index_mut(&mut self, id: ParticipantId) -> &mut Member {
        &mut self.list[id]
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

    /// How many items a walk over the participants has.
    pub(crate) fn slots(&self) -> usize {
        self.list.slots()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (ParticipantId, &Member)> {
        self.list.with_ids()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        self.list.iter_mut()
    }

    /// Finds a participant by user. Costs one lookup, or a short scan.
    pub(crate) fn find(&self, user: &UserId, hasher: &Hasher) -> Option<ParticipantId> {
        self.list.find(user, hasher)
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
        for participant in self.list.iter().filter(|participant| which(participant)) {
            sorted &= last < Some(participant.order);
            last = Some(participant.order);
            users.push(participant.user.id().clone());
        }
        // The list is mostly in order already.
        if !sorted {
            users.truncate(start);
            users.extend(self.numbered(which).iter().map(|(_, id)| self[*id].user.id().clone()));
        }
    }

    /// Every user with a connection, each with a number that orders them by arrival.
    pub(crate) fn present(&self) -> Vec<(u32, Participant)> {
        let present = self.list.iter().filter(|participant| !participant.tabs.is_empty());
        let info = |participant: &Member| Participant {
            user: participant.user.clone(),
            access: participant.access().unwrap_or(Access::View),
            connections: u32::try_from(participant.tabs.len()).unwrap_or(u32::MAX),
        };
        present.map(|participant| (participant.arrival, info(participant))).collect()
    }
}

/// Changes.
impl Participants {
    /// Adds a connection of `user`.
    pub(crate) fn join(&mut self, user: &User, tab: Tab, hasher: &Hasher) -> ParticipantId {
        let number = self.number();
        let id = match self.find(user.id(), hasher) {
            Some(id) => id,
            None => self.list.insert(Member::new(user, number), hasher),
        };
        let edits = tab.access == Access::Edit;
        self.connections += 1;
        self.editing += u32::from(edits);
        let participant = &mut self[id];
        participant.user.learn_name(user);
        let comes = participant.tabs.is_empty();
        if comes {
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

    /// Adds a participant of whom the storage counts so many edit connections, and who has none yet.
    pub(crate) fn restore(&mut self, user: &User, told: u32, hasher: &Hasher) -> ParticipantId {
        let number = self.number();
        self.list.insert(Member { handed_out: told, ..Member::new(user, number) }, hasher)
    }

    /// Takes a connection away. The caller [`release`](Self::release)s the participant afterwards. In the result are the
    /// seats that become free.
    pub(crate) fn leave(&mut self, id: ParticipantId, connection: ConnectionId) -> Tab {
        let participant = &mut self[id];
        let mut tab = participant.tabs.remove(participant.tab_position(connection));
        tab.seats = participant.pass_on_seats(&tab);
        if participant.tabs.len() * 4 < participant.tabs.capacity() {
            participant.tabs.shrink_to_fit();
        }
        self.connections -= 1;
        self.access_ended(id, tab.access);
        tab
    }

    /// Makes one connection view-only. In the result, the connection as it was, are the seats that become free.
    pub(crate) fn demote(&mut self, id: ParticipantId, connection: ConnectionId, why: Option<Reason>) -> Tab {
        let participant = &mut self[id];
        let at = participant.tab_position(connection);
        let mut tab = participant.tabs[at];
        participant.tabs[at].access = Access::View;
        participant.tabs[at].reason = why;
        participant.tabs[at].seats = Seats::default();
        tab.seats = participant.pass_on_seats(&tab);
        self.access_ended(id, tab.access);
        tab
    }

    /// Gives a connection edit access. In the result is the connection as it was.
    pub(crate) fn promote(&mut self, id: ParticipantId, connection: ConnectionId, seats: Seats) -> Tab {
        let number = self.number();
        let participant = &mut self[id];
        let at = participant.tab_position(connection);
        let mut tab = participant.tabs[at];
        let begins_to_edit = !participant.is_editing();
        if begins_to_edit && participant.is_unknown_to_storage() {
            participant.order = number;
        }
        tab.seats = participant.pass_on_seats(&tab);
        let promoted = &mut participant.tabs[at];
        (promoted.access, promoted.reason, promoted.seats) = (Access::Edit, None, seats);
        self.editing += 1;
        self.editors += u32::from(begins_to_edit);
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
        self.list.remove(id, hasher);
    }

    /// The next number for an order. When the numbers are used up, all participants are numbered anew.
    fn number(&mut self) -> u32 {
        if self.next_number == u32::MAX {
            let mut all: Vec<&mut Member> = self.list.iter_mut().collect();
            all.sort_unstable_by_key(|participant| participant.arrival);
            (0..).zip(&mut all).for_each(|(number, participant)| participant.arrival = number);
            all.sort_unstable_by_key(|participant| participant.order);
            (0..).zip(&mut all).for_each(|(number, participant)| participant.order = number);
            self.next_number = self.list.len();
        }
        self.next_number += 1;
        self.next_number - 1
    }
}

impl Participants {
    /// Recounts every total.
    pub(crate) fn validate(&self, hasher: &Hasher) -> Result<(), String> {
        self.list.validate(hasher)?;
        let mut counted = [0; 3];
        for participant in self.list.iter() {
            let edits = participant.edits();
            let tabs = u32::try_from(participant.tabs.len()).unwrap_or(u32::MAX);
            for (total, more) in counted.iter_mut().zip([edits, u32::from(edits > 0), tabs]) {
                *total += more;
            }
        }
        let totals = [self.editing, self.editors, self.connections];
        if counted == totals { Ok(()) } else { Err(format!("totals {totals:?}, counted {counted:?}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hasher;
    use crate::seats::Admitted;
    use crate::time::Moment;

    const NOW: Moment = Moment::from_millis(0);

    fn user(number: usize) -> User {
        User::new(&format!("user-{number}")).unwrap()
    }

    fn id(bits: u64) -> ConnectionId {
        ConnectionId::from_bits(bits)
    }

    fn tab(bits: u64, access: Access) -> Tab {
        Tab::new(id(bits), Admitted { access, reason: None, seats: Seats::default(), connections: 1 }, NOW)
    }

    fn by_arrival(participants: &Participants) -> Vec<User> {
        let mut present = participants.present();
        present.sort_unstable_by_key(|(arrival, _)| *arrival);
        present.into_iter().map(|(_, one)| one.user).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
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
        assert_eq!((participants.list.len(), participants.slots()), (0, 0));
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
        let order = by_arrival(&participants);
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
        let order = by_arrival(&participants);
        assert_eq!(order, (0..6).map(user).collect::<Vec<_>>());
        let mut editors = Vec::new();
        participants.append_users(&mut editors, |_| true);
        assert_eq!(editors, (0..6).map(|n| user(n).id().clone()).collect::<Vec<_>>());
    }

    /// Neither order is that of the list: somebody left a gap that another one filled, and a viewer began to edit late.
    #[test]
    fn both_orders_survive_the_end_of_the_numbers() {
        let hasher = hasher(true);
        let mut participants = Participants::default();
        for n in 0..4 {
            participants.join(
                &user(n),
                tab(n as u64, if n == 1 { Access::View } else { Access::Edit }),
                &hasher,
            );
        }
        let first = participants.find(user(0).id(), &hasher).unwrap();
        participants.leave(first, id(0));
        participants.release(first, &hasher);
        participants.join(&user(4), tab(4, Access::Edit), &hasher);
        participants.join(&user(1), tab(5, Access::Edit), &hasher);
        participants.next_number = u32::MAX;
        participants.join(&user(5), tab(6, Access::Edit), &hasher);
        assert_eq!(by_arrival(&participants), [1, 2, 3, 4, 5].map(user));
        let mut editors = Vec::new();
        participants.append_users(&mut editors, Member::is_editing);
        assert_eq!(editors, [2, 3, 4, 1, 5].map(|n| user(n).id().clone()));
    }

    #[test]
    fn a_seat_passes_to_another_tab_of_the_user_with_the_same_access() {
        let hasher = hasher(true);
        let mut participants = Participants::default();
        let held = Seats { access: true, user: true };
        let admitted = Admitted { access: Access::Edit, reason: None, seats: held, connections: 1 };
        let ann = participants.join(&user(0), Tab::new(id(0), admitted, NOW), &hasher);
        participants.join(&user(0), tab(1, Access::Edit), &hasher);
        participants.join(&user(0), tab(2, Access::LiveView), &hasher);
        assert_eq!(participants.leave(ann, id(0)).seats, Seats::default());
        assert_eq!(participants[ann].tab(id(1)).seats, held);
        assert_eq!(participants.demote(ann, id(1), Some(Reason::Dropped)).seats, held);
    }
}
