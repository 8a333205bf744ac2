use brolly_ttl_cache::cached;

#[cached(key = id)]
fn price(id: u64, log: &mut Vec<u64>) -> u64 {
    log.push(id);
    id
}

fn main() {}
