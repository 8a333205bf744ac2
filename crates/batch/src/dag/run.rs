//! A graph as [`Work`].

use std::mem;

use crate::cancel::Stopped;
use crate::dag::dense::DenseDag;
use crate::dag::outcome::{Causes, Outcome};
use crate::dag::program::Program;
use crate::dag::schedule::Schedule;
use crate::error::ItemError;
use crate::work::Work;

/// What a failure means for the nodes that do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFailure {
    /// They run.
    #[default]
    Continue,
    /// Nothing more starts; what runs ends normally.
    Drain,
    /// Nothing more starts, and the futures that run are dropped. A blocking run cannot drop what
    /// runs, so there it is the same as [`Drain`](Self::Drain).
    Cancel,
}

/// A run of a graph. Tags are ranks of its program.
pub(crate) struct DagWork<'a, T, E> {
    dag: &'a DenseDag,
    program: &'a Program,
    schedule: Schedule<'a>,
    on_failure: OnFailure,
    has_failures: bool,
    stopped: Option<Stopped>,
    /// Per node; a placeholder until it ends.
    outcomes: Vec<Outcome<T, E>>,
}

impl<'a, T, E> DagWork<'a, T, E> {
    /// `program` is one of this graph.
    pub(crate) fn new(dag: &'a DenseDag, program: &'a Program, on_failure: OnFailure) -> Self {
        let mut outcomes = Vec::new();
        outcomes.resize_with(dag.len(), Outcome::placeholder);
        Self {
            dag,
            program,
            schedule: Schedule::new(program),
            on_failure,
            has_failures: false,
            stopped: None,
            outcomes,
        }
    }

    /// Whether what runs is to be dropped because of a failure.
    pub(crate) fn is_given_up(&self) -> bool {
        self.stopped == Some(Stopped::Failed) && self.on_failure == OnFailure::Cancel
    }

    pub(crate) fn into_outcomes(mut self) -> Vec<Outcome<T, E>> {
        if self.has_failures || self.stopped.is_some() {
            self.settle();
        }
        self.outcomes
    }

    /// Says of each node that did not run why, each after its dependencies.
    #[cold]
    fn settle(&mut self) {
        let mut was_handed_out = vec![false; self.outcomes.len()];
        for rank in 0..self.outcomes.len() {
            was_handed_out[self.program.node_at(rank)] = self.schedule.was_handed_out(rank);
        }
        let mut is_lost = vec![false; self.outcomes.len()];
        for &node in self.dag.topological_order() {
            let node = node as usize;
            if !self.outcomes[node].is_placeholder() {
                is_lost[node] = matches!(self.outcomes[node], Outcome::Failed(_));
                continue;
            }
            let dependencies = self.dag.dependencies(node);
            let lost = || dependencies.iter().filter(|&&on| is_lost[on as usize]);
            let is_blocked = match self.dag.waits_for_any(node) {
                true => !dependencies.is_empty() && lost().count() == dependencies.len(),
                false => lost().next().is_some(),
            };
            self.outcomes[node] = match (is_blocked, self.stopped) {
                (false, Some(why)) => Outcome::Stopped {
                    started: was_handed_out[node],
                    why,
                },
                _ => Outcome::Blocked {
                    by: Causes::from(lost().map(|&on| on as usize).collect::<Vec<_>>()),
                },
            };
            is_lost[node] = is_blocked;
        }
    }

    #[cold]
    fn no_success(&mut self, error: ItemError<E>) -> Outcome<T, E> {
        let why = match error {
            ItemError::Cancelled => Stopped::Cancelled,
            ItemError::DeadlineExceeded => Stopped::DeadlineExceeded,
            failure => {
                self.has_failures = true;
                if self.on_failure != OnFailure::Continue {
                    self.stopped.get_or_insert(Stopped::Failed);
                }
                return Outcome::Failed(failure);
            }
        };
        self.stopped.get_or_insert(why);
        Outcome::Stopped { started: true, why }
    }
}

impl<T, E> Work for DagWork<'_, T, E> {
    type Item = usize;
    type Output = T;
    type Error = E;

    #[inline]
    fn next(&mut self) -> Option<(usize, usize)> {
        if self.stopped.is_some() {
            return None;
        }
        let rank = self.schedule.next()?;
        Some((rank, self.program.node_at(rank)))
    }

    #[inline]
    fn finish(&mut self, rank: usize, result: Result<T, ItemError<E>>) {
        let outcome = match result {
            Ok(value) => {
                self.schedule.succeeded(rank);
                Outcome::Done(value)
            }
            Err(error) => self.no_success(error),
        };
        // The placeholder owns nothing; forgetting it saves reading memory that is out of cache.
        let node = self.program.node_at(rank);
        mem::forget(mem::replace(&mut self.outcomes[node], outcome));
    }

    fn stop(&mut self, why: Stopped) -> bool {
        self.stopped.get_or_insert(why);
        false // what never started is told from what is blocked at the end
    }

    fn turned_back(&mut self, rank: usize, why: Stopped) {
        self.stopped.get_or_insert(why);
        let node = self.program.node_at(rank);
        self.outcomes[node] = Outcome::Stopped {
            started: false,
            why,
        };
    }

    fn closed(&self) -> Option<Stopped> {
        self.stopped
    }

    fn index(&self, rank: usize) -> usize {
        self.program.node_at(rank)
    }

    fn may_have_next(&self) -> bool {
        self.stopped.is_none() && self.schedule.has_ready()
    }

    fn most_in_flight(&self) -> usize {
        self.outcomes.len()
    }
}
