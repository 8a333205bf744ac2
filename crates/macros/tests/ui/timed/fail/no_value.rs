use brolly_metrics_core::timed;

#[timed(registry)]
fn sell() {}

fn main() {}
