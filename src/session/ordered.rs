//! A slab that remembers the order in which its values came.

use std::ops::{Index, IndexMut};

use smallvec::SmallVec;

/// No id: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// Values under small stable ids, iterated in the order of their coming. Everything but iteration is O(1).
///
/// Memory is what it costs to look at a document that nobody has looked at for a while. So up to [`FEW`] values the
/// order stands in a few bytes beside a byte of each value's hash, its *tag*: whoever looks for a value reads those, and
/// then only the value that is likely to be the one.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Ordered<T, I> {
    few: Few,
    /// How many values were pushed since it was last empty.
    pushed: u32,
    /// Once there were more than a few.
    many: Option<Box<Many<I>>>,
    slots: SmallVec<[Option<T>; 2]>,
}

/// The order of a few values.
#[derive(Debug)]
struct Few {
    /// Ids in the order of coming.
    order: [u8; FEW],
    /// Their tags, in the same order.
    tags: [u8; FEW],
    len: u8,
}

/// What many values need: their order, and an index by which their owner finds them.
#[derive(Debug)]
struct Many<I> {
    links: Links,
    index: I,
}

/// The order of many: each slot's neighbours.
#[derive(Debug)]
struct Links {
    neighbours: Vec<Link>,
    first: u32,
    last: u32,
    /// The first of the free slots, which are linked by `next`.
    free: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

/// So many values are few.
pub(crate) const FEW: usize = 8;

impl<T, I: Default> Ordered<T, I> {
    pub(crate) fn new() -> Self {
        let few = Few { order: [0; FEW], tags: [0; FEW], len: 0 };
        Ordered { slots: SmallVec::new(), many: None, few, pushed: 0 }
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
        self.slots.get(id as usize)?.as_ref()
    }

    /// Appends `value` and names it. There can never be 2³² of them: each stands for a connection, whose ids end
    /// before that.
    pub(crate) fn push(&mut self, tag: u8, value: T) -> u32 {
        self.pushed = self.pushed.saturating_add(1);
        if self.many.is_none() && usize::from(self.few.len) == FEW {
            self.many = Some(Box::new(Many { links: Links::of(&self.few), index: I::default() }));
        }
        let id = match &mut self.many {
            None => self.few.append(tag),
            Some(many) => many.links.append(),
        };
        match self.slots.get_mut(id as usize) {
            Some(slot) => *slot = Some(value),
            None => self.slots.push(Some(value)),
        }
        id
    }

    /// Takes the value out. Its id may be given to another.
    pub(crate) fn remove(&mut self, id: u32) -> Option<T> {
        let value = self.slots.get_mut(id as usize)?.take()?;
        let empty = match &mut self.many {
            None => self.few.remove(id),
            Some(many) => many.links.remove(id),
        };
        if empty {
            self.pushed = 0;
        }
        Some(value)
    }

    /// The index of many values: it is there once there were more than a few, empty at first.
    pub(crate) fn index(&self) -> Option<&I> {
        Some(&self.many.as_ref()?.index)
    }

    pub(crate) fn index_mut(&mut self) -> Option<&mut I> {
        Some(&mut self.many.as_mut()?.index)
    }

    /// The values with this tag, in the order of coming. Only while there is no [`index`](Self::index).
    pub(crate) fn tagged(&self, tag: u8) -> impl Iterator<Item = (u32, &T)> {
        let few = self.few.tags.iter().zip(&self.few.order).take(usize::from(self.few.len));
        few.filter(move |(own, _)| **own == tag)
            .filter_map(|(_, id)| Some((u32::from(*id), self.get(u32::from(*id))?)))
    }

    pub(crate) fn iter(&self) -> Iter<'_, T> {
        let few = if self.many.is_some() { 0 } else { usize::from(self.few.len) };
        Iter {
            slots: &self.slots,
            few: self.few.order[..few].iter(),
            links: self.many.as_ref().map(|many| many.links.iter()),
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        self.iter().map(|(id, _)| id)
    }
}

/// Ids and values in the order of their coming.
pub(crate) struct Iter<'a, T> {
    slots: &'a [Option<T>],
    few: std::slice::Iter<'a, u8>,
    links: Option<LinksIter<'a>>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (u32, &'a T);

    fn next(&mut self) -> Option<(u32, &'a T)> {
        let id = match &mut self.links {
            None => u32::from(*self.few.next()?),
            Some(links) => links.next()?,
        };
        Some((id, self.slots.get(id as usize)?.as_ref()?))
    }
}

struct LinksIter<'a> {
    links: &'a [Link],
    next: u32,
}

impl Iterator for LinksIter<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let id = self.next;
        self.next = self.links.get(id as usize)?.next;
        Some(id)
    }
}

impl Few {
    /// Gives the lowest free id to the last in the order. Only while there are fewer than [`FEW`].
    fn append(&mut self, tag: u8) -> u32 {
        let len = usize::from(self.len);
        let taken = self.order[..len].iter().fold(0_u32, |taken, id| taken | 1 << id);
        let id = taken.trailing_ones();
        // Below FEW, which fits.
        self.order[len] = u8::try_from(id).unwrap_or(0);
        self.tags[len] = tag;
        self.len += 1;
        id
    }

    /// Whether it is empty now.
    fn remove(&mut self, id: u32) -> bool {
        let len = usize::from(self.len);
        if let Some(at) = self.order[..len].iter().position(|other| u32::from(*other) == id) {
            self.order.copy_within(at + 1..len, at);
            self.tags.copy_within(at + 1..len, at);
            self.len -= 1;
        }
        self.len == 0
    }
}

impl Links {
    /// [`FEW`] slots, all taken, in the order that they have.
    fn of(few: &Few) -> Self {
        let alone = Link { previous: NONE, next: NONE };
        let mut links = Links { neighbours: vec![alone; FEW], first: NONE, last: NONE, free: NONE };
        for id in few.order {
            links.enter(u32::from(id));
        }
        links
    }

    fn iter(&self) -> LinksIter<'_> {
        LinksIter { links: &self.neighbours, next: self.first }
    }

    fn append(&mut self) -> u32 {
        let mut id = self.free;
        if let Some(link) = self.neighbours.get(id as usize) {
            self.free = link.next;
        } else {
            self.neighbours.push(Link { previous: NONE, next: NONE });
            id = u32::try_from(self.neighbours.len() - 1).unwrap_or(NONE);
        }
        self.enter(id);
        id
    }

    /// Links a slot in as the last.
    fn enter(&mut self, id: u32) {
        self.neighbours[id as usize] = Link { previous: self.last, next: NONE };
        match self.neighbours.get_mut(self.last as usize) {
            Some(last) => last.next = id,
            None => self.first = id,
        }
        self.last = id;
    }

    /// Whether it is empty now.
    fn remove(&mut self, id: u32) -> bool {
        let Link { previous, next } = self.neighbours[id as usize];
        self.neighbours[id as usize].next = self.free;
        self.free = id;
        match self.neighbours.get_mut(previous as usize) {
            Some(link) => link.next = next,
            None => self.first = next,
        }
        match self.neighbours.get_mut(next as usize) {
            Some(link) => link.previous = previous,
            None => self.last = previous,
        }
        self.first == NONE
    }
}

impl<T, I> Index<u32> for Ordered<T, I> {
    type Output = T;

    #[expect(clippy::expect_used, reason = "an id outlives its value only by a bug of this crate")]
    fn index(&self, id: u32) -> &T {
        self.slots[id as usize].as_ref().expect("the id is in use")
    }
}

impl<T, I> IndexMut<u32> for Ordered<T, I> {
    #[expect(clippy::expect_used, reason = "an id outlives its value only by a bug of this crate")]
    fn index_mut(&mut self, id: u32) -> &mut T {
        self.slots[id as usize].as_mut().expect("the id is in use")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(list: &Ordered<char, ()>) -> String {
        list.iter().map(|(_, value)| *value).collect()
    }

    /// Whatever the number of values: against a vector that is searched.
    #[test]
    fn order_survives_removals_and_reuse() {
        for most in [2, FEW, FEW + 1, 3 * FEW] {
            let (mut list, mut naive, mut number) = (Ordered::new(), Vec::<(u32, char)>::new(), 7_usize);
            for value in ('a'..='z').cycle().take(1000) {
                number = number * 31 % 1009;
                if naive.len() == most || (number.is_multiple_of(3) && !naive.is_empty()) {
                    let (id, value) = naive.remove(number % naive.len());
                    assert_eq!(list.get(id), Some(&value));
                    assert_eq!((list.remove(id), list.remove(id)), (Some(value), None));
                }
                naive.push((list.push(value as u8, value), value));
                assert_eq!(values(&list), naive.iter().map(|(_, value)| *value).collect::<String>());
                assert!(naive.iter().all(|(id, value)| list[*id] == *value));
                let found = || list.tagged(value as u8).any(|(_, found)| *found == value);
                assert!(list.index().is_some() || found());
            }
            assert_eq!(list.most(), most);
            for (id, value) in naive.drain(..) {
                assert!(list.pushed() > 0);
                assert_eq!(list.remove(id), Some(value));
            }
            assert_eq!((values(&list).as_str(), list.pushed()), ("", 0));
            list.push(0, 'h');
            assert_eq!(values(&list), "h");
        }
    }

    #[test]
    fn a_tag_leaves_out_what_it_does_not_fit() {
        let mut list = Ordered::<char, ()>::new();
        for (tag, value) in [(1, 'a'), (2, 'b'), (1, 'c')] {
            list.push(tag, value);
        }
        assert_eq!(list.tagged(1).map(|(_, value)| *value).collect::<String>(), "ac");
        assert_eq!(list.tagged(3).count(), 0);
    }
}
