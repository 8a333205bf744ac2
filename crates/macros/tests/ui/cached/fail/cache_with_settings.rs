use brolly_ttl_cache::cached;

use brolly_ttl_cache::Cache;

struct Shop {
    prices: Cache<u64, u64>,
}

impl Shop {
    #[cached(cache = self.prices, ttl = "30s")]
    fn price(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
