use brolly_metrics_core::timed;

#[timed]
fn sell() -> u32 {
    "seven"
}

#[timed]
async fn sell_later() -> u32 {
    "seven"
}

fn main() {}
