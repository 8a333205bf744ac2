use brolly_ttl_cache::cached;

use std::rc::Rc;

#[cached]
async fn price(id: u64) -> u64 {
    let counted = Rc::new(id);
    std::future::ready(()).await;
    *counted
}

fn main() {}
