use brolly_ttl_cache::cached;

#[cached]
fn price(name: Option<&str>) -> usize {
    name.map_or(0, str::len)
}

fn main() {}
