//! One output stream kept within a bound: its first and its last bytes, and the count of all.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;

/// What a child wrote to one stream, bounded: the first half of the limit and the last half of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_limit: usize,
    tail_limit: usize,
    total: u64,
    log_problem: Option<String>,
}

impl Captured {
    pub(crate) fn new(limit: usize) -> Self {
        let head_limit = limit - limit / 2;
        Self {
            head_limit,
            tail_limit: limit / 2,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(bytes.len() as u64);
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_limit - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let surplus = (self.tail.len() + rest.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..surplus);
        self.tail.extend(rest);
    }

    /// Records why the log holds no more than it does; the first reason stands.
    pub(crate) fn log_failed(&mut self, error: &io::Error) {
        self.log_problem.get_or_insert_with(|| error.to_string());
    }

    /// Why the log file lacks what it should hold, where it could not be made or written: a full disk, for one.
    #[must_use]
    pub fn log_problem(&self) -> Option<&str> {
        self.log_problem.as_deref()
    }

    /// Bytes the child wrote, kept or not.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total
    }

    /// Whether bytes in the middle were left out.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.left_out() > 0
    }

    /// The kept bytes; where some were left out, a line that says how many stands in their place.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if self.is_truncated() {
            bytes.extend_from_slice(
                format!("\n[... {} bytes left out ...]\n", self.left_out()).as_bytes(),
            );
        }
        bytes.extend(&self.tail);
        bytes
    }

    /// [`Captured::bytes`] as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        match String::from_utf8_lossy(&self.bytes()) {
            Cow::Borrowed(text) => text.to_owned(),
            Cow::Owned(text) => text,
        }
    }

    fn left_out(&self) -> u64 {
        self.total - (self.head.len() + self.tail.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Captured;

    #[test]
    fn what_fits_is_kept_whole() {
        let mut captured = Captured::new(8);
        captured.push(b"abc");
        captured.push(b"defgh");
        assert!(!captured.is_truncated());
        assert_eq!(captured.bytes(), b"abcdefgh");
    }

    #[test]
    fn a_long_stream_keeps_its_first_and_last_bytes_and_the_count() {
        let mut captured = Captured::new(4);
        for chunk in b"0123456789".chunks(3) {
            captured.push(chunk);
        }
        assert_eq!(captured.total_bytes(), 10);
        assert_eq!(captured.text(), "01\n[... 6 bytes left out ...]\n89");
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing_and_counts() {
        let mut captured = Captured::new(0);
        captured.push(b"abc");
        assert!(captured.is_truncated());
        assert_eq!(captured.total_bytes(), 3);
    }
}
