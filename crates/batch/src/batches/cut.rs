//! [`Cut`]: items cut into batches, and what becomes of each. Knows no future, thread or clock.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::{AdaptiveBatchSize, Batched, FailedBatch};
use crate::cancel::Stopped;
use crate::error::ItemError;
use crate::panic::contained;
use crate::progress::BatchDone;

/// How many items that will never start are looked at in one step.
const STOPPED_AT_ONCE: usize = 256;

/// Bytes reserved ahead for the items of one batch: there may be fewer than the size says.
const MAX_RESERVED_BYTES: usize = 1 << 20;

/// Consecutive items of one batch: all of it, or, when it was split, a part.
pub(crate) struct Part<T> {
    /// The position of the first of them among the inputs.
    pub(crate) start: usize,
    pub(crate) items: Vec<T>,
}

/// Why a part has no output, and its items, if somebody has kept a copy.
pub(crate) struct Failure<T, E> {
    pub(crate) error: ItemError<E>,
    pub(crate) items: Option<Vec<T>>,
}

/// Batches of an iterator's items. In flight and waiting there are never more items than so many
/// batches have as may be in flight: a batch is cut only when no part of an earlier one waits.
pub(super) struct Cut<I: Iterator, R, E> {
    /// None after the end: an iterator is never asked again.
    items: Option<I>,
    at_most: usize,
    total: Option<usize>,
    size: Size,
    cut: usize,
    batches: usize,
    /// By tag, those in flight; the others are free.
    running: Vec<Running>,
    free: Vec<usize>,
    /// Parts of batches that failed and were split; the last one is next.
    waiting: Vec<(usize, Part<I::Item>)>,
    open: BTreeMap<usize, Open>,
    ended: usize,
    output: Vec<(usize, Vec<R>)>,
    failed: Vec<FailedBatch<E>>,
    never_started: Option<(Range<usize>, Stopped)>,
    complete: VecDeque<BatchDone>,
}

pub(super) enum Size {
    Fixed(usize),
    Adaptive(AdaptiveBatchSize),
}

#[derive(Clone)]
struct Running {
    batch: usize,
    items: Range<usize>,
}

/// A batch of which some parts have not ended.
struct Open {
    items: Range<usize>,
    parts: usize,
    failed: usize,
}

impl<I: Iterator, R, E> Cut<I, R, E> {
    pub(super) fn new(items: I, batch_size: usize) -> Self {
        let (at_least, at_most) = items.size_hint();
        Self {
            items: Some(items),
            at_most: at_most.unwrap_or(usize::MAX),
            total: (Some(at_least) == at_most).then_some(at_least),
            size: Size::Fixed(batch_size),
            cut: 0,
            batches: 0,
            running: Vec::new(),
            free: Vec::new(),
            waiting: Vec::new(),
            open: BTreeMap::new(),
            ended: 0,
            output: Vec::new(),
            failed: Vec::new(),
            never_started: None,
            complete: VecDeque::new(),
        }
    }

    pub(super) fn set_size(&mut self, size: Size) {
        self.size = size;
    }

    pub(super) fn batches(&self) -> usize {
        self.batches
    }

    /// The next batch to report as complete.
    pub(super) fn next_complete(&mut self) -> Option<BatchDone> {
        self.complete.pop_front()
    }

    /// The next part that may start, and its tag.
    pub(super) fn next(&mut self) -> Option<(usize, Part<I::Item>)> {
        let (batch, part) = match self.waiting.pop() {
            Some(waiting) => waiting,
            None => self.cut_batch()?,
        };
        let running = Running {
            batch,
            items: part.start..part.start + part.items.len(),
        };
        let tag = match self.free.pop() {
            Some(tag) => {
                self.running[tag] = running;
                tag
            }
            None => {
                self.running.push(running);
                self.running.len() - 1
            }
        };
        Some((tag, part))
    }

    fn cut_batch(&mut self) -> Option<(usize, Part<I::Item>)> {
        let size = match &self.size {
            Size::Fixed(size) => *size,
            Size::Adaptive(size) => size.current(),
        };
        let source = self.items.as_mut()?;
        let most_reserved = MAX_RESERVED_BYTES / size_of::<I::Item>().max(1);
        let mut items = Vec::with_capacity(size.min(most_reserved).min(self.at_most));
        while items.len() < size {
            let Some(item) = source.next() else {
                self.items = None;
                self.total = Some(self.cut + items.len());
                break;
            };
            items.push(item);
        }
        if items.is_empty() {
            return None;
        }
        let start = self.cut;
        let batch = self.batches;
        self.cut += items.len();
        self.batches += 1;
        let open = Open {
            items: start..self.cut,
            parts: 1,
            failed: 0,
        };
        self.open.insert(batch, open);
        Some((batch, Part { start, items }))
    }

    /// Where a part begins among the inputs.
    pub(super) fn start_of(&self, tag: usize) -> usize {
        self.running[tag].items.start
    }

    /// Files what became of a part. One that failed with its items kept is split in two, which
    /// wait to start, unless it is a single item.
    pub(super) fn finish(
        &mut self,
        tag: usize,
        result: Result<Vec<R>, ItemError<Failure<I::Item, E>>>,
    ) {
        self.free.push(tag);
        let Running { batch, items } = self.running[tag].clone();
        match result {
            Ok(output) => {
                self.output.push((items.start, output));
                self.end_part(batch, items.len(), 0);
            }
            Err(ItemError::Failed(Failure {
                items: Some(kept),
                error,
            })) if kept.len() > 1 => {
                contained(|| drop(error));
                self.split(batch, items.start, kept);
            }
            Err(error) => {
                let error = match error {
                    ItemError::Failed(failure) => {
                        contained(|| drop(failure.items));
                        failure.error
                    }
                    ItemError::Panicked(panic) => ItemError::Panicked(panic),
                    ItemError::Cancelled => ItemError::Cancelled,
                    ItemError::DeadlineExceeded => ItemError::DeadlineExceeded,
                };
                let ended = matches!(error, ItemError::Failed(_) | ItemError::Panicked(_));
                let count = items.len();
                self.failed.push(FailedBatch { items, error });
                if ended {
                    self.end_part(batch, count, count);
                }
            }
        }
    }

    /// Takes back a part whose function was not called. A batch that nobody has seen is one with
    /// those that will not be cut any more.
    pub(super) fn turned_back(&mut self, tag: usize, why: Stopped) {
        let Running { batch, items } = &self.running[tag];
        let whole = self
            .open
            .get(batch)
            .is_some_and(|open| open.items == *items);
        if whole && items.end == self.cut && self.never_started.is_none() {
            self.never_started = Some((items.clone(), why));
            self.free.push(tag);
        } else {
            self.finish(tag, Err(why.into()));
        }
    }

    fn split(&mut self, batch: usize, start: usize, mut items: Vec<I::Item>) {
        let half = items.len().div_ceil(2);
        let second = items.split_off(half);
        if let Some(open) = self.open.get_mut(&batch) {
            open.parts += 1;
        }
        let second = Part {
            start: start + half,
            items: second,
        };
        self.waiting.push((batch, second));
        self.waiting.push((batch, Part { start, items }));
    }

    fn end_part(&mut self, batch: usize, items: usize, failed: usize) {
        self.ended += items;
        let Some(open) = self.open.get_mut(&batch) else {
            return;
        };
        open.parts -= 1;
        open.failed += failed;
        if open.parts > 0 {
            return;
        }
        if let Some(open) = self.open.remove(&batch) {
            self.complete.push_back(BatchDone {
                index: batch,
                items: open.items,
                failed: open.failed,
                done: self.ended,
                total: self.total,
            });
        }
    }

    /// Files a reason for what waits and, step by step, for what was never cut. Returns whether
    /// there is more.
    pub(super) fn stop(&mut self, why: Stopped) -> bool {
        for (_, part) in std::mem::take(&mut self.waiting) {
            let items = part.start..part.start + part.items.len();
            self.failed.push(FailedBatch {
                items,
                error: why.into(),
            });
        }
        let Some(source) = &mut self.items else {
            return false;
        };
        let count = source.take(STOPPED_AT_ONCE).count();
        let (items, _) = self.never_started.get_or_insert((self.cut..self.cut, why));
        items.end += count;
        if count < STOPPED_AT_ONCE {
            self.items = None;
        }
        self.items.is_some()
    }

    pub(super) fn may_have_next(&self) -> bool {
        self.items.is_some() || !self.waiting.is_empty()
    }

    pub(super) fn at_most(&self) -> usize {
        self.at_most // every batch has an item
    }

    pub(super) fn into_batched(mut self) -> Batched<R, E> {
        self.output.sort_unstable_by_key(|&(start, _)| start);
        if let Some((items, why)) = self.never_started.filter(|(items, _)| !items.is_empty()) {
            self.failed.push(FailedBatch {
                items,
                error: why.into(),
            });
        }
        self.failed
            .sort_unstable_by_key(|failed| failed.items.start);
        Batched {
            output: self.output.into_iter().flat_map(|(_, part)| part).collect(),
            failed: self.failed,
        }
    }
}
