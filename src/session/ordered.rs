//! A slab that remembers the order in which its values came.

use std::ops::{Index, IndexMut};

/// No id: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// Values under small stable ids, iterated in the order of their coming. Everything but iteration is O(1).
#[derive(Debug)]
pub(crate) struct Ordered<T> {
    slots: Vec<Slot<T>>,
    first: u32,
    last: u32,
    /// The first of the free slots, which are linked by `next`.
    free: u32,
    len: u32,
}

#[derive(Debug)]
struct Slot<T> {
    previous: u32,
    next: u32,
    value: Option<T>,
}

impl<T> Ordered<T> {
    pub(crate) const fn new() -> Self {
        Ordered { slots: Vec::new(), first: NONE, last: NONE, free: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
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
                self.make_room();
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        match self.slots.get_mut(self.last as usize) {
            Some(last) => last.next = id,
            None => self.first = id,
        }
        self.last = id;
        self.len += 1;
        id
    }

    /// Most documents have two or three users: room for just those, where a vector on its own would begin with four and
    /// double.
    fn make_room(&mut self) {
        if self.slots.len() == self.slots.capacity() {
            let more = if self.slots.is_empty() { 2 } else { self.slots.len().div_ceil(2) };
            self.slots.reserve_exact(more);
        }
    }

    /// Takes the value out. Its id may be given to another.
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let slot = self.slots.get_mut(id as usize)?;
        let value = slot.value.take()?;
        let (previous, next) = (slot.previous, slot.next);
        slot.next = self.free;
        self.free = id;
        self.len -= 1;
        match self.slots.get_mut(previous as usize) {
            Some(slot) => slot.next = next,
            None => self.first = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(slot) => slot.previous = previous,
            None => self.last = previous,
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
        assert_eq!((values(&list).as_str(), list.len()), ("bdefg", 5));
        list.remove(ids[3]);
        for id in list.ids().collect::<Vec<_>>() {
            list.remove(id);
        }
        assert_eq!((values(&list).as_str(), list.len()), ("", 0));
        list.push('h');
        assert_eq!(values(&list), "h");
    }
}
