//! Random numbers from a fixed seed.

/// `SplitMix64` (Steele, Lea and Flood, 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns an exponentially distributed time with a mean of 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub(super) fn exponential(&mut self) -> f64 {
        // Never 0, because 0 has no logarithm.
        let unit = ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -unit.ln()
    }

    /// Returns a position in a list of some length, or zero if the list is empty.
    pub(super) fn position(&mut self, length: usize) -> usize {
        let position = self.next().checked_rem(length as u64);
        position.and_then(|position| usize::try_from(position).ok()).unwrap_or_default()
    }

    /// Returns a number from 0 up, below `end`.
    pub(super) fn draw(&mut self, end: u32) -> u32 {
        let number = self.next().checked_rem(end.into());
        number.and_then(|number| u32::try_from(number).ok()).unwrap_or_default()
    }
}
