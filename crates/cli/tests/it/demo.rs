//! `brolly demo`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::support::{User, finish};

fn left_overs(user: &User) -> usize {
    let entries = fs::read_dir(user.path()).expect("readable");
    entries
        .filter(|entry| {
            entry.as_ref().is_ok_and(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with("brolly-demo-")
            })
        })
        .count()
}

#[test]
fn the_demo_keeps_every_promise_and_leaves_nothing() {
    let user = User::new();
    let shown = user.run(&["demo", "--json"]).ends_with(0).json();
    assert_eq!(shown["ok"], true);
    let promises = shown["promises"].as_array().expect("a list");
    assert!(promises.len() >= 6);
    for promise in promises {
        assert!(
            ["name", "expected", "seen"]
                .iter()
                .all(|key| promise[key].is_string())
                && promise["ok"] == true,
            "{promise}"
        );
    }
    assert_eq!(left_overs(&user), 0);
}

#[test]
fn the_demo_on_a_given_repository_changes_nothing_of_it() {
    let user = User::new();
    fs::write(user.repo().join("uncommitted"), "mine").expect("write");
    let before = (
        user.in_repo(&["for-each-ref"]),
        user.in_repo(&["status", "--porcelain"]),
    );
    let text = user.run(&["demo", "--repo", "repo"]).ends_with(0).stdout;
    assert!(text.contains("1 branch onto main"), "{text}");
    assert_eq!(
        (
            user.in_repo(&["for-each-ref"]),
            user.in_repo(&["status", "--porcelain"])
        ),
        before
    );
}

#[test]
fn the_demo_works_on_a_repository_of_one_commit() {
    let user = User::new();
    user.in_repo(&["branch", "-q", "-D", "feature"]);
    let shown = user
        .run(&["demo", "--repo", "repo", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(shown["ok"], true);
    assert_eq!(shown["facts"][0]["value"], "the last commit of main");
}

#[test]
fn a_killed_demo_leaves_nothing_that_the_next_run_trips_over() {
    let user = User::new();
    let mut demo = user
        .command(&["demo"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("brolly");
    let mut lines = BufReader::new(demo.stderr.take().expect("piped")).lines();
    assert!(
        lines.any(|line| line.is_ok_and(|line| line.contains(": pass"))),
        "it never got to work"
    );
    demo.kill().expect("kill");
    demo.wait().expect("ended");
    assert_eq!(left_overs(&user), 1);
    user.run(&["demo", "--repo", "repo"]).ends_with(0);
    assert_eq!(left_overs(&user), 0);
}

#[test]
fn a_repository_that_does_not_exist_is_an_error_and_leaves_nothing() {
    let user = User::new();
    let answer = user
        .run(&["demo", "--repo", "nowhere", "--json"])
        .ends_with(1)
        .json();
    assert_eq!(answer["error"]["code"], "git");
    user.run(&["demo", "--repo", "--help-me"]).ends_with(2);
    assert_eq!(left_overs(&user), 0);
}

#[test]
fn a_pipe_or_a_link_where_a_lock_should_be_neither_stops_the_demo_nor_is_removed() {
    let user = User::new();
    user.write("lock", "");
    for name in ["brolly-demo-pipe", "brolly-demo-link"] {
        fs::create_dir(user.path().join(name)).expect("mkdir");
    }
    let pipe = user.path().join("brolly-demo-pipe/lock");
    let made = Command::new("mkfifo").arg(pipe).status();
    assert!(made.expect("mkfifo").success());
    let link = user.path().join("brolly-demo-link/lock");
    std::os::unix::fs::symlink(user.path().join("lock"), link).expect("a link");
    finish(user.start(&["demo", "--repo", "nowhere"])).ends_with(1);
    assert_eq!(left_overs(&user), 2);
}

#[test]
fn the_demo_has_a_root_of_its_own() {
    let user = User::new();
    for args in [&["demo", "--root", "x"][..], &["--root", "x", "demo"]] {
        let text = user.run(args).ends_with(2).stderr;
        assert!(text.contains("a root of its own"), "{text}");
    }
    let help = user.run(&["demo", "--help"]).ends_with(0).stdout;
    assert!(!help.contains("--root"), "{help}");
    assert!(!user.path().join("x").exists());
}
