//! Cells of one writer each, read while they are written and while their threads end.

use std::sync::Arc;

use loom::thread;

use crate::cells::{Counter, Group};

#[test]
fn what_a_thread_counts_is_seen_once_while_it_ends() {
    loom::model(|| {
        let group = Arc::new(Group::new());
        let counting = Arc::clone(&group);
        let other = thread::spawn(move || {
            let page = counting.page();
            page.cell(0).add(Counter::Successes);
            page.cell(0).defer(5);
            page.cell(0).add(Counter::Successes);
            page.cell(0).defer(5);
            counting.retire(&page);
        });
        let seen = [(); 2].map(|()| (group.sum(0).of(Counter::Successes), group.deferred(0, 5)));
        assert!(seen[0].0 <= seen[1].0 && seen[1].0 <= 2, "{seen:?}");
        assert!(seen[0].1 <= seen[1].1 && seen[1].1 <= 2, "{seen:?}");
        other.join().unwrap();
        assert_eq!(
            (group.sum(0).of(Counter::Successes), group.deferred(0, 5)),
            (2, 2)
        );
    });
}

/// However late a thread writes a success of an epoch that is over, it does not count in the next.
#[test]
fn a_success_that_is_put_off_counts_in_its_own_epoch_only() {
    loom::model(|| {
        let group = Arc::new(Group::new());
        let counting = Arc::clone(&group);
        let other = thread::spawn(move || {
            let page = counting.page();
            page.cell(0).defer(5);
            counting.retire(&page);
        });
        let page = group.page();
        page.cell(0).defer(6);
        assert_eq!(group.deferred(0, 6), 1);
        group.retire(&page);
        assert_eq!(group.deferred(0, 6), 1);
        other.join().unwrap();
        assert_eq!(group.deferred(0, 6), 1);
    });
}
