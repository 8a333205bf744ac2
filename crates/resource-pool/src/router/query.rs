//! [`Query`]: what a pick asks for; [`Fallback`]: whether another will do; [`PickReason`]: what came of
//! it.

use std::fmt;
use std::hash::Hash;

use crate::router::hash::hash_of;

/// What a pick asks for. Without anything, every target will do.
///
/// Everything that is asked for has to be met, unless a [`Fallback`] says otherwise.
#[must_use = "it has to be given to a router"]
pub struct Query<'a, K> {
    pub(super) affinity: Affinity<'a, K>,
    pub(super) affinity_fallback: Fallback,
    pub(super) tags: &'a [&'a str],
    pub(super) tags_fallback: Fallback,
    pub(super) among: Option<&'a [K]>,
    pub(super) except: &'a [K],
}

pub(super) enum Affinity<'a, K> {
    None,
    Key(u64),
    Id(&'a K),
}

/// What happens when what is asked for cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The next best is picked, and the lease says so.
    Another,
    /// Nobody is picked.
    Nobody,
}

/// Why this target was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PickReason {
    /// By the router's strategy; no target in particular was asked for.
    Strategy,
    /// It is the one that was asked for, or whose key it is.
    Affinity,
    /// Another, by the strategy: the id that was asked for is not known.
    UnknownId,
    /// Another, by the strategy or, for a key, the next in the key's own order: the one that was asked
    /// for is left out, suspended or not allowed.
    Unavailable,
    /// None that will do has the tags.
    TagsIgnored,
}

impl PickReason {
    /// Whether it is another target than was asked for.
    #[must_use]
    pub fn is_fallback(self) -> bool {
        !matches!(self, Self::Strategy | Self::Affinity)
    }
}

impl<'a, K> Query<'a, K> {
    /// Every target will do.
    pub fn new() -> Self {
        Self {
            affinity: Affinity::None,
            affinity_fallback: Fallback::Another,
            tags: &[],
            tags_fallback: Fallback::Nobody,
            among: None,
            except: &[],
        }
    }

    /// The target to which this key belongs, by rendezvous hashing among all that have the tags and
    /// are allowed: the same one in every process, as long as it is there. Replaces
    /// [`id`](Self::id). O(n).
    #[doc(alias = "sticky")]
    #[doc(alias = "consistent_hash")]
    pub fn key(mut self, key: &(impl Hash + ?Sized), fallback: Fallback) -> Self {
        self.affinity = Affinity::Key(hash_of(key));
        self.affinity_fallback = fallback;
        self
    }

    /// The target of this id. Replaces [`key`](Self::key).
    pub fn id(mut self, id: &'a K, fallback: Fallback) -> Self {
        self.affinity = Affinity::Id(id);
        self.affinity_fallback = fallback;
        self
    }

    /// Only targets that have all these tags.
    pub fn tags(mut self, tags: &'a [&'a str], fallback: Fallback) -> Self {
        self.tags = tags;
        self.tags_fallback = fallback;
        self
    }

    /// Only these. Unknown ones are passed over; of none at all, nobody is picked.
    #[doc(alias = "allow_list")]
    pub fn among(mut self, ids: &'a [K]) -> Self {
        self.among = Some(ids);
        self
    }

    /// Not these, such as those that were tried already.
    pub fn except(mut self, ids: &'a [K]) -> Self {
        self.except = ids;
        self
    }
}

impl<'a, K: AsRef<str>> Query<'a, K> {
    /// Only these, where `*` among them stands for all: an allow list as it stands in settings.
    pub fn allowed(mut self, names: &'a [K]) -> Self {
        let all = names.iter().any(|it| it.as_ref() == "*");
        self.among = (!all).then_some(names);
        self
    }
}

impl<K> Query<'_, K> {
    pub(super) fn is_for_an_id(&self) -> bool {
        matches!(self.affinity, Affinity::Id(_))
    }
}

impl<K> Default for Query<'_, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> Clone for Query<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Query<'_, K> {}

impl<K> Clone for Affinity<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Affinity<'_, K> {}

impl<K> fmt::Debug for Query<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let affinity = match self.affinity {
            Affinity::None => "none",
            Affinity::Key(_) => "a key",
            Affinity::Id(_) => "an id",
        };
        f.debug_struct("Query")
            .field("affinity", &affinity)
            .field("tags", &self.tags)
            .field("among", &self.among.map(<[K]>::len))
            .field("except", &self.except.len())
            .finish_non_exhaustive()
    }
}
