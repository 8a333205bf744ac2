//! [`RankSet`]: a set of small numbers that hands out the least one.
//!
//! A tree of 64-bit words, as deep as the logarithm to base 64 of its capacity: four words for a
//! million numbers. Inserting and taking are a few bit operations each, without comparisons.

const BITS: usize = u64::BITS as usize;

pub(crate) struct RankSet {
    /// From the numbers up; the last level is one word.
    levels: Vec<Box<[u64]>>,
}

impl RankSet {
    pub(crate) fn new(capacity: usize) -> Self {
        let mut levels = Vec::new();
        let mut words = capacity.max(1);
        loop {
            words = words.div_ceil(BITS);
            levels.push(vec![0; words].into());
            if words == 1 {
                return Self { levels };
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.last().is_none_or(|root| root[0] == 0)
    }

    pub(crate) fn insert(&mut self, number: usize) {
        let mut position = number;
        for level in &mut self.levels {
            let word = &mut level[position / BITS];
            let was_empty = *word == 0;
            *word |= 1 << (position % BITS);
            if !was_empty {
                return;
            }
            position /= BITS;
        }
    }

    pub(crate) fn take_least(&mut self) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let least = self.levels.iter().rev().fold(0, |word, level| {
            word * BITS + level[word].trailing_zeros() as usize
        });
        let mut position = least;
        for level in &mut self.levels {
            let word = &mut level[position / BITS];
            *word &= !(1 << (position % BITS));
            if *word != 0 {
                break;
            }
            position /= BITS;
        }
        Some(least)
    }
}
