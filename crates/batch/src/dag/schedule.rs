//! [`Schedule`]: which node may start next. It knows no clock, no lock and no I/O.
//!
//! A node is ready when all its dependencies have succeeded. Of those that are ready, the one with
//! the longest remaining path comes first, and of equals the one with the lower index. A node is
//! blocked when all its dependencies have ended and not all of them succeeded.

use crate::dag::dense::DenseDag;
use crate::dag::rank_set::RankSet;

pub(crate) struct Schedule<'a> {
    dag: &'a DenseDag,
    /// Per node, how many dependencies have not ended yet.
    open: Vec<u32>,
    ready: RankSet,
    /// Nodes that have failed or are blocked; allocated at the first failure.
    lost: Vec<bool>,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(dag: &'a DenseDag) -> Self {
        let open = dag.dependency_counts().to_vec();
        let mut ready = RankSet::new(dag.len());
        for (node, &count) in open.iter().enumerate() {
            if count == 0 {
                ready.insert(dag.ranking().rank_of(node));
            }
        }
        Self {
            dag,
            open,
            ready,
            lost: Vec::new(),
        }
    }

    /// Whether a node is ready now.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes the most critical node that is ready.
    pub(crate) fn next(&mut self) -> Option<usize> {
        let rank = self.ready.take_least()?;
        Some(self.dag.ranking().node_at(rank))
    }

    /// Tells that a node has ended.
    pub(crate) fn complete(&mut self, node: usize, succeeded: bool) {
        if succeeded && self.lost.is_empty() {
            for &dependent in self.dag.dependents(node) {
                let dependent = dependent as usize;
                self.open[dependent] -= 1;
                if self.open[dependent] == 0 {
                    self.ready.insert(self.dag.ranking().rank_of(dependent));
                }
            }
        } else {
            self.complete_with_losses(node, succeeded);
        }
    }

    /// The direct dependencies that failed or were blocked, ascending, of every node that was
    /// blocked by them.
    pub(crate) fn causes(&self) -> Vec<Vec<usize>> {
        if self.lost.is_empty() {
            return Vec::new();
        }
        let mut causes = vec![Vec::new(); self.dag.len()];
        for (node, _) in self.lost.iter().enumerate().filter(|(_, lost)| **lost) {
            for &dependent in self.dag.dependents(node) {
                let causes: &mut Vec<usize> = &mut causes[dependent as usize];
                if causes.last() != Some(&node) {
                    causes.push(node);
                }
            }
        }
        causes
    }

    #[cold]
    fn complete_with_losses(&mut self, node: usize, succeeded: bool) {
        self.lost.resize(self.dag.len(), false);
        let mut ended = vec![(node, succeeded)];
        while let Some((node, succeeded)) = ended.pop() {
            for &dependent in self.dag.dependents(node) {
                let dependent = dependent as usize;
                self.open[dependent] -= 1;
                self.lost[dependent] |= !succeeded;
                if self.open[dependent] > 0 {
                    continue;
                }
                if self.lost[dependent] {
                    ended.push((dependent, false));
                } else {
                    self.ready.insert(self.dag.ranking().rank_of(dependent));
                }
            }
            self.lost[node] |= !succeeded;
        }
    }
}
