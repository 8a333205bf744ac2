//! Mistakes are told where they are, and what is right compiles.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Each has its cases in `tests/ui/<attribute>`.
const ATTRIBUTES: [&str; 3] = ["cached", "timed", "with_lazy"];

/// The compiler whose words `tests/ui/*/fail/*.stderr` are. Others may put theirs differently.
const WORDED_BY: &str = "rustc 1.95.";

/// Says to trybuild that what the compiler says is right. Only said of copies of the cases.
const BLESS: (&str, &str) = ("TRYBUILD", "overwrite");

#[test]
fn what_is_right_compiles() {
    let cases = trybuild::TestCases::new();
    for attribute in ATTRIBUTES {
        cases.pass(format!("tests/ui/{attribute}/pass/*.rs"));
    }
}

#[test]
fn mistakes_do_not_compile() {
    if env::var(BLESS.0).as_deref() == Ok(BLESS.1) {
        let cases = trybuild::TestCases::new();
        for attribute in ATTRIBUTES {
            cases.compile_fail(copies(attribute).join("*.rs"));
        }
        return;
    }
    // trybuild is told by the environment, which is the whole process's: so in one of its own.
    let mut again = Command::new(env::current_exe().expect("it runs"));
    again.args(["--exact", "compile::mistakes_do_not_compile"]);
    let status = again.env(BLESS.0, BLESS.1).status().expect("it starts");
    assert!(status.success());
}

#[test]
fn mistakes_point_at_what_is_wrong() {
    if is_worded_alike() {
        let cases = trybuild::TestCases::new();
        for attribute in ATTRIBUTES {
            cases.compile_fail(format!("tests/ui/{attribute}/fail/*.rs"));
        }
    } else {
        println!("not {WORDED_BY}: another test sees that they fail, nobody in which words");
    }
}

fn is_worded_alike() -> bool {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").output();
    version.is_ok_and(|it| it.stdout.starts_with(WORDED_BY.as_bytes()))
}

/// Copies of the cases, in a folder where what the compiler says may be written down.
fn copies(attribute: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("fail")
        .join(attribute);
    fs::create_dir_all(&folder).expect("it is ours");
    let cases = format!("tests/ui/{attribute}/fail");
    for case in fs::read_dir(cases).expect("it is there") {
        let case = case.expect("it can be read").path();
        if case.extension().is_some_and(|it| it == "rs") {
            let name = case.file_name().expect("a file has a name");
            fs::copy(&case, folder.join(name)).expect("it is ours");
        }
    }
    folder
}
