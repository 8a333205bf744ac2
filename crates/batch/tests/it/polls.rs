//! How often the futures of a run are polled, and that no wake-up is lost while they change wakers.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};

use proptest::prelude::*;

use crate::support::{Wakes, poll, processor};

/// A slot is trusted with so many polls that find its future waiting, to begin with.
const TRUST: usize = 4;

/// What each poll that was worth it adds to that, at most.
const REWARD: usize = 2;

/// Items that wait until somebody calls them, each a number of times.
#[derive(Default)]
struct Waiting {
    wakers: Vec<Option<Waker>>,
    called: Vec<bool>,
    /// Per item: polls, and those of them that came after a call or were the first.
    polls: Vec<(usize, usize)>,
}

impl Waiting {
    fn new(items: usize) -> RefCell<Self> {
        RefCell::new(Self {
            wakers: vec![None; items],
            called: vec![true; items],
            polls: vec![(0, 0); items],
        })
    }

    /// An item that ends when it was called `times` times.
    fn item(
        waiting: &RefCell<Self>,
        index: usize,
        mut times: usize,
    ) -> impl Future<Output = Result<usize, Infallible>> + use<'_> {
        poll_fn(move |cx| {
            let mut all = waiting.borrow_mut();
            let called = std::mem::take(&mut all.called[index]);
            let polls = &mut all.polls[index];
            polls.0 += 1;
            if called {
                polls.1 += 1;
                if times == 0 {
                    all.wakers[index] = None;
                    return Poll::Ready(Ok(index));
                }
                times -= 1;
            }
            all.wakers[index] = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    /// Calls the `nth` of those that wait.
    fn call(waiting: &RefCell<Self>, nth: usize) -> bool {
        let mut all = waiting.borrow_mut();
        let waits: Vec<usize> = (0..all.wakers.len())
            .filter(|&index| all.wakers[index].is_some() && !all.called[index])
            .collect();
        if waits.is_empty() {
            return false;
        }
        let index = waits[nth % waits.len()];
        all.called[index] = true;
        let waker = all.wakers[index].clone().expect("it waits");
        drop(all);
        waker.wake();
        true
    }

    /// All polls, and those that found their future called.
    fn totals(waiting: &RefCell<Self>) -> (usize, usize) {
        let all = waiting.borrow();
        let polls = all.polls.iter();
        polls.fold((0, 0), |sum, polls| (sum.0 + polls.0, sum.1 + polls.1))
    }
}

#[test]
fn one_slow_future_among_many_fast_ones_is_polled_a_few_times_for_nothing() {
    const ITEMS: usize = 5_000;
    let waiting = Waiting::new(ITEMS);
    let mut map = processor(10).map(0..ITEMS, |n| Waiting::item(&waiting, n, 1));
    let (_, waker) = Wakes::new();
    assert!(poll(&mut map, &waker).is_pending());
    // Item 0 stands first in line, and is not called before all others are over.
    for _ in 1..ITEMS {
        assert!(Waiting::call(&waiting, 1));
        assert!(poll(&mut map, &waker).is_pending());
    }
    assert!(waiting.borrow().polls[0].0 <= 1 + TRUST);
    assert!(Waiting::call(&waiting, 0));
    assert!(poll(&mut map, &waker).is_ready());
}

/// As with requests that are answered one by one.
#[test]
fn a_run_whose_futures_wake_alone_soon_polls_only_those() {
    const ITEMS: usize = 2_000;
    for limit in [4, 10, 32, 33, 100] {
        let waiting = Waiting::new(ITEMS);
        let mut map = processor(limit).map(0..ITEMS, |n| Waiting::item(&waiting, n, 1));
        let (_, waker) = Wakes::new();
        assert!(poll(&mut map, &waker).is_pending());
        let mut random = 1_usize;
        loop {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            assert!(Waiting::call(&waiting, random >> 33));
            if poll(&mut map, &waker).is_ready() {
                break;
            }
        }
        let (polls, called) = Waiting::totals(&waiting);
        assert_eq!(called, 2 * ITEMS);
        let wasted = polls - called;
        let most = if limit > 32 { 0 } else { 2 * TRUST * limit };
        assert!(
            wasted <= most,
            "{wasted} of {polls} polls at a limit of {limit}"
        );
    }
}

#[test]
fn a_task_that_comes_with_another_waker_each_time_loses_no_wake_up() {
    const ITEMS: usize = 300;
    let waiting = Waiting::new(ITEMS);
    let mut map = processor(5).map(0..ITEMS, |n| Waiting::item(&waiting, n, n % 4));
    let mut last = Wakes::new();
    let mut polls = 0;
    while poll(&mut map, &last.1).is_pending() {
        if polls % 3 != 0 {
            // Nobody was woken: the run has to take over the new waker all the same.
            last = Wakes::new();
            assert!(poll(&mut map, &last.1).is_pending());
        }
        let before = last.0.count();
        assert!(Waiting::call(&waiting, polls * 7));
        assert_eq!(last.0.count(), before + 1, "through the latest waker");
        polls += 1;
    }
    let (_, called) = Waiting::totals(&waiting);
    assert_eq!(called, ITEMS + (0..ITEMS).map(|n| n % 4).sum::<usize>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn polls_are_bounded_and_no_call_is_lost(
        limit in 1_usize..40,
        times in prop::collection::vec(0_usize..6, 1..120),
        calls in prop::collection::vec((0_usize..1_000, 1_usize..12), 1..60),
    ) {
        let items = times.len();
        let waiting = Waiting::new(items);
        let mut map = processor(limit).map(0..items, |n| Waiting::item(&waiting, n, times[n]));
        let (wakes, waker) = Wakes::new();
        let mut rounds = calls.iter().cycle();
        let results = loop {
            let before = wakes.count();
            if let Poll::Ready(results) = poll(&mut map, &waker) {
                break results;
            }
            let &(nth, together) = rounds.next().expect("it has no end");
            for more in 0..together {
                if !Waiting::call(&waiting, nth + more) {
                    break;
                }
            }
            prop_assert!(wakes.count() > before, "the task sleeps, and an item was called");
        };
        prop_assert!(results.into_iter().eq((0..items).map(Ok)));
        let (polls, called) = Waiting::totals(&waiting);
        prop_assert_eq!(called, items + times.iter().sum::<usize>());
        let slots = limit.min(items);
        let most = if slots > 32 { 0 } else { TRUST * slots + REWARD * called };
        prop_assert!(polls - called <= most, "{} polls, {} of them called", polls, called);
    }
}
