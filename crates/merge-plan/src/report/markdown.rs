//! The report as Markdown.

use std::fmt::{self, Write};

use super::{ItemReport, Report};
use crate::outcome::{Cause, GateResult, GateStatus, MergeResult, MergeStatus};
use crate::visible::is_unseen;

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    write(&mut text, report).expect("writing to a string does not fail");
    text
}

fn write(out: &mut String, report: &Report) -> fmt::Result {
    let totals = &report.totals;
    writeln!(
        out,
        "# Merge plan into {}: {}\n",
        Code(&report.target),
        if report.ok { "ok" } else { "not ok" }
    )?;
    writeln!(
        out,
        "{} items: {} passed, {} failed, {} blocked, {} skipped, {} cancelled. Gates: {} passed ({} of them flaky), {} failed ({} of them optional).",
        totals.items,
        totals.passed,
        totals.failed,
        totals.blocked,
        totals.skipped,
        totals.cancelled,
        totals.gates_passed,
        totals.gates_flaky,
        totals.gates_failed,
        totals.optional_failures,
    )?;
    if let Some(integration) = &report.integration {
        writeln!(
            out,
            "Merges: {} merged, {} conflicts, {} blocked, {} not merged for other reasons; {} onto {}.",
            totals.merged,
            totals.conflicts,
            totals.merges_blocked,
            totals.not_merged,
            Code(short(&integration.head)),
            Code(short(&integration.base)),
        )?;
        match (&integration.branch, &integration.push_problem) {
            (Some(branch), _) => writeln!(out, "Pushed as {}.", Code(branch))?,
            (None, Some(problem)) => writeln!(out, "Not pushed: {}", Cell(problem))?,
            (None, None) if integration.dry_run => writeln!(out, "A dry run: nothing was pushed.")?,
            (None, None) if integration.head != integration.base => {
                writeln!(out, "Not pushed: the run was cancelled first.")?
            }
            (None, None) => writeln!(out, "There was nothing to push.")?,
        }
    }
    if report.cancelled {
        writeln!(out, "The run was cancelled before its end.")?;
    }
    let slots = &report.slots;
    writeln!(
        out,
        "{} ms with {} workers in {} slots of pool {}: {} leases, {} of them warm.\n",
        report.wall_ms,
        slots.workers,
        slots.used.len(),
        Code(&report.pool),
        slots.leases,
        slots.warm_hits,
    )?;
    table(out, &report.items)?;
    for item in &report.items {
        details(out, item)?;
    }
    Ok(())
}

fn table(out: &mut String, items: &[ItemReport]) -> fmt::Result {
    if items.is_empty() {
        return writeln!(out, "The plan has no items.");
    }
    writeln!(
        out,
        "| item | branch | commit | status | gates | merge | held back by |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for item in items {
        let result = &item.gates;
        let passed = result
            .gates
            .iter()
            .filter(|gate| gate.status == GateStatus::Pass)
            .count();
        let (merge, causes) = match &item.merge {
            Some(merge) if result.blocked_by.is_empty() => {
                (merge.status.as_str(), &merge.blocked_by)
            }
            Some(merge) => (merge.status.as_str(), &result.blocked_by),
            None => ("", &result.blocked_by),
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {passed}/{} | {merge} | {} |",
            Cell(&result.name),
            Cell(&result.branch),
            result.commit.as_deref().map(short).unwrap_or_default(),
            result.status,
            result.gates.len(),
            Cell(&list(causes)),
        )?;
    }
    Ok(())
}

/// What did not go well with an item; nothing for one that went well.
fn details(out: &mut String, item: &ItemReport) -> fmt::Result {
    let failed: Vec<&GateResult> = item
        .gates
        .gates
        .iter()
        .filter(|gate| tells_something(gate))
        .collect();
    let told =
        |merge: &&MergeResult| matches!(merge.status, MergeStatus::Conflict | MergeStatus::Error);
    let merge = item.merge.as_ref().filter(told);
    if failed.is_empty() && merge.is_none() && item.gates.problem.is_none() {
        return Ok(());
    }
    writeln!(out, "\n## {}\n", Cell(&item.gates.name))?;
    if let Some(problem) = &item.gates.problem {
        writeln!(out, "- {}", Cell(&problem.message))?;
    }
    for gate in failed {
        let optional = if gate.required { "" } else { ", optional" };
        write!(
            out,
            "- gate {}: {}{optional}",
            Code(&gate.name),
            gate.status
        )?;
        if let Some(problem) = &gate.problem {
            write!(out, ", {}", Cell(&problem.message))?;
        }
        match gate.attempts.len() {
            0 | 1 => writeln!(out)?,
            more => writeln!(out, " ({more} attempts)")?,
        }
        if gate.status != GateStatus::Pass
            && let Some(attempt) = gate.attempts.last()
        {
            let said = if attempt.stderr.text.trim().is_empty() {
                &attempt.stdout.text
            } else {
                &attempt.stderr.text
            };
            fenced(out, &last_lines(said))?;
        }
    }
    if let Some(merge) = merge {
        writeln!(out, "- merge: {}, {}", merge.status, Cell(&merge.message))?;
        for file in &merge.conflicts {
            writeln!(out, "  - {}", Code(file))?;
        }
    }
    Ok(())
}

/// Lines as a block of the list item before: nothing in them can end the block or be taken for Markdown.
fn fenced(out: &mut String, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    let runs = lines.iter().flat_map(|line| line.split(|c| c != '`'));
    let longest = runs.map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    writeln!(out, "\n  {fence}text")?;
    for line in lines {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "  {fence}")
}

fn tells_something(gate: &GateResult) -> bool {
    matches!(gate.status, GateStatus::Fail | GateStatus::Blocked) || gate.attempts.len() > 1
}

/// The end of what a command said, free of unseen characters: enough for a glance.
fn last_lines(text: &str) -> Vec<String> {
    const LINES: usize = 10;
    const CHARS: usize = 200;
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let shown = &lines[lines.len().saturating_sub(LINES)..];
    shown
        .iter()
        .map(|line| {
            line.chars()
                .map(|c| if c == '\t' { ' ' } else { c })
                .filter(|c| !is_unseen(*c))
                .take(CHARS)
                .collect()
        })
        .collect()
}

fn list(causes: &[Cause]) -> String {
    causes
        .iter()
        .map(Cause::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The first twelve characters of a commit id.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Text that stays within its table cell and is nothing but text.
struct Cell<'a>(&'a str);

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '|' | '\\' | '`' | '*' | '_' | '<' | '>' | '[' | ']' | '#' | '&' => {
                    write!(f, "\\{c}")?
                }
                c if is_unseen(c) => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Text in a code span; a span cannot hold its own fence, so backticks become quotes.
struct Code<'a>(&'a str);

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| match c {
            '`' => '\'',
            c if is_unseen(c) => ' ',
            c => c,
        };
        write!(f, "`{}`", self.0.chars().map(plain).collect::<String>())
    }
}
