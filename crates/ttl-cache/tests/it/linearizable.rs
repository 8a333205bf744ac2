//! Short histories of a few threads on one or two keys, each explained by some order in which its
//! calls took effect one after the other (the search is that of Wing and Gong, "Testing and
//! verifying concurrent objects", 1993).

use std::sync::Barrier;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

use brolly_ttl_cache::Cache;

const KEYS: u64 = 2;

#[derive(Clone, Copy, Debug)]
enum Call {
    Get(u64),
    Insert(u64, u64),
    Remove(u64),
}

/// A call, what it returned, and when it began and ended.
#[derive(Clone, Copy, Debug)]
struct Done {
    call: Call,
    answer: Option<u64>,
    began: u64,
    ended: u64,
}

type State = [Option<u64>; KEYS as usize];

/// What a sequential map answers.
fn apply(state: &mut State, call: Call) -> Option<u64> {
    match call {
        Call::Get(key) => state[key as usize],
        Call::Insert(key, value) => state[key as usize].replace(value),
        Call::Remove(key) => state[key as usize].take(),
    }
}

/// Whether some order explains the history: one that keeps what ended before another began.
fn explained(history: &[Done], taken: u32, state: State) -> bool {
    if taken.count_ones() as usize == history.len() {
        return true;
    }
    let left = |at: &usize| taken & 1 << at == 0;
    let first_end = (0..history.len())
        .filter(left)
        .map(|at| history[at].ended)
        .min();
    (0..history.len()).filter(left).any(|at| {
        let done = history[at];
        if first_end.is_some_and(|end| done.began > end) {
            return false;
        }
        let mut after = state;
        apply(&mut after, done.call) == done.answer && explained(history, taken | 1 << at, after)
    })
}

fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(0x5851_F42D_4C95_7F2D)
        .wrapping_add(0x1405_7B7E_F767_814F);
    *state >> 33
}

/// Runs rounds of `threads` threads with `calls` calls each, and explains each round.
fn histories_are_explained(plain: bool, shards: usize, threads: usize, calls: usize) {
    const ROUNDS: usize = 3000;
    let mut builder = Cache::<u64, u64>::builder().max_capacity(10).shards(shards);
    if plain {
        builder = builder.optimistic_reads();
    }
    let cache = builder.build().expect("the setting is valid");
    let (time, start, end) = (
        AtomicU64::new(0),
        Barrier::new(threads),
        Barrier::new(threads),
    );
    let mut logs: Vec<Vec<Vec<Done>>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads as u64)
            .map(|thread| {
                let (cache, time, start, end) = (&cache, &time, &start, &end);
                scope.spawn(move || {
                    let mut seed = thread * 977 + calls as u64;
                    let mut log = Vec::new();
                    for round in 0..ROUNDS {
                        start.wait();
                        let mut history = Vec::new();
                        for number in 0..calls {
                            let key = random(&mut seed) % KEYS;
                            let value = (round * 100 + number * 10) as u64 + thread;
                            let call = match random(&mut seed) % 8 {
                                0..=2 => Call::Get(key),
                                3..=5 => Call::Insert(key, value),
                                _ => Call::Remove(key),
                            };
                            let began = time.fetch_add(1, SeqCst);
                            let answer = match call {
                                Call::Get(key) => cache.get(&key),
                                Call::Insert(key, value) => cache.insert(key, value),
                                Call::Remove(key) => cache.remove(&key),
                            };
                            let ended = time.fetch_add(1, SeqCst);
                            history.push(Done {
                                call,
                                answer,
                                began,
                                ended,
                            });
                        }
                        log.push(history);
                        if end.wait().is_leader() {
                            cache.clear();
                        }
                    }
                    log
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|it| it.join().expect("no call panics"))
            .collect()
    });
    for round in 0..ROUNDS {
        let history: Vec<Done> = logs
            .iter_mut()
            .flat_map(|log| log[round].drain(..))
            .collect();
        assert!(
            explained(&history, 0, [None; KEYS as usize]),
            "no order explains round {round}: {history:#?}"
        );
    }
}

#[test]
fn short_histories_of_two_threads_are_linearizable() {
    for plain in [false, true] {
        histories_are_explained(plain, 1, 2, 4);
        histories_are_explained(plain, 4, 2, 4);
    }
}

#[test]
fn short_histories_of_three_threads_are_linearizable() {
    for plain in [false, true] {
        histories_are_explained(plain, 1, 3, 3);
        histories_are_explained(plain, 4, 3, 3);
    }
}

#[test]
fn the_search_finds_what_no_order_explains() {
    let done = |call, answer, began, ended| Done {
        call,
        answer,
        began,
        ended,
    };
    // A read that ends before the write begins cannot see it.
    let early = [
        done(Call::Get(0), Some(7), 0, 1),
        done(Call::Insert(0, 7), None, 2, 3),
    ];
    assert!(!explained(&early, 0, [None; 2]));
    // At the same time, it can.
    let during = [
        done(Call::Get(0), Some(7), 0, 3),
        done(Call::Insert(0, 7), None, 1, 2),
    ];
    assert!(explained(&during, 0, [None; 2]));
    // A value that was seen does not go away by itself.
    let lost = [
        done(Call::Insert(0, 7), None, 0, 1),
        done(Call::Get(0), Some(7), 2, 3),
        done(Call::Get(0), None, 4, 5),
    ];
    assert!(!explained(&lost, 0, [None; 2]));
}
