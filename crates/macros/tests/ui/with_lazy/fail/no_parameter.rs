use brolly_lazy::with_lazy;

#[with_lazy(loader = || 7)]
fn seven() -> u64 {
    7
}

fn main() {}
