//! [`Handoff`]: a bounded queue between one task that gives and one that takes.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use crate::cancel::Stopped;
use crate::panic::{Payload, contained};
use crate::primitive::{Mutex, lock};

#[cfg(all(test, brolly_loom))]
mod models;

/// Either side leaves its waker whenever it looks and has to wait, under the lock under which the
/// other side changes what it waits for; so no change comes between the look and the waker. Wakers
/// are cloned, woken and dropped outside the lock.
pub(super) struct Handoff<T> {
    capacity: usize,
    state: Mutex<State<T>>,
}

struct State<T> {
    queue: VecDeque<T>,
    /// The taker waits for something to take.
    taker: Option<Waker>,
    /// The giver waits for room, or to hear that nobody takes any more.
    giver: Option<Waker>,
    /// The giver has found no room, and nobody has woken it since.
    full: bool,
    end: Option<End>,
    closed: bool,
}

/// How it ended for the taker.
pub(super) enum End {
    /// There is no more, because there was no more, or for this reason.
    Over(Option<Stopped>),
    /// The giver panicked.
    Panicked(Payload),
}

/// What the giver may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// The queue is full.
    None,
    /// Nobody takes any more.
    Closed,
}

impl<T> Handoff<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::new(State {
                queue: VecDeque::new(),
                taker: None,
                giver: None,
                full: false,
                end: None,
                closed: false,
            }),
        }
    }

    /// Whether something may be given. Unless there is room, the giver is woken when there is. With
    /// or without room it is woken when the taker leaves.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Room {
        let waker = cx.waker().clone();
        let mut state = lock(&self.state);
        let room = match () {
            () if state.closed => Room::Closed,
            () if state.queue.len() < self.capacity => Room::Free,
            () => Room::None,
        };
        state.full = room == Room::None;
        let stale = state.giver.replace(waker);
        drop(state);
        drop(stale);
        room
    }

    /// Gives something. The caller has found room, and is the only one who gives.
    pub(super) fn give(&self, value: T) {
        let mut state = lock(&self.state);
        if state.closed {
            drop(state); // before the value, which is foreign
            return;
        }
        state.queue.push_back(value);
        let taker = state.taker.take();
        drop(state);
        wake(taker);
    }

    /// Says how it ended. Only the first word counts.
    pub(super) fn end(&self, end: End) {
        let mut state = lock(&self.state);
        state.end.get_or_insert(end);
        let taker = state.taker.take();
        drop(state);
        wake(taker);
    }

    /// The next value, or `None` after the last of a queue that has ended.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.state);
        if let Some(value) = state.queue.pop_front() {
            // Half of it, so that the giver does not come for each value.
            let refill = state.full && state.queue.len() <= self.capacity / 2;
            let giver = refill.then(|| state.giver.take()).flatten();
            state.full &= !refill;
            drop(state);
            wake(giver);
            return Poll::Ready(Some(value));
        }
        if state.end.is_some() {
            return Poll::Ready(None);
        }
        drop(state);
        let waker = cx.waker().clone();
        let mut state = lock(&self.state);
        if !state.queue.is_empty() || state.end.is_some() {
            drop(state);
            drop(waker);
            return self.poll_take(cx); // one side takes, so the queue only grew
        }
        let stale = state.taker.replace(waker);
        drop(state);
        drop(stale);
        Poll::Pending
    }

    /// The panic that ended it, once.
    pub(super) fn take_panic(&self) -> Option<Payload> {
        let mut state = lock(&self.state);
        if !matches!(state.end, Some(End::Panicked(_))) {
            return None;
        }
        match state.end.replace(End::Over(None)) {
            Some(End::Panicked(payload)) => Some(payload),
            Some(End::Over(_)) | None => None,
        }
    }

    /// Why it ended early, if it did.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        match lock(&self.state).end {
            Some(End::Over(stopped)) => stopped,
            Some(End::Panicked(_)) | None => None,
        }
    }

    /// Nobody takes any more: what is queued is dropped, and the giver is told.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let queue = std::mem::take(&mut state.queue);
        let giver = state.giver.take();
        drop(state);
        wake(giver);
        drop(queue);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        contained(|| waker.wake());
    }
}
