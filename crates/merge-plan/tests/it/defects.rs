//! Mistakes that the originals made, one test each, named after what must hold instead.

use std::fs;
use std::time::{Duration, Instant};

use brolly_merge_plan::{
    Exit, GateProblemCode, GateStatus, ItemStatus, MergeStatus, Merger, Plan, ProblemCode,
};
use serde_json::json;

use crate::support::{Fixture, POOL, all_released, eventually, gate_of, item_of, plan, runner};

#[test]
fn a_dependent_begins_only_after_its_dependency_has_ended() {
    let fixture = Fixture::new();
    let pools = fixture.pool(4);
    let log = fixture.path().join("order.log");
    let gate = |name: &str, seconds: &str| {
        let line = format!(
            "echo {name}-start >> {0}; sleep {seconds}; echo {name}-end >> {0}",
            log.display()
        );
        json!([{"name": "g", "run": line}])
    };
    let plan = plan(
        json!([
            {"name": "b", "branch": "main", "deps": ["a"], "gates": gate("b", "0")},
            {"name": "a", "branch": "main", "gates": gate("a", "0.3")},
            {"name": "quick", "branch": "main", "gates": gate("quick", "0")},
        ]),
        json!({"maxWorkers": 4}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    assert!(run.is_pass());
    let log = fs::read_to_string(log).expect("the gates wrote it");
    let at = |word: &str| {
        log.lines()
            .position(|line| line == word)
            .expect("it was written")
    };
    assert!(at("a-end") < at("b-start"), "{log}");
}

#[test]
fn items_without_gates_pass() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let plan = plan(
        json!([{"name": "a", "branch": "main"}, {"name": "b", "branch": "main", "deps": ["a"]}]),
        json!({}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    assert!(run.is_pass());
}

#[test]
fn an_optional_gate_that_fails_is_only_a_warning() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let gates = json!([{"name": "style", "run": "false"}, {"name": "test", "run": "true"}]);
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": gates}]),
        json!({"optionalGates": ["style"]}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    assert_eq!(item_of(&run, "a").status, ItemStatus::Pass);
    let style = gate_of(&run, "a", "style");
    assert_eq!((style.status, style.required), (GateStatus::Fail, false));
}

#[cfg(target_os = "linux")]
#[test]
fn a_timeout_ends_the_whole_process_group_in_time() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let gates =
        json!([{"name": "slow", "run": "sleep 61235 & sleep 61235", "timeoutSeconds": 0.2}]);
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": gates}]),
        json!({}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    let slow = gate_of(&run, "a", "slow");
    assert_eq!(slow.attempts[0].exit, Exit::TimedOut);
    assert_eq!(
        slow.problem.as_ref().map(|problem| problem.code),
        Some(GateProblemCode::GateTimeout)
    );
    let took = slow.attempts[0].duration_ms;
    assert!((200..1500).contains(&took), "{took} ms");
    eventually("nothing of the gate is left", || {
        crate::support::processes_with("61235") == 0
    });
    assert!(all_released(&pools));
}

#[cfg(target_os = "linux")]
#[test]
fn a_gate_that_ignores_the_polite_signal_is_ended_all_the_same() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let line = "trap '' TERM; while :; do sleep 0.05 61236 2>/dev/null || sleep 0.05; done";
    let gates = json!([{"name": "stubborn", "run": line, "timeoutSeconds": 0.2}]);
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": gates}]),
        json!({}),
    );
    let start = Instant::now();
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    assert_eq!(
        gate_of(&run, "a", "stubborn").attempts[0].exit,
        Exit::TimedOut
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(crate::support::processes_with(line) == 0);
}

#[test]
fn a_failed_gate_reports_its_exit_code() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": [{"name": "g", "run": "exit 3"}]}]),
        json!({}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    assert_eq!(gate_of(&run, "a", "g").attempts[0].exit, Exit::Code(3));
}

#[test]
fn what_a_gate_writes_does_not_decide_about_retries() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let line = "echo 'authentication failed: validation error' >&2; false";
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": [{"name": "g", "run": line}]}]),
        json!({"retries": {"g": {"maxAttempts": 3}}}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    assert_eq!(gate_of(&run, "a", "g").attempts.len(), 3);
}

#[test]
fn duplicate_names_are_an_error_and_not_merged_in_silence() {
    let text = r#"{"schemaVersion": "1.0.0", "items": [{"name": "a"}, {"name": "a"}]}"#;
    let errors = Plan::from_json(text).expect_err("two items share a name");
    assert_eq!(errors.problems()[0].code, ProblemCode::DuplicateName);
}

#[test]
fn asking_for_the_order_changes_nothing() {
    let text = r#"{"schemaVersion": "1.0.0", "items": [{"name": "c", "deps": ["b", "a"]}, {"name": "b"}, {"name": "a"}]}"#;
    let plan = Plan::from_json(text).expect("valid").plan;
    let mut order = plan.order();
    order.clear();
    assert_eq!(plan.order(), [vec!["a", "b"], vec!["c"]]);
    assert_eq!(plan.items()[0].deps(), ["b", "a"]);
}

#[test]
fn a_gate_for_another_runtime_fails_and_never_runs_on_the_host() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let mark = fixture.path().join("ran");
    let touch = format!("touch {}", mark.display());
    let gates = json!([
        {"name": "boxed", "run": touch, "runtime": "container", "container": {"image": "alpine"}},
        {"name": "elsewhere", "run": touch, "runtime": "ci-service"},
    ]);
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": gates}]),
        json!({"retries": {"boxed": {"maxAttempts": 3}}}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    for gate in ["boxed", "elsewhere"] {
        let gate = gate_of(&run, "a", gate);
        assert_eq!(
            gate.problem.as_ref().map(|problem| problem.code),
            Some(GateProblemCode::Unsupported)
        );
        assert_eq!((gate.status, gate.attempts.len()), (GateStatus::Fail, 0));
    }
    assert!(!mark.exists());
    assert_eq!(item_of(&run, "a").status, ItemStatus::Fail);
}

#[test]
fn merges_of_one_level_neither_race_nor_leave_a_merge_behind() {
    let fixture = Fixture::new();
    let names: Vec<String> = (0..8).map(|n| format!("b{n}")).collect();
    for name in &names {
        // Every second branch changes the file that all of these share, so every second merge after the first conflicts.
        let file = if name.as_bytes()[1] % 2 == 0 {
            "base.txt"
        } else {
            name
        };
        fixture.branch(name, &[(file, name)]);
    }
    let pools = fixture.pool(4);
    let items: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    let plan = plan(json!(items), json!({"maxWorkers": 4}));
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    let run = Merger::new(&pools, POOL)
        .run(&plan, &gates)
        .expect("the merges work");
    let statuses: Vec<MergeStatus> = run.items.iter().map(|item| item.status).collect();
    use MergeStatus::{Conflict, Merged};
    assert_eq!(
        statuses,
        [
            Merged, Merged, Conflict, Merged, Conflict, Merged, Conflict, Merged
        ]
    );
    let status = pools.status(POOL).expect("the pool's status").summary;
    assert_eq!((status.leased, status.error), (0, 0));
}

#[test]
fn the_policy_refuses_unknown_keys_like_everything_else() {
    let text = r#"{"schemaVersion": "1.0.0", "policy": {"maxWorker": 2}}"#;
    let errors = Plan::from_json(text).expect_err("an unknown key");
    assert_eq!(errors.problems()[0].path, "$.policy.maxWorker");
}
