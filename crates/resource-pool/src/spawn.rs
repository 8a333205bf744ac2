//! Starting the pool's tasks, whatever a spawner does with them.
//!
//! The spawner of a runtime that has ended drops a task at once, and what a task of the pool leaves
//! behind may be the next task. So starts can be nested as deeply as there are resources. Up to a
//! depth that is let happen; what is started beyond it waits for the start at that depth, which goes
//! on with it in a loop.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use brolly_sync::{Spawn, Task};

use crate::panics::contain;

type Start = (Arc<dyn Spawn>, Task);

/// How many starts may be nested on one thread.
const DEEPEST: usize = 16;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    static LATER: RefCell<VecDeque<Start>> = const { RefCell::new(VecDeque::new()) };
}

/// Gives a task to a spawner; a panic of either ends here.
pub(crate) fn spawn(spawner: &Arc<dyn Spawn>, task: Task) {
    let depth = DEPTH.get();
    if depth < DEEPEST {
        DEPTH.set(depth + 1);
        let _ = contain(|| spawner.spawn(task));
        while depth + 1 == DEEPEST
            && let Some((spawner, task)) = next()
        {
            let _ = contain(|| spawner.spawn(task));
        }
        DEPTH.set(depth);
    } else if let Some((spawner, task)) = put_off((Arc::clone(spawner), task)) {
        let _ = contain(|| spawner.spawn(task));
    }
}

/// Leaves a start for later. It comes back on a thread that is ending and has no list any more.
fn put_off(start: Start) -> Option<Start> {
    let mut start = Some(start);
    let _ = LATER.try_with(|later| later.borrow_mut().extend(start.take()));
    start
}

fn next() -> Option<Start> {
    LATER
        .try_with(|later| later.borrow_mut().pop_front())
        .ok()?
}

#[cfg(all(test, not(any(brolly_loom, brolly_shuttle))))]
mod tests {
    use std::cell::RefCell;
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::SeqCst;
    use std::thread;

    use brolly_sync::{Spawn, Task};

    use super::{DEEPEST, spawn};

    /// When it is dropped, a task is started that holds the next.
    struct Next {
        left: usize,
        dropped: Arc<AtomicUsize>,
    }

    impl Drop for Next {
        fn drop(&mut self) {
            self.dropped.fetch_add(1, SeqCst);
            let Some(left) = self.left.checked_sub(1) else {
                return;
            };
            let next = Next {
                left,
                dropped: Arc::clone(&self.dropped),
            };
            let nobody: Arc<dyn Spawn> = Arc::new(|task: Task| drop(task));
            let task = async move {
                let _next = next;
                pending::<()>().await;
            };
            spawn(&nobody, Box::pin(task));
        }
    }

    thread_local! {
        static KEPT: RefCell<Option<Next>> = const { RefCell::new(None) };
    }

    #[test]
    fn what_a_thread_starts_while_it_ends_is_started_too() {
        let dropped = Arc::new(AtomicUsize::new(0));
        let first = Next {
            left: 4 * DEEPEST,
            dropped: Arc::clone(&dropped),
        };
        let ending = thread::spawn(move || {
            // Before the list of `spawn`, so that it is dropped after that.
            KEPT.with_borrow_mut(|kept| *kept = Some(first));
            let short = Next {
                left: 2 * DEEPEST,
                dropped: Arc::default(),
            };
            drop(short);
        });
        ending.join().unwrap();
        assert_eq!(dropped.load(SeqCst), 4 * DEEPEST + 1);
    }
}
