//! [`Schedule`]: which node may start next. It knows no clock, no lock and no I/O.
//!
//! A node is ready when as many of its dependencies have succeeded as it waits for: all, or one.
//! Of those that are ready, the one with the longest remaining path comes first, and of equals the
//! one with the lower index: the least rank of the [`Program`].
//!
//! A failure changes nothing here: whatever waits for the node goes on waiting, and what can never
//! become ready is found at the end of the run, in one walk over the graph.

use crate::dag::program::Program;
use crate::dag::rank_set::RankSet;

pub(crate) struct Schedule<'a> {
    program: &'a Program,
    /// Per rank, how many more dependencies must succeed. A node that waits for one of several
    /// passes zero once; the successes that come later wrap around and, as there are fewer edges
    /// than a counter has values, never reach zero again.
    missing: Vec<u32>,
    ready: RankSet,
}

impl<'a> Schedule<'a> {
    pub(crate) fn new(program: &'a Program) -> Self {
        let missing = program.missing_at_start().to_vec();
        let mut ready = RankSet::new(missing.len());
        for (rank, _) in missing.iter().enumerate().filter(|&(_, &count)| count == 0) {
            ready.insert(rank);
        }
        Self {
            program,
            missing,
            ready,
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

    /// Whether [`next`](Self::next) has returned this node.
    pub(crate) fn was_handed_out(&self, rank: usize) -> bool {
        let missing = self.missing[rank];
        let is_released = missing == 0 || missing > self.program.missing_at_start()[rank];
        is_released && !self.ready.contains(rank)
    }

    /// Tells that a node has succeeded.
    #[inline]
    pub(crate) fn succeeded(&mut self, rank: usize) {
        for &dependent in self.program.dependents(rank) {
            let missing = &mut self.missing[dependent as usize];
            *missing = missing.wrapping_sub(1);
            if *missing == 0 {
                self.ready.insert(dependent as usize);
            }
        }
    }
}
