//! The command line, as data.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use brolly_repo_pool::Token;
use clap::{Args, Parser, Subcommand};

/// The brolly command: pooled git working copies, merge plans and a demo.
#[derive(Debug, Parser)]
#[command(name = "brolly", version, about, max_term_width = 100, after_help = WORDS)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const WORDS: &str = "\
Words:
  pool   a local mirror of one git repository, and slots
  slot   a working copy in a pool, clean whenever it is given out
  lease  somebody's hold on a slot, known by a number, its token
  plan   a JSON file of items (branches to merge), what each depends on, and its gates
  gate   a command that has to succeed before an item is merged

Begin with:
  brolly demo                                   see all of it at work, about ten seconds
  brolly pool create app --url URL              make a pool named \"app\"
  brolly pool exec app --ref main -- make test  run a command in a clean working copy

Exit codes: 0 ok, 1 failed, 2 bad input, 130 interrupted; \"brolly pool exec --help\" has its own.";

#[derive(Args, Debug)]
#[command(next_help_heading = "General options")]
pub(crate) struct Global {
    /// Folder that holds the pools [default: BROLLY_ROOT from the environment, else brolly in the user's data folder]
    #[arg(long, global = true, value_name = "DIR", display_order = 900)]
    pub(crate) root: Option<PathBuf>,
    /// Answer with one JSON document on standard output
    #[arg(long, global = true, display_order = 901)]
    pub(crate) json: bool,
    /// Say nothing about progress
    #[arg(long, short, global = true, display_order = 902)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Check plans, run the gates of their items, merge what passed
    #[command(subcommand)]
    Plan(PlanVerb),
    /// Make pools of git working copies, lease slots from them, run commands in them
    #[command(subcommand)]
    Pool(PoolVerb),
    /// Show all of it on a repository made for the purpose, or on yours, which is not changed; exits with 1 if a promise is broken
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlanVerb {
    /// List everything that is wrong with a plan, without a repository
    #[command(after_help = PLAN_NOTES)]
    Validate(PlanFile),
    /// Print the merge order, level by level: an item comes after all that it depends on
    Order(PlanFile),
    /// Run the gates of every item, each in a leased slot; merges nothing
    Run(RunArgs),
    /// Run the gates, then merge what passed onto an integration branch (a dry run unless told otherwise)
    Merge(MergeArgs),
}

const PLAN_NOTES: &str = r#"A small plan:
  {"schemaVersion": "1.0.0", "target": "main", "items": [
    {"name": "parser", "branch": "feature/parser", "gates": [{"name": "test", "run": "make test"}]},
    {"name": "docs", "deps": ["parser"], "gates": [{"name": "links", "run": ["./check", "links"]}]}
  ]}
"run" is a line for the shell, or a list of a program and its arguments. An item's branch is its name unless "branch" says another."#;

#[derive(Args, Debug)]
pub(crate) struct PlanFile {
    /// The plan, a JSON file; "-" reads standard input
    #[arg(value_name = "PLAN")]
    pub(crate) path: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) plan: PlanFile,
    #[command(flatten)]
    pub(crate) from: Source,
    /// Items worked on at once [default: the plan's maxWorkers]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) workers: Option<u32>,
    /// Time limit of a gate that sets none; times are a number and ms, s, m, h or d
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub(crate) timeout: Duration,
    /// Begin no further item once one has failed
    #[arg(long)]
    pub(crate) stop_on_failure: bool,
    /// Also write the full output of every gate to files in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) logs: Option<PathBuf>,
    /// Also write the report to this file: Markdown if it ends with .md, JSON otherwise
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct MergeArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Push the integration branch to the repository; no other branch of it changes
    #[arg(long)]
    pub(crate) execute: bool,
    /// Push nothing: the default, spelled out
    #[arg(long, conflicts_with = "execute")]
    pub(crate) dry_run: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Where {
    /// Work in the slots of this pool
    #[arg(long, value_name = "NAME")]
    pub(crate) pool: Option<String>,
    /// Work in the slots of this repository's own pool, which is created at the first time
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) repo: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Source {
    #[command(flatten)]
    pub(crate) place: Where,
    /// How many slots (working copies) to make if the pool has to be created
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 4,
        allow_hyphen_values = true
    )]
    pub(crate) slots: i64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PoolVerb {
    /// Make a pool: one local mirror of the repository, and slots (working copies)
    Create {
        /// The pool's name: letters, digits, '.', '_' and '-'
        name: String,
        /// The repository, a path or a URL
        #[arg(long, value_name = "PATH|URL", allow_hyphen_values = true)]
        url: String,
        /// How many slots (working copies) to keep
        #[arg(
            long,
            value_name = "NUMBER",
            default_value_t = 4,
            allow_hyphen_values = true
        )]
        slots: i64,
        /// The branch that leases are at if they name none [default: the repository's default branch]
        #[arg(long, value_name = "BRANCH")]
        branch: Option<String>,
    },
    /// List the pools
    #[command(visible_alias = "ls")]
    List,
    /// Lease a slot for longer than this command; prints its path, and its token on standard error
    #[command(visible_alias = "acquire")]
    Allocate {
        #[command(flatten)]
        lease: LeaseArgs,
        /// When the lease ends by itself, unless it is renewed
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "2h")]
        ttl: Duration,
    },
    /// End a lease: the slot is cleaned, what was not pushed or copied elsewhere is gone
    Release {
        /// The lease's token, or the path of its working copy
        #[arg(value_name = "TOKEN|PATH")]
        lease: LeaseName,
    },
    /// Move the end of a lease
    Renew {
        /// The lease's token, or the path of its working copy
        #[arg(value_name = "TOKEN|PATH")]
        lease: LeaseName,
        /// When the lease ends by itself, from now on
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "2h")]
        ttl: Duration,
    },
    /// Bring a pool's mirror to where the repository is now
    Fetch {
        /// The pool
        name: String,
    },
    /// Make slots anew that are in error because they could not be cleaned
    Recover {
        /// The pool
        name: String,
        /// The slots by number [default: all that are in error]
        #[arg(value_name = "SLOT")]
        slots: Vec<u32>,
    },
    /// Show slots, who holds them, and what they are at
    Status {
        /// One pool [default: all of them]
        name: Option<String>,
    },
    /// Run a command in a leased slot and give the slot back; exits as the command does
    #[command(after_help = EXEC_NOTES)]
    Exec(ExecArgs),
}

const EXEC_NOTES: &str = "\
The command finds BROLLY_SLOT, BROLLY_LEASE and BROLLY_COMMIT in its environment.

Exit code: the command's own; 128 and the signal's number if a signal ended it; 130 if interrupted; \
125 if brolly itself failed (unknown pool, no free slot), 126 if the command cannot be run, \
127 if there is no such command, 2 for a command line that brolly does not understand.

The command reads brolly's standard input. A terminal is not passed on: the command has a process group of its own, \
so that all of it ends with the lease, and what asks the terminal (an editor, a password prompt) is stopped by \
the system until you press Ctrl-C. For work by hand use \"brolly pool allocate\" and go to the path it prints.";

#[derive(Args, Debug)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    pub(crate) lease: LeaseArgs,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct LeaseArgs {
    /// The pool
    pub(crate) name: String,
    /// The branch, tag or commit to be at [default: the pool's branch]
    #[arg(long = "ref", value_name = "REF")]
    pub(crate) revision: Option<String>,
    /// A name for the lease, shown by "pool status"
    #[arg(
        long,
        value_name = "LABEL",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) holder: String,
    /// How long to wait for a free slot; 0s fails at once
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    pub(crate) wait: Duration,
    /// Fetch only if the last fetch is older than this [default: always fetch]
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "no_fetch")]
    pub(crate) fresh_within: Option<Duration>,
    /// Fetch only if the ref is not known here
    #[arg(long)]
    pub(crate) no_fetch: bool,
}

/// How a user names a lease.
#[derive(Clone, Debug)]
pub(crate) enum LeaseName {
    Token(Token),
    Path(PathBuf),
}

impl From<OsString> for LeaseName {
    fn from(text: OsString) -> Self {
        match text.to_str().and_then(|text| text.parse().ok()) {
            Some(token) => Self::Token(token),
            None => Self::Path(PathBuf::from(text)),
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Takes the place of the one for all verbs, which has nothing to say here: the demo's pool lives and ends with it.
    #[arg(long, hide = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Pool this repository and run a plan of its own branches or last commits; it is not changed
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) repo: Option<String>,
    /// Keep the demo's folder for a look around; its path is printed
    #[arg(long)]
    pub(crate) keep: bool,
}

/// "90s", "5m", "2h", "1d", "250ms": a whole number and a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{text:?} does not begin with a whole number, as \"90s\" does"))?;
    let seconds = |each: u64| Duration::from_secs(number.saturating_mul(each));
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(seconds(1)),
        "m" => Ok(seconds(60)),
        "h" => Ok(seconds(3600)),
        "d" => Ok(seconds(86_400)),
        _ => Err(format!("the unit {unit:?} is not one of ms, s, m, h, d")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::{Cli, duration};

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(
            duration("18446744073709551615d"),
            Ok(Duration::from_secs(u64::MAX))
        );
        for bad in ["", "5", "s", "-1s", "1.5s", "5 s", "99999999999999999999s"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
