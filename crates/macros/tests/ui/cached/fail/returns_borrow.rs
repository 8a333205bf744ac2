use brolly_ttl_cache::cached;

#[cached]
fn first(text: &str) -> &str {
    text
}

fn main() {}
