//! [`Tags`]: the tags of all targets, one bit each.

use std::sync::Arc;

use crate::router::error::TargetError;

/// How many different tags there may be: the bits of a number.
pub(super) const MOST: usize = 64;

/// A tag has a bit as long as a target has the tag.
#[derive(Default)]
pub(super) struct Tags {
    tags: Vec<Tag>,
}

struct Tag {
    name: Arc<str>,
    targets: usize,
}

impl Tags {
    /// The bits of these tags, each of which one more target has now.
    pub(super) fn add(&mut self, names: &[Arc<str>]) -> Result<u64, TargetError> {
        let mut bits = 0;
        for name in names {
            let Some(bit) = self.bit(name).or_else(|| self.make(name)) else {
                self.remove(bits);
                return Err(TargetError::TooManyTags { max: MOST });
            };
            // One that is named twice counts once.
            if bits & (1 << bit) == 0 {
                bits |= 1 << bit;
                self.tags[bit].targets += 1;
            }
        }
        Ok(bits)
    }

    /// One target less has these.
    pub(super) fn remove(&mut self, bits: u64) {
        for (bit, tag) in self.tags.iter_mut().enumerate() {
            tag.targets -= usize::from(bits & (1 << bit) != 0);
        }
    }

    /// The bits of these tags; `None` if there is one that nobody has.
    pub(super) fn bits(&self, names: &[&str]) -> Option<u64> {
        names
            .iter()
            .try_fold(0, |bits, name| Some(bits | 1 << self.bit(name)?))
    }

    fn bit(&self, name: &str) -> Option<usize> {
        let in_use = |it: &Tag| it.targets > 0 && *it.name == *name;
        self.tags.iter().position(in_use)
    }

    fn make(&mut self, name: &Arc<str>) -> Option<usize> {
        let tag = Tag {
            name: Arc::clone(name),
            targets: 0,
        };
        match self.tags.iter().position(|it| it.targets == 0) {
            Some(bit) => {
                self.tags[bit] = tag;
                Some(bit)
            }
            None if self.tags.len() < MOST => {
                self.tags.push(tag);
                Some(self.tags.len() - 1)
            }
            None => None,
        }
    }
}
