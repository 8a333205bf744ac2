//! [`Signal`]: a stage that only rises, and the list of those who wait for it.
//!
//! Why no wake-up is lost: whoever raises the stage stores it before it locks the list, and whoever
//! waits reads it once more with the list locked. So either the waiter is listed before the raiser
//! takes the wakers, or it locks after the raiser and sees the new stage.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::cancel::Stage;
use crate::panic;
use crate::primitive::{AtomicU64, Mutex, Ordering, lock};

pub(crate) struct Signal {
    /// A [`Stage`] as a number.
    stage: AtomicU64,
    listeners: Mutex<Listeners>,
}

/// Places are used again, so there are as many as there were listeners at one time.
#[derive(Default)]
struct Listeners {
    places: Vec<Option<Waiting>>,
    free: Vec<usize>,
}

struct Waiting {
    waker: Waker,
    for_stage: Stage,
}

impl Default for Signal {
    fn default() -> Self {
        Self {
            stage: AtomicU64::new(Stage::Open as u64),
            listeners: Mutex::default(),
        }
    }
}

impl Signal {
    pub(crate) fn stage(&self) -> Stage {
        // Acquire pairs with the release of `raise`: who sees a stage sees what came before it.
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Open,
            1 => Stage::Draining,
            _ => Stage::Cancelled,
        }
    }

    /// Raises the stage, unless it is there already, and wakes everybody who waits for it.
    pub(crate) fn raise(&self, stage: Stage) {
        if self.stage.fetch_max(stage as u64, Ordering::AcqRel) >= stage as u64 {
            return;
        }
        let mut wakers = Vec::new();
        for place in &mut lock(&self.listeners).places {
            if let Some(waiting) = place.take_if(|waiting| waiting.for_stage <= stage) {
                wakers.push(waiting.waker);
            }
        }
        wakers.into_iter().for_each(panic::wake); // the lock is open again
    }
}

/// Somebody who waits for a stage. Takes a place in the list at the first poll that has to wait,
/// and gives it back when it is dropped.
pub(crate) struct Listener {
    signal: Arc<Signal>,
    for_stage: Stage,
    place: Option<usize>,
}

impl Listener {
    pub(crate) fn new(signal: Arc<Signal>, for_stage: Stage) -> Self {
        Self {
            signal,
            for_stage,
            place: None,
        }
    }

    /// From now on waits for this stage instead.
    pub(crate) fn wait_for(&mut self, stage: Stage) {
        self.for_stage = stage;
    }

    pub(crate) fn stage(&self) -> Stage {
        self.signal.stage()
    }

    /// Ready when the stage is reached; until then the last waker it was polled with is listed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Wakers are cloned and dropped outside the lock, since both may run foreign code.
        let mut fresh = None;
        loop {
            if self.signal.stage() >= self.for_stage {
                return Poll::Ready(());
            }
            let mut listeners = lock(&self.signal.listeners);
            if self.signal.stage() >= self.for_stage {
                return Poll::Ready(());
            }
            let listed = self
                .place
                .and_then(|place| listeners.places[place].as_mut());
            if let Some(listed) = listed
                && listed.waker.will_wake(cx.waker())
            {
                listed.for_stage = self.for_stage;
                return Poll::Pending;
            }
            let Some(waker) = fresh.take() else {
                drop(listeners);
                fresh = Some(cx.waker().clone());
                continue;
            };
            let place = *self.place.get_or_insert_with(|| listeners.add());
            let stale = listeners.places[place].replace(Waiting {
                waker,
                for_stage: self.for_stage,
            });
            drop(listeners);
            drop(stale);
            return Poll::Pending;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        let mut listeners = lock(&self.signal.listeners);
        let waiting = listeners.places[place].take();
        listeners.free.push(place);
        drop(listeners);
        drop(waiting);
    }
}

impl Listeners {
    fn add(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        })
    }
}

#[cfg(all(test, not(brolly_loom)))]
mod tests {
    use super::*;

    #[test]
    fn listeners_that_come_and_go_use_the_same_places() {
        let signal = Arc::new(Signal::default());
        for _ in 0..1_000 {
            let mut two = [0, 1].map(|_| Listener::new(Arc::clone(&signal), Stage::Cancelled));
            for listener in &mut two {
                let polled = listener.poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
            }
        }
        assert_eq!(lock(&signal.listeners).places.len(), 2);
    }
}
