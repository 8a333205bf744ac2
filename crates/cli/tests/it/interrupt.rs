//! Ctrl-C at every kind of command.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::support::{Answer, User, finish, signal};

/// Runs the command with a git that interrupts it, once, and then does what it is asked for.
fn interrupted_by_git(user: &User, args: &[&str]) -> Answer {
    with_git(user, args, "kill -INT $PPID")
}

/// Runs the command with a git that begins with a line of shell when it is first called.
fn with_git(user: &User, args: &[&str], line: &str) -> Answer {
    let bin = user.path().join("bin");
    let _ = std::fs::create_dir(&bin);
    let path = std::env::var("PATH").expect("a path");
    let once = user.path().join("once");
    let _ = std::fs::remove_dir(&once);
    user.write(
        "bin/git",
        &format!(
            "#!/bin/sh\nmkdir {once:?} 2>/dev/null && {{ {line}; }}\nPATH={path:?} exec git \"$@\"\n"
        ),
    );
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("git"), mode).expect("chmod");
    let mut command = user.command(args);
    command.env("PATH", format!("{}:{path}", bin.display()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command.spawn().expect("brolly"))
}

#[track_caller]
fn all_slots_are_free(user: &User) {
    let pools = user.run(&["pool", "list", "--json"]).ends_with(0).json();
    let summary = &pools["pools"][0]["summary"];
    assert_eq!(summary["available"], summary["total"], "{pools}");
}

fn plan(user: &User) {
    user.write(
        "plan.json",
        r#"{"schemaVersion": "1.0.0", "items": [
            {"name": "first", "branch": "feature", "gates": [{"name": "test", "run": "true"}]},
            {"name": "second", "branch": "main", "deps": ["first"],
             "gates": [{"name": "test", "run": "kill -INT $PPID; sleep 600", "timeoutSeconds": 600}]}
        ]}"#,
    );
}

#[test]
fn an_interrupted_demo_judges_no_promise_and_leaves_nothing() {
    let user = User::new();
    let mut demo = user.start(&["demo"]);
    let mut stderr = BufReader::new(demo.stderr.take().expect("piped"));
    let mut line = String::new();
    while !line.contains(": pass") {
        line.clear();
        assert!(stderr.read_line(&mut line).expect("text") > 0, "it ended");
    }
    signal(demo.id(), "INT");
    let rest = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let answer = finish(demo).ends_with(130);
    assert_eq!(answer.stdout, "");
    let rest = rest.join().expect("no panic").expect("text");
    assert!(rest.ends_with("brolly: interrupted\n"), "{rest}");
    let left = std::fs::read_dir(user.path()).expect("readable").flatten();
    let mut left = left.map(|entry| entry.file_name().to_string_lossy().into_owned());
    assert!(left.all(|name| !name.starts_with("brolly-demo-")));
}

#[test]
fn an_interrupted_run_gives_its_slots_back_and_still_reports() {
    let user = User::new();
    plan(&user);
    for verb in ["run", "merge"] {
        let run = ["plan", verb, "plan.json", "--repo", "repo"];
        let answer = finish(user.start(&run)).ends_with(130);
        assert!(answer.stdout.contains("cancelled before its end"));
        assert!(answer.stderr.ends_with("brolly: interrupted\n"));
        let report = finish(user.start(&[&run[..], &["--json"]].concat()));
        let report = report.ends_with(130).json();
        assert_eq!(
            (&report["cancelled"], &report["items"][0]["status"]),
            (&true.into(), &"pass".into())
        );
        all_slots_are_free(&user);
    }
}

#[test]
fn an_interrupted_exec_ends_its_command_and_gives_the_slot_back() {
    let user = User::pooled();
    let exec = ["pool", "exec", "app", "--json", "--"];
    let command = ["sh", "-c", "kill -INT $PPID; sleep 600"];
    let answer = finish(user.start(&[&exec[..], &command].concat())).ends_with(130);
    assert_eq!(answer.json()["exit"], "cancelled");
    assert!(answer.stderr.ends_with("brolly: interrupted\n"));
    all_slots_are_free(&user);
}

#[test]
fn an_interrupted_allocation_leaves_no_lease() {
    let user = User::pooled();
    let answer = interrupted_by_git(&user, &["pool", "allocate", "app", "--json"]);
    assert_eq!(answer.ends_with(130).json()["error"]["code"], "interrupted");
    let answer = interrupted_by_git(&user, &["pool", "exec", "app", "--", "echo", "ran"]);
    let answer = answer.ends_with(130);
    assert_eq!(answer.stdout, "");
    assert!(answer.stderr.ends_with("brolly: interrupted\n"));
    all_slots_are_free(&user);
}

#[test]
fn an_interrupted_creation_ends_at_once_and_can_be_done_again() {
    let user = User::new();
    let create = ["pool", "create", "app", "--url", "repo", "--json"];
    let answer = interrupted_by_git(&user, &create).ends_with(130);
    assert_eq!(answer.json()["error"]["code"], "interrupted");
    user.run(&create).ends_with(0);
    all_slots_are_free(&user);
}

#[test]
fn a_command_that_waits_for_input_can_be_interrupted() {
    let user = User::pooled();
    let script = "echo ready; cat";
    let mut command = user.command(&["pool", "exec", "app", "--", "sh", "-c", script]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("brolly");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("text");
    assert_eq!(line, "ready\n");
    let stdin = child.stdin.take();
    signal(child.id(), "INT");
    finish(child).ends_with(130);
    drop(stdin);
    all_slots_are_free(&user);
}

#[test]
fn a_second_interruption_ends_a_command_that_cannot_give_back_at_once() {
    let user = User::pooled();
    // What waits for git cannot be cut short, and this git ends after the command only.
    let stubborn = "while kill -INT $PPID; do sleep 0.7; done";
    let allocate = ["pool", "allocate", "app", "--json"];
    let answer = with_git(&user, &allocate, stubborn).ends_with(130);
    assert_eq!(answer.json()["error"]["code"], "interrupted");
    assert!(answer.stderr.contains("once more"), "{}", answer.stderr);
    all_slots_are_free(&user);
}
