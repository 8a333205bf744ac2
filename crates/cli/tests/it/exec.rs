//! `brolly pool exec`.

use std::process::Stdio;

use crate::support::{User, finish};

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

#[test]
fn what_is_piped_in_reaches_the_command() {
    let user = User::pooled();
    let mut command = user.command(&["pool", "exec", "app", "--", "cat"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("brolly");
    let text = "line\n".repeat(100_000);
    let mut stdin = child.stdin.take().expect("piped");
    // Written while the output is read: the pipes hold less than all of it.
    let input = text.clone();
    let writer =
        std::thread::spawn(move || std::io::Write::write_all(&mut stdin, input.as_bytes()));
    assert_eq!(finish(child).ends_with(0).stdout, text);
    writer.join().expect("no panic").expect("read");
}

#[test]
fn an_input_that_is_left_open_keeps_no_command_from_ending() {
    let user = User::pooled();
    let mut command = user.command(&["pool", "exec", "app", "--", "true"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("brolly");
    let open = child.stdin.take();
    finish(child).ends_with(0);
    drop(open);
}
