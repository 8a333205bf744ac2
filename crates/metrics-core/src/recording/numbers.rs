//! Numbers handed out in order and taken back: the slots of counters, the homes of histograms.

/// Hands out the smallest number never used, or one that was given back.
pub(crate) struct Numbers {
    next: usize,
    free: Vec<usize>,
}

impl Numbers {
    pub(crate) const fn new() -> Self {
        Self {
            next: 0,
            free: Vec::new(),
        }
    }

    pub(crate) fn take(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    pub(crate) fn give_back(&mut self, number: usize) {
        self.free.push(number);
    }
}
