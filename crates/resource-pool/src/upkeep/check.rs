//! One check of an idle resource. It belongs to the pool: who waited for it may leave.

use std::sync::Arc;

use brolly_sync::TimerExt;

use crate::core::{Core, Effects};
use crate::event::Event;
use crate::manager::{CloseReason, Manager};
use crate::panics::{contain, contained};
use crate::places::loan::Loan;
use crate::shared::Shared;

/// So many failures in a row make a pool degraded.
pub(crate) const DEGRADED_AFTER: u32 = 3;

/// A resource with a check. Dropped before its end, the resource is closed: nobody knows in which
/// state it was left.
pub(crate) struct Checkup<M: Manager> {
    shared: Arc<Shared<M>>,
    loan: Option<Loan<M::Resource>>,
    is_promised: bool,
}

impl<M: Manager> Checkup<M> {
    pub(crate) fn new(shared: Arc<Shared<M>>, loan: Loan<M::Resource>, is_promised: bool) -> Self {
        Self {
            shared,
            loan: Some(loan),
            is_promised,
        }
    }

    fn leave(core: &mut Core<M>, is_promised: bool) {
        core.checking -= 1;
        core.promised -= usize::from(is_promised);
    }

    fn pass(&mut self) {
        let Some(mut loan) = self.loan.take() else {
            return;
        };
        let (shared, is_promised) = (&self.shared, self.is_promised);
        let now = shared.time.coarse();
        let item = &mut *loan.item;
        item.good_until = now
            .saturating_add(shared.grace_after_check())
            .min(item.expires_at);
        shared.change(|core, now, effects| {
            Self::leave(core, is_promised);
            note_success(core, effects);
            core.offer(&shared.idle, loan, now, effects);
        });
    }

    fn fail(&mut self, message: String) {
        let Some(loan) = self.loan.take() else {
            return;
        };
        let (shared, is_promised) = (&self.shared, self.is_promised);
        let was_suspect = shared.change(|core, now, effects| {
            Self::leave(core, is_promised);
            let suspect_since = core.suspect_since;
            core.suspect_since = suspect_since.or(Some(now.time));
            if suspect_since.is_some_and(|since| loan.item.created >= since) {
                // What is made since then passes no check either: making more of it has to pause.
                core.pause_for_check(now);
            }
            note_failure(core, message, effects);
            core.retire(loan, CloseReason::Unhealthy, effects);
            suspect_since.is_some()
        });
        if !was_suspect {
            shared.bell.check_now();
        }
    }
}

/// A resource has passed.
pub(crate) fn note_success<M: Manager>(core: &mut Core<M>, effects: &mut Effects<M>) {
    core.trust();
    if core.failed_checks >= DEGRADED_AFTER {
        effects.events.push(Event::Recovered);
    }
    core.failed_checks = 0;
}

/// A resource has not passed. It will be closed.
pub(crate) fn note_failure<M: Manager>(
    core: &mut Core<M>,
    message: String,
    effects: &mut Effects<M>,
) {
    core.counts.check_failures += 1;
    effects.events.push(Event::CheckFailed { message });
    core.failed_checks = core.failed_checks.saturating_add(1);
    if core.failed_checks == DEGRADED_AFTER {
        effects.events.push(Event::Degraded);
    }
}

impl<M: Manager> Drop for Checkup<M> {
    fn drop(&mut self) {
        // Without effect after a check that has ended.
        self.fail(String::from("the check was dropped"));
    }
}

pub(crate) async fn run<M: Manager>(mut checkup: Checkup<M>) {
    let result = {
        let Checkup { shared, loan, .. } = &mut checkup;
        let item = &mut loan.as_mut().expect("a check begins with a loan").item;
        let usage = item.usage(shared.time.coarse());
        let limit = shared.rules.check_timeout;
        let resource = &mut item.resource;
        let checked = contained(async { shared.manager.recycle(resource, &usage).await });
        match shared.timer.timeout(limit, checked).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(contain(|| error.to_string()).unwrap_or_default()),
            Ok(Err(panic)) => Err(format!("the check panicked: {panic}")),
            Err(_) => Err(format!("no answer after {limit:?}")),
        }
    };
    match result {
        Ok(()) => checkup.pass(),
        Err(message) => checkup.fail(message),
    }
}
