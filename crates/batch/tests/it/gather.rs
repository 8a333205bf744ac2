//! What [`gather`] promises: an answer for every id, in order, whatever happens to the others.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{IntoFuture, pending, ready};
use std::rc::Rc;
use std::time::Duration;

use brolly_batch::{CancelToken, ConfigError, GatherError, Limiter, SourceError, gather};
use brolly_sync::{Clock, ManualClock, Timer};
use proptest::prelude::*;

use crate::support::{Gauge, Wakes, drop_after, poll, run, run_with, yield_times};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_id_is_answered_in_order_of_id() {
    let clock = ManualClock::new();
    let kinds = ["value", "error", "panic", "late", "value"];
    let sources = [30, 10, 50, 20, 40]
        .into_iter()
        .zip(kinds)
        .map(|(id, kind)| {
            let future = async move {
                match kind {
                    "value" => Ok(id),
                    "error" => Err("is down"),
                    "panic" => panic!("is broken"),
                    _ => pending().await,
                }
            };
            (id, future)
        });
    let gathering = gather(sources).timeout(SECOND).timer(clock.clone());
    let answer = run_with(&clock, gathering.into_future()).unwrap();
    let ids: Vec<u32> = answer.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [10, 20, 30, 40, 50]);
    assert_eq!(answer.get(&10), Some(&Err(SourceError::Failed("is down"))));
    assert_eq!(
        answer.get(&20),
        Some(&Err(SourceError::TimedOut { after: SECOND }))
    );
    assert_eq!(answer.get(&30), Some(&Ok(30)));
    assert_eq!(answer.get(&40), Some(&Ok(40)));
    let Some(Err(SourceError::Panicked(panic))) = answer.get(&50) else {
        panic!("the panic is the answer of its id: {answer:?}");
    };
    assert_eq!((panic.index(), panic.message()), (2, "is broken"));
    assert_eq!(answer.get(&60), None);

    assert_eq!(
        (answer.len(), answer.is_empty(), answer.is_complete()),
        (5, false, false)
    );
    assert_eq!(answer.ok().map(|(id, _)| *id).collect::<Vec<_>>(), [30, 40]);
    assert_eq!(
        answer.failed().map(|(id, _)| *id).collect::<Vec<_>>(),
        [10, 20, 50]
    );
    let map = answer.clone().into_map();
    assert!(map.into_iter().eq(answer.clone()));
    let (ok, failed) = answer.into_parts();
    assert_eq!((ok, failed.len()), (vec![(30, 30), (40, 40)], 3));
}

/// The original logged a pool that failed and answered with an empty list, or left it out.
#[test]
fn a_failed_source_is_never_left_out_or_empty() {
    let pools = (0..10).map(|id| (id, ready(if id % 3 == 0 { Err(id) } else { Ok(vec![id]) })));
    let answer = run(gather(pools).into_future()).unwrap();
    assert_eq!(answer.len(), 10);
    assert_eq!(
        answer.failed().map(|(id, _)| *id).collect::<Vec<_>>(),
        [0, 3, 6, 9]
    );
    assert!(answer.ok().all(|(id, memories)| memories == &[*id]));
}

/// The original started one request for each pool, however many there were.
#[test]
fn no_more_than_the_limit_run_at_a_time() {
    for (limit, expected) in [(None, 64), (Some(1), 1), (Some(7), 7), (Some(500), 200)] {
        let gauge = Gauge::default();
        let sources = (0..200).map(|id| {
            let gauge = &gauge;
            (id, async move {
                let _guard = gauge.enter();
                yield_times(3).await;
                Ok::<_, Infallible>(())
            })
        });
        let gathering = gather(sources);
        let gathering = match limit {
            Some(limit) => gathering.limit(limit),
            None => gathering,
        };
        assert!(run(gathering.into_future()).unwrap().is_complete());
        assert_eq!(gauge.peak(), expected);
    }
}

#[test]
fn sources_start_in_the_order_given() {
    let started = RefCell::new(Vec::new());
    let sources = [3, 1, 2].map(|id| {
        let started = &started;
        (id, async move {
            started.borrow_mut().push(id);
            Ok::<_, Infallible>(())
        })
    });
    run(gather(sources).limit(1).into_future()).unwrap();
    assert_eq!(*started.borrow(), [3, 1, 2]);
}

/// With one at a time, ten sources of 0.6 s take 6 s; each is within its own second.
#[test]
fn time_counts_from_a_sources_own_start() {
    let clock = ManualClock::new();
    let sources = (0..10).map(|id| {
        let clock = clock.clone();
        (id, async move {
            clock.sleep(SECOND * 6 / 10).await;
            Ok::<_, Infallible>(())
        })
    });
    let gathering = gather(sources)
        .limit(1)
        .timeout(SECOND)
        .timer(clock.clone());
    assert!(
        run_with(&clock, gathering.into_future())
            .unwrap()
            .is_complete()
    );
    assert_eq!(clock.now(), SECOND * 6);
}

#[test]
fn a_hanging_source_holds_up_nobody_beyond_its_time() {
    let clock = ManualClock::new();
    let sources = (0..100).map(|id| {
        (id, async move {
            if id % 2 == 0 {
                pending::<()>().await
            }
            Ok::<_, Infallible>(id)
        })
    });
    let gathering = gather(sources)
        .limit(10)
        .timeout(SECOND)
        .timer(clock.clone());
    let answer = run_with(&clock, gathering.into_future()).unwrap();
    assert_eq!(answer.ok().count(), 50);
    assert!(answer.failed().all(|(_, error)| error.is_timeout()));
    assert_eq!(
        clock.now(),
        SECOND * 5,
        "ten at a time, and the others pass by"
    );
    assert_eq!(clock.sleeping(), 0);
}

#[test]
fn a_result_that_is_there_is_never_late() {
    let clock = ManualClock::new();
    let sources = [("now", 0), ("later", 1)].map(|(id, polls)| {
        (id, async move {
            yield_times(polls).await;
            Ok::<_, Infallible>(())
        })
    });
    let gathering = gather(sources).timeout(Duration::ZERO).timer(clock);
    let answer = run(gathering.into_future()).unwrap();
    assert_eq!(answer.get("now"), Some(&Ok(())));
    assert!(
        answer
            .get("later")
            .unwrap()
            .as_ref()
            .unwrap_err()
            .is_timeout()
    );
}

#[test]
fn a_timeout_without_end_is_none() {
    let clock = ManualClock::new();
    clock.advance(SECOND);
    let sources = [(0, yield_forever(1000))];
    let gathering = gather(sources).timeout(Duration::MAX).timer(clock);
    assert!(run(gathering.into_future()).unwrap().is_complete());
}

async fn yield_forever(times: usize) -> Result<(), Infallible> {
    yield_times(times).await;
    Ok(())
}

#[test]
fn without_a_timer_of_its_own_time_passes_too() {
    crate::support::within_a_minute(|| {
        let sources = [("hangs", pending::<Result<(), Infallible>>())];
        let gathering = gather(sources).timeout(Duration::from_millis(1));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let answer = runtime.block_on(gathering.into_future()).unwrap();
        assert!(
            answer
                .get("hangs")
                .unwrap()
                .as_ref()
                .unwrap_err()
                .is_timeout()
        );
    });
}

#[test]
fn an_id_given_twice_is_refused_before_anything_starts() {
    let started = Rc::new(Cell::new(0));
    let sources = ["b", "c", "b", "a", "c", "b"].map(|id| {
        let started = Rc::clone(&started);
        (id, async move {
            started.set(started.get() + 1);
            Ok::<_, Infallible>(())
        })
    });
    let error = run(gather(sources).into_future()).unwrap_err();
    let positions = vec![0, 2, 5];
    assert_eq!(error, GatherError::Duplicate { id: "b", positions });
    assert_eq!(
        error.to_string(),
        "the same id was given at the positions [0, 2, 5]"
    );
    assert_eq!(started.get(), 0);
    assert_eq!(Rc::strong_count(&started), 1, "the futures are gone");
}

/// With a limit of zero, `buffer_unordered` of the futures crate waits for ever (#2939).
#[test]
fn a_limit_of_zero_is_refused() {
    let gathering = gather([(0, ready(Ok::<_, Infallible>(())))]).limit(0);
    let error = run(gathering.into_future()).unwrap_err();
    let expected = ConfigError::OutOfRange {
        field: "limit",
        value: 0,
        min: 1,
        max: 1 << 20,
    };
    assert_eq!(error, GatherError::Config(expected));
}

#[test]
fn nothing_asked_is_answered_at_once() {
    let nothing: [(u8, std::future::Ready<Result<(), ()>>); 0] = [];
    let answer = run(gather(nothing).limit(1).into_future()).unwrap();
    assert!(answer.is_empty() && answer.is_complete());
}

#[test]
fn a_cancelled_run_answers_for_every_id() {
    let token = CancelToken::new();
    let dropped = Rc::new(());
    let sources = (0..1000).map(|id| {
        let (token, dropped) = (token.clone(), Rc::clone(&dropped));
        (id, async move {
            let _dropped = dropped;
            match id {
                0 => Ok::<_, Infallible>(()),
                2 => {
                    token.cancel();
                    Ok(())
                }
                _ => pending().await,
            }
        })
    });
    let answer = run(gather(sources).limit(2).cancel_with(&token).into_future()).unwrap();
    assert_eq!(answer.len(), 1000);
    assert_eq!(answer.ok().map(|(id, ())| *id).collect::<Vec<_>>(), [0, 2]);
    assert!(
        answer
            .failed()
            .all(|(_, error)| *error == SourceError::Cancelled)
    );
    assert_eq!(Rc::strong_count(&dropped), 1);
}

#[test]
fn a_drained_run_ends_what_runs() {
    let token = CancelToken::new();
    let sources = (0..10).map(|id| {
        let token = token.clone();
        (id, async move {
            token.drain();
            yield_times(2).await;
            Ok::<_, Infallible>(())
        })
    });
    let answer = run(gather(sources).limit(3).cancel_with(&token).into_future()).unwrap();
    assert_eq!(answer.ok().count(), 1);
    assert_eq!(answer.failed().count(), 9);
}

#[test]
fn the_deadline_of_a_run_answers_for_every_id() {
    let clock = ManualClock::new();
    let sources = (0..10).map(|id| {
        let clock = clock.clone();
        (id, async move {
            clock.sleep(SECOND).await;
            Ok::<_, Infallible>(())
        })
    });
    let gathering = gather(sources)
        .limit(2)
        .deadline(SECOND * 5 / 2)
        .timer(clock.clone());
    let answer = run_with(&clock, gathering.into_future()).unwrap();
    assert_eq!(
        answer.ok().map(|(id, ())| *id).collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    assert!(
        answer
            .failed()
            .all(|(_, error)| *error == SourceError::DeadlineExceeded)
    );
    assert_eq!(clock.now(), SECOND * 5 / 2);
}

#[test]
fn a_gathering_dropped_at_any_poll_drops_all_it_holds() {
    for times in 0.. {
        let clock = ManualClock::new();
        let token = Rc::new(());
        let sources = (0..20).map(|id| {
            let (token, clock) = (Rc::clone(&token), clock.clone());
            (id, async move {
                yield_times(id % 3).await;
                clock.sleep(SECOND).await;
                Ok::<_, Infallible>(token)
            })
        });
        let gathering = gather(sources)
            .limit(4)
            .timeout(SECOND * 2)
            .timer(clock.clone());
        let ended = drop_after(&clock, gathering.into_future(), times);
        assert_eq!(Rc::strong_count(&token), 1, "dropped after {times} polls");
        assert_eq!(clock.sleeping(), 0);
        if ended {
            assert!(times > 5, "the test has dropped it half way");
            return;
        }
    }
}

#[test]
fn a_destructor_that_panics_harms_its_own_id_only() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let clock = ManualClock::new();
    let sources = (0..3).map(|id| {
        let bomb = (id == 1).then(|| Bomb);
        (id, async move {
            let _bomb = bomb;
            if id == 1 {
                pending::<()>().await
            }
            Ok::<_, Infallible>(())
        })
    });
    let gathering = gather(sources).timeout(SECOND).timer(clock.clone());
    let answer = run_with(&clock, gathering.into_future()).unwrap();
    assert_eq!(answer.ok().count(), 2);
    assert!(answer.get(&1).unwrap().is_err());
}

#[test]
fn a_gathering_moves_and_is_send_when_its_futures_are() {
    fn is_send_and_unpin<T: Send + Unpin>(_: &T) {}
    let sources = (0..3).map(|id| (id, async move { Ok::<_, String>(id) }));
    let mut gathering = gather(sources).into_future();
    is_send_and_unpin(&gathering);
    let (_, waker) = Wakes::new();
    assert!(poll(&mut gathering, &waker).is_ready());
}

proptest! {
    /// Against the plain definition: a map from each id to what its future does on its own.
    #[test]
    fn the_answer_is_the_map_of_what_each_does_alone(
        plan in prop::collection::btree_map(any::<u16>(), (0..4_u8, 0..4_usize), 0..80),
        order in any::<u64>(),
        limit in 1..20_usize,
    ) {
        let clock = ManualClock::new();
        let mut given: Vec<_> = plan.iter().map(|(&id, &does)| (id, does)).collect();
        given.sort_by_key(|(id, _)| u64::from(*id).wrapping_mul(order | 1)); // some order
        let sources = given.into_iter().map(|(id, (kind, yields))| (id, async move {
            yield_times(yields).await;
            match kind {
                0 => Ok(id),
                1 => Err(id),
                2 => panic!("{id}"),
                _ => pending().await,
            }
        }));
        let gathering = gather(sources).limit(limit).timeout(SECOND).timer(clock.clone());
        let answer = run_with(&clock, gathering.into_future()).unwrap();
        prop_assert_eq!(answer.len(), plan.len());
        for ((id, answer), (expected, (kind, _))) in answer.into_iter().zip(plan) {
            prop_assert_eq!(id, expected);
            match (kind, answer) {
                (0, Ok(value)) => prop_assert_eq!(value, id),
                (1, Err(SourceError::Failed(error))) => prop_assert_eq!(error, id),
                (2, Err(SourceError::Panicked(panic))) => {
                    prop_assert_eq!(panic.message(), id.to_string());
                }
                (3, Err(SourceError::TimedOut { after })) => prop_assert_eq!(after, SECOND),
                (kind, other) => prop_assert!(false, "{} came to {:?}", kind, other),
            }
        }
    }
}

#[test]
fn a_shared_limiter_bounds_all_that_use_it_and_nesting_ends() {
    let clock = ManualClock::new();
    for bound in [1, 3] {
        let limiter = Limiter::new(bound).unwrap();
        let gauge = Gauge::default();
        let outer = (0..4).map(|id| {
            let (limiter, gauge, clock) = (&limiter, &gauge, &clock);
            (id, async move {
                let inner = (0..5).map(|id| {
                    (id, async move {
                        let _guard = gauge.enter();
                        clock.sleep(SECOND).await;
                        Ok::<_, Infallible>(())
                    })
                });
                let answer = gather(inner).limiter(limiter).timeout(SECOND * 3 / 2);
                let answer = answer.timer(clock.clone()).await;
                assert!(
                    answer.unwrap().is_complete(),
                    "waiting in line costs no time"
                );
                Ok::<_, Infallible>(())
            })
        });
        let gathering = gather(outer).limiter(&limiter);
        let answer = run_with(&clock, gathering.into_future()).unwrap();
        assert!(answer.is_complete());
        assert_eq!(gauge.peak(), bound);
        assert_eq!(limiter.pool().active(), 0);
    }
}

#[test]
fn an_absurd_size_hint_of_the_sources_does_no_harm() {
    struct Liar(Option<u32>);
    impl Iterator for Liar {
        type Item = (u32, std::future::Ready<Result<(), Infallible>>);
        fn next(&mut self) -> Option<Self::Item> {
            self.0.take().map(|id| (id, ready(Ok(()))))
        }
        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, None)
        }
    }
    let answer = run(gather(Liar(Some(1))).into_future()).unwrap();
    assert_eq!(answer.len(), 1);
}
