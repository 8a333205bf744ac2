//! Plans that are wrong: every mistake is named, with its place, and none hides another.

use brolly_merge_plan::{Plan, PlanErrors, ProblemCode, Runtime, Script, Validated, WarningCode};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(document: &Value) -> Result<Validated, PlanErrors> {
    Plan::from_json(&document.to_string())
}

/// The paths and codes of what is wrong.
fn problems(document: &Value) -> Vec<(String, ProblemCode)> {
    let errors = parse(document).expect_err("the document is wrong");
    errors
        .problems()
        .iter()
        .map(|problem| (problem.path.clone(), problem.code))
        .collect()
}

fn warnings(document: &Value) -> Vec<(String, WarningCode)> {
    let parsed = parse(document).expect("the document is right");
    parsed
        .warnings
        .iter()
        .map(|warning| (warning.path.clone(), warning.code))
        .collect()
}

fn with_items(items: Value) -> Value {
    json!({"schemaVersion": "1.0.0", "items": items})
}

fn with_policy(policy: Value) -> Value {
    json!({"schemaVersion": "1.0.0", "policy": policy, "items": [{"name": "a", "gates": [{"name": "g", "run": "true"}]}]})
}

fn with_gate(gate: Value) -> Value {
    with_items(json!([{"name": "a", "gates": [gate]}]))
}

/// Asserts that the only problem is a `SCHEMA_VALIDATION` at `path` whose message holds each of `parts`.
#[track_caller]
fn assert_invalid(document: &Value, path: &str, parts: &[&str]) {
    let errors = parse(document).expect_err("the document is wrong");
    let [problem] = errors.problems() else {
        panic!("one problem expected: {errors}")
    };
    assert_eq!(
        (problem.path.as_str(), problem.code),
        (path, ProblemCode::SchemaValidation),
        "{errors}"
    );
    for part in parts {
        assert!(
            problem.message.contains(part),
            "{:?} names {part:?}",
            problem.message
        );
    }
}

#[test]
fn defaults_are_filled_in() {
    let plan = parse(&with_items(
        json!([{"name": "a", "gates": [{"name": "g", "run": "true"}]}]),
    ))
    .expect("valid")
    .plan;
    assert_eq!((plan.target(), plan.policy().max_workers()), ("main", 1));
    let item = &plan.items()[0];
    assert_eq!((item.branch(), item.deps().len()), ("a", 0));
    let gate = &item.gates()[0];
    assert_eq!(gate.run(), &Script::Shell("true".to_owned()));
    assert_eq!(
        (gate.runtime(), gate.cwd(), gate.timeout()),
        (Runtime::Local, None, None)
    );
    assert!(plan.is_required("g"));
}

#[test]
fn text_that_is_no_json_is_one_problem_with_its_line() {
    for text in ["", "{", "[1,]", "{\"a\": 1e999}", "\u{0}"] {
        let errors = Plan::from_json(text).expect_err("no JSON");
        assert_eq!(errors.problems()[0].code, ProblemCode::JsonParse);
        assert_eq!(errors.problems()[0].path, "$");
        assert!(errors.problems()[0].message.contains("line 1"), "{errors}");
    }
}

#[test]
fn nesting_without_end_is_refused_and_not_followed() {
    let errors = Plan::from_json(&"[".repeat(1_000_000)).expect_err("too deep");
    assert_eq!(errors.problems()[0].code, ProblemCode::JsonParse);
}

#[test]
fn a_document_beyond_the_size_limit_is_refused_unread() {
    let errors = Plan::from_json(&" ".repeat(16 * 1024 * 1024 + 1)).expect_err("too large");
    assert_eq!(errors.problems()[0].code, ProblemCode::LimitExceeded);
}

#[test]
fn a_document_of_another_kind_is_refused() {
    assert_eq!(
        problems(&json!([])),
        [("$".to_owned(), ProblemCode::SchemaValidation)]
    );
    assert_eq!(
        problems(&json!(null)),
        [("$".to_owned(), ProblemCode::SchemaValidation)]
    );
}

#[test]
fn the_version_is_1_x_y() {
    for version in ["1.0.0", "1.12.345"] {
        assert!(
            parse(&json!({"schemaVersion": version})).is_ok(),
            "{version}"
        );
    }
    for version in [
        json!("v1"),
        json!("1.0"),
        json!("2.0.0"),
        json!("1.0.0-rc"),
        json!("1..0"),
        json!("1.0.x"),
        json!(1),
        json!("١.0.0"),
    ] {
        let found = problems(&json!({"schemaVersion": version}));
        assert_eq!(
            found,
            [("$.schemaVersion".to_owned(), ProblemCode::SchemaVersion)],
            "{version}"
        );
    }
    assert_eq!(
        problems(&json!({})),
        [("$.schemaVersion".to_owned(), ProblemCode::SchemaVersion)]
    );
}

#[test]
fn every_level_refuses_unknown_fields() {
    let gate = json!({"name": "g", "run": "true", "x": 1, "runtime": "container",
        "container": {"image": "i", "x": 1, "mounts": [{"source": "s", "target": "t", "type": "bind", "x": 1}]}});
    let document = json!({
        "schemaVersion": "1.0.0", "x": 1,
        "policy": {"x": 1, "retries": {"g": {"x": 1}}, "overrides": {"x": 1, "adminGreen": {"x": 1}},
            "mergeRule": {"type": "strict-required", "x": 1}, "performance": {"x": 1}},
        "items": [{"name": "a", "x": 1, "gates": [gate]}],
    });
    let mut paths: Vec<String> = problems(&document)
        .into_iter()
        .map(|(path, code)| {
            assert_eq!(code, ProblemCode::SchemaValidation);
            path
        })
        .collect();
    paths.sort();
    let mut expected = [
        "$.x",
        "$.policy.x",
        "$.policy.retries.g.x",
        "$.policy.overrides.x",
        "$.policy.overrides.adminGreen.x",
        "$.policy.mergeRule.x",
        "$.policy.performance.x",
        "$.items[0].x",
        "$.items[0].gates[0].x",
        "$.items[0].gates[0].container.x",
        "$.items[0].gates[0].container.mounts[0].x",
    ];
    expected.sort_unstable();
    assert_eq!(paths, expected);
}

#[test]
fn a_field_given_twice_is_refused() {
    let errors = Plan::from_json(r#"{"schemaVersion": "1.0.0", "target": "a", "target": "b"}"#)
        .expect_err("twice");
    assert_eq!(errors.problems()[0].path, "$.target");
    assert!(errors.problems()[0].message.contains("twice"));
}

#[test]
fn numbers_out_of_range_name_the_value_and_the_range() {
    assert_invalid(
        &with_policy(json!({"maxWorkers": 0})),
        "$.policy.maxWorkers",
        &["0", "1 to 1024"],
    );
    assert_invalid(
        &with_policy(json!({"maxWorkers": -3})),
        "$.policy.maxWorkers",
        &["-3", "1 to 1024"],
    );
    assert_invalid(
        &with_policy(json!({"maxWorkers": 1.5})),
        "$.policy.maxWorkers",
        &["1.5", "1 to 1024"],
    );
    assert_invalid(
        &with_policy(json!({"maxWorkers": u64::MAX})),
        "$.policy.maxWorkers",
        &["18446744073709551615"],
    );
    let retries = |retry: Value| with_policy(json!({"retries": {"g": retry}}));
    assert_invalid(
        &retries(json!({"maxAttempts": 0})),
        "$.policy.retries.g.maxAttempts",
        &["0", "1 to 100"],
    );
    assert_invalid(
        &retries(json!({"backoffSeconds": -1})),
        "$.policy.retries.g.backoffSeconds",
        &["-1", "0 to 3600"],
    );
    for (field, value, allowed) in [
        ("maxMemoryMB", 127, "128"),
        ("batchSize", 0, "1 to"),
        ("cacheTTLSeconds", -1, "0 to"),
        ("memoryThresholdPercent", 101, "0 to 100"),
    ] {
        let document = with_policy(json!({"performance": {field: value}}));
        assert_invalid(
            &document,
            &format!("$.policy.performance.{field}"),
            &[&value.to_string(), allowed],
        );
    }
    let timeout =
        |seconds: Value| with_gate(json!({"name": "g", "run": "true", "timeoutSeconds": seconds}));
    assert_invalid(
        &timeout(json!(0)),
        "$.items[0].gates[0].timeoutSeconds",
        &["0", "604800"],
    );
    assert_invalid(
        &timeout(json!(1e300)),
        "$.items[0].gates[0].timeoutSeconds",
        &["604800"],
    );
    assert!(parse(&timeout(json!(0.2))).is_ok());
}

#[test]
fn wrong_types_name_what_was_found() {
    assert_invalid(&with_items(json!("x")), "$.items", &["array", "\"x\""]);
    assert_invalid(&with_items(json!([7])), "$.items[0]", &["object", "7"]);
    assert_invalid(
        &with_items(json!([{"name": null}])),
        "$.items[0].name",
        &["string", "null"],
    );
    assert_invalid(
        &with_items(json!([{"name": "a", "deps": "b"}])),
        "$.items[0].deps",
        &["array", "\"b\""],
    );
    assert_invalid(
        &with_items(json!([{"name": "a", "deps": [["b"]]}])),
        "$.items[0].deps[0]",
        &["string", "an array of 1"],
    );
    assert_invalid(&with_policy(json!([])), "$.policy", &["object"]);
    assert_invalid(
        &with_policy(json!({"retries": {"my gate": 3}})),
        "$.policy.retries[\"my gate\"]",
        &["object", "3"],
    );
    assert_invalid(
        &with_policy(json!({"overrides": {"adminGreen": {"requireReason": "no"}}})),
        "$.policy.overrides.adminGreen.requireReason",
        &["true or false"],
    );
    assert_invalid(
        &with_policy(json!({"mergeRule": {"type": "best-effort"}})),
        "$.policy.mergeRule.type",
        &["strict-required", "best-effort"],
    );
}

#[test]
fn a_gate_runs_something_in_the_working_copy() {
    let gate = |field: &str, value: Value| {
        let mut gate = json!({"name": "g", "run": "true"});
        gate[field] = value;
        with_gate(gate)
    };
    let at = |field: &str| format!("$.items[0].gates[0].{field}");
    for run in [
        json!(""),
        json!("  "),
        json!([]),
        json!(5),
        json!("a\u{0}b"),
    ] {
        assert_invalid(&gate("run", run), &at("run"), &[]);
    }
    assert_invalid(&gate("run", json!([""])), &at("run[0]"), &["empty"]);
    assert_invalid(&gate("run", json!(["a", 5])), &at("run[1]"), &["5"]);
    for cwd in ["..", "a/../..", "/etc", "a/..", ""] {
        assert_invalid(&gate("cwd", json!(cwd)), &at("cwd"), &[]);
    }
    assert!(parse(&gate("cwd", json!("./a/b"))).is_ok());
    assert_invalid(
        &gate("artifacts", json!(["../x"])),
        &at("artifacts[0]"),
        &["../x"],
    );
    assert_invalid(
        &gate("env", json!({"A=B": "c"})),
        &at("env[\"A=B\"]"),
        &["="],
    );
    assert_invalid(
        &gate("env", json!({"A": 1})),
        &at("env.A"),
        &["string", "1"],
    );
    assert_invalid(
        &gate("runtime", json!("docker")),
        &at("runtime"),
        &["local, container, ci-service", "docker"],
    );
    assert_invalid(&with_gate(json!({"name": "g"})), &at("run"), &["required"]);
    assert_invalid(
        &with_gate(json!({"run": "true"})),
        &at("name"),
        &["required"],
    );
}

#[test]
fn names_that_git_would_read_as_options_are_refused() {
    assert_invalid(
        &with_items(json!([{"name": "--all"}])),
        "$.items[0].name",
        &["--all", "branch"],
    );
    assert!(parse(&with_items(json!([{"name": "--all", "branch": "all"}]))).is_ok());
    assert_invalid(
        &with_items(json!([{"name": "a", "branch": "--upload-pack=x"}])),
        "$.items[0].branch",
        &["'-'"],
    );
    assert_invalid(
        &json!({"schemaVersion": "1.0.0", "target": "-x"}),
        "$.target",
        &["'-'"],
    );
    assert_invalid(
        &with_items(json!([{"name": "a\nb"}])),
        "$.items[0].name",
        &["control"],
    );
    assert_invalid(
        &with_items(json!([{"name": "x".repeat(256)}])),
        "$.items[0].name",
        &["256", "1 to 255"],
    );
}

#[test]
fn a_name_holds_nothing_that_makes_it_read_as_another() {
    for unseen in [
        "\u{202e}", "\u{2066}", "\u{2069}", "\u{2028}", "\u{2029}", "\u{1b}",
    ] {
        let name = format!("a{unseen}b");
        let document = with_items(json!([{"name": name, "branch": "a"}]));
        assert_invalid(&document, "$.items[0].name", &["direction"]);
    }
    let text = parse(&with_items(json!([{"name": "\u{202e}", "branch": "a"}])));
    let text = text.expect_err("refused").to_string();
    assert!(!text.contains('\u{202e}'), "and neither does its error");
}

#[test]
fn a_revision_that_could_never_resolve_is_a_mistake_of_the_plan() {
    for (revision, rule) in [
        ("a b", "no ref may hold"),
        ("main:file", "no ref may hold"),
        ("main..v1", ".."),
        ("main@{0}", "@{"),
        ("@", "@"),
        ("^main", "follow a name"),
        ("main^{tree}", "digits"),
        ("a.lock", ".lock"),
        ("*", "no ref may hold"),
    ] {
        let item = with_items(json!([{"name": "a", "branch": revision}]));
        assert_invalid(&item, "$.items[0].branch", &["can be no revision", rule]);
        let target = json!({"schemaVersion": "1.0.0", "target": revision});
        assert_invalid(&target, "$.target", &[rule]);
    }
    let name = with_items(json!([{"name": "my work"}]));
    assert_invalid(&name, "$.items[0].name", &["give the item a branch"]);
    for revision in [
        "HEAD~2",
        "v1^2",
        "origin/a",
        "refs/heads/a",
        "mäin",
        "0123abcd",
    ] {
        let document = with_items(json!([{"name": "a", "branch": revision}]));
        assert!(parse(&document).is_ok(), "{revision}");
    }
}

#[test]
fn a_plan_forges_neither_what_a_gate_runs_for_nor_its_repository() {
    for (name, reason) in [
        ("BROLLY_ITEM", "BROLLY_"),
        ("BROLLY_COMMIT", "BROLLY_"),
        ("BROLLY_", "BROLLY_"),
        ("GIT_DIR", "another repository"),
        ("GIT_WORK_TREE", "another repository"),
        ("GIT_INDEX_FILE", "another repository"),
        ("GIT_OBJECT_DIRECTORY", "another repository"),
    ] {
        let document = with_gate(json!({"name": "g", "run": "true", "env": {name: "x"}}));
        let path = format!("$.items[0].gates[0].env.{name}");
        assert_invalid(&document, &path, &[name, reason]);
    }
    let env = json!({"BROLLYX": "x", "GIT_AUTHOR_NAME": "x", "PATH": "/bin"});
    assert!(parse(&with_gate(json!({"name": "g", "run": "true", "env": env}))).is_ok());
}

#[test]
fn every_mistake_is_listed_once() {
    let listed = |text: &str| -> Vec<String> {
        let errors = Plan::from_json(text).expect_err("wrong");
        errors
            .problems()
            .iter()
            .map(|problem| problem.path.clone())
            .collect()
    };
    let unknown = r#"{"schemaVersion": "1.0.0", "x": 1, "x": 2, "x": 3}"#;
    assert_eq!(listed(unknown), ["$.x"]);
    let thrice = r#"{"schemaVersion": "1.0.0", "target": "a", "target": "b", "target": "c"}"#;
    assert_eq!(listed(thrice), ["$.target"]);
    let gate = |gate: &str| {
        format!(r#"{{"schemaVersion": "1.0.0", "items": [{{"name": "a", "gates": [{gate}]}}]}}"#)
    };
    // Two mistakes in one entry: its name and its value.
    let path = "$.items[0].gates[0].env[\"a=b\"]";
    let both = gate(r#"{"name": "g", "run": "x", "env": {"a=b": 1}}"#);
    assert_eq!(listed(&both), [path, path]);
    let twice = gate(r#"{"name": "g", "run": "x", "env": {"a": 1, "a": 2, "a": 3}}"#);
    let path = "$.items[0].gates[0].env.a";
    assert_eq!(listed(&twice), [path, path], "given twice, and no string");
}

#[test]
fn a_number_with_a_fraction_is_shown_as_it_stands_in_the_document() {
    let document = with_policy(json!({"maxWorkers": 1.0}));
    assert_invalid(
        &document,
        "$.policy.maxWorkers",
        &["whole number without a fraction", "1.0"],
    );
    let document = with_policy(json!({"maxWorkers": 1e300}));
    assert_invalid(&document, "$.policy.maxWorkers", &["1e300"]);
}

#[test]
fn structural_mistakes_are_listed_with_those_of_the_schema() {
    let document = json!({
        "schemaVersion": "v1",
        "policy": {"maxWorkers": 0, "requiredGates": ["lint"]},
        "items": [
            {"name": "a", "deps": ["b"], "gates": [{"name": "lint", "run": "true"}, {"name": "lint", "run": "true"}]},
            {"name": "b", "deps": ["a", "nowhere"]},
            {"name": "a", "gates": [{"name": "lint", "run": "true"}]},
            {"name": "c", "deps": ["c"], "extra": true, "gates": [{"name": "lint", "run": "true"}]},
        ],
    });
    use ProblemCode::*;
    let expected = [
        ("$.schemaVersion", SchemaVersion),
        ("$.policy.maxWorkers", SchemaValidation),
        ("$.items[3].extra", SchemaValidation),
        ("$.items[2].name", DuplicateName),
        ("$.items[1].deps[1]", UnknownDependency),
        ("$.items[0].deps", PlanCycle),
        ("$.items[3].deps", PlanCycle),
        ("$.items[0].gates[1].name", DuplicateName),
        ("$.items[1].gates", GateMissing),
    ];
    let found = problems(&document);
    for (path, code) in expected {
        assert!(
            found.contains(&(path.to_owned(), code)),
            "{path} {code:?} in {found:?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:?}");
}

#[test]
fn a_cycle_is_named_in_order_and_without_bystanders() {
    let document = with_items(json!([
        {"name": "after", "deps": ["c"]}, {"name": "c", "deps": ["b"]}, {"name": "b", "deps": ["a"]},
        {"name": "a", "deps": ["c", "before"]}, {"name": "before"},
    ]));
    let errors = parse(&document).expect_err("a cycle");
    let [problem] = errors.problems() else {
        panic!("one problem expected: {errors}")
    };
    assert_eq!(problem.code, ProblemCode::PlanCycle);
    assert!(
        problem.message.ends_with("a -> c -> b -> a"),
        "{}",
        problem.message
    );
}

#[test]
fn a_required_gate_is_not_called_missing_where_names_could_not_be_read() {
    let document = json!({"schemaVersion": "1.0.0", "policy": {"requiredGates": ["lint"]},
        "items": [{"name": "a", "gates": [{"name": 5, "run": "true"}]}]});
    assert_eq!(
        problems(&document),
        [(
            "$.items[0].gates[0].name".to_owned(),
            ProblemCode::SchemaValidation
        )]
    );
}

#[test]
fn beyond_the_hundredth_problem_they_are_counted() {
    let items: Vec<Value> = (0..250).map(|_| json!({"name": 1})).collect();
    let errors = parse(&with_items(json!(items))).expect_err("all wrong");
    assert_eq!(
        (errors.problems().len(), errors.omitted()),
        (PlanErrors::MAX_LISTED, 150)
    );
    assert!(errors.to_string().ends_with("and 150 more"));
}

#[test]
fn beyond_the_thousandth_warning_they_are_counted() {
    let retries: serde_json::Map<String, Value> =
        (0..1_500).map(|n| (format!("g{n}"), json!({}))).collect();
    let mut policy = json!({"retries": retries});
    policy["retries"]["g"] = json!({});
    let parsed = parse(&with_policy(policy)).expect("legal");
    assert_eq!(
        (parsed.warnings.len(), parsed.warnings_omitted),
        (1_000, 500)
    );
}

#[test]
fn errors_serialize_with_path_code_and_message() {
    let errors = parse(&json!({"schemaVersion": "1.0.0", "target": 5})).expect_err("wrong");
    let read: Value = serde_json::from_str(&errors.to_json()).expect("JSON");
    assert_eq!(read["valid"], json!(false));
    assert_eq!(read["errors"][0]["path"], json!("$.target"));
    assert_eq!(read["errors"][0]["code"], json!("SCHEMA_VALIDATION"));
    assert_eq!(read["omitted"], json!(0));
}

#[test]
fn what_is_legal_and_doubtful_is_a_warning() {
    assert_eq!(
        warnings(&json!({"schemaVersion": "1.0.0"})),
        [("$.items".to_owned(), WarningCode::EmptyPlan)]
    );
    let found = warnings(&json!({
        "schemaVersion": "1.0.0",
        "policy": {"retries": {"gone": {}}, "optionalGates": ["g", "absent"], "requiredGates": ["g"], "performance": {},
            "overrides": {"adminGreen": {}}},
        "items": [
            {"name": "a", "gates": [{"name": "g", "run": "true", "runtime": "container", "container": {"image": "i"}}]},
            {"name": "b", "deps": ["a", "a"], "gates": [{"name": "g", "run": "true", "artifacts": ["x"], "container": {"image": "i"}}]},
        ],
    }));
    let expected = [
        ("$.policy.overrides.adminGreen", WarningCode::NotAvailable),
        ("$.policy.performance", WarningCode::NotAvailable),
        (
            "$.items[0].gates[0].runtime",
            WarningCode::UnsupportedRuntime,
        ),
        ("$.items[1].gates[0].container", WarningCode::NotAvailable),
        ("$.items[1].gates[0].artifacts", WarningCode::NotAvailable),
        ("$.items[1].deps[1]", WarningCode::DuplicateDependency),
        ("$.policy.retries.gone", WarningCode::UnknownGate),
        (
            "$.policy.optionalGates[0]",
            WarningCode::RequiredAndOptional,
        ),
        ("$.policy.optionalGates[1]", WarningCode::UnknownGate),
    ];
    assert_eq!(found, expected.map(|(path, code)| (path.to_owned(), code)));
}

#[test]
fn a_plan_reads_back_from_its_own_text() {
    let document = json!({
        "schemaVersion": "1.4.2", "target": "trunk",
        "policy": {"requiredGates": ["g"], "optionalGates": ["h"], "maxWorkers": 3, "blockOn": ["h*"],
            "retries": {"g": {"maxAttempts": 2, "backoffSeconds": 0.25}},
            "overrides": {"adminGreen": {"allowedUsers": ["ann"], "requireReason": true}},
            "mergeRule": {"type": "strict-required"}, "performance": {"maxMemoryMB": 512}},
        "items": [{"name": "a", "branch": "origin/a", "gates": [
            {"name": "g", "run": ["x", ""], "cwd": "sub", "env": {"K": "v"}, "timeoutSeconds": 1.5, "runtime": "ci-service"},
            {"name": "h", "run": "y", "runtime": "container", "artifacts": ["out"],
                "container": {"image": "i", "entrypoint": ["/bin/sh"], "mounts": [{"source": "s", "target": "/t", "type": "volume"}]}}]}],
    });
    let plan = parse(&document).expect("valid").plan;
    let again = Plan::from_json(&plan.to_json())
        .expect("its own text is valid")
        .plan;
    assert_eq!(again, plan);
    assert_eq!(again.to_json(), plan.to_json());
}

#[test]
fn a_plan_of_many_items_is_read_quickly_and_checked_whole() {
    let items: Vec<Value> = (0..20_000)
        .map(|n| json!({"name": format!("i{n}"), "deps": [format!("i{}", n + 1)]}))
        .collect();
    assert_eq!(
        problems(&with_items(json!(items))),
        [(
            "$.items[19999].deps[0]".to_owned(),
            ProblemCode::UnknownDependency
        )]
    );
}

#[test]
fn gates_missing_in_many_items_are_counted_and_not_spelled_out() {
    let items: Vec<Value> = (0..20_000)
        .map(|n| json!({"name": format!("i{n}"), "gates": [{"name": "g1", "run": "true"}]}))
        .collect();
    let required: Vec<String> = (0..999)
        .map(|n| format!("g{n}"))
        .chain(["g1".to_owned()])
        .collect();
    let document =
        json!({"schemaVersion": "1.0.0", "policy": {"requiredGates": required}, "items": items})
            .to_string();
    let start = std::time::Instant::now();
    let errors = Plan::from_json(&document).expect_err("gates are missing");
    // Spelled out, these would be twenty million texts: minutes instead of a second.
    assert!(start.elapsed() < std::time::Duration::from_secs(30));
    assert_eq!(errors.problems().len() + errors.omitted(), 20_000 * 998);
    assert!(
        errors
            .problems()
            .iter()
            .all(|problem| problem.code == ProblemCode::GateMissing)
    );
}

#[test]
fn the_lists_of_the_policy_are_bounded() {
    let names: Vec<String> = (0..1_001).map(|n| format!("g{n}")).collect();
    for list in ["requiredGates", "optionalGates", "blockOn"] {
        let found = problems(&with_policy(json!({list: names})));
        let expected = (format!("$.policy.{list}"), ProblemCode::LimitExceeded);
        assert_eq!(found, [expected]);
    }
}

#[test]
fn a_gate_is_optional_only_if_it_is_not_required_as_well() {
    let policy = json!({"requiredGates": ["g"], "optionalGates": ["g", "h"]});
    let plan = parse(&with_policy(policy)).expect("legal").plan;
    let required = ["g", "h", "other"].map(|gate| plan.is_required(gate));
    assert_eq!(required, [true, false, true]);
}

/// JSON that is often nearly a plan.
fn nearly_a_plan() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![
            Just("1.0.0"),
            Just("local"),
            Just("strict-required"),
            Just("a"),
            Just("b"),
            Just("..")
        ]
        .prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "schemaVersion",
        "target",
        "policy",
        "items",
        "name",
        "branch",
        "deps",
        "gates",
        "run",
        "cwd",
        "env",
        "runtime",
        "container",
        "image",
        "mounts",
        "type",
        "retries",
        "maxAttempts",
        "maxWorkers",
        "overrides",
        "adminGreen",
        "blockOn",
        "mergeRule",
        "performance",
        "batchSize",
        "timeoutSeconds",
        "artifacts",
        "requiredGates",
        "x y",
    ]);
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..8).prop_map(|entries| entries
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_it_panic(document in nearly_a_plan()) {
        if let Err(errors) = parse(&document) {
            prop_assert!(!errors.problems().is_empty());
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _ = Plan::from_json(&text);
    }

    #[test]
    fn each_of_many_mistakes_is_listed(wrong in prop::collection::vec(any::<bool>(), 1..40)) {
        let items: Vec<Value> = wrong.iter().enumerate()
            .map(|(index, &wrong)| json!({"name": format!("i{index}"), "deps": if wrong { json!(["?"]) } else { json!([]) }}))
            .collect();
        let document = with_items(json!(items));
        let expected: Vec<String> =
            (0..wrong.len()).filter(|&index| wrong[index]).map(|index| format!("$.items[{index}].deps[0]")).collect();
        match parse(&document) {
            Ok(_) => prop_assert!(expected.is_empty()),
            Err(errors) => {
                let found: Vec<&str> = errors.problems().iter().map(|problem| problem.path.as_str()).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
