use brolly_ttl_cache::cached;

#[cached(key: u32 = id % 10)]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
