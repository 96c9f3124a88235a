//! A hash table of numbers that stand for values kept elsewhere.

/// Numbers by the hash of what they stand for: open addressing with linear probing (Knuth, The Art of Computer Programming 3,
/// 6.4, algorithms L and R).
///
/// Where a table has millions of numbers, memory is what a search costs. An entry is four bytes, the number and as much of
/// the hash as there is room for, and a search looks at one cache line of them; a table with control bytes has two, one
/// after the other, and more to keep. At a million documents that is a third of an open and a close. The rest of the hash
/// stands apart, for a table that grows under a lock: it reads only itself.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// 2ᵇⁱᵗˢ of them, or none. Zero where nothing is; else in the lower bits the number and one, in the others those bits of
    /// the half.
    entries: Box<[u32]>,
    /// The half of the hash that belongs to each entry.
    halves: Box<[u32]>,
    bits: u32,
    len: usize,
}

impl Numbers {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The numbers that were put in with this hash, and perhaps others.
    #[inline]
    pub(crate) fn with(&self, hash: u64) -> impl Iterator<Item = u32> {
        let half = half(hash);
        let (mask, upper) = (self.mask(), half >> self.bits);
        let mut at = half as usize;
        std::iter::from_fn(move || {
            loop {
                let entry = *self.entries.get(at & mask)?;
                at += 1;
                if entry == EMPTY {
                    return None;
                }
                if entry >> self.bits == upper {
                    return Some((entry & low(mask)) - 1);
                }
            }
        })
    }

    /// The number with this hash that `fits`.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut fits: impl FnMut(u32) -> bool) -> Option<u32> {
        self.with(hash).find(|number| fits(*number))
    }

    /// Puts in a number. It takes room for as many numbers as this is high: they should be given out from zero on.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) {
        // At most three quarters are taken: a search looks at 2.5 entries on the average, which stand side by side.
        while self.len >= self.entries.len() / 4 * 3 || number as usize + 1 >= self.entries.len() {
            self.grow();
        }
        self.place(half(hash), number);
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        let (half, mask) = (half(hash), self.mask());
        let mut at = half as usize & mask;
        while let Some(entry) = self.entries.get(at).filter(|entry| **entry != EMPTY) {
            if *entry == self.entry(half, number) {
                self.close_gap(at);
                self.len -= 1;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// Moves up what stands after a gap and would not be found across it.
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.mask();
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            if self.entries[at] == EMPTY {
                break;
            }
            // How far it is from where it belongs, and from the gap.
            let [far, near] = [self.halves[at] as usize, gap].map(|from| at.wrapping_sub(from) & mask);
            if far >= near {
                self.entries[gap] = self.entries[at];
                self.halves[gap] = self.halves[at];
                gap = at;
            }
        }
        self.entries[gap] = EMPTY;
    }

    #[inline]
    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }

    fn entry(&self, half: u32, number: u32) -> u32 {
        half >> self.bits << self.bits | number.wrapping_add(1)
    }

    /// Puts a number where it belongs. Only while there is room.
    fn place(&mut self, half: u32, number: u32) {
        let mask = self.mask();
        let mut at = half as usize & mask;
        while self.entries[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.entries[at] = self.entry(half, number);
        self.halves[at] = half;
    }

    #[cold]
    fn grow(&mut self) {
        let (bits, mask) = ((self.bits + 1).max(2), self.mask());
        let room = || vec![0; 1 << bits].into_boxed_slice();
        let old = std::mem::replace(self, Numbers { entries: room(), halves: room(), bits, len: self.len });
        for (entry, half) in old.entries.iter().zip(&old.halves) {
            if *entry != EMPTY {
                self.place(*half, (entry & low(mask)) - 1);
            }
        }
    }
}

const EMPTY: u32 = 0;

/// The lower half; a shard is chosen by the upper.
#[expect(clippy::cast_possible_truncation, reason = "half of it")]
fn half(hash: u64) -> u32 {
    hash as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half of the word")]
fn low(mask: usize) -> u32 {
    mask as u32
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
