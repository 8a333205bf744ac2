use brolly_ttl_cache::cached;

#[cached]
fn serve(port: u16) -> ! {
    panic!("{port}")
}

fn main() {}
