use brolly_ttl_cache::cached;

#[cached(key = id % 10)]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
