use brolly_ttl_cache::cached;

#[cached(result = true, option = true)]
fn price(id: u64) -> Option<u64> {
    Some(id)
}

fn main() {}
