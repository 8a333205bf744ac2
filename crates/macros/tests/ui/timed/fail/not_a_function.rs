use brolly_metrics_core::timed;

#[timed]
struct Shop;

fn main() {}
