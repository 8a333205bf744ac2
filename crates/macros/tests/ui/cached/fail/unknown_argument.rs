use brolly_ttl_cache::cached;

#[cached(size = 5)]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
