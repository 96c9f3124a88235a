//! A growing array that does not move what it holds, but for its first chunk: a segmented vector.

/// Values by number. They stand in chunks: growing costs at most one new chunk, where a vector would copy everything under
/// the shard's lock, and leaves less than a chunk unused.
#[derive(Debug)]
pub(super) struct Chunks<T>(Vec<Vec<T>>);

const BITS: u32 = 8;
/// Values in a chunk.
const CHUNK: usize = 1 << BITS;

impl<T> Chunks<T> {
    pub(super) const fn new() -> Self {
        Chunks(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len())
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.0.get((number >> BITS) as usize)?.get(number as usize % CHUNK)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.0.get_mut((number >> BITS) as usize)?.get_mut(number as usize % CHUNK)
    }

    pub(super) fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(value),
            // The first one grows as it is needed: most engines of a test or a small host need no more.
            None => self.0.push(vec![value]),
            Some(_) => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(value);
                self.0.push(chunk);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(self.0.iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_numbers_across_chunks() {
        let mut chunks = Chunks::new();
        for number in 0..=3 * CHUNK {
            assert_eq!(chunks.len(), number);
            chunks.push(number);
        }
        let last = u32::try_from(3 * CHUNK).unwrap();
        assert_eq!(chunks.get(last), Some(&(3 * CHUNK)));
        assert_eq!((chunks.get(last + 1), chunks.get(u32::MAX)), (None, None));
        assert!(chunks.iter().all(|(number, value)| number as usize == *value));
    }
}
