use brolly_ttl_cache::cached;

#[cached(key = (id, shop))]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
