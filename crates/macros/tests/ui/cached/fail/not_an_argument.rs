use brolly_ttl_cache::cached;

#[cached("30s")]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
