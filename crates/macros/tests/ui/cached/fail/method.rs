use brolly_ttl_cache::cached;

struct Shop;

impl Shop {
    #[cached]
    fn price(&self, id: u64) -> u64 {
        id
    }
}

fn main() {}
