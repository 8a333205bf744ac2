//! The demo on a repository of its own, where everything that will happen is known beforehand.

use std::fs;
use std::time::Instant;

use brolly_merge_plan::{GateStatus, ItemStatus, MergeStatus, Merger, Plan, Report, Runner};
use brolly_repo_pool::process::Command;
use brolly_repo_pool::{PoolConfig, RepoPool};
use serde_json::json;

use super::home::Home;
use super::promise::{Promise, names, slots_are_back};
use super::repository::{self, BRANCHES, Does};
use super::space::{on_disk, readable};
use super::{Shown, fact, lease_facts, show as shown, traces};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{Output, count};
use crate::progress::Progress;

const POOL: &str = "demo";
const SLOTS: u32 = 4;

/// A run in parallel has to be at least this much faster than one by one.
const SPEED_UP: f64 = 1.5;

pub(super) fn show(home: &Home, interrupt: &Interrupt, output: &Output) -> Result<Shown, Failure> {
    let upstream = home.join("upstream");
    output.note("making a repository");
    repository::make(&upstream)?;
    let held = home.join("held");
    fs::create_dir(&held).map_err(Failure::io("cannot make a folder"))?;
    let text = plan(&held.to_string_lossy()).to_string();
    let plan = Plan::from_json(&text)?.plan;
    let url = upstream.to_string_lossy().into_owned();

    output.note(format_args!("pooling it in {SLOTS} slots"));
    let pools = RepoPool::open(home.join("root"))?;
    let started = Instant::now();
    pools.create_pool(&PoolConfig::new(POOL, &url).slots(SLOTS))?;
    let created = started.elapsed();
    interrupt.check()?;
    let main = pools.resolve(POOL, "main")?;

    let run = |title: &str, workers: usize| {
        let progress = Progress::new(output, title, plan.items().len());
        let shown = progress.clone();
        let runner = Runner::new(&pools, POOL)
            .max_workers(workers)
            .cancel(interrupt.heed());
        let gates = runner
            .on_event(move |event| shown.show(event))
            .run_gates(&plan);
        progress.finish();
        interrupt.check()?;
        Ok::<_, Failure>(gates?)
    };
    let together = run("gates", SLOTS as usize)?;
    let one_by_one = run("one by one", 1)?;

    let progress = Progress::new(output, "merges", plan.items().len());
    let listener = progress.clone();
    let merger = Merger::new(&pools, POOL)
        .execute(true)
        .cancel(interrupt.heed())
        .on_event(move |event| listener.show(event));
    let merges = merger.run(&plan, &together);
    progress.finish();
    let merges = merges?;
    interrupt.check()?;
    let report = Report::new(&plan, &together, Some(&merges));

    let [nothing_left, warm] = traces::promises(&pools, POOL)?;
    let pooled = on_disk(&home.join("root")).map_err(Failure::io("cannot measure the pool"))?;
    interrupt.check()?;
    let (cloned, clone_time) = clones(home, &url)?;
    let status = pools.status(POOL)?;

    let speed_up = one_by_one.wall_ms as f64 / together.wall_ms.max(1) as f64;
    let shared = fs::read_to_string(held.join("shared")).unwrap_or_default();
    pools.fetch(POOL)?;
    let promises = vec![
        Promise::judged(
            "no slot is held twice",
            "never",
            if shared.is_empty() {
                "never".to_owned()
            } else {
                shared.replace('\n', " ")
            },
            shared.is_empty(),
        ),
        gates_passed(&report),
        Promise::same(
            "the failing gate is found",
            of(Does::Fails),
            names(&report, |item| item.gates.status == ItemStatus::Fail),
        ),
        Promise::same(
            "the flaky gate passes at its second attempt",
            of(Does::Flakes),
            names(&report, |item| {
                item.gates
                    .gates
                    .iter()
                    .any(|gate| gate.status == GateStatus::Pass && gate.attempts.len() == 2)
            }),
        ),
        Promise::same(
            "who depends on a failure never starts",
            "parser-errors, parser-fuzz".to_owned(),
            names(&report, |item| item.gates.status == ItemStatus::Blocked),
        ),
        Promise::same(
            "conflicts are found and aborted",
            "config-schema, limits-split".to_owned(),
            names(&report, |item| {
                item.merge
                    .as_ref()
                    .is_some_and(|merge| merge.status == MergeStatus::Conflict)
            }),
        ),
        Promise::same(
            "who depends on a conflict is not merged",
            "config-reload".to_owned(),
            names(&report, |item| {
                item.gates.status == ItemStatus::Pass
                    && item
                        .merge
                        .as_ref()
                        .is_some_and(|merge| merge.status == MergeStatus::Blocked)
            }),
        ),
        Promise::same(
            "everything else is merged",
            BRANCHES.len() - 3 - 3,
            report.totals.merged,
        ),
        integrated(&pools, &report)?,
        Promise::same(
            "the target branch is not touched",
            short(&main),
            short(&pools.resolve(POOL, "main")?),
        ),
        nothing_left,
        warm,
        slots_are_back(&status),
        Promise::judged(
            "together is faster than one by one",
            format!("at least {SPEED_UP} x"),
            format!("{speed_up:.1} x"),
            speed_up >= SPEED_UP,
        ),
        Promise::judged(
            "the pool takes less disk than four clones",
            format!("less than {}", readable(cloned)),
            readable(pooled),
            pooled < cloned,
        ),
    ];
    let blocked = report
        .items
        .iter()
        .filter(|item| !item.gates.blocked_by.is_empty())
        .map(|item| {
            let causes: Vec<_> = item
                .gates
                .blocked_by
                .iter()
                .map(ToString::to_string)
                .collect();
            format!("{} by {}", item.gates.name, causes.join(", "))
        });
    let mut facts = vec![
        fact("branches", BRANCHES.len().to_string()),
        fact(
            "slots",
            format!("{SLOTS}, made in {:.2} s", created.as_secs_f64()),
        ),
    ];
    facts.extend(lease_facts(&status));
    facts.extend([
        fact("gates passed", report.totals.gates_passed.to_string()),
        fact("merges done", report.totals.merged.to_string()),
        fact("conflicts aborted", report.totals.conflicts.to_string()),
        fact("pushed", pushed(&report)),
        fact(
            "blocked by a failed gate",
            blocked.collect::<Vec<_>>().join("; "),
        ),
        fact(
            "gates together, one by one",
            format!(
                "{:.2} s, {:.2} s",
                seconds(together.wall_ms),
                seconds(one_by_one.wall_ms)
            ),
        ),
        fact("merges", format!("{:.2} s", seconds(merges.wall_ms))),
        fact(
            "disk of the pool, of four clones",
            format!(
                "{}, {} ({:.2})",
                readable(pooled),
                readable(cloned),
                pooled as f64 / cloned as f64
            ),
        ),
        fact("one clone", format!("{clone_time:.0} ms")),
    ]);
    Ok(shown(promises, facts, &report))
}

/// The plan of all branches, as a user would write it.
fn plan(held: &str) -> serde_json::Value {
    let gate =
        |name: &str| json!({"name": name, "run": ["./check.sh", name], "env": {"DEMO_HELD": held}});
    let items = BRANCHES.map(|branch| json!({"name": branch.name, "deps": branch.deps, "gates": [gate("lint"), gate("test")]}));
    json!({
        "schemaVersion": "1.0.0",
        "target": "main",
        "policy": {"requiredGates": ["lint", "test"], "maxWorkers": SLOTS, "retries": {"test": {"maxAttempts": 2}}},
        "items": items,
    })
}

/// Each branch has two gates; those of the blocked do not run, and the failing one passes one of its two.
fn gates_passed(report: &Report) -> Promise {
    let blocked = count(report.totals.blocked, "item", "items");
    let expected = 2 * (BRANCHES.len() - 2) - 1;
    Promise::judged(
        "every other gate passes",
        format!("{expected} of {}", 2 * BRANCHES.len()),
        format!("{} ({blocked} blocked)", report.totals.gates_passed),
        report.totals.gates_passed == expected,
    )
}

/// The branch that was pushed holds every commit that was merged, and no other.
fn integrated(pools: &RepoPool, report: &Report) -> Result<Promise, Failure> {
    let name = "the pushed branch holds exactly what was merged";
    let Some(branch) = report
        .integration
        .as_ref()
        .and_then(|integration| integration.branch.as_ref())
    else {
        return Ok(Promise::judged(name, "a branch", "none was pushed", false));
    };
    let tip = pools.resolve(POOL, branch)?;
    let git = pools.git(POOL)?;
    let mut wrong = Vec::new();
    for item in &report.items {
        let Some(commit) = &item.gates.commit else {
            continue;
        };
        let merged = item
            .merge
            .as_ref()
            .is_some_and(|merge| merge.status == MergeStatus::Merged);
        let held = git
            .try_run(["merge-base", "--is-ancestor", commit, &tip])
            .map_err(brolly_repo_pool::Error::from)?
            .success();
        if merged != held {
            wrong.push(item.gates.name.clone());
        }
    }
    let seen = if wrong.is_empty() {
        format!("all {}, and nothing else", report.totals.merged)
    } else {
        format!("wrong: {}", wrong.join(", "))
    };
    Ok(Promise::judged(
        name,
        "all of it, and nothing else",
        seen,
        wrong.is_empty(),
    ))
}

/// The integration branch that was pushed.
fn pushed(report: &Report) -> String {
    let branch = report
        .integration
        .as_ref()
        .and_then(|integration| integration.branch.clone());
    branch.unwrap_or_else(|| "nothing".to_owned())
}

/// Four full clones, as four jobs would make them: their bytes on disk, and the time of one in milliseconds.
fn clones(home: &Home, url: &str) -> Result<(u64, f64), Failure> {
    let dir = home.join("clones");
    fs::create_dir(&dir).map_err(Failure::io("cannot make a folder"))?;
    let started = Instant::now();
    for number in 0..SLOTS {
        // A URL, so that git does not share the files of a repository on the same disk.
        let args = [
            "clone",
            "--quiet",
            &format!("file://{url}"),
            &number.to_string(),
        ]
        .map(str::to_owned);
        let outcome = Command::new("git").args(args).current_dir(&dir).run();
        let outcome = outcome.map_err(|error| Failure::failed("git", error.source.to_string()))?;
        if !outcome.exit.is_success() {
            return Err(Failure::failed(
                "git",
                format!("git clone: {}", outcome.stderr.text()),
            ));
        }
    }
    let each = started.elapsed().as_secs_f64() * 1e3 / f64::from(SLOTS);
    Ok((
        on_disk(&dir).map_err(Failure::io("cannot measure the clones"))?,
        each,
    ))
}

fn of(does: Does) -> String {
    let names: Vec<_> = BRANCHES
        .iter()
        .filter(|branch| branch.does == does)
        .map(|branch| branch.name)
        .collect();
    names.join(", ")
}

/// Enough of a commit's id for a glance.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1e3
}
