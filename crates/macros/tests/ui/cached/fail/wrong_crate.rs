use brolly_ttl_cache::cached;

#[cached(crate = core)]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
