use brolly_ttl_cache::cached;

#[cached(max_capacity = "many")]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
