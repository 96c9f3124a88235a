//! The order of many values, and an index by which their owner finds them.

use super::NONE;
use super::few::{FEW, Few};

#[derive(Debug)]
pub(super) struct Many<T, I> {
    /// Values with ids from [`FEW`] on.
    pub(super) slots: Vec<Option<T>>,
    pub(super) index: I,
    links: Vec<Link>,
    first: u32,
    last: u32,
    /// The first of the free ids, which are linked by `next`.
    free: u32,
    len: u32,
    /// The arrival of the next who comes beside nobody.
    next_arrival: u32,
}

/// An id's neighbours in the order of coming, and its place in that of arrivals.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    arrival: u32,
}

impl<T, I: Default> Many<T, I> {
    /// [`FEW`] ids, all taken, in the order that they have.
    pub(super) fn of(few: Few) -> Self {
        let alone = Link { previous: NONE, next: NONE, arrival: 0 };
        let mut many = Many {
            slots: Vec::new(),
            index: I::default(),
            links: vec![alone; FEW],
            first: NONE,
            last: NONE,
            free: NONE,
            len: 0,
            next_arrival: 0,
        };
        for id in few.coming() {
            many.enter(id, 0);
        }
        for id in few.arrivals() {
            many.links[id as usize].arrival = many.next_arrival;
            many.next_arrival += 1;
        }
        many
    }

    /// The order of so few that none but these are left.
    pub(super) fn few(&self) -> Few {
        Few::of(self.coming(), self.arrivals().into_iter())
    }
}

impl<T, I> Many<T, I> {
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Ids in the order of coming.
    pub(super) fn coming(&self) -> impl Iterator<Item = u32> {
        let after = |id: u32| Some(id).filter(|id| *id != NONE);
        std::iter::successors(after(self.first), move |id| after(self.links.get(*id as usize)?.next))
    }

    /// Ids in the order of arrivals. O(n log n).
    pub(super) fn arrivals(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.coming().collect();
        ids.sort_by_key(|id| self.links[*id as usize].arrival);
        ids
    }

    /// The slot of the value with the id [`FEW`] + `at`, which was given out.
    pub(super) fn slot(&mut self, at: usize) -> &mut Option<T> {
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, || None);
        }
        &mut self.slots[at]
    }

    pub(super) fn append(&mut self, beside: [Option<u32>; 3]) -> u32 {
        let others = beside.into_iter().flatten().filter_map(|id| self.links.get(id as usize));
        let arrival =
            others.map(|link| link.arrival).max().unwrap_or_else(|| self.next_arrival_of_a_newcomer());
        let mut id = self.free;
        if let Some(link) = self.links.get(id as usize) {
            self.free = link.next;
        } else {
            self.links.push(Link { previous: NONE, next: NONE, arrival });
            id = u32::try_from(self.links.len() - 1).unwrap_or(NONE);
        }
        self.enter(id, arrival);
        id
    }

    /// Counts anew, in the same order, before it runs out of numbers.
    fn next_arrival_of_a_newcomer(&mut self) -> u32 {
        if self.next_arrival == u32::MAX {
            let (mut before, mut number) = (None, 0);
            for id in self.arrivals() {
                let arrival = std::mem::replace(&mut self.links[id as usize].arrival, number);
                number += u32::from(before.is_some_and(|before| before != arrival));
                self.links[id as usize].arrival = number;
                before = Some(arrival);
            }
            self.next_arrival = number + 1;
        }
        self.next_arrival += 1;
        self.next_arrival - 1
    }

    /// Links an id in as the last.
    fn enter(&mut self, id: u32, arrival: u32) {
        self.links[id as usize] = Link { previous: self.last, next: NONE, arrival };
        match self.links.get_mut(self.last as usize) {
            Some(last) => last.next = id,
            None => self.first = id,
        }
        self.last = id;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, id: u32) {
        let Link { previous, next, .. } = self.links[id as usize];
        self.links[id as usize].next = self.free;
        self.free = id;
        self.len -= 1;
        match self.links.get_mut(previous as usize) {
            Some(link) => link.next = next,
            None => self.first = next,
        }
        match self.links.get_mut(next as usize) {
            Some(link) => link.previous = previous,
            None => self.last = previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_are_counted_anew_in_the_same_order() {
        let few = (0..8).fold(Few::new(), |mut few, id| {
            few.append(id);
            few
        });
        let mut many = Many::<(), ()>::of(few);
        many.next_arrival = u32::MAX - 1;
        let beside = |id| [None, Some(id), None];
        assert_eq!([many.append([None; 3]), many.append(beside(3)), many.append([None; 3])], [8, 9, 10]);
        assert_eq!(many.arrivals(), [0, 1, 2, 3, 9, 4, 5, 6, 7, 8, 10]);
        assert_eq!((many.next_arrival, many.len()), (10, 11));
    }
}
