//! Tags: names that several entries share, so that they can be invalidated together.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use crate::budget::Hand;
use crate::cache::Cache;
use crate::error::{InsertError, Refusal};
use crate::inner::{Condition, Inner, MAINTAIN_STEPS, Written};
use crate::removal::RemovalCause;

/// An entry has so many tags at most.
pub(crate) const MAX_TAGS: usize = 64;

/// A tag is so many bytes long at most.
pub(crate) const MAX_TAG_BYTES: usize = 1_000;

type Quick = foldhash::fast::RandomState;

/// The tags of a shard's entries, under its lock. Both maps say the same: `tagged[t]` holds a slot
/// if and only if `of[slot]` holds `t`; neither holds empty lists.
#[derive(Debug, Default)]
pub(crate) struct Tags {
    tagged: HashMap<Arc<str>, HashSet<u32, Quick>, foldhash::quality::RandomState>,
    of: HashMap<u32, Box<[Arc<str>]>, Quick>,
}

impl Tags {
    /// Gives an entry its tags. It has none.
    pub(crate) fn set(&mut self, slot: u32, tags: &[Arc<str>]) {
        let mut own = Vec::with_capacity(tags.len());
        for tag in tags {
            // One copy of the text for all entries.
            let tag = match self.tagged.get_key_value(tag) {
                Some((known, _)) => Arc::clone(known),
                None => Arc::clone(tag),
            };
            if (self.tagged.entry(Arc::clone(&tag)).or_default()).insert(slot) {
                own.push(tag);
            }
        }
        self.of.insert(slot, own.into_boxed_slice());
    }

    /// The entry in this slot has gone, or has another value.
    pub(crate) fn forget(&mut self, slot: u32) {
        for tag in self.of.remove(&slot).unwrap_or_default() {
            if let Some(slots) = self.tagged.get_mut(&tag) {
                slots.remove(&slot);
                if slots.is_empty() {
                    self.tagged.remove(&tag);
                }
            }
        }
    }

    /// The tags of an entry.
    #[cfg(feature = "serde")]
    pub(crate) fn of(&self, slot: u32) -> &[Arc<str>] {
        self.of.get(&slot).map_or(&[], |tags| tags)
    }

    /// Up to so many entries with a tag.
    fn some(&self, tag: &str, at_most: usize) -> Vec<u32> {
        let slots = self.tagged.get(tag).into_iter().flatten();
        slots.copied().take(at_most).collect()
    }

    fn count(&self, tag: &str) -> usize {
        self.tagged.get(tag).map_or(0, HashSet::len)
    }

    /// Whether both maps say the same, and of entries that `lives` knows.
    pub(crate) fn are_sound(&self, lives: impl Fn(u32) -> bool) -> bool {
        let sets = self.tagged.values().map(HashSet::len).sum::<usize>();
        let lists = self.of.values().map(|tags| tags.len()).sum::<usize>();
        sets == lists && self.of.keys().all(|&slot| lives(slot))
    }
}

/// Whether the tags are few and short enough.
pub(crate) fn checked(tags: &[Arc<str>]) -> Result<(), Refusal> {
    if tags.len() > MAX_TAGS {
        return Err(Refusal::TooManyTags {
            tags: tags.len(),
            allowed: MAX_TAGS,
        });
    }
    match tags.iter().map(|tag| tag.len()).max() {
        Some(bytes) if bytes > MAX_TAG_BYTES => Err(Refusal::TagTooLong {
            bytes,
            allowed: MAX_TAG_BYTES,
        }),
        _ => Ok(()),
    }
}

impl<K, V, S> Cache<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Writes a value with tags, by which [`invalidate_tag`](Self::invalidate_tag) finds it.
    /// Returns the live value that was there.
    ///
    /// The tags belong to this value: whoever writes the key again says its tags anew, or it has
    /// none. A tag that is given twice counts once.
    ///
    /// # Errors
    ///
    /// More than 64 tags, a tag of more than 1,000 bytes, and those of
    /// [`try_insert`](Self::try_insert): the cache is unchanged, and the entry is given back.
    pub fn insert_tagged(
        &self,
        key: K,
        value: V,
        tags: impl IntoIterator<Item = impl Into<Arc<str>>>,
    ) -> Result<Option<V>, InsertError<K, V>>
    where
        V: Clone,
    {
        // One more than allowed is enough to know that there are too many.
        let tags: Vec<Arc<str>> = tags
            .into_iter()
            .take(MAX_TAGS + 1)
            .map(Into::into)
            .collect();
        if let Err(reason) = checked(&tags) {
            return Err(InsertError { key, value, reason });
        }
        if !self.inner.is_enabled() {
            return Ok(None);
        }
        let hash = self.inner.hash(&key);
        let terms = match self.inner.terms(&key, &value, hash, None) {
            Ok(terms) => terms,
            Err(reason) => return Err(InsertError { key, value, reason }),
        };
        match (self.inner).write_tagged(key, value, hash, terms, Condition::Always, &tags) {
            Written::Done(previous) => Ok(previous),
            Written::Refused(key, value, reason) => Err(InsertError { key, value, reason }),
            Written::Not(..) => unreachable!("there was no condition"),
        }
    }

    /// Takes out all entries with a tag. Returns how many live ones there were.
    ///
    /// Costs what it takes out, not what the cache holds. Entries whose insertion begins after this
    /// has returned stay. Loads in progress give their results to those who wait, and do not store
    /// them, whatever their keys: an entry that they are to replace might have had the tag.
    pub fn invalidate_tag(&self, tag: &str) -> u64 {
        self.inner.remove_tagged(tag)
    }

    /// Takes out all entries whose keys begin with `prefix`. Returns how many live ones there were.
    ///
    /// Looks at every entry, a few at a time. Loads in progress give their results to those who
    /// wait, and do not store them.
    pub fn invalidate_prefix(&self, prefix: &str) -> u64
    where
        K: Borrow<str> + Clone,
        V: Clone,
    {
        self.inner.forbid_loads();
        self.inner
            .remove_if(|key, _| key.borrow().starts_with(prefix))
    }
}

impl<K, V, S> Inner<K, V, S>
where
    K: Hash + Eq,
    S: BuildHasher,
{
    /// Loads in progress, of whatever key, are not to be stored.
    fn forbid_loads(&self) {
        for shard in self.shards() {
            shard.write().watches.wrote_all();
        }
    }

    fn remove_tagged(&self, tag: &str) -> u64 {
        self.forbid_loads();
        let mut live = 0;
        for shard in self.shards() {
            let count = |tags: &Tags| tags.count(tag);
            // Entries that are tagged meanwhile are not waited for.
            let mut left = shard.read().tags.as_deref().map_or(0, count);
            while left > 0 {
                let mut removed = self.deliveries.removed();
                let mut hand = Hand::empty(&self.budget);
                let mut writing = shard.write();
                let now = self.clock.now();
                let some = |tags: &Tags| tags.some(tag, left.min(MAINTAIN_STEPS));
                let slots = writing.tags.as_deref().map_or_else(Vec::new, some);
                for &slot in &slots {
                    let expired = writing.slab.deadline(slot) <= now;
                    let cause = if expired {
                        RemovalCause::Expired
                    } else {
                        RemovalCause::Explicit
                    };
                    let (key, value, freed) = writing.remove(slot, cause);
                    removed.push(key, value, cause);
                    hand.room = hand.room.plus(freed);
                    live += u64::from(!expired);
                }
                left = if slots.is_empty() {
                    0
                } else {
                    left - slots.len()
                };
                drop(hand);
                self.leave(writing, removed);
            }
        }
        live
    }
}
