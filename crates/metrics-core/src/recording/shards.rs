//! Distributions: each thread counts in a shard of its own, and readers add the shards up.
//!
//! A *home* is where the shards of one histogram are listed. Homes are used again when their
//! histogram is gone or starts again; the shards that are there by then are *stale*: readers skip
//! them, and their owners empty them before they record again.
//!
//! Invariants:
//!
//! 1. Only the thread that made a shard writes to it. It stores sum and extremes first and counts
//!    the sample last, with a release store; readers load the counts first, with acquire. So the
//!    sum and the extremes a reader sees cover every sample it counts; they may run ahead of the
//!    count by the sample that is being recorded.
//! 2. The samples of a home are what is retired plus the shards that are not stale. Samples
//!    move from a shard to the retired ones in one step under the home's lock, which readers hold
//!    too, so none is counted twice or missed.
//! 3. The count of a distribution is the sum of its buckets, read once.
//! 4. A cell never wraps: before it would, its shard is retired and starts again at zero.

use std::array;
use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::primitive::{AtomicBool, AtomicU32, AtomicU64, Mutex, lock};
use crate::recording::tree::Tree;

/// Buckets that are allocated together.
#[cfg(not(brolly_loom))]
const BLOCK: usize = 64;
#[cfg(brolly_loom)]
const BLOCK: usize = 2;

/// Blocks that a thread lists together.
const NEIGHBOURS: usize = 8;

type Block = [AtomicU32; BLOCK];

/// The samples of one thread for one home, but for the blocks of cells.
#[repr(align(64))]
struct Shard {
    /// Whether these samples no longer count. Written under the home's lock: set by a reset, taken
    /// back by the owner.
    is_stale: AtomicBool,
    sum: AtomicU64,
    min: AtomicU64,
    max: AtomicU64,
}

/// Where the shards of one histogram are listed.
pub(crate) struct Home {
    buckets: usize,
    state: Mutex<State>,
}

struct State {
    live: Vec<Live>,
    /// What is no longer in a shard: of threads that have ended, and of cells that were full.
    retired: Totals,
}

/// A shard as readers see it.
struct Live {
    shard: Arc<Shard>,
    /// The blocks that were touched, with their numbers, in order.
    blocks: Vec<(u32, Arc<Block>)>,
}

/// Samples added up.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// How many buckets there are: the cells beyond them stay empty and are not looked at.
    buckets: usize,
    /// The numbers of the blocks of buckets that were touched, in order, and their cells.
    numbers: Vec<u32>,
    blocks: Vec<[u64; BLOCK]>,
    pub(crate) sum: u128,
    /// The extremes, once there is a sample.
    pub(crate) extremes: Option<(u64, u64)>,
}

impl Totals {
    fn of(buckets: usize) -> Self {
        Self {
            buckets,
            ..Self::default()
        }
    }

    /// The buckets that are not empty, in order.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (u32, u64)> {
        let blocks = self.numbers.iter().zip(&self.blocks);
        blocks.flat_map(|(number, cells)| {
            let first = number * BLOCK as u32;
            let cells = cells[..self.cells_of(*number)].iter().copied();
            (first..).zip(cells).filter(|(_, n)| *n > 0)
        })
    }

    /// How many cells of a block are those of buckets.
    fn cells_of(&self, number: u32) -> usize {
        let before = number as usize * BLOCK;
        self.buckets.saturating_sub(before).min(BLOCK)
    }

    fn clear(&mut self) {
        self.numbers.clear();
        self.blocks.clear();
        self.sum = 0;
        self.extremes = None;
    }

    /// The cells of a block.
    fn block(&mut self, number: u32) -> &mut [u64; BLOCK] {
        // Mostly they come in order.
        let at = match self.numbers.last() {
            Some(last) if *last >= number => self.numbers.partition_point(|it| *it < number),
            _ => self.numbers.len(),
        };
        if self.numbers.get(at) != Some(&number) {
            self.numbers.insert(at, number);
            self.blocks.insert(at, [0; BLOCK]);
        }
        &mut self.blocks[at]
    }

    fn count(&mut self, bucket: usize, value: u64) {
        let cell = &mut self.block((bucket / BLOCK) as u32)[bucket % BLOCK];
        *cell = cell.saturating_add(1);
        self.sum = self.sum.saturating_add(u128::from(value));
        self.stretch(value, value);
    }

    fn stretch(&mut self, min: u64, max: u64) {
        self.extremes = match self.extremes {
            Some((low, high)) => Some((low.min(min), high.max(max))),
            None => Some((min, max)),
        };
    }

    fn add(&mut self, other: &Self) {
        for (number, theirs) in other.numbers.iter().zip(&other.blocks) {
            for (ours, theirs) in self.block(*number).iter_mut().zip(theirs) {
                *ours = ours.saturating_add(*theirs);
            }
        }
        self.sum = self.sum.saturating_add(other.sum);
        if let Some((min, max)) = other.extremes {
            self.stretch(min, max);
        }
    }

    /// Adds a shard's samples: counts first, as invariant 1 asks.
    fn add_shard(&mut self, live: &Live) {
        let mut samples = 0;
        for (number, block) in &live.blocks {
            let cells = self.cells_of(*number);
            for (ours, cell) in self.block(*number).iter_mut().zip(&block[..cells]) {
                // Pairs with the release store in `Leaf::record`.
                let count = u64::from(cell.load(Acquire));
                samples |= count;
                *ours = ours.saturating_add(count);
            }
        }
        if samples > 0 {
            let shard = &*live.shard;
            self.sum = self.sum.saturating_add(u128::from(shard.sum.load(Relaxed)));
            self.stretch(shard.min.load(Relaxed), shard.max.load(Relaxed));
        }
    }
}

impl Home {
    /// A home for distributions of this many buckets.
    pub(crate) fn new(buckets: usize) -> Self {
        Self {
            buckets,
            state: Mutex::new(State {
                live: Vec::new(),
                retired: Totals::of(buckets),
            }),
        }
    }

    /// Reads all samples.
    pub(crate) fn read(&self, totals: &mut Totals) {
        totals.clear();
        totals.buckets = self.buckets;
        let state = lock(&self.state);
        totals.add(&state.retired);
        let live = state.live.iter();
        for live in live.filter(|live| !live.shard.is_stale.load(Relaxed)) {
            totals.add_shard(live);
        }
    }

    /// Forgets all samples: those that are being recorded at this moment belong to the past.
    pub(crate) fn reset(&self) {
        let mut state = lock(&self.state);
        state.retired = Totals::of(self.buckets);
        for live in &state.live {
            live.shard.is_stale.store(true, Relaxed);
        }
    }

    /// Counts a sample of a thread that has no shard.
    pub(crate) fn record_retired(&self, bucket: usize, value: u64) {
        lock(&self.state).retired.count(bucket, value);
    }

    /// A shard for the calling thread.
    fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard {
            is_stale: AtomicBool::new(false),
            sum: AtomicU64::new(0),
            min: AtomicU64::new(u64::MAX),
            max: AtomicU64::new(0),
        });
        let mut state = lock(&self.state);
        make_room(&mut state.live);
        state.live.push(Live {
            shard: Arc::clone(&shard),
            blocks: Vec::new(),
        });
        drop(state);
        shard
    }

    /// A block for a shard.
    fn block(&self, shard: &Arc<Shard>, number: u32) -> Arc<Block> {
        let block: Arc<Block> = Arc::new(array::from_fn(|_| AtomicU32::new(0)));
        if let Some(live) = lock(&self.state).find(shard) {
            let at = live.blocks.partition_point(|(it, _)| *it < number);
            make_room(&mut live.blocks);
            live.blocks.insert(at, (number, Arc::clone(&block)));
        }
        block
    }

    /// Makes room in a shard. Its samples are kept with the retired ones, unless they are stale.
    fn drain(&self, shard: &Arc<Shard>) {
        let mut state = lock(&self.state);
        let State { live, retired } = &mut *state;
        let Some(live) = live.iter().find(|live| Arc::ptr_eq(&live.shard, shard)) else {
            return;
        };
        if !shard.is_stale.load(Relaxed) {
            retired.add_shard(live);
        }
        for cell in live.blocks.iter().flat_map(|(_, block)| block.iter()) {
            cell.store(0, Relaxed);
        }
        shard.sum.store(0, Relaxed);
        shard.min.store(u64::MAX, Relaxed);
        shard.max.store(0, Relaxed);
        shard.is_stale.store(false, Relaxed);
    }

    /// Takes over what a thread that ends has recorded.
    fn retire(&self, shard: &Arc<Shard>) {
        let mut state = lock(&self.state);
        let State { live, retired } = &mut *state;
        if let Some(at) = live.iter().position(|it| Arc::ptr_eq(&it.shard, shard)) {
            let live = live.swap_remove(at);
            if !shard.is_stale.load(Relaxed) {
                retired.add_shard(&live);
            }
        }
    }
}

/// Room for one more, with less to spare than a vector takes by itself: there are many of these
/// lists, and most stay short.
fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 16);
    }
}

impl State {
    fn find(&mut self, shard: &Arc<Shard>) -> Option<&mut Live> {
        let mut live = self.live.iter_mut();
        live.find(|live| Arc::ptr_eq(&live.shard, shard))
    }
}

/// The shards of one thread.
pub(crate) struct LocalShards {
    pages: Tree<Page>,
}

/// Homes are numbered far beyond the entries of a tree, so its entries are pages.
type Page = Box<[OnceCell<Leaf>; PAGE]>;

const PAGE: usize = 16;

/// A shard as its owner sees it.
struct Leaf {
    shard: Arc<Shard>,
    home: Arc<Home>,
    /// The blocks in lists of neighbours. Most distributions touch few, which lie together, so
    /// blocks and lists are made when they are touched.
    lists: Box<[OnceCell<List>]>,
}

type List = Box<[OnceCell<Arc<Block>>; NEIGHBOURS]>;

impl LocalShards {
    pub(crate) const fn new() -> Self {
        Self { pages: Tree::new() }
    }

    /// Records in the shard of the home with this number, if nothing is in the way: false when
    /// there is something to be done first, and nothing is recorded.
    #[inline]
    pub(crate) fn record(&self, number: usize, bucket: usize, value: u64) -> bool {
        let page = self.pages.get(number / PAGE);
        let leaf = page.and_then(|page| page[number % PAGE].get());
        leaf.is_some_and(|leaf| leaf.record(bucket, value))
    }

    /// Does what there is to be done, and records. False when the number is too high to have a
    /// shard.
    pub(crate) fn record_first(
        &self,
        number: usize,
        home: &Arc<Home>,
        bucket: usize,
        value: u64,
    ) -> bool {
        if number / PAGE >= Tree::<Page>::LEN {
            return false;
        }
        let page = self.pages.get_or_init(number / PAGE, || {
            Box::new([const { OnceCell::new() }; PAGE])
        });
        let leaf = page[number % PAGE].get_or_init(|| Leaf {
            shard: home.shard(),
            home: Arc::clone(home),
            lists: (0..home.buckets.div_ceil(BLOCK * NEIGHBOURS))
                .map(|_| OnceCell::new())
                .collect(),
        });
        leaf.add_block(bucket);
        if !leaf.record(bucket, value) {
            home.drain(&leaf.shard);
            let is_recorded = leaf.record(bucket, value);
            // A reset that came meanwhile takes this sample with it.
            debug_assert!(
                is_recorded || leaf.shard.is_stale.load(Relaxed),
                "an empty shard takes any sample"
            );
        }
        true
    }
}

impl Leaf {
    /// Counts a sample. False, and nothing is recorded, when the shard is stale, when its block is
    /// not there yet, or when a cell or the sum is full.
    #[inline]
    fn record(&self, bucket: usize, value: u64) -> bool {
        let number = bucket / BLOCK;
        let list = self.lists.get(number / NEIGHBOURS).and_then(OnceCell::get);
        let Some(block) = list.and_then(|list| list[number % NEIGHBOURS].get()) else {
            return false;
        };
        let shard = &*self.shard;
        // A reset that is not seen here yet comes after this sample.
        if shard.is_stale.load(Relaxed) {
            return false;
        }
        let (sum, is_sum_full) = shard.sum.load(Relaxed).overflowing_add(value);
        if is_sum_full {
            return false;
        }
        let cell = &block[bucket % BLOCK];
        let (count, is_count_full) = cell.load(Relaxed).overflowing_add(1);
        if is_count_full {
            return false;
        }
        shard.sum.store(sum, Relaxed);
        if value < shard.min.load(Relaxed) {
            shard.min.store(value, Relaxed);
        }
        if value > shard.max.load(Relaxed) {
            shard.max.store(value, Relaxed);
        }
        // Pairs with the acquire load in `Totals::add_shard`.
        cell.store(count, Release);
        true
    }

    /// Makes the block of a bucket, if it is not there.
    fn add_block(&self, bucket: usize) {
        let number = bucket / BLOCK;
        if let Some(list) = self.lists.get(number / NEIGHBOURS) {
            let list = list.get_or_init(|| Box::new([const { OnceCell::new() }; NEIGHBOURS]));
            list[number % NEIGHBOURS].get_or_init(|| self.home.block(&self.shard, number as u32));
        }
    }
}

impl Drop for LocalShards {
    fn drop(&mut self) {
        let leaves = self.pages.iter().flat_map(|page| page.iter());
        for leaf in leaves.filter_map(OnceCell::get) {
            leaf.home.retire(&leaf.shard);
        }
    }
}
