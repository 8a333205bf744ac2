use brolly_lazy::with_lazy;

trait Double {
    #[with_lazy(loader = || 7)]
    fn double(n: &u64) -> u64;
}

fn main() {}
