use brolly_metrics_core::timed;

#[timed(name = "")]
fn sell() {}

fn main() {}
