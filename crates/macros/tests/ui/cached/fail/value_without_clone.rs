use brolly_ttl_cache::cached;

struct Price(u64);

#[cached]
fn price(id: u64) -> Price {
    Price(id)
}

fn main() {}
