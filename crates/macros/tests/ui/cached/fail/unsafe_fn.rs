use brolly_ttl_cache::cached;

#[cached]
unsafe fn price(id: u64) -> u64 {
    id
}

fn main() {}
