//! The order of a few values, in eight bytes.

/// So many values are few.
pub(super) const FEW: usize = 8;

/// Ids below [`FEW`], in the order of their coming and in that of their arrivals.
#[derive(Clone, Copy, Debug)]
pub(super) struct Few {
    coming: Ids,
    arrivals: Ids,
}

impl Few {
    pub(super) const fn new() -> Self {
        Few { coming: Ids::NONE, arrivals: Ids::NONE }
    }

    /// Of ids in both orders.
    pub(super) fn of(coming: impl Iterator<Item = u32>, arrivals: impl Iterator<Item = u32>) -> Self {
        Few { coming: Ids::of(coming), arrivals: Ids::of(arrivals) }
    }

    pub(super) fn len(self) -> usize {
        self.coming.len() as usize
    }

    #[inline]
    pub(super) fn is_full(self) -> bool {
        self.coming.is_full()
    }

    /// The last in the order is `id`, which was free. Only while it is not full.
    #[inline]
    pub(super) fn append(&mut self, id: u32) {
        self.coming.append(id);
        self.arrivals.append(id);
    }

    /// The same, but that it arrives right after the last of those it is `beside`.
    pub(super) fn append_beside(&mut self, id: u32, beside: [Option<u32>; 3]) {
        self.coming.append(id);
        let places = beside.into_iter().flatten().filter_map(|other| self.arrivals.position(other));
        let place = places.max().map_or(self.arrivals.len(), |last| last + 1);
        self.arrivals.insert(place, id);
    }

    #[inline]
    pub(super) fn remove(&mut self, id: u32) {
        self.coming.remove(id);
        self.arrivals.remove(id);
    }

    pub(super) fn coming(self) -> impl Iterator<Item = u32> {
        self.coming.iter()
    }

    pub(super) fn arrivals(self) -> impl Iterator<Item = u32> {
        self.arrivals.iter()
    }
}

/// A list of ids, four bits each, the first one lowest. Where there is none all four are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids(u32);

const BITS: u32 = 4;
const MASK: u32 = (1 << BITS) - 1;
/// The lowest bit of each id.
const LOWEST: u32 = 0x1111_1111;

impl Ids {
    const NONE: Ids = Ids(u32::MAX);

    fn of(ids: impl Iterator<Item = u32>) -> Self {
        let mut list = Ids::NONE;
        ids.take(FEW).for_each(|id| list.append(id));
        list
    }

    /// The topmost bit of an id is never set.
    fn len(self) -> u32 {
        (u32::BITS - self.0.leading_ones()) / BITS
    }

    fn is_full(self) -> bool {
        self.0 >> (u32::BITS - 1) == 0
    }

    fn iter(self) -> impl Iterator<Item = u32> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let id = rest & MASK;
            rest = rest >> BITS | MASK << (u32::BITS - BITS);
            (id != MASK).then_some(id)
        })
    }

    fn position(self, id: u32) -> Option<u32> {
        let differing = self.0 ^ (LOWEST * (id & MASK));
        // Exact up to the first that is the same.
        let same = differing.wrapping_sub(LOWEST) & !differing & (LOWEST << (BITS - 1));
        (same != 0).then(|| same.trailing_zeros() / BITS)
    }

    /// Only while it is not full.
    #[inline]
    fn append(&mut self, id: u32) {
        let shift = u32::BITS - self.0.leading_ones();
        self.0 ^= (MASK ^ (id & MASK)) << shift;
    }

    /// Only while it is not full.
    fn insert(&mut self, at: u32, id: u32) {
        let shift = at * BITS;
        let before = (1 << shift) - 1;
        self.0 = self.0 & before | (id & MASK) << shift | (self.0 & !before) << BITS;
    }

    #[inline]
    fn remove(&mut self, id: u32) {
        let Some(at) = self.position(id) else { return };
        let before = (1 << (at * BITS)) - 1;
        self.0 = self.0 & before | self.0 >> BITS & !before | MASK << (u32::BITS - BITS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_a_list() {
        let (mut ids, mut naive, mut number) = (Ids::NONE, Vec::new(), 5_u32);
        for _ in 0..10_000 {
            number = number * 31 % 1009;
            if naive.len() == FEW || (number.is_multiple_of(2) && !naive.is_empty()) {
                let id = naive.remove(number as usize % naive.len());
                ids.remove(id);
                assert_eq!(ids.position(id), None);
                ids.remove(id);
            } else {
                let id = (0..8).find(|id| !naive.contains(id)).unwrap();
                let at = number as usize % (naive.len() + 1);
                naive.insert(at, id);
                if at == naive.len() - 1 {
                    ids.append(id);
                } else {
                    ids.insert(u32::try_from(at).unwrap(), id);
                }
            }
            assert_eq!(ids.iter().collect::<Vec<_>>(), naive);
            assert_eq!((ids.len() as usize, ids.is_full()), (naive.len(), naive.len() == FEW));
            assert!((0_u32..).zip(&naive).all(|(at, id)| ids.position(*id) == Some(at)));
        }
    }
}
