//! [`Control`]: what a run obeys besides its own limit.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use brolly_sync::{Sleep, Timer};

use crate::cancel::listeners::Listener;
use crate::cancel::{CancelToken, Stage, Stopped};
use crate::limiter::LimiterPermit;

/// What one more item needs to start, and holds until it has ended. Boxed: most runs issue none,
/// and their slots are to stay small.
pub(crate) type Pass = Option<Box<LimiterPermit>>;

/// Runs code of the item that holds this pass, so that what nests in it can tell.
#[inline]
pub(crate) fn under<R>(pass: &mut Pass, code: impl FnOnce() -> R) -> R {
    match pass {
        None => code(),
        Some(permit) => permit.enter(code),
    }
}

/// Decides whether one more item may start now.
///
/// A gate belongs to one run. It may share what it guards with others.
pub(crate) trait Gate: Send + Sync {
    /// Ready: one more item may start. Pending: not now, and the waker is woken when asking again
    /// may help.
    ///
    /// `in_flight` items of this run hold a pass. A gate is asked again at every poll of its run,
    /// so also when `in_flight` has changed; it is never asked while nothing wants to start. An
    /// answer may be thrown away with its pass.
    fn poll_admit(&mut self, in_flight: usize, cx: &mut Context<'_>) -> Poll<Pass>;

    /// Another gate says no: gives up what this one is waiting for, so that nobody waits for what
    /// could not be used. It may be asked again.
    fn stand_back(&mut self) {}
}

/// A token, a deadline and gates, each optional. The default has none, and costs a run nothing.
#[derive(Default)]
pub(crate) struct Control {
    rules: Option<Box<Rules>>,
}

#[derive(Default)]
struct Rules {
    token: Option<Listener>,
    deadline: Option<Deadline>,
    throttle: Option<Box<dyn Gate>>,
    limiter: Option<Box<dyn Gate>>,
}

enum Deadline {
    /// The time counts from the first poll.
    After(Arc<dyn Timer>, Duration),
    At(Sleep),
}

/// What a run has to do about its token and its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    GoOn,
    /// Start nothing more.
    Drain(Stopped),
    /// Start nothing more and drop what runs.
    Drop(Stopped),
}

impl Control {
    /// Obeys this token.
    pub(crate) fn cancel_with(mut self, token: &CancelToken) -> Self {
        self.rules().token = Some(token.listen(Stage::Draining));
        self
    }

    /// Drops what runs, and starts nothing more, once `after` has passed since the run's first
    /// poll.
    pub(crate) fn deadline(mut self, timer: Arc<dyn Timer>, after: Duration) -> Self {
        self.rules().deadline = Some(Deadline::After(timer, after));
        self
    }

    /// Asks this gate first. It must not issue passes: one that it had issued would be returned
    /// each time the limiter says no.
    pub(crate) fn throttle(mut self, gate: impl Gate + 'static) -> Self {
        self.rules().throttle = Some(Box::new(gate));
        self
    }

    /// Asks this gate last; an item runs on the pass it issues.
    pub(crate) fn limiter(mut self, gate: impl Gate + 'static) -> Self {
        self.rules().limiter = Some(Box::new(gate));
        self
    }

    fn rules(&mut self) -> &mut Rules {
        self.rules.get_or_insert_default()
    }
}

impl Control {
    /// Whether there is nothing to obey.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.rules.is_none()
    }

    /// Nothing will ask to start any more: gives up the places in line.
    pub(crate) fn leave_gates(&mut self) {
        if let Some(rules) = &mut self.rules {
            rules.throttle = None;
            rules.limiter = None;
        }
    }

    /// The order of the moment; the waker is woken when it may have changed.
    pub(crate) fn poll_order(&mut self, cx: &mut Context<'_>) -> Order {
        let Some(rules) = &mut self.rules else {
            return Order::GoOn;
        };
        let mut order = Order::GoOn;
        if let Some(token) = &mut rules.token {
            if token.poll(cx).is_ready() {
                token.wait_for(Stage::Cancelled);
                let _listed_for_the_rest = token.poll(cx);
            }
            match token.stage() {
                Stage::Open => {}
                Stage::Draining => order = Order::Drain(Stopped::Cancelled),
                Stage::Cancelled => return Order::Drop(Stopped::Cancelled),
            }
        }
        if let Some(deadline) = &mut rules.deadline
            && deadline.poll(cx).is_ready()
        {
            return Order::Drop(Stopped::DeadlineExceeded);
        }
        order
    }

    /// Whether the token has been used. Costs one load, and no waker is kept.
    pub(crate) fn is_stopping(&self) -> bool {
        let token = self.rules.as_ref().and_then(|rules| rules.token.as_ref());
        token.is_some_and(|token| token.stage() != Stage::Open)
    }

    /// Whether one more item may start beside those `in_flight`.
    pub(crate) fn poll_admit(&mut self, in_flight: usize, cx: &mut Context<'_>) -> Poll<Pass> {
        let Some(rules) = &mut self.rules else {
            return Poll::Ready(None);
        };
        if let Some(throttle) = &mut rules.throttle
            && throttle.poll_admit(in_flight, cx).is_pending()
        {
            if let Some(limiter) = &mut rules.limiter {
                limiter.stand_back();
            }
            return Poll::Pending;
        }
        match &mut rules.limiter {
            Some(limiter) => limiter.poll_admit(in_flight, cx),
            None => Poll::Ready(None),
        }
    }
}

impl Deadline {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::After(timer, after) = self {
            let sleep = timer.sleep(*after);
            *self = Self::At(sleep);
        }
        match self {
            Self::At(sleep) => Pin::new(sleep).poll(cx),
            Self::After(..) => Poll::Pending,
        }
    }
}
