//! Counts of tests, read from what the runners print.

use std::fmt;
use std::ops::AddAssign;

/// How many tests passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// The counts of one `test result:` line of libtest, if `line` is one.
    pub(crate) fn of_libtest(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?;
        let counts = counts.split_once(". ")?.1;
        Some(Self {
            passed: count(counts, &["passed"])?,
            failed: count(counts, &["failed"])?,
            skipped: count(counts, &["ignored"])?,
        })
    }

    /// The counts of the closing `Summary` line of nextest, if `line` is it.
    pub(crate) fn of_nextest(line: &str) -> Option<Self> {
        let counts = line.trim_start().strip_prefix("Summary [")?;
        let counts = counts.split_once("run: ")?.1;
        Some(Self {
            passed: count(counts, &["passed"]).unwrap_or(0),
            failed: ["failed", "timed out", "exec failed"]
                .iter()
                .filter_map(|word| count(counts, &[word]))
                .sum(),
            skipped: count(counts, &["skipped"]).unwrap_or(0),
        })
    }

    /// Tests that returned early for want of a binary passed in the runner's eyes, not in ours.
    pub(crate) fn returned_early(&mut self, tests: u64, is_failure: bool) {
        let moved = tests.min(self.passed);
        self.passed -= moved;
        if is_failure {
            self.failed += moved;
        } else {
            self.skipped += moved;
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            skipped,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// The number before one of `words` in a list such as `3 passed (1 slow), 2 failed`.
fn count(list: &str, words: &[&str]) -> Option<u64> {
    list.split([',', ';']).find_map(|entry| {
        let entry = entry.split(" (").next().unwrap_or(entry).trim();
        let (number, word) = entry.split_once(' ')?;
        words.contains(&word).then(|| number.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::Tally;

    fn tally(passed: u64, failed: u64, skipped: u64) -> Option<Tally> {
        Some(Tally {
            passed,
            failed,
            skipped,
        })
    }

    #[test]
    fn a_result_line_of_libtest_is_counted() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(Tally::of_libtest(line), tally(12, 2, 1));
        let line = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 1.20s";
        assert_eq!(Tally::of_libtest(line), tally(3, 0, 0));
    }

    #[test]
    fn a_summary_line_of_nextest_is_counted() {
        let line = "     Summary [   0.008s] 3 tests run: 3 passed, 0 skipped";
        assert_eq!(Tally::of_nextest(line), tally(3, 0, 0));
        let line = "     Summary [   9.1s] 7/9 tests run: 3 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 1 exec failed, 4 skipped";
        assert_eq!(Tally::of_nextest(line), tally(3, 4, 4));
        let line = "     Summary [   0.1s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(Tally::of_nextest(line), tally(1, 0, 0));
    }

    #[test]
    fn other_lines_are_not_counted() {
        for line in [
            "",
            "running 3 tests",
            "test result",
            "Summary",
            "   3 passed",
        ] {
            assert_eq!(Tally::of_libtest(line), None, "{line}");
            assert_eq!(Tally::of_nextest(line), None, "{line}");
        }
    }

    #[test]
    fn a_test_that_returned_early_is_not_called_passed() {
        let mut local = Tally {
            passed: 5,
            failed: 0,
            skipped: 1,
        };
        let mut gate = local;
        local.returned_early(2, false);
        gate.returned_early(2, true);
        assert_eq!(Some(local), tally(3, 0, 3));
        assert_eq!(Some(gate), tally(3, 2, 1));
    }
}
