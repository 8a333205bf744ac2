//! `cargo xtask test`: every test there is, and one closing line that counts them.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::Failure;
use crate::process::{as_typed, cargo, stream};
use crate::tally::Tally;
use crate::workspace::{Package, Workspace};

pub(crate) fn run(args: &[String]) -> Result<(), Failure> {
    if let Some(arg) = args.first() {
        return Err(Failure::usage(format!(
            "`test` takes no arguments, got `{arg}`; use cargo test to run a part"
        )));
    }
    let workspace = Workspace::read()?;
    let mut session = Session::new(&workspace);

    session.tests(
        "workspace, all features",
        &["--workspace", "--all-features"],
    )?;
    session.doctests()?;
    session.all_models()?;
    for library in workspace.libraries() {
        let name = library.name.as_str();
        session.builds(
            &format!("{name} alone"),
            &["-p", name, "--no-default-features"],
        )?;
        if library.has_default_features {
            session.builds(&format!("{name} alone, as it comes"), &["-p", name])?;
        }
    }
    session.close()
}

/// The run so far.
struct Session<'a> {
    workspace: &'a Workspace,
    has_nextest: bool,
    is_gate: bool,
    total: Tally,
    failed_sections: Vec<String>,
    /// Why tests returned early; the same reason is told once however many tests give it.
    skip_reasons: BTreeSet<String>,
}

/// Who runs the tests of a section, and so what its output looks like.
#[derive(Clone, Copy, PartialEq)]
enum Runner {
    Libtest,
    Nextest,
}

impl<'a> Session<'a> {
    fn new(workspace: &'a Workspace) -> Self {
        let has_nextest = cargo(&workspace.root)
            .args(["nextest", "--version"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        Self {
            workspace,
            has_nextest,
            is_gate: env::var("CI").is_ok_and(|ci| ci == "true" || ci == "1"),
            total: Tally::default(),
            failed_sections: Vec::new(),
            skip_reasons: BTreeSet::new(),
        }
    }

    /// Unit and integration tests of the chosen packages.
    fn tests(&mut self, title: &str, selection: &[&str]) -> Result<(), Failure> {
        let mut command = cargo(&self.workspace.root);
        if self.has_nextest {
            let config = self.workspace.root.join("xtask/nextest.toml");
            command
                .args(["nextest", "run", "--no-fail-fast", "--no-tests=pass"])
                .arg("--tool-config-file")
                .arg(format!("xtask:{}", config.display()))
                .args(selection);
            self.section(title, &mut command, Runner::Nextest)
        } else {
            command
                .args(["test", "--no-fail-fast", "--tests"])
                .args(selection)
                .args(["--", "--show-output"]);
            self.section(title, &mut command, Runner::Libtest)
        }
    }

    /// That the chosen packages and their tests compile by themselves. The workspace run has tested
    /// the code as it is; `cargo xtask ci --long` runs the tests this way too.
    fn builds(&mut self, title: &str, selection: &[&str]) -> Result<(), Failure> {
        let mut command = cargo(&self.workspace.root);
        command.args(["check", "--tests"]).args(selection);
        self.section(title, &mut command, Runner::Libtest)
    }

    fn doctests(&mut self) -> Result<(), Failure> {
        let mut command = cargo(&self.workspace.root);
        command.args([
            "test",
            "--doc",
            "--workspace",
            "--all-features",
            "--no-fail-fast",
        ]);
        self.section("doctests", &mut command, Runner::Libtest)
    }

    /// Models run in a target folder of their own, because their flag rebuilds everything.
    fn all_models(&mut self) -> Result<(), Failure> {
        for package in &self.workspace.packages {
            if let Some(models) = package.loom_models {
                self.models("loom", package, models)?;
            }
        }
        for package in &self.workspace.packages {
            if package.has_shuttle_models {
                self.models("shuttle", package, &["--test", "shuttle"])?;
            }
        }
        Ok(())
    }

    fn models(&mut self, kind: &str, package: &Package, models: &[&str]) -> Result<(), Failure> {
        let mut flags = env::var("RUSTFLAGS").unwrap_or_default();
        flags.push_str(&format!(" --cfg brolly_{kind}"));
        let mut command = cargo(&self.workspace.root);
        command
            .args(["test", "--release", "-p", &package.name])
            .args(models)
            .env("RUSTFLAGS", flags.trim())
            .env("CARGO_TARGET_DIR", self.workspace.target.join(kind));
        let title = format!("{kind} models of {}", package.name);
        self.section(&title, &mut command, Runner::Libtest)
    }

    fn section(
        &mut self,
        title: &str,
        command: &mut Command,
        runner: Runner,
    ) -> Result<(), Failure> {
        println!("\n== {title}\n   {}", as_typed(command));
        let report = self.nextest_report();
        if runner == Runner::Nextest && report.exists() {
            fs::remove_file(&report)?;
        }

        let start = Instant::now();
        let mut tally = Tally::default();
        let mut reasons = Vec::new();
        let status = stream(command, |line| match runner {
            Runner::Nextest => tally += Tally::of_nextest(line).unwrap_or_default(),
            Runner::Libtest => {
                tally += Tally::of_libtest(line).unwrap_or_default();
                reasons.extend(skip_reason(line));
            }
        })?;
        if runner == Runner::Nextest {
            // nextest hides what a passing test prints; its report has it.
            reasons = skip_reasons_in_report(&report);
            reasons.iter().for_each(|reason| println!("{reason}"));
        }

        tally.returned_early(reasons.len() as u64, self.is_gate);
        if !status.success() && tally.failed == 0 {
            // It did not compile, or a runner died: that is not a run without failures.
            tally.failed = 1;
        }
        if tally.failed > 0 {
            self.failed_sections.push(title.to_owned());
        }
        println!(
            "== {title}: {tally} ({:.1} s)",
            start.elapsed().as_secs_f64()
        );
        self.total += tally;
        self.skip_reasons.extend(reasons);
        Ok(())
    }

    /// nextest keeps its own folder in the workspace, wherever the target folder is.
    fn nextest_report(&self) -> PathBuf {
        self.workspace
            .root
            .join("target/nextest/default/xtask-junit.xml")
    }

    fn close(self) -> Result<(), Failure> {
        println!();
        for reason in &self.skip_reasons {
            println!("{reason}");
        }
        if self.is_gate && !self.skip_reasons.is_empty() {
            println!("CI=true: a test that could not run counts as failed");
        }
        for section in &self.failed_sections {
            println!("failed: {section}");
        }
        println!("{}", self.total);
        if self.total.failed > 0 {
            return Err(Failure::Child(1));
        }
        Ok(())
    }
}

/// The line by which a test says that it could not run, and what to install.
fn skip_reason(line: &str) -> Option<String> {
    line.starts_with("SKIPPED:").then(|| line.to_owned())
}

fn skip_reasons_in_report(report: &Path) -> Vec<String> {
    let xml = fs::read_to_string(report).unwrap_or_default();
    xml.lines()
        .map(|line| {
            let line = line.trim_start();
            let line = line.strip_prefix("<system-out>").unwrap_or(line);
            line.strip_prefix("<system-err>").unwrap_or(line)
        })
        .filter_map(skip_reason)
        .map(|reason| {
            let reason = reason.split("</system-").next().unwrap_or_default();
            reason
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&quot;", "\"")
                .replace("&apos;", "'")
                .replace("&amp;", "&")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::skip_reason;

    #[test]
    fn only_a_line_that_begins_with_the_word_is_a_skip() {
        assert!(skip_reason("SKIPPED: no git; Debian package git").is_some());
        assert!(skip_reason("it was SKIPPED: because").is_none());
        assert!(skip_reason("test a ... ok").is_none());
    }
}
