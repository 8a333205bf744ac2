use brolly_ttl_cache::cached;

mod price {}

#[cached]
fn price(id: u64) -> u64 {
    id
}

fn main() {}
