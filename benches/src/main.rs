//! Comparisons of the brolly crates with their peers: an interleaved driver, tables and plots.

mod alloc;
mod axis;
mod batch;
mod circuit_breaker;
mod driver;
mod file_store;
mod lazy;
mod metrics_core;
mod plot;
mod record;
mod records;
mod repo_pool;
mod report;
mod resource_pool;
mod table;
mod ttl_cache;

use std::process::ExitCode;
use std::time::Instant;

use axis::{Axes, Axis};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use driver::Effort;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

#[derive(Parser)]
#[command(name = "brolly-benches", about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Compare our crates with their peers.
    Bench(BenchArgs),
    /// Render tables and plots from the records.
    Report,
    /// One of the processes of an axis with several.
    #[command(hide = true)]
    LeasePairs(repo_pool::pairs::Job),
}

#[derive(Args)]
struct BenchArgs {
    /// Crates to compare, by folder; all when none is named.
    crates: Vec<String>,
    /// Only this axis; may be given more than once.
    #[arg(long, value_name = "NAME")]
    axis: Vec<String>,
    /// Rounds that count, instead of each axis's own number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,
    /// Every axis with fewer rounds and smaller cells, about a minute a crate.
    #[arg(long)]
    quick: bool,
    /// One JSON object a line instead of tables.
    #[arg(long)]
    json: bool,
}

/// The crates with comparisons, and where their axes are.
const CRATES: &[(&str, Axes)] = &[
    ("metrics-core", metrics_core::axes),
    ("batch", batch::axes),
    ("repo-pool", repo_pool::axes),
    ("circuit-breaker", circuit_breaker::axes),
    ("lazy", lazy::axes),
    ("file-store", file_store::axes),
    ("resource-pool", resource_pool::axes),
    ("ttl-cache", ttl_cache::axes),
];

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Bench(args) => bench(&args),
        Command::LeasePairs(job) => repo_pool::pairs::child(&job),
        Command::Report => report::run(CRATES),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("benches: {message}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &BenchArgs) -> Result<(), String> {
    let chosen = choose(args);
    let effort = Effort {
        rounds: args.rounds.map(|rounds| rounds as usize),
        quick: args.quick,
    };
    let mut failures = Vec::new();
    for (krate, axes) in chosen {
        let mut records = Vec::new();
        for axis in axes {
            let start = Instant::now();
            let outcome = axis.run(effort);
            let seconds = start.elapsed().as_secs_f64();
            eprintln!("{krate} {} ({seconds:.1} s)", axis.name);
            match outcome {
                Ok(record) => {
                    if args.json {
                        println!("{}", records::line(&record)?);
                    }
                    records.push(record);
                }
                Err(message) => {
                    eprintln!("benches: {message}");
                    failures.push(message);
                }
            }
        }
        records::keep(krate, &records)?;
        if !args.json {
            print!("{}", table::for_terminal(krate, &records));
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(format!("{} axes failed", failures.len()))
}

/// The axes asked for. A name that nothing has is a mistake of the caller: told, exit code 2.
fn choose(args: &BenchArgs) -> Vec<(&'static str, Vec<Axis>)> {
    for krate in &args.crates {
        if !CRATES.iter().any(|(name, _)| name == krate) {
            let names: Vec<_> = CRATES.iter().map(|(name, _)| *name).collect();
            refuse(&format!(
                "no comparisons for `{krate}`; there are some for {}",
                names.join(", ")
            ));
        }
    }
    let mut chosen: Vec<_> = CRATES
        .iter()
        .filter(|(name, _)| args.crates.is_empty() || args.crates.iter().any(|it| it == name))
        .map(|(name, axes)| (*name, axes()))
        .collect();
    for axis in &args.axis {
        let mut known = chosen.iter().flat_map(|(_, axes)| axes);
        if !known.any(|it| it.name == *axis) {
            let names = chosen.iter().flat_map(|(_, axes)| axes);
            let names: Vec<_> = names.map(|it| it.name.as_str()).collect();
            refuse(&format!("no axis `{axis}`; there are {}", names.join(", ")));
        }
    }
    if !args.axis.is_empty() {
        for (_, axes) in &mut chosen {
            axes.retain(|axis| args.axis.contains(&axis.name));
        }
        chosen.retain(|(_, axes)| !axes.is_empty());
    }
    chosen
}

fn refuse(message: &str) -> ! {
    Cli::command()
        .error(ErrorKind::InvalidValue, message)
        .exit()
}
