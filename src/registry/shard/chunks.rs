//! A growing array that never moves what it holds: a segmented vector.

/// Values by number, in chunks: growing costs at most one new chunk, where a vector would copy everything under the shard's
/// lock, and leaves less than a chunk unused.
#[derive(Debug)]
pub(super) struct Chunks<T> {
    chunks: Vec<Box<[T; CHUNK]>>,
    len: u32,
}

const BITS: u32 = 6;
/// Values in a chunk.
const CHUNK: usize = 1 << BITS;

impl<T: Default> Chunks<T> {
    pub(super) const fn new() -> Self {
        Chunks { chunks: Vec::new(), len: 0 }
    }

    /// How many values were pushed.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// The value of this number. One that was not pushed may be there all the same, as its type makes it by default.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        Some(&self.chunks.get((number >> BITS) as usize)?[number as usize % CHUNK])
    }

    #[inline]
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        Some(&mut self.chunks.get_mut((number >> BITS) as usize)?[number as usize % CHUNK])
    }

    /// Appends a value. Only while there are fewer than 2³² - 1.
    pub(super) fn push(&mut self, value: T) {
        let number = self.len;
        if number as usize == self.chunks.len() * CHUNK {
            self.chunks.push(Box::new(std::array::from_fn(|_| T::default())));
        }
        if let Some(slot) = self.get_mut(number) {
            *slot = value;
        }
        self.len += 1;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..self.len).zip(self.chunks.iter().flat_map(|chunk| chunk.iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_numbers_across_chunks() {
        let mut chunks = Chunks::new();
        for number in 0..=3 * CHUNK {
            assert_eq!(chunks.len() as usize, number);
            chunks.push(number);
        }
        let last = u32::try_from(3 * CHUNK).unwrap();
        assert_eq!(chunks.get(last), Some(&(3 * CHUNK)));
        assert_eq!((chunks.get(last + 1), chunks.get(u32::MAX)), (Some(&0), None));
        assert!(chunks.iter().all(|(number, value)| number as usize == *value));
        assert_eq!(chunks.iter().count(), 3 * CHUNK + 1);
    }
}
