use brolly_ttl_cache::cached;

#[cached]
struct Shop;

fn main() {}
