//! [`Levels`]: the nodes of a graph grouped by how deep their dependencies reach.

use crate::dag::dense::DenseDag;

/// The levels of a [`DenseDag`], in two arrays whatever their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// All nodes, level by level.
    nodes: Box<[u32]>,
    /// Where each level ends.
    ends: Box<[u32]>,
}

impl Levels {
    pub(crate) fn new(dag: &DenseDag) -> Self {
        let mut level_of = vec![0_u32; dag.len()];
        let mut sizes: Vec<u32> = Vec::new();
        for &node in dag.topological_order() {
            let below = dag.dependencies(node as usize).iter();
            let level = below.map(|&on| level_of[on as usize] + 1).max();
            let level = level.unwrap_or(0);
            level_of[node as usize] = level;
            if level as usize == sizes.len() {
                sizes.push(0); // a level's first node comes after one of the level below
            }
            sizes[level as usize] += 1;
        }
        // A counting sort by level keeps the indexes within a level ascending.
        let mut next = Vec::with_capacity(sizes.len());
        let mut total = 0;
        for size in &mut sizes {
            next.push(total);
            total += *size;
            *size = total;
        }
        let mut nodes = vec![0; dag.len()];
        for (node, &level) in (0..).zip(&level_of) {
            let at = &mut next[level as usize];
            nodes[*at as usize] = node;
            *at += 1;
        }
        Self {
            nodes: nodes.into(),
            ends: sizes.into(),
        }
    }

    /// How many levels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no level, because there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The levels from the first, each with its nodes ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let level = &self.nodes[start..end as usize];
            start = end as usize;
            level
        })
    }
}
