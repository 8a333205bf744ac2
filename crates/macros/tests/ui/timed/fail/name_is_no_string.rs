use brolly_metrics_core::timed;

#[timed(name = 7)]
fn sell() {}

fn main() {}
