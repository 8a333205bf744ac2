//! [`Planned`]: a run that is described first and starts with its first poll.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::drive::Drive;
use crate::processor::Settings;
use crate::work::Work;

/// Some [`Work`] and what to do with its items. Until the first poll both may still be exchanged,
/// which is how the forms of a map are made from one another; from then on it is a [`Drive`].
pub(crate) struct Planned<W: Work, F, Fut> {
    stage: Stage<W, F, Fut>,
}

enum Stage<W: Work, F, Fut> {
    Plan(Plan<W, F>),
    Running(Drive<W, F, Fut>),
    Over,
}

/// What a run needs to start.
pub(crate) struct Plan<W, F> {
    pub(crate) settings: Settings,
    pub(crate) work: W,
    pub(crate) begin: F,
}

impl<W: Work, F, Fut> Planned<W, F, Fut> {
    pub(crate) fn new(settings: Settings, work: W, begin: F) -> Self {
        Self {
            stage: Stage::Plan(Plan {
                settings,
                work,
                begin,
            }),
        }
    }

    /// The plan, to be made into another one.
    ///
    /// # Panics
    ///
    /// When the run has started: futures of the old kind would be lost.
    pub(crate) fn into_plan(self) -> Plan<W, F> {
        match self.stage {
            Stage::Plan(plan) => plan,
            Stage::Running(_) | Stage::Over => {
                panic!("the form of a map cannot change once it was polled")
            }
        }
    }

    /// The work, unless the run is over.
    pub(crate) fn work(&self) -> Option<&W> {
        match &self.stage {
            Stage::Plan(plan) => Some(&plan.work),
            Stage::Running(drive) => drive.work(),
            Stage::Over => None,
        }
    }

    /// The work, unless the run is over. Whoever changes it polls afterwards.
    pub(crate) fn work_mut(&mut self) -> Option<&mut W> {
        match &mut self.stage {
            Stage::Plan(plan) => Some(&mut plan.work),
            Stage::Running(drive) => drive.work_mut(),
            Stage::Over => None,
        }
    }

    /// How many items are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        match &self.stage {
            Stage::Running(drive) => drive.in_flight(),
            Stage::Plan(_) | Stage::Over => 0,
        }
    }

    /// Drops what runs, without a word to the work, and returns it, unless the run is over.
    pub(crate) fn abandon(&mut self) -> Option<W> {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Plan(plan) => Some(plan.work),
            Stage::Running(mut drive) => drive.abandon(),
            Stage::Over => None,
        }
    }

    #[cold]
    fn start(&mut self) {
        if let Stage::Plan(plan) = mem::replace(&mut self.stage, Stage::Over) {
            let limit = plan.settings.max_concurrent;
            let control = plan.settings.control();
            self.stage = Stage::Running(Drive::new(plan.work, limit, control, plan.begin));
        }
    }
}

/// As for [`Drive`].
impl<W: Work, F, Fut> Unpin for Planned<W, F, Fut> {}

impl<W, F, Fut, R, E> Future for Planned<W, F, Fut>
where
    W: Work<Output = R, Error = E>,
    F: FnMut(W::Item) -> Fut,
    Fut: Future<Output = Result<R, E>>,
{
    type Output = W;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W> {
        if matches!(self.stage, Stage::Plan(_)) {
            self.start();
        }
        let Stage::Running(drive) = &mut self.stage else {
            panic!("polled after completion");
        };
        let polled = Pin::new(drive).poll(cx);
        if polled.is_ready() {
            self.stage = Stage::Over; // the function and what it captured go with the run
        }
        polled
    }
}
