use brolly_lazy::with_lazy;

#[with_lazy(loader = || 7)]
fn u64(n: &u8) -> u8 {
    *n
}

fn main() {}
