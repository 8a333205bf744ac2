//! [`RankSet`]: a set of small numbers that hands out the least one.
//!
//! A tree of 64-bit words, as deep as the logarithm to base 64 of its capacity: four words for a
//! million numbers. Inserting and taking are a few bit operations each. A run mostly takes numbers
//! close to each other, so the word of the last one is looked at before the tree is searched.

const BITS: usize = u64::BITS as usize;

pub(crate) struct RankSet {
    /// From the numbers up; the last level is one word.
    levels: Vec<Box<[u64]>>,
    /// All words of the lowest level before this one are empty.
    first: usize,
}

impl RankSet {
    pub(crate) fn new(capacity: usize) -> Self {
        let mut levels = Vec::new();
        let mut words = capacity.max(1);
        loop {
            words = words.div_ceil(BITS);
            levels.push(vec![0; words].into());
            if words == 1 {
                return Self { levels, first: 0 };
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.levels.last().is_none_or(|root| root[0] == 0)
    }

    pub(crate) fn contains(&self, number: usize) -> bool {
        self.levels[0][number / BITS] & (1 << (number % BITS)) != 0
    }

    pub(crate) fn insert(&mut self, number: usize) {
        self.first = self.first.min(number / BITS);
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
        if self.levels[0][self.first] == 0 {
            self.first = self.search()?;
        }
        let word = &mut self.levels[0][self.first];
        let least = self.first * BITS + word.trailing_zeros() as usize;
        *word &= *word - 1;
        if *word == 0 {
            self.clear_above(self.first);
        }
        Some(least)
    }

    /// The first word of the lowest level that is not empty.
    fn search(&self) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let above = self.levels[1..].iter().rev();
        Some(above.fold(0, |word, level| {
            word * BITS + level[word].trailing_zeros() as usize
        }))
    }

    /// Notes that a word of the lowest level has become empty.
    fn clear_above(&mut self, mut position: usize) {
        for level in &mut self.levels[1..] {
            let word = &mut level[position / BITS];
            *word &= !(1 << (position % BITS));
            if *word != 0 {
                return;
            }
            position /= BITS;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::RankSet;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_behaves_like_a_sorted_set(
            capacity in prop_oneof![1_usize..200, Just(4_096), Just(4_097), 200_000_usize..300_000],
            ops in prop::collection::vec(any::<Option<prop::sample::Index>>(), 0..300),
        ) {
            let (mut set, mut model) = (RankSet::new(capacity), BTreeSet::new());
            for op in ops {
                match op.map(|index| index.index(capacity)) {
                    Some(number) => {
                        prop_assert_eq!(set.contains(number), model.contains(&number));
                        set.insert(number);
                        model.insert(number);
                    }
                    None => prop_assert_eq!(set.take_least(), model.pop_first()),
                }
                prop_assert_eq!(set.is_empty(), model.is_empty());
            }
            while let Some(least) = model.pop_first() {
                prop_assert_eq!(set.take_least(), Some(least));
            }
            prop_assert_eq!(set.take_least(), None);
        }
    }
}
