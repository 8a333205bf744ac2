//! The interleavings of the hand-off: explored in full, but for the model of three busy threads,
//! which is bounded to three preemptions to stay within seconds.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use brolly_sync::WaitList;
use loom::thread;

#[test]
fn a_value_put_while_a_taker_joins_the_line_is_not_lost() {
    loom::model(|| {
        let list = Arc::new(WaitList::new(Vec::new()));
        let giver = Arc::clone(&list);
        let thread = thread::spawn(move || giver.put(7));
        assert_eq!(list.take_blocking(), 7);
        thread.join().unwrap();
        assert_eq!((list.idle(), list.waiting()), (0, 0));
    });
}

#[test]
fn two_takers_each_get_one_of_two_values() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let list = Arc::new(WaitList::new(Vec::new()));
        let taker = Arc::clone(&list);
        let thread = thread::spawn(move || taker.take_blocking());
        let giver = Arc::clone(&list);
        let givers = thread::spawn(move || {
            giver.put(1);
            giver.put(2);
        });
        let mine = list.take_blocking();
        assert_eq!(mine + thread.join().unwrap(), 3);
        givers.join().unwrap();
        assert_eq!((list.idle(), list.waiting()), (0, 0));
    });
}

#[test]
fn a_taker_that_leaves_while_it_is_served_passes_the_value_on() {
    loom::model(|| {
        let list = Arc::new(WaitList::new(Vec::new()));
        let giver = Arc::clone(&list);
        let put = thread::spawn(move || giver.put(7));
        let quitter = Arc::clone(&list);
        let leaves = thread::spawn(move || {
            let mut future = pin!(quitter.take());
            let polled = future
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            if polled.is_ready() {
                quitter.put(7); // it was quick enough: give the value back
            }
        });
        assert_eq!(list.take_blocking(), 7);
        put.join().unwrap();
        leaves.join().unwrap();
        assert_eq!((list.idle(), list.waiting()), (0, 0));
    });
}

#[test]
fn a_permit_is_held_by_one_thread_at_a_time() {
    loom::model(|| {
        let list = Arc::new(WaitList::new(vec![()]));
        let holders = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let work = {
            let (list, holders) = (Arc::clone(&list), Arc::clone(&holders));
            move || {
                list.take_blocking();
                assert_eq!(
                    holders.fetch_add(1, loom::sync::atomic::Ordering::Relaxed),
                    0
                );
                holders.fetch_sub(1, loom::sync::atomic::Ordering::Relaxed);
                list.put(());
            }
        };
        let thread = thread::spawn(work.clone());
        work();
        thread.join().unwrap();
        assert_eq!((list.idle(), list.waiting()), (1, 0));
    });
}
