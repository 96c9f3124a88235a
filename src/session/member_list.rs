//! The list of a document's participants: found by id and by user, close together in memory, and no longer than needed.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use slab::Slab;

use super::member::Member;
use crate::hash::Hasher;
use crate::ids::UserId;
use crate::work;

/// Names a participant within its session.
pub(crate) type ParticipantId = u32;

/// The participants of one document.
///
/// A few are searched one by one, and an id is a place in the list. A crowd has tables beside the list. There a newcomer goes
/// to the end, so that the list stays in order, and after many have left the others move together.
#[derive(Debug, Default)]
pub(super) struct MemberList {
    /// A participant that is gone leaves a gap.
    slots: Vec<Option<Member>>,
    /// How many slots are taken.
    len: u32,
    /// Once there are more than [`SCAN_MAX`], until all have left.
    crowd: Option<Box<Crowd>>,
}

/// How a participant of a crowd is found.
#[derive(Debug, Default)]
struct Crowd {
    by_user: HashTable<ParticipantId>,
    /// The place of each participant in the list, by id.
    places: Slab<u32>,
}

/// Room for so many participants is made one by one, and kept.
const FEW: usize = 4;
/// Up to so many participants are searched one by one.
const SCAN_MAX: usize = 16;

impl std::ops::Index<ParticipantId> for MemberList {
    type Output = Member;

    fn index(&self, id: ParticipantId) -> &Member {
        self.slots[self.place(id)].as_ref().expect("a participant that is referred to is kept")
    }
}

impl std::ops::IndexMut<ParticipantId> for MemberList {
    fn index_mut(&mut self, id: ParticipantId) -> &mut Member {
        let place = self.place(id);
        self.slots[place].as_mut().expect("a participant that is referred to is kept")
    }
}

/// Questions.
impl MemberList {
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// How many items a walk has.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// All participants, those who came first mostly first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Member> {
        work::each_user(std::ptr::from_ref(self), self.slots.iter()).flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Member> {
        let list = std::ptr::from_ref(self);
        work::each_user(list, self.slots.iter_mut()).flatten()
    }

    /// All participants, by id.
    pub(super) fn with_ids(&self) -> impl Iterator<Item = (ParticipantId, &Member)> {
        let crowd =
            self.crowd.iter().flat_map(|crowd| crowd.places.iter()).map(|(id, place)| (id, *place as usize));
        let few = if self.crowd.is_none() { self.slots.len() } else { 0 };
        let slot = |(id, place): (usize, usize)| Some((id_of(id), self.slots[place].as_ref()?));
        let places = (0..few).map(|place| (place, place)).chain(crowd);
        work::each_user(std::ptr::from_ref(self), places).filter_map(slot)
    }

    /// Finds a participant by user. Costs one lookup, or a scan of at most [`SCAN_MAX`].
    pub(super) fn find(&self, user: &UserId, hasher: &Hasher) -> Option<ParticipantId> {
        let is_user = |slot: &Option<Member>| slot.as_ref().is_some_and(|member| member.user.id() == user);
        match &self.crowd {
            None => self.slots.iter().position(is_user).map(id_of),
            Some(crowd) => {
                let found = crowd.by_user.find(hasher.hash_one(user), |id| self[*id].user.id() == user);
                found.copied()
            }
        }
    }

    fn place(&self, id: ParticipantId) -> usize {
        self.crowd.as_ref().map_or(id, |crowd| crowd.places[id as usize]) as usize
    }
}

/// Changes.
impl MemberList {
    /// Adds a participant whose user is not in the list.
    pub(super) fn insert(&mut self, member: Member, hasher: &Hasher) -> ParticipantId {
        if self.crowd.is_none() && self.len as usize == SCAN_MAX {
            self.become_crowd(hasher);
        }
        self.len += 1;
        if self.crowd.is_none()
            && let Some(gap) = self.slots.iter().position(Option::is_none)
        {
            self.slots[gap] = Some(member);
            return id_of(gap);
        }
        let place = self.push(member);
        match &mut self.crowd {
            None => place,
            Some(crowd) => crowd.add(place, &self.slots, hasher),
        }
    }

    fn push(&mut self, member: Member) -> u32 {
        let place = self.slots.len();
        if place == self.slots.capacity() {
            // Most documents have a few users, where a vector would make room for four more.
            self.slots.reserve_exact(if place < FEW { 1 } else { place });
        }
        self.slots.push(Some(member));
        id_of(place)
    }

    /// Makes tables for the list, which has no gap. Every id stays a place at first.
    fn become_crowd(&mut self, hasher: &Hasher) {
        let mut crowd = Box::<Crowd>::default();
        work::users(self, self.slots.len());
        for place in 0..self.slots.len() {
            crowd.add(id_of(place), &self.slots, hasher);
        }
        self.crowd = Some(crowd);
    }

    /// Takes a participant out.
    pub(super) fn remove(&mut self, id: ParticipantId, hasher: &Hasher) {
        let place = self.place(id);
        if let Some(crowd) = &mut self.crowd {
            crowd.remove(id, &self.slots, hasher);
        }
        self.slots[place] = None;
        self.len -= 1;
        self.shrink(hasher);
    }

    /// Gives memory back after many have left.
    fn shrink(&mut self, hasher: &Hasher) {
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        if self.len == 0 {
            self.crowd = None;
        }
        let (len, list) = (self.len as usize, std::ptr::from_ref(self));
        if let Some(crowd) = &mut self.crowd
            && self.slots.len() > len + len / 4 + SCAN_MAX
        {
            work::users(list, self.slots.len());
            crowd.close_gaps(&self.slots);
            self.slots.retain(Option::is_some);
        }
        if self.slots.capacity() > FEW && self.slots.len() * 4 < self.slots.capacity() {
            work::users(self, self.slots.len());
            self.slots.shrink_to_fit();
            if let Some(crowd) = &mut self.crowd {
                crowd.shrink(&self.slots, hasher);
            }
        }
    }

    /// Checks that the list and its tables agree.
    pub(super) fn validate(&self, hasher: &Hasher) -> Result<(), String> {
        let taken = self.iter().count();
        for (id, member) in self.with_ids() {
            if self.find(member.user.id(), hasher) != Some(id) {
                return Err(format!("participant {id} is not in order: {member:?}"));
            }
        }
        let tables =
            self.crowd.as_ref().map_or([taken; 2], |crowd| [crowd.by_user.len(), crowd.places.len()]);
        let counted = [taken, self.with_ids().count(), tables[0], tables[1]];
        if counted == [self.len as usize; 4] {
            Ok(())
        } else {
            Err(format!("{} listed, counted {counted:?}", self.len))
        }
    }
}

#[cfg(feature = "count-work")]
impl Drop for MemberList {
    fn drop(&mut self) {
        work::item(work::Item::Freed, self.slots.len());
    }
}

impl Crowd {
    /// Adds the participant at `place`.
    fn add(&mut self, place: u32, slots: &[Option<Member>], hasher: &Hasher) -> ParticipantId {
        let Crowd { by_user, places } = self;
        if places.len() == places.capacity() {
            // In smaller steps than a vector takes, since ids are not moved together.
            places.reserve_exact(places.len() / 4 + FEW);
        }
        let id = id_of(places.insert(place));
        let hash = |id: &ParticipantId| hash_at(places[*id as usize], slots, hasher);
        by_user.insert_unique(hash(&id), id, hash);
        id
    }

    fn remove(&mut self, id: ParticipantId, slots: &[Option<Member>], hasher: &Hasher) {
        let hash = hash_at(self.places.remove(id as usize), slots, hasher);
        let entry = self.by_user.find_entry(hash, |other| *other == id);
        entry.expect("every participant of a crowd is indexed").remove();
    }

    /// The participants in `slots` move together.
    fn close_gaps(&mut self, slots: &[Option<Member>]) {
        let mut taken = 0;
        let moved: Vec<u32> = slots
            .iter()
            .map(|slot| {
                taken += u32::from(slot.is_some());
                taken.saturating_sub(1)
            })
            .collect();
        for (_, place) in &mut self.places {
            *place = moved[*place as usize];
        }
    }

    fn shrink(&mut self, slots: &[Option<Member>], hasher: &Hasher) {
        let Crowd { by_user, places } = self;
        places.shrink_to_fit();
        by_user.shrink_to_fit(|id| hash_at(places[*id as usize], slots, hasher));
    }
}

fn hash_at(place: u32, slots: &[Option<Member>], hasher: &Hasher) -> u64 {
    let member = slots[place as usize].as_ref();
    hasher.hash_one(member.expect("an indexed participant is kept").user.id())
}

fn id_of(place: usize) -> u32 {
    u32::try_from(place).expect("a shard names fewer than 2^32 connections")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::hasher;
    use crate::ids::User;

    fn user(number: usize) -> User {
        User::new(&format!("user-{number}")).unwrap()
    }

    /// A list of `count` participants, with their ids.
    fn crowd(count: usize, hasher: &Hasher) -> (MemberList, Vec<ParticipantId>) {
        let mut list = MemberList::default();
        let ids = (0..count).map(|n| list.insert(Member::new(&user(n), 0), hasher)).collect();
        list.validate(hasher).unwrap();
        (list, ids)
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn an_id_stays_valid_while_others_leave_and_come() {
        let hasher = hasher(true);
        let (mut list, mut ids) = crowd(100, &hasher);
        for n in (0..100).filter(|n| n % 10 != 3) {
            list.remove(ids[n], &hasher);
            list.validate(&hasher).unwrap();
            for kept in (n + 1..100).chain((0..n).filter(|n| n % 10 == 3)) {
                assert_eq!(*list[ids[kept]].user.id(), *user(kept).id());
                assert_eq!(list.find(user(kept).id(), &hasher), Some(ids[kept]));
            }
        }
        assert!(list.slots.len() <= 10 + 2 + SCAN_MAX, "{} slots", list.slots.len());
        for n in 100..130 {
            ids.push(list.insert(Member::new(&user(n), 0), &hasher));
            list.validate(&hasher).unwrap();
        }
        let listed: Vec<_> = list.iter().map(|member| member.user.clone()).collect();
        let expected = (0..10).map(|n| n * 10 + 3).chain(100..130).map(user);
        assert_eq!(listed, expected.collect::<Vec<_>>(), "in the order in which they came");
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes under miri, and has one thread")]
    fn p6_the_memory_of_those_who_left_is_released_whoever_stays() {
        const COUNT: usize = 10_000;
        let hasher = hasher(true);
        for stays in [0, 5_000, COUNT - 1] {
            let (mut list, ids) = crowd(COUNT, &hasher);
            (0..COUNT).filter(|n| *n != stays).for_each(|n| list.remove(ids[n], &hasher));
            list.validate(&hasher).unwrap();
            let index = list.crowd.as_ref().unwrap().by_user.capacity();
            assert!(list.slots.capacity() <= 4 * SCAN_MAX && index <= 4 * SCAN_MAX, "{stays} stays");
            list.remove(ids[stays], &hasher);
            assert!(list.slots.capacity() <= FEW && list.crowd.is_none());
        }
    }
}
