use brolly_ttl_cache::cached;

struct Database;

#[cached(key = id)]
async fn price(database: &Database, id: u64) -> u64 {
    let _ = database;
    id
}

fn main() {}
