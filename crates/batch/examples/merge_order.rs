//! Orders branches by their dependencies and merges them, two at a time; one of them conflicts.
//!
//! Run with `cargo run -p brolly-batch --example merge_order`.

use brolly_batch::{Dag, Outcome};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let branches = Dag::from_dependencies([
        ("login-page", vec!["auth-api", "design"]),
        ("auth-api", vec!["schema"]),
        ("schema", vec![]),
        ("design", vec![]),
        ("billing", vec!["schema"]),
        ("invoices", vec!["billing"]),
    ])?;
    for (number, level) in branches.levels().iter().enumerate() {
        println!("level {number}: {}", level.join(", "));
    }

    let outcomes = branches.run_blocking(2, |branch| match *branch.key {
        "billing" => Err("conflict in prices.toml"),
        name => Ok(format!("merged {name}")),
    })?;
    for (branch, outcome) in branches.keys().iter().zip(outcomes) {
        match outcome {
            Outcome::Done(text) => println!("{branch}: {text}"),
            Outcome::Failed(error) => println!("{branch}: {error}"),
            Outcome::Blocked { by } => {
                let causes: Vec<_> = by.iter().filter_map(|&at| branches.key(at)).collect();
                println!("{branch}: blocked by {causes:?}");
            }
            _ => println!("{branch}: unknown"),
        }
    }

    let wrong = Dag::from_dependencies([("a", vec!["b"]), ("b", vec!["a"]), ("c", vec!["nobody"])]);
    if let Err(errors) = wrong {
        for error in errors {
            println!("refused: {error}");
        }
    }
    Ok(())
}
