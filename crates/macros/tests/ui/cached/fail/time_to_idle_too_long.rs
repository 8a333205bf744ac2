use brolly_ttl_cache::cached;

#[cached(time_to_idle = "366d")]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
