//! [`Flow`]: the work of a [`MapStream`](crate::MapStream), whose results leave while it runs.

use std::collections::VecDeque;
use std::task::Context;

use super::source::Source;
use crate::cancel::Stopped;
use crate::error::ItemError;
use crate::work::Work;

/// A position among the inputs and what became of that item.
pub(super) type Ended<R, E> = (usize, Result<R, ItemError<E>>);

/// Items of a source; results that wait to be taken.
///
/// Items are alive from their start until their result is taken, never more than `live_at_most`:
/// when results are not taken, nothing starts.
pub(crate) struct Flow<S, R, E> {
    source: S,
    ordered: bool,
    live_at_most: usize,
    started: usize,
    taken: usize,
    /// In any order: the results, as they came. In order: what became of item `taken` and those
    /// after it, none for those that have not ended.
    results: VecDeque<Option<Ended<R, E>>>,
    stopped: Option<Stopped>,
}

impl<S: Source, R, E> Flow<S, R, E> {
    pub(super) fn new(source: S, live_at_most: usize) -> Self {
        Self {
            source,
            ordered: false,
            live_at_most,
            started: 0,
            taken: 0,
            results: VecDeque::new(),
            stopped: None,
        }
    }

    pub(super) fn set_ordered(&mut self, ordered: bool) {
        self.ordered = ordered;
    }

    pub(super) fn set_live_at_most(&mut self, live_at_most: usize) {
        self.live_at_most = live_at_most;
    }

    pub(super) fn live_at_most(&self) -> usize {
        self.live_at_most
    }

    pub(super) fn stopped(&self) -> Option<Stopped> {
        self.stopped
    }

    /// Items that were started and whose results were not taken.
    pub(super) fn live(&self) -> usize {
        self.started - self.taken
    }

    /// Whether a result may leave, and results are more than half of what may live.
    pub(super) fn has_plenty(&self) -> bool {
        self.results.len() > self.live_at_most / 2 && matches!(self.results.front(), Some(Some(_)))
    }

    /// Has the source fetch what may start now, beside `in_flight` of at most `limit`, but not more
    /// than `at_once`. Returns whether the source may have more at once.
    pub(super) fn fetch(
        &mut self,
        in_flight: usize,
        limit: usize,
        at_once: usize,
        cx: &mut Context<'_>,
    ) -> bool {
        if self.stopped.is_some() {
            return false;
        }
        let wanted = self.wanted(in_flight, limit);
        self.source.fetch(wanted.min(at_once), cx)
    }

    /// Whether more could start now, beside `in_flight` of at most `limit`, if only it was fetched.
    pub(super) fn is_starved(&self, in_flight: usize, limit: usize) -> bool {
        !self.source.has_fetched() && self.wanted(in_flight, limit) > 0
    }

    fn wanted(&self, in_flight: usize, limit: usize) -> usize {
        let room = self.live_at_most.saturating_sub(self.live());
        room.min(limit.saturating_sub(in_flight))
    }

    /// The run is over: drops the items that will never start.
    pub(super) fn close(&mut self) {
        self.source.close();
    }

    /// The next result that may leave.
    #[inline]
    pub(super) fn take(&mut self) -> Option<Ended<R, E>> {
        let ended = self.results.front_mut()?.take()?;
        self.results.pop_front();
        self.taken += 1;
        Some(ended)
    }
}

impl<S: Source, R, E> Work for Flow<S, R, E> {
    type Item = S::Item;
    type Output = R;
    type Error = E;

    #[inline]
    fn next(&mut self) -> Option<(usize, S::Item)> {
        if self.live() >= self.live_at_most {
            return None;
        }
        let item = self.source.next()?;
        let index = self.started;
        self.started += 1;
        Some((index, item))
    }

    #[inline]
    fn finish(&mut self, index: usize, result: Result<R, ItemError<E>>) {
        let ended = Some((index, result));
        if !self.ordered {
            self.results.push_back(ended);
            return;
        }
        let place = index - self.taken; // in order, nothing is taken before it has ended
        while self.results.len() <= place {
            self.results.push_back(None);
        }
        self.results[place] = ended;
    }

    /// Items that never start are not reported: there may be no end of them.
    fn stop(&mut self, why: Stopped) -> bool {
        self.stopped.get_or_insert(why);
        false
    }

    fn turned_back(&mut self, index: usize, _why: Stopped) {
        debug_assert_eq!(index + 1, self.started, "the last one waits to be admitted");
        self.started = index;
    }

    fn is_paused(&self) -> bool {
        !self.source.is_over()
    }

    fn may_have_next(&self) -> bool {
        !self.source.is_over()
    }

    fn most_in_flight(&self) -> usize {
        self.live_at_most.min(self.source.at_most())
    }
}
