use brolly_ttl_cache::cached;

#[cached]
fn price(id: u64) -> u64 {
    id.to_string()
}

fn main() {}
