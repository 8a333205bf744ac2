//! Development tasks of the workspace: a dispatcher; each command has a file of its own.

#![forbid(unsafe_code)]

mod bench;
mod ci;
mod failure;
mod process;
mod tally;
mod test;
mod workspace;

use std::env;
use std::process::ExitCode;

use failure::Failure;

const HELP: &str = "\
Development tasks of brolly

usage: cargo xtask COMMAND

  test                  every test: workspace, doctests, loom models, each library alone;
                        closes with `N passed, N failed, N skipped`
  ci [--long]           format, lints, docs, examples, packaging;
                        --long adds the proofs that take their time
  bench [CRATE...] [--axis NAME] [--rounds N] [--quick] [--json]
                        comparisons with peers, as a table or as JSON lines
  report                tables and plots from benches/records into the documents
  help                  this text

Exit codes: 0 done, 1 something failed, 2 bad arguments.
With CI=true a test that lacks a binary counts as failed instead of skipped.";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                eprintln!("xtask: {message}");
            }
            failure.exit_code()
        }
    }
}

fn run(args: &[String]) -> Result<(), Failure> {
    let Some((command, rest)) = args.split_first() else {
        return Err(Failure::usage(
            "no command given; `cargo xtask help` lists them",
        ));
    };
    if rest.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return Ok(());
    }
    match command.as_str() {
        "test" => test::run(rest),
        "ci" => ci::run(rest),
        "bench" => bench::bench(rest),
        "report" => bench::report(rest),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => Err(Failure::usage(format!(
            "unknown command `{other}`; `cargo xtask help` lists them"
        ))),
    }
}
