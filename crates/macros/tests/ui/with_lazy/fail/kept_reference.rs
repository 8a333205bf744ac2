use brolly_lazy::with_lazy;

#[with_lazy(loader = || 7)]
fn double(n: &'static u64) -> &'static u64 {
    n
}

fn main() {}
