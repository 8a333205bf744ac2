//! One gate in a leased working copy: its directory, its attempts, its result.

use std::path::{Path, PathBuf};
use std::time::Duration;

use brolly_repo_pool::Lease;
use brolly_repo_pool::process::{Cancel, Captured, Exit};

use crate::event::{Event, Listener};
use crate::outcome::{Attempt, GateProblem, GateProblemCode, GateResult, GateStatus, Stream};
use crate::plan::{Gate, Item, Plan, Runtime, Script};
use crate::verdict;

/// What every gate of a run shares.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) cancel: &'a Cancel,
    pub(crate) listener: &'a Listener,
    pub(crate) timeout: Duration,
    pub(crate) output_limit: usize,
    pub(crate) logs: Option<&'a Path>,
    pub(crate) log_limit: u64,
}

/// Runs `item.gates[index]` in the working copy, as often as the policy allows.
pub(crate) fn run(
    setting: &Setting<'_>,
    item: &Item,
    item_index: usize,
    index: usize,
    lease: &Lease,
) -> GateResult {
    let gate = &item.gates[index];
    let mut result = without_run(setting.plan, gate, GateStatus::Pass, None);
    if setting.cancel.is_cancelled() {
        return conclude(
            result,
            GateStatus::Cancelled,
            GateProblemCode::Cancelled,
            "the run was cancelled before this gate",
        );
    }
    if let Some(pattern) = verdict::blocking(&setting.plan.policy.block_on, &gate.name) {
        let message = format!("the policy's blockOn entry {pattern:?} holds this gate back");
        return conclude(
            result,
            GateStatus::Blocked,
            GateProblemCode::BlockOn,
            message,
        );
    }
    if gate.runtime != Runtime::Local {
        let message = format!(
            "the runtime {} is not available here; the gate was not run",
            gate.runtime.as_str()
        );
        return conclude(
            result,
            GateStatus::Fail,
            GateProblemCode::Unsupported,
            message,
        );
    }
    setting.listener.tell(Event::GateStarted {
        item: &item.name,
        gate: &gate.name,
    });
    let retry = setting
        .plan
        .policy
        .retries
        .get(&gate.name)
        .copied()
        .unwrap_or_default();
    loop {
        let number = u32::try_from(result.attempts.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let (attempt, problem) = match attempt(setting, item, item_index, index, number, lease) {
            Ok(attempt) => judge(attempt, setting.timeout_of(gate)),
            Err(problem) => {
                result.status = GateStatus::Fail;
                result.problem = Some(problem);
                return result;
            }
        };
        result.attempts.push(attempt);
        let Some(problem) = problem else {
            return result;
        };
        result.status = match problem.code {
            GateProblemCode::Cancelled => GateStatus::Cancelled,
            _ => GateStatus::Fail,
        };
        result.problem = Some(problem);
        if result.status == GateStatus::Cancelled || number >= retry.max_attempts {
            return result;
        }
        if setting.cancel.wait_timeout(retry.backoff) {
            return conclude(
                result,
                GateStatus::Cancelled,
                GateProblemCode::Cancelled,
                "the run was cancelled between two attempts",
            );
        }
        setting.listener.tell(Event::GateRetried {
            item: &item.name,
            gate: &gate.name,
            attempt: number + 1,
        });
        (result.status, result.problem) = (GateStatus::Pass, None);
    }
}

/// The result of a gate that did not run.
pub(crate) fn without_run(
    plan: &Plan,
    gate: &Gate,
    status: GateStatus,
    problem: Option<GateProblem>,
) -> GateResult {
    GateResult {
        name: gate.name.clone(),
        required: plan.is_required(&gate.name),
        status,
        problem,
        attempts: Vec::new(),
    }
}

impl Setting<'_> {
    fn timeout_of(&self, gate: &Gate) -> Duration {
        gate.timeout.unwrap_or(self.timeout)
    }
}

fn conclude(
    mut result: GateResult,
    status: GateStatus,
    code: GateProblemCode,
    message: impl Into<String>,
) -> GateResult {
    result.status = status;
    result.problem = Some(problem(code, message));
    result
}

fn problem(code: GateProblemCode, message: impl Into<String>) -> GateProblem {
    GateProblem {
        code,
        message: message.into(),
    }
}

/// Passed or not: the exit alone decides, whatever the command wrote.
fn judge(attempt: Attempt, timeout: Duration) -> (Attempt, Option<GateProblem>) {
    let problem = match attempt.exit {
        Exit::Code(0) => None,
        Exit::Cancelled => Some(problem(
            GateProblemCode::Cancelled,
            "the run was cancelled while this gate ran",
        )),
        Exit::TimedOut => {
            let message = format!("ran longer than {timeout:?}; its process group was ended");
            Some(problem(GateProblemCode::GateTimeout, message))
        }
        other => Some(problem(
            GateProblemCode::GateFailure,
            format!("ended with {other}"),
        )),
    };
    (attempt, problem)
}

/// One attempt. An error here is one that a further attempt would meet again.
fn attempt(
    setting: &Setting<'_>,
    item: &Item,
    item_index: usize,
    index: usize,
    number: u32,
    lease: &Lease,
) -> Result<Attempt, GateProblem> {
    let gate = &item.gates[index];
    let directory = directory(lease.path(), gate.cwd.as_deref())?;
    let mut command = match &gate.run {
        Script::Shell(line) => lease.command("sh").args(["-c", line]),
        Script::Argv(words) => {
            let (program, args) = words.split_first().expect("a validated argv is not empty");
            lease.command(program).args(args)
        }
    };
    command = command
        .current_dir(directory)
        .env("BROLLY_ITEM", &item.name)
        .env("BROLLY_GATE", &gate.name)
        .env("BROLLY_ATTEMPT", number.to_string())
        .timeout(setting.timeout_of(gate))
        .cancel(setting.cancel)
        .output_limit(setting.output_limit);
    for (key, value) in &gate.env {
        command = command.env(key, value);
    }
    let logs = setting.logs.map(|folder| {
        (
            folder,
            log_names(item_index, &item.name, index, &gate.name, number),
        )
    });
    if let Some((folder, (stdout, stderr))) = &logs {
        command = command
            .log_to(folder.join(stdout), folder.join(stderr))
            .log_limit(setting.log_limit);
    }
    let outcome = command.run().map_err(|error| {
        let source = std::error::Error::source(&error)
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        problem(GateProblemCode::SpawnFailed, format!("{error}{source}"))
    })?;
    let (stdout_log, stderr_log) = logs.map(|(_, names)| names).unzip();
    Ok(Attempt {
        exit: outcome.exit,
        duration_ms: millis(outcome.duration),
        stdout: stream(&outcome.stdout, stdout_log),
        stderr: stream(&outcome.stderr, stderr_log),
    })
}

fn stream(captured: &Captured, log: Option<String>) -> Stream {
    Stream {
        text: captured.text(),
        total_bytes: captured.total_bytes(),
        truncated: captured.is_truncated(),
        log,
        log_problem: captured.log_problem().map(str::to_owned),
    }
}

/// The gate's directory, proven to lie in the working copy after all links are followed.
fn directory(root: &Path, cwd: Option<&str>) -> Result<PathBuf, GateProblem> {
    let Some(cwd) = cwd else {
        return Ok(root.to_owned());
    };
    let missing = |error: std::io::Error| {
        problem(
            GateProblemCode::CwdMissing,
            format!("the directory {cwd:?} cannot be used: {error}"),
        )
    };
    let root = root.canonicalize().map_err(missing)?;
    let directory = root.join(cwd).canonicalize().map_err(missing)?;
    if !directory.starts_with(&root) {
        return Err(problem(
            GateProblemCode::CwdOutside,
            format!("the directory {cwd:?} leads out of the working copy"),
        ));
    }
    if !directory.is_dir() {
        return Err(problem(
            GateProblemCode::CwdMissing,
            format!("{cwd:?} is no directory"),
        ));
    }
    Ok(directory)
}

/// File names for the two streams: places make them unique, names make them readable.
fn log_names(
    item_index: usize,
    item: &str,
    gate_index: usize,
    gate: &str,
    attempt: u32,
) -> (String, String) {
    let stem = format!(
        "{item_index:04}-{}.{gate_index:03}-{}.{attempt}",
        file_word(item),
        file_word(gate)
    );
    (format!("{stem}.stdout.log"), format!("{stem}.stderr.log"))
}

fn file_word(name: &str) -> String {
    const MAX_CHARS: usize = 60;
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            c
        } else {
            '_'
        }
    };
    name.chars().take(MAX_CHARS).map(plain).collect()
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{directory, log_names};
    use crate::outcome::GateProblemCode;

    #[test]
    fn log_names_stay_in_their_folder_and_never_collide() {
        let (first, second) = log_names(0, "../a/b", 0, "te st", 1);
        assert_eq!(first, "0000-___a_b.000-te_st.1.stdout.log");
        assert_eq!(second, "0000-___a_b.000-te_st.1.stderr.log");
        assert_ne!(
            log_names(1, "a/b", 0, "t", 1),
            log_names(2, "a_b", 0, "t", 1)
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_out_of_the_working_copy_is_refused() {
        let root = tempfile::tempdir().expect("a directory for the test");
        let copy = root.path().join("copy");
        std::fs::create_dir(&copy).expect("a directory");
        std::os::unix::fs::symlink("..", copy.join("up")).expect("a link");
        let code = |cwd| directory(&copy, Some(cwd)).map_err(|problem| problem.code);
        assert_eq!(code("up"), Err(GateProblemCode::CwdOutside));
        assert_eq!(code("up/copy"), Ok(copy.canonicalize().expect("it exists")));
        assert_eq!(code("gone"), Err(GateProblemCode::CwdMissing));
    }
}
