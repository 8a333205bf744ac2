//! Rules from TOML: everything that can be said, and where an error lies.

use std::time::Duration;

use brolly_advisor::{LabelMatcher, Missing, Op, RuleSet, RulesFileError, Severity, Stat};

fn error(text: &str) -> RulesFileError {
    RuleSet::from_toml(text).expect_err("it is wrong")
}

/// A good rule with one more line at line 6.
fn with(line: &str) -> String {
    format!("[[rule]]\nname = \"r\"\nmetric = \"m\"\nop = \">\"\nvalue = 1\n{line}\n")
}

fn place(text: &str) -> (usize, usize, Option<String>) {
    let error = error(text);
    (error.line, error.column, error.key)
}

#[test]
fn everything_that_a_rule_can_say_is_read() {
    let text = r#"
[[rule]]
name = "slow"
metric = "app.request.seconds"
match = { route = "/users", zone = "" }
not = { method = "HEAD" }
stat = "p99.9"
window = "5m"
op = ">="
value = 0.5
clear = 0.25
for = "1h30m"
severity = "critical"
missing = "keep"
summary = "Users wait."
labels = { team = "core" }

[[rule]]
name = "few_hits"
metric = "hits_total"
of = ["hits_total", "misses_total"]
at_least = 1_00
stat = "increase"
window = "1m"
op = "<"
value = 0x1
"#;
    let rules = RuleSet::from_toml(text).expect("good rules");
    let [slow, few] = rules.rules() else {
        panic!("two rules: {rules:?}");
    };
    assert_eq!(slow.stat, Stat::Quantile(0.999));
    assert_eq!((slow.op, slow.value, slow.clear), (Op::Ge, 0.5, Some(0.25)));
    assert_eq!(slow.hold, Duration::from_secs(5_400));
    assert_eq!(slow.window, Some(Duration::from_secs(300)));
    assert_eq!(
        (slow.severity, slow.missing),
        (Severity::Critical, Missing::Keep)
    );
    assert_eq!(slow.labels["team"], "core");
    let matcher = |name: &str, value: &str, is_equal| LabelMatcher {
        name: name.to_owned(),
        value: value.to_owned(),
        is_equal,
    };
    assert_eq!(
        slow.metric.matchers,
        [
            matcher("route", "/users", true),
            matcher("zone", "", true),
            matcher("method", "HEAD", false),
        ]
    );
    assert_eq!(few.of.len(), 2);
    assert_eq!((few.at_least, few.value), (100.0, 1.0));
    assert_eq!(
        (few.severity, few.hold),
        (Severity::Warning, Duration::ZERO)
    );
    assert_eq!(RuleSet::from_toml(""), Ok(RuleSet::default()));
}

#[test]
fn every_statistic_is_known_by_its_name() {
    for (name, stat) in [
        ("value", Stat::Value),
        ("mean", Stat::Mean),
        ("p0", Stat::Quantile(0.0)),
        ("p50", Stat::Quantile(0.5)),
        ("p95", Stat::Quantile(0.95)),
        ("p99", Stat::Quantile(0.99)),
        ("p99.99", Stat::Quantile(0.9999)),
        ("p100", Stat::Quantile(1.0)),
    ] {
        let rules = RuleSet::from_toml(&with(&format!("stat = \"{name}\""))).expect("known");
        assert_eq!(rules.rules()[0].stat, stat);
    }
    for name in ["", "p", "p101", "p-1", "p1e1", "pinf", "median", "P99"] {
        let key = Some("rule[0].stat".to_owned());
        assert_eq!(
            place(&with(&format!("stat = \"{name}\""))),
            (6, 8, key),
            "{name}"
        );
    }
}

#[test]
fn an_error_says_line_column_and_key() {
    let key = |name: &str| Some(format!("rule[0].{name}"));
    for (line, column, name) in [
        ("extra = 1", 1, "extra"),
        ("clear = \"x\"", 9, "clear"),
        ("clear = nan", 9, "clear"),
        ("clear = 2", 9, "clear"),
        ("for = 5", 7, "for"),
        ("for = \"5 minutes\"", 7, "for"),
        ("window = \"5m\"", 10, "window"),
        ("severity = \"loud\"", 12, "severity"),
        ("missing = true", 11, "missing"),
        ("of = [\"a\", 2]", 12, "of"),
        ("of = [\"a b\"]", 6, "of"),
        ("labels = { \"é\" = \"x\" }", 10, "labels"),
        ("match = { a = 1 }", 15, "match.a"),
        ("match = 1", 9, "match"),
        ("summary = [\"\"]", 11, "summary"),
        ("at_least = 99999999999999999999", 12, "at_least"),
    ] {
        assert_eq!(place(&with(line)), (6, column, key(name)), "{line}");
    }
    let error = error(&with("severity = \"loud\""));
    assert_eq!(
        error.to_string(),
        "line 6, column 12, key `rule[0].severity`: is not one of `info`, `warning`, `critical`"
    );
}

#[test]
fn a_missing_key_is_an_error_at_its_table() {
    let text = "# rules\n[[rule]]\nname = \"a\"\nmetric = \"m\"\nop = \">\"\n";
    assert_eq!(place(text), (2, 1, Some("rule[0].value".to_owned())));
}

#[test]
fn columns_are_counted_in_characters() {
    let text = "rule = [{ summary = \"ünï\", metric = 5, name = \"r\" }]";
    assert_eq!(place(text), (1, 37, Some("rule[0].metric".to_owned())));
}

#[test]
fn text_that_is_no_toml_is_an_error_where_it_ends_to_be() {
    let (line, column, _) = place("[[rule]]\nname = \"open\nmetric = 1\n");
    assert_eq!((line, column > 1), (2, true));
    let (line, ..) = place(&with("value = 2"));
    assert_eq!(line, 6, "a key that is given twice");
    assert_eq!(place("rules = []").2.as_deref(), Some("rules"));
    assert_eq!(place("rule = 1"), (1, 8, Some("rule".to_owned())));
    assert_eq!(place("rule = [1]"), (1, 9, Some("rule[0]".to_owned())));
    assert!(RuleSet::from_toml(&"[".repeat(100_000)).is_err());
    assert!(RuleSet::from_toml(&format!("a = {}", "[".repeat(100_000))).is_err());
}

#[test]
fn two_rules_of_one_name_are_an_error_at_the_second() {
    let text = with("") + &with("");
    assert_eq!(place(&text), (8, 8, Some("rule[1].name".to_owned())));
}

#[test]
fn files_and_numbers_of_rules_are_bounded() {
    let huge = format!("# {}", "x".repeat(1 << 20));
    assert!(
        error(&huge)
            .problem
            .contains("more than the 1048576 allowed")
    );
    let many: String = (0..1_001)
        .map(|n| format!("[[rule]]\nname = \"r{n}\"\nmetric = \"m\"\nop = \">\"\nvalue = 1\n"))
        .collect();
    assert_eq!(place(&many).2.as_deref(), Some("rule[1000]"));
}

#[test]
fn what_a_fuzzer_found_worth_keeping_is_read_without_a_panic() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/rules");
    let files = std::fs::read_dir(corpus).expect("the corpus is in the repository");
    let mut count = 0;
    for file in files {
        let bytes = std::fs::read(file.expect("readable").path()).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(rules) = RuleSet::from_toml(&text) {
            let _ = rules.to_prometheus_yaml(&text);
        }
        count += 1;
    }
    assert!(count >= 10, "{count} files");
}

#[test]
fn the_first_unknown_key_is_told_where_an_editor_shows_it() {
    for (text, line, column, key) in [
        ("\u{feff}zz = 1\naa = 2\n", 1, 1, "zz"),
        ("[[rule]]\nname = 'x'\n[zz]\n[aa]\n", 3, 2, "zz"),
    ] {
        let error = RuleSet::from_toml(text).expect_err("it is unknown");
        let place = (error.line, error.column, error.key.as_deref());
        assert_eq!(place, (line, column, Some(key)), "{text:?}");
    }
}
