use brolly_ttl_cache::cached;

#[cached]
fn prices(count: u64) -> impl Iterator<Item = u64> {
    0..count
}

fn main() {}
