//! [`Tally`]: counts items as they end and says when a batch of them is complete. Knows no lock.

use std::collections::{BTreeMap, VecDeque};

use super::BatchDone;

pub(super) struct Tally {
    batch_size: usize,
    /// What the iterator promises, then what came.
    total: Option<usize>,
    handed_out: usize,
    over: bool,
    done: usize,
    /// Batches of which some items have ended and some have not: no more than items in flight,
    /// and one.
    open: BTreeMap<usize, Open>,
    complete: VecDeque<BatchDone>,
}

#[derive(Clone, Copy, Default)]
struct Open {
    ended: usize,
    failed: usize,
}

impl Tally {
    /// `batch_size` is at least 1.
    pub(super) fn new(batch_size: usize, total: Option<usize>) -> Self {
        Self {
            batch_size,
            total,
            handed_out: 0,
            over: false,
            done: 0,
            open: BTreeMap::new(),
            complete: VecDeque::new(),
        }
    }

    pub(super) fn handed_out(&mut self) {
        self.handed_out += 1;
    }

    /// There are no more items than were handed out.
    pub(super) fn over(&mut self) {
        self.over = true;
        self.total = Some(self.handed_out);
        self.close(self.handed_out / self.batch_size);
    }

    pub(super) fn ended(&mut self, index: usize, succeeded: bool) {
        self.done += 1;
        let batch = index / self.batch_size;
        let open = self.open.entry(batch).or_default();
        open.ended += 1;
        open.failed += usize::from(!succeeded);
        self.close(batch);
    }

    /// The next batch to report, in the order in which they were completed.
    pub(super) fn next_complete(&mut self) -> Option<BatchDone> {
        self.complete.pop_front()
    }

    /// Completes a batch if all its items have ended.
    fn close(&mut self, batch: usize) {
        let Some(&open) = self.open.get(&batch) else {
            return;
        };
        let start = batch * self.batch_size; // not above the position of an item
        let size = match self.over {
            true => self.batch_size.min(self.handed_out - start),
            false => self.batch_size,
        };
        if open.ended < size {
            return;
        }
        self.open.remove(&batch);
        self.complete.push_back(BatchDone {
            index: batch,
            items: start..start + size,
            failed: open.failed,
            done: self.done,
            total: self.total,
        });
    }
}
