use brolly_lazy::{Lazy, with_lazy};

#[with_lazy(lazy = other, ttl = "5m")]
fn double(n: &u64, other: &Lazy<u64>) -> u64 {
    n * 2
}

fn main() {}
