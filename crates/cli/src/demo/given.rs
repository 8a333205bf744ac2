//! The demo on a repository that exists: its own branches or its last commits, and nothing of it changed.

use std::path::Path;

use brolly_merge_plan::{ItemStatus, MergeRun, MergeStatus, Merger, Plan, Report, Runner};
use brolly_repo_pool::process::Command;
use brolly_repo_pool::{Error, PoolConfig, RepoPool};
use serde_json::{Value, json};

use super::home::Home;
use super::promise::{Promise, names, slots_are_back};
use super::space::{on_disk, readable};
use super::{Shown, fact, lease_facts, show as shown, traces};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{Output, count};
use crate::progress::Progress;

const POOL: &str = "given";
const SLOTS: u32 = 4;

/// Items of the plan at most: enough to keep the slots busy, few enough to wait for.
const ITEMS: usize = 24;

/// The working copy is at the commit that was asked for, with every file of it and no other. What `git status` says is
/// no measure here: in a repository with mixed line endings even a fresh clone counts as changed.
const IN_ORDER: &str = r#"test "$(git rev-parse HEAD)" = "$BROLLY_COMMIT" &&
git diff --cached --quiet HEAD && test -z "$(git ls-files --others --deleted)""#;

/// Every object of the commit's tree can be read.
const READABLE: &str = "git archive --format=tar HEAD > /dev/null";

pub(super) fn show(
    url: &str,
    home: &Home,
    interrupt: &Interrupt,
    output: &Output,
) -> Result<Shown, Failure> {
    let before = Fingerprint::of(url)?;
    output.note(format_args!("pooling it in {SLOTS} slots"));
    let pools = RepoPool::open(home.join("root"))?;
    pools.create_pool(&PoolConfig::new(POOL, url).slots(SLOTS))?;
    interrupt.check()?;
    let (items, what) = items(&pools)?;
    let document = json!({
        "schemaVersion": "1.0.0",
        "target": items.target,
        "policy": {"maxWorkers": SLOTS},
        "items": items.items,
    });
    let plan = Plan::from_json(&document.to_string())?.plan;

    let progress = Progress::new(output, "gates", plan.items().len());
    let listener = progress.clone();
    let runner = Runner::new(&pools, POOL)
        .cancel(interrupt.heed())
        .gate_timeout(std::time::Duration::from_secs(300));
    let gates = runner
        .on_event(move |event| listener.show(event))
        .run_gates(&plan);
    progress.finish();
    interrupt.check()?;
    let gates = gates?;

    let merge = || -> Result<MergeRun, Failure> {
        let progress = Progress::new(output, "merges", plan.items().len());
        let listener = progress.clone();
        let merges = Merger::new(&pools, POOL)
            .cancel(interrupt.heed())
            .on_event(move |event| listener.show(event))
            .run(&plan, &gates);
        progress.finish();
        interrupt.check()?;
        Ok(merges?)
    };
    let (merges, again) = (merge()?, merge()?);
    let report = Report::new(&plan, &gates, Some(&merges));
    let [nothing_left, warm] = traces::promises(&pools, POOL)?;
    let status = pools.status(POOL)?;
    let after = Fingerprint::of(url)?;
    let pooled = on_disk(&home.join("root")).map_err(Failure::io("cannot measure the pool"))?;

    let totals = &report.totals;
    let decided = totals.merged + totals.conflicts + totals.merges_blocked + totals.not_merged;
    let unclean = report.items.iter().filter(|item| {
        item.merge
            .as_ref()
            .is_some_and(|merge| merge.status == MergeStatus::Error)
    });
    let promises = vec![
        Promise::same("every item has an answer", plan.items().len(), decided),
        Promise::same(
            "every working copy is at its commit, complete and readable",
            "none fails".to_owned(),
            {
                let failed = names(&report, |item| item.gates.status != ItemStatus::Pass);
                if failed == "none" {
                    "none fails".to_owned()
                } else {
                    failed
                }
            },
        ),
        Promise::same(
            "every conflict is aborted and leaves nothing behind",
            0,
            unclean.count(),
        ),
        Promise::same(
            "merging again gives the same tree",
            &merges.tree[..merges.tree.len().min(12)],
            &again.tree[..again.tree.len().min(12)],
        ),
        nothing_left,
        warm,
        slots_are_back(&status),
        Promise::judged(
            "the repository is not touched",
            "as before",
            after.compared_with(&before),
            after == before,
        ),
    ];
    let mut facts = vec![fact("plan", what), fact("slots", SLOTS.to_string())];
    facts.extend(lease_facts(&status));
    facts.extend([
        fact("gates passed", totals.gates_passed.to_string()),
        fact("merges done", totals.merged.to_string()),
        fact("conflicts aborted", totals.conflicts.to_string()),
        fact(
            "gates, merges",
            format!("{} ms, {} ms", gates.wall_ms, merges.wall_ms),
        ),
        fact("disk of the pool", readable(pooled)),
    ]);
    Ok(shown(promises, facts, &report))
}

struct Items {
    target: String,
    items: Vec<Value>,
}

/// The branches beside the default one; where there are none, the last commits of it, oldest first.
fn items(pools: &RepoPool) -> Result<(Items, String), Failure> {
    let default = pools.status(POOL)?.branch;
    let gates =
        json!([{"name": "in-order", "run": IN_ORDER}, {"name": "readable", "run": READABLE}]);
    let item = |name: String, branch: &str| json!({"name": name, "branch": branch, "gates": gates});
    let branches: Vec<_> = pools
        .branches(POOL)?
        .into_iter()
        .filter(|(name, _)| *name != default)
        .take(ITEMS)
        .collect();
    if !branches.is_empty() {
        let what = format!(
            "{} onto {default}",
            count(branches.len(), "branch", "branches")
        );
        let items = branches
            .into_iter()
            .map(|(name, _)| item(name.clone(), &name))
            .collect();
        return Ok((
            Items {
                target: default,
                items,
            },
            what,
        ));
    }
    let tip = pools.resolve(POOL, &default)?;
    let git = pools.git(POOL)?;
    let limit = format!("--max-count={}", ITEMS + 1);
    let log = git
        .run(["rev-list", "--first-parent", &limit, &tip])
        .map_err(Error::from)?
        .stdout;
    let mut commits: Vec<_> = log.lines().collect();
    // The oldest one is what the others are merged onto; a lone commit is merged onto itself.
    let target = if commits.len() > 1 {
        commits.pop()
    } else {
        commits.first().copied()
    };
    let target = target.unwrap_or(&tip).to_owned();
    let commits_in_words = match commits.len() {
        1 => "commit".to_owned(),
        many => format!("{many} commits"),
    };
    let what = format!("the last {commits_in_words} of {default}");
    let name =
        |(number, commit): (usize, &&str)| item(format!("{number:02}-{}", &commit[..12]), commit);
    let items = commits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, commit)| name((index + 1, commit)))
        .collect();
    Ok((Items { target, items }, what))
}

/// Everything about a repository that the demo could have changed and must not.
#[derive(Debug, PartialEq)]
struct Fingerprint(Vec<(&'static str, String)>);

impl Fingerprint {
    fn of(url: &str) -> Result<Self, Failure> {
        let local = Path::new(url).is_dir();
        let refs = if local {
            vec!["for-each-ref"]
        } else {
            vec!["ls-remote", "--quiet", "--", url]
        };
        let mut parts = vec![("refs", git(local.then_some(url), &refs))];
        if local {
            parts.push((
                "HEAD",
                git(Some(url), &["rev-parse", "--symbolic-full-name", "HEAD"]),
            ));
            parts.push((
                "working copy",
                git(Some(url), &["--no-optional-locks", "status", "--porcelain"]),
            ));
            parts.push((
                "worktrees",
                git(Some(url), &["worktree", "list", "--porcelain"]),
            ));
            parts.push((
                "configuration",
                git(Some(url), &["config", "--local", "--list"]),
            ));
        }
        let read = |(name, value): (&'static str, Result<String, Failure>)| Ok((name, value?));
        Ok(Self(
            parts
                .into_iter()
                .map(read)
                .collect::<Result<_, Failure>>()?,
        ))
    }

    fn compared_with(&self, before: &Self) -> String {
        let changed: Vec<_> = self
            .0
            .iter()
            .zip(&before.0)
            .filter(|(now, then)| now != then)
            .map(|((name, _), _)| *name)
            .collect();
        if changed.is_empty() {
            "as before".to_owned()
        } else {
            format!("changed: {}", changed.join(", "))
        }
    }
}

/// What git says, its failure included: a bare repository has no status, and must not have one afterwards.
fn git(dir: Option<&str>, args: &[&str]) -> Result<String, Failure> {
    let mut command = Command::new("git")
        .args(args.iter().copied())
        .env("GIT_TERMINAL_PROMPT", "0");
    if let Some(dir) = dir {
        command = command.current_dir(dir);
    }
    let outcome = command.run().map_err(|error| match error.source.kind() {
        std::io::ErrorKind::NotFound => Error::from(brolly_repo_pool::GitError::NotFound).into(),
        _ => Failure::failed("git", format!("{error}: {}", error.source)),
    })?;
    Ok(outcome.stdout.text() + &outcome.stderr.text())
}
