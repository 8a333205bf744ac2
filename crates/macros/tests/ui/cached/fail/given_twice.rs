use brolly_ttl_cache::cached;

#[cached(ttl = "1s", ttl = "2s")]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
