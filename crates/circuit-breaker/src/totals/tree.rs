//! [`Tree`]: what one thread keeps for each small number, found in two steps and never moved.

use std::cell::OnceCell;

/// Entries of a node.
const WIDTH: usize = 64;

/// A table from small numbers to values that are set once, filled in where it is touched. One
/// thread owns it, so reading takes two plain loads.
pub(super) struct Tree<T> {
    nodes: [OnceCell<Box<[OnceCell<T>; WIDTH]>>; WIDTH],
}

impl<T> Tree<T> {
    /// Numbers from here on have no place.
    pub(super) const LEN: usize = WIDTH * WIDTH;

    pub(super) const fn new() -> Self {
        Self {
            nodes: [const { OnceCell::new() }; WIDTH],
        }
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> Option<&T> {
        self.nodes.get(at / WIDTH)?.get()?[at % WIDTH].get()
    }

    /// The value at a number below [`LEN`](Self::LEN), made if there is none.
    pub(super) fn get_or_init(&self, at: usize, make: impl FnOnce() -> T) -> &T {
        let node =
            self.nodes[at / WIDTH].get_or_init(|| Box::new([const { OnceCell::new() }; WIDTH]));
        node[at % WIDTH].get_or_init(make)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        let nodes = self.nodes.iter().filter_map(OnceCell::get);
        nodes.flat_map(|node| node.iter().filter_map(OnceCell::get))
    }
}
