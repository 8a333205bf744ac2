//! Checks and merges four branches of a repository that it makes itself, and prints the report.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use brolly_merge_plan::{Event, Merger, Plan, Report, Runner};
use brolly_repo_pool::{PoolConfig, RepoPool};

const PLAN: &str = r#"{
    "schemaVersion": "1.0.0",
    "policy": {"maxWorkers": 2, "retries": {"test": {"maxAttempts": 2}}},
    "items": [
        {"name": "greeting", "gates": [{"name": "test", "run": "grep -q hello text"}]},
        {"name": "rival", "gates": [{"name": "test", "run": "test -s text"}]},
        {"name": "on-rival", "deps": ["rival"]},
        {"name": "notes", "gates": [{"name": "test", "run": "test $BROLLY_ATTEMPT = 2 && test -f notes"}]}
    ]
}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let origin = folder.path().join("origin");
    make_repository(&origin)?;

    let plan = Plan::from_json(PLAN)?.plan;
    println!("order: {:?}", plan.order());

    let pools = RepoPool::open(folder.path().join("pools"))?;
    let url = origin.to_str().ok_or("the path is not readable")?;
    pools.create_pool(&PoolConfig::new("example", url).slots(2))?;

    let say = |event: &Event<'_>| println!("{event:?}");
    let gates = Runner::new(&pools, "example")
        .on_event(say)
        .run_gates(&plan)?;
    let merges = Merger::new(&pools, "example")
        .on_event(say)
        .run(&plan, &gates)?;
    let report = Report::new(&plan, &gates, Some(&merges));
    println!("\n{}", report.to_markdown());

    let totals = report.totals;
    assert_eq!(
        (totals.passed, totals.gates_flaky),
        (4, 1),
        "all items pass, one at the second attempt"
    );
    assert_eq!(
        (totals.merged, totals.conflicts, totals.merges_blocked),
        (2, 1, 1)
    );
    Ok(())
}

/// Two branches that change the same line, one on top of the second, and one apart.
fn make_repository(origin: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir(origin)?;
    git(origin, &["init", "--quiet", "--initial-branch=main"])?;
    commit(origin, "text", "good day\n")?;
    for (branch, from, file, text) in [
        ("greeting", "main", "text", "hello\n"),
        ("rival", "main", "text", "good night\n"),
        ("on-rival", "rival", "more", "sleep well\n"),
        ("notes", "main", "notes", "buy milk\n"),
    ] {
        git(origin, &["checkout", "--quiet", "-b", branch, from])?;
        commit(origin, file, text)?;
    }
    git(origin, &["checkout", "--quiet", "main"])
}

fn commit(origin: &Path, file: &str, text: &str) -> Result<(), Box<dyn Error>> {
    fs::write(origin.join(file), text)?;
    git(origin, &["add", "--all"])?;
    git(origin, &["commit", "--quiet", "-m", file])
}

fn git(origin: &Path, args: &[&str]) -> Result<(), Box<dyn Error>> {
    let identity = [
        "-c",
        "user.name=example",
        "-c",
        "user.email=example@localhost",
    ];
    let status = Command::new("git")
        .arg("-C")
        .arg(origin)
        .args(identity)
        .args(args)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("git {args:?}: {status}").into())
    }
}
