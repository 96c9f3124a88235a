//! How many distinct users, in fixed memory.

/// Bits of a hash that choose its register.
const PRECISION: u32 = 11;

/// The registers of a sketch. The standard error is 1.04 / √2048, 2.3 %.
pub(super) const REGISTERS: usize = 1 << PRECISION;

/// Bits of a hash that its register looks at.
const REST: usize = (u64::BITS - PRECISION) as usize;

/// Up to so many users are counted exactly, but for two in 2⁶⁴ whose hashes are the same.
pub(super) const EXACT: usize = 128;

/// The distinct hashes that were added, or enough of them to say how many there were.
///
/// Up to [`EXACT`] hashes are kept as they are. Past that it is a `HyperLogLog` (Flajolet, Fusy, Gandouet and Meunier,
/// 2007): each register keeps the longest run of zeros with which any hash of its share began. The estimate is Ertl's
/// (New cardinality estimation algorithms for `HyperLogLog` sketches, 2017), which is unbiased at every size and so needs
/// neither tables nor a switch. An empty one takes no memory beyond itself, any other at most 2,048 bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    few: Few,
    /// Empty as long as the few are all.
    registers: Option<Box<Registers>>,
}

type Registers = [u8; REGISTERS];

/// Some hashes, in an open-addressed table that is at most half full. Zero marks an empty slot.
#[derive(Clone, Debug, Default)]
struct Few {
    slots: Box<[u64]>,
    len: usize,
}

impl Sketch {
    /// Adds one hash, all of whose bits are as good as random. One register, or a probe or two of a table; the table is
    /// built anew five times on its way to registers.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        // While there are few, most who come were here a moment ago.
        if !self.few.holds_first(hash) {
            self.note(hash);
        }
    }

    /// Out of line: the table may have to be built anew.
    #[inline(never)]
    fn note(&mut self, hash: u64) {
        match &mut self.registers {
            Some(registers) => raise(registers, hash),
            None => {
                if !self.few.add(hash) {
                    raise(self.registers(), hash);
                }
            }
        }
    }

    /// Adds all that was added to `other`: the result is the same as if each had been added here.
    pub(super) fn merge(&mut self, other: &Sketch) {
        match &other.registers {
            None => other.few.hashes().for_each(|hash| self.add(hash)),
            Some(theirs) => {
                for (ours, theirs) in self.registers().iter_mut().zip(theirs.iter()) {
                    *ours = (*ours).max(*theirs);
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.few.len == 0 && self.registers.is_none()
    }

    /// The bytes that it takes beside itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.few.slots) + self.registers.as_deref().map_or(0, size_of_val)
    }

    /// How many distinct hashes were added.
    pub(super) fn estimate(&self) -> u64 {
        self.registers.as_ref().map_or(self.few.len as u64, |registers| estimate(registers))
    }

    /// The registers; the hashes are forgotten over them.
    fn registers(&mut self) -> &mut Registers {
        let few = std::mem::take(&mut self.few);
        self.registers.get_or_insert_with(|| {
            let mut registers = Box::new([0; REGISTERS]);
            few.hashes().for_each(|hash| raise(&mut registers, hash));
            registers
        })
    }
}

impl Few {
    /// Whether the hash is where it is looked for first.
    #[inline]
    fn holds_first(&self, hash: u64) -> bool {
        let hash = hash.max(1);
        self.slots.get(self.first(hash)) == Some(&hash)
    }

    /// Where the hash is looked for first. The low bits: the high ones choose registers.
    #[inline]
    fn first(&self, hash: u64) -> usize {
        low(hash) & self.slots.len().wrapping_sub(1)
    }

    /// False if the hash is a new one and there is no room for it.
    fn add(&mut self, hash: u64) -> bool {
        let hash = hash.max(1);
        !self.slots.is_empty() && self.slots[self.slot(hash)] == hash || self.add_new(hash)
    }

    fn add_new(&mut self, hash: u64) -> bool {
        if self.len == EXACT {
            return false;
        }
        if self.len * 2 == self.slots.len() {
            self.grow();
        }
        let slot = self.slot(hash);
        self.slots[slot] = hash;
        self.len += 1;
        true
    }

    /// Where the hash is, or the empty slot where it belongs.
    fn slot(&self, hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.first(hash);
        while self.slots[slot] != 0 && self.slots[slot] != hash {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let slots = vec![0; (self.slots.len() * 2).max(16)].into_boxed_slice();
        let old = std::mem::replace(self, Few { slots, len: self.len });
        for hash in old.hashes() {
            let slot = self.slot(hash);
            self.slots[slot] = hash;
        }
    }

    fn hashes(&self) -> impl Iterator<Item = u64> {
        self.slots.iter().copied().filter(|hash| *hash != 0)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn low(hash: u64) -> usize {
    hash as usize
}

/// Notes a hash in its register: the position of the first one-bit after those that chose the register.
fn raise(registers: &mut Registers, hash: u64) {
    let register = low(hash >> REST) & (REGISTERS - 1);
    // The bit put in ends the run where the hash does.
    let rest = hash << PRECISION | 1 << (PRECISION - 1);
    let position = u8::try_from(rest.leading_zeros() + 1).unwrap_or(u8::MAX);
    registers[register] = registers[register].max(position);
}

/// Ertl's improved raw estimator, algorithm 6 of the paper, in its names.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count far below 2^53")]
#[expect(clippy::cast_precision_loss, reason = "2,048 is a small number")]
fn estimate(registers: &Registers) -> u64 {
    let mut with = [0.0_f64; REST + 2];
    for register in registers {
        with[usize::from(*register)] += 1.0;
    }
    let m = REGISTERS as f64;
    let mut z = m * tau(1.0 - with[REST + 1] / m);
    for count in with[1..=REST].iter().rev() {
        z = 0.5 * (z + count);
    }
    z += m * sigma(with[0] / m);
    (m * m / (2.0 * std::f64::consts::LN_2 * z)).round() as u64
}

/// The part of the registers that are still zero.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

/// The part of the registers that can go no higher.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::tests::mix;

    /// The sketch of `count` hashes that no other `seed` gives.
    fn sketch(seed: u64, count: u64) -> Sketch {
        let mut sketch = Sketch::default();
        (0..count).for_each(|one| sketch.add(mix(seed << 32 | one)));
        sketch
    }

    #[test]
    fn few_are_counted_exactly_however_often_they_come() {
        let mut sketch = Sketch::default();
        assert_eq!((sketch.estimate(), sketch.is_empty()), (0, true));
        for round in 0..3 {
            for one in 0..EXACT as u64 {
                sketch.add(if one == 0 { 0 } else { mix(one) });
                assert_eq!(sketch.estimate(), if round == 0 { one + 1 } else { EXACT as u64 });
            }
        }
        assert!(sketch.registers.is_none());
        sketch.add(mix(EXACT as u64));
        assert!(sketch.registers.is_some() && !sketch.is_empty());
    }

    /// Over 60 seeds the mean error shows a bias, the root of the mean square the standard error.
    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    fn many_are_estimated_without_bias_within_the_standard_error() {
        for count in [129, 300, 1_000, 2_000, 4_000, 5_000, 6_000, 8_000, 20_000, 50_000] {
            let error = |seed| sketch(seed, count).estimate() as f64 / count as f64 - 1.0;
            let errors: Vec<f64> = (1..=60).map(error).collect();
            let mean = errors.iter().sum::<f64>() / 60.0;
            let root = (errors.iter().map(|error| error * error).sum::<f64>() / 60.0).sqrt();
            assert!(mean.abs() < 0.009, "{count}: the mean error is {mean}");
            assert!(root < 0.023 * 1.25, "{count}: the standard error is {root}");
        }
    }

    #[test]
    fn what_registers_cannot_tell_apart_any_more_is_still_a_number() {
        assert!(estimate(&[54; REGISTERS]) > 1 << 60);
        assert_eq!(estimate(&[0; REGISTERS]), 0);
        let mut registers = [0; REGISTERS];
        raise(&mut registers, 0);
        raise(&mut registers, u64::MAX);
        assert_eq!((registers[0], registers[REGISTERS - 1]), (54, 1));
    }

    #[test]
    fn merging_is_the_union() {
        for (of_one, of_other) in [(0, 0), (0, 5), (100, 100), (20, 3_000), (3_000, 20), (3_000, 5_000)] {
            let (one, other) = (sketch(1, of_one), sketch(2, of_other));
            let mut both = sketch(1, of_one);
            (0..of_other).for_each(|each| both.add(mix(2 << 32 | each)));
            for (mut left, right) in [(one.clone(), &other), (other.clone(), &one)] {
                left.merge(right);
                left.merge(right);
                left.merge(&left.clone());
                assert_eq!(left.estimate(), both.estimate(), "{of_one} and {of_other}");
                assert_eq!(left.registers, both.registers);
            }
        }
    }

    #[test]
    fn a_sketch_is_four_words_and_the_largest_table_no_larger_than_the_registers() {
        assert_eq!(size_of::<Sketch>(), 32);
        let tables = [0, 1, 8, 9, 128, 129, 100_000].map(|count| sketch(1, count).bytes());
        assert_eq!(tables, [0, 128, 128, 256, REGISTERS, REGISTERS, REGISTERS]);
    }
}
