use brolly_lazy::with_lazy;

struct Shop;

impl Shop {
    #[with_lazy(loader = || 7)]
    fn price(&self, price: &u64) -> u64 {
        *price
    }
}

fn main() {}
