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
        let mut counts = vec![0_u32; nodes + 2];
        edges
            .clone()
            .for_each(|(from, _)| counts[from as usize + 2] += 1);
        Self::with_counts(counts, edges)
    }

    /// The same, when the length of row `i` has already been counted into `counts[i + 2]`. Summing
    /// them up makes entry `i + 1` the start of row `i`; filling the rows moves it on to the row's
    /// end, where it belongs.
    pub(crate) fn with_counts(
        mut counts: Vec<u32>,
        edges: impl Iterator<Item = (u32, u32)>,
    ) -> Self {
        let mut total = 0;
        for count in &mut counts {
            total += *count;
            *count = total;
        }
        let mut entries = vec![0_u32; total as usize];
        edges.for_each(|(from, to)| {
            let next = &mut counts[from as usize + 1];
            entries[*next as usize] = to;
            *next += 1;
        });
        counts.pop();
        Self {
            offsets: counts.into(),
            entries: entries.into(),
        }
    }

    pub(crate) fn row(&self, node: usize) -> &[u32] {
        &self.entries[self.offsets[node] as usize..self.offsets[node + 1] as usize]
    }
}

/// The nodes in topological order, and the weight of the heaviest path from each, when all weigh 1.
pub(crate) struct Order {
    pub(crate) nodes: Box<[u32]>,
    pub(crate) remaining: Box<[u64]>,
}

/// Kahn's algorithm from the far end: a node is placed, last places first, once all its dependents
/// are. Walking in that direction yields the longest paths in the same pass.
///
/// If there are cycles, returns for each node how many of its dependents could not be placed.
pub(crate) fn order(dependencies: &Rows, dependent_counts: Vec<u32>) -> Result<Order, Vec<u32>> {
    let count = dependent_counts.len();
    let mut open = dependent_counts;
    let mut nodes = vec![0_u32; count].into_boxed_slice();
    let mut remaining = vec![1_u64; count].into_boxed_slice();
    let mut placed = count;
    for (node, _) in (0..).zip(&open).filter(|&(_, &open)| open == 0) {
        placed -= 1;
        nodes[placed] = node;
    }
    let mut next = count;
    while next > placed {
        next -= 1;
        let node = nodes[next] as usize;
        let through = remaining[node] + 1;
        for &dependency in dependencies.row(node) {
            let dependency = dependency as usize;
            let longest = &mut remaining[dependency];
            *longest = (*longest).max(through);
            let count = &mut open[dependency];
            *count -= 1;
            if *count == 0 {
                placed -= 1;
                nodes[placed] = dependency as u32;
            }
        }
    }
    match placed {
        0 => Ok(Order { nodes, remaining }),
        _ => Err(open),
    }
}

/// Finds cycles that share no node and without which the graph would have none: every cycle of
/// the graph shares a node with one of these.
///
/// It walks from a node that is stuck to one of its stuck dependents, and on, until the walk meets
/// itself. That cycle is reported and taken out, with everything that is no longer stuck without
/// it; the walk then goes on from where it entered the cycle.
///
/// `open` tells for each node how many of its dependents are stuck, as [`order`] left it.
pub(crate) fn cycles(
    edges: &[(u32, u32)],
    dependencies: &Rows,
    mut open: Vec<u32>,
) -> Vec<DagError<usize>> {
    let nodes = open.len();
    let dependents = Rows::new(nodes, edges.iter().copied());
    // Per node, how many of its dependents were found to be no longer stuck.
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
            let row = dependents.row(here);
            while !stuck[row[passed[here]] as usize] {
                passed[here] += 1;
            }
            let dependent = row[passed[here]] as usize;
            if !on_walk[dependent] {
                walk.push(dependent);
                on_walk[dependent] = true;
                continue;
            }
            let entry = walk
                .iter()
                .rposition(|&node| node == dependent)
                .expect("the walk has met this node");
            let mut path = walk.split_off(entry);
            release(&path, dependencies, &mut open, &mut stuck);
            path.reverse(); // from dependent to dependency
            let least = (0..path.len()).min_by_key(|&at| path[at]).unwrap_or(0);
            path.rotate_left(least);
            errors.push(DagError::Cycle { path });
        }
    }
    errors
}

/// Takes nodes out of the stuck ones, and all that were stuck only because of them.
fn release(cycle: &[usize], dependencies: &Rows, open: &mut [u32], stuck: &mut [bool]) {
    let mut free = cycle.to_vec();
    for &node in cycle {
        stuck[node] = false;
    }
    while let Some(node) = free.pop() {
        for &dependency in dependencies.row(node) {
            let dependency = dependency as usize;
            open[dependency] -= 1;
            if open[dependency] == 0 && stuck[dependency] {
                stuck[dependency] = false;
                free.push(dependency);
            }
        }
    }
}
