use brolly_metrics_core::timed;

#[timed("sell")]
fn sell() {}

fn main() {}
