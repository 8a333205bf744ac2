//! The order of a priority queue: a heap whose keys never change, though items age.
//!
//! Time is cut into epochs as long as the aging. An item's rank is the epoch it was pushed in plus
//! its class, fixed for good: seen from an item that is pushed `n` epochs later, it has risen by
//! `n` classes. What matters between two items is the difference of their ranks only, so nothing
//! needs to be sorted again as time goes on. Within a rank the earlier deadline goes first, then
//! the earlier push.
//!
//! A rank `r` is met by pushes up to and including epoch `r` (with class 0), so an item of class `c`
//! pushed in epoch `e` is before everything pushed in epoch `e + c + 1` or later.
//!
//! The idea of a static rank for customers that age alike is J. R. Jackson's ("Some problems in
//! queueing with dynamic priorities", Naval Research Logistics Quarterly 7, 1960); the virtual
//! deadlines of the BFS scheduler for Linux are the same. Whole epochs in place of exact times are
//! ours: with exact times two ranks are hardly ever equal, and deadlines would have no say.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::urgency::Urgency;

pub(super) struct Order<T> {
    heap: BinaryHeap<Ranked<T>>,
    aging: Duration,
    pushes: u64,
}

/// An item and what it was pushed with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<T> {
    pub(super) item: T,
    pub(super) class: u8,
    pub(super) pushed: Duration,
    pub(super) deadline: Option<Duration>,
}

impl<T> Order<T> {
    /// `aging` is not zero.
    pub(super) fn new(aging: Duration) -> Self {
        Self {
            heap: BinaryHeap::new(),
            aging,
            pushes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Adds an item; `now` is the time of the push. O(log n).
    pub(super) fn push(&mut self, item: T, urgency: Urgency, now: Duration) {
        let deadline = urgency.within.map(|within| now.saturating_add(within));
        let key = Key {
            rank: rank(urgency.class, now, self.aging),
            deadline: deadline.unwrap_or(Duration::MAX),
            push: self.pushes,
        };
        self.pushes += 1;
        let entry = Entry {
            item,
            class: urgency.class,
            pushed: now,
            deadline,
        };
        self.heap.push(Ranked(Reverse(key), entry));
    }

    /// Takes the first item. O(log n).
    pub(super) fn pop(&mut self) -> Option<Entry<T>> {
        self.heap.pop().map(|ranked| ranked.1)
    }
}

/// The least goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    rank: u64,
    deadline: Duration,
    /// Pushes are counted, so no two keys are equal.
    push: u64,
}

struct Ranked<T>(Reverse<Key>, Entry<T>);

fn rank(class: u8, now: Duration, aging: Duration) -> u64 {
    let epoch = now.as_nanos() / aging.as_nanos().max(1);
    u64::try_from(epoch)
        .unwrap_or(u64::MAX)
        .saturating_add(class.into())
}

impl<T> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Ranked<T> {}

impl<T> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGING: Duration = Duration::from_secs(10);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn drained<T>(mut order: Order<T>) -> Vec<T> {
        std::iter::from_fn(|| order.pop())
            .map(|entry| entry.item)
            .collect()
    }

    #[test]
    fn class_goes_before_deadline_before_age() {
        let mut order = Order::new(AGING);
        order.push(
            "second class",
            Urgency::class(1).within(seconds(1)),
            seconds(0),
        );
        order.push("no deadline", Urgency::class(0), seconds(1));
        order.push(
            "late deadline",
            Urgency::class(0).within(seconds(9)),
            seconds(2),
        );
        order.push(
            "early deadline",
            Urgency::class(0).within(seconds(2)),
            seconds(3),
        );
        order.push("no deadline either", Urgency::class(0), seconds(4));
        let expected = [
            "early deadline",
            "late deadline",
            "no deadline",
            "no deadline either",
            "second class",
        ];
        assert_eq!(drained(order), expected);
    }

    #[test]
    fn an_item_rises_by_a_class_with_each_aging() {
        let mut order = Order::new(AGING);
        order.push("old", Urgency::class(2), seconds(0));
        order.push("class 0, one later", Urgency::class(0), seconds(10));
        order.push("class 1, two later", Urgency::class(1), seconds(20));
        order.push("class 0, two later", Urgency::class(0), seconds(20));
        // Two epochs on, the old one is an equal of class 0 and was pushed first.
        let expected = [
            "class 0, one later",
            "old",
            "class 0, two later",
            "class 1, two later",
        ];
        assert_eq!(drained(order), expected);
    }

    #[test]
    fn the_greatest_aging_is_none() {
        let mut order = Order::new(Duration::MAX);
        order.push(1, Urgency::class(1), Duration::ZERO);
        order.push(0, Urgency::class(0), seconds(u64::MAX / 2));
        assert_eq!(drained(order), [0, 1]);
    }

    #[test]
    fn the_end_of_time_keeps_the_order_of_pushes() {
        let mut order = Order::new(Duration::from_nanos(1));
        for n in 0..5 {
            order.push(n, Urgency::class(n).within(Duration::MAX), Duration::MAX);
        }
        assert_eq!(drained(order), [0, 1, 2, 3, 4]);
    }

    proptest! {
        /// The naive oracle: looks at all pairs.
        #[test]
        fn the_heap_gives_what_a_search_would_find(
            pushes in prop::collection::vec((0_u8..6, prop::option::of(0_u64..40), 0_u64..8), 0..60),
        ) {
            let mut order = Order::new(AGING);
            let mut naive = Vec::new();
            let mut now = 0;
            for (index, (class, within, step)) in pushes.into_iter().enumerate() {
                now += step;
                let urgency = match within {
                    Some(within) => Urgency::class(class).within(seconds(within)),
                    None => Urgency::class(class),
                };
                order.push(index, urgency, seconds(now));
                naive.push((index, class, within.map(|within| now + within), now));
            }
            let before = |a: &(usize, u8, Option<u64>, u64), b: &(usize, u8, Option<u64>, u64)| {
                let effective = |item: &(usize, u8, Option<u64>, u64)| u64::from(item.1) + item.3 / 10;
                let deadline = |item: &(usize, u8, Option<u64>, u64)| item.2.unwrap_or(u64::MAX);
                effective(a) < effective(b)
                    || effective(a) == effective(b)
                        && (deadline(a) < deadline(b) || deadline(a) == deadline(b) && a.0 < b.0)
            };
            while let Some(entry) = order.pop() {
                let first = naive
                    .iter()
                    .position(|a| !naive.iter().any(|b| before(b, a)))
                    .expect("one is before all others");
                prop_assert_eq!(entry.item, naive.remove(first).0);
            }
            prop_assert!(naive.is_empty());
        }
    }
}
