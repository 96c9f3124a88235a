//! A slab that remembers the order in which its values came.

use std::ops::{Index, IndexMut};

use smallvec::SmallVec;

/// No id: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// Values under small stable ids, iterated in the order of their coming. Everything but iteration is O(1).
#[derive(Debug)]
pub(crate) struct Ordered<T> {
    /// Two in place: most documents have no more users, and are then read without a second trip to memory.
    slots: SmallVec<[Slot<T>; 2]>,
    first: u32,
    last: u32,
    /// The first of the free slots, which are linked by `next`.
    free: u32,
    /// How many values were pushed since it was last empty.
    pushed: u32,
}

#[derive(Debug)]
struct Slot<T> {
    previous: u32,
    next: u32,
    value: Option<T>,
}

impl<T> Ordered<T> {
    pub(crate) fn new() -> Self {
        Ordered { slots: SmallVec::new(), first: NONE, last: NONE, free: NONE, pushed: 0 }
    }

    /// How many values it has had at one time.
    pub(crate) fn most(&self) -> usize {
        self.slots.len()
    }

    /// How many values were pushed since it was last empty.
    pub(crate) fn pushed(&self) -> u32 {
        self.pushed
    }

    /// Counts on from `pushed`.
    pub(crate) fn recount_from(&mut self, pushed: u32) {
        self.pushed = pushed;
    }

    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        self.slots.get(id as usize)?.value.as_ref()
    }

    /// Appends `value` and names it. There can never be 2³² of them: each stands for a connection, whose ids end
    /// before that.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        let slot = Slot { previous: self.last, next: NONE, value: Some(value) };
        let id = match self.slots.get_mut(self.free as usize) {
            Some(place) => {
                let id = self.free;
                self.free = place.next;
                *place = slot;
                id
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        match self.slots.get_mut(self.last as usize) {
            Some(last) => last.next = id,
            None => self.first = id,
        }
        self.last = id;
        self.pushed = self.pushed.saturating_add(1);
        id
    }

    /// Takes the value out. Its id may be given to another.
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let slot = self.slots.get_mut(id as usize)?;
        let value = slot.value.take()?;
        let (previous, next) = (slot.previous, slot.next);
        slot.next = self.free;
        self.free = id;
        match self.slots.get_mut(previous as usize) {
            Some(slot) => slot.next = next,
            None => self.first = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(slot) => slot.previous = previous,
            None => self.last = previous,
        }
        if self.first == NONE {
            self.pushed = 0;
        }
        Some(value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let mut next = self.first;
        std::iter::from_fn(move || {
            let id = next;
            let slot = self.slots.get(id as usize)?;
            next = slot.next;
            Some((id, slot.value.as_ref()?))
        })
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.iter().map(|(id, _)| id)
    }
}

impl<T> Index<u32> for Ordered<T> {
    type Output = T;

    #[expect(clippy::expect_used, reason = "an id outlives its value only by a bug of this crate")]
    fn index(&self, id: u32) -> &T {
        self.slots[id as usize].value.as_ref().expect("the id is in use")
    }
}

impl<T> IndexMut<u32> for Ordered<T> {
    #[expect(clippy::expect_used, reason = "an id outlives its value only by a bug of this crate")]
    fn index_mut(&mut self, id: u32) -> &mut T {
        self.slots[id as usize].value.as_mut().expect("the id is in use")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &Ordered<char>) -> String {
        list.iter().map(|(_, value)| *value).collect()
    }

    #[test]
    fn order_survives_removals_and_reuse() {
        let mut list = Ordered::new();
        let ids: Vec<u32> = "abcd".chars().map(|value| list.push(value)).collect();
        assert_eq!(list.remove(ids[0]), Some('a'));
        assert_eq!(list.remove(ids[2]), Some('c'));
        assert_eq!(list.remove(ids[2]), None);
        assert_eq!(values(&list), "bd");
        assert!([ids[0], ids[2]].contains(&list.push('e')));
        list.push('f');
        list.push('g');
        assert_eq!((values(&list).as_str(), list.pushed(), list.most()), ("bdefg", 7, 5));
        list.remove(ids[3]);
        for id in list.ids().collect::<Vec<_>>() {
            list.remove(id);
        }
        assert_eq!((values(&list).as_str(), list.pushed()), ("", 0));
        list.push('h');
        assert_eq!(values(&list), "h");
    }
}
