use brolly_lazy::with_lazy;

#[with_lazy(loader = || 7)]
fn double(n: &mut u64) {
    *n *= 2;
}

fn main() {}
