//! Which rules are refused, and what the error says.

use std::time::Duration;

use brolly_advisor::{Conventions, LabelMatcher, Metric, Op, Rule, RuleProblem, RuleSet, Stat};

fn problem(edit: impl FnOnce(&mut Rule)) -> Option<(&'static str, RuleProblem)> {
    let mut rule = Rule::new("r", "m", Op::Gt, 1.0);
    edit(&mut rule);
    let error = RuleSet::new([rule]).err()?;
    Some((error.field, error.problem))
}

fn field(edit: impl FnOnce(&mut Rule)) -> Option<&'static str> {
    problem(edit).map(|(field, _)| field)
}

#[test]
fn a_plain_rule_is_accepted() {
    assert_eq!(problem(|_| {}), None);
    assert_eq!(field(|rule| rule.metric = Metric::new("a.b:c_d")), None);
}

#[test]
fn names_that_a_registry_would_refuse_are_refused() {
    for name in ["", "1a", "a b", "ä", "a{}", &"a".repeat(201)] {
        assert_eq!(
            field(|rule| rule.metric = Metric::new(name)),
            Some("metric"),
            "{name}"
        );
        assert_eq!(
            field(|rule| rule.of = vec![Metric::new(name)]),
            Some("of"),
            "{name}"
        );
        assert_eq!(
            field(|rule| rule.name = name.to_owned()),
            Some("name"),
            "{name}"
        );
    }
    for label in ["", "a.b", "__name__", ":a", "ä"] {
        let matcher = LabelMatcher {
            name: label.to_owned(),
            value: String::new(),
            is_equal: true,
        };
        assert_eq!(
            field(|rule| rule.metric.matchers = vec![matcher]),
            Some("match"),
            "{label}"
        );
        let with = |rule: &mut Rule| {
            rule.labels.insert(label.to_owned(), String::new());
        };
        assert_eq!(field(with), Some("labels"), "{label}");
    }
    for taken in ["severity", "alertname", "alertstate"] {
        let with = |rule: &mut Rule| {
            rule.labels.insert(taken.to_owned(), String::new());
        };
        assert_eq!(field(with), Some("labels"), "{taken}");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(field(|rule| rule.value = wrong), Some("value"));
        assert_eq!(field(|rule| rule.at_least = wrong), Some("at_least"));
        assert_eq!(field(|rule| rule.clear = Some(wrong)), Some("clear"));
        assert_eq!(
            field(|rule| rule.stat = Stat::Quantile(wrong)),
            Some("stat")
        );
    }
    assert_eq!(field(|rule| rule.stat = Stat::Quantile(1.1)), Some("stat"));
}

#[test]
fn a_window_is_given_where_it_means_something() {
    assert_eq!(
        problem(|rule| rule.stat = Stat::Rate),
        Some(("window", RuleProblem::NoWindow))
    );
    assert_eq!(
        field(|rule| rule.window = Some(Duration::from_secs(60))),
        Some("window")
    );
    let with_window = |window| {
        field(|rule| {
            rule.stat = Stat::Increase;
            rule.window = Some(window);
        })
    };
    assert_eq!(with_window(Duration::from_secs(1)), None);
    assert_eq!(with_window(Duration::from_millis(999)), Some("window"));
    assert_eq!(with_window(Duration::MAX), Some("window"));
    assert_eq!(field(|rule| rule.hold = Duration::MAX), Some("for"));
}

#[test]
fn an_alert_clears_on_the_other_side_of_where_it_fires() {
    for (op, clear, is_good) in [
        (Op::Gt, 0.5, true),
        (Op::Ge, 1.0, true),
        (Op::Gt, 1.5, false),
        (Op::Lt, 1.5, true),
        (Op::Le, 0.5, false),
        (Op::Eq, 1.0, false),
        (Op::Ne, 1.0, false),
    ] {
        let got = field(|rule| {
            rule.op = op;
            rule.clear = Some(clear);
        });
        assert_eq!(got.is_none(), is_good, "{op:?} {clear}");
    }
}

#[test]
fn sets_and_lists_are_bounded() {
    let matcher = LabelMatcher {
        name: "a".to_owned(),
        value: "x".repeat(1_025),
        is_equal: true,
    };
    let too_long = Some((
        "match",
        RuleProblem::TooLong {
            len: 1_025,
            max: 1_024,
        },
    ));
    assert_eq!(
        problem(|rule| rule.metric.matchers = vec![matcher.clone()]),
        too_long
    );
    let too_many = Some(("of", RuleProblem::TooMany { max: 16 }));
    assert_eq!(
        problem(|rule| rule.of = vec![Metric::new("m"); 17]),
        too_many
    );
    assert_eq!(
        field(|rule| rule.summary = "x".repeat(1_025)),
        Some("summary")
    );
    let many = (0..1_001).map(|n| Rule::new(format!("r{n}"), "m", Op::Gt, 1.0));
    let error = RuleSet::new(many).expect_err("one too many");
    assert_eq!(error.problem, RuleProblem::TooMany { max: 1_000 });
}

#[test]
fn two_rules_cannot_have_one_name() {
    let rule = Rule::new("r", "m", Op::Gt, 1.0);
    let error = RuleSet::new([rule.clone(), rule]).expect_err("the name is taken");
    assert_eq!(
        error.to_string(),
        "rule `r`: `name` is used by another rule too"
    );
}

#[test]
fn the_rules_that_come_along_are_nine_and_follow_the_conventions() {
    let rules = RuleSet::builtin(&Conventions::with_prefix("app"));
    assert_eq!(rules.rules().len(), 9);
    assert!(
        rules
            .rules()
            .iter()
            .all(|rule| rule.metric.name.starts_with("app_"))
    );
    // A name that is none takes only its own rules away.
    let conventions = Conventions {
        cache_score: "no name".to_owned(),
        ..Conventions::default()
    };
    assert_eq!(RuleSet::builtin(&conventions).rules().len(), 8);
}
