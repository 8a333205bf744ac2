//! The repository that the demo makes: a few hundred files, some history, and a couple of dozen branches of a small service.

use std::fmt::Write;
use std::path::Path;

use brolly_repo_pool::process::Command;

use crate::failure::Failure;

/// A branch of the demo: what it is called, what it is built on, and what it does that matters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch {
    pub(super) name: &'static str,
    pub(super) deps: &'static [&'static str],
    pub(super) does: Does,
}

/// What a branch changes beside files of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Does {
    /// Nothing that anybody would notice.
    Work,
    /// Edits the line of this shared file that another branch edits too.
    Contends(&'static str),
    /// Leaves a mark that the lint gate refuses.
    Fails,
    /// Carries a test that passes only at its second attempt.
    Flakes,
}

const fn branch(name: &'static str, deps: &'static [&'static str], does: Does) -> Branch {
    Branch { name, deps, does }
}

/// 24 branches. Two pairs contend for a line (`config-format`/`config-schema`, `limits-raise`/`limits-split`), one fails
/// (`parser-rewrite`) with two that wait for it, one is flaky (`retry-jitter`), one waits for a branch that will conflict.
pub(super) const BRANCHES: [Branch; 24] = [
    branch("auth-tokens", &[], Does::Work),
    branch("auth-rotation", &["auth-tokens"], Does::Work),
    branch("auth-audit", &["auth-rotation"], Does::Work),
    branch("cache-warmup", &[], Does::Work),
    branch("cache-stats", &["cache-warmup"], Does::Work),
    branch("config-format", &[], Does::Contends("config.txt")),
    branch("config-schema", &[], Does::Contends("config.txt")),
    branch("config-reload", &["config-schema"], Does::Work),
    branch("docs-install", &[], Does::Work),
    branch("docs-recipes", &["docs-install"], Does::Work),
    branch("http-timeouts", &[], Does::Work),
    branch("http-pooling", &["http-timeouts"], Does::Work),
    branch("http-metrics", &["http-pooling", "cache-stats"], Does::Work),
    branch("limits-raise", &[], Does::Contends("limits.txt")),
    branch("limits-split", &[], Does::Contends("limits.txt")),
    branch("log-json", &[], Does::Work),
    branch("log-sampling", &["log-json"], Does::Work),
    branch("parser-rewrite", &[], Does::Fails),
    branch("parser-errors", &["parser-rewrite"], Does::Work),
    branch("parser-fuzz", &["parser-errors"], Does::Work),
    branch("queue-backoff", &[], Does::Work),
    branch("retry-jitter", &["queue-backoff"], Does::Flakes),
    branch("storage-compaction", &[], Does::Work),
    branch("storage-snapshots", &["storage-compaction"], Does::Work),
];

const MODULES: usize = 30;
const FILES_PER_MODULE: usize = 10;
const HISTORY: usize = 60;

/// The checks that every branch has to pass. They read the whole tree, and wait a moment, as checks that ask another machine do.
const CHECK: &str = r#"#!/bin/sh
# Usage: check.sh lint|test. BROLLY_* say which slot and commit this is.
set -eu
fail() { echo "$1" >&2; exit 1; }
test "$(git rev-parse HEAD)" = "$BROLLY_COMMIT" || fail "not at the commit that was asked for"
mkdir "$DEMO_HELD/$BROLLY_SLOT" || { echo "slot $BROLLY_SLOT" >> "$DEMO_HELD/shared"; fail "somebody else is in this slot"; }
trap 'rmdir "$DEMO_HELD/$BROLLY_SLOT"' EXIT
case $1 in
lint)
    test ! -e tested || fail "a file of an earlier tenant is here"
    ! grep -rn "DO NOT MERGE" src || fail "an unfinished change" ;;
test)
    ! grep -rnvE --include='*.txt' '^[0-9a-z -]+$' src || fail "a line that no part of the service can read"
    if test -e flaky && ! test -e tried; then touch tried; fail "a test that needs a second attempt"; fi
    touch tested
    sleep 0.25 ;;
esac
"#;

/// Makes the repository at `path`.
pub(super) fn make(path: &Path) -> Result<(), Failure> {
    git(
        path.parent().unwrap_or(path),
        &[
            "init",
            "--quiet",
            "--initial-branch=main",
            &path.to_string_lossy(),
        ],
        Vec::new(),
    )?;
    git(
        path,
        &["fast-import", "--quiet", "--done"],
        history().into_bytes(),
    )?;
    git(path, &["reset", "--quiet", "--hard", "main"], Vec::new())
}

/// The whole history as a stream for `git fast-import`: the same bytes, and so the same commits, in every run.
fn history() -> String {
    let mut stream = String::from("feature done\n");
    let mut mark = 0;
    let mut seed = 7_u64;
    for revision in 0..HISTORY {
        mark += 1;
        commit(
            &mut stream,
            "main",
            mark,
            (revision > 0).then(|| mark - 1),
            &format!("revision {revision}"),
        );
        if revision == 0 {
            file(&mut stream, "check.sh", 0o755, CHECK);
            file(&mut stream, "README.md", 0o644, "A small service.\n");
            for shared in ["config.txt", "limits.txt"] {
                file(&mut stream, shared, 0o644, "first\ncontended\nlast\n");
            }
        }
        for module in 0..MODULES {
            for index in 0..FILES_PER_MODULE {
                // Every file at first, then about a tenth of them in each revision.
                if revision == 0 || random(&mut seed).is_multiple_of(10) {
                    file(
                        &mut stream,
                        &format!("src/module{module:02}/part{index}.txt"),
                        0o644,
                        &sorted_lines(&mut seed),
                    );
                }
            }
        }
    }
    let main = mark;
    let mut marks: Vec<(&str, usize)> = Vec::new();
    for branch in BRANCHES {
        let mark_of = |name: &str| {
            marks
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, mark)| *mark)
        };
        let parents: Vec<usize> = branch.deps.iter().filter_map(|dep| mark_of(dep)).collect();
        mark += 1;
        commit(
            &mut stream,
            branch.name,
            mark,
            Some(parents.first().copied().unwrap_or(main)),
            &format!("work on {}", branch.name),
        );
        for parent in parents.iter().skip(1) {
            let _ = writeln!(stream, "merge :{parent}");
        }
        if let Some(other) = parents.get(1) {
            // fast-import takes the tree of the first parent; the other's own files are added by hand.
            let dep = marks
                .iter()
                .find(|(_, known)| known == other)
                .map_or("", |(name, _)| name);
            file(
                &mut stream,
                &format!("src/{dep}.txt"),
                0o644,
                &own_lines(dep),
            );
            for further in BRANCHES
                .iter()
                .find(|known| known.name == dep)
                .map_or(&[][..], |known| known.deps)
            {
                file(
                    &mut stream,
                    &format!("src/{further}.txt"),
                    0o644,
                    &own_lines(further),
                );
            }
        }
        file(
            &mut stream,
            &format!("src/{}.txt", branch.name),
            0o644,
            &own_lines(branch.name),
        );
        match branch.does {
            Does::Work => {}
            Does::Contends(shared) => file(
                &mut stream,
                shared,
                0o644,
                &format!("first\n{}\nlast\n", branch.name),
            ),
            Does::Fails => file(
                &mut stream,
                &format!("src/{}.md", branch.name),
                0o644,
                "DO NOT MERGE yet\n",
            ),
            Does::Flakes => file(
                &mut stream,
                "flaky",
                0o644,
                "passes at the second attempt\n",
            ),
        }
        marks.push((branch.name, mark));
    }
    stream.push_str("done\n");
    stream
}

fn commit(stream: &mut String, branch: &str, mark: usize, from: Option<usize>, message: &str) {
    let when = 1_700_000_000 + mark * 60;
    let _ = writeln!(stream, "commit refs/heads/{branch}\nmark :{mark}");
    let _ = writeln!(
        stream,
        "committer Demo <demo@brolly.invalid> {when} +0000\ndata {}\n{message}",
        message.len()
    );
    if let Some(from) = from {
        let _ = writeln!(stream, "from :{from}");
    }
}

fn file(stream: &mut String, path: &str, mode: u32, text: &str) {
    let _ = writeln!(
        stream,
        "M 100{mode:o} inline {path}\ndata {}\n{text}",
        text.len()
    );
}

fn own_lines(name: &str) -> String {
    (0..20).map(|line| format!("{line:02} {name}\n")).collect()
}

/// Lines that no compression makes small, so that the history weighs what a history weighs.
fn sorted_lines(seed: &mut u64) -> String {
    let mut lines: Vec<String> = (0..60)
        .map(|_| format!("{:016x}{:016x}\n", random(seed), random(seed)))
        .collect();
    lines.sort();
    lines.concat()
}

/// xorshift64 (Marsaglia, 2003): the same numbers in every run.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

fn git(dir: &Path, args: &[&str], input: Vec<u8>) -> Result<(), Failure> {
    let outcome = Command::new("git")
        .args(args.iter().copied())
        .current_dir(dir)
        .stdin(input)
        .run();
    let fail = |reason: String| {
        Failure::failed(
            "git",
            format!("git {}: {reason}", args.first().unwrap_or(&"")),
        )
    };
    let outcome = outcome.map_err(|error| fail(error.source.to_string()))?;
    if outcome.exit.is_success() {
        Ok(())
    } else {
        Err(fail(outcome.stderr.text()))
    }
}
