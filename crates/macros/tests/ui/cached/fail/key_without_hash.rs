use brolly_ttl_cache::cached;

#[cached]
fn price(id: u64, discount: f64) -> u64 {
    if discount > 0.5 { id / 2 } else { id }
}

fn main() {}
