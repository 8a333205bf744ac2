//! The merge order, against a slow and obvious one.

use std::collections::BTreeMap;

use brolly_merge_plan::Plan;
use proptest::prelude::*;
use serde_json::json;

fn parse(items: &[(String, Vec<String>)]) -> Plan {
    let items: Vec<_> = items
        .iter()
        .map(|(name, deps)| json!({"name": name, "branch": "main", "deps": deps}))
        .collect();
    let document = json!({"schemaVersion": "1.2.3", "items": items});
    Plan::from_json(&document.to_string())
        .expect("a valid plan")
        .plan
}

#[test]
fn names_are_sorted_bytewise_within_a_level() {
    let items = ["b", "a", "B", "é", "10", "9"].map(|name| (name.to_owned(), Vec::new()));
    assert_eq!(parse(&items).order(), [["10", "9", "B", "a", "b", "é"]]);
}

#[test]
fn an_empty_plan_has_an_empty_order() {
    assert!(parse(&[]).order().is_empty());
}

#[test]
fn names_with_separators_are_only_names() {
    let items = [
        ("a:b,c".to_owned(), vec![]),
        ("a".to_owned(), vec!["a:b,c".to_owned()]),
        ("b,c|".to_owned(), vec!["a".to_owned()]),
    ];
    assert_eq!(parse(&items).order(), [["a:b,c"], ["a"], ["b,c|"]]);
}

/// The level of a node by its definition: one above the highest of its dependencies.
fn level(index: usize, deps: &[Vec<usize>]) -> usize {
    deps[index]
        .iter()
        .map(|&dep| level(dep, deps) + 1)
        .max()
        .unwrap_or(0)
}

proptest! {
    #[test]
    fn the_order_is_that_of_the_definition(
        deps in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 0..12),
        shuffle in any::<u64>(),
    ) {
        // A node depends only on earlier ones, so there is no cycle; names hide that order.
        let deps: Vec<Vec<usize>> = deps
            .iter()
            .enumerate()
            .map(|(node, deps)| if node == 0 { vec![] } else { deps.iter().map(|dep| dep.index(node)).collect() })
            .collect();
        let name = |node: usize| format!("{:x}", (node as u64 + 1).wrapping_mul(shuffle | 1));
        let items: Vec<_> =
            (0..deps.len()).rev().map(|node| (name(node), deps[node].iter().map(|&dep| name(dep)).collect())).collect();
        let mut expected: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for node in 0..deps.len() {
            expected.entry(level(node, &deps)).or_default().push(name(node));
        }
        let expected: Vec<Vec<String>> = expected.into_values().map(|mut names| { names.sort(); names }).collect();
        let plan = parse(&items);
        prop_assert_eq!(plan.order(), expected);
    }
}
