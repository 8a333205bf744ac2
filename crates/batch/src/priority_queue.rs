//! [`PriorityQueue`]: what is most urgent first, and nothing starves.
