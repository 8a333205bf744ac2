//! What can be wrong with a graph. All errors are reported together.

use std::fmt;

/// One thing that is wrong with a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DagError<K> {
    /// A node appears more than once. Reported once for each repetition.
    #[error("node {node:?} is defined more than once")]
    DuplicateNode {
        /// The repeated node.
        node: K,
    },
    /// A node depends on something that is not a node. Reported once for each such dependency of a
    /// node, however often it is named.
    #[error("node {node:?} depends on {dependency:?}, which is not a node")]
    UnknownDependency {
        /// The node with the dependency.
        node: K,
        /// What it names.
        dependency: K,
    },
    /// Some nodes wait for each other.
    #[error("dependency cycle: {}", Path(.path))]
    Cycle {
        /// Exactly the nodes of one cycle: each depends on the next, and the last on the first. A
        /// node that depends on itself stands alone.
        path: Vec<K>,
    },
    /// An edge of a dense graph names an index that is not a node.
    #[error("edge {edge:?} leaves the range of {nodes} nodes")]
    OutOfRange {
        /// The edge as it was given.
        edge: (u32, u32),
        /// How many nodes there are.
        nodes: usize,
    },
    /// There are more nodes or edges than 32-bit indexes can count.
    #[error("{count} {what} are more than the {max} a graph can hold")]
    TooLarge {
        /// `"nodes"` or `"edges"`.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

/// Everything that is wrong with a graph; never empty.
///
/// Duplicate nodes and unknown dependencies come in the order of the input, then the cycles.
/// Every cycle of the graph shares a node with a reported one, and no two reported ones share any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DagErrors<K> {
    errors: Vec<DagError<K>>,
}

impl<K> DagErrors<K> {
    /// `None` if there is nothing wrong.
    pub(crate) fn new(errors: Vec<DagError<K>>) -> Option<Self> {
        (!errors.is_empty()).then_some(Self { errors })
    }

    pub(crate) fn one(error: DagError<K>) -> Self {
        Self {
            errors: vec![error],
        }
    }

    /// The first error.
    #[must_use]
    pub fn first(&self) -> &DagError<K> {
        self.errors.first().expect("never empty")
    }

    /// All errors in order.
    pub fn iter(&self) -> std::slice::Iter<'_, DagError<K>> {
        self.errors.iter()
    }

    /// How many errors there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it never is empty")]
    pub fn len(&self) -> usize {
        self.errors.len()
    }
}

impl<K: fmt::Debug> std::error::Error for DagErrors<K> {}

impl<K: fmt::Debug> fmt::Display for DagErrors<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl<K> IntoIterator for DagErrors<K> {
    type Item = DagError<K>;
    type IntoIter = std::vec::IntoIter<DagError<K>>;

    fn into_iter(self) -> Self::IntoIter {
        self.errors.into_iter()
    }
}

impl<'a, K> IntoIterator for &'a DagErrors<K> {
    type Item = &'a DagError<K>;
    type IntoIter = std::slice::Iter<'a, DagError<K>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Writes a cycle as a closed walk: `"a" -> "b" -> "a"`.
struct Path<'a, K>(&'a [K]);

impl<K: fmt::Debug> fmt::Display for Path<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in self.0 {
            write!(f, "{node:?} -> ")?;
        }
        match self.0.first() {
            Some(first) => write!(f, "{first:?}"),
            None => Ok(()),
        }
    }
}
