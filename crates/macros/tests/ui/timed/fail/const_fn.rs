use brolly_metrics_core::timed;

#[timed]
const fn answer() -> u32 {
    42
}

fn main() {}
