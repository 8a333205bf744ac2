//! The prepared statements that a connection keeps: the least recently used one leaves first.

use std::collections::HashMap;
use std::fmt;

/// At most so many values by text.
///
/// Making room looks at every entry. That happens only when a text is new, which costs a round trip
/// anyway.
pub(crate) struct Statements<V> {
    entries: HashMap<Box<str>, (V, u64)>,
    limit: usize,
    now: u64,
}

impl<V: Clone> Statements<V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: HashMap::new(),
            limit,
            now: 0,
        }
    }

    pub(crate) fn get(&mut self, text: &str) -> Option<V> {
        self.now = self.now.saturating_add(1);
        let (value, used) = self.entries.get_mut(text)?;
        *used = self.now;
        Some(value.clone())
    }

    /// Keeps a value. What has to leave for it is returned, to be dropped where no lock is held.
    pub(crate) fn insert(&mut self, text: &str, value: V) -> Option<V> {
        if self.limit == 0 {
            return Some(value);
        }
        self.now = self.now.saturating_add(1);
        let is_new = !self.entries.contains_key(text);
        let leaves = match is_new && self.entries.len() >= self.limit {
            true => self.remove_oldest(),
            false => None,
        };
        let replaced = self.entries.insert(text.into(), (value, self.now));
        leaves.or(replaced.map(|it| it.0))
    }

    pub(crate) fn take(&mut self) -> HashMap<Box<str>, (V, u64)> {
        std::mem::take(&mut self.entries)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn remove_oldest(&mut self) -> Option<V> {
        let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used);
        let text = oldest?.0.clone();
        self.entries.remove(&text).map(|it| it.0)
    }
}

impl<V> fmt::Debug for Statements<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The texts may hold what nobody is to read.
        f.debug_struct("Statements")
            .field("count", &self.entries.len())
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_leaves_first() {
        let mut statements = Statements::new(2);
        assert_eq!(statements.insert("a", 1), None);
        assert_eq!(statements.insert("b", 2), None);
        assert_eq!(statements.get("a"), Some(1));
        assert_eq!(statements.insert("c", 3), Some(2));
        assert_eq!(statements.get("b"), None);
        assert_eq!(statements.insert("a", 4), Some(1));
        assert_eq!(statements.len(), 2);
    }

    #[test]
    fn texts_are_not_printed() {
        let mut statements = Statements::new(1);
        statements.insert("ALTER ROLE a PASSWORD 'secret'", 1);
        assert!(!format!("{statements:?}").contains("secret"));
    }

    #[test]
    fn with_a_limit_of_none_nothing_is_kept() {
        let mut statements = Statements::new(0);
        assert_eq!(statements.insert("a", 1), Some(1));
        assert_eq!(statements.get("a"), None);
        assert_eq!(statements.len(), 0);
    }
}
