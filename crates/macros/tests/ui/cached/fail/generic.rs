use brolly_ttl_cache::cached;

#[cached]
fn price<T: Into<u64>>(id: T) -> u64 {
    id.into()
}

fn main() {}
