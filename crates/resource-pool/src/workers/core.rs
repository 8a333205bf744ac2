//! [`Core`]: what changes under the lock of a set of workers, and by which rules. No foreign code.
//!
//! Invariants:
//!
//! 1. `seats` are the workers that have begun or will; a worker leaves its seat when it retires or is
//!    dropped, whichever comes first.
//! 2. A job that waits while a worker is idle has a worker that was woken for it: whoever adds a job
//!    takes a waker off `idle`, and a worker that was woken and goes without a job passes that on.
//! 3. Nothing is added to `queue` once the set is stopping.

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

use crate::workers::job::Work;
use crate::workers::stats::{WorkerState, WorkerStats};

#[derive(Default)]
pub(super) struct Core {
    pub(super) phase: Phase,
    /// How many workers are asked for.
    pub(super) asked: usize,
    pub(super) queue: VecDeque<Work>,
    seats: BTreeMap<u64, Seat>,
    /// Seats of those who wait for a job, the last one on top: it is still warm.
    idle: Vec<u64>,
    next_seat: u64,
    pub(super) active: usize,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) dropped: u64,
    /// How many of those were never begun.
    pub(super) unstarted: usize,
    pub(super) lost: u64,
    pub(super) busy_nanos: u64,
    /// Who waits for the end.
    watchers: BTreeMap<u64, Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Pending,
    Started,
    /// No more jobs are taken; those in line are still done.
    Stopping,
    /// Nothing is done any more.
    Stopped,
}

#[derive(Default)]
struct Seat {
    waker: Option<Waker>,
    is_busy: bool,
}

/// What a worker has to do.
pub(super) enum Next {
    Work(Work),
    Wait,
    /// It has left its seat already; these are to be woken.
    Leave(Vec<Waker>),
}

impl Core {
    /// Makes seats for workers that are missing; whoever calls this has to find workers for them.
    pub(super) fn missing(&mut self) -> Vec<u64> {
        if self.phase != Phase::Started {
            return Vec::new();
        }
        let missing = self.asked.saturating_sub(self.seats.len());
        let seats = self.next_seat..self.next_seat + missing as u64;
        self.next_seat = seats.end;
        for seat in seats.clone() {
            self.seats.insert(seat, Seat::default());
        }
        seats.collect()
    }

    /// Whom to wake so that those who are too many leave.
    pub(super) fn surplus(&mut self) -> Vec<Waker> {
        let surplus = self.seats.len().saturating_sub(self.asked);
        let idle: Vec<_> = self.idle.drain(..surplus.min(self.idle.len())).collect();
        idle.into_iter().filter_map(|it| self.waker(it)).collect()
    }

    /// Whether no more jobs are taken.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Stopping | Phase::Stopped)
    }

    /// Adds a job, unless it is too late. Whom to wake for it.
    pub(super) fn add(&mut self, work: Work) -> Result<Option<Waker>, Work> {
        if self.is_ending() {
            return Err(work);
        }
        self.queue.push_back(work);
        Ok(self.wake_one())
    }

    /// Whom to wake for a job that waits.
    fn wake_one(&mut self) -> Option<Waker> {
        if self.queue.is_empty() {
            return None;
        }
        let seat = self.idle.pop()?;
        self.waker(seat)
    }

    fn waker(&mut self, seat: u64) -> Option<Waker> {
        self.seats.get_mut(&seat)?.waker.take()
    }

    /// What the worker of a seat has to do. If that is to wait, it is woken by this waker; the one it
    /// had before is put in its place, to be dropped outside the lock.
    pub(super) fn next(&mut self, seat: u64, waker: &mut Option<Waker>) -> Next {
        let is_surplus = self.seats.len() > self.asked;
        let is_over = match self.phase {
            Phase::Stopped => true,
            Phase::Stopping => self.queue.is_empty(),
            Phase::Pending | Phase::Started => is_surplus,
        };
        if is_over {
            // At once, so that the next one who looks is not one too many as well.
            return Next::Leave(self.leave(seat, false));
        }
        if let Some(work) = self.queue.pop_front() {
            self.idle.retain(|it| *it != seat);
            self.active += 1;
            if let Some(it) = self.seats.get_mut(&seat) {
                it.is_busy = true;
            }
            return Next::Work(work);
        }
        if !self.idle.contains(&seat) {
            self.idle.push(seat);
        }
        self.keep_waker(seat, waker);
        Next::Wait
    }

    /// Keeps the waker by which a worker can be told to stop. False if it has to already.
    pub(super) fn may_go_on(&mut self, seat: u64, waker: &mut Option<Waker>) -> bool {
        self.keep_waker(seat, waker);
        self.phase != Phase::Stopped
    }

    fn keep_waker(&mut self, seat: u64, waker: &mut Option<Waker>) {
        if let Some(it) = self.seats.get_mut(&seat) {
            std::mem::swap(&mut it.waker, waker);
        }
    }

    /// A worker has done its job; `None` if the job was dropped.
    pub(super) fn done(&mut self, seat: u64, is_well: Option<bool>, nanos: u64) {
        if let Some(it) = self.seats.get_mut(&seat) {
            it.is_busy = false;
        }
        self.active -= 1;
        match is_well {
            Some(true) => self.completed += 1,
            Some(false) => self.failed += 1,
            None => self.dropped += 1,
        }
        if is_well.is_some() {
            self.busy_nanos = self.busy_nanos.saturating_add(nanos);
        }
    }

    /// A worker has gone. Whom to wake: another one for a job it was woken for, and those who wait for
    /// the end.
    pub(super) fn leave(&mut self, seat: u64, is_lost: bool) -> Vec<Waker> {
        let Some(gone) = self.seats.remove(&seat) else {
            return Vec::new();
        };
        self.idle.retain(|it| *it != seat);
        if gone.is_busy {
            self.active -= 1;
            self.dropped += 1;
        }
        self.lost += u64::from(is_lost);
        let mut wakers: Vec<_> = self.wake_one().into_iter().collect();
        if self.seats.is_empty() {
            wakers.extend(std::mem::take(&mut self.watchers).into_values());
        }
        // Not to be woken, but to be dropped outside the lock: a wake-up too many does no harm.
        wakers.extend(gone.waker);
        wakers
    }

    /// Takes no more jobs. Whom to wake.
    pub(super) fn begin_stop(&mut self) -> Vec<Waker> {
        if matches!(self.phase, Phase::Pending | Phase::Started) {
            self.phase = Phase::Stopping;
        }
        let idle = std::mem::take(&mut self.idle);
        idle.into_iter().filter_map(|it| self.waker(it)).collect()
    }

    /// Ends everything. Jobs that were not begun, to be dropped, and whom to wake.
    pub(super) fn end(&mut self) -> (VecDeque<Work>, Vec<Waker>) {
        self.phase = Phase::Stopped;
        self.idle.clear();
        let mut wakers: Vec<_> = self
            .seats
            .values_mut()
            .filter_map(|it| it.waker.take())
            .collect();
        wakers.extend(std::mem::take(&mut self.watchers).into_values());
        (self.give_up(), wakers)
    }

    /// Jobs that nobody will do because the last worker has gone while the set was stopping, to be
    /// dropped.
    pub(super) fn abandoned(&mut self) -> VecDeque<Work> {
        if self.phase == Phase::Stopping && self.seats.is_empty() {
            return self.give_up();
        }
        VecDeque::new()
    }

    fn give_up(&mut self) -> VecDeque<Work> {
        let queue = std::mem::take(&mut self.queue);
        self.dropped += queue.len() as u64;
        self.unstarted += queue.len();
        queue
    }

    /// Whether nobody is left to work, or will be told so.
    pub(super) fn watch(&mut self, watcher: u64, waker: &mut Option<Waker>) -> bool {
        if self.seats.is_empty() || self.phase == Phase::Stopped {
            return true;
        }
        if let Some(new) = waker.take() {
            *waker = self.watchers.insert(watcher, new);
        }
        false
    }

    pub(super) fn unwatch(&mut self, watcher: u64) -> Option<Waker> {
        self.watchers.remove(&watcher)
    }

    /// A number for somebody who waits for the end.
    pub(super) fn watcher(&mut self) -> u64 {
        self.next_seat += 1;
        self.next_seat
    }

    /// Nobody works yet, and so many are asked for.
    pub(super) fn pending(asked: usize) -> Self {
        Self {
            asked,
            ..Self::default()
        }
    }

    pub(super) fn stats(&self) -> WorkerStats {
        let total = self.seats.len();
        let finished = self.completed + self.failed;
        let average = self.busy_nanos.checked_div(finished);
        WorkerStats {
            state: match self.phase {
                Phase::Pending => WorkerState::Pending,
                Phase::Started if total < self.asked => WorkerState::Degraded,
                Phase::Started => WorkerState::Running,
                Phase::Stopping if total > 0 => WorkerState::Stopping,
                Phase::Stopping | Phase::Stopped => WorkerState::Stopped,
            },
            asked: self.asked,
            total,
            active: self.active,
            queued: self.queue.len(),
            completed: self.completed,
            failed: self.failed,
            dropped: self.dropped,
            lost: self.lost,
            average_duration: average.map(std::time::Duration::from_nanos),
        }
    }
}
