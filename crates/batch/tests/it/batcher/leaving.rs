//! Callers who leave, at every point of a call: nobody else is harmed, and nothing leaks.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use brolly_batch::Batcher;
use brolly_sync::ManualClock;

use super::crew::{Crew, Gate, LINGER, Seen, begun, lingering, locked, outcome};
use crate::support::{Wakes, poll};

/// dataloader's other callers panic when the one that fills their batch is cancelled.
#[test]
fn the_caller_who_opens_or_fills_a_batch_may_leave() {
    for leaver in 0..3 {
        let (crew, clock, seen) = (Crew::default(), ManualClock::new(), Seen::default());
        let note = seen.clone();
        let batcher = lingering(&clock)
            .max_size(3)
            .build(crew.spawner(), move |keys: Vec<u32>| {
                note.note(&keys);
                async move { Ok(keys) }
            })
            .unwrap();
        let mut calls: Vec<_> = (0..3)
            .map(|key| (key, begun(batcher.submit(key))))
            .collect();
        drop(calls.remove(leaver));
        crew.run();
        let sent: Vec<_> = calls.iter().map(|(key, _)| *key).collect();
        assert_eq!(seen.take(), [sent], "nobody wants the leaver's key");
        for (key, call) in calls {
            assert_eq!(outcome(call), Ok(key));
        }
        assert_eq!(batcher.stats().waiting, 0);
    }
}

#[test]
fn a_batch_that_everybody_left_is_dropped_unless_it_has_started() {
    for started in [false, true] {
        let (crew, clock, seen, gate) = (
            Crew::default(),
            ManualClock::new(),
            Seen::default(),
            Gate::default(),
        );
        let (note, pass) = (seen.clone(), gate.clone());
        let ended = Seen::default();
        let end = ended.clone();
        let batcher = lingering::<u32>(&clock)
            .build(crew.spawner(), move |keys: Vec<u32>| {
                note.note(&keys);
                let (pass, end) = (pass.clone(), end.clone());
                async move {
                    pass.pass().await;
                    end.note(&keys);
                    Ok(keys)
                }
            })
            .unwrap();
        let calls: Vec<_> = (0..2).map(|key| begun(batcher.submit(key))).collect();
        crew.run();
        if started {
            clock.advance(LINGER);
            crew.run();
        }
        drop(calls);
        crew.run();
        clock.advance(LINGER);
        gate.open();
        crew.run();
        let expected: Vec<Vec<u32>> = if started {
            vec![vec![0, 1]]
        } else {
            Vec::new()
        };
        assert_eq!((seen.take(), ended.take()), (expected.clone(), expected));
        let stats = batcher.stats();
        assert_eq!(stats.abandoned, u64::from(!started));
        assert_eq!((stats.waiting, stats.open, stats.in_flight), (0, 0, 0));
        assert_eq!((crew.tasks(), clock.sleeping()), (0, 0));
    }
}

#[test]
fn a_key_is_sent_as_long_as_one_of_those_who_joined_wants_it() {
    let (crew, clock, seen) = (Crew::default(), ManualClock::new(), Seen::default());
    let note = seen.clone();
    let batcher = lingering(&clock)
        .join_duplicates(true)
        .build(crew.spawner(), move |keys: Vec<u32>| {
            note.note(&keys);
            async move { Ok(keys) }
        })
        .unwrap();
    let first = begun(batcher.submit(1));
    let unwanted = begun(batcher.submit(2));
    let joined: Vec<_> = (0..2).map(|_| begun(batcher.submit(1))).collect();
    let last = begun(batcher.submit(3));
    let last_joined = begun(batcher.submit(3));
    drop((first, unwanted));
    clock.advance(LINGER);
    crew.run();
    assert_eq!(seen.take(), [[1, 3]]);
    assert!(joined.into_iter().all(|call| outcome(call) == Ok(1)));
    assert_eq!((outcome(last), outcome(last_joined)), (Ok(3), Ok(3)));
}

#[test]
fn a_late_caller_may_join_a_batch_that_all_others_left() {
    let (crew, clock) = (Crew::default(), ManualClock::new());
    let batcher = lingering(&clock)
        .join_duplicates(true)
        .build(crew.spawner(), |keys: Vec<u32>| async move { Ok(keys) })
        .unwrap();
    let stays = begun(batcher.submit(1));
    drop(begun(batcher.submit(2)));
    let revives = begun(batcher.submit(2));
    clock.advance(LINGER);
    crew.run();
    assert_eq!((outcome(stays), outcome(revives)), (Ok(1), Ok(2)));
}

#[test]
fn a_call_dropped_at_any_poll_leaves_the_others_whole_and_holds_nothing() {
    // 0: unpolled; 1: in line; 2: served in line; 3: open; 4: ready; 5: started; 6: over.
    for point in 0..=6 {
        for is_joined in [false, true] {
            let (crew, clock, gate) = (Crew::default(), ManualClock::new(), Gate::default());
            let pass = gate.clone();
            let token = Arc::new(());
            type Key = (u32, Arc<()>);
            let batcher: Batcher<Key, Arc<()>, &str> = Batcher::builder()
                .linger(LINGER)
                .timer(clock.clone())
                .join_duplicates(true)
                .capacity(2)
                .max_in_flight(1)
                .build(crew.spawner(), move |keys: Vec<Key>| {
                    let pass = pass.clone();
                    async move {
                        pass.pass().await;
                        Ok(keys.into_iter().map(|(_, token)| token).collect())
                    }
                })
                .unwrap();
            let call = |key: u32| batcher.submit((key, Arc::clone(&token)));
            let mut others = Vec::new();
            let start_another = || {
                let other = begun(call(100));
                batcher.flush();
                crew.run();
                other
            };
            let mut leaver = call(if is_joined && point >= 3 { 1 } else { 9 });
            if matches!(point, 1 | 2 | 4) {
                others.push(start_another());
            }
            others.push(begun(call(1)));
            if matches!(point, 1 | 2) {
                others.push(begun(call(2)));
            }
            if point > 0 {
                assert!(poll(&mut leaver, Waker::noop()).is_pending());
            }
            crew.run();
            match point {
                2 => {
                    gate.open();
                    crew.run();
                }
                4 => batcher.flush(),
                5 => {
                    batcher.flush();
                    crew.run();
                }
                6 => {
                    gate.open();
                    batcher.flush();
                    crew.run();
                }
                _ => {}
            }
            let stats = batcher.stats();
            match point {
                1 => assert_eq!((stats.in_line, stats.ready), (1, 1)),
                2 => assert_eq!((stats.in_line, stats.waiting), (0, 1)),
                3 => assert_eq!(stats.open, 1),
                4 => assert_eq!((stats.ready, stats.in_flight), (1, 1)),
                5 => assert_eq!((stats.waiting, stats.in_flight), (0, 1)),
                6 => assert_eq!((stats.waiting, stats.in_flight), (0, 0)),
                _ => {}
            }
            drop(leaver);
            gate.open();
            batcher.flush();
            crew.run();
            for other in others {
                assert!(outcome(other).is_ok(), "point {point}");
            }
            let stats = batcher.stats();
            assert_eq!((stats.waiting, stats.in_line, stats.in_flight), (0, 0, 0));
            assert_eq!(Arc::strong_count(&token), 1, "point {point}");
            let again = begun(call(5));
            batcher.flush();
            crew.run();
            assert!(outcome(again).is_ok());
            assert_eq!((crew.tasks(), clock.sleeping()), (0, 0));
        }
    }
}

#[test]
fn a_close_dropped_at_any_poll_leaves_the_batcher_closed_and_others_closing() {
    for polls in 0..3 {
        let (crew, clock) = (Crew::default(), ManualClock::new());
        let batcher = lingering(&clock)
            .build(crew.spawner(), |keys: Vec<u32>| async move { Ok(keys) })
            .unwrap();
        let call = begun(batcher.submit(1));
        let (wakes, waker) = Wakes::new();
        let mut stays = batcher.close();
        assert!(poll(&mut stays, &waker).is_pending());
        let mut leaver = batcher.close();
        for _ in 0..polls {
            assert!(poll(&mut leaver, Waker::noop()).is_pending());
        }
        drop(leaver);
        crew.run();
        assert_eq!(wakes.count(), 1);
        assert!(poll(&mut stays, &waker).is_ready() && batcher.is_closed());
        assert_eq!(outcome(call), Ok(1));
    }
}

#[test]
fn a_caller_may_move_to_another_task_between_polls() {
    let (crew, clock) = (Crew::default(), ManualClock::new());
    let batcher = lingering(&clock)
        .capacity(1)
        .build(crew.spawner(), |keys: Vec<u32>| async move { Ok(keys) })
        .unwrap();
    let (before, old) = Wakes::new();
    let (after, new) = Wakes::new();
    let mut first = batcher.submit(1);
    let mut second = batcher.submit(2);
    for (call, waker) in [(&mut first, &old), (&mut second, &old)] {
        assert!(poll(call, waker).is_pending());
    }
    for (call, waker) in [(&mut first, &new), (&mut second, &new)] {
        assert!(poll(call, waker).is_pending());
    }
    crew.run();
    assert_eq!((before.count(), after.count()), (0, 2));
    assert!(poll(&mut first, &new).is_ready() && poll(&mut second, &new).is_pending());
}

#[test]
fn a_call_may_be_dropped_from_inside_the_bulk_function() {
    let crew = Crew::default();
    let kept = Arc::new(std::sync::Mutex::new(None));
    let inside = Arc::clone(&kept);
    let batcher = Batcher::builder()
        .linger(Duration::ZERO)
        .build(crew.spawner(), move |keys: Vec<u32>| {
            drop(locked(&inside).take());
            async move { Ok::<_, &'static str>(keys) }
        })
        .unwrap();
    *locked(&kept) = Some(begun(batcher.submit(1)));
    let stays = begun(batcher.submit(2));
    crew.run();
    assert_eq!(outcome(stays), Ok(2));
}
