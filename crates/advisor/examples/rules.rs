//! Alert rules from TOML (the rules that come with the crate, without a file), as a rule file for
//! Prometheus.
//!
//! `cargo run -p brolly-advisor --features toml --example rules -- rules.toml > rules.yml`

use brolly_advisor::{Conventions, RuleSet};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rules = match std::env::args().nth(1) {
        Some(file) => RuleSet::from_toml(&std::fs::read_to_string(file)?)?,
        None => RuleSet::builtin(&Conventions::default()),
    };
    print!("{}", rules.to_prometheus_yaml("brolly"));
    Ok(())
}
