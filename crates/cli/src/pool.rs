//! `brolly pool`: create and fetch, list and status, allocate, renew and release; exec and recover in files of their own.

mod exec;
mod recover;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use brolly_repo_pool::process::Cancel;
use brolly_repo_pool::{Freshness, PoolConfig, PoolStatus, RepoPool, Request, SlotStatus, Token};
use serde_json::{Value, json};

use crate::Done;
use crate::args::{Global, LeaseArgs, LeaseName, PoolVerb};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{Output, table};
use crate::root;

pub(crate) fn run(
    verb: &PoolVerb,
    global: &Global,
    interrupt: &Interrupt,
    output: &Output,
) -> Done {
    let pools = root::open(global).map_err(|failure| match verb {
        PoolVerb::Exec(_) => exec::own(failure),
        _ => failure,
    })?;
    match verb {
        PoolVerb::Create {
            name,
            url,
            slots,
            branch,
        } => create(&pools, name, url, *slots, branch.as_deref(), output),
        PoolVerb::List => {
            let all = pools.pools()?;
            output.answer(&documents(&all), || list(&all));
            Ok(ExitCode::SUCCESS)
        }
        PoolVerb::Allocate { lease, ttl } => allocate(&pools, lease, *ttl, interrupt, output),
        PoolVerb::Release { lease } => release(&pools, lease, output),
        PoolVerb::Renew { lease, ttl } => renew(&pools, lease, *ttl, output),
        PoolVerb::Fetch { name } => {
            pools.fetch(name)?;
            output.answer(&json!({"ok": true, "pool": name}), || {
                format!("fetched {name}")
            });
            Ok(ExitCode::SUCCESS)
        }
        PoolVerb::Recover { name, slots } => recover::recover(&pools, name, slots, output),
        PoolVerb::Status { name } => {
            let all = match name {
                Some(name) => vec![pools.status(name)?],
                None => pools.pools()?,
            };
            output.answer(&documents(&all), || {
                all.iter().map(describe).collect::<Vec<_>>().join("\n")
            });
            Ok(ExitCode::SUCCESS)
        }
        PoolVerb::Exec(args) => exec::exec(&pools, args, interrupt, output),
    }
}

fn create(
    pools: &RepoPool,
    name: &str,
    url: &str,
    slots: i64,
    branch: Option<&str>,
    output: &Output,
) -> Done {
    let mut config = PoolConfig::new(name, url).slots(root::slots(slots)?);
    if let Some(branch) = branch {
        config = config.branch(branch);
    }
    let status = pools.create_pool(&config)?;
    output.answer(&json!({"ok": true, "pool": document(&status)}), || {
        describe(&status)
    });
    Ok(ExitCode::SUCCESS)
}

fn allocate(
    pools: &RepoPool,
    args: &LeaseArgs,
    ttl: Duration,
    interrupt: &Interrupt,
    output: &Output,
) -> Done {
    let lease = pools.allocate(&request(args, interrupt.heed()).durable(ttl))?;
    // Nobody will give back a lease that comes too late to be told of.
    interrupt.check()?;
    let answer = json!({
        "ok": true,
        "path": lease.path(),
        "token": lease.token(),
        "slot": lease.slot(),
        "commit": lease.commit(),
        "warm": lease.is_warm(),
        "ttl_seconds": ttl.as_secs(),
    });
    let path = lease.path().display().to_string();
    output.note(format_args!(
        "slot {} at {}; give it back with: brolly pool release {}",
        lease.slot(),
        lease.commit(),
        lease.token()
    ));
    let _token = lease.keep();
    output.answer(&answer, || path);
    Ok(ExitCode::SUCCESS)
}

fn release(pools: &RepoPool, lease: &LeaseName, output: &Output) -> Done {
    let token = token_of(pools, lease)?;
    pools.release(token)?;
    output.answer(&json!({"ok": true, "token": token}), || {
        format!("released {token}")
    });
    Ok(ExitCode::SUCCESS)
}

fn renew(pools: &RepoPool, lease: &LeaseName, ttl: Duration, output: &Output) -> Done {
    let token = token_of(pools, lease)?;
    pools.renew(token, ttl)?;
    output.answer(
        &json!({"ok": true, "token": token, "ttl_seconds": ttl.as_secs()}),
        || format!("lease {token} ends in {} s", ttl.as_secs()),
    );
    Ok(ExitCode::SUCCESS)
}

fn token_of(pools: &RepoPool, lease: &LeaseName) -> Result<Token, Failure> {
    match lease {
        LeaseName::Token(token) => Ok(*token),
        LeaseName::Path(path) => token_at(pools, path),
    }
}

/// The lease of the slot whose working copy is at `path`, or holds it.
fn token_at(pools: &RepoPool, path: &Path) -> Result<Token, Failure> {
    let full = path.canonicalize().map_err(|error| {
        Failure::bad_input(
            "unknown_lease",
            format!("{} is neither a token nor a path: {error}", path.display()),
        )
    })?;
    let slot = pools
        .pools()?
        .into_iter()
        .flat_map(|pool| pool.slots)
        .find(|slot| full.starts_with(&slot.path));
    let lease = slot.and_then(|slot| slot.lease);
    let message = || format!("{} is in no leased slot", path.display());
    Ok(lease
        .ok_or_else(|| Failure::bad_input("unknown_lease", message()))?
        .token)
}

fn request(args: &LeaseArgs, cancel: &Cancel) -> Request {
    let freshness = match args.fresh_within {
        Some(age) => Freshness::Within(age),
        None if args.no_fetch => Freshness::Cached,
        None => Freshness::Current,
    };
    let request = Request::new(&args.name)
        .holder(&args.holder)
        .wait(args.wait)
        .freshness(freshness)
        .cancel(cancel);
    match &args.revision {
        Some(revision) => request.at(revision),
        None => request,
    }
}

fn documents(pools: &[PoolStatus]) -> Value {
    let pools: Vec<_> = pools.iter().map(document).collect();
    json!({"ok": true, "pools": pools})
}

/// The pool as JSON, with its durations in milliseconds, which every program can read.
fn document(pool: &PoolStatus) -> Value {
    let mut document = json!(pool);
    let mut replace = |parent: &str, old: &str, new: &str, millis: Value| {
        let parent = document.pointer_mut(parent).and_then(Value::as_object_mut);
        if let Some(parent) = parent {
            parent.remove(old);
            parent.insert(new.to_owned(), millis);
        }
    };
    let mean = pool.summary.mean_allocation_time.as_secs_f64() * 1e3;
    replace(
        "/summary",
        "mean_allocation_time",
        "mean_allocation_ms",
        json!(mean),
    );
    for (index, slot) in pool.slots.iter().enumerate() {
        let left = slot.lease.as_ref().and_then(|lease| lease.expires_in);
        let lease = format!("/slots/{index}/lease");
        let left = left.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        replace(&lease, "expires_in", "expires_in_ms", json!(left));
    }
    document
}

fn list(pools: &[PoolStatus]) -> String {
    if pools.is_empty() {
        return "no pools; make one with: brolly pool create NAME --url URL".to_owned();
    }
    let rows = pools.iter().map(|pool| {
        let PoolStatus {
            name,
            url,
            branch,
            summary,
            ..
        } = pool;
        let counts = [
            summary.total,
            summary.available,
            summary.leased,
            summary.error,
        ]
        .map(|count| count.to_string());
        let warm = format!("{} of {}", summary.warm_hits, summary.allocations);
        [name.clone(), url.clone(), branch.clone()]
            .into_iter()
            .chain(counts)
            .chain([warm])
            .collect()
    });
    table(
        &[
            "pool",
            "repository",
            "branch",
            "slots",
            "free",
            "leased",
            "error",
            "warm leases",
        ],
        rows,
    )
}

fn describe(pool: &PoolStatus) -> String {
    let rows = pool.slots.iter().map(|slot| {
        let SlotStatus {
            number,
            state,
            path,
            commit,
            lease,
            note,
            ..
        } = slot;
        let holder = lease.as_ref().map(|lease| {
            let left = lease
                .expires_in
                .map(|left| format!(", {} s left", left.as_secs()))
                .unwrap_or_default();
            let owner = lease
                .owner
                .as_ref()
                .map(|owner| format!(", {owner}"))
                .unwrap_or_default();
            format!("{} (token {}{owner}{left})", lease.holder, lease.token)
        });
        let short = commit.get(..12).unwrap_or(commit).to_owned();
        let who = holder.or_else(|| note.clone()).unwrap_or_default();
        vec![
            number.to_string(),
            state.to_string(),
            short,
            who,
            path.display().to_string(),
        ]
    });
    format!(
        "pool {} of {} at {}\n{}",
        pool.name,
        pool.url,
        pool.branch,
        table(&["slot", "state", "commit", "held by", "path"], rows)
    )
}
