use brolly_lazy::with_lazy;

#[with_lazy(loader = || 7)]
struct Double;

fn main() {}
