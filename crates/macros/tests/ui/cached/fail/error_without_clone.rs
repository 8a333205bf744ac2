use brolly_ttl_cache::cached;

#[cached]
fn read(name: &str) -> std::io::Result<String> {
    std::fs::read_to_string(name)
}

fn main() {}
