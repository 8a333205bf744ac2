//! [`SlotVec`]: one value for each slot, growing by an eighth so that little is kept in reserve.

/// A table indexed by slot. Slots that were never set read as the filler.
#[derive(Debug)]
pub(crate) struct SlotVec<T> {
    values: Vec<T>,
    filler: T,
    /// So many slots are likely to be needed, and hardly more.
    expected: usize,
}

/// The first slots come together.
const FIRST: usize = 16;

impl<T: Copy> SlotVec<T> {
    pub(crate) fn new(filler: T) -> Self {
        Self {
            values: Vec::new(),
            filler,
            expected: 0,
        }
    }

    /// Tells how many slots there will be when the cache is full.
    pub(crate) fn expect(&mut self, slots: usize) {
        self.expected = slots;
    }

    pub(crate) fn expected(&self) -> usize {
        self.expected
    }

    /// All slots that were set are below this.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> T {
        self.values
            .get(slot as usize)
            .copied()
            .unwrap_or(self.filler)
    }

    #[inline]
    pub(crate) fn set(&mut self, slot: u32, value: T) {
        let at = slot as usize;
        if at >= self.values.len() {
            self.grow(at);
        }
        self.values[at] = value;
    }

    /// Forgets the slots from `slots` on, and gives their memory back once most of it is unused.
    pub(crate) fn shrink(&mut self, slots: u32) {
        let slots = slots as usize;
        if slots < self.values.len() {
            self.values.truncate(slots);
            if slots < self.values.capacity() / 2 {
                self.values.shrink_to(slots);
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, at: usize) {
        if at >= self.values.capacity() {
            // Twice as many while that is certain to be needed, an eighth more beyond.
            let mut wanted = (at + 1 + at / 8).max(FIRST);
            if at < self.expected {
                wanted = wanted.min(self.expected);
            }
            self.values.reserve_exact(wanted - self.values.len());
        }
        // As far as there is memory, so that the next slots need not come here.
        self.values.resize(self.values.capacity(), self.filler);
    }
}
