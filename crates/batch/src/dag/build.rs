//! From a list of edges to adjacency in compressed rows, a topological order, and the cycles.
//!
//! The order is Kahn's (A. B. Kahn, "Topological sorting of large networks", 1962). Nothing here
//! recurses, and everything is linear in nodes and edges.

use crate::dag::error::DagError;

/// Nodes and edges are counted in 32 bits; the last value is kept free.
const MAX_COUNT: usize = u32::MAX as usize - 1;

/// Checks that the indexes suffice for `count` nodes or edges.
pub(crate) fn checked_count<K>(what: &'static str, count: usize) -> Result<(), DagError<K>> {
    if count <= MAX_COUNT {
        return Ok(());
    }
    Err(DagError::TooLarge {
        what,
        count,
        max: MAX_COUNT,
    })
}

/// Rows of adjacent nodes, one row per node, in one array.
pub(crate) struct Rows {
    /// Row `i` lies between offset `i` and offset `i + 1`.
    offsets: Box<[u32]>,
    entries: Box<[u32]>,
}

impl Rows {
    /// Row `from` lists all `to` of its edges, in the order of the edges.
    pub(crate) fn new(nodes: usize, edges: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        // Counts land two places ahead; summing makes offset `i + 1` the start of row `i`, and
        // filling the rows moves it to the row's end, where it belongs.
        let mut offsets = vec![0_u32; nodes + 2];
        for (from, _) in edges.clone() {
            offsets[from as usize + 2] += 1;
        }
        let mut total = 0;
        for offset in &mut offsets {
            total += *offset;
            *offset = total;
        }
        let mut entries = vec![0_u32; total as usize];
        for (from, to) in edges {
            let next = &mut offsets[from as usize + 1];
            entries[*next as usize] = to;
            *next += 1;
        }
        offsets.pop();
        Self {
            offsets: offsets.into(),
            entries: entries.into(),
        }
    }

    pub(crate) fn row(&self, node: usize) -> &[u32] {
        &self.entries[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }
}

/// A topological order of all nodes that are not on or behind a cycle, and the number of each
/// node's dependencies that the order left open.
pub(crate) fn order(dependents: &Rows, dependency_counts: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut open = dependency_counts.to_vec();
    let mut order = Vec::with_capacity(open.len());
    order.extend(
        (0..)
            .zip(&open)
            .filter(|&(_, &count)| count == 0)
            .map(|(node, _)| node),
    );
    let mut next = 0;
    while let Some(&node) = order.get(next) {
        next += 1;
        for &dependent in dependents.row(node as usize) {
            let count = &mut open[dependent as usize];
            *count -= 1;
            if *count == 0 {
                order.push(dependent);
            }
        }
    }
    (order, open)
}

/// Finds cycles that share no node and without which the graph would have none: every cycle of
/// the graph shares a node with one of these.
///
/// It walks from a node that is stuck to one of its stuck dependencies, and on, until the walk
/// meets itself. That cycle is reported and taken out, with everything that is no longer stuck
/// without it; the walk then goes on from where it entered the cycle.
pub(crate) fn cycles(
    edges: &[(u32, u32)],
    dependents: &Rows,
    mut open: Vec<u32>,
) -> Vec<DagError<usize>> {
    let nodes = open.len();
    let dependencies = Rows::new(nodes, edges.iter().map(|&(from, to)| (to, from)));
    // Per node, how many of its dependencies were found to be no longer stuck.
    let mut passed = vec![0_usize; nodes];
    let mut stuck: Vec<bool> = open.iter().map(|&count| count > 0).collect();
    let mut on_walk = vec![false; nodes];
    let mut errors = Vec::new();

    for start in 0..nodes {
        let mut walk: Vec<usize> = Vec::new();
        loop {
            while walk.last().is_some_and(|&node| !stuck[node]) {
                walk.pop();
            }
            let here = match walk.last() {
                Some(&node) => node,
                None if stuck[start] => {
                    walk.push(start);
                    on_walk[start] = true;
                    start
                }
                None => break,
            };
            let row = dependencies.row(here);
            while !stuck[row[passed[here]] as usize] {
                passed[here] += 1;
            }
            let dependency = row[passed[here]] as usize;
            if !on_walk[dependency] {
                walk.push(dependency);
                on_walk[dependency] = true;
                continue;
            }
            let entry = walk
                .iter()
                .rposition(|&node| node == dependency)
                .expect("the walk has met this node");
            let mut path = walk.split_off(entry);
            release(&path, dependents, &mut open, &mut stuck);
            let least = (0..path.len()).min_by_key(|&at| path[at]).unwrap_or(0);
            path.rotate_left(least);
            errors.push(DagError::Cycle { path });
        }
    }
    errors
}

/// Takes nodes out of the stuck ones, and all that were stuck only because of them.
fn release(cycle: &[usize], dependents: &Rows, open: &mut [u32], stuck: &mut [bool]) {
    let mut free = cycle.to_vec();
    for &node in cycle {
        stuck[node] = false;
    }
    while let Some(node) = free.pop() {
        for &dependent in dependents.row(node) {
            let dependent = dependent as usize;
            open[dependent] -= 1;
            if open[dependent] == 0 && stuck[dependent] {
                stuck[dependent] = false;
                free.push(dependent);
            }
        }
    }
}
