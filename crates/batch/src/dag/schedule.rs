//! [`Schedule`]: which node may start next. It knows no clock, no lock and no I/O.
//!
//! A node is ready when all its dependencies have succeeded. Of those that are ready, the one with
//! the longest remaining path comes first, and of equals the one with the lower index: the least
//! rank of the [`Program`]. A node is lost when it has failed, or when one of its dependencies is.

use crate::dag::program::Program;
use crate::dag::rank_set::RankSet;

pub(crate) struct Schedule<'a> {
    program: &'a Program,
    /// Per rank, how many dependencies have not ended yet.
    open: Vec<u32>,
    ready: RankSet,
    /// Per rank; allocated at the first failure.
    lost: Vec<bool>,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(program: &'a Program) -> Self {
        let open = program.dependency_counts().to_vec();
        let mut ready = RankSet::new(open.len());
        for (rank, _) in open.iter().enumerate().filter(|&(_, &count)| count == 0) {
            ready.insert(rank);
        }
        Self {
            program,
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
    #[inline]
    pub(crate) fn next(&mut self) -> Option<usize> {
        self.ready.take_least()
    }

    /// Tells that a node has ended.
    #[inline]
    pub(crate) fn complete(&mut self, rank: usize, succeeded: bool) {
        if !succeeded || !self.lost.is_empty() {
            return self.complete_with_losses(rank, succeeded);
        }
        for &dependent in self.program.dependents(rank) {
            let open = &mut self.open[dependent as usize];
            *open -= 1;
            if *open == 0 {
                self.ready.insert(dependent as usize);
            }
        }
    }

    /// Whether any node is lost.
    pub(crate) fn has_losses(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether this node failed or was blocked.
    pub(crate) fn is_lost(&self, rank: usize) -> bool {
        self.lost.get(rank).is_some_and(|&lost| lost)
    }

    #[cold]
    fn complete_with_losses(&mut self, rank: usize, succeeded: bool) {
        self.lost.resize(self.open.len(), false);
        self.lost[rank] = !succeeded;
        let mut ended = vec![rank];
        while let Some(rank) = ended.pop() {
            let lost = self.lost[rank];
            for &dependent in self.program.dependents(rank) {
                let dependent = dependent as usize;
                self.open[dependent] -= 1;
                self.lost[dependent] |= lost;
                match (self.open[dependent], self.lost[dependent]) {
                    (0, true) => ended.push(dependent),
                    (0, false) => self.ready.insert(dependent),
                    _ => {}
                }
            }
        }
    }
}
