use brolly_ttl_cache::cached;

#[cached(ttl = "0s")]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
