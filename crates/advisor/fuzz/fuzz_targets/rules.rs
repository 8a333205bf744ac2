//! Rule files: no text makes the reader or the writer of Prometheus rules panic, an error lies
//! within the text, and what is accepted can be written.
//!
//! `cargo +nightly fuzz run rules tests/corpus/rules` in the folder of the crate.
#![no_main]

use brolly_advisor::RuleSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match RuleSet::from_toml(text) {
        Ok(rules) => {
            let yaml = rules.to_prometheus_yaml(text);
            assert!(yaml.starts_with("groups:\n"));
            // One line for each thing that is said: no text breaks out of its scalar.
            let lines = rules.rules().iter().map(|rule| {
                5 + rule.labels.len() + 2 * usize::from(!rule.summary.is_empty())
            });
            assert_eq!(yaml.lines().count(), 3 + lines.sum::<usize>());
            assert!(!yaml.contains('\r'));
        }
        Err(error) => {
            let lines = text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&error.line), "{error}");
            assert!(error.column >= 1 && error.column <= text.len() + 1, "{error}");
            assert!(!error.problem.is_empty());
        }
    }
});
