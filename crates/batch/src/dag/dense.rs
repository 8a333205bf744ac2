//! [`DenseDag`]: the plan itself, over nodes that are the indexes `0..n`.

use std::fmt;
use std::future::Future;
use std::sync::OnceLock;

use crate::dag::build::{self, Rows};
use crate::dag::error::{DagError, DagErrors};
use crate::dag::join::Join;
use crate::dag::levels::Levels;
use crate::dag::outcome::Outcome;
use crate::dag::program::Program;
use crate::dag::runner::DagRunner;
use crate::error::ConfigError;

/// An immutable dependency graph over the indexes `0..n`, made for millions of nodes.
///
/// It is built once and can be run any number of times, also at the same time. [`Dag`](crate::Dag)
/// puts names on top.
///
/// ```
/// use brolly_batch::{DenseDag, Outcome};
///
/// // 0 runs before 1 and 2, and both run before 3.
/// let dag = DenseDag::from_edges(4, &[(0, 1), (0, 2), (1, 3), (2, 3)])?;
/// assert_eq!(dag.levels().iter().collect::<Vec<_>>(), [&[0][..], &[1, 2], &[3]]);
/// assert_eq!(dag.critical_path(), 3);
///
/// let outcomes = dag.run_blocking(2, |node| if node == 1 { Err("broken") } else { Ok(node) })?;
/// assert_eq!(outcomes[2], Outcome::Done(2));
/// assert_eq!(outcomes[3], Outcome::Blocked { by: [1].into() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DenseDag {
    dependencies: Rows,
    order: Box<[u32]>,
    /// Per node, the weight of the heaviest path that starts with it.
    remaining: Box<[u64]>,
    /// Per node, whether one dependency suffices; empty if that is so for none.
    waits_for_any: Box<[bool]>,
    /// Made by the first run.
    program: OnceLock<Program>,
}

impl DenseDag {
    /// Builds the graph of `nodes` nodes from its edges, each a dependency and the node that
    /// depends on it: the first runs before the second.
    ///
    /// Edges may come in any order; a repeated one changes nothing. Every node weighs 1. Time and
    /// memory are linear.
    ///
    /// # Errors
    ///
    /// All of them at once: [`DagError::OutOfRange`] for each edge that names an index which is
    /// not a node, or else [`DagError::Cycle`]; alone, [`DagError::TooLarge`] beyond
    /// 4,294,967,294 nodes or edges.
    pub fn from_edges(nodes: usize, edges: &[(u32, u32)]) -> Result<Self, DagErrors<usize>> {
        match Self::build(nodes, edges) {
            Ok(dag) => Ok(dag),
            Err(errors) => Err(DagErrors::new(errors).expect("building failed for a reason")),
        }
    }

    /// As [`from_edges`](Self::from_edges), with the errors as a plain list.
    pub(crate) fn build(nodes: usize, edges: &[(u32, u32)]) -> Result<Self, Vec<DagError<usize>>> {
        for (what, count) in [("nodes", nodes), ("edges", edges.len())] {
            build::checked_count(what, count).map_err(|error| vec![error])?;
        }
        let mut dependency_counts = vec![0_u32; nodes + 2]; // as `Rows::with_counts` wants them
        let mut dependent_counts = vec![0_u32; nodes];
        for &(from, to) in edges {
            if from.max(to) as usize >= nodes {
                return Err(out_of_range(nodes, edges));
            }
            dependency_counts[to as usize + 2] += 1;
            dependent_counts[from as usize] += 1;
        }
        let backwards = edges.iter().map(|&(from, to)| (to, from));
        let dependencies = Rows::with_counts(dependency_counts, backwards);
        match build::order(&dependencies, dependent_counts) {
            Ok(order) => Ok(Self {
                dependencies,
                order: order.nodes,
                remaining: order.remaining,
                waits_for_any: Box::default(),
                program: OnceLock::new(),
            }),
            Err(open) => Err(build::cycles(edges, &dependencies, open)),
        }
    }

    /// Gives each node the weight that `weight` returns for it, for example its expected duration
    /// in any unit. When several nodes are ready, the one with the heaviest path still ahead of it
    /// starts first. Sums stop at `u64::MAX`.
    #[must_use]
    pub fn with_weights(mut self, weight: impl FnMut(usize) -> u64) -> Self {
        self.remaining = self.weighed(weight);
        self.program = OnceLock::new();
        self
    }

    /// Says of each node how many of its dependencies it waits for; without it every node waits
    /// for all.
    #[must_use]
    pub fn with_joins(mut self, mut join: impl FnMut(usize) -> Join) -> Self {
        let waits_for_any = (0..self.len()).map(|node| join(node) == Join::Any);
        self.waits_for_any = waits_for_any.collect();
        self.program = OnceLock::new();
        self
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The nodes this one depends on, in the order of the edges, repetitions included; empty if
    /// `node` is not a node.
    #[must_use]
    pub fn dependencies(&self, node: usize) -> &[u32] {
        match node < self.len() {
            true => self.dependencies.row(node),
            false => &[],
        }
    }

    /// How many of its dependencies a node waits for; all, if `node` is not a node.
    #[must_use]
    pub fn join(&self, node: usize) -> Join {
        match self.waits_for_any(node) {
            true => Join::Any,
            false => Join::All,
        }
    }

    /// All nodes, each after its dependencies.
    #[must_use]
    pub fn topological_order(&self) -> &[u32] {
        &self.order
    }

    /// The weight of the heaviest path that starts with this node, its own weight included; 0 if
    /// `node` is not a node.
    #[must_use]
    pub fn remaining_path(&self, node: usize) -> u64 {
        self.remaining.get(node).copied().unwrap_or(0)
    }

    /// The weight of the heaviest path: no run can be shorter, whatever its limit. (Nodes that
    /// wait for [any](Join::Any) of several dependencies can make it shorter all the same.)
    #[must_use]
    pub fn critical_path(&self) -> u64 {
        self.remaining.iter().copied().max().unwrap_or(0)
    }

    /// Groups the nodes so that each lies one level above the highest of its dependencies, and
    /// those without any lie on the first.
    #[must_use]
    pub fn levels(&self) -> Levels {
        Levels::new(self)
    }

    /// Runs `f` for every node, each as soon as its dependencies have succeeded and at most
    /// `limit` at a time, and returns what became of each node, by index.
    ///
    /// - When a node fails or panics, everything that depends on it, directly or not, is
    ///   [`Outcome::Blocked`] and does not run; all else goes on.
    /// - A node that waits for [any](Join::Any) dependency starts with the first that succeeds, and
    ///   is blocked only if none does.
    /// - There are no rounds: each end of a node starts the next one that is ready, the one with
    ///   the longest remaining path first, and of equals the one with the lower index.
    /// - Nothing is spawned; the futures run in the calling task, as in
    ///   [`BatchProcessor::map`](crate::BatchProcessor::map).
    ///
    /// [`runner`](Self::runner) has more settings.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if `limit` is not within 1 to 1,048,576; nothing ran then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the nodes' futures that are running, and starts no other. The
    /// graph is untouched and can be run again.
    pub async fn run<F, Fut, T, E>(
        &self,
        limit: usize,
        f: F,
    ) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        F: Fn(usize) -> Fut,
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
    pub fn run_blocking<F, T, E>(
        &self,
        limit: usize,
        f: F,
    ) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        F: Fn(usize) -> Result<T, E> + Sync,
        T: Send,
        E: Send,
    {
        self.runner().limit(limit).run_blocking(f)
    }

    /// A run with more settings than a limit.
    pub fn runner(&self) -> DagRunner<'_, Self> {
        DagRunner::new(self)
    }

    pub(crate) fn waits_for_any(&self, node: usize) -> bool {
        self.waits_for_any.get(node).is_some_and(|&any| any)
    }

    pub(crate) fn program(&self) -> &Program {
        self.program.get_or_init(|| self.ranked_by(&self.remaining))
    }

    /// The program for other weights than those of the graph.
    pub(crate) fn program_with(&self, weight: impl FnMut(usize) -> u64) -> Program {
        self.ranked_by(&self.weighed(weight))
    }

    fn ranked_by(&self, remaining: &[u64]) -> Program {
        Program::new(&self.dependencies, &self.waits_for_any, remaining)
    }

    /// The weight of the heaviest path that starts with each node.
    fn weighed(&self, mut weight: impl FnMut(usize) -> u64) -> Box<[u64]> {
        let mut remaining = vec![0_u64; self.len()].into_boxed_slice();
        for &node in self.order.iter().rev() {
            let node = node as usize;
            let through = remaining[node].saturating_add(weight(node));
            remaining[node] = through;
            for &dependency in self.dependencies.row(node) {
                let longest = &mut remaining[dependency as usize];
                *longest = (*longest).max(through);
            }
        }
        remaining
    }
}

impl fmt::Debug for DenseDag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenseDag")
            .field("nodes", &self.len())
            .field("critical_path", &self.critical_path())
            .finish_non_exhaustive()
    }
}

#[cold]
fn out_of_range(nodes: usize, edges: &[(u32, u32)]) -> Vec<DagError<usize>> {
    let outside = edges
        .iter()
        .filter(|(from, to)| *from.max(to) as usize >= nodes);
    outside
        .map(|&edge| DagError::OutOfRange { edge, nodes })
        .collect()
}
