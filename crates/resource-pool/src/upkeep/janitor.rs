//! What has to be done when nobody asks: resources that were idle or lived for too long, checks of
//! idle ones, reports of leaks, the end of leases. With a spawner a task does it, without one
//! [`Pool::maintain`](crate::Pool::maintain).
//!
//! The task sleeps until something can be due. What happens while it sleeps can be due no earlier
//! than the shortest of the periods after that; so it never sleeps longer than that, and has nothing
//! to do while the pool is empty.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use brolly_sync::{NEVER, Timer};

use crate::core::{Core, Effects, Now};
use crate::event::Event;
use crate::manager::{CloseReason, Manager};
use crate::panics::{discard, wake};
use crate::places::loan::Loan;
use crate::primitive::{Mutex, lock};
use crate::shared::Shared;
use crate::time::nanos_or_never;
use crate::upkeep::check;

const SECOND: u64 = 1_000_000_000;

/// The shortest sleep: however short the periods are, the task must not run without an end.
const MILLISECOND: u64 = 1_000_000;

/// Rouses the task that does the maintenance.
#[derive(Default)]
pub(crate) struct Bell(Mutex<Bellman>);

#[derive(Default)]
struct Bellman {
    waker: Option<Waker>,
    /// The task sleeps without an end, since the pool was empty.
    is_parked: bool,
    has_rung: bool,
    has_suspicion: bool,
    is_over: bool,
}

impl Bell {
    /// The pool is not empty any more: wakes the task if it was when the task fell asleep.
    pub(crate) fn ring(&self) {
        let waker = {
            let mut state = lock(&self.0);
            state.has_rung = true;
            match state.is_parked {
                true => state.waker.take(),
                false => None,
            }
        };
        if let Some(waker) = waker {
            wake(waker);
        }
    }

    /// A check has failed: the others want one too.
    pub(crate) fn check_now(&self) {
        self.wake_with(|state| state.has_suspicion = true);
    }

    /// The pool is closed.
    pub(crate) fn end(&self) {
        self.wake_with(|state| state.is_over = true);
    }

    fn wake_with(&self, change: impl FnOnce(&mut Bellman)) {
        let waker = {
            let mut state = lock(&self.0);
            change(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            wake(waker);
        }
    }

    fn take_suspicion(&self) -> bool {
        std::mem::take(&mut lock(&self.0).has_suspicion)
    }

    /// Ready when there may be something to do.
    fn poll(&self, is_parked: bool, cx: &mut Context<'_>) -> Poll<()> {
        let fresh = cx.waker().clone();
        let (outcome, before) = {
            let mut state = lock(&self.0);
            state.is_parked = is_parked;
            let is_called = is_parked && std::mem::take(&mut state.has_rung);
            if state.is_over || state.has_suspicion || is_called {
                (Poll::Ready(()), Some(fresh))
            } else {
                (Poll::Pending, state.waker.replace(fresh))
            }
        };
        discard(before);
        outcome
    }

    fn is_over(&self) -> bool {
        lock(&self.0).is_over
    }
}

/// The task. It holds the pool only while it works.
pub(crate) async fn run<M: Manager>(
    shared: Weak<Shared<M>>,
    bell: Arc<Bell>,
    timer: Arc<dyn Timer>,
) {
    loop {
        let next = {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            maintain(&shared).await
        };
        if bell.is_over() {
            return;
        }
        let mut sleep = next.map(|after| pin_sleep(&*timer, after));
        poll_fn(|cx| {
            if bell.poll(sleep.is_none(), cx).is_ready() {
                return Poll::Ready(());
            }
            match &mut sleep {
                Some(sleep) => pin!(sleep).poll(cx),
                None => Poll::Pending,
            }
        })
        .await;
    }
}

fn pin_sleep(timer: &dyn Timer, after: Duration) -> brolly_sync::Sleep {
    timer.sleep(after)
}

/// Does what is due, and says when something can be due again; `None` while the pool is empty.
pub(crate) async fn maintain<M: Manager>(shared: &Arc<Shared<M>>) -> Option<Duration> {
    let is_suspect = shared.bell.take_suspicion();
    let now = shared.time.coarse();
    let interval = nanos_or_never(shared.rules.health_interval);
    shared.steer(now);
    let is_due = now >= shared.next_health.load(Relaxed);
    if is_due || is_suspect {
        if is_due {
            let next = now.saturating_add(interval);
            shared.next_health.store(next, Relaxed);
        }
        let idle_since = match is_suspect {
            true => now,
            false => now.saturating_sub(interval / 2),
        };
        check_idle(shared, idle_since).await;
    }
    sweep(shared).map(Duration::from_nanos)
}

/// Checks what has been idle since then, one after another, so that the others can be had meanwhile.
async fn check_idle<M: Manager>(shared: &Arc<Shared<M>>, idle_since: u64) {
    let mut swept = shared.time.coarse();
    for number in shared.idle.numbers() {
        let record = shared.idle.record_of(number);
        if !shared.idle.is_idle(number) || record.idle_since() > idle_since {
            continue;
        }
        let taken = shared.change(|core, _, _| {
            let (place, item) = shared.idle.take_this(number)?;
            core.checking += 1;
            Some(Loan { place, item })
        });
        if let Some(loan) = taken {
            check::run(check::Checkup::new(Arc::clone(shared), loan, false)).await;
            // Checks that hang delay what else is due by one of them, not by all.
            let now = shared.time.coarse();
            if now.saturating_sub(swept) >= SECOND {
                swept = now;
                let _ = sweep(shared);
            }
        }
    }
    let now = shared.time.coarse();
    lock(&shared.core).counts.last_health_check = Some(now);
}

/// Everything that needs no waiting. Returns in how many nanoseconds to look again.
fn sweep<M: Manager>(shared: &Arc<Shared<M>>) -> Option<u64> {
    shared.change(|core, now, effects| {
        if core.is_closed {
            return None;
        }
        let mut sweep = Sweep::new(shared, core, now);
        // The hottest have the lowest numbers: those beyond the need go first.
        for number in shared.idle.numbers().rev() {
            sweep.look(core, number, effects);
        }
        let is_empty = core.size == 0 && core.creating == 0;
        (!is_empty).then_some(sweep.next)
    })
}

struct Sweep<'a, M: Manager> {
    shared: &'a Shared<M>,
    now: Now,
    idle_timeout: u64,
    leak_after: u64,
    lease: u64,
    /// So long before its end a resource gets a successor.
    lead: u64,
    /// How many more may be closed now.
    evictions: usize,
    next: u64,
}

impl<'a, M: Manager> Sweep<'a, M> {
    fn new(shared: &'a Shared<M>, core: &mut Core<M>, now: Now) -> Self {
        let rules = &shared.rules;
        let lag = shared.time.lag();
        // What is reported or ended must be older than the limit, so the lag is waited for too.
        let late = |limit| nanos_or_never(limit).saturating_add(lag);
        let idle_timeout = late(rules.idle_timeout);
        let leak_after = late(rules.leak_after);
        let lease = late(rules.lease_timeout);
        let lifetime = nanos_or_never(rules.max_lifetime);
        let health = nanos_or_never(rules.health_interval);
        // Checkouts do not say that they leave too few.
        let refill = match core.min_idle > 0 && core.is_warm && now.has_spawner {
            true => SECOND,
            false => NEVER,
        };
        let control = shared.controller.due_in(now.time);
        let periods = [idle_timeout, leak_after, lease, health, lifetime / 2];
        let shortest = [refill, control]
            .into_iter()
            .chain(periods)
            .min()
            .unwrap_or(NEVER);
        // A tick is a second, however often somebody looks.
        if now.time.abs_diff(core.evicted.0) >= SECOND {
            core.evicted.1 = 0;
        }
        let tenth = core.size.div_ceil(10);
        let allowed = rules.evictions_per_tick.unwrap_or(tenth);
        Self {
            shared,
            now,
            idle_timeout,
            leak_after,
            lease,
            lead: lifetime / 20,
            evictions: allowed.saturating_sub(core.evicted.1),
            next: shortest.max(MILLISECOND),
        }
    }

    fn due(&mut self, at: u64) {
        if at != NEVER {
            let wait = at.saturating_sub(self.now.time);
            self.next = self.next.min(wait.max(MILLISECOND));
        }
    }

    fn look(&mut self, core: &mut Core<M>, number: usize, effects: &mut Effects<M>) {
        let record = self.shared.idle.record_of(number);
        if self.shared.idle.is_idle(number) {
            self.look_at_idle(core, number, effects);
        } else if let Some(since) = record.held_since() {
            self.look_at_held(core, number, since, effects);
        }
    }

    fn look_at_idle(&mut self, core: &mut Core<M>, number: usize, effects: &mut Effects<M>) {
        let now = self.now.time;
        let record = self.shared.idle.record_of(number);
        let (expires_at, idle_since) = (record.expires_at(), record.idle_since());
        let has_spare = core.size - core.closing > core.min
            && (core.min_idle == 0 || self.shared.idle.idle() > core.min_idle);
        let idles_until = idle_since.saturating_add(self.idle_timeout);
        let reason = if now >= expires_at {
            Some(CloseReason::Expired)
        } else if has_spare && now > idles_until {
            Some(CloseReason::Idle)
        } else {
            None
        };
        match reason {
            // What lived for too long is not handed out either way.
            Some(_) if self.evictions == 0 => self.due(core.evicted.0.saturating_add(SECOND)),
            Some(reason) => {
                if let Some((place, item)) = self.shared.idle.take_this(number) {
                    let loan = Loan { place, item };
                    // It may have been handed out and come back since its record was read.
                    let is_over = now >= loan.item.expires_at
                        || now > loan.item.returned.saturating_add(self.idle_timeout);
                    match is_over {
                        true => {
                            self.evictions -= 1;
                            if core.evicted.1 == 0 {
                                core.evicted.0 = now;
                            }
                            core.evicted.1 += 1;
                            core.retire(loan, reason, effects);
                        }
                        false => core.offer(&self.shared.idle, loan, self.now, effects),
                    }
                }
            }
            None => {
                if has_spare {
                    self.due(idles_until.saturating_add(1));
                }
                self.succeed(core, number, expires_at);
            }
        }
    }

    /// Asks for a successor of a resource whose end is near, if there is room and need for one.
    fn succeed(&mut self, core: &mut Core<M>, number: usize, expires_at: u64) {
        if self.now.time >= expires_at {
            // It ends when it comes back.
            return;
        }
        if expires_at == NEVER || !self.now.has_spawner {
            return self.due(expires_at);
        }
        let near = expires_at.saturating_sub(self.lead);
        if self.now.time < near {
            return self.due(near);
        }
        self.due(expires_at);
        let record = self.shared.idle.record_of(number);
        let is_needed = core.size - core.closing <= core.min
            || record.held_since().is_some()
            || self.now.time.saturating_sub(record.idle_since()) < self.lead;
        let has_room = core.size + core.creating + core.extra < core.max;
        if is_needed && has_room && record.ask_successor(expires_at) {
            core.extra += 1;
        }
    }

    fn look_at_held(
        &mut self,
        core: &mut Core<M>,
        number: usize,
        since: u64,
        effects: &mut Effects<M>,
    ) {
        let now = self.now.time;
        let shared = self.shared;
        let record = shared.idle.record_of(number);
        let leaks_at = since.saturating_add(self.leak_after);
        if now > leaks_at {
            if record.report(since) {
                core.counts.leaks += 1;
                let holder = shared.holder(number, record, since, now);
                effects.events.extend(holder.map(Event::Leaked));
            }
        } else {
            self.due(leaks_at.saturating_add(1));
        }
        let ends_at = since.saturating_add(self.lease);
        if shared.has_leases && now > ends_at {
            let holder = shared.holder(number, record, since, now);
            if record.abandon(since, now) {
                core.size -= 1;
                core.abandoned += 1;
                core.counts.reclaimed += 1;
                effects.events.extend(holder.map(Event::Reclaimed));
                return;
            }
        }
        if shared.has_leases {
            self.due(ends_at.saturating_add(1));
        }
        self.succeed(core, number, record.expires_at());
    }
}
