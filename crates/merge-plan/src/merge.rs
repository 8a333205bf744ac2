//! Merging the items of a plan onto an integration branch, in one leased working copy.

mod conflicts;
mod copy;
mod identity;
mod name;

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use brolly_repo_pool::process::Cancel;
use brolly_repo_pool::{Error, Freshness, Lease, RepoPool, Request};

use crate::error::{RunError, chain};
use crate::event::{Event, Listener};
use crate::gate::millis;
use crate::outcome::{
    Cause, GateRun, ItemProblemCode, ItemResult, ItemStatus, MergeResult, MergeRun, MergeStatus,
};
use crate::plan::{Item, Plan};
use conflicts::Files;
use copy::{Attempt, Copy, CopyError, PartOf};

/// Merges the items of plans that passed their gates.
///
/// A dry run unless told otherwise: everything is merged for real in a leased working copy, and nothing leaves it.
#[derive(Clone, Debug)]
pub struct Merger {
    pools: RepoPool,
    pool: String,
    execute: bool,
    lease_wait: Duration,
    cancel: Option<Cancel>,
    listener: Listener,
}

impl Merger {
    /// What the names of pushed branches begin with; the time and a random part follow.
    pub const BRANCH_PREFIX: &str = "brolly/integration-";

    /// A merger on the pool named `pool`.
    pub fn new(pools: &RepoPool, pool: impl Into<String>) -> Self {
        Self {
            pools: pools.clone(),
            pool: pool.into(),
            execute: false,
            lease_wait: crate::Runner::DEFAULT_LEASE_WAIT,
            cancel: None,
            listener: Listener::default(),
        }
    }

    /// Pushes the result to the pool's remote as a new branch. No other ref is touched.
    #[must_use]
    pub fn execute(mut self, execute: bool) -> Self {
        self.execute = execute;
        self
    }

    /// How long to wait for a working copy.
    #[must_use]
    pub fn lease_wait(mut self, wait: Duration) -> Self {
        self.lease_wait = wait;
        self
    }

    /// Ends early when `cancel` is cancelled; then nothing is pushed.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Hears of progress. A panic in it is caught and changes nothing.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(listener);
        self
    }

    /// Merges the items that passed, in [`Plan::order`], at the commits that `gates` checked.
    ///
    /// A merge is `git merge --no-ff` onto the plan's target. One that conflicts is aborted, proven to have left nothing
    /// behind, and reported with its files; items that depend on it are blocked, all others go on.
    ///
    /// # Errors
    ///
    /// What stops the whole: results of another plan, an unknown target, no working copy. A push that fails is part of the
    /// result, because the merges before it are worth reporting.
    pub fn run(&self, plan: &Plan, gates: &GateRun) -> Result<MergeRun, RunError> {
        let start = Instant::now();
        let results = self.match_up(plan, gates)?;
        let base = self.target(plan)?;
        let cancel = self.cancel.clone().map_or_else(Cancel::new, Ok);
        let cancel = cancel.map_err(|source| RunError::System {
            what: "a pipe",
            source,
        })?;
        let request = Request::new(&self.pool)
            .at(&base)
            .holder(format!("merges into {}", plan.target))
            .wait(self.lease_wait)
            .freshness(Freshness::Cached)
            .cancel(&cancel);
        let lease = self
            .pools
            .allocate(&request)
            .map_err(|source| self.pool_error(source))?;
        let copy = Copy::new(&lease, &base, &cancel);
        let mut copy = copy.map_err(|source| self.copy_error(source))?;
        let mut done: HashMap<&str, MergeStatus> = HashMap::new();
        let mut items = Vec::with_capacity(plan.items.len());
        for name in plan.order().into_iter().flatten() {
            let (item, gate_result) = results[name];
            let result = merge_item(&mut copy, item, gate_result, &done, &cancel);
            self.listener.tell(Event::MergeFinished {
                item: name,
                status: result.status,
            });
            done.insert(name, result.status);
            items.push(result);
        }
        let mut run = MergeRun {
            target: plan.target.clone(),
            tree: copy
                .tree()
                .map_err(|source| self.pool_error(Error::Git(source)))?,
            head: copy.head().to_owned(),
            base,
            items,
            branch: None,
            push_problem: None,
            dry_run: !self.execute,
            // Asked once: what comes later finds a push under way and changes nothing.
            cancelled: cancel.is_cancelled(),
            slot: lease.slot(),
            warm: lease.is_warm(),
            wall_ms: 0,
        };
        if self.execute && run.head != run.base && !run.cancelled {
            match Self::push(&lease, &run.head) {
                Ok(branch) => {
                    self.listener.tell(Event::Pushed {
                        branch: &branch,
                        commit: &run.head,
                    });
                    run.branch = Some(branch);
                }
                Err(problem) => run.push_problem = Some(problem),
            }
        }
        // What the merges came to stands, whatever becomes of the slot: the pool repairs it.
        let _ = lease.release();
        run.wall_ms = millis(start.elapsed());
        Ok(run)
    }

    /// Each item with its gate result, by name.
    fn match_up<'a>(
        &self,
        plan: &'a Plan,
        gates: &'a GateRun,
    ) -> Result<HashMap<&'a str, (&'a Item, &'a ItemResult)>, RunError> {
        let pairs = plan.items.iter().zip(&gates.items);
        if let Some((item, _)) = pairs
            .clone()
            .find(|(item, result)| item.name != result.name || item.branch != result.branch)
        {
            return Err(RunError::ForeignResults {
                item: item.name.clone(),
            });
        }
        let shared = plan.items.len().min(gates.items.len());
        let rest = plan.items[shared..].iter().map(|item| &item.name);
        if let Some(item) = rest
            .chain(gates.items[shared..].iter().map(|result| &result.name))
            .next()
        {
            return Err(RunError::ForeignResults { item: item.clone() });
        }
        Ok(pairs
            .map(|(item, result)| (item.name.as_str(), (item, result)))
            .collect())
    }

    fn target(&self, plan: &Plan) -> Result<String, RunError> {
        self.pools
            .resolve(&self.pool, &plan.target)
            .map_err(|source| match source {
                Error::UnknownRef { .. } | Error::InvalidRef { .. } => RunError::UnknownTarget {
                    pool: self.pool.clone(),
                    target: plan.target.clone(),
                    source: Box::new(source),
                },
                source => self.pool_error(source),
            })
    }

    /// Pushes `commit` under a name that the remote does not have; the name.
    fn push(lease: &Lease, commit: &str) -> Result<String, String> {
        let branch = name::unique(Self::BRANCH_PREFIX);
        let pushed = lease.push_new(commit, &format!("refs/heads/{branch}"));
        pushed.map_err(|error| chain(&error))?;
        Ok(branch)
    }

    fn copy_error(&self, source: CopyError) -> RunError {
        match source {
            CopyError::Git(source) => self.pool_error(Error::Git(source)),
            CopyError::Attributes(source) => RunError::System {
                what: "to write the working copy's attributes",
                source,
            },
            other => RunError::System {
                what: "to prepare the working copy",
                source: io::Error::other(other),
            },
        }
    }

    fn pool_error(&self, source: Error) -> RunError {
        RunError::Pool {
            pool: self.pool.clone(),
            source: Box::new(source),
        }
    }
}

/// Merges one item, or says why not.
fn merge_item(
    copy: &mut Copy<'_>,
    item: &Item,
    gates: &ItemResult,
    done: &HashMap<&str, MergeStatus>,
    cancel: &Cancel,
) -> MergeResult {
    let result = |status, message: String| MergeResult {
        name: item.name.clone(),
        status,
        sha: None,
        conflicts: Vec::new(),
        blocked_by: Vec::new(),
        message,
    };
    if gates
        .problem
        .as_ref()
        .is_some_and(|problem| problem.code == ItemProblemCode::BranchNotFound)
    {
        return result(
            MergeStatus::BranchNotFound,
            format!("there is no branch or revision {:?}", item.branch),
        );
    }
    let unmerged = |dep: &&String| done.get(dep.as_str()) != Some(&MergeStatus::Merged);
    let blocked_by: Vec<Cause> = item
        .deps
        .iter()
        .filter(unmerged)
        .map(|dep| Cause::Dependency { item: dep.clone() })
        .collect();
    if !blocked_by.is_empty() && matches!(gates.status, ItemStatus::Pass | ItemStatus::Blocked) {
        let mut result = result(
            MergeStatus::Blocked,
            "a dependency was not merged".to_owned(),
        );
        result.blocked_by = blocked_by;
        return result;
    }
    let commit = match (&gates.commit, gates.status) {
        (Some(commit), ItemStatus::Pass) => commit,
        (_, status) => {
            let mut result = result(
                MergeStatus::NotEligible,
                format!("its gates ended with {status}"),
            );
            result.blocked_by = gates.blocked_by.clone();
            return result;
        }
    };
    if cancel.is_cancelled() {
        return result(
            MergeStatus::Cancelled,
            "the merge was cancelled first".to_owned(),
        );
    }
    let merged = |head, message: &str| {
        let mut result = result(MergeStatus::Merged, message.to_owned());
        result.sha = Some(head);
        result
    };
    match copy.merge(commit, &format!("Merge {} ({})", item.name, item.branch)) {
        Ok(Attempt::Merged { head }) => merged(head, "merged"),
        Ok(Attempt::Part { head, of }) => merged(
            head,
            match of {
                PartOf::Target => "was part of the target already",
                PartOf::Integration => "part of the integration branch already",
            },
        ),
        Ok(Attempt::Conflict { files, sentences }) => {
            let mut result = result(MergeStatus::Conflict, conflict_message(&files, &sentences));
            result.conflicts = files.names;
            result
        }
        Err(_) if cancel.is_cancelled() => result(
            MergeStatus::Cancelled,
            "the merge was cancelled while git ran".to_owned(),
        ),
        Err(error) => result(MergeStatus::Error, chain(&error)),
    }
}

/// What git said of a conflict, or the names of the files where its words cannot be shown.
fn conflict_message(files: &Files, sentences: &[String]) -> String {
    let unreadable = |sentence: &String| sentence.contains(char::REPLACEMENT_CHARACTER);
    let mut message = if sentences.is_empty() || sentences.iter().any(unreadable) {
        const SHOWN: usize = 20;
        let shown = &files.names[..files.names.len().min(SHOWN)];
        let more = if shown.len() < files.names.len() {
            ", ..."
        } else {
            ""
        };
        format!("conflicts in {}{more}", shown.join(", "))
    } else {
        sentences.join("; ")
    };
    if files.more {
        message.push_str("; more files are in conflict than could be listed");
    }
    message
}
