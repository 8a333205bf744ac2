//! How large the public types are: what is passed around stays small.

use brolly_ttl_cache::{Cache, EvictionPolicy, RemovalCause};

#[test]
fn a_handle_is_one_pointer() {
    assert_eq!(size_of::<Cache<String, String>>(), size_of::<usize>());
    assert_eq!(
        size_of::<Option<Cache<String, String>>>(),
        size_of::<usize>()
    );
}

#[test]
fn choices_are_one_byte() {
    assert_eq!(size_of::<EvictionPolicy>(), 1);
    assert_eq!(size_of::<RemovalCause>(), 1);
}
