//! A graph as [`Work`], and what comes of it.

use std::mem;

use crate::cancel::Stopped;
use crate::dag::dense::DenseDag;
use crate::dag::program::Program;
use crate::dag::schedule::Schedule;
use crate::error::ItemError;
use crate::work::Work;

/// What became of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<T, E> {
    /// It ran and succeeded.
    Done(T),
    /// It ran and failed.
    Failed(ItemError<E>),
    /// It never ran, because a dependency failed or was itself blocked.
    Blocked {
        /// The indexes of the direct dependencies that failed or were blocked, ascending.
        by: Box<[usize]>,
    },
}

impl<T, E> Outcome<T, E> {
    /// What the node returned, if it succeeded.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(value) => Some(value),
            Self::Failed(_) | Self::Blocked { .. } => None,
        }
    }

    /// Whether the node ran and succeeded.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
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

/// A run of a graph. Tags are ranks of its program.
pub(crate) struct DagWork<'a, T, E> {
    dag: &'a DenseDag,
    program: &'a Program,
    schedule: Schedule<'a>,
    /// Per node; it counts as blocked until it ends.
    outcomes: Vec<Outcome<T, E>>,
}

impl<'a, T, E> DagWork<'a, T, E> {
    pub(crate) fn new(dag: &'a DenseDag) -> Self {
        let program = dag.program();
        let mut outcomes = Vec::new();
        outcomes.resize_with(dag.len(), || Outcome::Blocked { by: Box::default() });
        Self {
            dag,
            program,
            schedule: Schedule::new(program),
            outcomes,
        }
    }

    pub(crate) fn into_outcomes(mut self) -> Vec<Outcome<T, E>> {
        if self.schedule.has_losses() {
            for (node, outcome) in self.outcomes.iter_mut().enumerate() {
                if let Outcome::Blocked { by } = outcome {
                    *by = causes(self.dag, self.program, &self.schedule, node);
                }
            }
        }
        self.outcomes
    }
}

impl<T, E> Work for DagWork<'_, T, E> {
    type Item = usize;
    type Output = T;
    type Error = E;

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        let rank = self.schedule.next()?;
        Some((rank, self.program.node_at(rank)))
    }

    #[inline]
    fn finish(&mut self, rank: usize, result: Result<T, ItemError<E>>) {
        self.schedule.complete(rank, result.is_ok());
        let outcome = match result {
            Ok(value) => Outcome::Done(value),
            Err(error) => Outcome::Failed(error),
        };
        // The placeholder owns nothing; forgetting it saves reading memory that is out of cache.
        let node = self.program.node_at(rank);
        mem::forget(mem::replace(&mut self.outcomes[node], outcome));
    }

    fn stop(&mut self, _why: Stopped) -> bool {
        false
    }

    fn index(&self, rank: usize) -> usize {
        self.program.node_at(rank)
    }

    fn may_have_next(&self) -> bool {
        self.schedule.has_ready()
    }

    fn most_in_flight(&self) -> usize {
        self.outcomes.len()
    }
}

/// The direct dependencies of a node that failed or were blocked, ascending.
fn causes(dag: &DenseDag, program: &Program, schedule: &Schedule<'_>, node: usize) -> Box<[usize]> {
    let dependencies = dag.dependencies(node).iter().map(|&on| on as usize);
    let mut causes: Vec<usize> = dependencies
        .filter(|&on| schedule.is_lost(program.rank_of(on)))
        .collect();
    causes.sort_unstable();
    causes.dedup();
    causes.into()
}
