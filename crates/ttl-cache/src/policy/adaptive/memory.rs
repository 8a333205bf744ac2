//! [`Memory`]: how often keys were used that are not held any more, in two bytes a key.
//!
//! A key belongs to one bucket of eight lanes. A lane is a fingerprint of twelve bits and a count
//! of four. A newcomer takes the place of a key that was used least. So keys that were used once
//! pass through, and keys that were used often stay until their counts have faded.
//!
//! That is a bounded stand-in for the ghost queue of S3-FIFO and for the count-min sketch of
//! TinyLFU at once. A sketch of the same size takes collisions for uses, which costs most where
//! nearly all keys come once; here another key is taken for a known one in 8 of 4,096 cases at
//! most.

/// Lanes in a bucket.
const WAYS: usize = 8;

/// So many keys are remembered for each entry that there is room for.
const KEYS_PER_ENTRY: usize = 2;

/// The smallest table, 1 KiB: caches of a few entries remember more keys for each.
const MIN_BUCKETS: usize = 64;

/// The largest table, 512 MiB, whatever the capacity.
const MAX_BUCKETS: usize = 1 << 25;

/// Counts end here.
pub(super) const MAX_COUNT: u8 = 15;

/// The low bits of a lane are its count; the others are a fingerprint, or zero in a free lane.
const COUNT: u16 = MAX_COUNT as u16;

type Bucket = [u16; WAYS];

#[derive(Debug, Default)]
pub(super) struct Memory {
    buckets: Vec<Bucket>,
    /// The next bucket to fade. None is fading if there is no such bucket.
    fading: usize,
    /// How many entries the table is made for.
    entries: usize,
}

impl Memory {
    /// Makes the table fit a cache of so many entries. Forgets everything if it is too small for
    /// them or much too large.
    #[inline]
    pub(super) fn fit(&mut self, entries: usize) {
        if entries > self.entries || entries < self.entries / 4 {
            self.refit(entries);
        }
    }

    #[cold]
    #[inline(never)]
    fn refit(&mut self, entries: usize) {
        // A cache that is bounded by weight holds now more entries and now fewer.
        self.entries = entries + entries / 8;
        let wanted = self.entries.saturating_mul(KEYS_PER_ENTRY) / WAYS;
        let wanted = wanted.clamp(MIN_BUCKETS, MAX_BUCKETS);
        if wanted != self.buckets.len() {
            self.buckets = vec![[0; WAYS]; wanted];
            self.fading = wanted;
        }
    }

    /// Has the processor fetch the bucket of a key.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        let (at, _, _) = self.place(hash);
        if let Some(lanes) = self.buckets.get(at) {
            crate::store::prefetch(lanes);
        }
    }

    /// Takes out the count of a key, if it is remembered.
    #[inline]
    pub(super) fn take(&mut self, hash: u32) -> Option<u8> {
        let (at, print, _) = self.place(hash);
        let lanes = self.buckets.get_mut(at)?;
        // All lanes at once: a search that stops early is mispredicted nearly every time.
        let found = least_rank(lanes, |i, lane| {
            if lane & !COUNT == print {
                i - WAYS as i16
            } else {
                0
            }
        });
        let lane = lanes.get_mut((found + WAYS as i16) as usize)?;
        let count = *lane & COUNT;
        *lane = 0;
        Some(count as u8)
    }

    /// Remembers the count of a key that is not remembered.
    #[inline]
    pub(super) fn put(&mut self, hash: u32, count: u8) {
        let (at, print, first) = self.place(hash);
        let Some(lanes) = self.buckets.get_mut(at) else {
            return;
        };
        let least = least_rank(lanes, |i, lane| {
            let uses = i16::from(lane != 0) + (lane & COUNT) as i16;
            // Among equals, the first from a place on that depends on the key.
            uses * WAYS as i16 + (first ^ i)
        });
        let place = first ^ (least % WAYS as i16);
        lanes[place as usize] = print | u16::from(count.min(MAX_COUNT));
    }

    /// From now on, [`fade`](Self::fade) halves every count once.
    pub(super) fn begin_fading(&mut self) {
        self.fading = 0;
    }

    /// Halves the counts of the next `buckets` buckets. A key whose count comes to nothing is
    /// still remembered. Returns whether there are more.
    pub(super) fn fade(&mut self, buckets: usize) -> bool {
        if self.fading >= self.buckets.len() {
            return false;
        }
        let end = (self.fading + buckets).min(self.buckets.len());
        for lane in self.buckets[self.fading..end].as_flattened_mut() {
            *lane = (*lane & !COUNT) | ((*lane & COUNT) >> 1);
        }
        self.fading = end;
        end < self.buckets.len()
    }

    /// The bucket, the fingerprint, and the lane to begin with of a key.
    #[inline]
    fn place(&self, hash: u32) -> (usize, u16, i16) {
        // The callers' hashes may have spent their best bits on choosing a shard.
        let spread = u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let at = ((spread >> 32) * self.buckets.len() as u64) >> 32;
        let print = ((spread >> 16) as u16 & !COUNT).max(COUNT + 1);
        (at as usize, print, ((spread >> 16) & 7) as i16)
    }
}

/// The smallest rank of a lane. In a form that compiles to instructions on all lanes at once.
#[inline]
fn least_rank(lanes: &Bucket, rank: impl Fn(i16, u16) -> i16) -> i16 {
    let ranks: [i16; WAYS] = std::array::from_fn(|i| rank(i as i16, lanes[i]));
    ranks.into_iter().fold(i16::MAX, i16::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_taken_once() {
        let mut memory = Memory::default();
        assert_eq!(memory.take(7), None);
        memory.put(7, 3);
        assert_eq!(memory.take(7), None, "there is no table yet");
        memory.fit(100);
        memory.put(7, 3);
        assert_eq!(memory.take(7), Some(3));
        assert_eq!(memory.take(7), None);
    }

    #[test]
    fn what_was_used_least_is_forgotten_first() {
        let mut memory = Memory::default();
        memory.fit(1);
        let mine = memory.place(1).0;
        let same = (1..u32::MAX).filter(|hash| memory.place(*hash).0 == mine);
        let keys: Vec<u32> = same.take(WAYS + 3).collect();
        memory.put(keys[0], 9);
        for key in &keys[1..] {
            memory.put(*key, 1);
        }
        assert_eq!(memory.take(keys[0]), Some(9));
        let once = keys[1..].iter().filter(|key| memory.take(**key).is_some());
        assert_eq!(once.count(), WAYS - 1);
    }

    #[test]
    fn fading_halves_every_count_once() {
        let mut memory = Memory::default();
        memory.fit(1000);
        for hash in 0..500 {
            memory.put(hash, 9);
        }
        memory.begin_fading();
        for _ in 0..100 {
            memory.fade(7);
        }
        let left: Vec<u8> = (0..500).filter_map(|hash| memory.take(hash)).collect();
        assert!(left.len() > 450, "{} left", left.len());
        assert!(left.iter().all(|count| *count == 4), "{left:?}");
    }

    #[test]
    fn strangers_are_seldom_taken_for_known_keys() {
        let mut memory = Memory::default();
        memory.fit(4096);
        let mix = |key: u32| (u64::from(key).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 29) as u32;
        (0..8192).for_each(|key| memory.put(mix(key), 1));
        let wrong = (8192..108_192).filter(|key| memory.take(mix(*key)).is_some());
        assert!(wrong.count() < 500);
    }
}
