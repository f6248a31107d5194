//! At which depths of names something stands: what spares the packet path most of its probes.

use crate::limits::LABELS_MAX;

/// How many names of one kind there are at each depth (number of labels).
#[derive(Clone, Debug)]
pub(crate) struct DepthSet {
    /// Names by depth.
    counts: [u32; LABELS_MAX + 1],
    /// Names of all depths.
    total: u64,
    /// Bit `d` is set where `counts[d]` is not zero: nearly all names have less than 64 labels.
    low: u64,
    /// Bit `d` is set where `counts[64 + d]` is not zero.
    high: u64,
}

impl Default for DepthSet {
    fn default() -> Self {
        Self { counts: [0; LABELS_MAX + 1], total: 0, low: 0, high: 0 }
    }
}

const _: () = assert!(LABELS_MAX < 128);

impl DepthSet {
    /// Counts one more name.
    pub(super) fn add(&mut self, depth: usize) {
        self.change(depth, 1);
    }

    /// Counts one name less.
    pub(super) fn remove(&mut self, depth: usize) {
        self.change(depth, -1);
    }

    /// Counts names more or less.
    fn change(&mut self, depth: usize, names: i32) {
        let Some(count) = self.counts.get_mut(depth) else { return };
        *count = count.saturating_add_signed(names);
        self.total = self.total.saturating_add_signed(i64::from(names));
        let mask = if depth < 64 { &mut self.low } else { &mut self.high };
        let bit = 1 << (depth % 64);
        *mask = if *count > 0 { *mask | bit } else { *mask & !bit };
    }

    /// Names of all depths.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// True where there is a name at a depth in `from..=to`.
    #[inline]
    pub(crate) fn has_between(&self, from: usize, to: usize) -> bool {
        if to < 64 {
            return from <= to && (self.low >> from) << (63 - to + from) != 0;
        }
        self.between(from, to).next().is_some()
    }

    /// The depths of the set that lie in `from..=to`, as bits.
    #[inline]
    pub(crate) fn between(&self, from: usize, to: usize) -> Depths {
        if from > to || to > LABELS_MAX || (self.low | self.high) == 0 {
            return Depths(0);
        }
        let mask = u128::from(self.high) << 64 | u128::from(self.low);
        Depths(mask & (u128::MAX << from) & (u128::MAX >> (LABELS_MAX - to)))
    }
}

/// Some depths, shallow ones first; `next_back` takes the deepest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Depths(u128);

impl Depths {
    /// The depths of either set.
    #[inline]
    pub(crate) fn or(self, other: Depths) -> Depths {
        Depths(self.0 | other.0)
    }
}

impl Iterator for Depths {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let depth = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(depth)
    }
}

impl DoubleEndedIterator for Depths {
    #[inline]
    fn next_back(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let depth = LABELS_MAX - self.0.leading_zeros() as usize;
        self.0 &= !(1 << depth);
        Some(depth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depths_come_in_order_and_within_bounds() {
        let mut set = DepthSet::default();
        for depth in [0, 2, 2, 5, 127] {
            set.add(depth);
        }
        assert_eq!(set.between(0, 127).collect::<Vec<_>>(), [0, 2, 5, 127]);
        assert_eq!(set.between(0, 127).rev().collect::<Vec<_>>(), [127, 5, 2, 0]);
        assert_eq!(set.between(1, 5).collect::<Vec<_>>(), [2, 5]);
        assert_eq!(set.between(3, 4).count(), 0);
        assert_eq!(set.between(6, 5).count(), 0);
        for from in 0..=127 {
            for to in 0..=127 {
                let all: Vec<usize> = set.between(from, to).collect();
                assert_eq!(set.has_between(from, to), !all.is_empty(), "{from}..={to}");
            }
        }
        assert_eq!(set.total(), 5);
        set.remove(2);
        assert_eq!(set.between(1, 4).count(), 1, "one of two is left");
        set.remove(2);
        assert_eq!(set.between(1, 4).count(), 0);
    }
}
