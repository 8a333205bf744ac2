//! Any sequence of operations against a model of two queues.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use brolly_sync::{Take, WaitList};
use proptest::prelude::*;

use crate::support::poll;

#[derive(Clone, Debug)]
enum Op {
    Put(u32),
    TryTake,
    Wait,
    Poll(usize),
    Drop(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        any::<u32>().prop_map(Op::Put),
        Just(Op::TryTake),
        Just(Op::Wait),
        any::<usize>().prop_map(Op::Poll),
        any::<usize>().prop_map(Op::Drop),
    ]
}

#[derive(Default)]
struct Model {
    idle: Vec<u32>,
    /// Numbers of the waiting takers, the oldest first.
    line: VecDeque<usize>,
    granted: Vec<(usize, u32)>,
}

impl Model {
    fn put(&mut self, value: u32) {
        match self.line.pop_front() {
            Some(taker) => self.granted.push((taker, value)),
            None => self.idle.push(value),
        }
    }

    fn claim(&mut self, taker: usize) -> Option<u32> {
        let at = self.granted.iter().position(|&(to, _)| to == taker)?;
        Some(self.granted.remove(at).1)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_list_behaves_like_two_queues(ops in prop::collection::vec(op(), 0..60)) {
        let list = WaitList::new(Vec::new());
        let mut model = Model::default();
        let mut takers: Vec<(usize, Take<'_, u32>)> = Vec::new();
        for (number, op) in ops.into_iter().enumerate() {
            match op {
                Op::Put(value) => {
                    list.put(value);
                    model.put(value);
                }
                Op::TryTake => prop_assert_eq!(list.try_take(), model.idle.pop()),
                Op::Wait => {
                    let mut taker = list.take();
                    match (poll(&mut taker, Waker::noop()), model.idle.pop()) {
                        (Poll::Ready(value), expected) => prop_assert_eq!(Some(value), expected),
                        (Poll::Pending, expected) => {
                            prop_assert_eq!(None, expected);
                            model.line.push_back(number);
                            takers.push((number, taker));
                        }
                    }
                }
                Op::Poll(which) if !takers.is_empty() => {
                    let which = which % takers.len();
                    let (number, taker) = &mut takers[which];
                    let expected = model.claim(*number);
                    match poll(taker, Waker::noop()) {
                        Poll::Ready(value) => {
                            prop_assert_eq!(Some(value), expected);
                            drop(takers.swap_remove(which));
                        }
                        Poll::Pending => prop_assert_eq!(None, expected),
                    }
                }
                Op::Drop(which) if !takers.is_empty() => {
                    let (number, taker) = takers.swap_remove(which % takers.len());
                    drop(taker);
                    model.line.retain(|&waiting| waiting != number);
                    if let Some(value) = model.claim(number) {
                        model.put(value);
                    }
                }
                Op::Poll(_) | Op::Drop(_) => {}
            }
            prop_assert_eq!(list.idle(), model.idle.len());
            prop_assert_eq!(list.waiting(), model.line.len());
        }
    }
}
