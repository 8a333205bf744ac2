use brolly_lazy::with_lazy;

fn main() {
    let seven = 7;

    #[with_lazy(loader = move || seven)]
    fn double(n: &u64) -> u64 {
        n * 2
    }
}
