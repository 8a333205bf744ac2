//! `brolly pool exec`.

use std::fs;
use std::process::Stdio;

use crate::support::{Answer, User, finish};

#[test]
fn exec_runs_in_a_slot_and_exits_as_the_command_does() {
    let user = User::pooled();
    let exec = |script: &str| {
        user.run(&[
            "pool", "exec", "app", "--ref", "feature", "--", "sh", "-c", script,
        ])
    };
    let answer = exec("ls; echo oops >&2; exit 7").ends_with(7);
    assert_eq!(
        (answer.stdout.as_str(), answer.stderr.as_str()),
        ("a\nb\n", "oops\n")
    );
    exec("true").ends_with(0);
    exec("kill -9 $$").ends_with(137);
    let json = user
        .run(&[
            "pool",
            "exec",
            "app",
            "--json",
            "--",
            "sh",
            "-c",
            "echo $BROLLY_COMMIT",
        ])
        .ends_with(0)
        .json();
    assert_eq!(
        json["stdout"].as_str().expect("text").trim(),
        user.in_repo(&["rev-parse", "main"])
    );
    let status = user
        .run(&["pool", "status", "app", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(status["pools"][0]["summary"]["available"], 2);
}

#[test]
fn exec_tells_its_own_failures_from_those_of_its_command() {
    let user = User::pooled();
    user.write("plain", "no program\n");
    let plain = user.path().join("plain");
    let plain = plain.to_str().expect("UTF-8");
    let folder = user.path().to_str().expect("UTF-8");
    for (args, exit, code) in [
        (&["none", "--", "true"][..], 125, "pool_not_found"),
        (&["../x", "--", "true"], 125, "invalid_name"),
        (&["app", "--ref", "none", "--", "true"], 125, "unknown_ref"),
        (&["app", "--", plain], 126, "cannot_run"),
        (&["app", "--", folder], 126, "cannot_run"),
        (&["app", "--", "no-such-program"], 127, "command_not_found"),
        (
            &["app", "--", "./no-such-program"],
            127,
            "command_not_found",
        ),
    ] {
        let args = [&["pool", "exec"], args].concat();
        let text = user.run(&args).ends_with(exit);
        assert!(text.stderr.starts_with("brolly: "), "{}", text.stderr);
        let (words, command) = args.split_at(args.iter().position(|arg| *arg == "--").expect("it"));
        let answer = user.run(&[words, &["--json"], command].concat());
        assert_eq!(answer.ends_with(exit).json()["error"]["code"], code);
    }
    for held in 0..2 {
        user.run(&["pool", "allocate", "app", "--holder", &held.to_string()])
            .ends_with(0);
    }
    user.run(&["pool", "exec", "app", "--", "true"])
        .ends_with(125);
    user.run(&["pool", "exec", "app"]).ends_with(2);
    user.run(&["pool", "exec", "app", "--none", "--", "true"])
        .ends_with(2);
}

#[test]
fn a_slot_that_cannot_be_given_back_is_told_in_the_one_document() {
    let user = User::pooled();
    let brolly = env!("CARGO_BIN_EXE_brolly");
    let script = format!("{brolly:?} --quiet pool release $BROLLY_LEASE >&2");
    let exec = |more: &[&str], script: &str| {
        let args = [&["pool", "exec", "app"], more, &["--", "sh", "-c", script]];
        user.run(&args.concat())
    };
    let answer = exec(&["--json"], &script).ends_with(125).json();
    assert_eq!(
        (&answer["ok"], &answer["exit"]["code"]),
        (&false.into(), &0.into())
    );
    assert_eq!(answer["error"]["code"], "already_released");
    let text = exec(&[], &script).ends_with(125);
    assert!(text.stderr.contains("could not be given back"));
    exec(&["--json"], &format!("{script}; exit 7"))
        .ends_with(7)
        .json();
}

fn with_input(user: &User, input: fs::File) -> Answer {
    let mut command = user.command(&["pool", "exec", "app", "--", "wc", "-c"]);
    command.stdin(input).stdout(Stdio::piped());
    finish(command.stderr(Stdio::piped()).spawn().expect("brolly"))
}

#[test]
fn what_is_piped_in_reaches_the_command() {
    let user = User::pooled();
    let mut command = user.command(&["pool", "exec", "app", "--", "cat"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("brolly");
    let text = "line\n".repeat(100_000);
    let mut stdin = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("read");
    drop(stdin);
    assert_eq!(finish(child).ends_with(0).stdout, text);
    let empty = fs::File::open("/dev/null").expect("null");
    assert_eq!(with_input(&user, empty).ends_with(0).stdout.trim(), "0");
}

#[test]
fn more_input_than_can_be_passed_on_is_refused_before_anything_runs() {
    let user = User::pooled();
    let zeros = fs::File::open("/dev/zero").expect("zero");
    let answer = with_input(&user, zeros).ends_with(125);
    assert!(answer.stderr.contains("64 MiB"), "{}", answer.stderr);
}
