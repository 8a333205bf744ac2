//! A graph as [`Work`], and what comes of it.

use crate::dag::dense::DenseDag;
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

pub(crate) struct DagWork<'a, T, E> {
    schedule: Schedule<'a>,
    /// A node counts as blocked until it ends.
    outcomes: Vec<Outcome<T, E>>,
}

impl<'a, T, E> DagWork<'a, T, E> {
    pub(crate) fn new(dag: &'a DenseDag) -> Self {
        let mut outcomes = Vec::new();
        outcomes.resize_with(dag.len(), || Outcome::Blocked { by: Box::default() });
        Self {
            schedule: Schedule::new(dag),
            outcomes,
        }
    }

    pub(crate) fn into_outcomes(mut self) -> Vec<Outcome<T, E>> {
        for (outcome, causes) in self.outcomes.iter_mut().zip(self.schedule.causes()) {
            if let Outcome::Blocked { by } = outcome {
                *by = causes.into();
            }
        }
        self.outcomes
    }
}

impl<T, E> Work for DagWork<'_, T, E> {
    type Item = usize;
    type Output = T;
    type Error = E;

    fn next(&mut self) -> Option<(usize, usize)> {
        self.schedule.next().map(|node| (node, node))
    }

    fn finish(&mut self, node: usize, result: Result<T, ItemError<E>>) {
        self.schedule.complete(node, result.is_ok());
        self.outcomes[node] = match result {
            Ok(value) => Outcome::Done(value),
            Err(error) => Outcome::Failed(error),
        };
    }

    fn may_have_next(&self) -> bool {
        self.schedule.has_ready()
    }

    fn most_in_flight(&self) -> usize {
        self.outcomes.len()
    }
}
