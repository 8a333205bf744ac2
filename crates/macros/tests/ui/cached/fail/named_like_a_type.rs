use brolly_ttl_cache::cached;

#[cached]
fn str(id: u64) -> String {
    id.to_string()
}

fn main() {}
