//! Where a key waits in a monotone priority queue: the arithmetic of a radix heap.
//!
//! A monotone queue never gives out a key smaller than the last one, its base. So a key needs no
//! place among all others, only a bucket by the highest digit in which it differs from the base
//! (Ahuja, Mehlhorn, Orlin and Tarjan, "Faster algorithms for the shortest path problem", 1990; a
//! hierarchical timing wheel, Varghese and Lauck 1987, is the same thing). Digits have six bits. A
//! bucket of level zero holds one key only; when the base moves into a bucket of a higher level,
//! its members move to lower ones, so each moves at most as often as there are levels.

const DIGIT: u32 = 6;
const BUCKETS: usize = 1 << DIGIT;
const LEVELS: usize = u64::BITS.div_ceil(DIGIT) as usize;

/// A bucket of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    level: u8,
    digit: u8,
}

impl Place {
    /// Where a key belongs that is not smaller than the base.
    #[inline]
    pub(super) fn of(key: u64, base: u64) -> Self {
        debug_assert!(
            key >= base,
            "a monotone queue was given a key from the past"
        );
        let differs = key ^ base;
        // The position of the highest bit that differs; equal keys belong to level zero.
        let level = (63 - (differs | 1).leading_zeros()) / DIGIT;
        Self {
            level: level as u8,
            digit: (key >> (level * DIGIT)) as u8 & (BUCKETS as u8 - 1),
        }
    }

    /// The smallest key that belongs here, given the base.
    pub(super) fn start(self, base: u64) -> u64 {
        let shift = u32::from(self.level) * DIGIT;
        let above = base.checked_shr(shift + DIGIT).unwrap_or(0);
        let above = above.checked_shl(shift + DIGIT).unwrap_or(0);
        above | u64::from(self.digit) << shift
    }

    pub(super) fn is_lowest(self) -> bool {
        self.level == 0
    }

    /// One number for each place, for links that end at a bucket instead of a slot.
    pub(super) fn number(self) -> u32 {
        u32::from(self.level) * BUCKETS as u32 + u32::from(self.digit)
    }

    pub(super) fn from_number(number: u32) -> Self {
        Self {
            level: (number / BUCKETS as u32) as u8,
            digit: (number % BUCKETS as u32) as u8,
        }
    }
}

/// The heads of the buckets, and which of them are in use.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Buckets {
    levels: u16,
    /// Levels that were never needed are not there.
    heads: Vec<[u32; BUCKETS]>,
    used: [u64; LEVELS],
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self {
            heads: Vec::new(),
            used: [0; LEVELS],
            levels: 0,
        }
    }

    #[inline]
    pub(super) fn head(&self, place: Place) -> u32 {
        match self.heads.get(usize::from(place.level)) {
            Some(level) => level[usize::from(place.digit)],
            None => super::NONE,
        }
    }

    #[inline]
    pub(super) fn set_head(&mut self, place: Place, head: u32) {
        let level = usize::from(place.level);
        if level >= self.heads.len() {
            self.heads.resize(level + 1, [super::NONE; BUCKETS]);
        }
        self.heads[level][usize::from(place.digit)] = head;
        let bit = 1 << place.digit;
        if head == super::NONE {
            self.used[level] &= !bit;
            if self.used[level] == 0 {
                self.levels &= !(1 << level);
            }
        } else {
            self.used[level] |= bit;
            self.levels |= 1 << level;
        }
    }

    /// The bucket with the smallest keys.
    #[inline]
    pub(super) fn lowest(&self) -> Option<Place> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let digit = self.used[level as usize].trailing_zeros();
        Some(Place {
            level: level as u8,
            digit: digit as u8,
        })
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.levels == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Place;

    proptest! {
        #[test]
        fn a_place_holds_its_keys_and_nothing_below_its_start(base: u64, more: u64, shift in 0..64u32) {
            let key = base.saturating_add(more >> shift);
            let place = Place::of(key, base);
            let start = place.start(base);
            prop_assert!(start <= key);
            prop_assert_eq!(Place::from_number(place.number()), place);
            // Seen from its start, a key moves to a lower level, or was at the lowest already.
            let later = start.max(base);
            let next = Place::of(key, later);
            prop_assert!(place.is_lowest() || next.level < place.level);
            if place.is_lowest() {
                prop_assert_eq!(start, key);
            }
        }
    }
}
