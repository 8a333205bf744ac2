//! Bad arguments: told in words on standard error, exit code 2, nothing started.

#![forbid(unsafe_code)]

use std::process::{Command, Output};

fn xtask(line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(line.split_whitespace())
        .output()
        .expect("the binary of this package runs")
}

#[test]
fn bad_arguments_exit_with_2_and_say_why() {
    for (line, word) in [
        ("", "no command"),
        ("nonsense", "`nonsense`"),
        ("test batch", "`batch`"),
        ("ci --fast", "`--fast`"),
        ("report now", "`now`"),
        ("bench no-such-crate", "`no-such-crate`"),
        ("bench --rounds 0", "`--rounds`"),
    ] {
        let output = xtask(line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(message.contains(word), "{line}: {message}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

#[test]
fn help_names_every_command() {
    let output = xtask("help");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    for command in ["test", "ci", "bench", "report"] {
        assert!(text.contains(&format!("\n  {command} ")), "{command}");
    }
}
