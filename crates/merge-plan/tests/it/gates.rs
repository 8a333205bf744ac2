//! The runner, with real processes in real working copies.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brolly_merge_plan::{
    Cancel, Cause, Event, Exit, GateProblemCode, GateStatus, ItemProblemCode, ItemStatus, Report,
    RunError, Runner,
};
use brolly_repo_pool::Request;
use serde_json::json;

use crate::support::{
    Fixture, POOL, all_released, checked, eventually, gate_of, item_of, plan, runner,
};

#[test]
fn a_gate_runs_in_a_working_copy_of_its_branch() {
    let fixture = Fixture::new();
    fixture.branch("a", &[("sub/a.txt", "from a\n")]);
    let pools = fixture.pool(1);
    let plan = plan(
        json!([{"name": "a", "gates": [
            {"name": "shell", "run": "pwd; cat a.txt; echo \"$WHO $BROLLY_ITEM $BROLLY_GATE $BROLLY_ATTEMPT\"", "cwd": "sub", "env": {"WHO": "me"}},
            {"name": "argv", "run": ["git", "rev-parse", "HEAD"]},
            {"name": "words", "run": ["printf", "%s|", "a b", "", "$HOME"]},
        ]}]),
        json!({}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    assert!(run.is_pass());
    let said = |gate| gate_of(&run, "a", gate).attempts[0].stdout.text.clone();
    let commit = fixture.git(&["rev-parse", "a"]);
    assert_eq!(item_of(&run, "a").commit.as_deref(), Some(commit.trim()));
    assert_eq!(said("argv"), commit);
    assert_eq!(said("words"), "a b||$HOME|");
    let lines: Vec<String> = said("shell").lines().map(str::to_owned).collect();
    assert!(
        lines[0].ends_with("/sub")
            && lines[0].starts_with(
                fixture
                    .path()
                    .canonicalize()
                    .expect("it exists")
                    .to_str()
                    .expect("readable")
            )
    );
    assert_eq!(lines[1..], ["from a", "me a shell 1"]);
    assert!(all_released(&pools));
}

#[test]
fn exits_are_reported_as_they_were() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let gates = json!([
        {"name": "code", "run": "echo out; echo err >&2; exit 7"},
        {"name": "signal", "run": "kill -9 $$"},
        {"name": "absent", "run": ["/no/such/program"]},
        {"name": "after", "run": "true"},
    ]);
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": gates}]),
        json!({}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    let code = gate_of(&run, "a", "code");
    assert_eq!(code.attempts[0].exit, Exit::Code(7));
    assert_eq!(
        (
            code.attempts[0].stdout.text.as_str(),
            code.attempts[0].stderr.text.as_str()
        ),
        ("out\n", "err\n")
    );
    assert_eq!(
        code.problem.as_ref().map(|problem| problem.code),
        Some(GateProblemCode::GateFailure)
    );
    assert_eq!(
        gate_of(&run, "a", "signal").attempts[0].exit,
        Exit::Signal(9)
    );
    let absent = gate_of(&run, "a", "absent");
    assert_eq!(
        absent.problem.as_ref().map(|problem| problem.code),
        Some(GateProblemCode::SpawnFailed)
    );
    assert!(absent.attempts.is_empty());
    assert_eq!(
        gate_of(&run, "a", "after").status,
        GateStatus::Pass,
        "all gates run even after a failure"
    );
    assert_eq!(item_of(&run, "a").status, ItemStatus::Fail);
}

#[test]
fn a_missing_branch_fails_its_item_and_blocks_what_depends_on_it() {
    let fixture = Fixture::new();
    let pools = fixture.pool(2);
    let plan = plan(
        json!([
            {"name": "gone"}, {"name": "next", "branch": "main", "deps": ["gone"]},
            {"name": "last", "branch": "main", "deps": ["next", "free"]}, {"name": "free", "branch": "main"},
        ]),
        json!({"maxWorkers": 2}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    let gone = item_of(&run, "gone");
    assert_eq!(gone.status, ItemStatus::Fail);
    assert_eq!(
        gone.problem.as_ref().map(|problem| problem.code),
        Some(ItemProblemCode::BranchNotFound)
    );
    assert_eq!(
        (item_of(&run, "free").status, item_of(&run, "next").status),
        (ItemStatus::Pass, ItemStatus::Blocked)
    );
    assert_eq!(
        item_of(&run, "next").blocked_by,
        [Cause::Dependency {
            item: "gone".to_owned()
        }]
    );
    assert_eq!(
        item_of(&run, "last").blocked_by,
        [Cause::Dependency {
            item: "next".to_owned()
        }],
        "direct causes only"
    );
}

#[test]
fn a_flaky_gate_passes_on_a_later_attempt_and_every_attempt_is_kept() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let heard: Arc<Mutex<Vec<u32>>> = Arc::default();
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": [{"name": "flaky", "run": "echo $BROLLY_ATTEMPT; test $BROLLY_ATTEMPT = 3"}]}]),
        json!({"retries": {"flaky": {"maxAttempts": 5, "backoffSeconds": 0.01}}}),
    );
    let listener = Arc::clone(&heard);
    let run = runner(&pools)
        .on_event(move |event| {
            if let Event::GateRetried { attempt, .. } = event {
                listener.lock().expect("no panic").push(*attempt);
            }
        })
        .run_gates(&plan)
        .expect("the run works");
    let gate = gate_of(&run, "a", "flaky");
    assert_eq!(
        (gate.status, gate.problem.is_none()),
        (GateStatus::Pass, true)
    );
    let exits: Vec<Exit> = gate.attempts.iter().map(|attempt| attempt.exit).collect();
    assert_eq!(exits, [Exit::Code(1), Exit::Code(1), Exit::Code(0)]);
    assert_eq!(gate.attempts[1].stdout.text, "2\n");
    assert_eq!(*heard.lock().expect("no panic"), [2, 3]);
}

#[test]
fn attempts_end_at_their_limit() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let plan = plan(
        json!([checked("a", &[], "false")]),
        json!({"retries": {"check": {"maxAttempts": 3}}}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    let gate = gate_of(&run, "a", "check");
    assert_eq!((gate.status, gate.attempts.len()), (GateStatus::Fail, 3));
}

#[test]
fn output_is_cut_in_the_result_and_whole_in_the_log() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let logs = fixture.path().join("logs/of/this/run");
    let plan = plan(
        json!([{"name": "a/b", "branch": "main", "gates": [{"name": "loud", "run": "i=0; while [ $i -lt 5000 ]; do echo 0123456789; i=$((i+1)); done"}]}]),
        json!({}),
    );
    let run = runner(&pools)
        .output_limit(1000)
        .log_to(&logs)
        .run_gates(&plan)
        .expect("the run works");
    let stdout = &gate_of(&run, "a/b", "loud").attempts[0].stdout;
    assert!(stdout.truncated && stdout.text.len() < 2000);
    assert_eq!(stdout.total_bytes, 55_000);
    let log = logs.join(stdout.log.as_ref().expect("a log was asked for"));
    assert_eq!(fs::metadata(log).expect("the log exists").len(), 55_000);

    let run = runner(&pools)
        .log_to(&logs)
        .log_limit(100)
        .run_gates(&plan)
        .expect("the run works");
    let log = logs.join(
        gate_of(&run, "a/b", "loud").attempts[0]
            .stdout
            .log
            .as_ref()
            .expect("a log"),
    );
    assert!(
        fs::metadata(log).expect("the log exists").len() <= 200,
        "a log is bounded too"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_a_log_neither_ends_nor_fails_a_gate() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let logs = fixture.path().join("logs");
    fs::create_dir(&logs).expect("a folder for logs");
    std::os::unix::fs::symlink("/dev/full", logs.join("0000-a.000-check.1.stdout.log"))
        .expect("a log that takes nothing");
    let plan = plan(
        json!([checked("a", &[], "echo out; echo err >&2")]),
        json!({}),
    );
    let run = runner(&pools)
        .log_to(&logs)
        .run_gates(&plan)
        .expect("the run works");
    assert!(run.is_pass());
    let attempt = &gate_of(&run, "a", "check").attempts[0];
    assert_eq!(
        (attempt.exit, attempt.stdout.text.as_str()),
        (Exit::Code(0), "out\n")
    );
    assert!(attempt.stdout.log_problem.is_some());
    assert_eq!(attempt.stderr.log_problem, None);
}

#[test]
fn a_directory_outside_the_working_copy_is_refused_even_behind_a_link() {
    let fixture = Fixture::new();
    std::os::unix::fs::symlink("/tmp", fixture.origin().join("out")).expect("a link");
    fixture.branch("a", &[]);
    let pools = fixture.pool(1);
    let gates = json!([{"name": "out", "run": "touch escaped", "cwd": "out"}, {"name": "gone", "run": "true", "cwd": "nowhere"}]);
    let plan = plan(json!([{"name": "a", "gates": gates}]), json!({}));
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    let code = |gate| {
        gate_of(&run, "a", gate)
            .problem
            .as_ref()
            .map(|problem| problem.code)
    };
    assert_eq!(code("out"), Some(GateProblemCode::CwdOutside));
    assert_eq!(code("gone"), Some(GateProblemCode::CwdMissing));
}

#[test]
fn a_gate_held_back_does_not_run_and_holds_its_item_back() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let mark = fixture.path().join("ran");
    let plan = plan(
        json!([
            {"name": "a", "branch": "main", "gates": [
                {"name": "deploy-eu", "run": ["touch", mark.to_str()]}, {"name": "check", "run": "true"}]},
            {"name": "b", "branch": "main", "deps": ["a"]},
        ]),
        json!({"blockOn": ["deploy-?", "deploy-*"]}),
    );
    let run = runner(&pools).run_gates(&plan).expect("the run works");
    assert_eq!(gate_of(&run, "a", "deploy-eu").status, GateStatus::Blocked);
    assert_eq!(gate_of(&run, "a", "check").status, GateStatus::Pass);
    assert_eq!(item_of(&run, "a").status, ItemStatus::Blocked);
    assert_eq!(
        item_of(&run, "a").blocked_by,
        [Cause::BlockOn {
            gate: "deploy-eu".to_owned(),
            pattern: "deploy-*".to_owned()
        }]
    );
    assert_eq!(item_of(&run, "b").status, ItemStatus::Blocked);
    assert!(!mark.exists());
}

#[test]
fn cancelling_kills_running_gates_and_gives_back_every_working_copy() {
    let fixture = Fixture::new();
    let pools = fixture.pool(2);
    let cancel = Cancel::new().expect("a pipe");
    let on_start = cancel.clone();
    let plan = plan(
        json!([
            {"name": "done", "branch": "main", "gates": [{"name": "quick", "run": "true"}]},
            {"name": "long", "branch": "main", "deps": ["done"], "gates": [
                {"name": "sleep", "run": "sleep 61234 & sleep 61234"}, {"name": "never", "run": "true"}]},
            {"name": "next", "branch": "main", "deps": ["long"], "gates": [{"name": "quick", "run": "true"}]},
        ]),
        json!({"maxWorkers": 2}),
    );
    let run = runner(&pools)
        .gate_timeout(Duration::from_secs(60))
        .cancel(&cancel)
        .on_event(move |event| {
            if let Event::GateStarted { gate: "sleep", .. } = event {
                on_start.cancel();
            }
        })
        .run_gates(&plan)
        .expect("the run works");
    assert!(run.cancelled);
    let status = |item| item_of(&run, item).status;
    assert_eq!(
        (status("done"), status("long"), status("next")),
        (
            ItemStatus::Pass,
            ItemStatus::Cancelled,
            ItemStatus::Cancelled
        )
    );
    assert_eq!(gate_of(&run, "long", "sleep").status, GateStatus::Cancelled);
    assert_eq!(gate_of(&run, "long", "never").status, GateStatus::Cancelled);
    assert_eq!(gate_of(&run, "next", "quick").status, GateStatus::Cancelled);
    assert!(all_released(&pools));
    #[cfg(target_os = "linux")]
    eventually("nothing of the gate is left", || {
        crate::support::processes_with("61234") == 0
    });
}

#[test]
fn a_run_cancelled_during_an_optional_gate_is_not_ok() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let cancel = Cancel::new().expect("a pipe");
    let stop = cancel.clone();
    let plan = plan(
        json!([checked("a", &[], "true")]),
        json!({"optionalGates": ["check"]}),
    );
    let run = runner(&pools)
        .cancel(&cancel)
        .on_event(move |event| {
            if matches!(event, Event::GateStarted { .. }) {
                stop.cancel();
            }
        })
        .run_gates(&plan)
        .expect("the run ends");
    assert_eq!(
        (
            item_of(&run, "a").status,
            gate_of(&run, "a", "check").status
        ),
        (ItemStatus::Pass, GateStatus::Cancelled)
    );
    assert!(run.cancelled && !run.is_pass());
    let report = Report::new(&plan, &run, None);
    assert!(report.cancelled && !report.ok);
}

#[test]
fn a_run_cancelled_before_it_begins_runs_nothing() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let cancel = Cancel::new().expect("a pipe");
    cancel.cancel();
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": [{"name": "g", "run": "true"}]}]),
        json!({}),
    );
    let run = runner(&pools)
        .cancel(&cancel)
        .run_gates(&plan)
        .expect("the run works");
    assert_eq!(
        (run.cancelled, item_of(&run, "a").status),
        (true, ItemStatus::Cancelled)
    );
    assert!(gate_of(&run, "a", "g").attempts.is_empty());
}

#[test]
fn stopping_on_a_failure_skips_what_did_not_begin() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let plan = plan(
        json!([
            {"name": "a", "branch": "main", "gates": [{"name": "g", "run": "false"}]},
            {"name": "b", "branch": "main", "gates": [{"name": "g", "run": "true"}]},
            {"name": "c", "branch": "main", "deps": ["b"]},
        ]),
        json!({}),
    );
    let run = runner(&pools)
        .stop_on_failure(true)
        .run_gates(&plan)
        .expect("the run works");
    let ran: Vec<_> = run
        .items
        .iter()
        .filter(|item| item.status == ItemStatus::Fail)
        .map(|item| item.name.as_str())
        .collect();
    // Whichever of the two roots came first: `a` stops `b`, or `b` and `c` were done before `a`.
    assert_eq!(ran, ["a"]);
    if item_of(&run, "b").status == ItemStatus::Skipped {
        assert_eq!(item_of(&run, "c").status, ItemStatus::Skipped);
    }
}

#[test]
fn at_most_as_many_items_as_workers_and_slots_run_at_once() {
    let fixture = Fixture::new();
    let pools = fixture.pool(2);
    let items: Vec<_> = (0..6)
        .map(|index| json!({"name": format!("i{index}"), "branch": "main", "gates": [{"name": "g", "run": "true"}]}))
        .collect();
    let plan = plan(json!(items), json!({"maxWorkers": 1}));
    for (asked, expected) in [(8, 2), (1, 1), (0, 1)] {
        let (running, most) = (Arc::new(Mutex::new(0_usize)), Arc::new(Mutex::new(0_usize)));
        let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
        let run = runner(&pools)
            .max_workers(asked)
            .on_event(move |event| match event {
                Event::ItemStarted { .. } => {
                    let mut now = now.lock().expect("no panic");
                    *now += 1;
                    let mut peak = peak.lock().expect("no panic");
                    *peak = (*peak).max(*now);
                }
                Event::ItemFinished { .. } => *now.lock().expect("no panic") -= 1,
                _ => {}
            })
            .run_gates(&plan)
            .expect("the run works");
        assert_eq!(run.workers, expected);
        assert!(*most.lock().expect("no panic") <= expected);
        assert!(run.is_pass());
    }
}

#[test]
fn events_tell_the_story_of_each_item_in_order() {
    let fixture = Fixture::new();
    let pools = fixture.pool(2);
    let plan = plan(
        json!([checked("a", &[], "true"), checked("b", &["a"], "true")]),
        json!({"maxWorkers": 2}),
    );
    let story: Arc<Mutex<HashMap<String, Vec<String>>>> = Arc::default();
    let heard = Arc::clone(&story);
    let run = runner(&pools)
        .on_event(move |event| {
            let (item, what) = match event {
                Event::ItemStarted { item, .. } => (*item, "started".to_owned()),
                Event::GateStarted { item, gate, .. } => (*item, format!("{gate} started")),
                Event::GateFinished {
                    item, gate, status, ..
                } => (*item, format!("{gate} {status}")),
                Event::ItemFinished { item, status, .. } => (*item, status.to_string()),
                _ => return,
            };
            heard
                .lock()
                .expect("no panic")
                .entry(item.to_owned())
                .or_default()
                .push(what);
        })
        .run_gates(&plan)
        .expect("the run works");
    assert!(run.is_pass());
    for item in ["a", "b"] {
        assert_eq!(
            story.lock().expect("no panic")[item],
            ["started", "check started", "check pass", "pass"]
        );
    }
}

#[test]
fn a_listener_that_panics_changes_nothing() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": [{"name": "g", "run": "true"}]}]),
        json!({}),
    );
    let run = runner(&pools)
        .on_event(|_| panic!("the listener's own business"))
        .run_gates(&plan)
        .expect("the run works");
    assert!(run.is_pass());
    assert!(all_released(&pools));
}

#[test]
fn an_unknown_pool_stops_the_run_before_it_begins() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let error = Runner::new(&pools, "nowhere")
        .run_gates(&plan(json!([]), json!({})))
        .expect_err("no such pool");
    assert!(
        matches!(error, RunError::Pool { ref pool, .. } if pool == "nowhere"),
        "{error:?}"
    );
}

#[test]
fn a_log_folder_that_cannot_be_made_stops_the_run_before_it_begins() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let file = fixture.path().join("file");
    fs::write(&file, "").expect("a file");
    let error = runner(&pools)
        .log_to(file.join("logs"))
        .run_gates(&plan(json!([]), json!({})))
        .expect_err("a file is no folder");
    assert!(matches!(error, RunError::Logs { .. }), "{error:?}");
}

#[test]
fn an_empty_plan_passes() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let run = runner(&pools)
        .run_gates(&plan(json!([]), json!({})))
        .expect("the run works");
    assert!(run.is_pass() && run.items.is_empty());
}

#[test]
fn an_item_that_gets_no_working_copy_in_time_fails_for_that_reason() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let held = pools.allocate(&Request::new(POOL)).expect("the only slot");
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": [{"name": "g", "run": "true"}]}]),
        json!({}),
    );
    let run = runner(&pools)
        .lease_wait(Duration::from_millis(50))
        .run_gates(&plan)
        .expect("the run works");
    let problem = item_of(&run, "a").problem.as_ref().expect("a reason");
    assert_eq!(problem.code, ItemProblemCode::NoWorkingCopy);
    assert_eq!(gate_of(&run, "a", "g").status, GateStatus::Skipped);
    held.release().expect("the slot is given back");
}

#[test]
fn cancelling_ends_the_wait_for_a_working_copy() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let held = pools.allocate(&Request::new(POOL)).expect("the only slot");
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": [{"name": "g", "run": "true"}]}]),
        json!({}),
    );
    let cancel = Cancel::new().expect("a pipe");
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| runner(&pools).cancel(&cancel).run_gates(&plan));
        cancel.cancel();
        run.join().expect("no panic").expect("the run works")
    });
    assert_eq!(item_of(&run, "a").status, ItemStatus::Cancelled);
    held.release().expect("the slot is given back");
}

#[test]
fn cancelling_ends_the_pause_between_two_attempts() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let cancel = Cancel::new().expect("a pipe");
    let plan = plan(
        json!([{"name": "a", "branch": "main", "gates": [{"name": "g", "run": "false"}]}]),
        json!({"retries": {"g": {"maxAttempts": 2, "backoffSeconds": 3600}}}),
    );
    let run = std::thread::scope(|scope| {
        let run = scope.spawn(|| runner(&pools).cancel(&cancel).run_gates(&plan));
        // The slot is leased while the gate runs and while it pauses; either way the cancellation must end it.
        eventually("the item has begun", || !all_released(&pools));
        cancel.cancel();
        run.join().expect("no panic").expect("the run works")
    });
    assert_eq!(gate_of(&run, "a", "g").status, GateStatus::Cancelled);
    assert!(all_released(&pools));
}
