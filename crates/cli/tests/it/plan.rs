//! `brolly plan`.

use std::fs;

use crate::support::User;

const PLAN: &str = r#"{
    "schemaVersion": "1.0.0",
    "items": [
        {"name": "base", "branch": "feature", "gates": [{"name": "test", "run": "test -e b"}]},
        {"name": "top", "branch": "main", "deps": ["base"], "gates": [{"name": "test", "run": ["test", "-e", "a"]}]}
    ]
}"#;

#[test]
fn every_error_of_a_plan_is_listed_with_its_path_and_nothing_is_started() {
    let user = User::new();
    user.write(
        "bad.json",
        r#"{"schemaVersion": "1.0.0", "colour": 1, "items": [
            {"name": "a", "deps": ["b"]}, {"name": "b", "deps": ["a"]}, {"name": "c", "deps": ["nobody"]}, {"name": "c"}
        ]}"#,
    );
    let answer = user
        .run(&["plan", "validate", "bad.json", "--json"])
        .ends_with(2)
        .json();
    assert_eq!(answer["valid"], false);
    let found: Vec<_> = answer["errors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|error| error["code"].as_str().expect("a code"))
        .collect();
    for code in [
        "SCHEMA_VALIDATION",
        "PLAN_CYCLE",
        "UNKNOWN_DEPENDENCY",
        "DUPLICATE_NAME",
    ] {
        assert!(found.contains(&code), "{code}: {answer}");
    }
    assert!(
        answer["errors"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|error| error["path"].as_str().expect("a path").starts_with('$'))
    );
    let text = user
        .run(&["plan", "validate", "bad.json"])
        .ends_with(2)
        .stderr;
    assert!(
        text.contains("$.colour") && text.contains("$.items[2].deps[0]"),
        "{text}"
    );
    for verb in [
        &["order"][..],
        &["run", "--repo", "repo"],
        &["merge", "--repo", "repo", "--execute"],
    ] {
        let args = [&["plan"], verb, &["bad.json"]].concat();
        let same = user.run(&[&args[..], &["--json"]].concat()).ends_with(2);
        assert_eq!(same.json(), answer, "{verb:?}");
        assert_eq!(user.run(&args).ends_with(2).stderr, text, "{verb:?}");
    }
    assert_eq!(
        (&answer["ok"], &answer["error"]["code"]),
        (&false.into(), &"invalid_plan".into())
    );
    assert!(!user.path().join("root").exists());
}

#[test]
fn a_plan_is_validated_and_ordered_without_a_repository() {
    let user = User::new();
    user.write("plan.json", PLAN);
    user.run(&["plan", "validate", "plan.json"]).ends_with(0);
    user.write(
        "one.json",
        r#"{"schemaVersion": "1.0.0", "items": [{"name": "a", "gates": []}]}"#,
    );
    let one = user.run(&["plan", "validate", "one.json"]).ends_with(0);
    assert!(one.stdout.ends_with(": 1 item\n"), "{}", one.stdout);
    let order = user
        .run(&["plan", "order", "plan.json", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(order["levels"], serde_json::json!([["base"], ["top"]]));
    user.run(&["plan", "validate", "missing.json"]).ends_with(2);
    user.write("no.json", "{");
    user.run(&["plan", "order", "no.json"]).ends_with(2);
}

#[test]
fn a_run_pools_the_repository_runs_the_gates_and_writes_a_report() {
    let user = User::new();
    user.write("plan.json", PLAN);
    let report = user.run(&[
        "plan",
        "run",
        "plan.json",
        "--repo",
        "repo",
        "--report",
        "out.md",
        "--logs",
        "logs",
        "--json",
    ]);
    let report = report.ends_with(0).json();
    assert_eq!(
        (&report["ok"], &report["totals"]["passed"]),
        (&true.into(), &2.into())
    );
    assert!(
        fs::read_to_string(user.path().join("out.md"))
            .expect("a report")
            .contains("| base |")
    );
    assert!(
        fs::read_dir(user.path().join("logs"))
            .expect("logs")
            .count()
            > 0
    );
}

#[test]
fn a_failing_gate_ends_with_1_for_people_and_programs_alike() {
    let user = User::new();
    user.write(
        "plan.json",
        &PLAN.replace("test -e b", "echo no such thing >&2; false"),
    );
    let text = user
        .run(&["plan", "run", "plan.json", "--repo", "repo"])
        .ends_with(1);
    assert!(text.stdout.contains("no such thing"), "{}", text.stdout);
    let json = user
        .run(&["plan", "run", "plan.json", "--repo", "repo", "--json"])
        .ends_with(1)
        .json();
    assert_eq!(json["items"][1]["status"], "blocked");
}

#[test]
fn a_merge_is_a_dry_run_unless_it_is_told_to_push_and_then_pushes_one_branch() {
    let user = User::new();
    user.write("plan.json", PLAN);
    let before = user.in_repo(&["for-each-ref"]);
    let dry = user
        .run(&["plan", "merge", "plan.json", "--repo", "repo", "--json"])
        .ends_with(0)
        .json();
    assert_eq!(dry["integration"]["dryRun"], true);
    assert_eq!(user.in_repo(&["for-each-ref"]), before);
    let done = user
        .run(&[
            "plan",
            "merge",
            "plan.json",
            "--repo",
            "repo",
            "--execute",
            "--json",
        ])
        .ends_with(0)
        .json();
    let branch = done["integration"]["branch"].as_str().expect("a branch");
    assert!(
        user.in_repo(&["ls-tree", "--name-only", branch])
            .contains('b')
    );
    let others: Vec<_> = user
        .in_repo(&["for-each-ref"])
        .lines()
        .filter(|line| !line.ends_with(branch))
        .map(str::to_owned)
        .collect();
    assert_eq!(others.join("\n"), before);
    assert_eq!(user.in_repo(&["status", "--porcelain"]), "");
}

#[test]
fn the_plan_in_the_help_is_valid() {
    let user = User::new();
    let help = user.run(&["plan", "validate", "--help"]).ends_with(0);
    let (_, notes) = help.stdout.split_once("A small plan:\n").expect("a plan");
    let (plan, _) = notes.split_once("\n\"run\"").expect("words after it");
    user.write("help.json", plan);
    let answer = user.run(&["plan", "validate", "help.json", "--json"]);
    let answer = answer.ends_with(0).json();
    assert_eq!(
        (&answer["items"], &answer["warnings"]),
        (&2.into(), &serde_json::json!([]))
    );
}
