//! `brolly plan`: validate, order, run, merge.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use brolly_merge_plan::{Merger, Plan, Report, Runner, Validated};
use serde_json::json;

use crate::Done;
use crate::args::{Global, MergeArgs, PlanFile, PlanVerb, RunArgs};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{Output, count, table};
use crate::progress::Progress;
use crate::root;

pub(crate) fn run(
    verb: &PlanVerb,
    global: &Global,
    interrupt: &Interrupt,
    output: &Output,
) -> Done {
    match verb {
        PlanVerb::Validate(file) => validate(file, output),
        PlanVerb::Order(file) => order(file, output),
        PlanVerb::Run(args) => execute(args, None, global, interrupt, output),
        PlanVerb::Merge(MergeArgs {
            run, execute: push, ..
        }) => execute(run, Some(*push), global, interrupt, output),
    }
}

fn validate(file: &PlanFile, output: &Output) -> Done {
    let Validated { plan, warnings, .. } = Plan::from_json(&read(&file.path)?)?;
    let items = plan.items().len();
    output.answer(
        &json!({"ok": true, "valid": true, "items": items, "warnings": warnings}),
        || {
            let warnings: Vec<_> = warnings
                .iter()
                .map(|warning| format!("warning: {warning}\n"))
                .collect();
            let items = count(items, "item", "items");
            format!("{}the plan is valid: {items}", warnings.concat())
        },
    );
    Ok(ExitCode::SUCCESS)
}

fn order(file: &PlanFile, output: &Output) -> Done {
    let plan = load(&file.path, output)?;
    let levels = plan.order();
    output.answer(&json!({"ok": true, "levels": levels}), || {
        let rows = levels
            .iter()
            .zip(1..)
            .map(|(names, level)| vec![level.to_string(), names.join(", ")]);
        table(&["level", "items"], rows)
    });
    Ok(ExitCode::SUCCESS)
}

/// Runs the gates and, if `push` is given, the merges; `push` says whether their result leaves the slot.
fn execute(
    args: &RunArgs,
    push: Option<bool>,
    global: &Global,
    interrupt: &Interrupt,
    output: &Output,
) -> Done {
    let plan = load(&args.plan.path, output)?;
    let pools = root::open(global)?;
    let pool = root::pool_of(&pools, &args.from, output)?;
    pools.fetch(&pool)?;
    let cancel = interrupt.heed();

    let progress = Progress::new(output, "gates", plan.items().len());
    let shown = progress.clone();
    let mut runner = Runner::new(&pools, &pool)
        .gate_timeout(args.timeout)
        .stop_on_failure(args.stop_on_failure)
        .cancel(cancel)
        .on_event(move |event| shown.show(event));
    if let Some(workers) = args.workers {
        runner = runner.max_workers(usize::try_from(workers).unwrap_or(usize::MAX));
    }
    if let Some(folder) = &args.logs {
        runner = runner.log_to(folder);
    }
    let gates = runner.run_gates(&plan);
    progress.finish();
    let gates = gates?;

    let merges = match push {
        None => None,
        Some(push) => {
            let progress = Progress::new(output, "merges", plan.items().len());
            let shown = progress.clone();
            let merger = Merger::new(&pools, &pool)
                .execute(push)
                .cancel(cancel)
                .on_event(move |event| shown.show(event));
            let merges = merger.run(&plan, &gates);
            progress.finish();
            // What the gates came to is reported even if an interruption left the merges without a slot.
            match merges {
                Err(_) if interrupt.came() => None,
                merges => Some(merges?),
            }
        }
    };

    let report = Report::new(&plan, &gates, merges.as_ref());
    if let Some(path) = &args.report {
        let is_markdown = path.extension().is_some_and(|extension| extension == "md");
        let text = if is_markdown {
            report.to_markdown()
        } else {
            report.to_json()
        };
        fs::write(path, text)
            .map_err(Failure::io(format_args!("cannot write {}", path.display())))?;
    }
    output.answer(&report, || report.to_markdown());
    Ok(if report.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn load(path: &Path, output: &Output) -> Result<Plan, Failure> {
    let Validated { plan, warnings, .. } = Plan::from_json(&read(path)?)?;
    for warning in warnings {
        output.note(format_args!("warning: {warning}"));
    }
    Ok(plan)
}

fn read(path: &Path) -> Result<String, Failure> {
    /// A plan is refused long before it is this large; this only bounds what is read.
    const LIMIT: u64 = 256 * 1024 * 1024;
    let fail = |error: std::io::Error| {
        Failure::bad_input(
            "cannot_read",
            format!("cannot read {}: {error}", path.display()),
        )
    };
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin()
            .take(LIMIT)
            .read_to_string(&mut text)
            .map_err(fail)?;
    } else {
        fs::File::open(path)
            .map_err(fail)?
            .take(LIMIT)
            .read_to_string(&mut text)
            .map_err(fail)?;
    }
    Ok(text)
}
