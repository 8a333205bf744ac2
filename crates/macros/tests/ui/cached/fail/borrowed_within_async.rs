use brolly_ttl_cache::cached;

#[cached(key: usize = name.map_or(0, str::len))]
async fn price(name: Option<&str>) -> usize {
    name.map_or(0, str::len)
}

fn main() {}
