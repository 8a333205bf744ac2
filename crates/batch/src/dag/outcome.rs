//! [`Outcome`]: what became of a node, and [`Node`]: a node whose turn it is.

use std::fmt;
use std::ops::Deref;

use crate::cancel::Stopped;
use crate::error::ItemError;

/// What became of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<T, E> {
    /// It ran and succeeded.
    Done(T),
    /// It ran and failed.
    Failed(ItemError<E>),
    /// It never ran and never could have, because dependencies failed or were themselves blocked.
    Blocked {
        /// The direct dependencies that failed or were blocked.
        by: Causes,
    },
    /// The run was over before the node was.
    Stopped {
        /// Whether it had started. Then its future was dropped half way.
        started: bool,
        /// What ended the run.
        why: Stopped,
    },
}

impl<T, E> Outcome<T, E> {
    /// What the node returned, if it succeeded.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Failed(_) | Self::Blocked { .. } | Self::Stopped { .. } => None,
        }
    }

    /// Whether the node ran and succeeded.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// Stands in for an outcome that is not there yet. Costs nothing; no node that is blocked has
    /// an empty list of causes.
    pub(crate) const fn placeholder() -> Self {
        Self::Blocked { by: Causes(None) }
    }

    pub(crate) fn is_placeholder(&self) -> bool {
        matches!(self, Self::Blocked { by: Causes(None) })
    }
}

/// The indexes of the nodes that blocked another, ascending. One pointer wide, so that outcomes
/// stay small; it reads as a slice.
///
/// ```
/// use brolly_batch::Causes;
///
/// let by = Causes::from([4, 2]);
/// assert_eq!(*by, [2, 4]);
/// assert!(by.contains(&4));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Causes(Option<Box<Indexes>>);

/// Boxed once more, because a slice's own pointer is two wide.
#[derive(Clone, PartialEq, Eq)]
struct Indexes(Box<[usize]>);

impl Deref for Causes {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        self.0.as_ref().map_or(&[], |indexes| &indexes.0)
    }
}

/// Sorts the indexes and drops repetitions.
impl From<Vec<usize>> for Causes {
    fn from(mut indexes: Vec<usize>) -> Self {
        indexes.sort_unstable();
        indexes.dedup();
        Self((!indexes.is_empty()).then(|| Box::new(Indexes(indexes.into()))))
    }
}

/// Sorts the indexes and drops repetitions.
impl<const N: usize> From<[usize; N]> for Causes {
    fn from(indexes: [usize; N]) -> Self {
        Vec::from(indexes).into()
    }
}

impl<'a> IntoIterator for &'a Causes {
    type Item = &'a usize;
    type IntoIter = std::slice::Iter<'a, usize>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A node of a [`Dag`](crate::Dag) whose turn it is.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node<'a, K> {
    /// Its position in the order of insertion.
    pub index: usize,
    /// Its name.
    pub key: &'a K,
}

impl<K> Clone for Node<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Node<'_, K> {}

impl<'a, K> Node<'a, K> {
    pub(crate) fn new(index: usize, key: &'a K) -> Self {
        Self { index, key }
    }
}
