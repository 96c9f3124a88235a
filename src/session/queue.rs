//! A queue with room for a few in place.

use smallvec::SmallVec;

/// First in, first out; up to four wait without an allocation.
#[derive(Debug)]
pub(super) struct Queue<T> {
    /// From `from` on they wait; those before were taken.
    values: SmallVec<[T; IN_PLACE]>,
    from: usize,
}

const IN_PLACE: usize = 4;

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { values: SmallVec::new(), from: 0 }
    }
}

impl<T: Copy> Queue<T> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.values.len() - self.from
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it takes no memory beside itself.
    pub(super) fn is_small(&self) -> bool {
        !self.values.spilled()
    }

    #[inline]
    pub(super) fn push(&mut self, value: T) {
        if self.values.len() == self.values.capacity() {
            self.make_room();
        }
        self.values.push(value);
    }

    /// Forgets those that were taken if they are half of all, so that each is moved at most once for one that is taken.
    #[cold]
    fn make_room(&mut self) {
        if self.from >= self.values.len() / 2 {
            self.values.drain(..self.from);
            self.from = 0;
        }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        let value = self.values.get(self.from).copied()?;
        self.from += 1;
        if self.from == self.values.len() {
            self.values.clear();
            self.from = 0;
        }
        Some(value)
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        self.values[self.from..].last_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.values[self.from..].iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn first_in_first_out_in_bounded_memory() {
        let (mut queue, mut naive, mut random, mut most) = (Queue::default(), VecDeque::new(), 7_usize, 0);
        for value in 0..10_000_usize {
            random = random * 31 % 1009;
            if random.is_multiple_of(2) || naive.len() == 20 {
                assert_eq!(queue.pop(), naive.pop_front());
            }
            queue.push(value);
            naive.push_back(value);
            assert_eq!((queue.len(), queue.is_empty()), (naive.len(), false));
            assert_eq!(queue.last_mut().copied(), naive.back().copied());
            assert!(queue.iter().eq(&naive));
            most = most.max(queue.values.capacity());
        }
        assert!(most <= 64, "{most}");
        while let Some(value) = naive.pop_front() {
            assert_eq!(queue.pop(), Some(value));
        }
        assert_eq!((queue.pop(), queue.last_mut()), (None, None));
        assert!(Queue::<u8>::default().is_small() && !queue.is_small());
    }
}
