use brolly_ttl_cache::cached;

#[cached]
fn price(id: impl Into<u64>) -> u64 {
    id.into()
}

fn main() {}
