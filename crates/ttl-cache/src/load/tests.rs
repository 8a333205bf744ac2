//! What a load does while it waits for something inside of the cache.

use std::thread;

use crate::cache::Cache;
use crate::primitive::lock;

/// A load of a value that needs the room of all entries: those in its own shard are not enough, so
/// it waits until it is its turn to gather. That can be made to last.
#[test]
fn a_load_that_waits_for_room_stores_its_value_unless_the_key_is_written_meanwhile() {
    for written in [false, true] {
        let cache: Cache<u32, u64> = Cache::builder()
            .max_weight(100)
            .weigher(|_, weight| *weight)
            .shards(2)
            .build()
            .expect("all of it is allowed");
        let inner = &cache.inner;
        let first = |key: &u32| std::ptr::eq(inner.shard(inner.hash(key)), &inner.shards()[0]);
        let (here, there): (Vec<u32>, Vec<u32>) = (0..64).partition(first);
        cache.insert(here[0], 40);
        cache.insert(there[0], 60);
        let turn = lock(&inner.gathering);
        thread::scope(|scope| {
            let loads = scope.spawn(|| cache.get_blocking(here[1], || 100));
            // It has seen that its key is unwritten, and has let go of its shard.
            while cache.stats().evictions == 0 {
                thread::yield_now();
            }
            if written {
                cache.invalidate(&here[1]);
            }
            drop(turn);
            let loaded = loads.join().expect("nobody panics");
            assert_eq!(loaded.expect("it is loaded"), 100);
        });
        assert_eq!(cache.get(&here[1]), (!written).then_some(100));
        assert_eq!(cache.stats().loads.superseded, u64::from(written));
        // It is off the list: the next one does not wait for it.
        cache.invalidate(&here[1]);
        let again = cache.get_blocking(here[1], || 1);
        assert_eq!(again.expect("it is loaded"), 1);
    }
}
