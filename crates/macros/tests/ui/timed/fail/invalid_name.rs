use brolly_metrics_core::timed;

#[timed(name = "sold items")]
fn sell() {}

fn main() {}
