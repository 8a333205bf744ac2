use brolly_metrics_core::timed;

#[timed(label = "x")]
fn sell() {}

fn main() {}
