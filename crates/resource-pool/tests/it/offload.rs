//! Managers that block, on threads of their own.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use brolly_resource_pool::{
    AcquireError, Away, Blocking, BlockingJob, BlockingManager, Check, CloseReason, CreateError,
    Guard, Offloaded, Pool, RunBlocking, Threads, Usage,
};
use brolly_sync::ManualClock;

use crate::support::{Tasks, is_pending, look, ready, secs, until};

#[derive(Debug)]
struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Down {}

/// Writes down on which threads it was called.
#[derive(Default)]
struct Log {
    threads: Mutex<Vec<(&'static str, ThreadId)>>,
    made: AtomicUsize,
    closed: Mutex<Vec<(usize, CloseReason)>>,
    fails: Mutex<Option<&'static str>>,
}

struct Numbers(Arc<Log>);

impl Numbers {
    fn note(&self, what: &'static str) -> Result<(), Down> {
        let entry = (what, thread::current().id());
        self.0.threads.lock().unwrap().push(entry);
        match *self.0.fails.lock().unwrap() {
            Some("panic") => panic!("{what} panics"),
            Some(it) if it == what => Err(Down),
            _ => Ok(()),
        }
    }
}

impl BlockingManager for Numbers {
    type Resource = usize;
    type Error = Down;

    fn create(&self) -> Result<usize, Down> {
        self.note("create")?;
        Ok(self.0.made.fetch_add(1, SeqCst))
    }

    fn recycle(&self, _: &mut usize, _: &Usage) -> Result<(), Down> {
        self.note("recycle")
    }

    fn is_broken(&self, number: &mut usize) -> bool {
        *number == 1000
    }

    fn close(&self, number: usize, reason: CloseReason) {
        self.0.closed.lock().unwrap().push((number, reason));
        let _ = self.note("close");
    }
}

/// Jobs that run when they are told to.
struct Desk {
    pool: Pool<Offloaded<Numbers>>,
    tasks: Tasks,
    log: Arc<Log>,
    jobs: Receiver<BlockingJob>,
    clock: ManualClock,
}

fn desk() -> Desk {
    let (sender, jobs): (Sender<BlockingJob>, _) = channel();
    let log = Arc::new(Log::default());
    let sender = Mutex::new(sender);
    let manager = Blocking(Numbers(Arc::clone(&log))).on(move |job| {
        let _ = sender.lock().unwrap().send(job);
    });
    let clock = ManualClock::new();
    let builder = Pool::builder(manager).max_size(1).min_size(0);
    let builder = builder.clock(clock.clone()).timer(clock.clone());
    // Everything that is begun goes on until its end.
    let tasks = Tasks::default();
    let pool = builder.check(Check::Always).spawner(tasks.clone());
    let pool = pool.build().unwrap();
    Desk {
        pool,
        tasks,
        log,
        jobs,
        clock,
    }
}

impl Desk {
    /// Runs the one job that is there, on another thread.
    fn job(&self) {
        self.tasks.run();
        let job = self.jobs.try_recv().unwrap();
        thread::spawn(job).join().unwrap();
        self.tasks.run();
    }

    fn take(&self) -> Guard<'_, Offloaded<Numbers>> {
        let mut acquire = std::pin::pin!(self.pool.acquire());
        if let Poll::Ready(guard) = look(acquire.as_mut()) {
            return guard.unwrap();
        }
        self.job();
        ready(acquire).unwrap()
    }
}

#[test]
fn nothing_that_blocks_runs_where_it_is_polled() {
    let desk = desk();
    drop(desk.take());
    desk.clock.advance(secs(1));
    let mut held = desk.take();
    **held = 1000;
    drop(held); // broken
    desk.job(); // closed
    let threads = desk.log.threads.lock().unwrap();
    let names: Vec<_> = threads.iter().map(|(what, _)| *what).collect();
    assert_eq!(names, ["create", "recycle", "close"]);
    assert!(threads.iter().all(|(_, id)| *id != thread::current().id()));
    assert_eq!(
        *desk.log.closed.lock().unwrap(),
        [(1000, CloseReason::Broken)]
    );
}

#[test]
fn errors_and_panics_are_those_of_the_manager() {
    let desk = desk();
    *desk.log.fails.lock().unwrap() = Some("create");
    let mut acquire = Box::pin(desk.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    desk.job();
    let error = ready(acquire.as_mut()).unwrap_err();
    assert!(matches!(
        error,
        AcquireError::Create(CreateError::Failed(_))
    ));
    desk.clock.advance(secs(1));
    *desk.log.fails.lock().unwrap() = Some("panic");
    let mut acquire = Box::pin(desk.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    desk.job();
    let AcquireError::Create(CreateError::Panicked { message }) =
        ready(acquire.as_mut()).unwrap_err()
    else {
        panic!("no panic");
    };
    assert_eq!(&*message, "create panics");
}

#[test]
fn what_comes_too_late_is_closed_by_the_manager() {
    let desk = desk();
    let mut acquire = Box::pin(desk.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    desk.tasks.run();
    let late = desk.jobs.try_recv().unwrap();
    desk.clock.advance(secs(30));
    desk.tasks.run();
    assert!(ready(acquire.as_mut()).is_err());
    late();
    assert_eq!(
        *desk.log.closed.lock().unwrap(),
        [(0, CloseReason::Surplus)]
    );

    // A check whose time is over: the place is free, and the resource closed when it answers.
    desk.clock.advance(secs(10));
    desk.tasks.run();
    drop(desk.take());
    desk.clock.advance(secs(1));
    let mut acquire = Box::pin(desk.pool.acquire_timeout(secs(60)));
    assert!(is_pending(acquire.as_mut()));
    desk.tasks.run();
    let late = desk.jobs.try_recv().unwrap();
    desk.clock.advance(secs(5));
    desk.job(); // the successor
    assert_eq!(**ready(acquire.as_mut()).unwrap(), 2);
    late();
    let closed = desk.log.closed.lock().unwrap();
    assert_eq!(closed[1], (1, CloseReason::Unhealthy));
}

#[test]
fn what_was_answered_and_nobody_took_is_closed_by_the_manager_too() {
    let desk = desk();
    let mut acquire = Box::pin(desk.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    desk.tasks.run();
    desk.jobs.try_recv().unwrap()();
    // There is an answer; the task ends before it has looked.
    desk.tasks.shut_down();
    while let Ok(job) = desk.jobs.try_recv() {
        job();
    }
    assert_eq!(
        *desk.log.closed.lock().unwrap(),
        [(0, CloseReason::Surplus)]
    );
}

#[test]
fn a_job_that_is_dropped_is_ended_by_the_time_limit() {
    let desk = desk();
    let mut acquire = Box::pin(desk.pool.acquire_timeout(secs(60)));
    assert!(is_pending(acquire.as_mut()));
    desk.tasks.run();
    drop(desk.jobs.try_recv().unwrap());
    desk.clock.advance(secs(30));
    desk.tasks.run();
    assert!(matches!(
        ready(acquire.as_mut()).unwrap_err(),
        AcquireError::Create(CreateError::Timeout { .. })
    ));
}

#[test]
fn a_resource_is_itself_when_it_is_held_detached_or_added() {
    let desk = desk();
    desk.pool.add(Away::from(7)).unwrap();
    let mut held = desk.take();
    **held += 1;
    assert_eq!(format!("{held:?}"), "Guard(8)");
    assert_eq!(Guard::detach(held).into_inner(), Some(8));
}

#[test]
fn threads_are_as_many_as_are_needed_and_no_more() {
    let threads = Threads::new(3);
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (sender, receiver) = channel();
    for number in 0..20 {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        let sender = sender.clone();
        threads.run(Box::new(move || {
            let now = running.fetch_add(1, SeqCst) + 1;
            most.fetch_max(now, SeqCst);
            thread::sleep(Duration::from_millis(1));
            running.fetch_sub(1, SeqCst);
            sender.send(number).unwrap();
            assert!(number % 5 != 0, "some jobs panic");
        }));
    }
    drop(sender);
    let done: Vec<_> = receiver.iter().collect();
    assert_eq!(done.len(), 20);
    let most = most.load(SeqCst);
    assert!((1..=3).contains(&most), "{most}");
    assert!(format!("{threads:?}").contains("most: 3"));
}

#[test]
fn one_that_is_about_to_wake_is_not_counted_on_twice() {
    for _ in 0..50 {
        let threads = Threads::new(2);
        threads.run(Box::new(|| {}));
        until("it is idle", || format!("{threads:?}").contains("idle: 1"));
        // The first needs the second, so both have to run at once.
        let (teller, told) = channel();
        let (done, is_done) = channel();
        let first_done = done.clone();
        threads.run(Box::new(move || {
            let is_met = told.recv_timeout(Duration::from_secs(5)).is_ok();
            first_done.send(is_met).unwrap();
        }));
        threads.run(Box::new(move || {
            teller.send(()).unwrap();
            done.send(true).unwrap();
        }));
        assert!(is_done.iter().all(|it| it));
    }
}

#[test]
fn what_was_given_to_threads_is_done_after_they_were_dropped() {
    let threads = Threads::new(1);
    let (sender, receiver) = channel();
    for number in 0..5 {
        let sender = sender.clone();
        threads.run(Box::new(move || sender.send(number).unwrap()));
    }
    drop((threads, sender));
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

/// Sleeps for real: what it proves is that a worker of a runtime is not asleep meanwhile.
struct Sleepy;

impl BlockingManager for Sleepy {
    type Resource = ();
    type Error = Down;

    fn create(&self) -> Result<(), Down> {
        thread::sleep(Duration::from_millis(50));
        Ok(())
    }
}

/// How often the only worker of a runtime came round while a resource was made.
fn turns(runner: Option<Box<dyn RunBlocking>>) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let runner = runner.unwrap_or_else(|| handle());
        let runner: Arc<dyn RunBlocking> = Arc::from(runner);
        let pool = Pool::builder(Blocking(Sleepy).on(runner));
        let pool = pool.max_size(1).build().unwrap();
        let taking = pool.clone();
        let taker = tokio::spawn(async move { taking.acquire_owned().await.map(drop) });
        let began = Instant::now();
        let mut turns = 0;
        while !taker.is_finished() && began.elapsed() < Duration::from_secs(10) {
            turns += 1;
            tokio::task::yield_now().await;
        }
        taker.await.unwrap().unwrap();
        turns
    })
}

#[cfg(feature = "tokio")]
fn handle() -> Box<dyn RunBlocking> {
    Box::new(tokio::runtime::Handle::current())
}

#[cfg(not(feature = "tokio"))]
fn handle() -> Box<dyn RunBlocking> {
    Box::new(Threads::new(1))
}

#[test]
fn a_creation_that_blocks_holds_up_no_worker_of_a_runtime() {
    let on_threads = turns(Some(Box::new(Threads::new(1))));
    assert!(on_threads > 20, "{on_threads}");
    let on_runtime = turns(None);
    assert!(on_runtime > 20, "{on_runtime}");
}
