//! [`State`]: which batches are open, ready and in flight, and who waits for room.
//!
//! Invariants:
//!
//! 1. `free` is the capacity, less the keys of batches that have not started, less one for each of
//!    the `served`: callers who were given room in line and have not taken their place yet.
//! 2. Nobody takes a free unit while somebody stands in line.
//! 3. `in_flight` counts batches that are Granted or Started and never exceeds its limit; `granted`
//!    counts the Granted ones.
//! 4. While somebody stands in line, a batch is ready or granted, or somebody was served: so room
//!    comes without waiting for a linger, and those who were served share a batch.
//! 5. A batch is on the open list while it is Filling, on the ready list while it is Ready, and on
//!    neither afterwards.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::cell::{Batch, Phase, Seat, SharedBatch};
use super::error::BatchError;
use super::foreign::{discard, wake};
use super::line::Line;
use super::open::Open;
use super::shared::{Config, Item};
use super::stats::{BatcherStats, Trigger, bump};

pub(super) struct State<K, V, E, P> {
    config: Config,
    /// `Eq` of the keys, if equal ones are joined.
    same: Option<fn(&K, &K) -> bool>,
    open: Open<P, SharedBatch<K, V, E>>,
    /// In the order of their turns.
    ready: VecDeque<(u64, SharedBatch<K, V, E>)>,
    next_turn: u64,
    in_flight: usize,
    granted: usize,
    free: usize,
    /// Callers who were given room in line and have not taken their place yet.
    served: usize,
    line: Line,
    closers: Line,
    mode: Mode,
    /// The size of the batch that was fired last: what the next one reserves.
    last_size: usize,
    stats: BatcherStats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Serving,
    /// No handle is left. Calls that were made before are served, without lingering.
    Deserted,
    /// The same, but calls that do not stand in line yet are turned away.
    Closed,
}

/// What is to be done once the lock is released.
///
/// Most changes leave nothing behind, and many one task to wake.
pub(super) struct After<K, P> {
    first: Option<Waker>,
    more: Vec<Deed<K, P>>,
}

/// One thing to be done. All of them run foreign code.
enum Deed<K, P> {
    Wake(Waker),
    DropWaker(Waker),
    DropKeys(Vec<K>),
    DropPartition(P),
}

impl<K, P> After<K, P> {
    pub(super) fn new() -> Self {
        Self {
            first: None,
            more: Vec::new(),
        }
    }

    /// Does what was collected.
    #[inline]
    pub(super) fn settle(self) {
        if self.first.is_some() || !self.more.is_empty() {
            self.carry_out();
        }
    }

    #[inline(never)]
    fn carry_out(self) {
        self.first.into_iter().for_each(wake);
        for deed in self.more {
            match deed {
                Deed::Wake(waker) => wake(waker),
                Deed::DropWaker(waker) => discard(waker),
                Deed::DropKeys(keys) => keys.into_iter().for_each(discard),
                Deed::DropPartition(partition) => discard(partition),
            }
        }
    }

    fn wake(&mut self, waker: Waker) {
        match self.first {
            None => self.first = Some(waker),
            Some(_) => self.more.push(Deed::Wake(waker)),
        }
    }

    fn drop_waker(&mut self, waker: Waker) {
        self.more.push(Deed::DropWaker(waker));
    }

    fn drop_keys(&mut self, keys: Vec<K>) {
        if !keys.is_empty() {
            self.more.push(Deed::DropKeys(keys));
        }
    }

    fn drop_partition(&mut self, partition: P) {
        if mem::needs_drop::<P>() {
            self.more.push(Deed::DropPartition(partition));
        }
    }
}

/// How a caller asks for a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    /// It would wait in line.
    Patient,
    /// It would not.
    Impatient,
    /// It holds a ticket of the line.
    InLine(u64),
}

/// What came of asking.
pub(super) enum Arrival<K, V, E> {
    Seated {
        batch: SharedBatch<K, V, E>,
        seat: Seat,
        /// The batch is new and needs a task.
        is_new: bool,
    },
    /// In line, with this ticket.
    InLine(u64),
    /// In line as before; the waker is in place.
    Waits,
    /// Nothing has changed, and a fresh clone of the current waker is needed.
    NeedsWaker,
    Full,
    Closed,
}

/// What a batch's task does next.
pub(super) enum Step<K> {
    /// Give these keys to the bulk function.
    Start(Vec<K>),
    /// Nothing: the batch is over.
    Over,
    /// Come again with a waker.
    NeedsWaker,
    /// Wait to be woken.
    Wait,
    /// Wait to be woken, or for this time.
    Until(Duration),
}

impl<K, V, E, P> State<K, V, E, P> {
    pub(super) fn new(config: Config, same: Option<fn(&K, &K) -> bool>) -> Self {
        Self {
            open: Open::new(),
            ready: VecDeque::new(),
            next_turn: 0,
            in_flight: 0,
            granted: 0,
            free: config.capacity,
            served: 0,
            config,
            same,
            line: Line::default(),
            closers: Line::default(),
            mode: Mode::Serving,
            last_size: 0,
            stats: BatcherStats::default(),
        }
    }

    pub(super) fn stats(&self) -> BatcherStats {
        BatcherStats {
            waiting: self.config.capacity - self.free,
            in_line: self.line.len(),
            open: self.open.len(),
            ready: self.ready.len(),
            in_flight: self.in_flight,
            ..self.stats.clone()
        }
    }

    /// Gives a caller a place in a batch or in line.
    ///
    /// The key and, for a new batch, the partition are taken out of `item` with a place in a batch,
    /// and `waker` with a place anywhere; the caller drops what is left of them. `current` is the
    /// waker that `waker` is a clone of. `Eq` of partitions and keys runs before anything is
    /// changed.
    pub(super) fn arrive(
        &mut self,
        item: &mut Item<K, P>,
        ask: Ask,
        waker: &mut Option<Waker>,
        current: Option<&Waker>,
        after: &mut After<K, P>,
    ) -> Arrival<K, V, E>
    where
        P: Eq,
    {
        let mut was_served = false;
        if let Ask::InLine(ticket) = ask {
            if let Some(own) = self.line.waiting(ticket) {
                if current.is_none_or(|current| own.will_wake(current)) {
                    return Arrival::Waits;
                }
                let Some(fresh) = waker.take() else {
                    return Arrival::NeedsWaker;
                };
                after.drop_waker(mem::replace(own, fresh));
                return Arrival::Waits;
            }
            if waker.is_none() {
                return Arrival::NeedsWaker;
            }
            was_served = true;
        }
        if self.mode == Mode::Closed && !was_served {
            return Arrival::Closed;
        }
        let found = self.open.find(item.partition_hash, item.partition());
        let found = found.map(Arc::clone);
        if let (Some(batch), Some(same)) = (&found, self.same) {
            let mut cell = batch.lock();
            if let Some(key) = cell.find(item.key_hash, |other| same(other, item.key())) {
                let seat = cell.join(key, waker.take());
                cell.last_arrival = cell.last_arrival.max(item.arrived);
                drop(cell);
                bump(&mut self.stats.submitted);
                bump(&mut self.stats.joined);
                if was_served {
                    self.served -= 1;
                    self.free += 1;
                    self.settle(after);
                }
                return Arrival::Seated {
                    batch: Arc::clone(batch),
                    seat,
                    is_new: false,
                };
            }
        }
        if was_served {
            self.served -= 1;
        } else if self.free > 0 && self.line.is_empty() {
            self.free -= 1;
        } else if matches!(ask, Ask::Impatient) {
            return Arrival::Full;
        } else {
            let waker = waker.take().expect("whoever waits in line has a waker");
            let ticket = self.line.join(waker);
            self.settle(after);
            return Arrival::InLine(ticket);
        }
        self.seat(item, found, waker.take(), after)
    }

    /// Puts a key into its partition's batch, or into a new one. The caller has paid for the room.
    fn seat(
        &mut self,
        item: &mut Item<K, P>,
        found: Option<SharedBatch<K, V, E>>,
        waker: Option<Waker>,
        after: &mut After<K, P>,
    ) -> Arrival<K, V, E> {
        let max_bytes = self.config.max_bytes;
        let found = found.filter(|batch| {
            let fits = max_bytes == usize::MAX
                || batch.lock().weight.saturating_add(item.weight) <= max_bytes;
            if !fits {
                self.fire(batch.number, Trigger::Bytes, after);
            }
            fits
        });
        let is_new = found.is_none();
        let batch = found.unwrap_or_else(|| {
            if self.open.len() >= self.config.max_partitions
                && let Some(oldest) = self.open.oldest()
            {
                self.fire(oldest, Trigger::Partitions, after);
            }
            let batch = Arc::new(Batch::new(self.open.next_number(), self.size_hint()));
            let partition = item.take_partition();
            self.open
                .push(item.partition_hash, partition, Arc::clone(&batch));
            batch
        });
        let mut cell = batch.lock();
        let hash = self.same.is_some().then_some(item.key_hash);
        let seat = cell.push(item.take_key(), hash, waker);
        cell.weight = cell.weight.saturating_add(item.weight);
        cell.last_arrival = cell.last_arrival.max(item.arrived);
        let (size, weight) = (cell.keys.len(), cell.weight);
        drop(cell);
        bump(&mut self.stats.submitted);
        if size >= self.config.max_size {
            self.fire(batch.number, Trigger::Size, after);
        } else if weight >= max_bytes {
            self.fire(batch.number, Trigger::Bytes, after);
        }
        // A key more in an open batch lets nobody go on; a batch that was fired may, and so may a
        // caller in line who was served and has come.
        if !self.ready.is_empty() || !self.line.is_empty() {
            self.settle(after);
        }
        Arrival::Seated {
            batch,
            seat,
            is_new,
        }
    }

    /// For how many keys a new batch reserves room: as many as the last one had, but no more than
    /// its share of the capacity, or one heavy partition would swell the batches of all others.
    fn size_hint(&self) -> usize {
        let share = self.config.capacity / (self.open.len() + 1);
        self.last_size.min(share).max(4).min(self.config.max_size)
    }

    /// What a batch's task does next. `elapsed` is a time that has come, and `waker` a fresh clone
    /// of the task's own if there is one by now.
    pub(super) fn step(
        &mut self,
        batch: &SharedBatch<K, V, E>,
        opened: Duration,
        elapsed: Option<Duration>,
        waker: &mut Option<Waker>,
        current: &Waker,
        after: &mut After<K, P>,
    ) -> Step<K> {
        let (phase, idle_end) = {
            let cell = batch.lock();
            let idle_end = self
                .config
                .idle
                .map(|idle| cell.last_arrival.saturating_add(idle));
            (cell.phase, idle_end)
        };
        let linger_end = opened.saturating_add(self.config.linger);
        if phase == Phase::Filling {
            let has_come = |end: Duration| elapsed.is_some_and(|elapsed| elapsed >= end);
            let why = if self.mode != Mode::Serving {
                Some(Trigger::Close)
            } else if self.config.eager && self.in_flight == 0 && self.ready.is_empty() {
                Some(Trigger::Eager)
            } else if self.config.linger.is_zero() || has_come(linger_end) {
                Some(Trigger::Linger)
            } else if idle_end.is_some_and(has_come) {
                Some(Trigger::Idle)
            } else {
                None
            };
            if let Some(why) = why {
                // It is polled already and need not be woken for this.
                if let Some(own) = batch.lock().task.take() {
                    after.drop_waker(own);
                }
                self.fire(batch.number, why, after);
                self.settle(after);
            }
        }
        let mut cell = batch.lock();
        match cell.phase {
            Phase::Granted if cell.live == 0 => {
                drop(cell);
                self.withdraw(batch, None, after);
                Step::Over
            }
            Phase::Granted => {
                let (keys, unwanted) = cell.start();
                drop(cell);
                self.granted -= 1;
                self.free += keys.len() + unwanted.len();
                bump(&mut self.stats.batches);
                let sent = u64::try_from(keys.len()).unwrap_or(u64::MAX);
                self.stats.keys = self.stats.keys.saturating_add(sent);
                after.drop_keys(unwanted);
                self.settle(after);
                Step::Start(keys)
            }
            Phase::Started | Phase::Over => Step::Over,
            Phase::Filling | Phase::Ready => {
                if !matches!(&cell.task, Some(own) if own.will_wake(current)) {
                    let Some(fresh) = waker.take() else {
                        return Step::NeedsWaker;
                    };
                    if let Some(stale) = cell.task.replace(fresh) {
                        after.drop_waker(stale);
                    }
                }
                let end = idle_end.map_or(linger_end, |end| end.min(linger_end));
                if cell.phase == Phase::Ready || end == Duration::MAX {
                    Step::Wait
                } else {
                    Step::Until(end)
                }
            }
        }
    }

    /// A started batch has ended.
    pub(super) fn land(&mut self, has_failed: bool, after: &mut After<K, P>) {
        if has_failed {
            bump(&mut self.stats.failed);
        }
        self.in_flight -= 1;
        self.settle(after);
        self.fire_if_eager(after);
    }

    /// Takes a batch back that has not started: because nobody wants it any more (`error` is
    /// `None`, and nothing happens if somebody has joined it), or because it never will start.
    /// Returns where it stood before.
    pub(super) fn withdraw(
        &mut self,
        batch: &SharedBatch<K, V, E>,
        error: Option<&BatchError<E>>,
        after: &mut After<K, P>,
    ) -> Phase {
        let mut cell = batch.lock();
        let (phase, turn) = (cell.phase, cell.turn);
        if !phase.is_unstarted() || (error.is_none() && cell.live > 0) {
            return phase;
        }
        // Without an error everybody has left, so nobody is told this one.
        let keys = cell.fail_unstarted(error.unwrap_or(&BatchError::Dropped));
        if let Some(task) = cell.task.take() {
            after.wake(task);
        }
        drop(cell);
        self.free += keys.len();
        after.drop_keys(keys);
        if error.is_none() {
            bump(&mut self.stats.abandoned);
        }
        match phase {
            Phase::Filling => {
                if let Some(entry) = self.open.remove(batch.number) {
                    after.drop_partition(entry.partition);
                }
            }
            Phase::Ready => {
                let place = self.ready.binary_search_by_key(&turn, |(turn, _)| *turn);
                self.ready.remove(place.expect("a Ready batch is listed"));
            }
            Phase::Granted => {
                self.granted -= 1;
                self.in_flight -= 1;
            }
            Phase::Started | Phase::Over => unreachable!("these are not unstarted"),
        }
        self.settle(after);
        self.fire_if_eager(after);
        phase
    }

    /// A caller gives up its ticket. If it was served, its unit goes to the next.
    pub(super) fn leave_line(&mut self, ticket: u64, after: &mut After<K, P>) {
        match self.line.leave(ticket) {
            Some(waker) => after.drop_waker(waker),
            None => {
                self.served -= 1;
                self.free += 1;
            }
        }
        self.settle(after);
    }

    /// Fires every open batch.
    pub(super) fn flush(&mut self, why: Trigger, after: &mut After<K, P>) {
        while let Some(oldest) = self.open.oldest() {
            self.fire(oldest, why, after);
        }
        self.settle(after);
    }

    /// The last handle is gone.
    pub(super) fn desert(&mut self, after: &mut After<K, P>) {
        if self.mode == Mode::Serving {
            self.mode = Mode::Deserted;
        }
        self.flush(Trigger::Close, after);
    }

    pub(super) fn close(&mut self, after: &mut After<K, P>) {
        self.mode = Mode::Closed;
        self.flush(Trigger::Close, after);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.mode == Mode::Closed
    }

    /// Whether every call has been answered.
    pub(super) fn is_drained(&self) -> bool {
        self.free == self.config.capacity && self.in_flight == 0 && self.line.is_empty()
    }

    /// Those who wait for the end of a batcher that is being closed.
    pub(super) fn closers(&mut self) -> &mut Line {
        &mut self.closers
    }

    fn fire(&mut self, number: u64, why: Trigger, after: &mut After<K, P>) {
        let Some(entry) = self.open.remove(number) else {
            return;
        };
        after.drop_partition(entry.partition);
        self.stats.count(why);
        let mut cell = entry.batch.lock();
        cell.phase = Phase::Ready;
        cell.turn = self.next_turn;
        self.last_size = cell.keys.len();
        drop(cell);
        self.ready.push_back((self.next_turn, entry.batch));
        self.next_turn += 1;
    }

    fn fire_if_eager(&mut self, after: &mut After<K, P>) {
        if self.config.eager
            && self.in_flight == 0
            && self.ready.is_empty()
            && let Some(oldest) = self.open.oldest()
        {
            self.fire(oldest, Trigger::Eager, after);
            self.settle(after);
        }
    }

    /// Restores the invariants after any change: whoever can go on is let go on.
    fn settle(&mut self, after: &mut After<K, P>) {
        loop {
            while self.in_flight < self.config.max_in_flight
                && let Some((_, batch)) = self.ready.pop_front()
            {
                self.in_flight += 1;
                self.granted += 1;
                let mut cell = batch.lock();
                cell.phase = Phase::Granted;
                let task = cell.task.take();
                drop(cell);
                if let Some(task) = task {
                    after.wake(task);
                }
            }
            while self.free > 0
                && let Some(waker) = self.line.serve()
            {
                self.free -= 1;
                self.served += 1;
                after.wake(waker);
            }
            let is_moving = !self.ready.is_empty() || self.granted > 0 || self.served > 0;
            if self.line.is_empty() || is_moving {
                break;
            }
            let Some(oldest) = self.open.oldest() else {
                break;
            };
            self.fire(oldest, Trigger::Capacity, after);
        }
        if self.mode == Mode::Closed && self.is_drained() {
            while let Some(waker) = self.closers.serve() {
                after.wake(waker);
            }
        }
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::{Batch, Config, State};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn what_open_batches_reserve_follows_the_capacity_however_many_partitions() {
        let config = Config {
            max_size: 10_000,
            max_bytes: usize::MAX,
            linger: Duration::ZERO,
            idle: None,
            eager: false,
            max_in_flight: 1,
            capacity: 10_000,
            max_partitions: 1_024,
        };
        let mut state = State::<u32, u32, (), u64>::new(config, None);
        state.last_size = 10_000;
        let mut reserved = 0;
        for partition in 0..1_024 {
            let hint = state.size_hint();
            reserved += hint;
            let batch = Arc::new(Batch::new(partition, hint));
            state.open.push(partition, partition, batch);
        }
        assert!(reserved < 10 * 10_000, "{reserved}");
    }
}
