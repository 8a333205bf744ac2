use brolly_ttl_cache::cached;

#[cached(ttl = 30)]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
