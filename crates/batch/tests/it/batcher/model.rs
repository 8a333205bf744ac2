//! Any sequence of calls, departures, ticks and ends, against a batcher of a few lines.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use brolly_batch::{BatchError, Batcher, Submit, TrySubmitError};
use brolly_sync::ManualClock;
use proptest::prelude::*;

use super::crew::{Crew, Outcome, Seen, locked, millis};
use crate::support::poll;

#[derive(Clone, Debug)]
enum Op {
    Submit(u32),
    /// The caller at this place among those who wait leaves.
    Leave(usize),
    Advance(u64),
    Flush,
    /// The batch that started first ends.
    End,
    /// A caller leaves, and all tasks are dropped before any of them could look.
    ShutDown(usize),
}

#[derive(Clone, Debug)]
struct Settings {
    max_size: usize,
    linger: u64,
    max_in_flight: usize,
    capacity: usize,
    partitions: u32,
    max_partitions: usize,
    join: bool,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0..16_u32).prop_map(Op::Submit),
        2 => any::<usize>().prop_map(Op::Leave),
        2 => (1..8_u64).prop_map(Op::Advance),
        1 => Just(Op::Flush),
        3 => Just(Op::End),
        1 => any::<usize>().prop_map(Op::ShutDown),
    ];
    prop::collection::vec(op, 0..80)
}

fn settings() -> impl Strategy<Value = Settings> {
    (
        1..5_usize,
        0..12_u64,
        1..4_usize,
        1..12_usize,
        1..4_u32,
        1..4_usize,
        any::<bool>(),
    )
        .prop_map(
            |(max_size, linger, max_in_flight, capacity, partitions, max_partitions, join)| {
                Settings {
                    max_size,
                    linger,
                    max_in_flight,
                    capacity,
                    partitions,
                    max_partitions,
                    join,
                }
            },
        )
}

/// One batch of the oracle: its keys, and who wants each.
#[derive(Clone, Debug, Default)]
struct Batch {
    partition: u32,
    opened: u64,
    keys: Vec<(u32, Vec<usize>)>,
}

#[derive(Default)]
struct Naive {
    now: u64,
    open: Vec<Batch>,
    ready: VecDeque<Batch>,
    in_flight: VecDeque<Batch>,
    started: Vec<Vec<u32>>,
    outcomes: Vec<(usize, Outcome)>,
}

impl Naive {
    fn waiting(&self) -> usize {
        let unstarted = self.open.iter().chain(&self.ready);
        unstarted.map(|batch| batch.keys.len()).sum()
    }

    fn fire(&mut self, place: usize) {
        let batch = self.open.remove(place);
        self.ready.push_back(batch);
    }

    /// Whether there was room.
    fn submit(&mut self, settings: &Settings, key: u32, caller: usize) -> bool {
        let partition = key % settings.partitions;
        let place = self
            .open
            .iter()
            .position(|batch| batch.partition == partition);
        if let Some(place) = place
            && settings.join
            && let Some((_, callers)) = self.open[place]
                .keys
                .iter_mut()
                .find(|(other, _)| *other == key)
        {
            callers.push(caller);
            return true;
        }
        if self.waiting() == settings.capacity {
            return false;
        }
        let place = place.unwrap_or_else(|| {
            if self.open.len() == settings.max_partitions {
                self.fire(0);
            }
            self.open.push(Batch {
                partition,
                opened: self.now,
                keys: Vec::new(),
            });
            self.open.len() - 1
        });
        self.open[place].keys.push((key, vec![caller]));
        if self.open[place].keys.len() == settings.max_size {
            self.fire(place);
        }
        true
    }

    fn leave(&mut self, caller: usize) {
        let unstarted = self.open.iter_mut().chain(&mut self.ready);
        for batch in unstarted.chain(&mut self.in_flight) {
            for (_, callers) in &mut batch.keys {
                callers.retain(|other| *other != caller);
            }
        }
        let is_wanted = |batch: &Batch| batch.keys.iter().any(|(_, callers)| !callers.is_empty());
        self.open.retain(is_wanted);
        self.ready.retain(is_wanted);
    }

    fn end(&mut self) -> bool {
        let Some(batch) = self.in_flight.pop_front() else {
            return false;
        };
        let sent: Vec<_> = batch.keys.iter().map(|(key, _)| *key).collect();
        for (key, callers) in batch.keys {
            for caller in callers {
                self.outcomes.push((caller, expected(&sent, key)));
            }
        }
        true
    }

    /// Every batch is dropped. Returns how many had started.
    fn shut_down(&mut self) -> usize {
        let started = self.in_flight.len();
        let unstarted = self.open.drain(..).chain(self.ready.drain(..));
        for batch in unstarted.chain(self.in_flight.drain(..)) {
            let callers = batch.keys.into_iter().flat_map(|(_, callers)| callers);
            let dropped = callers.map(|caller| (caller, Err(BatchError::Dropped)));
            self.outcomes.extend(dropped);
        }
        started
    }

    /// What happens by itself: lingers end, batches start.
    fn settle(&mut self, settings: &Settings) {
        while let Some(place) = self
            .open
            .iter()
            .position(|batch| batch.opened + settings.linger <= self.now)
        {
            self.fire(place);
        }
        while self.in_flight.len() < settings.max_in_flight
            && let Some(mut batch) = self.ready.pop_front()
        {
            batch.keys.retain(|(_, callers)| !callers.is_empty());
            self.started
                .push(batch.keys.iter().map(|(key, _)| *key).collect());
            self.in_flight.push_back(batch);
        }
    }
}

type Call = Submit<u32, u32, &'static str, u32>;

/// What the bulk function makes of a batch.
fn bulk(keys: &[u32]) -> Vec<Result<u32, &'static str>> {
    assert!(!keys.contains(&13), "unlucky");
    let results = keys.iter().map(|key| {
        if key % 7 == 3 {
            Err("three")
        } else {
            Ok(key * 10)
        }
    });
    results.skip(usize::from(keys.contains(&11))).collect()
}

fn expected(sent: &[u32], key: u32) -> Outcome {
    if sent.contains(&13) {
        return Err(BatchError::Panicked {
            message: "unlucky".into(),
        });
    }
    if sent.contains(&11) {
        let (expected, got) = (sent.len(), sent.len() - 1);
        return Err(BatchError::WrongCount { expected, got });
    }
    if key % 7 == 3 {
        return Err(BatchError::Failed(Arc::new("three")));
    }
    Ok(key * 10)
}

/// Lets batches end one by one, in the order in which they started.
#[derive(Clone, Default)]
struct Ends {
    allowed: Arc<AtomicUsize>,
    wakers: Arc<Mutex<Vec<Waker>>>,
}

impl Ends {
    fn allow_one(&self) {
        self.allowed.fetch_add(1, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *locked(&self.wakers));
        wakers.into_iter().for_each(Waker::wake);
    }

    async fn wait(&self, number: usize) {
        std::future::poll_fn(|cx| {
            if self.allowed.load(Ordering::SeqCst) > number {
                return Poll::Ready(());
            }
            locked(&self.wakers).push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

fn check(settings: &Settings, ops: Vec<Op>) {
    let (crew, clock, seen, ends) = (
        Crew::default(),
        ManualClock::new(),
        Seen::default(),
        Ends::default(),
    );
    let (note, wait, number) = (seen.clone(), ends.clone(), AtomicUsize::new(0));
    let partitions = settings.partitions;
    let batcher = Batcher::builder()
        .max_size(settings.max_size)
        .linger(millis(settings.linger))
        .max_in_flight(settings.max_in_flight)
        .capacity(settings.capacity)
        .max_partitions(settings.max_partitions)
        .join_duplicates(settings.join)
        .timer(clock.clone())
        .partition_by(move |key: &u32| key % partitions)
        .build_each(crew.spawner(), move |keys: Vec<u32>| {
            note.note(&keys);
            let (wait, number) = (wait.clone(), number.fetch_add(1, Ordering::SeqCst));
            async move {
                wait.wait(number).await;
                bulk(&keys)
            }
        })
        .expect("every setting is in range");
    let mut naive = Naive::default();
    let mut calls: Vec<(usize, Call)> = Vec::new();
    for (caller, op) in ops.into_iter().enumerate() {
        match op {
            Op::Submit(key) => match batcher.try_submit(key) {
                Ok(call) => {
                    assert!(naive.submit(settings, key, caller), "there was no room");
                    calls.push((caller, call));
                }
                Err(TrySubmitError::Full(returned)) => {
                    assert_eq!(returned, key);
                    assert!(!naive.submit(settings, key, caller), "there was room");
                }
                Err(other) => panic!("{other:?}"),
            },
            Op::Leave(place) if !calls.is_empty() => {
                let (caller, call) = calls.remove(place % calls.len());
                drop(call);
                naive.leave(caller);
            }
            Op::Leave(_) => {}
            Op::Advance(by) => {
                clock.advance(millis(by));
                naive.now += by;
            }
            Op::Flush => {
                batcher.flush();
                while !naive.open.is_empty() {
                    naive.fire(0);
                }
            }
            Op::End => {
                if naive.end() {
                    ends.allow_one();
                }
            }
            Op::ShutDown(place) => {
                if !calls.is_empty() {
                    let (caller, call) = calls.remove(place % calls.len());
                    drop(call);
                    naive.leave(caller);
                }
                crew.shut_down();
                (0..naive.shut_down()).for_each(|_| ends.allow_one());
            }
        }
        crew.run();
        naive.settle(settings);
        assert_eq!(seen.take(), std::mem::take(&mut naive.started));
        let over = std::mem::take(&mut naive.outcomes);
        calls.retain_mut(|(caller, call)| match poll(call, Waker::noop()) {
            Poll::Pending => {
                assert!(!over.iter().any(|(other, _)| other == caller), "it is over");
                true
            }
            Poll::Ready(outcome) => {
                let expected = over.iter().find(|(other, _)| other == caller);
                assert_eq!(Some(&outcome), expected.map(|(_, outcome)| outcome));
                false
            }
        });
        let stats = batcher.stats();
        assert_eq!(stats.waiting, naive.waiting());
        assert_eq!(stats.open, naive.open.len());
        assert_eq!(stats.ready, naive.ready.len());
        assert_eq!(stats.in_flight, naive.in_flight.len());
    }
    // Whatever is left comes to its end.
    let mut close = batcher.close();
    crew.run();
    for _ in 0..100 {
        ends.allow_one();
        crew.run();
    }
    assert!(poll(&mut close, Waker::noop()).is_ready());
    for (_, mut call) in calls {
        assert!(poll(&mut call, Waker::noop()).is_ready());
    }
    assert_eq!((crew.tasks(), clock.sleeping()), (0, 0));
    assert_eq!(batcher.stats().waiting, 0);
    assert!(Duration::from_millis(naive.now) <= brolly_sync::Clock::now(&clock));
}

proptest! {
    #[test]
    fn batches_are_those_of_a_naive_batcher(settings in settings(), ops in ops()) {
        check(&settings, ops);
    }
}
