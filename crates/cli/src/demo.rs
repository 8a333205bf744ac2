//! `brolly demo`: the whole house on a real repository, and a table of what was promised and what was seen.

mod given;
mod home;
mod made;
mod promise;
mod repository;
mod space;
mod traces;

use std::process::ExitCode;

use brolly_repo_pool::PoolStatus;
use serde::Serialize;
use serde_json::Value;

use crate::Done;
use crate::args::DemoArgs;
use crate::interrupt::Interrupt;
use crate::output::{Output, table};
use home::Home;
use promise::Promise;

/// What the demo shows.
#[derive(Debug, Serialize)]
struct Shown {
    /// Whether every promise was kept.
    ok: bool,
    promises: Vec<Promise>,
    /// Figures without a promise, in the order in which they are printed.
    facts: Vec<Fact>,
    /// The last run's report.
    report: Value,
}

/// A figure of this run.
#[derive(Debug, Serialize)]
struct Fact {
    name: &'static str,
    value: String,
}

pub(crate) fn run(args: &DemoArgs, interrupt: &Interrupt, output: &Output) -> Done {
    interrupt.heed();
    let home = Home::new(args.keep)?;
    if args.keep {
        output.note(format_args!(
            "working in {}, which stays",
            home.path().display()
        ));
    }
    let shown = match &args.repo {
        None => made::show(&home, interrupt, output)?,
        Some(url) => given::show(url, &home, interrupt, output)?,
    };
    // Promises that an interruption cut short are neither kept nor broken.
    interrupt.check()?;
    output.answer(&shown, || render(&shown));
    Ok(if shown.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(promises: Vec<Promise>, facts: Vec<Fact>, report: &brolly_merge_plan::Report) -> Shown {
    let report = serde_json::to_value(report).expect("a report is a map with text keys");
    Shown {
        ok: promises.iter().all(|promise| promise.ok),
        promises,
        facts,
        report,
    }
}

fn fact(name: &'static str, value: impl Into<String>) -> Fact {
    Fact {
        name,
        value: value.into(),
    }
}

/// What the pool itself says of its leases.
fn lease_facts(status: &PoolStatus) -> [Fact; 3] {
    let summary = &status.summary;
    [
        fact("leases", summary.allocations.to_string()),
        fact("warm hits", summary.warm_hits.to_string()),
        fact(
            "mean time to a lease",
            format!("{:.1} ms", summary.mean_allocation_time.as_secs_f64() * 1e3),
        ),
    ]
}

fn render(shown: &Shown) -> String {
    let facts = shown
        .facts
        .iter()
        .map(|fact| vec![fact.name.to_owned(), fact.value.clone()]);
    let promises = shown.promises.iter().map(|promise| {
        let mark = if promise.ok { "kept" } else { "BROKEN" };
        vec![
            promise.name.to_owned(),
            promise.expected.clone(),
            promise.seen.clone(),
            mark.to_owned(),
        ]
    });
    let kept = shown.promises.iter().filter(|promise| promise.ok).count();
    format!(
        "{}\n\n{}\n\n{kept} of {} promises kept",
        table(&["figure", "value"], facts),
        table(&["promise", "expected", "seen", "verdict"], promises),
        shown.promises.len()
    )
}
