//! A set of workers: its line, its size, its end.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use brolly_resource_pool::{
    Job, JobError, ScaleError, StopReport, SubmitError, SubmitRefused, WorkerState, WorkerStats,
    Workers, WorkersBuilder,
};
use brolly_sync::{ManualClock, Task};

use crate::support::{Broken, Count, Tasks, is_pending, look, ms, ready as get, secs};

/// Workers that run when they are told to, on a clock moved by hand.
struct Bench {
    workers: Workers,
    tasks: Tasks,
    clock: ManualClock,
}

fn bench(settings: impl FnOnce(WorkersBuilder) -> WorkersBuilder) -> Bench {
    let (tasks, clock) = (Tasks::default(), ManualClock::new());
    let builder = Workers::builder()
        .spawner(tasks.clone())
        .clock(clock.clone())
        .timer(clock.clone());
    let workers = settings(builder).build().unwrap();
    Bench {
        workers,
        tasks,
        clock,
    }
}

fn started(settings: impl FnOnce(WorkersBuilder) -> WorkersBuilder) -> Bench {
    let bench = bench(settings);
    bench.workers.start();
    bench.tasks.run();
    bench
}

impl Bench {
    fn stats(&self) -> WorkerStats {
        self.workers.stats()
    }

    fn submit(&self, value: u32) -> Job<u32, Infallible> {
        self.workers.try_submit(ready(Ok(value))).unwrap()
    }

    /// A job that ends when its gate is opened.
    fn gated(&self) -> (Gate, Job<(), Infallible>) {
        let gate = Gate::default();
        let pass = gate.clone();
        let job = self.workers.try_submit(async move {
            pass.pass().await;
            Ok(())
        });
        (gate, job.unwrap())
    }
}

#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(bool, Option<Waker>)>>);

impl Gate {
    fn open(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    async fn pass(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            state.1 = Some(cx.waker().clone());
            if state.0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

fn done<T, E: std::error::Error>(job: Job<T, E>) -> Result<T, JobError<E>> {
    get(pin!(job))
}

#[test]
fn by_default_there_are_one_to_ten_workers_and_they_begin_with_one() {
    let bench = started(|it| it);
    assert_eq!((bench.stats().asked, bench.stats().total), (1, 1));
    bench.workers.scale(10).unwrap();
    assert_eq!(bench.stats().total, 10);
}

#[test]
fn a_number_of_workers_out_of_range_is_an_error_that_names_the_range() {
    let bench = started(|it| it.min_workers(2).max_workers(4));
    for asked in [0, 1, 5, usize::MAX] {
        let error = bench.workers.scale(asked).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{asked} workers asked for, allowed is 2 to 4")
        );
    }
    assert_eq!(bench.stats().total, 2);
}

#[test]
fn jobs_wait_until_the_workers_are_started() {
    let bench = bench(|it| it);
    let mut job = pin!(bench.submit(7));
    bench.tasks.run();
    assert!(is_pending(job.as_mut()));
    assert_eq!(
        (bench.stats().state, bench.stats().queued),
        (WorkerState::Pending, 1)
    );
    bench.workers.start();
    bench.workers.start();
    bench.tasks.run();
    assert_eq!(get(job), Ok(7));
    let stats = bench.stats();
    assert_eq!(
        (stats.state, stats.total, stats.completed),
        (WorkerState::Running, 1, 1)
    );
}

#[test]
fn jobs_are_begun_in_their_order_and_as_many_at_once_as_there_are_workers() {
    let bench = started(|it| it.min_workers(2));
    let begun = Arc::new(Mutex::new(Vec::new()));
    let gates: Vec<_> = (0..5).map(|_| Gate::default()).collect();
    let jobs: Vec<_> = (0..5)
        .map(|number| {
            let (begun, gate) = (Arc::clone(&begun), gates[number].clone());
            let job = async move {
                begun.lock().unwrap().push(number);
                gate.pass().await;
                Ok::<_, Infallible>(number)
            };
            bench.workers.try_submit(job).unwrap()
        })
        .collect();
    for (number, gate) in gates.iter().enumerate() {
        bench.tasks.run();
        let expected: Vec<_> = (0..(number + 2).min(5)).collect();
        assert_eq!(*begun.lock().unwrap(), expected);
        assert_eq!(bench.stats().active, (5 - number).min(2));
        gate.open();
    }
    bench.tasks.run();
    for (number, job) in jobs.into_iter().enumerate() {
        assert_eq!(done(job), Ok(number));
    }
}

#[test]
fn a_job_that_panics_or_fails_costs_a_failure_and_no_worker() {
    let bench = started(|it| it);
    let panics = bench.workers.try_submit(async {
        let text = String::from("at work");
        if !text.is_empty() {
            panic!("{text}");
        }
        Ok::<(), Infallible>(())
    });
    let fails = bench
        .workers
        .try_submit(ready(Err::<(), _>(Broken::Passing)));
    let goes_well = bench.submit(1);
    bench.tasks.run();
    let message = Arc::from("at work");
    assert_eq!(done(panics.unwrap()), Err(JobError::Panicked { message }));
    assert!(matches!(
        done(fails.unwrap()),
        Err(JobError::Failed(Broken::Passing))
    ));
    assert_eq!(done(goes_well), Ok(1));
    let stats = bench.stats();
    assert_eq!(
        (stats.completed, stats.failed, stats.total, stats.lost),
        (1, 2, 1, 0)
    );
    assert_eq!(stats.state, WorkerState::Running);
}

#[test]
fn a_full_line_gives_the_job_back() {
    let bench = bench(|it| it.queue(2));
    let _waiting = [bench.submit(0), bench.submit(1)];
    let SubmitError { job, reason, .. } = bench
        .workers
        .try_submit(ready(Ok::<_, Infallible>(2)))
        .unwrap_err();
    assert_eq!(reason, SubmitRefused::Full { queue: 2 });
    assert_eq!(crate::support::now(job), Ok(2));
    assert_eq!(bench.stats().queued, 2);
}

#[test]
fn who_waits_for_room_gets_it_in_turn_and_may_leave() {
    let bench = bench(|it| it.queue(1));
    let _first = bench.submit(0);
    let submit = |value: u32| bench.workers.submit(ready(Ok::<_, Infallible>(value)));
    let (mut second, mut third, mut fourth) = (
        Box::pin(submit(1)),
        Box::pin(submit(2)),
        Box::pin(submit(3)),
    );
    assert!(
        is_pending(second.as_mut()) && is_pending(third.as_mut()) && is_pending(fourth.as_mut())
    );
    drop(second);
    bench.workers.start();
    bench.tasks.run();
    let third = get(third.as_mut()).unwrap();
    assert!(is_pending(fourth.as_mut()), "there is room for one");
    bench.tasks.run();
    let fourth = get(fourth.as_mut()).unwrap();
    bench.tasks.run();
    assert_eq!((done(third), done(fourth)), (Ok(2), Ok(3)));
    assert_eq!(bench.stats().completed, 3);
}

#[test]
fn fewer_workers_end_when_they_are_idle_or_done_and_never_one_too_many() {
    let bench = started(|it| it.max_workers(8));
    bench.workers.scale(8).unwrap();
    bench.tasks.run();
    let gated: Vec<_> = (0..3).map(|_| bench.gated()).collect();
    bench.tasks.run();
    bench.workers.scale(2).unwrap();
    bench.tasks.run();
    assert_eq!((bench.stats().total, bench.stats().active), (3, 3));
    let waiting = bench.submit(9);
    gated.iter().for_each(|(gate, _)| gate.open());
    bench.tasks.run();
    let stats = bench.stats();
    assert_eq!((stats.total, stats.active, stats.lost), (2, 0, 0));
    assert_eq!((stats.state, bench.tasks.len()), (WorkerState::Running, 2));
    assert_eq!(done(waiting), Ok(9));
}

#[test]
fn a_job_for_which_one_was_woken_who_ends_is_done_by_another() {
    let bench = started(|it| it.max_workers(2));
    bench.workers.scale(2).unwrap();
    bench.tasks.run();
    let job = bench.submit(1); // somebody is woken for it
    bench.workers.scale(1).unwrap();
    bench.tasks.run();
    assert_eq!(done(job), Ok(1));
    assert_eq!(bench.stats().total, 1);
}

#[test]
fn a_job_whose_worker_is_dropped_after_it_was_woken_wakes_another() {
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let spawned = Arc::clone(&tasks);
    let workers = Workers::builder()
        .min_workers(2)
        .spawner(move |task: Task| spawned.lock().unwrap().push(task))
        .build()
        .unwrap();
    workers.start();
    let mut idle: Vec<_> = tasks.lock().unwrap().drain(..).collect();
    let wakers = idle.iter_mut().map(|task| {
        let (woken, waker) = Count::new();
        assert!(
            task.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        woken
    });
    let wakers: Vec<_> = wakers.collect();
    let woken = |wakers: &[Arc<Count>]| wakers.iter().map(|it| it.get()).collect::<Vec<_>>();
    let job = workers.try_submit(ready(Ok::<_, Infallible>(7))).unwrap();
    assert_eq!(woken(&wakers), [0, 1]);
    drop(idle.pop());
    assert_eq!(woken(&wakers), [1, 1]);
    assert!(look(idle[0].as_mut()).is_pending());
    assert_eq!(done(job), Ok(7));
    assert_eq!(workers.stats().lost, 1);
}

#[test]
fn a_set_whose_workers_have_gone_is_degraded_until_it_is_scaled() {
    let bench = started(|it| it.min_workers(3));
    let (_gate, job) = bench.gated();
    bench.tasks.run();
    bench.tasks.shut_down();
    assert_eq!(done(job), Err(JobError::Dropped));
    let waiting = bench.submit(1);
    let stats = bench.stats();
    assert_eq!(
        (stats.state, stats.total, stats.active),
        (WorkerState::Degraded, 0, 0)
    );
    assert_eq!((stats.lost, stats.dropped, stats.queued), (3, 1, 1));
    bench.workers.scale(3).unwrap();
    bench.tasks.run();
    assert_eq!(
        (bench.stats().state, bench.stats().total),
        (WorkerState::Running, 3)
    );
    assert_eq!(done(waiting), Ok(1));
}

#[test]
fn a_spawner_that_panics_or_drops_leaves_the_set_degraded() {
    let panics = Workers::builder().spawner(|_: Task| panic!("no more tasks"));
    let drops = Workers::builder().spawner(|task: Task| drop(task));
    for workers in [panics.build().unwrap(), drops.build().unwrap()] {
        workers.start();
        let stats = workers.stats();
        assert_eq!(
            (stats.state, stats.total, stats.lost),
            (WorkerState::Degraded, 0, 1)
        );
    }
}

#[test]
fn a_stop_waits_for_what_was_taken_and_takes_no_more() {
    let bench = started(|it| it);
    let (gate, first) = bench.gated();
    let second = bench.submit(2);
    bench.tasks.run();
    let mut stop = pin!(bench.workers.stop(secs(10)));
    assert!(is_pending(stop.as_mut()));
    assert_eq!(bench.stats().state, WorkerState::Stopping);
    let SubmitError { reason, .. } = bench
        .workers
        .try_submit(ready(Ok::<(), Infallible>(())))
        .unwrap_err();
    assert_eq!(reason, SubmitRefused::Stopped);
    assert_eq!(bench.workers.scale(2), Err(ScaleError::Stopped));
    bench.clock.advance(secs(3));
    gate.open();
    bench.tasks.run();
    let report = get(stop);
    assert!(report.is_clean());
    assert_eq!(report.waited, secs(3));
    assert_eq!((done(first), done(second)), (Ok(()), Ok(2)));
    let stats = bench.stats();
    assert_eq!(
        (stats.state, stats.total, bench.tasks.len()),
        (WorkerState::Stopped, 0, 0)
    );
}

#[test]
fn what_is_not_done_in_time_is_dropped_and_reported() {
    let bench = started(|it| it.min_workers(2));
    let (_gate, first) = bench.gated();
    let hangs = bench
        .workers
        .try_submit(pending::<Result<(), Infallible>>())
        .unwrap();
    let (never, also_never) = (bench.submit(1), bench.submit(2));
    bench.tasks.run();
    let mut stop = pin!(bench.workers.stop(secs(10)));
    assert!(is_pending(stop.as_mut()));
    bench.clock.advance(secs(10));
    let report: StopReport = get(stop);
    assert_eq!(
        (report.unstarted, report.running, report.waited),
        (2, 2, secs(10))
    );
    assert!(!report.is_clean());
    assert_eq!(
        (done(never), done(also_never)),
        (Err(JobError::Dropped), Err(JobError::Dropped))
    );
    // Those under way are dropped at their next look, for which they were woken.
    bench.tasks.run();
    assert_eq!(
        (done(first), done(hangs)),
        (Err(JobError::Dropped), Err(JobError::Dropped))
    );
    let stats = bench.stats();
    assert_eq!((stats.total, stats.active, stats.dropped), (0, 0, 4));
    assert_eq!(bench.tasks.len(), 0);
}

/// Panics when it is dropped.
struct Wicked;

impl Drop for Wicked {
    fn drop(&mut self) {
        panic!("wicked");
    }
}

#[test]
fn jobs_that_panic_when_they_are_dropped_harm_nobody() {
    let bench = started(|it| it);
    let wicked = || {
        let wicked = Wicked;
        async move {
            let _wicked = wicked;
            pending::<Result<(), Infallible>>().await
        }
    };
    let begun = bench.workers.try_submit(wicked()).unwrap();
    let waits = bench.workers.try_submit(wicked()).unwrap();
    bench.tasks.run();
    let mut stop = pin!(bench.workers.stop(secs(1)));
    assert!(is_pending(stop.as_mut()));
    bench.clock.advance(secs(1));
    assert_eq!(get(stop).unstarted, 1);
    bench.tasks.run();
    assert_eq!(done(begun), Err(JobError::Dropped));
    assert_eq!(done(waits), Err(JobError::Dropped));
    assert_eq!((bench.stats().total, bench.stats().dropped), (0, 2));
}

#[test]
fn a_stop_that_is_dropped_at_any_poll_leaves_the_set_stopping() {
    for polls in 0..3 {
        let bench = started(|it| it);
        let (gate, job) = bench.gated();
        bench.tasks.run();
        {
            let mut stop = pin!(bench.workers.stop(secs(1)));
            (0..polls).for_each(|_| assert!(is_pending(stop.as_mut())));
        }
        gate.open();
        bench.tasks.run();
        assert_eq!(done(job), Ok(()));
        let expected = if polls == 0 {
            WorkerState::Running
        } else {
            WorkerState::Stopped
        };
        assert_eq!(bench.stats().state, expected);
        let mut again = pin!(bench.workers.stop(secs(1)));
        let _ = look(again.as_mut());
        bench.tasks.run();
        assert_eq!(bench.stats().state, WorkerState::Stopped);
    }
}

#[test]
fn a_stop_with_every_length_of_time_ends() {
    for limit in [Duration::ZERO, Duration::MAX] {
        let bench = started(|it| it);
        let mut stop = pin!(bench.workers.stop(limit));
        if look(stop.as_mut()).is_pending() {
            bench.tasks.run();
            assert!(get(stop).is_clean());
        }
    }
}

#[test]
fn a_set_that_was_never_started_drops_its_jobs_when_it_is_stopped_or_dropped() {
    let bench = bench(|it| it);
    let job = bench.submit(1);
    assert_eq!(
        crate::support::now(bench.workers.stop(secs(1))).unstarted,
        1
    );
    assert_eq!(done(job), Err(JobError::Dropped));
    bench.workers.start();
    assert_eq!(bench.stats().state, WorkerState::Stopped);

    let dropped = self::bench(|it| it);
    let job = dropped.submit(1);
    drop(dropped);
    assert_eq!(done(job), Err(JobError::Dropped));
}

#[test]
fn those_who_wait_for_room_are_told_of_the_end() {
    let bench = bench(|it| it.queue(1));
    let _first = bench.submit(0);
    let submit = |value: u32| bench.workers.submit(ready(Ok::<_, Infallible>(value)));
    let (mut second, mut third) = (pin!(submit(1)), pin!(submit(2)));
    assert!(is_pending(second.as_mut()) && is_pending(third.as_mut()));
    let _ = crate::support::now(bench.workers.stop(secs(1)));
    assert_eq!(get(second).unwrap_err().reason, SubmitRefused::Stopped);
    assert_eq!(get(third).unwrap_err().reason, SubmitRefused::Stopped);
    let late = crate::support::now(submit(3));
    assert_eq!(late.unwrap_err().reason, SubmitRefused::Stopped);
}

#[test]
fn without_users_the_jobs_in_line_are_done_and_the_workers_end() {
    let Bench { workers, tasks, .. } = started(|it| it);
    let other = workers.clone();
    drop(workers);
    let job = other.try_submit(ready(Ok::<_, Infallible>(5))).unwrap();
    drop(other);
    tasks.run();
    assert_eq!(done(job), Ok(5));
    assert_eq!(tasks.len(), 0);
}

#[test]
fn nobody_has_to_wait_for_a_job() {
    let bench = started(|it| it);
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let job = bench.workers.try_submit(async move {
        counted.fetch_add(1, SeqCst);
        Ok::<_, Infallible>(())
    });
    drop(job);
    bench.tasks.run();
    assert_eq!(count.load(SeqCst), 1);
}

#[test]
fn who_waits_for_a_job_is_woken_once_it_is_done() {
    let bench = started(|it| it);
    let (gate, job) = bench.gated();
    let (woken, waker) = Count::new();
    let mut job = pin!(job);
    assert!(
        job.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    bench.tasks.run();
    assert_eq!(woken.get(), 0);
    gate.open();
    bench.tasks.run();
    assert_eq!(woken.get(), 1);
    assert_eq!(get(job), Ok(()));
}

#[test]
fn the_average_is_that_of_the_jobs_that_ended() {
    let bench = started(|it| it);
    assert_eq!(bench.stats().average_duration, None);
    for millis in [10, 30] {
        let (gate, _job) = bench.gated();
        bench.tasks.run();
        bench.clock.advance(ms(millis));
        gate.open();
        bench.tasks.run();
    }
    assert_eq!(bench.stats().average_duration, Some(ms(20)));
}

#[test]
fn settings_out_of_range_are_named() {
    let field = |builder: WorkersBuilder| builder.build().unwrap_err().field;
    let builder = Workers::builder;
    assert_eq!(field(builder().max_workers(0)), "max_workers");
    assert_eq!(field(builder().max_workers(4097)), "max_workers");
    assert_eq!(field(builder().min_workers(0)), "min_workers");
    assert_eq!(field(builder().min_workers(11)), "min_workers");
    assert_eq!(field(builder().queue(0)), "queue");
    assert_eq!(field(builder().queue(usize::MAX)), "queue");
}

#[test]
fn threads_do_the_work_where_there_is_no_spawner() {
    const JOBS: u64 = 500;
    let workers = Workers::builder().name("in\0valid").build().unwrap();
    workers.start();
    let jobs: Vec<_> = (0..JOBS)
        .map(|number| {
            brolly_sync::block_on(workers.submit(async move {
                assert!(number % 100 != 99, "one in a hundred");
                Ok::<_, Infallible>(number)
            }))
            .unwrap()
        })
        .collect();
    for size in [1, 10, 2, 7] {
        workers.scale(size).unwrap();
    }
    let results = jobs.into_iter().map(Job::wait);
    assert_eq!(
        results.filter(Result::is_ok).count() as u64,
        JOBS - JOBS / 100
    );
    assert!(workers.stop_blocking(secs(60)).is_clean());
    let stats = workers.stats();
    assert_eq!(
        (stats.completed, stats.failed),
        (JOBS - JOBS / 100, JOBS / 100)
    );
    assert_eq!((stats.total, stats.lost, stats.dropped), (0, 0, 0));
}

#[test]
fn everything_of_a_set_may_be_shared_and_its_futures_be_sent() {
    fn is_shared<T: Send + Sync + Unpin>() {}
    fn is_sent<T: Send>(_: &T) {}
    is_shared::<(Workers, WorkersBuilder, Job<u8, Broken>, JobError<Broken>)>();
    is_shared::<(WorkerStats, StopReport, ScaleError, SubmitRefused)>();
    let bench = bench(|it| it);
    is_sent(&bench.workers.stop(secs(1)));
    is_sent(&bench.workers.submit(ready(Ok::<u8, Infallible>(1))));
}

struct Mine;

impl Wake for Mine {
    fn wake(self: Arc<Self>) {
        panic!("woken");
    }
}

#[test]
fn a_waker_that_panics_costs_no_worker_and_no_job() {
    let bench = started(|it| it.queue(1));
    let (gate, first) = bench.gated();
    bench.tasks.run();
    let second = bench.submit(2);
    let waker = Waker::from(Arc::new(Mine));
    let submit = || bench.workers.submit(ready(Ok::<_, Infallible>(3)));
    let mut third = pin!(submit());
    assert!(
        third
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    gate.open();
    bench.tasks.run();
    assert_eq!((done(first), done(second)), (Ok(()), Ok(2)));
    assert_eq!((bench.stats().lost, bench.stats().dropped), (0, 0));
    let third = get(third).unwrap();
    bench.tasks.run();
    assert_eq!(done(third), Ok(3));
}

#[test]
fn a_waker_that_panics_does_not_keep_a_set_from_stopping() {
    let bench = bench(|it| it.queue(1));
    let _first = bench.submit(1);
    let waker = Waker::from(Arc::new(Mine));
    let mut second = pin!(bench.workers.submit(ready(Ok::<_, Infallible>(2))));
    let mut cx = Context::from_waker(&waker);
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!(
        crate::support::now(bench.workers.stop(secs(1))).unstarted,
        1
    );
    assert_eq!(get(second).unwrap_err().reason, SubmitRefused::Stopped);
}

#[test]
fn jobs_whose_last_worker_has_gone_while_the_set_was_stopping_are_dropped() {
    for is_awaited in [false, true] {
        let bench = started(|it| it);
        let (_gate, first) = bench.gated();
        let second = bench.submit(1);
        bench.tasks.run();
        let mut stop = Box::pin(bench.workers.stop(secs(1)));
        assert!(is_pending(stop.as_mut()));
        if is_awaited {
            bench.tasks.shut_down();
        } else {
            drop(stop);
            bench.tasks.shut_down();
            stop = Box::pin(bench.workers.stop(secs(1)));
        }
        assert_eq!(done(first), Err(JobError::Dropped));
        assert_eq!(done(second), Err(JobError::Dropped));
        assert_eq!(get(stop.as_mut()).unstarted, 1);
        let stats = bench.stats();
        assert_eq!((stats.queued, stats.dropped, stats.lost), (0, 2, 1));
    }
}
