//! [`Dag`]: a graph whose nodes have names.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::hash::Hash;

use crate::dag::build;
use crate::dag::dense::DenseDag;
use crate::dag::error::{DagError, DagErrors};
use crate::dag::join::Join;
use crate::dag::outcome::{Node, Outcome};
use crate::dag::runner::DagRunner;
use crate::error::ConfigError;

/// An immutable dependency graph over named nodes.
///
/// Nodes keep the order in which they were given; a node's position in it is its index. The graph
/// is built once and can be run any number of times, also at the same time.
///
/// ```
/// use brolly_batch::{Dag, Outcome};
///
/// let dag = Dag::from_dependencies([
///     ("app", vec!["lib", "docs"]),
///     ("docs", vec![]),
///     ("lib", vec!["core"]),
///     ("core", vec![]),
/// ])?;
/// assert_eq!(dag.levels(), [vec!["core", "docs"], vec!["lib"], vec!["app"]]);
///
/// let outcomes = dag.run_blocking(4, |node| match *node.key {
///     "lib" => Err("does not compile"),
///     name => Ok(name.len()),
/// })?;
/// assert_eq!(outcomes[1], Outcome::Done(4));
/// assert_eq!(outcomes[0], Outcome::Blocked { by: [2].into() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "graph")]
#[doc(alias = "toposort")]
pub struct Dag<K> {
    keys: Box<[K]>,
    /// The indexes of the nodes in the order of their keys.
    by_key: Box<[u32]>,
    dense: DenseDag,
}

impl<K: Clone + Eq + Hash + Ord> Dag<K> {
    /// Builds the graph from its nodes, each with the nodes it depends on.
    ///
    /// A dependency that a node names twice counts once. The input may name nodes before they are
    /// defined. Time is linear but for sorting the names.
    ///
    /// # Errors
    ///
    /// All of them at once: [`DagError::DuplicateNode`], [`DagError::UnknownDependency`] and
    /// [`DagError::Cycle`]. Of a node that is defined twice, the first definition counts when
    /// cycles are looked for.
    pub fn from_dependencies<I, D>(nodes: I) -> Result<Self, DagErrors<K>>
    where
        I: IntoIterator<Item = (K, D)>,
        D: IntoIterator<Item = K>,
    {
        let mut keys = Vec::new();
        let mut dependencies = Vec::new();
        let mut ends = Vec::new();
        for (key, its_dependencies) in nodes {
            keys.push(key);
            // Not `extend`, which reserves whatever the size hint says, and aborts if it is absurd.
            for dependency in its_dependencies {
                dependencies.push(dependency);
            }
            ends.push(dependencies.len());
        }

        for (what, count) in [("nodes", keys.len()), ("edges", dependencies.len())] {
            if let Err(error) = build::checked_count(what, count) {
                return Err(DagErrors::one(error));
            }
        }

        let mut errors = Vec::new();
        let mut edges = Vec::with_capacity(dependencies.len());
        {
            let mut index_of = HashMap::with_capacity(keys.len());
            for (index, key) in (0_u32..).zip(&keys) {
                index_of.entry(key).or_insert(index);
            }
            // Per dependency, the last node that named it: finds repetitions without sorting.
            let mut named_by = vec![u32::MAX; keys.len()];
            let mut unknown = HashSet::new();
            let mut start = 0;
            for ((index, key), &end) in (0_u32..).zip(&keys).zip(&ends) {
                let node = index_of[key];
                let first_definition = node == index;
                if !first_definition {
                    errors.push(DagError::DuplicateNode { node: key.clone() });
                }
                for dependency in &dependencies[start..end] {
                    match index_of.get(dependency) {
                        Some(&on) if named_by[on as usize] != index => {
                            named_by[on as usize] = index;
                            if first_definition {
                                edges.push((on, index));
                            }
                        }
                        Some(_) => {}
                        None if unknown.insert((node, dependency)) => {
                            errors.push(DagError::UnknownDependency {
                                node: key.clone(),
                                dependency: dependency.clone(),
                            });
                        }
                        None => {}
                    }
                }
                start = end;
            }
        }

        let dense = DenseDag::build(keys.len(), &edges);
        match dense {
            Ok(dense) if errors.is_empty() => {
                let mut by_key: Vec<u32> = (0..).zip(&keys).map(|(index, _)| index).collect();
                by_key.sort_unstable_by(|&a, &b| keys[a as usize].cmp(&keys[b as usize]));
                Ok(Self {
                    keys: keys.into(),
                    by_key: by_key.into(),
                    dense,
                })
            }
            Ok(_) => Err(DagErrors::new(errors).expect("not empty in this arm")),
            Err(structural) => {
                errors.extend(structural.into_iter().map(|error| named(error, &keys)));
                Err(DagErrors::new(errors).expect("the build failed for a reason"))
            }
        }
    }

    /// Gives each node the weight that `weight` returns for it, for example its expected duration
    /// in any unit; without it every node weighs 1. When several nodes are ready, the one with the
    /// heaviest path still ahead of it starts first. Sums stop at `u64::MAX`.
    #[must_use]
    pub fn with_weights(mut self, mut weight: impl FnMut(&K) -> u64) -> Self {
        let keys = &self.keys;
        self.dense = self.dense.with_weights(|index| weight(&keys[index]));
        self
    }

    /// Says of each node how many of its dependencies it waits for; without it every node waits
    /// for all.
    #[must_use]
    pub fn with_joins(mut self, mut join: impl FnMut(&K) -> Join) -> Self {
        let keys = &self.keys;
        self.dense = self.dense.with_joins(|index| join(&keys[index]));
        self
    }

    /// The index of a node, or `None` if there is none of that name.
    #[must_use]
    pub fn index_of<Q>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let found = self
            .by_key
            .binary_search_by(|&index| self.keys[index as usize].borrow().cmp(key));
        found.ok().map(|at| self.by_key[at] as usize)
    }

    /// Groups the nodes so that each lies one level above the highest of its dependencies, and
    /// those without any lie on the first. Within a level, nodes are sorted by key; for strings
    /// that is byte by byte.
    #[must_use]
    pub fn levels(&self) -> Vec<Vec<K>> {
        let levels = self.dense.levels();
        let mut level_of = vec![0; self.keys.len()];
        let mut named: Vec<Vec<K>> = Vec::with_capacity(levels.len());
        for (number, nodes) in levels.iter().enumerate() {
            for &node in nodes {
                level_of[node as usize] = number;
            }
            named.push(Vec::with_capacity(nodes.len()));
        }
        for &node in &self.by_key {
            named[level_of[node as usize]].push(self.keys[node as usize].clone());
        }
        named
    }
}

impl<K> Dag<K> {
    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The nodes in order of insertion.
    #[must_use]
    pub fn keys(&self) -> &[K] {
        &self.keys
    }

    /// The node with this index.
    #[must_use]
    pub fn key(&self, index: usize) -> Option<&K> {
        self.keys.get(index)
    }

    /// The weight of the heaviest path: no run can be shorter, whatever its limit. (Nodes that
    /// wait for [any](Join::Any) of several dependencies can make it shorter all the same.)
    #[must_use]
    pub fn critical_path(&self) -> u64 {
        self.dense.critical_path()
    }

    /// The graph without its names.
    #[must_use]
    pub fn dense(&self) -> &DenseDag {
        &self.dense
    }

    /// Runs `f` for every node, each as soon as its dependencies have succeeded and at most
    /// `limit` at a time, and returns what became of each node, in order of insertion.
    ///
    /// The promises are those of [`DenseDag::run`]; [`runner`](Self::runner) has more settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if `limit` is not within 1 to 1,048,576; nothing ran then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the nodes' futures that are running, and starts no other. The
    /// graph is untouched and can be run again.
    pub async fn run<'a, F, Fut, T, E>(
        &'a self,
        limit: usize,
        f: F,
    ) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        F: Fn(Node<'a, K>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.runner().limit(limit).run(f).await
    }

    /// The same for functions that block or compute, on at most `limit` scoped threads including
    /// the calling one, which are started as nodes need them. Returns when all is done.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if `limit` is not within 1 to 1,048,576; nothing ran then.
    pub fn run_blocking<'a, F, T, E>(
        &'a self,
        limit: usize,
        f: F,
    ) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        K: Sync,
        F: Fn(Node<'a, K>) -> Result<T, E> + Sync,
        T: Send,
        E: Send,
    {
        self.runner().limit(limit).run_blocking(f)
    }

    /// A run with more settings than a limit.
    pub fn runner(&self) -> DagRunner<'_, Self> {
        DagRunner::new(self)
    }
}

impl<K: fmt::Debug> fmt::Debug for Dag<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dag")
            .field("keys", &self.keys)
            .field("dense", &self.dense)
            .finish_non_exhaustive()
    }
}

/// Puts names into an error about indexes.
fn named<K: Clone>(error: DagError<usize>, keys: &[K]) -> DagError<K> {
    match error {
        DagError::DuplicateNode { node } => DagError::DuplicateNode {
            node: keys[node].clone(),
        },
        DagError::UnknownDependency { node, dependency } => DagError::UnknownDependency {
            node: keys[node].clone(),
            dependency: keys[dependency].clone(),
        },
        DagError::Cycle { path } => DagError::Cycle {
            path: path.into_iter().map(|node| keys[node].clone()).collect(),
        },
        DagError::OutOfRange { edge, nodes } => DagError::OutOfRange { edge, nodes },
        DagError::TooLarge { what, count, max } => DagError::TooLarge { what, count, max },
    }
}
