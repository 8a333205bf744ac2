//! Merges in a leased working copy of a real repository.

use std::sync::{Arc, Mutex};

use brolly_merge_plan::{
    Cancel, Cause, Event, GateRun, MergeRun, MergeStatus, Merger, Plan, Report, RunError,
};
use brolly_repo_pool::RepoPool;
use serde_json::json;

use crate::support::{Fixture, POOL, all_released, merge_of, plan, runner};

fn merge(pools: &RepoPool, plan: &Plan, execute: bool) -> MergeRun {
    let gates = runner(pools).run_gates(plan).expect("the run works");
    Merger::new(pools, POOL)
        .execute(execute)
        .run(plan, &gates)
        .expect("the merges work")
}

fn with_base_line(line: &str) -> String {
    let lines: String = (0..10)
        .map(|n| {
            if n == 4 {
                format!("{line}\n")
            } else {
                format!("line {n}\n")
            }
        })
        .collect();
    lines
}

/// Four branches: `one` and `two` change the same line, `on-two` builds on `two`, `free` is apart.
fn conflicting() -> (Fixture, Plan) {
    let fixture = Fixture::new();
    fixture.branch(
        "one",
        &[("base.txt", &with_base_line("one")), ("one.txt", "1\n")],
    );
    fixture.branch(
        "two",
        &[("base.txt", &with_base_line("two")), ("two.txt", "2\n")],
    );
    fixture.branch_from("on-two", "two", &[("on-two.txt", "3\n")]);
    fixture.branch("free", &[("free.txt", "4\n")]);
    let items = json!([
        {"name": "free"}, {"name": "on-two", "deps": ["two"]}, {"name": "two"}, {"name": "one"},
        {"name": "zz-free-too", "branch": "free", "deps": ["free"]},
    ]);
    let plan = plan(items, json!({"maxWorkers": 2}));
    (fixture, plan)
}

#[test]
fn independent_branches_are_merged_in_order_with_a_commit_each() {
    let fixture = Fixture::new();
    for name in ["c", "b", "a"] {
        fixture.branch(name, &[(&format!("{name}.txt"), name)]);
    }
    let pools = fixture.pool(2);
    let plan = plan(
        json!([{"name": "c"}, {"name": "b", "deps": ["c"]}, {"name": "a"}]),
        json!({}),
    );
    let run = merge(&pools, &plan, true);
    assert!(run.is_merged(), "{run:?}");
    let names: Vec<&str> = run.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["a", "c", "b"]);
    let branch = run.branch.as_deref().expect("it was pushed");
    let subjects = fixture.git(&[
        "log",
        "--first-parent",
        "--reverse",
        "--format=%s",
        &format!("{}..{branch}", run.base),
    ]);
    assert_eq!(
        subjects.lines().collect::<Vec<_>>(),
        ["Merge a (a)", "Merge c (c)", "Merge b (b)"]
    );
    assert_eq!(run.items[2].sha.as_deref(), Some(run.head.as_str()));
    assert_eq!(
        fixture
            .git(&["ls-tree", "--name-only", branch])
            .lines()
            .collect::<Vec<_>>(),
        ["a.txt", "b.txt", "base.txt", "c.txt"]
    );
    assert!(all_released(&pools));
}

#[test]
fn a_conflict_is_undone_and_reported_while_the_rest_goes_on() {
    let (fixture, plan) = conflicting();
    let pools = fixture.pool(2);
    let run = merge(&pools, &plan, true);
    let status = |name| merge_of(&run, name).status;
    assert_eq!(
        (status("free"), status("one"), status("two")),
        (
            MergeStatus::Merged,
            MergeStatus::Merged,
            MergeStatus::Conflict
        )
    );
    assert_eq!(merge_of(&run, "two").conflicts, ["base.txt"]);
    assert_eq!(merge_of(&run, "two").sha, None);
    assert_eq!(status("on-two"), MergeStatus::Blocked);
    assert_eq!(
        merge_of(&run, "on-two").blocked_by,
        [Cause::Dependency {
            item: "two".to_owned()
        }]
    );
    assert_eq!(
        status("zz-free-too"),
        MergeStatus::Merged,
        "an item after the conflict is merged"
    );
    assert!(!run.is_merged());
    let branch = run.branch.as_deref().expect("what was merged is pushed");
    assert_eq!(
        fixture
            .git(&["ls-tree", "--name-only", branch])
            .lines()
            .collect::<Vec<_>>(),
        ["base.txt", "free.txt", "one.txt"]
    );
    assert_eq!(
        fixture.git(&["show", &format!("{branch}:base.txt")]),
        with_base_line("one"),
        "no trace of the conflict"
    );
    assert!(all_released(&pools));
}

#[test]
fn the_next_tenant_of_the_slot_sees_nothing_of_a_conflict() {
    let (fixture, plan) = conflicting();
    let pools = fixture.pool(1);
    let run = merge(&pools, &plan, false);
    assert_eq!(merge_of(&run, "two").status, MergeStatus::Conflict);
    let lease = pools
        .allocate(&brolly_repo_pool::Request::new(POOL).at("main"))
        .expect("the slot is free");
    assert!(lease.git().is_clean().expect("git answers"));
    assert_eq!(lease.git().current_commit().expect("git answers"), run.base);
}

#[test]
fn a_dry_run_leaves_the_remote_as_it_was() {
    let (fixture, plan) = conflicting();
    let pools = fixture.pool(2);
    let before = fixture.git(&["for-each-ref"]);
    let run = merge(&pools, &plan, false);
    assert!(run.dry_run && run.branch.is_none());
    assert_ne!(run.head, run.base);
    assert_eq!(fixture.git(&["for-each-ref"]), before);
    assert_eq!(fixture.git(&["status", "--porcelain"]), "");
}

#[test]
fn an_executed_merge_adds_one_branch_and_touches_no_other_ref() {
    let (fixture, plan) = conflicting();
    let pools = fixture.pool(2);
    let before = fixture.git(&["for-each-ref"]);
    let first = merge(&pools, &plan, true).branch.expect("it was pushed");
    let second = merge(&pools, &plan, true).branch.expect("it was pushed");
    assert_ne!(first, second);
    assert!(first.starts_with(Merger::BRANCH_PREFIX));
    let added = [&first, &second].map(|name| format!("refs/heads/{name}"));
    let after = fixture.git(&["for-each-ref"]);
    let kept: String = after
        .lines()
        .filter(|line| !added.iter().any(|name| line.ends_with(name.as_str())))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(kept, before);
    assert_eq!(after.lines().count(), before.lines().count() + 2);
}

#[test]
fn the_same_plan_and_commits_give_the_same_tree() {
    let (fixture, plan) = conflicting();
    let pools = fixture.pool(3);
    let trees: Vec<String> = (0..3).map(|_| merge(&pools, &plan, false).tree).collect();
    assert!(trees.iter().all(|tree| *tree == trees[0]), "{trees:?}");
}

#[test]
fn what_did_not_pass_is_not_merged_and_neither_is_what_depends_on_it() {
    let fixture = Fixture::new();
    for name in ["bad", "next", "good"] {
        fixture.branch(name, &[(&format!("{name}.txt"), name)]);
    }
    let pools = fixture.pool(2);
    let plan = plan(
        json!([
            {"name": "bad", "gates": [{"name": "g", "run": "false"}]}, {"name": "next", "deps": ["bad"]},
            {"name": "gone"}, {"name": "good"},
        ]),
        json!({}),
    );
    let run = merge(&pools, &plan, true);
    let status = |name| merge_of(&run, name).status;
    assert_eq!(status("bad"), MergeStatus::NotEligible);
    assert_eq!(status("next"), MergeStatus::Blocked);
    assert_eq!(
        merge_of(&run, "next").blocked_by,
        [Cause::Dependency {
            item: "bad".to_owned()
        }]
    );
    assert_eq!(status("gone"), MergeStatus::BranchNotFound);
    assert_eq!(status("good"), MergeStatus::Merged);
    let branch = run.branch.expect("it was pushed");
    assert_eq!(
        fixture
            .git(&["ls-tree", "--name-only", &branch])
            .lines()
            .collect::<Vec<_>>(),
        ["base.txt", "good.txt"]
    );
}

#[test]
fn the_commit_that_was_checked_is_merged_and_not_what_the_branch_is_by_now() {
    let fixture = Fixture::new();
    fixture.branch("a", &[("a.txt", "checked\n")]);
    let pools = fixture.pool(1);
    let plan = plan(json!([{"name": "a"}]), json!({}));
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    fixture.git(&["branch", "--force", "a", "main"]);
    pools.fetch(POOL).expect("a fetch");
    let run = Merger::new(&pools, POOL)
        .execute(true)
        .run(&plan, &gates)
        .expect("the merges work");
    let branch = run.branch.expect("it was pushed");
    assert_eq!(
        fixture.git(&["show", &format!("{branch}:a.txt")]),
        "checked\n"
    );
}

#[test]
fn a_branch_that_is_part_of_the_target_is_merged_without_a_commit() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let run = merge(
        &pools,
        &plan(json!([{"name": "a", "branch": "main"}]), json!({})),
        true,
    );
    assert!(run.is_merged());
    assert_eq!(
        (run.items[0].sha.as_ref(), run.branch.as_ref()),
        (Some(&run.base), None),
        "there is nothing to push"
    );
    assert_eq!(run.head, run.base);
}

#[test]
fn unrelated_histories_are_an_error_of_their_item_alone() {
    let fixture = Fixture::new();
    fixture.git(&["checkout", "--quiet", "--orphan", "alien"]);
    fixture.git(&["commit", "--quiet", "-m", "from nowhere"]);
    fixture.git(&["checkout", "--quiet", "main"]);
    fixture.branch("zz", &[("zz.txt", "z")]);
    let pools = fixture.pool(1);
    let run = merge(
        &pools,
        &plan(json!([{"name": "alien"}, {"name": "zz"}]), json!({})),
        false,
    );
    assert_eq!(merge_of(&run, "alien").status, MergeStatus::Error);
    assert!(
        merge_of(&run, "alien")
            .message
            .contains("unrelated histories"),
        "{:?}",
        merge_of(&run, "alien")
    );
    assert_eq!(merge_of(&run, "zz").status, MergeStatus::Merged);
}

#[test]
fn conflicts_of_every_kind_leave_the_copy_clean() {
    let fixture = Fixture::new();
    // Modified against deleted, a file against a folder, and a name that git would quote.
    fixture.branch(
        "a",
        &[
            ("base.txt", "changed\n"),
            ("place", "a file\n"),
            ("späte \"Datei\"", "a\n"),
        ],
    );
    fixture.git(&["checkout", "--quiet", "-b", "b"]);
    fixture.git(&["rm", "--quiet", "base.txt"]);
    fixture.git(&["commit", "--quiet", "-m", "gone"]);
    fixture.git(&["checkout", "--quiet", "main"]);
    fixture.branch("c", &[("place/inner", "a folder\n")]);
    fixture.branch("d", &[("späte \"Datei\"", "d\n")]);
    fixture.branch("e", &[("e.txt", "e\n")]);
    let pools = fixture.pool(1);
    let names = ["a", "b", "c", "d", "e"];
    let items: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    let run = merge(&pools, &plan(json!(items), json!({})), false);
    let statuses: Vec<MergeStatus> = run.items.iter().map(|item| item.status).collect();
    use MergeStatus::{Conflict, Merged};
    assert_eq!(
        statuses,
        [Merged, Conflict, Conflict, Conflict, Merged],
        "{:?}",
        run.items
    );
    assert_eq!(merge_of(&run, "b").conflicts, ["base.txt"]);
    assert_eq!(merge_of(&run, "d").conflicts, ["späte \"Datei\""]);
}

#[test]
fn an_unknown_target_is_an_error_of_the_whole() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let plan = Plan::from_json(r#"{"schemaVersion": "1.0.0", "target": "nowhere"}"#)
        .expect("valid")
        .plan;
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    let error = Merger::new(&pools, POOL)
        .run(&plan, &gates)
        .expect_err("no such target");
    assert!(
        matches!(error, RunError::UnknownTarget { ref target, .. } if target == "nowhere"),
        "{error:?}"
    );
}

#[test]
fn results_of_another_plan_are_refused() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let [one, two, more] = [
        json!([{"name": "a"}]),
        json!([{"name": "b"}]),
        json!([{"name": "a"}, {"name": "c"}]),
    ]
    .map(|items| plan(items, json!({})));
    let gates = runner(&pools).run_gates(&one).expect("the run works");
    for (other, expected) in [(&two, "b"), (&more, "c")] {
        let error = Merger::new(&pools, POOL)
            .run(other, &gates)
            .expect_err("another plan");
        assert!(
            matches!(error, RunError::ForeignResults { ref item } if item == expected),
            "{error:?}"
        );
    }
}

#[test]
fn a_cancelled_merge_pushes_nothing() {
    let fixture = Fixture::new();
    for name in ["a", "b"] {
        fixture.branch(name, &[(&format!("{name}.txt"), name)]);
    }
    let pools = fixture.pool(1);
    let plan = plan(json!([{"name": "a"}, {"name": "b"}]), json!({}));
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    let cancel = Cancel::new().expect("a pipe");
    let stop = cancel.clone();
    let run = Merger::new(&pools, POOL)
        .execute(true)
        .cancel(&cancel)
        .on_event(move |event| {
            if matches!(event, Event::MergeFinished { .. }) {
                stop.cancel();
            }
        })
        .run(&plan, &gates)
        .expect("the merges end");
    assert_eq!(
        (merge_of(&run, "a").status, merge_of(&run, "b").status),
        (MergeStatus::Merged, MergeStatus::Cancelled)
    );
    assert_eq!(run.branch, None);
    assert!(!fixture.git(&["for-each-ref"]).contains("integration"));
    assert!(all_released(&pools));
}

#[test]
fn a_run_cancelled_after_its_last_merge_is_neither_merged_nor_ok() {
    let fixture = Fixture::new();
    fixture.branch("a", &[("a.txt", "a")]);
    let pools = fixture.pool(1);
    let plan = plan(json!([{"name": "a"}]), json!({}));
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    for execute in [true, false] {
        let cancel = Cancel::new().expect("a pipe");
        let stop = cancel.clone();
        let run = Merger::new(&pools, POOL)
            .execute(execute)
            .cancel(&cancel)
            .on_event(move |_| stop.cancel())
            .run(&plan, &gates)
            .expect("the merges end");
        assert_eq!(merge_of(&run, "a").status, MergeStatus::Merged);
        assert!(run.cancelled && run.branch.is_none() && !run.is_merged());
        let report = Report::new(&plan, &gates, Some(&run));
        assert!(report.cancelled && !report.ok);
        let text = report.to_markdown();
        assert!(text.contains("was cancelled before its end"), "{text}");
        assert!(!text.contains("nothing to push"), "{text}");
        assert_eq!(text.contains("Not pushed: the run was cancelled"), execute);
    }
}

#[test]
fn what_was_not_pushed_though_asked_for_is_not_merged() {
    let fixture = Fixture::new();
    fixture.branch("a", &[("a.txt", "a")]);
    let pools = fixture.pool(1);
    let mut run = merge(&pools, &plan(json!([{"name": "a"}]), json!({})), true);
    assert!(run.is_merged());
    run.branch = None;
    assert!(!run.is_merged());
}

#[test]
fn a_push_that_fails_keeps_the_result_of_the_merges() {
    let fixture = Fixture::new();
    fixture.branch("a", &[("a.txt", "a")]);
    let pools = fixture.pool(1);
    let hook = fixture.origin().join(".git/hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\nexit 1\n").expect("a hook");
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("an executable hook");
    let run = merge(&pools, &plan(json!([{"name": "a"}]), json!({})), true);
    assert_eq!(merge_of(&run, "a").status, MergeStatus::Merged);
    assert!(run.branch.is_none() && run.push_problem.is_some() && !run.is_merged());
}

#[test]
fn events_name_every_item_in_merge_order_and_the_push() {
    let (fixture, plan) = conflicting();
    let pools = fixture.pool(2);
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = Arc::clone(&heard);
    let run = Merger::new(&pools, POOL)
        .execute(true)
        .on_event(move |event| {
            let mut heard = listener.lock().expect("no panic");
            match event {
                Event::MergeFinished { item, status, .. } => heard.push(format!("{item} {status}")),
                Event::Pushed { branch, .. } => heard.push((*branch).to_owned()),
                _ => {}
            }
            drop(heard);
            panic!("the listener's own business");
        })
        .run(&plan, &gates)
        .expect("the merges work");
    let branch = run.branch.expect("it was pushed");
    let expected = [
        "free merged",
        "one merged",
        "two conflict",
        "on-two blocked",
        "zz-free-too merged",
        &branch,
    ];
    // The mutex is not poisoned: it was unlocked before the panic.
    assert_eq!(*heard.lock().expect("not poisoned"), expected);
}

#[test]
fn results_that_were_tampered_with_cannot_add_options_to_git() {
    let fixture = Fixture::new();
    fixture.branch("a", &[("a.txt", "a")]);
    let pools = fixture.pool(1);
    let plan = plan(json!([{"name": "a"}]), json!({}));
    let mut gates = runner(&pools).run_gates(&plan).expect("the run works");
    for commit in [
        "--abort",
        "main",
        "",
        "--strategy=../../../../../../../../bin/x",
    ] {
        gates.items[0].commit = Some(commit.to_owned());
        let run = Merger::new(&pools, POOL)
            .run(&plan, &gates)
            .expect("the merges end");
        assert_eq!(merge_of(&run, "a").status, MergeStatus::Error, "{commit}");
        assert_eq!(run.head, run.base);
    }
}

#[test]
fn gate_results_survive_being_stored() {
    let fixture = Fixture::new();
    fixture.branch("a", &[("a.txt", "a")]);
    let pools = fixture.pool(1);
    let plan = plan(
        json!([{"name": "a", "gates": [{"name": "g", "run": "kill -9 $$ || true"}]}]),
        json!({"optionalGates": ["g"]}),
    );
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    let text = serde_json::to_string(&gates).expect("plain data");
    assert_eq!(
        serde_json::from_str::<GateRun>(&text).expect("its own text"),
        gates
    );
}

#[test]
fn a_conflict_without_an_unmerged_path_is_a_conflict_in_gits_words() {
    let fixture = Fixture::new();
    let text = |n: usize| -> String { (0..30).map(|line| format!("{n} {line}\n")).collect() };
    let texts: Vec<(String, String)> = (0..4).map(|n| (format!("dir/f{n}"), text(n))).collect();
    let files: Vec<(&str, &str)> = texts
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    fixture.branch("seed", &files);
    fixture.git(&["merge", "--quiet", "seed"]);
    fixture.git(&["checkout", "--quiet", "-b", "split"]);
    for (n, to) in ["x", "x", "y", "y"].iter().enumerate() {
        std::fs::create_dir_all(fixture.origin().join(to)).expect("a folder");
        fixture.git(&["mv", &format!("dir/f{n}"), to]);
    }
    fixture.git(&["commit", "--quiet", "-m", "split"]);
    fixture.git(&["checkout", "--quiet", "main"]);
    fixture.branch("adder", &[("dir/new", "new\n")]);
    let pools = fixture.pool(1);
    let plan = plan(
        json!([{"name": "adder"}, {"name": "split", "deps": ["adder"]}, {"name": "zz", "branch": "main"}]),
        json!({}),
    );
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    let run = Merger::new(&pools, POOL)
        .run(&plan, &gates)
        .expect("the merges work");
    let split = merge_of(&run, "split");
    assert_eq!(split.status, MergeStatus::Conflict, "{split:?}");
    assert!(split.conflicts.is_empty());
    assert!(
        split
            .message
            .starts_with("CONFLICT (directory rename split)")
    );
    assert_eq!(merge_of(&run, "zz").status, MergeStatus::Merged);
    let text = Report::new(&plan, &gates, Some(&run)).to_markdown();
    assert!(
        text.contains("- merge: conflict, CONFLICT (directory rename split)"),
        "{text}"
    );
}

/// `main` calls every `.txt` file text and holds one with CRLF: its fresh checkout does not count as clean.
fn never_clean() -> Fixture {
    let fixture = Fixture::new();
    fixture.branch("seed", &[("dos.txt", "a\r\nb\r\nc\r\n"), ("other", "o\n")]);
    fixture.git(&["merge", "--quiet", "seed"]);
    std::fs::write(fixture.origin().join(".gitattributes"), "*.txt text\n").expect("a file");
    fixture.git(&["add", ".gitattributes"]);
    fixture.git(&["commit", "--quiet", "-m", "attributes"]);
    assert!(fixture.git(&["show", "main:dos.txt"]).contains("\r\n"));
    fixture
}

#[test]
fn a_checkout_that_never_counts_as_clean_does_not_spoil_the_merges_after_a_conflict() {
    let fixture = never_clean();
    for (name, file, text) in [
        ("a", "other", "A\n"),
        ("b", "other", "B\n"),
        ("c", "more", "C\n"),
        ("d", "dos.txt", "a\nb\nc\nd\n"),
    ] {
        fixture.git(&["checkout", "--quiet", "--force", "-b", name, "main"]);
        std::fs::write(fixture.origin().join(file), text).expect("a file");
        fixture.git(&["add", file]);
        fixture.git(&["commit", "--quiet", "-m", name]);
        fixture.git(&["checkout", "--quiet", "--force", "main"]);
    }
    let pools = fixture.pool(1);
    let items: Vec<_> = ["a", "b", "c", "d"]
        .map(|name| json!({"name": name}))
        .to_vec();
    let run = merge(&pools, &plan(json!(items), json!({})), true);
    let statuses: Vec<MergeStatus> = run.items.iter().map(|item| item.status).collect();
    use MergeStatus::{Conflict, Merged};
    assert_eq!(
        statuses,
        [Merged, Conflict, Merged, Merged],
        "{:?}",
        run.items
    );
    let branch = run.branch.expect("what was merged is pushed");
    let show = |file: &str| fixture.git(&["show", &format!("{branch}:{file}")]);
    assert_eq!(
        show("dos.txt"),
        "a\nb\nc\nd\n",
        "the file that is never clean was merged too"
    );
    assert_eq!(
        (show("other"), show("more")),
        ("A\n".to_owned(), "C\n".to_owned())
    );
}

#[test]
fn conversions_of_the_target_change_no_merge() {
    let fixture = Fixture::new();
    fixture.branch(
        "seed",
        &[
            (".gitattributes", "*.txt text eol=crlf\n*.id ident\n"),
            ("a.id", "$Id$\n"),
        ],
    );
    fixture.git(&["merge", "--quiet", "seed"]);
    for (name, line) in [("a", "a"), ("b", "b")] {
        fixture.branch(name, &[("base.txt", &with_base_line(line))]);
    }
    fixture.branch("c", &[("a.id", "$Id$\nmore\n"), ("c.txt", "c\n")]);
    let pools = fixture.pool(1);
    let items = json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]);
    let run = merge(&pools, &plan(items, json!({})), true);
    let statuses: Vec<MergeStatus> = run.items.iter().map(|item| item.status).collect();
    use MergeStatus::{Conflict, Merged};
    assert_eq!(statuses, [Merged, Conflict, Merged], "{:?}", run.items);
    let branch = run.branch.expect("what was merged is pushed");
    let show = |file: &str| fixture.git(&["show", &format!("{branch}:{file}")]);
    assert_eq!(show("base.txt"), with_base_line("a"));
    assert_eq!(
        (show("a.id"), show("c.txt")),
        ("$Id$\nmore\n".to_owned(), "c\n".to_owned())
    );
    let lease = pools
        .allocate(&brolly_repo_pool::Request::new(POOL).at("main"))
        .expect("the slot is free");
    let text = std::fs::read_to_string(lease.path().join("base.txt")).expect("a file");
    assert!(
        text.contains("\r\n"),
        "the next tenant has conversions again"
    );
}

#[test]
fn attributes_that_steer_merges_stay_in_force() {
    let fixture = Fixture::new();
    fixture.branch(
        "a",
        &[(".gitattributes", "base.txt merge=union text eol=crlf\n")],
    );
    fixture.branch("b", &[("base.txt", &with_base_line("b"))]);
    fixture.branch("c", &[("base.txt", &with_base_line("c"))]);
    let pools = fixture.pool(1);
    let items = json!([{"name": "a"}, {"name": "b"}, {"name": "c"}]);
    let run = merge(&pools, &plan(items, json!({})), true);
    assert!(run.is_merged(), "{run:?}");
    let text = fixture.git(&["show", &format!("{}:base.txt", run.branch.expect("pushed"))]);
    assert!(text.contains("\nb\nc\n"), "{text}");
}

#[test]
fn a_change_follows_its_file_to_another_name() {
    let fixture = Fixture::new();
    fixture.git(&["checkout", "--quiet", "-b", "a"]);
    fixture.git(&["mv", "base.txt", "moved.txt"]);
    fixture.git(&["commit", "--quiet", "-m", "moved"]);
    fixture.git(&["checkout", "--quiet", "main"]);
    fixture.branch("b", &[("base.txt", &with_base_line("changed"))]);
    let pools = fixture.pool(1);
    let run = merge(
        &pools,
        &plan(json!([{"name": "a"}, {"name": "b"}]), json!({})),
        true,
    );
    assert!(run.is_merged(), "{run:?}");
    let moved = format!("{}:moved.txt", run.branch.expect("it was pushed"));
    assert_eq!(fixture.git(&["show", &moved]), with_base_line("changed"));
}

#[test]
fn a_commit_that_an_earlier_item_brought_is_no_part_of_the_target() {
    let fixture = Fixture::new();
    fixture.branch("a", &[("a.txt", "a")]);
    let pools = fixture.pool(1);
    let items =
        json!([{"name": "a"}, {"name": "b", "branch": "a"}, {"name": "c", "branch": "main"}]);
    let run = merge(&pools, &plan(items, json!({})), false);
    assert!(run.is_merged());
    let messages: Vec<&str> = run.items.iter().map(|item| item.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "merged",
            "part of the integration branch already",
            "was part of the target already"
        ]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_conflict_in_a_file_whose_name_is_not_utf8_shows_it_escaped() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = Fixture::new();
    let path = fixture
        .origin()
        .join(std::ffi::OsStr::from_bytes(b"f\xff.txt"));
    for name in ["a", "b"] {
        fixture.git(&["checkout", "--quiet", "-b", name, "main"]);
        std::fs::write(&path, name).expect("a file");
        fixture.git(&["add", "--all"]);
        fixture.git(&["commit", "--quiet", "-m", name]);
    }
    fixture.git(&["checkout", "--quiet", "main"]);
    let pools = fixture.pool(1);
    let run = merge(
        &pools,
        &plan(json!([{"name": "a"}, {"name": "b"}]), json!({})),
        false,
    );
    let conflict = merge_of(&run, "b");
    assert_eq!(conflict.conflicts, [r#""f\377.txt""#]);
    assert_eq!(conflict.message, r#"conflicts in "f\377.txt""#);
}
