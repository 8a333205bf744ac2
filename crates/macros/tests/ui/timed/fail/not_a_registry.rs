use brolly_metrics_core::timed;

#[timed(registry = 7)]
fn sell() {}

fn main() {}
