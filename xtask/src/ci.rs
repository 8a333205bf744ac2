//! `cargo xtask ci`: what must hold besides the tests; `--long` adds the proofs that take their time.

use std::process::Command;
use std::time::Instant;

use crate::failure::Failure;
use crate::process::{as_typed, cargo};
use crate::workspace::Workspace;

pub(crate) fn run(args: &[String]) -> Result<(), Failure> {
    let is_long = match args {
        [] => false,
        [flag] if flag == "--long" => true,
        _ => {
            return Err(Failure::usage(format!(
                "`ci` takes `--long` or nothing, got `{}`",
                args.join(" ")
            )));
        }
    };
    let workspace = Workspace::read()?;
    let mut gate = Gate {
        workspace: &workspace,
        failed: Vec::new(),
    };
    gate.short();
    if is_long {
        gate.long();
    }
    gate.close()
}

/// Runs every check, whatever the ones before it said.
struct Gate<'a> {
    workspace: &'a Workspace,
    failed: Vec<String>,
}

impl Gate<'_> {
    fn short(&mut self) {
        self.check("format", &["fmt", "--all", "--check"]);
        self.check(
            "lints",
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ],
        );
        self.with_env(
            "docs",
            &["doc", "--workspace", "--all-features", "--no-deps"],
            ("RUSTDOCFLAGS", "-D warnings"),
        );
        for package in &self.workspace.packages {
            for example in &package.examples {
                self.check(
                    &format!("example {example} of {}", package.name),
                    &[
                        "run",
                        "--quiet",
                        "--all-features",
                        "-p",
                        &package.name,
                        "--example",
                        example,
                    ],
                );
            }
        }
        self.check(
            "packages can be made",
            &[
                "package",
                "--workspace",
                "--no-verify",
                "--allow-dirty",
                "--quiet",
            ],
        );
    }

    fn long(&mut self) {
        const BENCHES: &str = "--manifest-path=benches/Cargo.toml";
        self.check(
            "format of the benches",
            &["fmt", BENCHES, "--all", "--check"],
        );
        self.check(
            "lints of the benches",
            &["clippy", BENCHES, "--all-targets", "--", "-D", "warnings"],
        );
        self.check(
            "benches build",
            &["build", BENCHES, "--release", "--all-targets"],
        );
        self.check("tests of the benches", &["test", BENCHES]);
        self.check(
            "tests, optimised",
            &[
                "test",
                "--workspace",
                "--all-features",
                "--release",
                "--tests",
            ],
        );
        for library in self.workspace.libraries().filter(|it| it.has_features) {
            let name = library.name.as_str();
            self.check(
                &format!("tests of {name} alone, no features"),
                &["test", "-p", name, "--no-default-features", "--tests"],
            );
        }
        self.check(
            "packages build from what would be published",
            &["publish", "--workspace", "--dry-run", "--allow-dirty"],
        );
    }

    fn check(&mut self, title: &str, args: &[&str]) {
        let mut command = cargo(&self.workspace.root);
        command.args(args);
        self.section(title, &mut command);
    }

    fn with_env(&mut self, title: &str, args: &[&str], (name, value): (&str, &str)) {
        let mut command = cargo(&self.workspace.root);
        command.args(args).env(name, value);
        self.section(title, &mut command);
    }

    fn section(&mut self, title: &str, command: &mut Command) {
        println!("\n== {title}\n   {}", as_typed(command));
        let start = Instant::now();
        let verdict = match command.status() {
            Ok(status) if status.success() => "ok",
            Ok(_) => "FAILED",
            Err(error) => {
                eprintln!("{error}");
                "FAILED"
            }
        };
        println!(
            "== {title}: {verdict} ({:.1} s)",
            start.elapsed().as_secs_f64()
        );
        if verdict != "ok" {
            self.failed.push(title.to_owned());
        }
    }

    fn close(self) -> Result<(), Failure> {
        if self.failed.is_empty() {
            println!("\nall checks hold");
            return Ok(());
        }
        Err(Failure::failed(format!(
            "failed: {}",
            self.failed.join(", ")
        )))
    }
}
