use brolly_ttl_cache::cached;

#[cached(option = true)]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
