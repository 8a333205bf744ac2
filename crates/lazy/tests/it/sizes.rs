//! How large the public types are: what is passed around stays small.

use std::sync::OnceLock;

use brolly_lazy::{Lazy, LazyMap, LoadError, Once};

const WORD: usize = size_of::<usize>();

#[test]
fn a_handle_is_one_pointer() {
    assert_eq!(size_of::<Lazy<[u8; 100]>>(), WORD);
    assert_eq!(size_of::<Option<Lazy<String>>>(), WORD);
    assert_eq!(size_of::<LazyMap<String, String>>(), WORD);
}

#[test]
fn a_cell_is_four_words_larger_than_the_standard_one_at_most() {
    let more = size_of::<Once<String>>() - size_of::<OnceLock<String>>();
    assert!(more <= 4 * WORD, "{more}");
}

#[test]
fn futures_and_errors_are_small() {
    let lazy = Lazy::new(|| async { 7 });
    assert!(size_of_val(&lazy.try_get()) <= 8 * WORD);
    assert!(size_of::<LoadError<String>>() <= 3 * WORD);
}
