//! [`Program`]: the graph renumbered in the order in which ready nodes are preferred.
//!
//! Rank 0 is the node with the longest remaining path; equals are ranked by index. A run works on
//! ranks alone, so that it walks through its arrays nearly from front to back.

use std::cmp::Reverse;

use crate::dag::build::Rows;

pub(crate) struct Program {
    node_at: Box<[u32]>,
    /// Ranks of the dependents, per rank.
    dependents: Rows,
    /// How many dependencies must succeed before a node may start, per rank.
    missing_at_start: Box<[u32]>,
}

impl Program {
    /// `waits_for_any` tells for each node whether one of its dependencies suffices; if it is
    /// empty, none does.
    pub(crate) fn new(dependencies: &Rows, waits_for_any: &[bool], remaining: &[u64]) -> Self {
        let node_at = by_remaining_path(remaining);
        let mut rank_of = vec![0; node_at.len()];
        for (rank, &node) in (0..).zip(&node_at) {
            rank_of[node as usize] = rank;
        }
        let row = |node: u32| dependencies.row(node as usize);
        let edges = (0_u32..).zip(&node_at).flat_map(|(rank, &node)| {
            let rank_of = &rank_of;
            row(node)
                .iter()
                .map(move |&dependency| (rank_of[dependency as usize], rank))
        });
        let dependents = Rows::new(node_at.len(), edges);
        let missing = node_at.iter().map(|&node| {
            let all = row(node).len() as u32;
            match waits_for_any.get(node as usize) {
                Some(true) => all.min(1),
                _ => all,
            }
        });
        Self {
            missing_at_start: missing.collect(),
            dependents,
            node_at: node_at.into(),
        }
    }

    pub(crate) fn node_at(&self, rank: usize) -> usize {
        self.node_at[rank] as usize
    }

    pub(crate) fn dependents(&self, rank: usize) -> &[u32] {
        self.dependents.row(rank)
    }

    pub(crate) fn missing_at_start(&self) -> &[u32] {
        &self.missing_at_start
    }
}

/// All nodes, those with the longest remaining path first, equals by index.
fn by_remaining_path(remaining: &[u64]) -> Vec<u32> {
    let nodes = remaining.len();
    let longest = remaining.iter().copied().max().unwrap_or(0);
    let mut sorted: Vec<u32> = (0..).zip(remaining).map(|(node, _)| node).collect();
    match usize::try_from(longest) {
        // Paths no longer than there are nodes, as without weights, are counted instead of sorted.
        Ok(longest) if longest <= nodes => {
            let from_end = |node: u32| longest - remaining[node as usize] as usize;
            let mut next = vec![0_u32; longest + 2];
            for (node, _) in (0..).zip(remaining) {
                next[from_end(node) + 1] += 1;
            }
            let mut total = 0;
            for count in &mut next {
                total += *count;
                *count = total;
            }
            for (node, _) in (0..).zip(remaining) {
                let at = &mut next[from_end(node)];
                sorted[*at as usize] = node;
                *at += 1;
            }
        }
        _ => sorted.sort_by_key(|&node| Reverse(remaining[node as usize])), // stable
    }
    sorted
}
