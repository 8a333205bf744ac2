use brolly_ttl_cache::cached;

#[cached(result = 1)]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
