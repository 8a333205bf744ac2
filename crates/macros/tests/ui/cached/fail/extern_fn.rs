use brolly_ttl_cache::cached;

#[cached]
extern "C" fn price(id: u64) -> u64 {
    id
}

fn main() {}
