//! A slab that remembers the order in which its values came.

mod few;
mod many;

use std::ops::{Index, IndexMut};

use super::spares::Pool;
use few::{FEW, Few};
use many::Many;

/// No id: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// Values under small stable ids, iterated in the order of their coming. Everything but iteration is O(1).
///
/// Memory is what it costs to look at a document that nobody has looked at for a while. So the first two values stand in
/// place, the order of up to [`FEW`] in a few bytes beside a byte of each value's hash, its *tag*: whoever looks for a
/// value reads those, and then only the value that is likely to be the one. Further values stand in a box that is lent by
/// a pool and goes back to it: it was used a moment ago, so that it is near.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Ordered<T, I> {
    /// By id; zero where there is no value.
    tags: [u8; FEW],
    /// The order, while there are no [`Many`].
    few: Few,
    further: Option<Box<Further<T, I>>>,
    here: [Option<T>; HERE],
}

/// So many values stand in place.
const HERE: usize = 2;

/// Values past those in place.
#[derive(Debug)]
pub(crate) struct Further<T, I> {
    slots: [Option<T>; FEW - HERE],
    /// Values in `slots` and in `many`.
    len: u32,
    /// Once there were more than a few.
    many: Option<Box<Many<T, I>>>,
}

/// A place that a [`push`](Ordered::push) made, to be filled.
pub(crate) struct Pushed<'a, T> {
    pub(crate) id: u32,
    pub(crate) index: Indexed,
    pub(crate) slot: &'a mut Option<T>,
}

/// Whether there is an [`index`](Ordered::index).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indexed {
    No,
    /// It has just come to be, with nothing in it.
    Begins,
    Yes,
}

impl<T, I> Default for Further<T, I> {
    fn default() -> Self {
        Further { slots: [const { None }; FEW - HERE], len: 0, many: None }
    }
}

impl<T, I: Default> Ordered<T, I> {
    pub(crate) fn new() -> Self {
        Ordered { tags: [0; FEW], few: Few::new(), further: None, here: [const { None }; HERE] }
    }

    /// While there are many, the few stay full: nobody looks for a box that is not there.
    #[inline]
    fn many(&self) -> Option<&Many<T, I>> {
        if self.few.is_full() { self.further.as_ref()?.many.as_deref() } else { None }
    }

    #[inline]
    fn many_mut(&mut self) -> Option<&mut Many<T, I>> {
        if self.few.is_full() { self.further.as_mut()?.many.as_deref_mut() } else { None }
    }

    /// Whether all values stand in place.
    pub(crate) fn are_here(&self) -> bool {
        self.further.is_none()
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.many().map_or_else(|| self.few.len(), Many::len)
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> Option<&T> {
        if let Some(slot) = self.here.get(id as usize) {
            return slot.as_ref();
        }
        let Further { slots, many, .. } = self.further.as_deref()?;
        match slots.get(id as usize - HERE) {
            Some(slot) => slot.as_ref(),
            None => many.as_ref()?.slots.get(id as usize - FEW)?.as_ref(),
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.slot_mut(id)?.as_mut()
    }

    #[inline]
    fn slot_mut(&mut self, id: u32) -> Option<&mut Option<T>> {
        if (id as usize) < HERE {
            return Some(&mut self.here[id as usize]);
        }
        let Further { slots, many, .. } = self.further.as_deref_mut()?;
        match slots.get_mut(id as usize - HERE) {
            Some(slot) => Some(slot),
            None => many.as_mut()?.slots.get_mut(id as usize - FEW),
        }
    }

    /// Makes a place for a value at the end; among [`arrivals`](Self::arrivals) it stands right after those it is `beside`,
    /// if it is beside any. Its tag is not zero. There can never be 2³² values: each stands for a connection, whose ids
    /// end before that.
    ///
    /// Who fills the place puts the value together right there: a copy in one piece would wait for the pieces.
    #[inline]
    pub(crate) fn push(
        &mut self,
        tag: u8,
        beside: Option<[Option<u32>; 3]>,
        pool: &mut Pool<Further<T, I>>,
    ) -> Pushed<'_, T> {
        if self.few.is_full() {
            return self.push_to_many(tag, beside.unwrap_or_default());
        }
        // The lowest that is free.
        let id = same_bytes(self.tags, 0).trailing_zeros() / 8;
        match beside {
            None => self.few.append(id),
            Some(others) => self.few.append_beside(id, others),
        }
        self.tags[id as usize % FEW] = tag;
        let slot = match self.here.get_mut(id as usize) {
            Some(slot) => slot,
            None => {
                let further = self.further.get_or_insert_with(|| pool.take());
                further.len += 1;
                &mut further.slots[(id as usize - HERE).min(FEW - HERE - 1)]
            }
        };
        Pushed { id, index: Indexed::No, slot }
    }

    #[cold]
    fn push_to_many(&mut self, tag: u8, beside: [Option<u32>; 3]) -> Pushed<'_, T> {
        let further = self.further.get_or_insert_default();
        let index = if further.many.is_none() { Indexed::Begins } else { Indexed::Yes };
        let many = further.many.get_or_insert_with(|| Box::new(Many::of(self.few)));
        let id = many.append(beside);
        if let Some(own) = self.tags.get_mut(id as usize) {
            *own = tag;
        }
        let at = id as usize;
        let slot = if at < HERE {
            &mut self.here[at]
        } else {
            further.len += 1;
            if at < FEW { &mut further.slots[at - HERE] } else { many.slot(at - FEW) }
        };
        Pushed { id, index, slot }
    }

    /// Drops the value where it stands. Its id may be given to another. Whether there was one.
    #[inline]
    pub(crate) fn remove(&mut self, id: u32) -> bool {
        let Some(slot) = self.slot_mut(id).filter(|slot| slot.is_some()) else { return false };
        *slot = None;
        match self.many_mut() {
            None => self.few.remove(id),
            Some(many) => many.remove(id),
        }
        if let Some(tag) = self.tags.get_mut(id as usize) {
            *tag = 0;
        }
        if id as usize >= HERE
            && let Some(further) = &mut self.further
        {
            further.len -= 1;
        }
        true
    }

    /// The index of many values: it is there once there were more than a few, empty at first.
    pub(crate) fn index(&self) -> Option<&I> {
        Some(&self.many()?.index)
    }

    pub(crate) fn index_mut(&mut self) -> Option<&mut I> {
        Some(&mut self.many_mut()?.index)
    }

    /// Whether it is certain that there is no value with this tag.
    #[inline]
    pub(crate) fn lacks(&self, tag: u8) -> bool {
        !self.few.is_full() && same_bytes(self.tags, tag) == 0
    }

    /// The values with this tag, and perhaps others. Only while there is no [`index`](Self::index).
    #[inline]
    pub(crate) fn tagged(&self, tag: u8) -> impl Iterator<Item = (u32, &T)> {
        let mut same = same_bytes(self.tags, tag);
        std::iter::from_fn(move || {
            while same != 0 {
                let id = same.trailing_zeros() / 8;
                same &= same - 1;
                if let Some(value) = self.get(id) {
                    return Some((id, value));
                }
            }
            None
        })
    }

    /// Ids and values in the order of their coming.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.ids().filter_map(|id| Some((id, self.get(id)?)))
    }

    /// Shows all values in the order of their coming. What [`iter`](Self::iter) gives, at half its cost.
    #[inline]
    pub(crate) fn each(&self, see: impl FnMut(&T)) {
        match self.many() {
            None => self.few.coming().filter_map(|id| self.get(id)).for_each(see),
            Some(many) => many.coming().filter_map(|id| self.get(id)).for_each(see),
        }
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> {
        let (few, many) = match self.many() {
            None => (Some(self.few.coming()), None),
            Some(many) => (None, Some(many.coming())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// The ids in the order of coming, but that those that came beside others stand beside them. O(n log n).
    pub(crate) fn arrivals(&self) -> Vec<u32> {
        self.many().map_or_else(|| self.few.arrivals().collect(), Many::arrivals)
    }

    /// Gives up the box of further values if there is nothing in it.
    #[inline]
    pub(crate) fn take_empty(&mut self) -> Option<Box<Further<T, I>>> {
        let further = self.further.take_if(|further| further.len == 0)?;
        if let Some(many) = &further.many {
            self.few = many.few();
        }
        Some(further)
    }
}

impl<T, I> Further<T, I> {
    /// Whether it takes no memory beside itself.
    pub(super) fn is_small(&self) -> bool {
        self.many.is_none()
    }
}

/// Of each byte that is `byte` the topmost bit; perhaps also those of bytes above one that is.
fn same_bytes(bytes: [u8; FEW], byte: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let differing = u64::from_le_bytes(bytes) ^ (ONES * u64::from(byte));
    differing.wrapping_sub(ONES) & !differing & (ONES << 7)
}

impl<T, I: Default> Index<u32> for Ordered<T, I> {
    type Output = T;

    #[inline]
    #[expect(clippy::expect_used, reason = "an id outlives its value only by a bug of this crate")]
    fn index(&self, id: u32) -> &T {
        self.get(id).expect("the id is in use")
    }
}

impl<T, I: Default> IndexMut<u32> for Ordered<T, I> {
    #[inline]
    #[expect(clippy::expect_used, reason = "an id outlives its value only by a bug of this crate")]
    fn index_mut(&mut self, id: u32) -> &mut T {
        self.get_mut(id).expect("the id is in use")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type List = Ordered<char, ()>;

    fn values(list: &List) -> String {
        list.iter().map(|(_, value)| *value).collect()
    }

    fn push(
        list: &mut List,
        tag: u8,
        value: char,
        beside: Option<[Option<u32>; 3]>,
        pool: &mut Pool<Further<char, ()>>,
    ) -> u32 {
        let pushed = list.push(tag, beside, pool);
        *pushed.slot = Some(value);
        pushed.id
    }

    fn arrivals(list: &List) -> String {
        list.arrivals().iter().map(|id| list[*id]).collect()
    }

    /// Whatever the number of values: against a vector that is searched.
    #[test]
    fn order_survives_removals_and_reuse() {
        let mut pool = Pool::default();
        for most in [1, HERE, HERE + 1, FEW, FEW + 1, 3 * FEW] {
            let (mut list, mut naive, mut number) = (List::new(), Vec::<(u32, char)>::new(), 7_usize);
            let mut longest = 0;
            for value in ('a'..='z').cycle().take(1000) {
                number = number * 31 % 1009;
                let goes = usize::from(naive.len() == most || number.is_multiple_of(3)).min(naive.len());
                // Now and then nearly all go, so that those in place are all again.
                for _ in 0..if number.is_multiple_of(97) { naive.len() } else { goes } {
                    let (id, value) = naive.remove(number % naive.len());
                    assert_eq!(list.get(id), Some(&value));
                    assert_eq!((list.remove(id), list.remove(id)), (true, false));
                    if let Some(further) = list.take_empty() {
                        pool.put(further, Further::is_small);
                    }
                }
                naive.push((push(&mut list, value as u8, value, None, &mut pool), value));
                longest = longest.max(naive.len());
                let expected: String = naive.iter().map(|(_, value)| *value).collect();
                assert_eq!((values(&list), arrivals(&list)), (expected.clone(), expected));
                assert!(naive.iter().all(|(id, value)| list[*id] == *value) && list.len() == naive.len());
                let found = || list.tagged(value as u8).any(|(_, found)| *found == value);
                assert!(list.index().is_some() || found());
            }
            assert_eq!(longest, most);
            for (id, value) in naive.drain(..) {
                assert_eq!((list[id], list.remove(id)), (value, true));
            }
            assert_eq!((values(&list).as_str(), list.len()), ("", 0));
            list.take_empty();
            push(&mut list, 1, 'h', None, &mut pool);
            assert_eq!((values(&list).as_str(), list.index().is_some()), ("h", false));
        }
    }

    #[test]
    fn a_tag_leaves_out_what_it_does_not_fit() {
        let (mut list, mut pool) = (List::new(), Pool::default());
        for (tag, value) in [(1, 'a'), (2, 'b'), (1, 'c')] {
            push(&mut list, tag, value, None, &mut pool);
        }
        assert_eq!(list.tagged(1).map(|(_, value)| *value).collect::<String>(), "ac");
        assert_eq!(list.tagged(3).count(), 0);
    }

    #[test]
    fn who_comes_beside_another_arrives_there() {
        let mut pool = Pool::default();
        for before in [0, 3, FEW] {
            let mut list = List::new();
            let mut push = |list: &mut List, value, beside| push(list, 7, value, beside, &mut pool);
            let a = push(&mut list, 'a', None);
            for _ in 0..before {
                push(&mut list, '.', None);
            }
            let b = push(&mut list, 'b', Some([Some(a), None, None]));
            push(&mut list, 'd', None);
            push(&mut list, 'c', Some([Some(b), None, Some(a)]));
            list.remove(a);
            let dots = ".".repeat(before);
            assert_eq!(arrivals(&list), format!("bc{dots}d"));
            assert_eq!(values(&list), format!("{dots}bdc"));
        }
    }
}
