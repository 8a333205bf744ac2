//! [`Work`]: what there is to run and where its results go, independent of what runs it.

use crate::cancel::Stopped;
use crate::error::ItemError;

/// A source of items that is told how each of them ended.
///
/// Two engines run any work: [`Drive`](crate::drive::Drive) polls futures within one task, and
/// [`threads::run`](crate::threads::run) calls functions on scoped threads. The duties:
///
/// - an item that was handed out is finished exactly once, under its tag;
/// - once a run has started, [`next`](Self::next) and [`stop`](Self::stop) alone may run code of
///   the caller's, such as an iterator's; no other method can panic;
/// - when [`next`](Self::next) returns `None` and nothing that was handed out is unfinished, the
///   work is over, unless it [is paused](Self::is_paused);
/// - a run that is ended early calls [`stop`](Self::stop) instead of [`next`](Self::next) from then
///   on, and finishes what runs, or what it drops, as ever.
pub(crate) trait Work {
    type Item;
    type Output;
    type Error;

    /// The next item that may start now and the tag to finish it under. `None` means that nothing
    /// may start before something else finishes.
    fn next(&mut self) -> Option<(usize, Self::Item)>;

    /// Files the result of an item.
    fn finish(&mut self, tag: usize, result: Result<Self::Output, ItemError<Self::Error>>);

    /// Files this reason for items that will never start, a bounded number of them at a call.
    /// Returns whether more are left, in which case it is called again; it may also be called after
    /// that.
    fn stop(&mut self, why: Stopped) -> bool;

    /// Takes back an item that was handed out and whose function was never called, because the run
    /// is ended early.
    fn turned_back(&mut self, tag: usize, why: Stopped) {
        self.finish(tag, Err(why.into()));
    }

    /// Why the work itself wants nothing more to start, not even what was handed out and still
    /// waits to be admitted. It then returns nothing from [`next`](Self::next) either.
    fn closed(&self) -> Option<Stopped> {
        None
    }

    /// Whether [`next`](Self::next) returned `None` for another reason than having no item: results
    /// must be taken first, or items are yet to come. The asynchronous engine then stays pending;
    /// whoever ends the pause polls it again. Not asked after [`stop`](Self::stop), nor by the
    /// blocking engine.
    fn is_paused(&self) -> bool {
        false
    }

    /// The position by which the caller knows an item.
    fn index(&self, tag: usize) -> usize {
        tag
    }

    /// Whether [`next`](Self::next) might return an item right now. May be wrong: a yes costs a
    /// thread that finds nothing to do, a no leaves the item to those that exist.
    fn may_have_next(&self) -> bool;

    /// The most items that can ever be in flight together, as far as is known: a bound for
    /// bookkeeping.
    fn most_in_flight(&self) -> usize;
}
