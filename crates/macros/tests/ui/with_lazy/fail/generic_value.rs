use brolly_lazy::with_lazy;

#[with_lazy(loader = Vec::new)]
fn first<T: Clone>(all: &Vec<T>) -> Option<T> {
    all.first().cloned()
}

fn main() {}
