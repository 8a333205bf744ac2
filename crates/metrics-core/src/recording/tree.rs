//! [`Tree`]: what one thread keeps for each small number, found in two steps and never moved.

use std::cell::OnceCell;

/// Entries of a node.
const WIDTH: usize = 64;

/// A table from small numbers to values that are set once, filled in where it is touched.
///
/// It is owned by one thread, so reading it takes two plain loads.
pub(crate) struct Tree<T> {
    root: [OnceCell<Box<Node<T>>>; WIDTH],
}

struct Node<T> {
    leaves: [OnceCell<T>; WIDTH],
}

impl<T> Tree<T> {
    /// Numbers from here on have no place.
    pub(crate) const LEN: usize = WIDTH * WIDTH;

    pub(crate) const fn new() -> Self {
        Self {
            root: [const { OnceCell::new() }; WIDTH],
        }
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        let node = self.root.get(at / WIDTH)?.get()?;
        node.leaves[at % WIDTH].get()
    }

    /// The value at a number below [`LEN`](Self::LEN), made if there is none.
    pub(crate) fn get_or_init(&self, at: usize, make: impl FnOnce() -> T) -> &T {
        let node = self.root[at / WIDTH].get_or_init(|| {
            Box::new(Node {
                leaves: [const { OnceCell::new() }; WIDTH],
            })
        });
        node.leaves[at % WIDTH].get_or_init(make)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let nodes = self.root.iter().filter_map(OnceCell::get);
        nodes.flat_map(|node| node.leaves.iter().filter_map(OnceCell::get))
    }
}
