//! Work on a slot that must not be left half-done: whatever ends it, the slot is let go of.

use std::sync::PoisonError;

use super::RepoPool;
use crate::lease::Token;
use crate::store::PoolRow;

/// A slot that this process prepares or cleans.
///
/// Dropped before it was [`done`](Operation::done), by an error or a panic, it makes the slot dirty, so
/// that the next tenant's allocation cleans it. If not even that can be written now, it is written
/// before slots are next refused to anybody.
#[derive(Debug)]
pub(super) struct Operation<'a> {
    pools: &'a RepoPool,
    open: Option<Unfinished>,
}

/// A slot that has to be let go of.
#[derive(Debug)]
pub(super) struct Unfinished {
    pool: PoolRow,
    slot: u32,
    token: Token,
}

impl<'a> Operation<'a> {
    pub(super) fn new(pools: &'a RepoPool, pool: &PoolRow, slot: u32, token: Token) -> Self {
        Self {
            pools,
            open: Some(Unfinished {
                pool: pool.clone(),
                slot,
                token,
            }),
        }
    }

    /// The slot's state was written; there is nothing left to do.
    pub(super) fn done(mut self) {
        self.open = None;
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        if let Some(unfinished) = self.open.take() {
            self.pools.let_go(unfinished);
        }
    }
}

impl RepoPool {
    /// Lets go of what could not be let go of before; returns how many slots that were.
    pub(super) fn let_go_of_unfinished(&self) -> usize {
        let unfinished = std::mem::take(&mut *self.unfinished());
        unfinished
            .into_iter()
            .filter_map(|operation| self.let_go(operation))
            .count()
    }

    /// Some if it was written.
    fn let_go(&self, operation: Unfinished) -> Option<()> {
        let Unfinished { pool, slot, token } = &operation;
        if self.store().give_up(pool.id, *slot, *token).is_err() {
            self.unfinished().push(operation);
            return None;
        }
        // A bell that cannot be rung costs a waiter the second until it looks by itself.
        let _ = self.ring(pool);
        Some(())
    }

    fn unfinished(&self) -> std::sync::MutexGuard<'_, Vec<Unfinished>> {
        self.inner
            .unfinished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
