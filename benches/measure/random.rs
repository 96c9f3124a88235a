//! Reproducible random numbers: every run visits the documents in the same order.

/// George Marsaglia's xorshift generator, with a fixed seed.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Random(0x9E37_79B9_7F4A_7C15)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 1).unwrap() % bound
    }
}

/// Returns the numbers below `count` in random order.
pub(crate) fn shuffled(count: usize) -> Vec<usize> {
    let (mut order, mut random): (Vec<usize>, _) = ((0..count).collect(), Random::new());
    for at in (1..count).rev() {
        order.swap(at, random.below(at + 1));
    }
    order
}
