//! A sink against a naive oracle: a set of items, and what the store says it has confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use brolly_batch::{BulkSink, BulkStore, Receipt, SinkError};
use brolly_sync::ManualClock;
use proptest::prelude::*;

use crate::support::{drop_after, run_with, yield_times};

#[derive(Clone, Debug)]
enum Op {
    /// Inserts an item for each of these moods.
    Insert(Vec<Mood>),
    /// The same, dropped after so many polls.
    InsertAndDrop(Vec<Mood>, usize),
    Flush,
    FlushAndDrop(usize),
    /// Takes the buffer out.
    Take,
}

/// How an item fares at the store.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Fine,
    /// Is refused so many times.
    Refused(u8),
    /// Makes the calls that it is part of fail, so many times.
    Poison(u8),
    /// Makes the calls that it is part of panic, so many times.
    Bomb(u8),
}

#[derive(Default)]
struct State {
    moods: BTreeMap<u32, Mood>,
    confirmed: BTreeSet<u32>,
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<State>>);

impl Store {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it is locked")
    }
}

impl BulkStore<u32> for Store {
    type Error = u32;

    async fn store(&self, batch: &[u32]) -> Result<Receipt<u32>, u32> {
        assert!(!batch.is_empty());
        yield_times(batch.len() % 3).await;
        let mut poison = None;
        let mut bomb = None;
        let mut results = Vec::new();
        let mut state = self.state();
        for &item in batch {
            let mood = state.moods.get_mut(&item).expect("an item that was given");
            results.push(Ok(()));
            match mood {
                Mood::Refused(times) if *times > 0 => {
                    *times -= 1;
                    results.pop();
                    results.push(Err(item));
                }
                Mood::Poison(times) if *times > 0 => {
                    *times -= 1;
                    poison = Some(item);
                }
                Mood::Bomb(times) if *times > 0 => {
                    *times -= 1;
                    bomb = Some(item);
                }
                _ => {}
            }
        }
        if let Some(item) = poison {
            return Err(item);
        }
        if let Some(item) = bomb {
            drop(state);
            panic!("{item}");
        }
        for (item, result) in batch.iter().zip(&results) {
            let is_new = result.is_err() || state.confirmed.insert(*item);
            assert!(is_new, "{item} is sent again after it was confirmed");
        }
        Ok(Receipt::Each(results))
    }
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        6 => Just(Mood::Fine),
        3 => (1..6_u8).prop_map(Mood::Refused),
        1 => (1..4_u8).prop_map(Mood::Poison),
        1 => (1..3_u8).prop_map(Mood::Bomb),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let moods = || prop::collection::vec(mood(), 0..12);
    prop_oneof![
        4 => moods().prop_map(Op::Insert),
        3 => (moods(), 0..12_usize).prop_map(|(moods, polls)| Op::InsertAndDrop(moods, polls)),
        2 => Just(Op::Flush),
        2 => (0..12_usize).prop_map(Op::FlushAndDrop),
        1 => Just(Op::Take),
    ]
}

/// The buffer is what was given and not confirmed, the youngest `capacity` of it; everything else
/// that was not confirmed is dropped.
#[derive(Default)]
struct Oracle {
    capacity: usize,
    given: u32,
    buffer: BTreeSet<u32>,
    dropped: u64,
    taken: u64,
}

impl Oracle {
    fn settle(&mut self, given: u32, confirmed: &BTreeSet<u32>) {
        self.buffer.extend(self.given..self.given + given);
        self.given += given;
        self.buffer.retain(|item| !confirmed.contains(item));
        while self.buffer.len() > self.capacity {
            self.buffer.pop_first();
            self.dropped += 1;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn stored_buffered_and_dropped_are_all_that_was_given(
        ops in prop::collection::vec(op(), 1..12),
        batch_size in 1..6_usize,
        max_concurrent in 1..4_usize,
        strict_order in any::<bool>(),
        capacity in 1..20_usize,
        attempts in 1..4_u32,
    ) {
        let clock = ManualClock::new();
        let store = Store::default();
        let sink = BulkSink::builder()
            .batch_size(batch_size)
            .max_concurrent(max_concurrent)
            .strict_order(strict_order)
            .buffer(capacity)
            .retry(move |failures, _: &u32| (failures < attempts).then_some(Duration::from_secs(1)))
            .timer(clock.clone())
            .build(store.clone())
            .unwrap();
        let mut oracle = Oracle { capacity, ..Oracle::default() };
        for op in ops {
            let before = oracle.buffer.clone();
            let already = store.state().confirmed.clone();
            let items = |moods: Vec<Mood>| -> Vec<u32> {
                let items = oracle.given..oracle.given + moods.len() as u32;
                store.state().moods.extend(items.clone().zip(moods));
                items.collect()
            };
            match op {
                Op::Insert(moods) => {
                    let items = items(moods);
                    let inserted = run_with(&clock, sink.insert(items.clone()));
                    let confirmed = store.state().confirmed.clone();
                    let dropped_before = oracle.dropped;
                    oracle.settle(items.len() as u32, &confirmed);

                    prop_assert_eq!(inserted.results.len(), items.len());
                    for (item, result) in items.iter().zip(&inserted.results) {
                        prop_assert_eq!(result.is_ok(), confirmed.contains(item));
                        if let Err(SinkError::Refused(error)) = result {
                            prop_assert_eq!(error, item);
                        }
                    }
                    let is_own = |item: &&u32| items.contains(item);
                    prop_assert_eq!(inserted.stored, confirmed.iter().filter(is_own).count());
                    prop_assert_eq!(inserted.buffered, oracle.buffer.iter().filter(is_own).count());
                    prop_assert_eq!(inserted.stored + inserted.failed, items.len());
                    prop_assert_eq!(inserted.buffered + inserted.dropped, inserted.failed);
                    let lost = (oracle.dropped - dropped_before) as usize;
                    prop_assert_eq!(inserted.dropped + inserted.displaced, lost);
                    let flushed = before.iter().filter(|item| confirmed.contains(item)).count();
                    prop_assert_eq!(inserted.flushed, flushed);
                    if strict_order {
                        // Only what is behind everything stored may wait; refused items of a batch
                        // are the store's choice.
                        let untried = |result: &Result<_, _>| *result == Err(SinkError::NotTried);
                        let first = inserted.results.iter().position(untried);
                        let rest = &inserted.results[first.unwrap_or(items.len())..];
                        prop_assert!(rest.iter().all(untried));
                    }
                }
                Op::InsertAndDrop(moods, polls) => {
                    let items = items(moods);
                    drop_after(&clock, sink.insert(items.clone()), polls);
                    oracle.settle(items.len() as u32, &store.state().confirmed);
                }
                Op::Flush => {
                    let flushed = run_with(&clock, sink.flush());
                    let confirmed = store.state().confirmed.clone();
                    oracle.settle(0, &confirmed);
                    prop_assert_eq!(flushed.flushed, confirmed.len() - already.len());
                    prop_assert_eq!(flushed.remaining, oracle.buffer.len());
                    prop_assert_eq!(flushed.dropped, 0);
                    prop_assert_eq!(flushed.failure.is_some(), flushed.flushed < before.len());
                }
                Op::FlushAndDrop(polls) => {
                    drop_after(&clock, sink.flush(), polls);
                    oracle.settle(0, &store.state().confirmed);
                }
                Op::Take => {
                    prop_assert!(sink.take_buffered().into_iter().eq(oracle.buffer.iter().copied()));
                    oracle.taken += oracle.buffer.len() as u64;
                    oracle.buffer.clear();
                }
            }
            let stats = sink.stats();
            prop_assert_eq!(stats.given, u64::from(oracle.given));
            prop_assert_eq!(stats.stored, store.state().confirmed.len() as u64);
            prop_assert_eq!(stats.buffered, oracle.buffer.len() as u64);
            prop_assert_eq!(stats.dropped, oracle.dropped);
            prop_assert_eq!((stats.in_flight, stats.taken), (0, oracle.taken));
        }
        prop_assert!(sink.take_buffered().into_iter().eq(oracle.buffer));
    }
}
