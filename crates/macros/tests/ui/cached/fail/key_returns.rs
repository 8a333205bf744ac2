use brolly_ttl_cache::cached;

#[cached(key: u64 = id?)]
fn price(id: Option<u64>) -> Option<u64> {
    id
}

fn main() {}
