//! [`DagRunner`]: a run of a graph with more settings than a limit.

use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use brolly_sync::{Clock, ThreadTimer, Timer};

use crate::cancel::CancelToken;
use crate::config::{DEFAULT_MAX_CONCURRENT, checked_concurrency};
use crate::control::Control;
use crate::dag::dense::DenseDag;
use crate::dag::estimates::DurationEstimates;
use crate::dag::keyed::Dag;
use crate::dag::outcome::{Node, Outcome};
use crate::dag::program::Program;
use crate::dag::run::{DagWork, OnFailure};
use crate::drive::Drive;
use crate::error::ConfigError;
use crate::limiter::Limiter;
use crate::panic::contained;
use crate::threads;
use crate::throttle::Throttle;

/// A run that is being set up, made by [`Dag::runner`] and [`DenseDag::runner`].
///
/// ```
/// use brolly_batch::{Dag, OnFailure, Outcome, Stopped};
///
/// let plan = Dag::from_dependencies([("a", vec![]), ("b", vec![]), ("c", vec!["b"])])?;
/// let outcomes = plan
///     .runner()
///     .limit(1)
///     .on_failure(OnFailure::Drain)
///     .run_blocking(|node| if *node.key == "b" { Err("broken") } else { Ok(()) })?;
///
/// // "b" has the longer path ahead and runs first. What it blocks is told from what is stopped.
/// assert_eq!(outcomes[2], Outcome::Blocked { by: [1].into() });
/// assert_eq!(outcomes[0], Outcome::Stopped { started: false, why: Stopped::Failed });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a runner does nothing until it is told to run"]
pub struct DagRunner<'a, G> {
    graph: &'a G,
    settings: Settings<'a>,
}

struct Settings<'a> {
    limit: usize,
    on_failure: OnFailure,
    /// Per node; those of the graph if there are none.
    weights: Option<Vec<u64>>,
    token: Option<CancelToken>,
    deadline: Option<Duration>,
    timer: Option<Arc<dyn Timer>>,
    throttle: Option<Throttle>,
    limiter: Option<Limiter>,
    learning: Option<Learning<'a>>,
}

type Learn<'a> = dyn Fn(&[Measured]) + Send + Sync + 'a;

/// Where durations come from and go to.
struct Learning<'a> {
    clock: &'a dyn Clock,
    /// Takes the durations of all nodes, by index.
    learn: Box<Learn<'a>>,
}

impl<'a, G> DagRunner<'a, G> {
    pub(crate) fn new(graph: &'a G) -> Self {
        Self {
            graph,
            settings: Settings {
                limit: DEFAULT_MAX_CONCURRENT,
                on_failure: OnFailure::default(),
                weights: None,
                token: None,
                deadline: None,
                timer: None,
                throttle: None,
                limiter: None,
                learning: None,
            },
        }
    }

    /// How many nodes may run at once, 1 to 1,048,576; 5 if not set.
    pub fn limit(mut self, limit: usize) -> Self {
        self.settings.limit = limit;
        self
    }

    /// What a failure means for the nodes that do not depend on it; they go on if not set.
    #[doc(alias = "fail_fast")]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.settings.on_failure = on_failure;
        self
    }

    /// Obeys this token: when it is drained, nothing more starts; when it is cancelled, what runs
    /// is dropped as well. A blocking run cannot drop what runs and waits for it in both cases.
    /// What did not end is [`Outcome::Stopped`].
    pub fn cancel_with(mut self, token: &CancelToken) -> Self {
        self.settings.token = Some(token.clone());
        self
    }

    /// Once this time has passed since the run began, nothing more starts, and what runs is
    /// dropped. A blocking run cannot drop what runs and waits for it.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = Some(deadline);
        self
    }

    /// Takes a permit of this limiter for each node, besides the limit of the run. Runs that share a
    /// limiter share its bound, and a run within an item of another one begins on the permit that
    /// this item holds, so nesting never deadlocks.
    pub fn limiter(mut self, limiter: &Limiter) -> Self {
        self.settings.limiter = Some(limiter.clone());
        self
    }

    /// Obeys this throttle: while it is closed nothing starts, and after its longest wait one node
    /// at a time.
    pub fn throttle(mut self, throttle: &Throttle) -> Self {
        self.settings.throttle = Some(throttle.clone());
        self
    }

    /// What the [`deadline`](Self::deadline) is measured by; a [`ThreadTimer`] of this run if not
    /// set, whose thread starts when the run has to wait.
    pub fn timer(mut self, timer: impl Timer + 'static) -> Self {
        self.settings.timer = Some(Arc::new(timer));
        self
    }
}

impl DagRunner<'_, DenseDag> {
    /// Runs `f` for every node; see [`DenseDag::run`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if a setting is; nothing ran then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the nodes' futures that are running, and starts no other. The
    /// graph is untouched and can be run again.
    pub async fn run<F, Fut, T, E>(self, f: F) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        F: Fn(usize) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.settings.run(self.graph, f).await
    }

    /// Runs `f` for every node on threads; see [`DenseDag::run_blocking`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if a setting is; nothing ran then.
    pub fn run_blocking<F, T, E>(self, f: F) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        F: Fn(usize) -> Result<T, E> + Sync,
        T: Send,
        E: Send,
    {
        self.settings.run_blocking(self.graph, f)
    }
}

impl<'a, K> DagRunner<'a, Dag<K>> {
    /// Weighs the nodes by how long they took in earlier runs, instead of by the weights of the
    /// graph, and learns from this one: from the nodes that succeed, when the run returns. A run
    /// that is dropped teaches nothing.
    ///
    /// The weights are looked up by this call. They make a new order for this run, which costs as
    /// much as the first run of a graph.
    pub fn estimates(mut self, estimates: &'a DurationEstimates<K>) -> Self
    where
        K: Clone + Eq + Hash + Send + Sync,
    {
        let keys = self.graph.keys();
        let learn = move |measured: &[Measured]| {
            let durations = keys.iter().zip(measured);
            estimates
                .record_all(durations.filter_map(|(key, measured)| Some((key, measured.get()?))));
        };
        self.settings.weights = estimates.weights(keys);
        self.settings.learning = Some(Learning {
            clock: estimates.clock(),
            learn: Box::new(learn),
        });
        self
    }

    /// Runs `f` for every node; see [`Dag::run`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if a setting is; nothing ran then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the nodes' futures that are running, and starts no other. The
    /// graph is untouched and can be run again.
    pub async fn run<F, Fut, T, E>(self, f: F) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        F: Fn(Node<'a, K>) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let keys = self.graph.keys();
        self.settings
            .run(self.graph.dense(), |index| {
                f(Node::new(index, &keys[index]))
            })
            .await
    }

    /// Runs `f` for every node on threads; see [`Dag::run_blocking`].
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`] if a setting is; nothing ran then.
    pub fn run_blocking<F, T, E>(self, f: F) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        K: Sync,
        F: Fn(Node<'a, K>) -> Result<T, E> + Sync,
        T: Send,
        E: Send,
    {
        let keys = self.graph.keys();
        self.settings.run_blocking(self.graph.dense(), |index| {
            f(Node::new(index, &keys[index]))
        })
    }
}

impl Settings<'_> {
    async fn run<F, Fut, T, E>(
        self,
        dag: &DenseDag,
        f: F,
    ) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        F: Fn(usize) -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let limit = checked_concurrency("limit", self.limit)?;
        let own_program = self.own_program(dag);
        let program = own_program.as_ref().unwrap_or_else(|| dag.program());
        let work = DagWork::new(dag, program, self.on_failure);
        let control = self.control();
        let Some(learning) = &self.learning else {
            let work = drive(Drive::new(work, limit, control, f)).await;
            return Ok(work.into_outcomes());
        };
        let times = learning.times(dag);
        let timed = |node: usize| {
            let start = learning.clock.now();
            let running = f(node);
            let time = &times[node];
            async move {
                let result = running.await;
                if result.is_ok() {
                    time.set(learning.clock.now().saturating_sub(start));
                }
                result
            }
        };
        let work = drive(Drive::new(work, limit, control, timed)).await;
        learning.learn(&times);
        Ok(work.into_outcomes())
    }

    fn run_blocking<F, T, E>(self, dag: &DenseDag, f: F) -> Result<Vec<Outcome<T, E>>, ConfigError>
    where
        F: Fn(usize) -> Result<T, E> + Sync,
        T: Send,
        E: Send,
    {
        let limit = checked_concurrency("limit", self.limit)?;
        let own_program = self.own_program(dag);
        let program = own_program.as_ref().unwrap_or_else(|| dag.program());
        let work = DagWork::new(dag, program, self.on_failure);
        let control = self.control();
        let Some(learning) = &self.learning else {
            return Ok(threads::run(work, limit, control, f).into_outcomes());
        };
        let times = learning.times(dag);
        let work = threads::run(work, limit, control, |node| {
            let start = learning.clock.now();
            let result = f(node);
            if result.is_ok() {
                times[node].set(learning.clock.now().saturating_sub(start));
            }
            result
        });
        learning.learn(&times);
        Ok(work.into_outcomes())
    }

    /// What the engine has to obey.
    fn control(&self) -> Control {
        let mut control = Control::default();
        if let Some(token) = &self.token {
            control = control.cancel_with(token);
        }
        if let Some(after) = self.deadline {
            let timer = self.timer.clone();
            let timer = timer.unwrap_or_else(|| Arc::new(ThreadTimer::new()));
            control = control.deadline(timer, after);
        }
        if let Some(throttle) = &self.throttle {
            control = control.throttle(throttle.run());
        }
        if let Some(limiter) = &self.limiter {
            control = control.limiter(limiter.gate());
        }
        control
    }

    fn own_program(&self, dag: &DenseDag) -> Option<Program> {
        let weights = self.weights.as_ref()?;
        Some(dag.program_with(|node| weights[node]))
    }
}

/// Runs to the end, or to a failure after which what runs is to be dropped.
async fn drive<'a, F, Fut, T, E>(mut drive: Drive<DagWork<'a, T, E>, F, Fut>) -> DagWork<'a, T, E>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    poll_fn(|cx| {
        let polled = Pin::new(&mut drive).poll(cx);
        if polled.is_pending() && drive.work().is_some_and(DagWork::is_given_up) {
            let work = drive.abandon();
            return Poll::Ready(work.expect("it is returned only at the end"));
        }
        polled
    })
    .await
}

impl Learning<'_> {
    /// Runs code of the names (hashing, comparing, cloning). If it panics, the run has ended all
    /// the same, and its outcomes are not to be lost.
    fn learn(&self, times: &[Measured]) {
        contained(|| (self.learn)(times));
    }

    fn times(&self, dag: &DenseDag) -> Vec<Measured> {
        (0..dag.len()).map(|_| Measured::default()).collect()
    }
}

/// How long a node took, once it has succeeded. Written by the one that ran the node, and read
/// when all have ended; the engines order the two.
struct Measured(AtomicU64);

impl Measured {
    const NOT_YET: u64 = u64::MAX;

    fn set(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.0
            .store(nanos.min(Self::NOT_YET - 1), Ordering::Relaxed);
    }

    fn get(&self) -> Option<Duration> {
        let nanos = self.0.load(Ordering::Relaxed);
        (nanos != Self::NOT_YET).then(|| Duration::from_nanos(nanos))
    }
}

impl Default for Measured {
    fn default() -> Self {
        Self(AtomicU64::new(Self::NOT_YET))
    }
}

impl<G> fmt::Debug for DagRunner<'_, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DagRunner")
            .field("limit", &self.settings.limit)
            .field("on_failure", &self.settings.on_failure)
            .finish_non_exhaustive()
    }
}
