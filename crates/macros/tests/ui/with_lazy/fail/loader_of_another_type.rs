use brolly_lazy::with_lazy;

#[with_lazy(loader = || "seven")]
fn double(n: &u64) -> u64 {
    n * 2
}

fn main() {}
