//! A hash table of numbers that stand for values kept elsewhere.

/// Numbers by the hash of what they stand for.
///
/// It grows and shrinks a little at a time, so that nobody waits under a lock for thousands of numbers to move: a new array
/// takes what comes, and with everything that comes or goes some numbers more of the old one, until nothing is left there.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    array: Array,
    /// What the array before still holds.
    rest: Option<Box<Rest>>,
}

/// An array that was left for another.
#[derive(Debug)]
pub(crate) struct Rest {
    array: Array,
    /// Nothing is left before this entry.
    from: usize,
}

/// Numbers that move at a time, and entries that are looked at for them. The new array has room for more insertions than
/// it takes to move them all.
const MOVES: usize = 16;
const LOOKS: usize = 256;

/// An array shrinks when fewer than one in so many of its entries are taken, unless it is small.
const SPARSE: usize = 8;
const SMALL: usize = 256;

impl Numbers {
    pub(crate) fn len(&self) -> usize {
        self.array.len + self.rest.as_ref().map_or(0, |rest| rest.array.len)
    }

    /// The numbers that were put in with this hash, and perhaps others.
    pub(crate) fn with(&self, hash: u64) -> impl Iterator<Item = u32> {
        let rest = self.rest.iter().flat_map(move |rest| rest.array.with(hash));
        self.array.with(hash).chain(rest)
    }

    /// The number with this hash that `fits`.
    #[inline]
    pub(crate) fn find(&self, hash: u64, mut fits: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.array.with(hash).find(|number| fits(*number));
        if found.is_none() && self.rest.is_some() {
            return self.rest.as_ref()?.array.with(hash).find(|number| fits(*number));
        }
        found
    }

    /// Puts in a number. It takes room for as many numbers as this is high: they should be given out from zero on. Returns
    /// what is to be freed.
    pub(crate) fn insert(&mut self, hash: u64, number: u32) -> Option<Box<Rest>> {
        let mut left = self.move_on(MOVES);
        if !self.array.has_room(number) {
            left = left.or(self.move_on(usize::MAX));
            self.change_to(Array::with_room(self.array.len + 1, number));
        }
        self.array.insert(half(hash), number);
        left
    }

    /// Takes a number out. None that is left, nor the next that comes, is as high as `end`. Returns what is to be freed.
    pub(crate) fn remove(&mut self, hash: u64, number: u32, end: u32) -> Option<Box<Rest>> {
        if !self.array.remove(half(hash), number)
            && let Some(rest) = &mut self.rest
        {
            rest.array.remove(half(hash), number);
        }
        let count = self.array.entries.len();
        if self.rest.is_some() {
            return self.move_on(MOVES);
        }
        if count <= SMALL || self.array.len >= count / SPARSE || end as usize >= count / SPARSE {
            return None;
        }
        if self.array.len <= SMALL {
            // So few may be the last for a long time. A look at each entry takes some tens of microseconds at most.
            self.change_to(Array::with_room(self.array.len + 1, end));
            return self.move_on(usize::MAX);
        }
        // Large enough not to fill up before all have moved.
        self.change_to(Array::with_room(self.array.len + 1, low(count / SPARSE)));
        None
    }

    /// Goes over to another array, an empty one.
    fn change_to(&mut self, array: Array) {
        let array = std::mem::replace(&mut self.array, array);
        self.rest = (array.len > 0).then(|| Box::new(Rest { array, from: 0 }));
    }

    /// Moves so many numbers out of the array before. Returns it if nothing is left there.
    fn move_on(&mut self, most: usize) -> Option<Box<Rest>> {
        let rest = self.rest.as_mut()?;
        let mut looks = if most == usize::MAX { usize::MAX } else { LOOKS };
        for _ in 0..most {
            match rest.take(&mut looks) {
                Some((half, number)) => self.array.insert(half, number),
                None if rest.is_over() => return self.rest.take(),
                None => break,
            }
        }
        None
    }
}

impl Rest {
    fn is_over(&self) -> bool {
        self.from >= self.array.entries.len()
    }

    /// The next number, with its half of the hash; none if there is none among so many entries.
    fn take(&mut self, looks: &mut usize) -> Option<(u32, u32)> {
        while !self.is_over() && *looks > 0 {
            *looks -= 1;
            if let Some(number) = self.array.number_at(self.from) {
                let half = self.array.halves[self.from];
                self.array.remove_at(self.from);
                return Some((half, number));
            }
            self.from += 1;
        }
        None
    }
}

/// An array of numbers: open addressing with linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithms L
/// and R).
///
/// Where a table has millions of numbers, memory is what a search costs. An entry is four bytes, the number and as much of
/// the hash as there is room for, and a search looks at one cache line of them; a table with control bytes has two, one
/// after the other, and more to keep. At a million documents an open and a close are faster by a tenth for it. The rest of the
/// hash stands apart, for the time when the numbers move.
#[derive(Debug, Default)]
struct Array {
    /// 2ᵇⁱᵗˢ of them, or none. Zero where nothing is; else in the lower bits the number and one, in the others those bits of
    /// the half.
    entries: Box<[u32]>,
    /// The half of the hash that belongs to each entry.
    halves: Box<[u32]>,
    bits: u32,
    len: usize,
}

const EMPTY: u32 = 0;

impl Array {
    fn with_room(len: usize, number: u32) -> Self {
        // A quarter of room at least, or what moves would fill it up again.
        let least = (len + len / 2).max(number as usize + 2).max(4);
        let count = least.next_power_of_two();
        let room = || vec![EMPTY; count].into_boxed_slice();
        Array { entries: room(), halves: room(), bits: count.trailing_zeros(), len: 0 }
    }

    /// At most 13 of 16 are taken. On the average a search that finds looks at 3.2 entries then, and one that does not at 15,
    /// which stand side by side.
    fn has_room(&self, number: u32) -> bool {
        let count = self.entries.len();
        self.len < count * 13 / 16 && (number as usize) + 1 < count
    }

    #[inline]
    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }

    #[inline]
    fn with(&self, hash: u64) -> impl Iterator<Item = u32> {
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

    fn entry(&self, half: u32, number: u32) -> u32 {
        half >> self.bits << self.bits | number.wrapping_add(1)
    }

    fn number_at(&self, at: usize) -> Option<u32> {
        let entry = self.entries[at];
        (entry != EMPTY).then(|| (entry & low(self.mask())) - 1)
    }

    /// Only while there is room.
    fn insert(&mut self, half: u32, number: u32) {
        let mask = self.mask();
        let mut at = half as usize & mask;
        while self.entries[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.entries[at] = self.entry(half, number);
        self.halves[at] = half;
        self.len += 1;
    }

    /// Whether it was there.
    fn remove(&mut self, half: u32, number: u32) -> bool {
        let mask = self.mask();
        let mut at = half as usize & mask;
        while let Some(entry) = self.entries.get(at).filter(|entry| **entry != EMPTY) {
            if *entry == self.entry(half, number) {
                self.remove_at(at);
                return true;
            }
            at = (at + 1) & mask;
        }
        false
    }

    /// Moves up what stands after a gap and would not be found across it.
    fn remove_at(&mut self, mut gap: usize) {
        let mask = self.mask();
        let mut at = gap;
        self.len -= 1;
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
}

/// The lower half; a shard is chosen by the upper.
#[expect(clippy::cast_possible_truncation, reason = "half of it")]
fn half(hash: u64) -> u32 {
    hash as u32
}

#[expect(clippy::cast_possible_truncation, reason = "an array has at most 2³² entries")]
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
                    numbers.remove(hash(gone), gone, number);
                    numbers.remove(hash(gone), gone, number);
                    assert_eq!(numbers.find(hash(gone), |found| found == gone), None);
                }
                numbers.insert(hash(number), number);
                naive.push(number);
                assert_eq!(numbers.len(), naive.len());
                if number % 97 == 0 || numbers.rest.is_some() && number % 7 == 0 {
                    for number in &naive {
                        assert_eq!(numbers.find(hash(*number), |found| found == *number), Some(*number));
                        assert!(numbers.with(hash(*number)).any(|found| found == *number));
                    }
                }
            }
            for number in naive {
                numbers.remove(hash(number), number, 3000);
            }
            let nothing = |array: &Array| array.entries.iter().all(|entry| *entry == EMPTY);
            assert!(numbers.len() == 0 && nothing(&numbers.array));
            assert!(numbers.rest.is_none_or(|rest| nothing(&rest.array)));
        }
    }

    fn hash(number: u32) -> u64 {
        u64::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    #[test]
    fn a_table_shrinks_when_it_is_nearly_empty() {
        let mut numbers = Numbers::default();
        for _ in 0..3 {
            (0..20_000).for_each(|number| drop(numbers.insert(hash(number), number)));
            let largest = numbers.array.entries.len();
            for number in (100..20_000).rev() {
                let before = numbers.array.len;
                numbers.remove(hash(number), number, number);
                assert!(numbers.array.len <= before + MOVES);
                assert!(
                    number % 999 > 0
                        || (0..number).all(|left| numbers.find(hash(left), |found| found == left).is_some())
                );
            }
            assert!(numbers.array.entries.len() <= largest / 16 && numbers.rest.is_none());
            assert_eq!(numbers.len(), 100);
            (0..100).for_each(|number| drop(numbers.remove(hash(number), number, 100)));
        }
    }

    #[test]
    fn a_table_grows_a_little_at_each_insertion() {
        let mut numbers = Numbers::default();
        let mut growths = 0;
        for number in 0..200_000 {
            let before = (numbers.array.entries.len(), numbers.array.len, numbers.rest.is_some());
            numbers.insert(hash(number), number);
            let grown = numbers.array.entries.len() > before.0;
            growths += u32::from(grown);
            assert!(!(grown && before.2 && before.0 > 64), "{before:?} has moved long since");
            assert!(grown || numbers.array.len <= before.1 + 1 + MOVES);
        }
        assert!(growths > 10);
        assert!((0..200_000).all(|number| numbers.find(hash(number), |found| found == number).is_some()));
    }
}
