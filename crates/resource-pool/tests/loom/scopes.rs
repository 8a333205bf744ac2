//! A scope that ends while handles come back: each resource is undone exactly once, or stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use brolly_resource_pool::{Kept, ResourceScope};
use loom::thread;

use crate::bounded;

/// A kept resource whose undoing is counted.
fn counted(scope: &ResourceScope) -> (Kept<()>, Arc<AtomicUsize>) {
    let undone = Arc::new(AtomicUsize::new(0));
    let mut kept = scope.keep("counted", ());
    let counts = Arc::clone(&undone);
    Kept::on_rollback(&mut kept, async move |()| {
        counts.fetch_add(1, SeqCst);
    });
    (kept, undone)
}

#[test]
fn a_handle_that_comes_back_while_its_scope_is_dropped_is_undone_once() {
    bounded(4, || {
        let scope = ResourceScope::new();
        let (kept, undone) = counted(&scope);
        let other = thread::spawn(move || drop(kept));
        drop(scope);
        other.join().unwrap();
        assert_eq!(undone.load(SeqCst), 1);
    });
}

#[test]
fn two_who_roll_back_while_a_handle_comes_back_undo_it_once() {
    bounded(3, || {
        let scope = Arc::new(ResourceScope::new());
        let (kept, undone) = counted(&scope);
        let threads = [
            {
                let scope = Arc::clone(&scope);
                thread::spawn(move || drop(scope.roll_back_blocking()))
            },
            thread::spawn(move || drop(kept)),
        ];
        drop(scope.roll_back_blocking());
        for other in threads {
            other.join().unwrap();
        }
        scope.roll_back_blocking().unwrap();
        assert_eq!((undone.load(SeqCst), scope.len()), (1, 0));
    });
}

#[test]
fn a_commit_and_a_roll_back_at_once_leave_nothing_on_the_list() {
    bounded(3, || {
        let scope = Arc::new(ResourceScope::new());
        let (kept, undone) = counted(&scope);
        let rolls = {
            let scope = Arc::clone(&scope);
            thread::spawn(move || drop(scope.roll_back_blocking()))
        };
        drop(kept);
        scope.commit();
        rolls.join().unwrap();
        assert!(scope.is_empty());
        assert!(undone.load(SeqCst) <= 1);
    });
}
