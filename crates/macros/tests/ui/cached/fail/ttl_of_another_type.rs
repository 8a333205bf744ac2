use brolly_ttl_cache::cached;

#[cached(ttl = u64::from(30_u8))]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
