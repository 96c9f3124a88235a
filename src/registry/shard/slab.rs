//! Values under numbers, in chunks that are given back when nothing is in them.

/// Values under numbers. They stand in chunks and never move: growing costs one new chunk at most, where a vector would copy
/// everything under the shard's lock. The lowest free number is given out first, so that after a rush the chunks of the
/// higher ones empty, and go.
#[derive(Debug)]
pub(super) struct Slab<T> {
    /// None where a chunk is empty. Apart from the books, so that what a lookup reads is dense.
    chunks: Vec<Option<Chunk<T>>>,
    books: Vec<Book>,
    /// A bit for each chunk in which a number is free.
    roomy: Vec<u64>,
    /// No word of `roomy` before this one has a bit.
    from: usize,
    /// The lowest free number.
    next: u32,
    /// A chunk that was empty when it was looked at last. It stays until another is: who goes back and forth at an edge makes
    /// nothing anew.
    empty: usize,
}

/// What is given back when it is empty.
pub(super) type Chunk<T> = Box<[T; CHUNK]>;

#[derive(Debug)]
struct Book {
    /// A bit for each number that is free.
    free: u64,
    /// What the places of the chunk remember while it is gone.
    memo: u32,
}

/// What stands under a free number.
pub(super) trait Vacant {
    /// A place of a chunk that remembers `memo`, zero if it is a new one.
    fn vacant(memo: u32) -> Self;

    /// What is to be remembered of this place, which is vacant, when its chunk goes: the highest counts.
    fn memo(&self) -> u32;
}

const BITS: u32 = 6;
/// Values in a chunk: as many as a word has bits.
const CHUNK: usize = 1 << BITS;

impl<T: Vacant> Slab<T> {
    pub(super) const fn new() -> Self {
        Slab { chunks: Vec::new(), books: Vec::new(), roomy: Vec::new(), from: 0, next: 0, empty: usize::MAX }
    }

    /// No number that is taken is as high, nor one of a chunk that remembers anything.
    pub(super) fn end(&self) -> u32 {
        u32::try_from(self.chunks.len() << BITS).unwrap_or(u32::MAX)
    }

    /// The number that is given out next.
    #[inline]
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// What stands under a number, vacant or not. None if its whole chunk is vacant.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        Some(&self.chunks.get((number >> BITS) as usize)?.as_ref()?[number as usize % CHUNK])
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        Some(&mut self.chunks.get_mut((number >> BITS) as usize)?.as_mut()?[number as usize % CHUNK])
    }

    /// Gives out the [`next`](Self::next) number. The caller fills its place. Only while there is a number left.
    #[inline]
    pub(super) fn take(&mut self) -> Option<&mut T> {
        let number = self.next;
        let chunk = (number >> BITS) as usize;
        if self.chunks.get(chunk).is_none_or(Option::is_none) {
            self.make(chunk);
        }
        let book = self.books.get_mut(chunk)?;
        book.free &= !(1 << (number as usize % CHUNK));
        if book.free == 0 {
            self.fill_up(chunk);
        } else {
            self.next = number >> BITS << BITS | book.free.trailing_zeros();
        }
        self.get_mut(number)
    }

    /// Makes a chunk that is gone, or the first that there was not yet.
    #[cold]
    fn make(&mut self, chunk: usize) {
        if chunk == self.chunks.len() {
            self.chunks.push(None);
            self.books.push(Book { free: u64::MAX, memo: 0 });
            self.roomy.resize((chunk >> BITS) + 1, 0);
            self.has_room(chunk);
        }
        let memo = self.books[chunk].memo;
        // Made where it is to stand: threads with small stacks come here too.
        let places: Box<[T]> = (0..CHUNK).map(|_| T::vacant(memo)).collect();
        self.chunks[chunk] = places.try_into().ok();
    }

    /// A chunk has room again, or is there with all its room.
    fn has_room(&mut self, chunk: usize) {
        self.roomy[chunk >> BITS] |= 1 << (chunk % CHUNK);
        self.from = self.from.min(chunk >> BITS);
    }

    /// A chunk has no room any more.
    #[cold]
    fn fill_up(&mut self, chunk: usize) {
        self.roomy[chunk >> BITS] &= !(1 << (chunk % CHUNK));
        while self.roomy.get(self.from) == Some(&0) {
            self.from += 1;
        }
        self.next = match self.roomy.get(self.from) {
            None => self.end(),
            Some(word) => {
                let chunk = self.from << BITS | word.trailing_zeros() as usize;
                u32::try_from(chunk << BITS).unwrap_or(u32::MAX) | self.books[chunk].free.trailing_zeros()
            }
        };
    }

    /// Frees a number that was given out, once its place is vacant again. Returns what is to be freed.
    #[inline]
    pub(super) fn free(&mut self, number: u32) -> Option<Chunk<T>> {
        let chunk = (number >> BITS) as usize;
        let book = self.books.get_mut(chunk)?;
        let was_full = book.free == 0;
        book.free |= 1 << (number as usize % CHUNK);
        self.next = self.next.min(number);
        let is_empty = book.free == u64::MAX;
        if was_full {
            self.has_room(chunk);
        }
        if is_empty { self.give_back(chunk) } else { None }
    }

    /// A chunk is empty now. Of two the higher one goes.
    fn give_back(&mut self, chunk: usize) -> Option<Chunk<T>> {
        let is_empty = |chunk: usize| self.books.get(chunk).is_some_and(|book| book.free == u64::MAX);
        if self.empty == chunk || !is_empty(self.empty) {
            self.empty = chunk;
            return None;
        }
        let goes = self.empty.max(chunk);
        self.empty = self.empty.min(chunk);
        let gone = self.chunks[goes].take()?;
        let memos = gone.iter().map(T::memo);
        self.books[goes].memo = memos.max().unwrap_or(0);
        while self.chunks.last().is_some_and(Option::is_none)
            && self.books.last().is_some_and(|book| book.memo == 0)
        {
            self.chunks.pop();
            self.books.pop();
            let last = self.chunks.len();
            self.roomy[last >> BITS] &= !(1 << (last % CHUNK));
        }
        self.next = self.next.min(self.end());
        Some(gone)
    }

    /// Every place, vacant or not, but those of chunks that are gone.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let chunks = (0..).step_by(CHUNK).zip(&self.chunks);
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
