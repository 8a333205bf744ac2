use brolly_ttl_cache::cached;

#[cached(result = true)]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
