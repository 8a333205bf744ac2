//! Loaders that obey the test, polling by hand, and scenes that may not hang.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Steers the loads of one loader from outside.
#[derive(Debug)]
pub(crate) struct Source<R> {
    results: Mutex<VecDeque<R>>,
    wakers: Mutex<Vec<Waker>>,
    starts: AtomicUsize,
    drops: AtomicUsize,
    polls: AtomicUsize,
}

impl<R: Send + 'static> Source<R> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            results: Mutex::default(),
            wakers: Mutex::default(),
            starts: AtomicUsize::new(0),
            drops: AtomicUsize::new(0),
            polls: AtomicUsize::new(0),
        })
    }

    /// A load that is pending until there is a result for it.
    pub(crate) fn load(self: &Arc<Self>) -> Load<R> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        Load(Arc::clone(self))
    }

    /// A loader of such loads.
    pub(crate) fn loader(self: &Arc<Self>) -> impl Fn() -> Load<R> + Send + Sync + 'static {
        let source = Arc::clone(self);
        move || source.load()
    }

    /// The result of the next load to look for one.
    pub(crate) fn finish(&self, result: R) {
        self.results.lock().unwrap().push_back(result);
        self.stir();
    }

    /// Wakes the loads without anything having happened.
    pub(crate) fn stir(&self) {
        let wakers = std::mem::take(&mut *self.wakers.lock().unwrap());
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn starts(&self) -> usize {
        self.starts.load(Ordering::SeqCst)
    }

    pub(crate) fn drops(&self) -> usize {
        self.drops.load(Ordering::SeqCst)
    }

    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }
}

#[derive(Debug)]
pub(crate) struct Load<R>(Arc<Source<R>>);

impl<R> Future for Load<R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        self.0.polls.fetch_add(1, Ordering::SeqCst);
        // The waker comes first: a result that arrives in between then wakes it.
        self.0.wakers.lock().unwrap().push(cx.waker().clone());
        match self.0.results.lock().unwrap().pop_front() {
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        }
    }
}

impl<R> Drop for Load<R> {
    fn drop(&mut self) {
        self.0.drops.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&wakes));
        (wakes, waker)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future to be polled by hand.
pub(crate) type Boxed<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

pub(crate) fn boxed<'a, R>(future: impl Future<Output = R> + Send + 'a) -> Boxed<'a, R> {
    Box::pin(future)
}

/// Looks once, with a waker that does nothing.
pub(crate) fn look<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// What a future brings that need not wait.
pub(crate) fn now<R>(future: impl Future<Output = R>) -> R {
    let mut future = Box::pin(future);
    match look(&mut future) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it would have to wait"),
    }
}

/// Runs a scene that might never end, and fails if it does not within half a minute.
pub(crate) fn with_time_limit(what: &str, scene: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    let thread = std::thread::spawn(move || {
        scene();
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(30)) {
        Err(RecvTimeoutError::Timeout) => panic!("{what}: hangs"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Keeps the tasks it is given, to be polled by the test.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Mutex<Vec<brolly_sync::Task>>>);

impl Tasks {
    pub(crate) fn spawner(&self) -> impl Fn(brolly_sync::Task) + Send + Sync + 'static {
        let tasks = self.clone();
        move |task| tasks.0.lock().unwrap().push(task)
    }

    /// Polls each once, and drops those that have ended. Returns how many are left.
    pub(crate) fn run(&self) -> usize {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        let tasks = tasks.into_iter().filter_map(|mut task| {
            let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            polled.is_pending().then_some(task)
        });
        let mut left: Vec<_> = tasks.collect();
        let mut all = self.0.lock().unwrap();
        all.append(&mut left);
        all.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Drops all, as a runtime does that shuts down.
    pub(crate) fn shut_down(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        drop(tasks);
    }
}

/// How many cases a model runs: `default`, or what `PROPTEST_CASES` asks for.
pub(crate) fn cases(default: u32) -> u32 {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    wanted
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(default)
}
