//! A manager that does as it is told, a runtime that runs when it is told, and futures looked at by
//! hand.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use brolly_resource_pool::{
    AcquireError, CloseReason, Guard, Manager, Pool, PoolBuilder, Stats, Usage,
};
use brolly_sync::{ManualClock, Spawn, Task};

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Ready,
    /// Waits for the gate.
    Gated,
    Fail,
    /// Fails, and says that another attempt is of no use.
    FailForGood,
    Panic,
    Hang,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Passing,
    ForGood,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the backend is down")
    }
}

impl std::error::Error for Broken {}

/// What a factory has done, and how it is to do it.
pub(crate) struct Plant {
    pub(crate) attempts: AtomicUsize,
    pub(crate) created: AtomicUsize,
    pub(crate) checks: AtomicUsize,
    pub(crate) live: AtomicUsize,
    pub(crate) most_live: AtomicUsize,
    pub(crate) creating: AtomicUsize,
    pub(crate) most_creating: AtomicUsize,
    pub(crate) closed: Mutex<Vec<(usize, CloseReason)>>,
    pub(crate) create: Mutex<Mode>,
    pub(crate) check: Mutex<Mode>,
    pub(crate) close: Mutex<Mode>,
    gate: Gate,
}

#[derive(Default)]
struct Gate(Mutex<(usize, Vec<Waker>)>);

impl Gate {
    async fn pass(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if state.0 > 0 {
                state.0 -= 1;
                return Poll::Ready(());
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Plant {
    pub(crate) fn set_create(&self, mode: Mode) {
        *self.create.lock().unwrap() = mode;
    }

    pub(crate) fn set_check(&self, mode: Mode) {
        *self.check.lock().unwrap() = mode;
    }

    pub(crate) fn set_close(&self, mode: Mode) {
        *self.close.lock().unwrap() = mode;
    }

    /// Lets so many of those who wait at the gate pass, now or later.
    pub(crate) fn open(&self, count: usize) {
        let wakers = {
            let mut state = self.gate.0.lock().unwrap();
            state.0 += count;
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn closed_for(&self, reason: CloseReason) -> usize {
        let closed = self.closed.lock().unwrap();
        closed.iter().filter(|(_, it)| *it == reason).count()
    }

    async fn follow(&self, mode: Mode, what: &str) -> Result<(), Broken> {
        match mode {
            Mode::Ready => Ok(()),
            Mode::Gated => {
                self.gate.pass().await;
                Ok(())
            }
            Mode::Fail => Err(Broken::Passing),
            Mode::FailForGood => Err(Broken::ForGood),
            Mode::Panic => panic!("{what} panics"),
            Mode::Hang => std::future::pending().await,
        }
    }
}

/// A resource that is counted while it lives.
pub(crate) struct Thing {
    pub(crate) id: usize,
    pub(crate) is_broken: bool,
    plant: Arc<Plant>,
}

impl fmt::Debug for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thing({})", self.id)
    }
}

impl Thing {
    pub(crate) fn new(plant: &Arc<Plant>) -> Self {
        let live = plant.live.fetch_add(1, SeqCst) + 1;
        plant.most_live.fetch_max(live, SeqCst);
        Self {
            id: plant.created.fetch_add(1, SeqCst),
            is_broken: false,
            plant: Arc::clone(plant),
        }
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.plant.live.fetch_sub(1, SeqCst);
    }
}

#[derive(Clone)]
pub(crate) struct Factory(pub(crate) Arc<Plant>);

impl Factory {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Plant {
            attempts: AtomicUsize::new(0),
            created: AtomicUsize::new(0),
            checks: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            most_live: AtomicUsize::new(0),
            creating: AtomicUsize::new(0),
            most_creating: AtomicUsize::new(0),
            closed: Mutex::default(),
            create: Mutex::new(Mode::Ready),
            check: Mutex::new(Mode::Ready),
            close: Mutex::new(Mode::Ready),
            gate: Gate::default(),
        }))
    }
}

struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Manager for Factory {
    type Resource = Thing;
    type Error = Broken;

    async fn create(&self) -> Result<Thing, Broken> {
        let plant = &self.0;
        plant.attempts.fetch_add(1, SeqCst);
        let creating = plant.creating.fetch_add(1, SeqCst) + 1;
        plant.most_creating.fetch_max(creating, SeqCst);
        let _leaving = Leaving(&plant.creating);
        let mode = *plant.create.lock().unwrap();
        plant.follow(mode, "create").await?;
        Ok(Thing::new(plant))
    }

    async fn recycle(&self, thing: &mut Thing, _: &Usage) -> Result<(), Broken> {
        let plant = &self.0;
        plant.checks.fetch_add(1, SeqCst);
        if thing.is_broken {
            return Err(Broken::Passing);
        }
        let mode = *plant.check.lock().unwrap();
        plant.follow(mode, "check").await
    }

    fn is_broken(&self, thing: &mut Thing) -> bool {
        thing.is_broken
    }

    fn is_fatal(&self, error: &Broken) -> bool {
        *error == Broken::ForGood
    }

    fn is_transient(&self, error: &Broken) -> bool {
        *error == Broken::Passing
    }

    async fn close(&self, thing: Thing, reason: CloseReason) {
        let plant = &self.0;
        plant.closed.lock().unwrap().push((thing.id, reason));
        let mode = *plant.close.lock().unwrap();
        let _ = plant.follow(mode, "close").await;
    }
}

/// A runtime on this thread that runs when it is told to.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Mutex<VecDeque<Task>>>);

impl Spawn for Tasks {
    fn spawn(&self, task: Task) {
        self.0.lock().unwrap().push_back(task);
    }
}

impl Tasks {
    /// Polls everything until nothing changes any more.
    pub(crate) fn run(&self) {
        for _ in 0..64 {
            let tasks = std::mem::take(&mut *self.0.lock().unwrap());
            let before = tasks.len();
            let mut cx = Context::from_waker(Waker::noop());
            let mut pending = VecDeque::new();
            for mut task in tasks {
                if task.as_mut().poll(&mut cx).is_pending() {
                    pending.push_back(task);
                }
            }
            let mut queue = self.0.lock().unwrap();
            let is_quiet = pending.len() == before && queue.is_empty();
            pending.append(&mut queue);
            *queue = pending;
            if is_quiet {
                return;
            }
        }
        panic!("the tasks do not come to rest");
    }

    /// The same, until nothing is left: for tasks that want to be polled more than once.
    pub(crate) fn finish(&self) {
        for _ in 0..64 {
            self.run();
            if self.len() == 0 {
                return;
            }
        }
        panic!("the tasks do not end");
    }

    /// Drops everything unfinished, as a runtime does that shuts down.
    pub(crate) fn shut_down(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        drop(tasks);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A pool with its factory, its tasks and its time.
pub(crate) struct Bench {
    pub(crate) pool: Pool<Factory>,
    pub(crate) plant: Arc<Plant>,
    pub(crate) tasks: Tasks,
    pub(crate) clock: ManualClock,
}

pub(crate) type Fixed = PoolBuilder<Factory>;

/// A pool with a spawner, on a clock moved by hand.
pub(crate) fn bench(settings: impl FnOnce(Fixed) -> Fixed) -> Bench {
    let tasks = Tasks::default();
    let spawner = tasks.clone();
    build(tasks, |builder| settings(builder.spawner(spawner)))
}

/// The same without a spawner.
pub(crate) fn lone(settings: impl FnOnce(Fixed) -> Fixed) -> Bench {
    build(Tasks::default(), settings)
}

fn build(tasks: Tasks, settings: impl FnOnce(Fixed) -> Fixed) -> Bench {
    let factory = Factory::new();
    let plant = Arc::clone(&factory.0);
    let clock = ManualClock::new();
    clock.advance(secs(1000));
    let builder = Pool::builder(factory)
        .clock(clock.clone())
        .timer(clock.clone())
        .min_size(0);
    let pool = settings(builder).build().unwrap();
    Bench {
        pool,
        plant,
        tasks,
        clock,
    }
}

impl Bench {
    /// Lets time pass in small steps, and whatever is due happen.
    pub(crate) fn pass(&self, duration: Duration) {
        let end = brolly_sync::Clock::now(&self.clock) + duration;
        self.tasks.run();
        while let Some(next) = self.clock.next_deadline()
            && next < end
        {
            self.clock.set(next);
            self.tasks.run();
        }
        self.clock.set(end);
        self.tasks.run();
        self.assert_conserved();
    }

    /// Takes one, which has to be there or to come at once.
    pub(crate) fn take(&self) -> Guard<'_, Factory> {
        let mut acquire = pin!(self.pool.acquire());
        if let Poll::Ready(guard) = look(acquire.as_mut()) {
            return guard.unwrap();
        }
        self.tasks.run();
        match look(acquire) {
            Poll::Ready(guard) => guard.unwrap(),
            Poll::Pending => panic!("nothing to be had: {:?}", self.pool),
        }
    }

    /// What is asked for every time the sizes are looked at.
    pub(crate) fn assert_conserved(&self) -> Stats {
        let stats = self.pool.stats();
        let sum = stats.idle + stats.in_use + stats.creating + stats.reserved;
        assert_eq!(sum, stats.size, "{stats:?}");
        stats
    }
}

/// Looks at a future once.
pub(crate) fn look<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The result of a future that has to be ready.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match look(pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

pub(crate) fn is_pending<F: Future>(future: Pin<&mut F>) -> bool {
    look(future).is_pending()
}

pub(crate) fn ready<F: Future>(future: Pin<&mut F>) -> F::Output {
    match look(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

/// Counts how often it is woken.
#[derive(Default)]
pub(crate) struct Count(AtomicUsize);

impl Count {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (Arc::clone(&count), Waker::from(count))
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

pub(crate) fn is_timeout<T>(result: &Result<T, AcquireError<Broken>>) -> bool {
    matches!(result, Err(AcquireError::Timeout(_)))
}

/// Waits for something that another thread or the system does, and not for ever.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < secs(10), "{what}");
        std::thread::sleep(ms(1));
    }
}
