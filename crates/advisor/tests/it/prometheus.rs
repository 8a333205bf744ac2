//! Rule files for Prometheus, as its own tool judges them.

use std::process::{Command, Stdio};
use std::time::Duration;

use brolly_advisor::{Conventions, LabelMatcher, Metric, Missing, Op, Rule, RuleSet, Stat};

/// Texts that a careless writer would let through.
const NASTY: [&str; 15] = [
    "",
    "plain",
    "it's \"quoted\"",
    "two\nlines\r\n",
    "back\\slash \\n",
    "{{ $value }} $labels {{.x}} }} {{{",
    "{{ \"{{\" }}",
    "größe 日本 \u{1f327}",
    "\u{0}\u{1}\t\u{7f}\u{85}\u{9f}",
    "\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}\u{1fffe}",
    "- a: [b]",
    "# no comment",
    "%YAML",
    "true",
    "not \u{fffd} UTF-8",
];

/// Whether `promtool` is there; a test says once that it is not. With `CI=true` it has to be.
fn has_promtool() -> bool {
    let mut version = Command::new("promtool");
    version.arg("--version").stdout(Stdio::null());
    let is_there = version.stderr(Stdio::null()).status().is_ok();
    let may_lack = std::env::var("CI").as_deref() != Ok("true");
    assert!(
        is_there || may_lack,
        "no promtool; it is in the Debian package prometheus"
    );
    if !is_there {
        println!("SKIPPED: no promtool; Debian package prometheus");
    }
    is_there
}

/// What `promtool` says about these files: good or bad.
fn promtool(command: &[&str], files: &[(&str, &str)]) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder for the test");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let output = Command::new("promtool")
        .args(command)
        .current_dir(folder.path())
        .output()
        .expect("it was there just now");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}

fn check(rules: &RuleSet, group: &str) {
    let text = rules.to_prometheus_yaml(group);
    let verdict = promtool(&["check", "rules", "rules.yml"], &[("rules.yml", &text)]);
    let said = verdict.unwrap_or_else(|said| panic!("{said}\n{text}"));
    let found = format!("SUCCESS: {} rules found", rules.rules().len());
    assert!(said.contains(&found), "{said}");
}

/// Rules that use everything there is.
fn every_kind() -> Vec<Rule> {
    let mut rules = Vec::new();
    for stat in [
        Stat::Value,
        Stat::Increase,
        Stat::Rate,
        Stat::Mean,
        Stat::Quantile(0.99),
    ] {
        for op in Op::ALL {
            for missing in [Missing::Ok, Missing::Keep, Missing::Alert] {
                let name = format!("r{}", rules.len());
                let mut rule = Rule::new(name, "app.thing.seconds", op, -1e-9);
                rule.stat = stat;
                rule.missing = missing;
                rule.hold = Duration::from_millis(1_500);
                rule.clear = match op {
                    Op::Gt | Op::Ge => Some(-1e300),
                    Op::Lt | Op::Le => Some(1e300),
                    Op::Eq | Op::Ne => None,
                };
                rule.window = (stat != Stat::Value).then_some(Duration::from_secs(90));
                if rules.len() % 2 == 0 {
                    rule.of = vec![Metric::new("app.thing.seconds"), Metric::new("other")];
                    rule.at_least = 5.0;
                }
                rules.push(rule);
            }
        }
    }
    rules
}

#[test]
fn the_rules_that_come_along_are_accepted() {
    if !has_promtool() {
        return;
    }
    check(&RuleSet::builtin(&Conventions::default()), "brolly");
}

#[test]
fn every_kind_of_rule_is_accepted() {
    if !has_promtool() {
        return;
    }
    check(&RuleSet::new(every_kind()).expect("good rules"), "kinds");
    check(&RuleSet::default(), "none");
}

#[test]
fn every_text_is_accepted() {
    if !has_promtool() {
        return;
    }
    let rules = NASTY.iter().enumerate().map(|(index, text)| {
        let mut rule = Rule::new(format!("r{index}"), "m", Op::Gt, 1.0);
        for is_equal in [true, false] {
            rule.metric.matchers.push(LabelMatcher {
                name: "label".to_owned(),
                value: (*text).to_owned(),
                is_equal,
            });
        }
        rule.missing = Missing::Alert;
        rule.labels.insert("note".to_owned(), (*text).to_owned());
        rule.summary = (*text).to_owned();
        rule
    });
    let rules = RuleSet::new(rules).expect("good rules");
    for group in NASTY.iter().filter(|group| !group.is_empty()) {
        check(&rules, group);
    }
}

#[test]
fn metrics_named_like_words_of_the_query_language_are_accepted() {
    if !has_promtool() {
        return;
    }
    let words = "nan Inf atan2 on ignoring group_left group_right bool by sum and offset start";
    let rules = words.split(' ').map(|word| {
        let mut rule = Rule::new(word, word, Op::Gt, 1.0);
        rule.missing = Missing::Alert;
        rule
    });
    check(&RuleSet::new(rules).expect("good rules"), "words");
}

#[test]
fn texts_arrive_as_they_were_and_thresholds_fire_there_as_here() {
    if !has_promtool() {
        return;
    }
    // Asks the server's own engine: what a series does, which alerts it makes, with which labels.
    let mut rules = vec![hit_ratio("few_hits")];
    for (index, text) in NASTY.iter().enumerate().skip(1) {
        let mut rule = Rule::new(format!("r{index}"), "m", Op::Gt, 1.0);
        rule.labels.insert("note".to_owned(), (*text).to_owned());
        rule.summary = (*text).to_owned();
        rules.push(rule);
    }
    let rules = RuleSet::new(rules).expect("good rules");
    let mut test = String::from(
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      - series: m\n        values: 2x20\n      - series: hits_total{cache=\"a\"}\n        values: 0+40x20\n      - series: misses_total{cache=\"a\"}\n        values: 0+60x20\n      - series: misses_total{cache=\"never_hit\"}\n        values: 0+60x20\n      - series: hits_total{cache=\"good\"}\n        values: 0+60x20\n      - series: misses_total{cache=\"good\"}\n        values: 0+40x20\n      - series: misses_total{cache=\"hardly_used\"}\n        values: 0+1x20\n    alert_rule_test:\n",
    );
    test.push_str("      - eval_time: 10m\n        alertname: few_hits\n        exp_alerts:\n");
    for cache in ["a", "never_hit"] {
        test.push_str(&format!(
            "          - exp_labels: {{cache: {cache}, severity: warning}}\n"
        ));
    }
    for (index, text) in NASTY.iter().enumerate().skip(1) {
        // JSON is YAML, and another writer than ours.
        let text = serde_json::to_string(text).expect("text");
        let text = escape_for_yaml(&text);
        test.push_str(&format!(
            "      - eval_time: 10m\n        alertname: r{index}\n        exp_alerts:\n          - exp_labels: {{note: {text}, severity: warning}}\n            exp_annotations: {{summary: {text}}}\n"
        ));
    }
    let files = [
        ("rules.yml", rules.to_prometheus_yaml("g")),
        ("test.yml", test.clone()),
    ];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let verdict = promtool(&["test", "rules", "test.yml"], &files);
    verdict.unwrap_or_else(|said| panic!("{said}\n{}\n{test}", files[0].1));
}

#[test]
fn a_clear_threshold_keeps_an_alert_firing_there_too() {
    if !has_promtool() {
        return;
    }
    let mut rule = Rule::new("sticky", "m", Op::Gt, 5.0);
    rule.clear = Some(3.0);
    rule.labels.insert("team".to_owned(), "core".to_owned());
    let rules = RuleSet::new([rule]).expect("good");
    let mut test = String::from(
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      - series: m{pool=\"a\"}\n        values: 4 6 4 4 3 4 6\n    alert_rule_test:\n",
    );
    for (minute, is_firing) in [false, true, true, true, false, false, true]
        .iter()
        .enumerate()
    {
        test.push_str(&format!(
            "      - eval_time: {minute}m\n        alertname: sticky\n"
        ));
        if *is_firing {
            test.push_str("        exp_alerts:\n          - exp_labels: {pool: a, team: core, severity: warning}\n");
        }
    }
    let rules = rules.to_prometheus_yaml("g");
    let files = [("rules.yml", rules.as_str()), ("test.yml", test.as_str())];
    let verdict = promtool(&["test", "rules", "test.yml"], &files);
    verdict.unwrap_or_else(|said| panic!("{said}\n{rules}\n{test}"));
}

#[test]
fn labels_counters_and_what_is_no_number_mean_the_same_there() {
    if !has_promtool() {
        return;
    }
    let mut labelled = Rule::new("labelled", "m", Op::Gt, 5.0);
    for name in ["null", "true", "no", "y"] {
        labelled.labels.insert(name.to_owned(), name.to_owned());
    }
    let mut idle = Rule::new("idle", "s", Op::Ne, 0.5);
    idle.stat = Stat::Mean;
    idle.window = Some(Duration::from_secs(300));
    let mut gone = Rule::new("gone", "app.gone", Op::Gt, 5.0);
    gone.missing = Missing::Alert;
    let mut there = Rule::new("there", "app.jobs", Op::Lt, 5.0);
    there.missing = Missing::Alert;
    let rules = RuleSet::new([
        labelled,
        Rule::new("total", "app.jobs", Op::Gt, 5.0),
        Rule::new("differs", "odd", Op::Ne, 5.0),
        idle,
        gone,
        there,
    ]);
    let rules = rules.expect("good").to_prometheus_yaml("g");
    let mut test = String::from(
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      - series: m\n        values: 6x9\n      - series: app_jobs_total\n        values: 6x9\n      - series: odd\n        values: NaN NaN NaN NaN NaN NaN NaN NaN\n      - series: s_sum\n        values: 1x9\n      - series: s_count\n        values: 1x9\n    alert_rule_test:\n",
    );
    for (name, labels) in [
        (
            "labelled",
            Some("\"null\": \"null\", \"true\": \"true\", \"no\": \"no\", \"y\": \"y\", "),
        ),
        ("total", Some("")),
        ("differs", None),
        ("idle", None),
        ("gone", Some("")),
        ("there", None),
    ] {
        test.push_str(&format!(
            "      - eval_time: 7m\n        alertname: {name}\n"
        ));
        if let Some(labels) = labels {
            test.push_str(&format!(
                "        exp_alerts:\n          - exp_labels: {{{labels}severity: warning}}\n"
            ));
        }
    }
    let files = [("rules.yml", rules.as_str()), ("test.yml", test.as_str())];
    let verdict = promtool(&["test", "rules", "test.yml"], &files);
    verdict.unwrap_or_else(|said| panic!("{said}\n{rules}\n{test}"));
}

fn hit_ratio(name: &str) -> Rule {
    let mut rule = Rule::new(name, "hits_total", Op::Lt, 0.5);
    rule.stat = Stat::Increase;
    rule.window = Some(Duration::from_secs(300));
    rule.of = vec![Metric::new("hits_total"), Metric::new("misses_total")];
    rule.at_least = 100.0;
    rule
}

/// JSON leaves some characters bare that YAML wants escaped.
fn escape_for_yaml(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        match u32::from(c) {
            code @ (0x7f..=0x9f | 0x2028 | 0x2029 | 0xfeff | 0xfffe | 0xffff) => {
                out.push_str(&format!("\\u{code:04x}"));
            }
            code if code & 0xffff >= 0xfffe => out.push_str(&format!("\\U{code:08x}")),
            _ => out.push(c),
        }
    }
    out
}

#[test]
fn dots_become_underscores_and_counters_end_in_total() {
    let mut rule = Rule::new("r", "app.jobs", Op::Gt, 0.5);
    rule.stat = Stat::Rate;
    rule.window = Some(Duration::from_secs(60));
    let text = RuleSet::new([rule]).expect("good").to_prometheus_yaml("g");
    assert!(
        text.contains("expr: \"rate(app_jobs_total[60s]) > 0.5\""),
        "{text}"
    );
}
