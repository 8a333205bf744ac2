use brolly_lazy::with_lazy;

#[with_lazy(loader = Vec::new)]
fn first<'a>(all: &Vec<&'a str>) -> usize {
    all.len()
}

fn main() {}
