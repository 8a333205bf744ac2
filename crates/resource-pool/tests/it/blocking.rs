//! Threads, and managers that block.

use std::convert::Infallible;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;

use brolly_resource_pool::{
    AcquireError, Blocking, BlockingManager, Check, CloseReason, Pool, Usage,
};

use crate::support::{Mode, lone, ms, until};

#[test]
fn a_thread_waits_in_line_with_tasks() {
    let bench = lone(|it| it.max_size(1).acquire_timeout(None));
    let held = bench.take();
    thread::scope(|scope| {
        let thread = scope.spawn(|| bench.pool.acquire_blocking().unwrap().id);
        until("it waits", || bench.pool.stats().waiting == 1);
        let mut task = std::pin::pin!(bench.pool.acquire());
        assert!(crate::support::is_pending(task.as_mut()));
        drop(held);
        assert_eq!(thread.join().unwrap(), 0);
        drop(crate::support::ready(task).unwrap());
    });
}

#[test]
fn a_thread_gives_up_at_its_deadline() {
    let bench = lone(|it| it.max_size(1));
    let _held = bench.take();
    thread::scope(|scope| {
        let thread = scope.spawn(|| bench.pool.acquire_blocking_timeout(ms(5)).map(drop));
        until("it waits", || {
            bench.pool.stats().waiting == 1 && bench.clock.sleeping() > 0
        });
        bench.clock.advance(ms(5));
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.timeout().unwrap().waited, ms(5));
    });
}

#[test]
fn a_thread_does_the_work_itself_where_nobody_else_does() {
    let bench = lone(|it| it.max_size(1));
    bench.plant.set_create(Mode::Fail);
    let error = bench.pool.acquire_blocking().map(drop).unwrap_err();
    assert!(matches!(error, AcquireError::Create(_)));
}

#[test]
fn a_thread_that_waits_goes_on_with_what_another_began() {
    let bench = lone(|it| it.max_size(1).acquire_timeout(None));
    bench.plant.set_create(Mode::Gated);
    thread::scope(|scope| {
        let mut first = Box::pin(bench.pool.acquire());
        assert!(crate::support::is_pending(first.as_mut()));
        let second = scope.spawn(|| bench.pool.acquire_owned_blocking().unwrap().id);
        until("both wait", || bench.pool.stats().waiting == 2);
        drop(first);
        bench.plant.open(1);
        assert_eq!(second.join().unwrap(), 0);
    });
    assert_eq!(bench.plant.attempts.load(SeqCst), 1);
}

#[derive(Default)]
struct Numbers {
    made: AtomicUsize,
    closed: AtomicUsize,
    checked: AtomicUsize,
}

impl BlockingManager for Numbers {
    type Resource = usize;
    type Error = Infallible;

    fn create(&self) -> Result<usize, Infallible> {
        Ok(self.made.fetch_add(1, SeqCst))
    }

    fn recycle(&self, _: &mut usize, usage: &Usage) -> Result<(), Infallible> {
        self.checked.fetch_add(1, SeqCst);
        assert_eq!(usage.uses, 1);
        Ok(())
    }

    fn is_broken(&self, number: &mut usize) -> bool {
        *number == 7
    }

    fn close(&self, _: usize, reason: CloseReason) {
        assert_eq!(reason, CloseReason::Broken);
        self.closed.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_blocking_manager_does_all_that_an_async_one_does() {
    let pool = Pool::builder(Blocking(Numbers::default()));
    let pool = pool.max_size(1).check(Check::Always).build().unwrap();
    drop(pool.acquire_blocking().unwrap());
    *pool.acquire_blocking().unwrap() = 7;
    assert_eq!(*pool.acquire_blocking().unwrap(), 1);
    let Blocking(numbers) = pool.manager();
    assert_eq!(numbers.checked.load(SeqCst), 1);
    assert_eq!(numbers.closed.load(SeqCst), 1);
}
