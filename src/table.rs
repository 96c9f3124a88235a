//! A hash table of numbers that stand for values kept elsewhere.

/// Numbers by the hash of what they stand for, in one array: open addressing with linear probing (Knuth, The Art of Computer
/// Programming 3, 6.4, algorithms L and R).
///
/// An entry is one word: half of the hash, and the number. So whoever searches looks at one cache line, where a table with
/// control bytes has two, one after the other; at a million documents that is a line more of four in all. A table that
/// grows under a lock reads only itself. And who searches meets no value whose hash is another.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// A power of two of them, or none. Zero where nothing is.
    entries: Box<[u64]>,
    len: usize,
}

impl Numbers {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The numbers that were put in with this hash, and perhaps others of the same half.
    #[inline]
    pub(crate) fn with(&self, hash: u64) -> impl Iterator<Item = u32> {
        let half = half(hash);
        let mut at = half as usize;
        std::iter::from_fn(move || {
            loop {
                let entry = *self.entries.get(at & self.mask())?;
                at += 1;
                if entry == EMPTY {
                    return None;
                }
                if entry >> 32 == u64::from(half) {
                    return Some(number(entry));
                }
            }
        })
    }

    /// The number with this hash that `fits`.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut fits: impl FnMut(u32) -> bool) -> Option<u32> {
        self.with(hash).find(|number| fits(*number))
    }

    /// Puts in a number below 2³² - 1.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        // At most three quarters are taken: a search looks at 2.5 entries on the average, which stand side by side.
        if self.len >= self.entries.len() / 4 * 3 {
            self.grow();
        }
        self.place(u64::from(half(hash)) << 32 | u64::from(number) + 1);
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        let (mask, wanted) = (self.mask(), u64::from(half(hash)) << 32 | u64::from(number) + 1);
        let mut gap = home(wanted) & mask;
        while let Some(entry) = self.entries.get(gap).filter(|entry| **entry != EMPTY) {
            if *entry == wanted {
                self.close_gap(gap);
                self.len -= 1;
                return;
            }
            gap = (gap + 1) & mask;
        }
    }

    /// Moves up what stands after a gap and would not be found across it.
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.mask();
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let entry = self.entries[at];
            if entry == EMPTY {
                break;
            }
            // How far it is from where it belongs, and from the gap.
            let [far, near] = [home(entry), gap].map(|from| at.wrapping_sub(from) & mask);
            if far >= near {
                self.entries[gap] = entry;
                gap = at;
            }
        }
        self.entries[gap] = EMPTY;
    }

    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }

    /// Puts an entry where it belongs. Only while there is room.
    fn place(&mut self, entry: u64) {
        let mask = self.mask();
        let mut at = home(entry) & mask;
        while self.entries[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.entries[at] = entry;
    }

    #[cold]
    fn grow(&mut self) {
        let twice = vec![EMPTY; (self.entries.len() * 2).max(4)].into_boxed_slice();
        for entry in std::mem::replace(&mut self.entries, twice) {
            if entry != EMPTY {
                self.place(entry);
            }
        }
    }
}

const EMPTY: u64 = 0;

/// The lower half; a shard is chosen by the upper.
#[expect(clippy::cast_possible_truncation, reason = "half of it")]
fn half(hash: u64) -> u32 {
    hash as u32
}

/// Where an entry belongs, in a table without an end.
fn home(entry: u64) -> usize {
    (entry >> 32) as usize
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half of the word")]
fn number(entry: u64) -> u32 {
    entry as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever comes and goes, and however hashes collide: against a list that is searched.
    #[test]
    fn numbers_are_found_and_removed_by_hash() {
        for spread in [1_u64, 3, 0x9E37_79B9_7F4A_7C15, u64::MAX] {
            let hash = |number: u32| u64::from(number / 3).wrapping_mul(spread);
            let (mut numbers, mut naive, mut random) = (Numbers::default(), Vec::new(), 7_usize);
            assert_eq!((numbers.find(0, |_| true), numbers.with(0).count()), (None, 0));
            for number in 0..3000 {
                random = random * 31 % 1009;
                if random.is_multiple_of(3) && !naive.is_empty() {
                    let gone = naive.swap_remove(random % naive.len());
                    numbers.remove(hash(gone), gone);
                    numbers.remove(hash(gone), gone);
                    assert_eq!(numbers.find(hash(gone), |found| found == gone), None);
                }
                numbers.insert(hash(number), number);
                naive.push(number);
                assert_eq!(numbers.len(), naive.len());
                if number % 100 == 0 {
                    for number in &naive {
                        assert_eq!(numbers.find(hash(*number), |found| found == *number), Some(*number));
                        assert!(numbers.with(hash(*number)).any(|found| found == *number));
                    }
                }
            }
            for number in naive {
                numbers.remove(hash(number), number);
            }
            assert!(numbers.len() == 0 && numbers.entries.iter().all(|entry| *entry == EMPTY));
        }
    }
}
