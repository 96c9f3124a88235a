//! Values under numbers, in chunks that are given back when nothing is in them.

use super::free_numbers::{BLOCK, FreeNumbers, place};

/// Values under numbers. They stand in chunks and never move: growing costs one new chunk at most, where a vector would copy
/// everything under the shard's lock. The lowest free number is given out first, so that after a rush the chunks of the
/// higher ones empty, and go.
#[derive(Debug)]
pub(super) struct Slab<T> {
    /// None where a chunk is empty. Apart from what is kept of them, so that what a lookup reads is dense.
    chunks: Vec<Option<Chunk<T>>>,
    /// What the places of each chunk remember while it is gone.
    memos: Vec<u32>,
    numbers: FreeNumbers,
    /// A chunk that was empty when it was looked at last. It stays until another is: who goes back and forth at an edge makes
    /// nothing anew.
    empty: usize,
}

/// What is given back when it is empty: as many values as there are numbers in a block.
pub(super) type Chunk<T> = Box<[T; BLOCK]>;

/// What stands under a free number.
pub(super) trait Vacant {
    /// A place of a chunk that remembers `memo`, zero if it is a new one.
    fn vacant(memo: u32) -> Self;

    /// What is to be remembered of this place, which is vacant, when its chunk goes: the highest counts.
    fn memo(&self) -> u32;
}

impl<T: Vacant> Slab<T> {
    pub(super) const fn new() -> Self {
        Slab { chunks: Vec::new(), memos: Vec::new(), numbers: FreeNumbers::new(), empty: usize::MAX }
    }

    /// No number that is taken is as high, nor one of a chunk that remembers anything.
    pub(super) fn end(&self) -> u32 {
        self.numbers.end()
    }

    /// The number that is given out next.
    #[inline]
    pub(super) fn next(&self) -> u32 {
        self.numbers.next()
    }

    /// What stands under a number, vacant or not. None if its whole chunk is vacant.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (block, at) = place(number);
        Some(&self.chunks.get(block)?.as_ref()?[at])
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (block, at) = place(number);
        Some(&mut self.chunks.get_mut(block)?.as_mut()?[at])
    }

    /// Gives out the [`next`](Self::next) number. The caller fills its place. Only while there is a number left.
    #[inline]
    pub(super) fn take(&mut self) -> Option<&mut T> {
        let (block, at) = place(self.next());
        if self.chunks.get(block).is_none_or(Option::is_none) {
            self.make(block);
        }
        let vacant = &mut self.chunks.get_mut(block)?.as_mut()?[at];
        self.numbers.take();
        Some(vacant)
    }

    /// Makes a chunk that is gone, or the first that there was not yet.
    #[cold]
    fn make(&mut self, block: usize) {
        if block == self.chunks.len() {
            self.chunks.push(None);
            self.memos.push(0);
            self.numbers.add_block();
        }
        let memo = self.memos[block];
        // Made where it is to stand: threads with small stacks come here too.
        let places: Box<[T]> = (0..BLOCK).map(|_| T::vacant(memo)).collect();
        self.chunks[block] = places.try_into().ok();
    }

    /// Frees a number that was given out, once its place is vacant again. Returns what is to be freed.
    #[inline]
    pub(super) fn free(&mut self, number: u32) -> Option<Chunk<T>> {
        if self.numbers.give(number) { self.give_back(place(number).0) } else { None }
    }

    /// A chunk is empty now. Of two the higher one goes.
    fn give_back(&mut self, chunk: usize) -> Option<Chunk<T>> {
        if self.empty == chunk || !self.numbers.all_free(self.empty) {
            self.empty = chunk;
            return None;
        }
        let goes = self.empty.max(chunk);
        self.empty = self.empty.min(chunk);
        let gone = self.chunks[goes].take()?;
        let memos = gone.iter().map(T::memo);
        self.memos[goes] = memos.max().unwrap_or(0);
        while self.chunks.last().is_some_and(Option::is_none) && self.memos.last() == Some(&0) {
            self.chunks.pop();
            self.memos.pop();
            self.numbers.remove_block();
        }
        Some(gone)
    }

    /// Every place, vacant or not, but those of chunks that are gone.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let chunks = (0..).step_by(BLOCK).zip(&self.chunks);
        chunks.flat_map(|(first, chunk)| (first..).zip(chunk.iter().flat_map(|places| places.iter())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value, and how often its place was used.
    #[derive(Debug, PartialEq)]
    struct Used(Option<u32>, u32);

    impl Vacant for Used {
        fn vacant(memo: u32) -> Self {
            Used(None, memo)
        }

        fn memo(&self) -> u32 {
            self.1
        }
    }

    impl Vacant for Option<u32> {
        fn vacant(_: u32) -> Self {
            None
        }

        fn memo(&self) -> u32 {
            0
        }
    }

    fn take(slab: &mut Slab<Used>, value: u32) -> u32 {
        let number = slab.next();
        let place = slab.take().unwrap();
        assert_eq!(place.0.replace(value), None);
        place.1 += 1;
        number
    }

    fn free(slab: &mut Slab<Used>, number: u32) {
        assert!(slab.get_mut(number).unwrap().0.take().is_some());
        slab.free(number);
    }

    #[test]
    fn the_lowest_free_number_is_given_out() {
        let mut slab = Slab::new();
        assert_eq!((slab.next(), slab.end(), slab.get(0)), (0, 0, None));
        assert!((0..1000).all(|number| take(&mut slab, number) == number));
        for number in [700, 3, 699, 64] {
            free(&mut slab, number);
        }
        assert_eq!([1, 2, 3, 4, 5].map(|value| take(&mut slab, value)), [3, 64, 699, 700, 1000]);
        assert_eq!(slab.get(999), Some(&Used(Some(999), 1)));
        assert_eq!(slab.iter().filter(|(_, used)| used.0.is_some()).count(), 1001);
        assert!(slab.iter().all(|(number, used)| slab.get(number) == Some(used)));
    }

    #[test]
    fn an_empty_chunk_goes_and_what_it_remembers_stays() {
        let mut slab = Slab::new();
        let chunks = |slab: &Slab<Used>| slab.chunks.iter().flatten().count();
        for round in 1..=3 {
            (0..640).for_each(|number| assert_eq!(take(&mut slab, number), number));
            assert_eq!(chunks(&slab), 10);
            assert_eq!(slab.get(639).unwrap().1, round, "counted on across the time that it was gone");
            (0..640).for_each(|number| free(&mut slab, number));
            assert_eq!((chunks(&slab), slab.get(639)), (1, None), "one is kept");
        }
        assert_eq!(slab.end(), 640, "to be remembered");
    }

    #[test]
    fn a_slab_ends_where_nothing_is_or_is_remembered() {
        let mut slab = Slab::new();
        for round in 0..3 {
            for number in 0..10_000 {
                assert_eq!(slab.next(), number);
                *slab.take().unwrap() = Some(number + round);
            }
            for number in (100..10_000).rev() {
                assert_eq!(slab.get_mut(number).unwrap().take(), Some(number + round));
                slab.free(number);
                assert!(slab.end() - number < 128 && slab.next() == number);
            }
            for number in 0..100 {
                *slab.get_mut(number).unwrap() = None;
                slab.free(number);
            }
            assert_eq!((slab.end(), slab.next()), (64, 0));
        }
    }
}
