use std::cell::Cell;

use brolly_lazy::with_lazy;

#[with_lazy(loader = || Cell::new(7))]
fn double(n: &Cell<u64>) -> u64 {
    n.get() * 2
}

fn main() {}
