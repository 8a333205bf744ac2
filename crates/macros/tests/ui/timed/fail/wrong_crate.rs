use brolly_metrics_core::timed;

#[timed(crate = core)]
fn sell() {}

fn main() {}
