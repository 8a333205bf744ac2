//! [`DenseDag`]: the plan itself, over nodes that are the indexes `0..n`.

use std::fmt;
use std::future::Future;
use std::sync::OnceLock;

use crate::config::checked_concurrency;
use crate::dag::build::{self, Rows};
use crate::dag::error::{DagError, DagErrors};
use crate::dag::levels::Levels;
use crate::dag::run::{DagWork, Outcome};
use crate::drive::Drive;
use crate::error::ConfigError;
use crate::threads;

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
    dependents: Rows,
    dependency_counts: Box<[u32]>,
    order: Box<[u32]>,
    /// Per node, the weight of the heaviest path that starts with it.
    remaining: Box<[u64]>,
    /// Made by the first run.
    ranking: OnceLock<Ranking>,
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
        let outside = |&&(from, to): &&(u32, u32)| from.max(to) as usize >= nodes;
        if edges.iter().any(|edge| outside(&edge)) {
            return Err(edges
                .iter()
                .filter(outside)
                .map(|&edge| DagError::OutOfRange { edge, nodes })
                .collect());
        }

        let dependents = Rows::new(nodes, edges.iter().copied());
        let mut dependency_counts = vec![0_u32; nodes].into_boxed_slice();
        for &(_, to) in edges {
            dependency_counts[to as usize] += 1;
        }
        let (order, open) = build::order(&dependents, &dependency_counts);
        if order.len() < nodes {
            return Err(build::cycles(edges, &dependents, open));
        }
        let mut dag = Self {
            dependents,
            dependency_counts,
            order: order.into(),
            remaining: Box::default(),
            ranking: OnceLock::new(),
        };
        dag.remaining = dag.longest_paths(|_| 1);
        Ok(dag)
    }

    /// Gives each node the weight that `weight` returns for it, for example its expected duration
    /// in any unit. When several nodes are ready, the one with the heaviest path still ahead of it
    /// starts first. Sums stop at `u64::MAX`.
    #[must_use]
    pub fn with_weights(mut self, weight: impl FnMut(usize) -> u64) -> Self {
        self.remaining = self.longest_paths(weight);
        self.ranking = OnceLock::new();
        self
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dependency_counts.len()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dependency_counts.is_empty()
    }

    /// The nodes that depend on this one, in the order of the edges, repetitions included; empty
    /// if `node` is not a node.
    #[must_use]
    pub fn dependents(&self, node: usize) -> &[u32] {
        match node < self.len() {
            true => self.dependents.row(node),
            false => &[],
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

    /// The weight of the heaviest path: no run can be shorter, whatever its limit.
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

    /// Runs `f` for every node, each as soon as all its dependencies have succeeded and at most
    /// `limit` at a time, and returns what became of each node, by index.
    ///
    /// - When a node fails or panics, everything that depends on it, directly or not, is
    ///   [`Outcome::Blocked`] and does not run; all else goes on.
    /// - There are no rounds: each end of a node starts the next one that is ready, the one with
    ///   the longest remaining path first, and of equals the one with the lower index.
    /// - Nothing is spawned; the futures run in the calling task, as in
    ///   [`BatchProcessor::map`](crate::BatchProcessor::map).
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
        let limit = checked_concurrency("limit", limit)?;
        let work = Drive::new(DagWork::new(self), limit, f).await;
        Ok(work.into_outcomes())
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
        let limit = checked_concurrency("limit", limit)?;
        Ok(threads::run(DagWork::new(self), limit, f).into_outcomes())
    }

    pub(crate) fn dependency_counts(&self) -> &[u32] {
        &self.dependency_counts
    }

    pub(crate) fn ranking(&self) -> &Ranking {
        self.ranking.get_or_init(|| Ranking::new(&self.remaining))
    }

    fn longest_paths(&self, mut weight: impl FnMut(usize) -> u64) -> Box<[u64]> {
        let mut remaining = vec![0_u64; self.len()];
        for &node in self.order.iter().rev() {
            let node = node as usize;
            let ahead = self.dependents.row(node).iter();
            let longest = ahead.map(|&next| remaining[next as usize]).max();
            remaining[node] = weight(node).saturating_add(longest.unwrap_or(0));
        }
        remaining.into()
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

/// The order in which ready nodes are preferred.
pub(crate) struct Ranking {
    rank_of: Box<[u32]>,
    node_at: Box<[u32]>,
}

impl Ranking {
    fn new(remaining: &[u64]) -> Self {
        let count = u32::try_from(remaining.len()).expect("the build has checked the count");
        let mut node_at: Vec<u32> = (0..count).collect();
        // Stable, so that equals stay in the order of their index.
        node_at.sort_by_key(|&node| std::cmp::Reverse(remaining[node as usize]));
        let mut rank_of = vec![0; remaining.len()];
        for (rank, &node) in (0..).zip(&node_at) {
            rank_of[node as usize] = rank;
        }
        Self {
            rank_of: rank_of.into(),
            node_at: node_at.into(),
        }
    }

    pub(crate) fn rank_of(&self, node: usize) -> usize {
        self.rank_of[node] as usize
    }

    pub(crate) fn node_at(&self, rank: usize) -> usize {
        self.node_at[rank] as usize
    }
}
