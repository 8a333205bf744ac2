//! The `brolly` command: reads the command line, runs one verb, turns its end into an exit code.

#![forbid(unsafe_code)]

mod args;
mod demo;
mod failure;
mod interrupt;
mod output;
mod plan;
mod pool;
mod progress;
mod root;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use args::{Cli, Verb};
use failure::Failure;
use interrupt::Interrupt;
use output::Output;

/// Exit codes: 0 ok, 1 failed, 2 bad input, 130 interrupted. `pool exec` passes on its command's code, and has 125 for a failure
/// of its own, 126 for a command that cannot be run, 127 for one that does not exist, 2 only for a bad command line.
fn main() -> ExitCode {
    // clap itself ends the process with 2 for a command line that it does not understand.
    let cli = Cli::parse();
    if let Verb::Demo(args) = &cli.verb
        && (args.root.is_some() || cli.global.root.is_some())
    {
        let message = "the demo makes a root of its own and takes no '--root'";
        Cli::command()
            .error(ErrorKind::ArgumentConflict, message)
            .exit();
    }
    let output = Output::new(cli.global.json, cli.global.quiet);
    match run(&cli, &output) {
        Ok(code) => code,
        Err(failure) => output.failure(&failure),
    }
}

fn run(cli: &Cli, output: &Output) -> Done {
    let interrupt = Interrupt::listen(output)?;
    let done = match &cli.verb {
        Verb::Plan(verb) => plan::run(verb, &cli.global, &interrupt, output),
        Verb::Pool(verb) => pool::run(verb, &cli.global, &interrupt, output),
        Verb::Demo(args) => demo::run(args, &interrupt, output),
    };
    interrupt.judge(done, output)
}

/// What a verb comes to: an exit code that the answer already explains, or a failure to be told.
type Done = Result<ExitCode, Failure>;
