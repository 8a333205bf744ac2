use brolly_ttl_cache::cached;

use brolly_ttl_cache::Cache;

struct Shop {
    prices: Cache<u64, u64>,
}

impl Shop {
    #[cached(cache = self.prices)]
    fn price(&mut self, id: u64) -> u64 {
        id
    }
}

fn main() {}
