//! What is promised at the edges: limits that are tiny, hooks that refuse, values whose destructors
//! ask the pool, tasks that nobody runs.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use brolly_resource_pool::{
    AcquireError, Check, CloseReason, Manager, OnCreateError, Pass, Pool, Refused, TryAcquireError,
};
use brolly_sync::{Backoff, Clock, Jitter, ManualClock, Sleep, Timer};

use crate::support::{Mode, bench, is_pending, is_timeout, lone, look, ms, now, ready, secs};

/// Runs on a thread of its own what might never end, or might nest too deeply.
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = channel();
    let thread = thread::Builder::new().stack_size(512 << 10);
    let running = thread.spawn(move || {
        let _ = tell.send(work());
    });
    running.expect("there can be another thread");
    told.recv_timeout(secs(20)).expect("this ends")
}

#[test]
fn the_shortest_limits_make_no_task_that_never_waits() {
    ends(|| {
        let tiny = Duration::from_nanos(1);
        let bench = bench(|it| {
            let it = it.max_size(2).max_lifetime(tiny).health_interval(tiny);
            it.idle_timeout(tiny).leak_after(tiny).lease_timeout(tiny)
        });
        bench.tasks.run();
        drop(look(pin!(bench.pool.acquire())));
        bench.tasks.run();
        drop(look(pin!(bench.pool.acquire())));
        bench.tasks.run();
    });
}

#[test]
fn the_acquire_timeout_holds_however_often_a_hook_refuses() {
    ends(|| {
        let bench = lone(|it| it.max_size(2).before_acquire(|_, _| false));
        let mut acquire = pin!(bench.pool.acquire());
        assert!(is_pending(acquire.as_mut()));
        bench.clock.advance(secs(20));
        assert!(is_pending(acquire.as_mut()));
        bench.clock.advance(secs(11));
        assert!(is_timeout(&ready(acquire)));
        assert!(matches!(
            bench.pool.try_acquire(),
            Err(TryAcquireError::Exhausted { .. })
        ));
        assert_eq!(bench.assert_conserved().in_use, 0);
    });
}

#[test]
fn all_that_there_may_be_can_be_had_at_once_after_a_hook_refused_one() {
    let bench = bench(|it| it.max_size(3).before_acquire(|thing, _| thing.id != 1));
    let mut all = pin!(bench.pool.acquire_many(3));
    for _ in 0..4 {
        if let std::task::Poll::Ready(all) = look(all.as_mut()) {
            let mut ids: Vec<_> = all.unwrap().iter().map(|it| it.id).collect();
            ids.sort_unstable();
            assert_eq!(ids, [0, 2, 3]);
            return;
        }
        bench.tasks.run();
    }
    panic!("nothing came: {:?}", bench.pool);
}

/// An error that looks at the pool when it is dropped.
struct Curious(Arc<OnceLock<Pool<Failing>>>);

impl Drop for Curious {
    fn drop(&mut self) {
        if let Some(pool) = self.0.get() {
            let _ = pool.stats();
        }
    }
}

impl fmt::Debug for Curious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Curious")
    }
}

impl fmt::Display for Curious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Curious {}

struct Failing(Arc<OnceLock<Pool<Failing>>>, AtomicUsize);

impl Manager for Failing {
    type Resource = ();
    type Error = Curious;

    async fn create(&self) -> Result<(), Curious> {
        match self.1.fetch_add(1, SeqCst) {
            0 | 1 => Err(Curious(Arc::clone(&self.0))),
            _ => Ok(()),
        }
    }
}

#[test]
fn the_managers_errors_are_dropped_outside_of_every_lock() {
    ends(|| {
        let clock = ManualClock::new();
        let itself = Arc::new(OnceLock::new());
        let manager = Failing(Arc::clone(&itself), AtomicUsize::new(0));
        let builder = Pool::builder(manager).clock(clock.clone());
        let pool = builder.timer(clock.clone()).max_size(1).build().unwrap();
        assert!(itself.set(pool.clone()).is_ok());
        // The second error takes the place of the first, and the success that of the second.
        for _ in 0..2 {
            drop(now(pool.acquire()).unwrap_err());
            clock.advance(secs(10));
        }
        drop(now(pool.acquire()).unwrap());
    });
}

/// A timer that looks at the pool when it is asked for the time.
struct Nosy(ManualClock, Arc<OnceLock<Weak<dyn Fn() + Send + Sync>>>);

impl fmt::Debug for Nosy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nosy")
    }
}

impl Clock for Nosy {
    fn now(&self) -> Duration {
        if let Some(ask) = self.1.get().and_then(Weak::upgrade) {
            ask();
        }
        self.0.now()
    }
}

impl Timer for Nosy {
    fn sleep_until(&self, deadline: Duration) -> Sleep {
        self.0.sleep_until(deadline)
    }
}

#[test]
fn the_timer_is_asked_outside_of_every_lock_also_when_a_pool_is_drained() {
    ends(|| {
        let ask = Arc::new(OnceLock::new());
        let timer = Nosy(ManualClock::new(), Arc::clone(&ask));
        let bench = lone(|it| it.max_size(1).timer(timer));
        drop(bench.take());
        let pool = bench.pool.clone();
        let look_at_it: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            let _ = pool.stats();
        });
        assert!(ask.set(Arc::downgrade(&look_at_it)).is_ok());
        assert!(now(bench.pool.drain(secs(1))).is_complete());
    });
}

#[test]
fn a_pause_that_is_over_ends_no_other() {
    let backoff = Backoff::builder().initial(secs(10)).jitter(Jitter::None);
    let backoff = backoff.build().unwrap();
    // The clock of the pool goes ahead of its timer.
    let timer = ManualClock::new();
    let bench = bench(|it| {
        let it = it.max_size(1).backoff(backoff).timer(timer.clone());
        it.on_create_error(OnCreateError::RetryUntilDeadline)
            .acquire_timeout(None)
    });
    bench.plant.set_create(Mode::Fail);
    let mut first = pin!(bench.pool.acquire());
    assert!(is_pending(first.as_mut()));
    bench.tasks.run();
    bench.clock.advance(secs(11));
    let mut second = pin!(bench.pool.acquire());
    assert!(is_pending(second.as_mut()));
    bench.tasks.run();
    assert_eq!(bench.plant.attempts.load(SeqCst), 2);
    // The first pause ends while the second lasts.
    timer.advance(secs(10));
    bench.tasks.run();
    assert_eq!(bench.plant.attempts.load(SeqCst), 2);
    timer.advance(secs(10));
    bench.tasks.run();
    assert_eq!(bench.plant.attempts.load(SeqCst), 3);
}

#[test]
fn what_was_held_under_a_lease_that_ended_stays_in_the_figures() {
    let bench = bench(|it| it.max_size(1).lease_timeout(secs(10)));
    let lost = bench.take();
    bench.pass(secs(9));
    let before = bench.pool.stats().hold.total;
    assert!(before >= secs(9));
    bench.pass(secs(2));
    let stats = bench.pool.stats();
    assert_eq!(stats.reclaimed, 1);
    assert!(stats.hold.total >= before, "{:?}", stats.hold);
    assert_eq!(stats.hold.count, 1);
    drop(lost);
    assert_eq!(bench.pool.stats().hold.count, 1);
}

#[test]
fn who_wants_more_than_a_smaller_maximum_holds_up_nobody() {
    let bench = bench(|it| it.max_size(4).acquire_timeout(None));
    let held: Vec<_> = (0..3).map(|_| bench.take()).collect();
    let mut many = Box::pin(bench.pool.acquire_many(4));
    let mut one = Box::pin(bench.pool.acquire());
    assert!(is_pending(many.as_mut()));
    assert!(is_pending(one.as_mut()));
    bench.tasks.run();
    bench.pool.resize(0, 2).unwrap();
    drop(held);
    bench.tasks.run();
    drop(ready(one.as_mut()).unwrap());
    assert!(matches!(
        ready(many.as_mut()),
        Err(AcquireError::TooMany { asked: 4, max: 2 })
    ));
}

#[test]
fn checks_that_hang_delay_no_lease_by_more_than_one_of_them() {
    let bench = bench(|it| {
        let it = it
            .max_size(8)
            .lease_timeout(secs(50))
            .health_interval(secs(30));
        it.check(Check::Never)
    });
    let mut all: Vec<_> = (0..8).map(|_| bench.take()).collect();
    let held = all.pop();
    drop(all);
    bench.plant.set_check(Mode::Hang);
    bench.pass(secs(58));
    assert_eq!(bench.pool.stats().reclaimed, 1);
    drop(held);
}

#[test]
fn what_came_back_one_after_another_does_not_go_together_either() {
    let bench = bench(|it| {
        let it = it.max_size(40).idle_timeout(secs(10)).health_interval(None);
        it.evictions_per_tick(2)
    });
    let mut all: Vec<_> = (0..40).map(|_| bench.take()).collect();
    while let Some(one) = all.pop() {
        drop(one);
        bench.clock.advance(ms(5));
    }
    let most = bench.pool.stats().idle;
    assert_eq!(most, 40);
    bench.pass(secs(9));
    bench.pass(Duration::from_millis(1900));
    let left = bench.pool.stats().idle;
    assert!((34..40).contains(&left), "{left} of 40 are left");
    bench.pass(secs(30));
    assert_eq!(bench.pool.stats().idle, 0);
}

#[test]
fn waits_of_a_clock_that_jumps_are_summed_up_and_do_not_wrap() {
    let bench = bench(|it| it.max_size(1).acquire_timeout(None));
    let held = bench.take();
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    bench.clock.advance(Duration::from_secs(300 * 365 * 86_400));
    drop(held);
    let mut before = Duration::ZERO;
    for acquire in &mut waiting {
        bench.tasks.run();
        drop(ready(acquire.as_mut()));
        let total = bench.pool.stats().wait.total;
        assert!(total > before || total == Duration::from_nanos(u64::MAX));
        before = total;
    }
}

#[test]
fn who_needs_more_than_the_one_creation_that_is_let_through_is_told_at_once() {
    let lets = Arc::new(AtomicUsize::new(1));
    let bench = bench(|it| {
        it.max_size(4).gate(move || {
            let one = lets.fetch_update(SeqCst, SeqCst, |it| it.checked_sub(1));
            one.map(|_| Pass::silent())
                .map_err(|_| Refused::for_now(secs(5)))
        })
    });
    bench.plant.set_create(Mode::Gated);
    let mut first = Box::pin(bench.pool.acquire());
    let mut second = Box::pin(bench.pool.acquire());
    assert!(is_pending(first.as_mut()));
    assert!(is_pending(second.as_mut()));
    bench.tasks.run();
    assert_eq!(
        ready(second.as_mut()).unwrap_err().retry_after(),
        Some(secs(5))
    );
    let mut third = Box::pin(bench.pool.acquire());
    assert_eq!(
        ready(third.as_mut()).unwrap_err().retry_after(),
        Some(secs(5))
    );
    bench.plant.open(1);
    bench.tasks.run();
    drop(ready(first.as_mut()).unwrap());
}

#[test]
fn what_a_hook_or_a_proof_refuses_when_it_is_new_is_closed_by_the_manager() {
    let bench = bench(|it| it.max_size(1).after_create(|_| panic!("no")));
    let mut acquire = pin!(bench.pool.acquire());
    assert!(is_pending(acquire.as_mut()));
    bench.tasks.run();
    assert!(ready(acquire).is_err());
    assert_eq!(bench.plant.closed_for(CloseReason::Unhealthy), 1);
    assert_eq!(bench.plant.live.load(SeqCst), 0);
}

#[test]
fn a_runtime_that_is_gone_ends_no_stack() {
    ends(|| {
        let is_gone = Arc::new(AtomicBool::new(false));
        let gone = Arc::clone(&is_gone);
        let tasks = crate::support::Tasks::default();
        let spawner = tasks.clone();
        let bench = lone(|it| {
            let it = it
                .max_size(1000)
                .check(Check::Always)
                .create_concurrency(1000)
                .on_create_error(OnCreateError::RetryUntilDeadline);
            it.spawner(move |task: brolly_sync::Task| match gone.load(SeqCst) {
                true => drop(task),
                false => brolly_sync::Spawn::spawn(&spawner, task),
            })
        });
        let mut all = pin!(bench.pool.acquire_many(1000));
        assert!(is_pending(all.as_mut()));
        tasks.run();
        drop(ready(all).unwrap());
        bench.clock.advance(secs(60));
        is_gone.store(true, SeqCst);
        tasks.shut_down();
        let mut acquire = pin!(bench.pool.acquire());
        let _ = look(acquire.as_mut());
        assert_eq!(bench.assert_conserved().reserved, 0);
    });
}
