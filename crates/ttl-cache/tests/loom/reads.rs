//! A reader without a lock against a writer: whole values, of the key that was asked for.

use loom::sync::Arc;
use loom::thread;

use crate::bounded;
use crate::store::index::Index;
use crate::store::published::{Glance, Published, Sequence};
use crate::store::slab::Slab;

/// One hash for all keys: tags and homes collide.
const HASH: u32 = 0x1234_5678;

struct Store {
    sequence: Sequence,
    published: Published<u64, [u64; 2]>,
    slab: Slab<u64, [u64; 2]>,
}

fn store() -> (Arc<Store>, Index) {
    let store = Store {
        sequence: Sequence::new(),
        published: Published::new(),
        slab: Slab::new(),
    };
    let mut index = Index::new();
    store.slab.write(0, 1, 10);
    index.insert(HASH, 0);
    store.published.publish(&index, &store.slab);
    (Arc::new(store), index)
}

impl Store {
    /// What a reader makes of a key: both words of its value, nothing, or no answer.
    fn look(&self, key: u64) -> Option<Option<[u64; 2]>> {
        // SAFETY: plain words; whatever was published is kept to the end of the model.
        match unsafe { self.published.find(&self.sequence, HASH, &key) } {
            Glance::Hit(value, deadline, _) => {
                assert_eq!(deadline, 1, "a vacant slot was read");
                Some(Some(value))
            }
            Glance::Miss => Some(None),
            Glance::Unclear => None,
        }
    }
}

#[test]
fn a_value_is_read_whole_or_not_at_all() {
    bounded(3, || {
        let (store, _index) = store();
        let writer = {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                for value in [20, 30] {
                    store.sequence.begin_write();
                    store.slab.write(0, 1, value);
                    store.sequence.end_write();
                }
            })
        };
        match store.look(1) {
            Some(Some([one, two])) => assert_eq!(one, two, "torn"),
            Some(None) => panic!("the key was there all the time"),
            None => {}
        }
        writer.join().expect("the writer does not panic");
        assert_eq!(store.look(1), Some(Some([30, 30])));
    });
}

#[test]
fn a_slot_that_was_filled_again_is_not_taken_for_its_old_key() {
    bounded(3, || {
        let (store, mut index) = store();
        let writer = {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                store.sequence.begin_write();
                index.remove(HASH, 0);
                store.slab.vacate(0);
                store.sequence.end_write();
                store.sequence.begin_write();
                store.slab.write(0, 2, 20);
                index.insert(HASH, 0);
                store.sequence.end_write();
                index
            })
        };
        if let Some(Some(value)) = store.look(1) {
            assert_eq!(value, [10, 10], "the value of another key");
        }
        if let Some(Some(value)) = store.look(2) {
            assert_eq!(value, [20, 20], "the value of another key");
        }
        let _index = writer.join().expect("the writer does not panic");
        assert_eq!((store.look(1), store.look(2)), (None, Some(Some([20, 20]))));
    });
}

#[test]
fn a_key_is_not_missed_while_the_index_grows() {
    bounded(2, || {
        let (store, index) = store();
        let index = Arc::new(index);
        let writer = {
            let (store, index) = (Arc::clone(&store), Arc::clone(&index));
            thread::spawn(move || {
                store.sequence.begin_write();
                let grown = index.grown(usize::MAX, |_| HASH);
                store.published.publish(&grown, &store.slab);
                store.sequence.end_write();
                grown
            })
        };
        assert!(matches!(store.look(1), None | Some(Some([10, 10]))));
        let _grown = writer.join().expect("the writer does not panic");
        assert_eq!(store.look(1), Some(Some([10, 10])));
    });
}
