//! A generator of numbers that are not secret: which member is chosen by chance.

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and one mixing step a number, and any state is a good one.
#[derive(Clone, Debug)]
pub(super) struct Generator(u64);

impl Generator {
    /// A generator with a state of its own.
    pub(super) fn new(state: u64) -> Self {
        Self(state)
    }

    /// A number below `bound`, which is not 0.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the product of 32 bits and a number below 2^32, upper half")]
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        // Some numbers come up oftener by one in 2^32 / bound: far below what anybody could see.
        ((u64::from(self.next()) * u64::from(bound)) >> 32) as u32
    }

    /// The next 32 bits.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the upper half of 64 bits")]
    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(self.0) >> 32) as u32
    }
}

/// The finishing step of SplitMix64: every bit of the result depends on every bit of the value.
#[inline]
pub(super) const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
