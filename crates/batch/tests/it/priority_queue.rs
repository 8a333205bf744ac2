//! The priority queue: most urgent first, nothing starves, nothing is lost.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use brolly_batch::{ConfigError, Popped, PriorityQueue, PushError, Urgency};
use brolly_sync::{Clock, ManualClock};
use proptest::prelude::*;

use crate::support::{Wakes, within_a_minute};

const AGING: Duration = Duration::from_secs(10);

fn queue<T>(clock: &ManualClock, capacity: usize) -> PriorityQueue<T> {
    PriorityQueue::builder()
        .capacity(capacity)
        .aging(AGING)
        .clock(clock.clone())
        .build()
        .expect("tests use settings within range")
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn item<T>(popped: Option<Popped<T>>) -> Option<T> {
    popped.map(|popped| popped.item)
}

#[test]
fn settings_out_of_range_are_refused() {
    let error = PriorityQueue::<()>::builder().capacity(0).build();
    assert!(matches!(
        error.unwrap_err(),
        ConfigError::OutOfRange {
            field: "capacity",
            value: 0,
            min: 1,
            ..
        }
    ));
    let huge = PriorityQueue::<()>::builder().capacity(usize::MAX);
    assert!(huge.build().is_err());
    let error = PriorityQueue::<()>::builder()
        .aging(Duration::ZERO)
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("aging is 0ns, allowed are 1ns to {:?}", Duration::MAX)
    );
}

#[test]
fn class_then_deadline_then_order_of_arrival() {
    let clock = ManualClock::new();
    let queue = queue(&clock, 10);
    queue.push("later class", 3).unwrap();
    queue.push("no deadline", 1).unwrap();
    let seconds = Duration::from_secs;
    queue
        .push("in nine", Urgency::class(1).within(seconds(9)))
        .unwrap();
    queue
        .push("in two", Urgency::class(1).within(seconds(2)))
        .unwrap();
    queue.push("no deadline either", 1).unwrap();
    queue.push("first class", 0).unwrap();
    let order: Vec<_> = std::iter::from_fn(|| item(queue.try_pop())).collect();
    let expected = [
        "first class",
        "in two",
        "in nine",
        "no deadline",
        "no deadline either",
        "later class",
    ];
    assert_eq!(order, expected);
}

#[test]
fn a_late_item_is_delivered_and_says_so() {
    let clock = ManualClock::new();
    let queue = queue(&clock, 10);
    let second = Duration::from_secs(1);
    queue
        .push("late", Urgency::class(0).within(second))
        .unwrap();
    queue
        .push("just in time", Urgency::class(0).within(3 * second))
        .unwrap();
    queue.push("whenever", 4).unwrap();
    clock.advance(3 * second);
    let late = queue.try_pop().unwrap();
    assert_eq!((late.item, late.late_by), ("late", Some(2 * second)));
    assert_eq!((late.class, late.waited), (0, 3 * second));
    assert_eq!(queue.try_pop().unwrap().late_by, None);
    let whenever = queue.try_pop().unwrap();
    assert_eq!((whenever.class, whenever.late_by), (4, None));
}

#[test]
fn a_full_queue_gives_the_item_back() {
    let queue = queue(&ManualClock::new(), 2);
    queue.push(Box::new(1), 0).unwrap();
    queue.push(Box::new(2), 0).unwrap();
    let error = queue.push(Box::new(3), 0).unwrap_err();
    assert!(matches!(error, PushError::Full(_)));
    assert_eq!(error.to_string(), "the queue is full");
    assert_eq!(*error.into_item(), 3);
    assert_eq!((queue.len(), queue.capacity()), (2, 2));
    assert!(queue.try_pop().is_some());
    queue.push(Box::new(4), 0).unwrap();
}

#[test]
fn a_closed_queue_is_drained_and_then_none_for_ever() {
    let queue = queue(&ManualClock::new(), 4);
    queue.push(1, 0).unwrap();
    queue.push(2, 0).unwrap();
    queue.close();
    queue.close();
    assert!(queue.is_closed());
    assert_eq!(queue.push(3, 0), Err(PushError::Closed(3)));
    assert_eq!(item(queue.pop_blocking()), Some(1));
    assert_eq!(item(queue.try_pop()), Some(2));
    for _ in 0..3 {
        assert_eq!(item(queue.pop_blocking()), None);
        assert_eq!(item(queue.try_pop()), None);
    }
    assert!(queue.is_empty());
}

#[test]
fn closing_wakes_all_who_wait() {
    within_a_minute(|| {
        let queue = queue::<u8>(&ManualClock::new(), 4);
        thread::scope(|scope| {
            let takers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| queue.pop_blocking()))
                .collect();
            while queue.waiting() < 4 {
                thread::yield_now();
            }
            queue.close();
            for taker in takers {
                assert!(taker.join().unwrap().is_none());
            }
        });
    });
}

#[test]
fn takers_are_served_in_order_of_arrival() {
    let queue = queue(&ManualClock::new(), 4);
    let mut first = pin!(queue.pop());
    let mut second = pin!(queue.pop());
    assert!(poll(first.as_mut()).is_pending());
    assert!(poll(second.as_mut()).is_pending());
    queue.push("only", 0).unwrap();
    assert!(queue.try_pop().is_none(), "it is the first taker's");
    assert!(poll(second).is_pending());
    assert!(poll(first).is_ready());
}

#[test]
fn a_taker_gets_what_is_most_urgent_when_it_runs() {
    let queue = queue(&ManualClock::new(), 4);
    let mut taker = pin!(queue.pop());
    assert!(poll(taker.as_mut()).is_pending());
    queue.push("woke the taker", 5).unwrap();
    queue.push("came meanwhile", 0).unwrap();
    let Poll::Ready(popped) = poll(taker) else {
        panic!("two items are there");
    };
    assert_eq!(item(popped), Some("came meanwhile"));
}

#[test]
fn a_taker_dropped_at_any_poll_loses_no_item() {
    // Polls before and after the push that serves it.
    for (before, after) in [(0, 0), (1, 0), (2, 0)] {
        let queue = queue(&ManualClock::new(), 4);
        {
            let mut taker = Box::pin(queue.pop());
            for _ in 0..before {
                assert!(poll(taker.as_mut()).is_pending());
            }
            let mut next = Box::pin(queue.pop());
            if before > 0 {
                assert!(poll(next.as_mut()).is_pending());
            }
            queue.push(7, 0).unwrap();
            for _ in 0..after {
                let _ = poll(taker.as_mut());
            }
            drop(taker);
            if before > 0 {
                let Poll::Ready(popped) = poll(next.as_mut()) else {
                    panic!("the wake-up was lost after {before} polls");
                };
                assert_eq!(item(popped), Some(7));
                continue;
            }
        }
        assert_eq!(item(queue.try_pop()), Some(7));
        assert_eq!(queue.waiting(), 0);
    }
}

#[test]
fn a_taker_outlives_the_handle_it_came_from() {
    let queue = queue(&ManualClock::new(), 4);
    let other = queue.clone();
    let mut taker = Box::pin(queue.pop());
    drop(queue);
    assert!(poll(taker.as_mut()).is_pending());
    other.push(1, 0).unwrap();
    assert!(
        thread::spawn(move || poll(taker.as_mut()).is_ready())
            .join()
            .unwrap()
    );
}

/// The bound: nothing pushed later than `(class + 1) * aging` after an item goes before it, and of
/// what was pushed earlier at most `capacity - 1` items can be left then.
#[test]
fn nothing_starves_under_an_endless_stream_of_urgent_items() {
    for class in [0, 1, 7, 255] {
        let clock = ManualClock::new();
        let capacity = 16;
        let queue = queue(&clock, capacity);
        clock.advance(Duration::from_millis(1_234));
        let pushed_at = clock.now();
        queue.push(None, class).unwrap();
        let horizon = pushed_at + AGING * (u32::from(class) + 1);
        let mut pops_after_horizon = 0;
        'worker: loop {
            // The queue is kept full of items that have the best class and the nearest deadline.
            while queue.len() < capacity {
                let urgent = Urgency::class(0).within(Duration::ZERO);
                queue.push(Some(clock.now()), urgent).unwrap();
            }
            clock.advance(Duration::from_millis(500));
            pops_after_horizon += usize::from(clock.now() > horizon);
            match queue.try_pop().unwrap().item {
                Some(at) => assert!(at <= horizon, "pushed too late to overtake class {class}"),
                None => break 'worker,
            }
            assert!(pops_after_horizon < capacity, "class {class} starves");
        }
    }
}

#[test]
fn without_aging_a_lower_class_waits_for_all_higher_ones() {
    let clock = ManualClock::new();
    let queue = PriorityQueue::builder()
        .aging(Duration::MAX)
        .clock(clock.clone())
        .build()
        .unwrap();
    queue.push("patient", 1).unwrap();
    clock.advance(Duration::from_secs(1_000_000));
    queue.push("urgent", 0).unwrap();
    assert_eq!(item(queue.try_pop()), Some("urgent"));
}

#[test]
fn many_threads_take_each_item_once() {
    within_a_minute(|| {
        let queue = PriorityQueue::builder().capacity(8).build().unwrap();
        let mut taken: Vec<u32> = thread::scope(|scope| {
            let takers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        std::iter::from_fn(|| item(queue.pop_blocking())).collect::<Vec<_>>()
                    })
                })
                .collect();
            let pushers: Vec<_> = (0..3_u32)
                .map(|pusher| {
                    let queue = &queue;
                    scope.spawn(move || {
                        for n in 0..500 {
                            let mut item = pusher * 500 + n;
                            while let Err(error) = queue.push(item, (n % 5) as u8) {
                                item = error.into_item();
                                thread::yield_now();
                            }
                        }
                    })
                })
                .collect();
            for pusher in pushers {
                pusher.join().unwrap();
            }
            queue.close();
            takers
                .into_iter()
                .flat_map(|taker| taker.join().unwrap())
                .collect()
        });
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..1_500));
    });
}

type Taker = Pin<Box<dyn Future<Output = Option<Popped<usize>>>>>;

#[derive(Clone, Debug)]
enum Op {
    Push(u8, Option<u8>),
    TryPop,
    Wait,
    PollFirst,
    Leave(usize),
    Advance(u8),
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0_u8..4, prop::option::of(0_u8..30)).prop_map(|(class, within)| Op::Push(class, within)),
        3 => Just(Op::TryPop),
        2 => Just(Op::Wait),
        3 => Just(Op::PollFirst),
        1 => any::<usize>().prop_map(Op::Leave),
        2 => (0_u8..12).prop_map(Op::Advance),
        1 => Just(Op::Close),
    ];
    prop::collection::vec(op, 0..80)
}

/// What the queue should hold: looked through at each pop.
#[derive(Default)]
struct Model {
    /// Rank, deadline, number.
    items: Vec<(u64, Duration, usize)>,
}

impl Model {
    fn pop(&mut self) -> Option<usize> {
        let first = self.items.iter().min().copied()?;
        self.items.retain(|other| *other != first);
        Some(first.2)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_behaves_like_a_list_that_is_searched(capacity in 1_usize..6, ops in ops()) {
        let clock = ManualClock::new();
        let queue = queue(&clock, capacity);
        let mut model = Model::default();
        let mut closed = false;
        let mut pushes = 0;
        let mut line: VecDeque<Taker> = VecDeque::new();
        // The first so many of the line were woken.
        let mut woken = 0;
        for op in ops {
            match op {
                Op::Push(class, within) => {
                    let urgency = match within {
                        Some(within) => Urgency::class(class).within(Duration::from_secs(within.into())),
                        None => Urgency::class(class),
                    };
                    let result = queue.push(pushes, urgency);
                    if closed {
                        prop_assert_eq!(result, Err(PushError::Closed(pushes)));
                    } else if model.items.len() == capacity {
                        prop_assert_eq!(result, Err(PushError::Full(pushes)));
                    } else {
                        prop_assert_eq!(result, Ok(()));
                        let rank = u64::from(class) + clock.now().as_secs() / AGING.as_secs();
                        let deadline = within.map_or(Duration::MAX, |within| clock.now() + Duration::from_secs(within.into()));
                        model.items.push((rank, deadline, pushes));
                        woken = (woken + 1).min(line.len());
                    }
                    pushes += 1;
                }
                Op::TryPop => {
                    let is_free = model.items.len() > woken;
                    let expected = if is_free { model.pop() } else { None };
                    prop_assert_eq!(item(queue.try_pop()), expected);
                }
                Op::Wait => {
                    let is_free = closed || model.items.len() > woken;
                    let mut taker: Taker = Box::pin(queue.pop());
                    match poll(taker.as_mut()) {
                        Poll::Ready(popped) => {
                            prop_assert!(is_free);
                            prop_assert_eq!(item(popped), model.pop());
                        }
                        Poll::Pending => {
                            prop_assert!(!is_free || !line.is_empty());
                            line.push_back(taker);
                        }
                    }
                }
                Op::PollFirst => if let Some(mut taker) = line.pop_front() {
                    match poll(taker.as_mut()) {
                        Poll::Ready(popped) => {
                            prop_assert!(closed || woken > 0);
                            prop_assert_eq!(item(popped), model.pop());
                            woken = woken.saturating_sub(1);
                        }
                        Poll::Pending => {
                            prop_assert!(woken == 0);
                            line.push_front(taker);
                        }
                    }
                },
                Op::Leave(which) => if !line.is_empty() {
                    let which = which % line.len();
                    drop(line.remove(which));
                    woken = woken.min(line.len()).min(model.items.len());
                },
                Op::Advance(seconds) => clock.advance(Duration::from_secs(seconds.into())),
                Op::Close => {
                    queue.close();
                    closed = true;
                    // In which of the line the unit of the closing is does not matter: it visits
                    // them all. So they are let run.
                    while let Some(mut taker) = line.pop_front() {
                        let Poll::Ready(popped) = poll(taker.as_mut()) else {
                            return Err(TestCaseError::fail("a taker hangs on a closed queue"));
                        };
                        prop_assert_eq!(item(popped), model.pop());
                    }
                    woken = 0;
                }
            }
            prop_assert_eq!(queue.len(), model.items.len());
            prop_assert_eq!(queue.is_closed(), closed);
        }
    }
}

#[test]
fn a_waker_that_panics_is_no_concern_of_the_pusher_or_the_closer() {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }

    let queue = queue(&ManualClock::new(), 4);
    let waker = Waker::from(Arc::new(Panics));
    let mut cx = Context::from_waker(&waker);
    let mut takers: Vec<_> = (0..3).map(|_| Box::pin(queue.pop())).collect();
    for taker in &mut takers {
        assert!(taker.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(queue.push(1, 0), Ok(()));
    queue.close();
    let taken = takers.iter_mut().map(|taker| match poll(taker.as_mut()) {
        Poll::Ready(popped) => item(popped),
        Poll::Pending => panic!("it was served"),
    });
    assert!(taken.eq([Some(1), None, None]));
}

#[test]
fn a_taker_that_nobody_can_push_for_any_more_is_told_so() {
    let queue = queue::<u8>(&ManualClock::new(), 4);
    let (wakes, waker) = Wakes::new();
    let mut taker = Box::pin(queue.pop());
    assert!(
        taker
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let other = queue.clone();
    other.push(1, 0).unwrap();
    let mut second = Box::pin(other.pop());
    assert_eq!(wakes.count(), 1);
    drop((queue, other));
    assert_eq!(poll(taker.as_mut()).map(item), Poll::Ready(Some(1)));
    assert_eq!(poll(second.as_mut()).map(item), Poll::Ready(None));
}
