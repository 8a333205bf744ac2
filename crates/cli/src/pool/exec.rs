//! `brolly pool exec`: a command in a leased slot, and exit codes that tell its failures from brolly's own.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use brolly_repo_pool::RepoPool;
use brolly_repo_pool::process::{Exit, SpawnError};
use serde_json::json;

use crate::Done;
use crate::args::ExecArgs;
use crate::failure::Failure;
use crate::interrupt::{self, Interrupt};
use crate::output::Output;

/// Exit codes apart from those of the command, as `env` and container runners have them.
const OWN_FAILURE: u8 = 125;
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

pub(super) fn exec(
    pools: &RepoPool,
    args: &ExecArgs,
    interrupt: &Interrupt,
    output: &Output,
) -> Done {
    let words = args.command.split_first();
    let (program, rest) = words.expect("the command line asks for one word at least");
    run(pools, args, program, rest, interrupt, output).map_err(own)
}

/// The failure as one of `exec` itself, unless it has an exit code already.
pub(super) fn own(failure: Failure) -> Failure {
    Failure {
        exit: failure.exit.or(Some(OWN_FAILURE)),
        ..failure
    }
}

fn run(
    pools: &RepoPool,
    args: &ExecArgs,
    program: &OsString,
    rest: &[OsString],
    interrupt: &Interrupt,
    output: &Output,
) -> Done {
    let lease = pools.allocate(&super::request(&args.lease, interrupt.heed()))?;
    interrupt.check()?;
    let command = lease
        .command(program)
        .args(rest)
        .inherit_input()
        .cancel(interrupt.heed());
    // People see the output as it comes; programs get it whole, within bounds.
    let outcome = if output.is_json() {
        command.run()
    } else {
        command.inherit_output().run()
    };
    let (slot, commit) = (lease.slot(), lease.commit().to_owned());
    let released = lease.release().map_err(Failure::from);
    let outcome = match (outcome, &released) {
        (Ok(outcome), _) => outcome,
        (Err(error), Ok(())) => return Err(not_started(&error)),
        (Err(error), Err(release)) => {
            let mut failure = not_started(&error);
            failure.message += &format!("; {}", not_released(release));
            return Err(failure);
        }
    };
    let code = match outcome.exit {
        Exit::Code(code) => u8::try_from(code).unwrap_or(1),
        Exit::Signal(signal) => u8::try_from(signal.saturating_add(128)).unwrap_or(1),
        _ => interrupt::EXIT,
    };
    let mut answer = json!({
        "ok": code == 0 && released.is_ok(),
        "exit": outcome.exit,
        "slot": slot,
        "commit": commit,
        "stdout": outcome.stdout.text(),
        "stderr": outcome.stderr.text(),
        "truncated": outcome.stdout.is_truncated() || outcome.stderr.is_truncated(),
        "duration_ms": u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
    });
    if let Err(release) = &released {
        answer["error"] = json!({"code": release.code, "message": not_released(release)});
        if !output.is_json() {
            output.complain(not_released(release));
        }
    }
    output.answer(&answer, String::new);
    // What the command came to says more than what became of the slot.
    Ok(match (code, released) {
        (0, Err(_)) => OWN_FAILURE.into(),
        _ => ExitCode::from(code),
    })
}

fn not_started(error: &SpawnError) -> Failure {
    let message = format!("{error}: {}", error.source);
    let (code, exit) = if error.source.kind() == io::ErrorKind::NotFound {
        ("command_not_found", NOT_FOUND)
    } else {
        ("cannot_run", CANNOT_RUN)
    };
    Failure {
        exit: Some(exit),
        ..Failure::failed(code, message)
    }
}

fn not_released(release: &Failure) -> String {
    format!("the slot could not be given back: {}", release.message)
}
