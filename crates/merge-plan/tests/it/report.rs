//! The report: what it counts, and that both of its forms can be trusted.

use brolly_merge_plan::{GateRun, Merger, Plan, Report};
use serde_json::{Value, json};

use crate::support::{Fixture, POOL, plan, runner};

/// A run with something of everything.
fn eventful() -> (Fixture, Plan, GateRun, Report) {
    let fixture = Fixture::new();
    fixture.branch("one", &[("base.txt", "one\n")]);
    fixture.branch("two", &[("base.txt", "two\n")]);
    fixture.branch("bad", &[("bad.txt", "x\n")]);
    let items = json!([
        {"name": "one", "gates": [{"name": "flaky", "run": "test $BROLLY_ATTEMPT -gt 1"}, {"name": "style", "run": "echo '| *bad* `style`' >&2; false"}]},
        {"name": "two"},
        {"name": "bad|worse", "branch": "bad", "gates": [{"name": "test", "run": "false"}]},
        {"name": "next", "branch": "one", "deps": ["bad|worse"], "gates": [{"name": "test", "run": "true"}]},
        {"name": "gone"},
    ]);
    let policy = json!({"optionalGates": ["style"], "retries": {"flaky": {"maxAttempts": 2}}, "maxWorkers": 2});
    let plan = plan(items, policy);
    let pools = fixture.pool(2);
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    let merges = Merger::new(&pools, POOL)
        .run(&plan, &gates)
        .expect("the merges work");
    let report = Report::new(&plan, &gates, Some(&merges));
    (fixture, plan, gates, report)
}

#[test]
fn totals_count_what_happened() {
    let (_fixture, _, _, report) = eventful();
    let totals = report.totals;
    assert_eq!(
        (totals.items, totals.passed, totals.failed, totals.blocked),
        (5, 2, 2, 1)
    );
    assert_eq!((totals.skipped, totals.cancelled), (0, 0));
    assert_eq!(
        (
            totals.gates_passed,
            totals.gates_failed,
            totals.gates_flaky,
            totals.optional_failures
        ),
        (1, 2, 1, 1)
    );
    assert_eq!(totals.attempts, 4);
    assert_eq!(
        (
            totals.merged,
            totals.conflicts,
            totals.merges_blocked,
            totals.not_merged
        ),
        (1, 1, 1, 2)
    );
    assert_eq!(
        report.slots.leases, 3,
        "two items had gates to run, and one lease served the merges"
    );
    assert!(!report.ok && !report.cancelled);
    assert_eq!(
        report.order,
        [vec!["bad|worse", "gone", "one", "two"], vec!["next"]]
    );
}

#[test]
fn the_json_reads_back_and_has_its_keys_in_a_fixed_order() {
    let (_fixture, plan, gates, report) = eventful();
    let text = report.to_json();
    assert!(text.ends_with("}\n"));
    assert_eq!(
        serde_json::from_str::<Report>(&text).expect("its own text"),
        report
    );
    let read: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        read["items"][3]["blockedBy"],
        json!([{"kind": "dependency", "item": "bad|worse"}])
    );
    assert_eq!(
        read["items"][0]["gates"][0]["attempts"][0]["exit"],
        json!({"code": 1})
    );
    assert_eq!(
        read["items"][4]["problem"]["code"],
        json!("BRANCH_NOT_FOUND")
    );
    assert_eq!(read["items"][1]["merge"]["conflicts"], json!(["base.txt"]));
    let place = |key: &str| {
        text.find(&format!("\n  \"{key}\""))
            .expect("the key is there")
    };
    assert!(
        place("ok") < place("pool")
            && place("pool") < place("items")
            && place("items") < place("totals")
    );
    assert_eq!(
        Report::new(&plan, &gates, None).to_json(),
        Report::new(&plan, &gates, None).to_json()
    );
}

#[test]
fn the_markdown_shows_every_item_and_lets_no_output_break_its_table() {
    let (_fixture, _, _, report) = eventful();
    let text = report.to_markdown();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(rows.len(), 1 + 5, "{text}");
    for row in &rows {
        let bars = row.matches('|').count() - row.matches("\\|").count();
        assert_eq!(bars, 8, "{row}");
    }
    assert!(
        rows.iter()
            .any(|row| row.contains("bad\\|worse") && row.contains(" fail ")),
        "{text}"
    );
    assert!(text.contains("not ok") && text.contains("dry run"));
    assert!(text.contains("gate `style`: fail, optional"), "{text}");
    assert!(text.contains("gate `flaky`: pass (2 attempts)"), "{text}");
    assert!(text.contains("  - `base.txt`"), "{text}");
}

#[test]
fn what_a_gate_wrote_is_a_block_of_text_in_the_markdown_and_nothing_else() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let said = "printf '![x](http://e/x.png)\\n<img src=x>\\n````\\n## no heading\\n\\033[31mred\\tx\\r\\342\\200\\256z\\n' >&2; exit 3";
    let items = json!([{"name": "a", "branch": "main", "gates": [{"name": "g", "run": said}]}]);
    let plan = plan(items, json!({}));
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    let text = Report::new(&plan, &gates, None).to_markdown();
    let expected = "- gate `g`: fail, ended with exit code 3

  `````text
  ![x](http://e/x.png)
  <img src=x>
  ````
  ## no heading
  [31mred xz
  `````
";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn nothing_unseen_gets_into_the_markdown() {
    let (_fixture, plan, mut gates, _) = eventful();
    let unseen = "x\u{1b}\u{202e}\u{2028}\u{2067}y";
    let problem = gates.items[2].gates[0].problem.as_mut().expect("it failed");
    problem.message = unseen.to_owned();
    gates.items[1].name = unseen.to_owned();
    gates.pool = unseen.to_owned();
    let text = Report::new(&plan, &gates, None).to_markdown();
    assert_eq!(text.matches("x    y").count(), 3, "{text}");
}

#[test]
fn a_report_without_merges_is_about_gates_alone() {
    let fixture = Fixture::new();
    let pools = fixture.pool(1);
    let plan = plan(json!([{"name": "a", "branch": "main"}]), json!({}));
    let gates = runner(&pools).run_gates(&plan).expect("the run works");
    let report = Report::new(&plan, &gates, None);
    assert!(report.ok && report.integration.is_none() && report.items[0].merge.is_none());
    assert!(!report.to_markdown().contains("Merges:"));
}
