use std::num::ParseIntError;

use brolly_lazy::with_lazy;

#[with_lazy(loader = || "7".parse(), error = ParseIntError)]
fn double(n: &u64) -> Result<u64, std::fmt::Error> {
    Ok(n * 2)
}

fn main() {}
