use brolly_metrics_core::timed;

#[timed(name = "a", name = "b")]
fn sell() {}

fn main() {}
