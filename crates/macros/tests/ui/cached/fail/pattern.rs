use brolly_ttl_cache::cached;

#[cached]
fn price((id, amount): (u64, u64)) -> u64 {
    id * amount
}

fn main() {}
