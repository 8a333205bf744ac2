//! [`Open`]: the batches that still take keys, one per partition, the oldest first.
//!
//! It knows no lock. Foreign code runs in [`Open::find`] only (`Eq` of a partition), which changes
//! nothing. Invariants:
//!
//! 1. Entries are sorted by number, so by age.
//! 2. `newest[hash]` is the number of the newest entry with that hash, and `older` leads from it
//!    to all others with the same hash, which are there only if hashes collide.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

#[derive(Debug)]
pub(super) struct Open<P, B> {
    entries: VecDeque<Entry<P, B>>,
    newest: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    next: u64,
}

#[derive(Debug)]
pub(super) struct Entry<P, B> {
    number: u64,
    hash: u64,
    older: Option<u64>,
    pub(super) partition: P,
    pub(super) batch: B,
}

impl<P, B> Open<P, B> {
    pub(super) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            newest: HashMap::default(),
            next: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of the oldest batch.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.number)
    }

    /// The number that the next batch will have.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    /// The batch of a partition.
    pub(super) fn find(&self, hash: u64, partition: &P) -> Option<&B>
    where
        P: Eq,
    {
        // With one partition, or a run of one, the newest is the one.
        let newest = self.entries.back()?;
        if newest.hash == hash && newest.partition == *partition {
            return Some(&newest.batch);
        }
        let mut number = self.newest.get(&hash).copied();
        while let Some(entry) = number.and_then(|number| self.get(number)) {
            if entry.partition == *partition {
                return Some(&entry.batch);
            }
            number = entry.older;
        }
        None
    }

    /// Adds a batch; its partition must have none.
    pub(super) fn push(&mut self, hash: u64, partition: P, batch: B) {
        let number = self.next;
        self.next += 1;
        let older = self.newest.insert(hash, number);
        self.entries.push_back(Entry {
            number,
            hash,
            older,
            partition,
            batch,
        });
    }

    /// Takes a batch out, if it is there.
    #[must_use = "a partition is dropped after the lock is released"]
    pub(super) fn remove(&mut self, number: u64) -> Option<Entry<P, B>> {
        let entry = self.entries.remove(self.place(number)?)?;
        let head = self.newest.get_mut(&entry.hash);
        let head = head.expect("every hash in the list has a newest entry");
        if *head == number {
            match entry.older {
                Some(older) => *head = older,
                None => drop(self.newest.remove(&entry.hash)),
            }
            return Some(entry);
        }
        let mut newer = *head;
        loop {
            let place = self.place(newer).expect("chains name entries in the list");
            let older = &mut self.entries[place].older;
            match *older {
                Some(next) if next == number => {
                    *older = entry.older;
                    return Some(entry);
                }
                Some(next) => newer = next,
                None => unreachable!("every entry of a hash is on its chain"),
            }
        }
    }

    fn get(&self, number: u64) -> Option<&Entry<P, B>> {
        self.place(number).map(|place| &self.entries[place])
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.entries
            .binary_search_by_key(&number, |entry| entry.number)
            .ok()
    }
}

/// A hasher for numbers that are hashes already.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::Open;

    #[test]
    fn colliding_partitions_stay_apart_whatever_order_they_leave_in() {
        for factor in 1..500_usize {
            let mut open = Open::new();
            let mut kept: Vec<(u64, usize)> = Vec::new();
            for step in 0..60_usize {
                let partition = step * factor % 13;
                let hash = (partition % 3) as u64;
                let known = kept.iter().any(|(_, other)| *other == partition);
                let found = open.find(hash, &partition).copied();
                assert_eq!(found, known.then_some(partition));
                if !known {
                    kept.push((open.next_number(), partition));
                    open.push(hash, partition, partition);
                } else if step % 2 == 0 {
                    let place = step * factor % kept.len();
                    let (number, partition) = kept.remove(place);
                    let entry = open.remove(number).unwrap();
                    assert_eq!((entry.partition, entry.batch), (partition, partition));
                    assert!(open.remove(number).is_none());
                }
                assert_eq!(open.len(), kept.len());
                assert_eq!(open.oldest(), kept.first().map(|(number, _)| *number));
            }
            for (number, _) in kept {
                assert!(open.remove(number).is_some());
            }
            assert!(open.newest.is_empty());
        }
    }
}
