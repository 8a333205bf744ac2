//! `cargo xtask bench` and `cargo xtask report`: hand over to the benches workspace.

use std::path::Path;

use crate::failure::Failure;
use crate::process::cargo;
use crate::workspace::Workspace;

/// Compares our crates with their peers. Standard output is that of the benches alone.
pub(crate) fn bench(args: &[String]) -> Result<(), Failure> {
    let workspace = Workspace::read()?;
    check(args, &workspace.root)?;
    benches(&workspace, "bench", args)
}

/// Renders tables and plots from the records.
pub(crate) fn report(args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        return Err(Failure::usage(format!(
            "`report` takes no arguments, got `{arg}`"
        )));
    }
    benches(&Workspace::read()?, "report", &[])
}

/// Building the benches takes minutes, so a slip of the pen is told before.
fn check(args: &[String], root: &Path) -> Result<(), Failure> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" | "--json" => {}
            "--axis" => {
                if args.next().is_none_or(|name| name.starts_with('-')) {
                    return Err(Failure::usage("`--axis` wants the name of an axis"));
                }
            }
            "--rounds" => {
                let rounds = args.next().and_then(|rounds| rounds.parse::<u32>().ok());
                if rounds.is_none_or(|rounds| rounds == 0) {
                    return Err(Failure::usage("`--rounds` wants a number of at least 1"));
                }
            }
            flag if flag.starts_with('-') => {
                return Err(Failure::usage(format!(
                    "`bench` knows --axis, --rounds, --quick and --json, not `{flag}`"
                )));
            }
            name => {
                let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                if !is_plain || !root.join("crates").join(name).is_dir() {
                    return Err(Failure::usage(format!(
                        "no crate `{name}`; crates are named by their folder under crates/"
                    )));
                }
            }
        }
    }
    Ok(())
}

fn benches(workspace: &Workspace, command: &str, args: &[String]) -> Result<(), Failure> {
    let status = cargo(&workspace.root)
        .args(["run", "--release", "--manifest-path", "benches/Cargo.toml"])
        .args(["--", command])
        .args(args)
        .status()?;
    // The benches tell bad arguments by 2, as all tasks do; whatever else cargo or they end with has
    // been said.
    match status.code() {
        Some(0) => Ok(()),
        Some(2) => Err(Failure::Child(2)),
        Some(_) => Err(Failure::Child(1)),
        None => Err(Failure::failed("the benches were killed")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::check;

    fn verdict(line: &str) -> bool {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        check(&args, &root).is_ok()
    }

    #[test]
    fn good_arguments_pass() {
        assert!(verdict(""));
        assert!(verdict("batch repo-pool --quick --json"));
        assert!(verdict("batch --axis noop_c100 --rounds 9"));
    }

    #[test]
    fn bad_arguments_are_told_before_anything_is_built() {
        for line in [
            "nonsense",
            "../crates",
            "--fast",
            "--axis",
            "--axis --quick",
            "--rounds",
            "--rounds 0",
            "--rounds many",
        ] {
            assert!(!verdict(line), "{line}");
        }
    }
}
