//! [`GatherWork`]: futures known by id as [`Work`], and the order of the answer.

use std::vec;

use crate::cancel::Stopped;
use crate::error::ItemError;
use crate::gather::error::{GatherError, SourceError};
use crate::gather::gathered::Gathered;
use crate::gather::timed::{Ended, TimeLimit, Timed};
use crate::panic::contained;
use crate::work::Work;

/// How many futures that will never start are dropped at a time, so that a poll stays short.
const STOPPED_AT_ONCE: usize = 256;

/// Futures in the order given; answers in the order of ids. Tags are positions.
pub(super) struct GatherWork<K, Fut, V, E> {
    futures: vec::IntoIter<Fut>,
    time: Option<TimeLimit>,
    started: usize,
    /// Where each position stands in the order of ids.
    ranks: Vec<usize>,
    /// In order of ids. What has not ended counts as cancelled.
    answers: Vec<(K, Result<V, SourceError<E>>)>,
}

impl<K: Ord, Fut, V, E> GatherWork<K, Fut, V, E> {
    /// Sorts the ids.
    ///
    /// # Errors
    ///
    /// [`GatherError::Duplicate`].
    pub(super) fn new(
        ids: Vec<K>,
        futures: Vec<Fut>,
        time: Option<TimeLimit>,
    ) -> Result<Self, GatherError<K>> {
        let mut sorted: Vec<(K, usize)> = ids.into_iter().zip(0..).collect();
        sorted.sort_unstable(); // equal ids by position
        if let Some(first) = sorted.windows(2).position(|pair| pair[0].0 == pair[1].0) {
            let mut from_first = sorted.into_iter().skip(first);
            let (id, position) = from_first.next().expect("the pair was found here");
            let others = from_first.take_while(|(other, _)| *other == id);
            let positions = std::iter::once(position)
                .chain(others.map(|(_, position)| position))
                .collect();
            return Err(GatherError::Duplicate { id, positions });
        }
        let mut ranks = vec![0; sorted.len()];
        for (rank, &(_, position)) in sorted.iter().enumerate() {
            ranks[position] = rank;
        }
        let answers = sorted
            .into_iter()
            .map(|(id, _)| (id, Err(SourceError::Cancelled)))
            .collect();
        Ok(Self {
            futures: futures.into_iter(),
            time,
            started: 0,
            ranks,
            answers,
        })
    }
}

impl<K, Fut, V, E> GatherWork<K, Fut, V, E> {
    pub(super) fn started(&self) -> usize {
        self.started
    }

    fn next_future(&mut self) -> Option<(usize, Fut)> {
        let future = self.futures.next()?;
        let position = self.started;
        self.started += 1;
        Some((position, future))
    }

    pub(super) fn into_gathered(self) -> Gathered<K, V, E> {
        Gathered::from_sorted(self.answers)
    }
}

impl<K, Fut, V, E> Work for GatherWork<K, Fut, V, E> {
    type Item = Timed<Fut>;
    type Output = V;
    type Error = Ended<E>;

    fn next(&mut self) -> Option<(usize, Timed<Fut>)> {
        let (position, future) = self.next_future()?;
        Some((position, Timed::new(future, self.time.clone())))
    }

    fn finish(&mut self, position: usize, result: Result<V, ItemError<Ended<E>>>) {
        self.answers[self.ranks[position]].1 = result.map_err(|error| match error {
            ItemError::Failed(Ended::Failed(error)) => SourceError::Failed(error),
            ItemError::Failed(Ended::TimedOut { after }) => SourceError::TimedOut { after },
            ItemError::Panicked(panic) => SourceError::Panicked(panic),
            ItemError::Cancelled => SourceError::Cancelled,
            ItemError::DeadlineExceeded => SourceError::DeadlineExceeded,
        });
    }

    fn stop(&mut self, why: Stopped) -> bool {
        for _ in 0..STOPPED_AT_ONCE {
            let Some((position, future)) = self.next_future() else {
                return false;
            };
            self.finish(position, Err(why.into()));
            contained(|| drop(future));
        }
        true
    }

    fn may_have_next(&self) -> bool {
        self.futures.len() > 0
    }

    fn most_in_flight(&self) -> usize {
        self.ranks.len()
    }
}
