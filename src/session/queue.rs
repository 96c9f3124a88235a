//! A queue with room for a few in place.

use std::collections::VecDeque;

/// First in, first out; up to four wait without an allocation.
#[derive(Debug)]
#[expect(clippy::box_collection, reason = "most queues have none: it is to take one word")]
pub(super) struct Queue<T> {
    /// The first of those that wait, from `from` on and around.
    ring: [Option<T>; IN_PLACE],
    from: usize,
    /// How many wait.
    len: usize,
    /// Those for whom the ring has no room.
    further: Option<Box<VecDeque<T>>>,
}

const IN_PLACE: usize = 4;

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Queue { ring: [const { None }; IN_PLACE], from: 0, len: 0, further: None }
    }
}

impl<T> Queue<T> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it takes no memory beside itself.
    pub(super) fn is_small(&self) -> bool {
        self.further.is_none()
    }

    #[inline]
    pub(super) fn push(&mut self, value: T) {
        if self.len < IN_PLACE {
            self.ring[(self.from + self.len) % IN_PLACE] = Some(value);
        } else {
            self.further.get_or_insert_default().push_back(value);
        }
        self.len += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<T> {
        let first = &mut self.ring[self.from % IN_PLACE];
        let value = first.take()?;
        if self.len > IN_PLACE {
            *first = self.further.as_mut().and_then(|further| further.pop_front());
        }
        self.from = (self.from + 1) % IN_PLACE;
        self.len -= 1;
        Some(value)
    }

    pub(super) fn last_mut(&mut self) -> Option<&mut T> {
        if self.len > IN_PLACE {
            return self.further.as_mut()?.back_mut();
        }
        self.ring[(self.from + self.len.checked_sub(1)?) % IN_PLACE].as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let (before, first) = self.ring.split_at(self.from % IN_PLACE);
        first.iter().chain(before).flatten().chain(self.further.iter().flat_map(|further| further.iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            most = most.max(queue.further.as_ref().map_or(0, |further| further.capacity()));
        }
        assert!((1..=64).contains(&most), "{most}");
        while let Some(value) = naive.pop_front() {
            assert_eq!(queue.pop(), Some(value));
        }
        assert_eq!((queue.pop(), queue.last_mut()), (None, None));
        assert!(Queue::<u8>::default().is_small() && !queue.is_small());
    }
}
