//! [`Work`]: what there is to run and where its results go, independent of what runs it.

use crate::error::ItemError;

/// A source of items that is told how each of them ended.
///
/// Two engines run any work: [`Drive`](crate::drive::Drive) polls futures within one task, and
/// [`threads::run`](crate::threads::run) calls functions on scoped threads. The duties:
///
/// - an item that was handed out is finished exactly once, under its tag;
/// - once a run has started, [`next`](Self::next) alone may run code of the caller's, such as an
///   iterator's; no other method can panic;
/// - when [`next`](Self::next) returns `None` and nothing that was handed out is unfinished, the
///   work is over.
pub(crate) trait Work {
    type Item;
    type Output;
    type Error;

    /// The next item that may start now and the tag to finish it under. `None` means that nothing
    /// may start before something else finishes.
    fn next(&mut self) -> Option<(usize, Self::Item)>;

    /// Files the result of an item.
    fn finish(&mut self, tag: usize, result: Result<Self::Output, ItemError<Self::Error>>);

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
