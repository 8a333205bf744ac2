//! Starting the pool's tasks, whatever a spawner does with them.
//!
//! The spawner of a runtime that has ended drops a task at once, and what a task of the pool leaves behind may be
//! the next task. So starts can be nested as deeply as there are resources. Up to a depth that is let
//! happen; what is started beyond it waits for the start at that depth, which goes on with it in a loop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use brolly_sync::{Spawn, Task};

use crate::panics::contain;

/// How many starts may be nested on one thread.
const DEEPEST: usize = 16;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static LATER: RefCell<VecDeque<(Arc<dyn Spawn>, Task)>> = const { RefCell::new(VecDeque::new()) };
}

/// Gives a task to a spawner; a panic of either ends here.
pub(crate) fn spawn(spawner: &Arc<dyn Spawn>, task: Task) {
    // A thread that is ending has no locals any more; then there is nothing to count with.
    let depth = DEPTH.try_with(Cell::get).unwrap_or(0);
    if depth == DEEPEST {
        LATER.with_borrow_mut(|later| later.push_back((Arc::clone(spawner), task)));
        return;
    }
    let _ = DEPTH.try_with(|it| it.set(depth + 1));
    let _ = contain(|| spawner.spawn(task));
    if depth + 1 == DEEPEST {
        while let Some((spawner, task)) = LATER.with_borrow_mut(VecDeque::pop_front) {
            let _ = contain(|| spawner.spawn(task));
        }
    }
    let _ = DEPTH.try_with(|it| it.set(depth));
}
