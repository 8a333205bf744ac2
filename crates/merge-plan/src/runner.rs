//! Running the gates of a plan: items as a graph, each in a working copy of its own.

mod collect;
mod item;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use brolly_repo_pool::process::Cancel;
use brolly_repo_pool::{Error, Freshness, Lease, RepoPool, Request};

use crate::error::{RunError, chain};
use crate::event::{Event, Listener};
use crate::gate::{Setting, millis};
use crate::outcome::{GateRun, ItemProblem, ItemProblemCode, ItemStatus};
use crate::plan::{Item, Plan};

/// Runs the gates of plans in the working copies of a pool.
///
/// Blocking: the calling thread takes part. From async code, call it on a thread made for blocking and keep a
/// [`Cancel`] to end it early.
///
/// ```no_run
/// use brolly_merge_plan::{Plan, Report, Runner};
/// use brolly_repo_pool::RepoPool;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let plan = Plan::from_json(&std::fs::read_to_string("plan.json")?)?.plan;
/// let pools = RepoPool::open("/var/lib/brolly")?;
/// pools.fetch("shop")?;
/// let gates = Runner::new(&pools, "shop").max_workers(4).run_gates(&plan)?;
/// print!("{}", Report::new(&plan, &gates, None).to_markdown());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Runner {
    pools: RepoPool,
    pool: String,
    max_workers: Option<usize>,
    gate_timeout: Duration,
    lease_wait: Duration,
    output_limit: usize,
    logs: Option<PathBuf>,
    log_limit: u64,
    stop_on_failure: bool,
    cancel: Option<Cancel>,
    listener: Listener,
}

impl Runner {
    /// The time limit of a gate that sets none.
    pub const DEFAULT_GATE_TIMEOUT: Duration = Duration::from_secs(30);
    /// How long an item waits for a working copy.
    pub const DEFAULT_LEASE_WAIT: Duration = Duration::from_secs(600);
    /// Bytes kept of each stream of each attempt.
    pub const DEFAULT_OUTPUT_LIMIT: usize = 64 * 1024;
    /// Bytes of each log file.
    pub const DEFAULT_LOG_LIMIT: u64 = 64 * 1024 * 1024;

    /// A runner on the pool named `pool`, which exists and is as fresh as its last fetch.
    pub fn new(pools: &RepoPool, pool: impl Into<String>) -> Self {
        Self {
            pools: pools.clone(),
            pool: pool.into(),
            max_workers: None,
            gate_timeout: Self::DEFAULT_GATE_TIMEOUT,
            lease_wait: Self::DEFAULT_LEASE_WAIT,
            output_limit: Self::DEFAULT_OUTPUT_LIMIT,
            logs: None,
            log_limit: Self::DEFAULT_LOG_LIMIT,
            stop_on_failure: false,
            cancel: None,
            listener: Listener::default(),
        }
    }

    /// Items worked on at once, instead of the plan's `maxWorkers`; 0 counts as 1. Never more than the pool has usable slots.
    #[must_use]
    pub fn max_workers(mut self, workers: usize) -> Self {
        self.max_workers = Some(workers);
        self
    }

    /// The time limit of a gate that sets none.
    #[must_use]
    pub fn gate_timeout(mut self, timeout: Duration) -> Self {
        self.gate_timeout = timeout;
        self
    }

    /// How long an item waits for a working copy while others hold them all.
    #[must_use]
    pub fn lease_wait(mut self, wait: Duration) -> Self {
        self.lease_wait = wait;
        self
    }

    /// Bytes of each stream of each attempt that the result keeps: its beginning and its end.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Also writes the streams of every attempt to files in `folder`, which is made if need be.
    #[must_use]
    pub fn log_to(mut self, folder: impl Into<PathBuf>) -> Self {
        self.logs = Some(folder.into());
        self
    }

    /// Bytes of each log file at most.
    #[must_use]
    pub fn log_limit(mut self, bytes: u64) -> Self {
        self.log_limit = bytes;
        self
    }

    /// Begins no further item once one has failed; what did not begin is [`ItemStatus::Skipped`].
    #[must_use]
    pub fn stop_on_failure(mut self, stop: bool) -> Self {
        self.stop_on_failure = stop;
        self
    }

    /// Ends the run early when `cancel` is cancelled: running gates are killed, working copies given back.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Hears of progress, on the thread that makes it and outside every lock. A panic in it is caught and changes nothing.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(listener);
        self
    }

    /// Runs every gate of `plan`.
    ///
    /// Every branch is resolved to a commit first, so that a push in the middle changes nothing. An item begins when all its
    /// dependencies have passed. If it has gates, it leases one working copy at its commit, runs them there one after another, all of
    /// them even after a failure, and gives the working copy back before its dependents begin.
    ///
    /// # Errors
    ///
    /// What stops the whole run before any gate: an unknown pool, a log folder that cannot be made. What befalls one item,
    /// a missing branch included, is part of the result.
    pub fn run_gates(&self, plan: &Plan) -> Result<GateRun, RunError> {
        let start = Instant::now();
        let status = self.pools.status(&self.pool);
        let slots = status.map_err(|source| self.pool_error(source))?.summary;
        let usable = slots.total.saturating_sub(slots.error);
        let usable = usize::try_from(usable).unwrap_or(usize::MAX);
        let workers = self
            .max_workers
            .unwrap_or(plan.policy.max_workers)
            .min(usable)
            .max(1);
        if let Some(folder) = &self.logs {
            fs::create_dir_all(folder).map_err(|source| RunError::Logs {
                path: folder.clone(),
                source,
            })?;
        }
        let cancel = self.cancel.clone().map_or_else(Cancel::new, Ok);
        let cancel = cancel.map_err(|source| RunError::System {
            what: "a pipe",
            source,
        })?;
        let commits = self.resolve(plan, &cancel)?;
        let setting = Setting {
            plan,
            cancel: &cancel,
            listener: &self.listener,
            timeout: self.gate_timeout,
            output_limit: self.output_limit,
            logs: self.logs.as_deref(),
            log_limit: self.log_limit,
        };
        let stopped = AtomicBool::new(false);
        let dag = plan.dag();
        let outcomes = dag.run_blocking(workers, |node| {
            let item = &plan.items[node.index];
            let result = if setting.cancel.is_cancelled() {
                item::not_run(plan, item, ItemStatus::Cancelled)
            } else if stopped.load(Ordering::Relaxed) {
                item::not_run(plan, item, ItemStatus::Skipped)
            } else {
                item::run(&setting, node.index, &commits[node.index], |commit| {
                    self.lease(item, commit, &cancel)
                })
            };
            if result.status == ItemStatus::Fail && self.stop_on_failure {
                // Only a hint to begin nothing new: no data hangs on it.
                stopped.store(true, Ordering::Relaxed);
            }
            self.listener.tell(Event::ItemFinished {
                item: &item.name,
                status: result.status,
            });
            if result.status == ItemStatus::Pass {
                Ok(result)
            } else {
                Err(Box::new(result))
            }
        });
        let outcomes =
            outcomes.expect("the number of workers is at least 1 and at most that of the slots");
        let order = dag.dense().topological_order();
        let mut items = collect::results(plan, &self.listener, outcomes, order);
        for (item, commit) in items.iter_mut().zip(commits) {
            item.commit = commit.ok();
        }
        Ok(GateRun {
            pool: self.pool.clone(),
            items,
            workers,
            cancelled: cancel.is_cancelled(),
            wall_ms: millis(start.elapsed()),
        })
    }

    /// The commit of every item's branch; an unknown branch is its item's problem.
    fn resolve(
        &self,
        plan: &Plan,
        cancel: &Cancel,
    ) -> Result<Vec<Result<String, ItemProblem>>, RunError> {
        let resolve = |item: &Item| {
            if cancel.is_cancelled() {
                return Ok(Err(ItemProblem {
                    code: ItemProblemCode::NoWorkingCopy,
                    message: "cancelled".to_owned(),
                }));
            }
            match self.pools.resolve(&self.pool, &item.branch) {
                Ok(commit) => Ok(Ok(commit)),
                Err(error @ (Error::UnknownRef { .. } | Error::InvalidRef { .. })) => {
                    Ok(Err(ItemProblem {
                        code: ItemProblemCode::BranchNotFound,
                        message: error.to_string(),
                    }))
                }
                Err(source) => Err(self.pool_error(source)),
            }
        };
        plan.items.iter().map(resolve).collect()
    }

    fn lease(&self, item: &Item, commit: &str, cancel: &Cancel) -> Result<Lease, ItemProblem> {
        let request = Request::new(&self.pool)
            .at(commit)
            .holder(format!("gates of {}", item.name))
            .wait(self.lease_wait)
            // The commit is in the mirror: it was resolved there.
            .freshness(Freshness::Cached)
            .cancel(cancel);
        self.pools.allocate(&request).map_err(|error| ItemProblem {
            code: ItemProblemCode::NoWorkingCopy,
            message: chain(&error),
        })
    }

    fn pool_error(&self, source: Error) -> RunError {
        RunError::Pool {
            pool: self.pool.clone(),
            source: Box::new(source),
        }
    }
}
