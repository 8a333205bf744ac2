use brolly_ttl_cache::cached;

#[cached(configure = 7)]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
