use brolly_ttl_cache::cached;

trait Shop {
    #[cached]
    fn price(id: u64) -> u64;
}

fn main() {}
