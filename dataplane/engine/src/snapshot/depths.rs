//! At which depths of names something stands: what spares the packet path most of its probes.

use crate::limits::LABELS_MAX;

/// How many names of one kind there are at each depth (number of labels).
#[derive(Clone, Debug)]
pub(crate) struct DepthSet {
    /// Names by depth.
    counts: [u32; LABELS_MAX + 1],
    /// Bit `d` is set where `counts[d]` is not zero.
    mask: u128,
}

impl Default for DepthSet {
    fn default() -> Self {
        Self { counts: [0; LABELS_MAX + 1], mask: 0 }
    }
}

const _: () = assert!(LABELS_MAX < 128);

impl DepthSet {
    /// Counts one more name.
    pub(super) fn add(&mut self, depth: usize) {
        if let Some(count) = self.counts.get_mut(depth) {
            *count += 1;
            self.mask |= 1 << depth;
        }
    }

    /// Counts one name less.
    pub(super) fn remove(&mut self, depth: usize) {
        if let Some(count) = self.counts.get_mut(depth) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.mask &= !(1 << depth);
            }
        }
    }

    /// The depths of the set that lie in `from..=to`, as bits.
    #[inline]
    pub(crate) fn between(&self, from: usize, to: usize) -> Depths {
        if from > to || to > LABELS_MAX {
            return Depths(0);
        }
        Depths(self.mask & (u128::MAX << from) & (u128::MAX >> (LABELS_MAX - to)))
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
        set.remove(2);
        assert_eq!(set.between(1, 4).count(), 1, "one of two is left");
        set.remove(2);
        assert_eq!(set.between(1, 4).count(), 0);
    }
}
