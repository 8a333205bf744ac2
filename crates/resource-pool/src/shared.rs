//! [`Shared`]: what the handles, guards and tasks of one pool share, and how its parts meet.

use std::panic::Location;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use brolly_sync::{Clock, NEVER, NanoClock, Spawn, Task, Timer, saturating_nanos};

use crate::config::{Check, Rules, check_sizes};
use crate::controller::Steering;
use crate::core::{Core, Counts, Effects, Idle, Job, Now};
use crate::error::ConfigError;
use crate::event::{Event, Hooks};
use crate::gate::Gatekeeper;
use crate::line::limit::{Limits, Ringer};
use crate::line::queue::Queue;
use crate::manager::{CloseReason, Manager};
use crate::panics::{contain, discard, wake};
use crate::places::idle_set::{IdleSet, Put};
use crate::places::label::Labels;
use crate::places::loan::{Item, Loan};
use crate::places::record::Return;
use crate::primitive::{AtomicU64, Mutex, lock};
use crate::reports::holders::Site;
use crate::reports::stats::{Capacity, Stats, Waits};
use crate::spawn::spawn;
use crate::time::{nano_clock, nanos_or_never};
use crate::upkeep::check;
use crate::upkeep::close;
use crate::upkeep::create;
use crate::upkeep::crew::{Alarm, Crew};
use crate::upkeep::janitor::Bell;

pub(crate) struct Shared<M: Manager> {
    // What every checkout reads comes first, and does not change.
    pub(crate) idle: Idle<M>,
    pub(crate) time: NanoClock,
    /// For so long after its return a resource is good without a check.
    grace: u64,
    max_uses: u64,
    pub(crate) has_leases: bool,
    keep_after_panic: bool,
    pub(crate) manager: M,
    pub(crate) hooks: Hooks<M::Resource>,
    pub(crate) gate: Gatekeeper,
    generation: AtomicU64,
    /// One more than the highest place that was ever handed out.
    high_water: AtomicUsize,

    pub(crate) rules: Rules,
    pub(crate) timer: Arc<dyn Timer>,
    /// The same, to read it.
    pub(crate) timer_clock: NanoClock,
    /// What the timer wakes when somebody in line may be out of time.
    pub(crate) ringer: Waker,
    pub(crate) spawner: Option<Arc<dyn Spawn>>,
    itself: Weak<Self>,
    pub(crate) core: Mutex<Core<M>>,
    pub(crate) crew: Crew,
    pub(crate) waits: Waits,
    pub(crate) bell: Arc<Bell>,
    pub(crate) controller: Steering,
    pub(crate) labels: Labels,
    /// The figures when the demand was asked for last.
    pub(crate) demand_since: Mutex<Option<Stats>>,
    pub(crate) began: u64,
    /// When idle resources are checked next.
    pub(crate) next_health: std::sync::atomic::AtomicU64,
}

impl<M: Manager> Shared<M> {
    pub(crate) fn new(
        manager: M,
        hooks: Hooks<M::Resource>,
        gate: Gatekeeper,
        controller: Steering,
        rules: Rules,
        timer: Arc<dyn Timer>,
    ) -> Arc<Self> {
        let time = rules.time();
        let grace = match rules.check {
            Check::Always => 0,
            Check::IfIdleFor(duration) => saturating_nanos(duration).saturating_sub(time.lag()),
            Check::Never => NEVER,
        };
        let round_robin = rules.order == crate::config::Order::RoundRobin;
        let core = Core {
            line: Queue::new(),
            limits: Limits::default(),
            max: rules.max_size,
            min: rules.min_size,
            min_idle: rules.min_idle,
            capacity: Capacity::new(time.coarse()),
            size: 0,
            creating: 0,
            checking: 0,
            promised: 0,
            closing: 0,
            evicted: (0, 0),
            abandoned: 0,
            vacant: Default::default(),
            attention: false,
            is_closed: false,
            is_warm: false,
            suspect_since: None,
            extra: 0,
            failing: None,
            backoff: rules.pauses(),
            epoch: 0,
            last_error: None,
            on_create_error: rules.on_create_error,
            concurrency: rules.create_concurrency,
            failed_checks: 0,
            counts: Counts::default(),
            watchers: Vec::new(),
            next_watcher: 0,
            version: 0,
            seen: [0; 5],
            peak: 0,
        };
        Arc::new_cyclic(|itself| Self {
            idle: IdleSet::new(rules.shards(), round_robin),
            began: time.coarse(),
            next_health: std::sync::atomic::AtomicU64::new(
                time.coarse()
                    .saturating_add(nanos_or_never(rules.health_interval)),
            ),
            time,
            grace,
            max_uses: rules.max_uses.unwrap_or(u64::MAX),
            has_leases: rules.lease_timeout.is_some(),
            keep_after_panic: rules.keep_after_panic,
            manager,
            hooks,
            gate,
            generation: AtomicU64::new(0),
            high_water: AtomicUsize::new(0),
            spawner: rules.spawner.clone(),
            rules,
            timer_clock: nano_clock(Arc::clone(&timer) as Arc<dyn Clock>),
            timer,
            ringer: Waker::from(Arc::new(Ringer(Weak::clone(itself)))),
            itself: Weak::clone(itself),
            core: Mutex::new(core),
            crew: Crew::default(),
            waits: Waits::default(),
            bell: Arc::new(Bell::default()),
            controller,
            labels: Labels::default(),
            demand_since: Mutex::new(None),
        })
    }

    /// What a step under the lock goes by. The time is read before, since a clock may be the user's;
    /// the generation is read after, so that a step after a reset sees it.
    pub(crate) fn now_under_lock(&self, time: u64) -> Now {
        Now {
            time,
            generation: self.generation.load(Acquire),
            has_spawner: self.spawner.is_some(),
            has_leases: self.has_leases,
        }
    }

    pub(crate) fn arc(&self) -> Option<Arc<Self>> {
        self.itself.upgrade()
    }

    pub(crate) fn weak(&self) -> Weak<Self> {
        Weak::clone(&self.itself)
    }

    // ---- The fast way ----

    /// Takes an idle resource that needs no second look, if nobody waits.
    #[inline]
    pub(crate) fn try_fast(&self, site: &'static Location<'static>) -> Option<Loan<M::Resource>> {
        let (place, mut item) = self.idle.try_take()?;
        let now = self.time.coarse();
        // Acquire: who asks after a reset sees the new generation.
        if now >= item.good_until || item.generation != self.generation.load(Acquire) {
            self.put_back(Loan { place, item });
            return None;
        }
        item.uses += 1;
        self.idle.record(&place).begin(now, site);
        let ordinal = place.ordinal();
        if ordinal >= self.high_water.load(Relaxed) {
            self.rise(ordinal);
        }
        Some(Loan { place, item })
    }

    /// A checkout that needs a second look: the slow way is to give it one.
    #[cold]
    fn put_back(&self, loan: Loan<M::Resource>) {
        self.change(|core, now, effects| core.offer(&self.idle, loan, now, effects));
    }

    #[cold]
    fn rise(&self, ordinal: usize) {
        self.high_water.fetch_max(ordinal + 1, Relaxed);
        let mut core = lock(&self.core);
        core.peak = core.peak.max(core.in_use(&self.idle));
    }

    /// Takes a resource back from its holder, on any thread and in any state of it.
    #[inline]
    pub(crate) fn give_back(&self, mut loan: Loan<M::Resource>, has_panicked: bool) {
        let now = self.time.coarse();
        match self.idle.record(&loan.place).end(now, self.has_leases) {
            Return::Timely => {}
            Return::Late { since } => self.tell_late(&loan, since, now),
            Return::Abandoned => return self.pardon(loan),
        }
        if let Some(reason) = self.verdict(&mut loan.item, now, has_panicked) {
            return self.retire(loan, reason);
        }
        let item = &mut *loan.item;
        item.returned = now;
        item.good_until = now.saturating_add(self.grace).min(item.expires_at);
        match self.idle.put(loan.place, loan.item) {
            Put::Idle => {}
            Put::Look => self.change_at(now, |_, _, _| {}),
            Put::Refused(place, item) => self.hand_over(Loan { place, item }, now),
        }
    }

    /// Why a resource that comes back cannot stay, if it cannot.
    #[inline]
    fn verdict(
        &self,
        item: &mut Item<M::Resource>,
        now: u64,
        has_panicked: bool,
    ) -> Option<CloseReason> {
        if has_panicked && !self.keep_after_panic {
            return Some(CloseReason::Panicked);
        }
        let is_broken = contain(|| self.manager.is_broken(&mut item.resource));
        if is_broken.unwrap_or(true) {
            return Some(CloseReason::Broken);
        }
        if item.generation != self.generation.load(Acquire) {
            return Some(CloseReason::Reset);
        }
        if now >= item.expires_at {
            return Some(CloseReason::Expired);
        }
        if item.uses >= self.max_uses {
            return Some(CloseReason::WornOut);
        }
        if let Some(hook) = &self.hooks.after_release {
            let usage = item.usage(now);
            let may_stay = contain(|| hook(&mut item.resource, &usage));
            if !may_stay.unwrap_or(false) {
                return Some(CloseReason::Unhealthy);
            }
        }
        None
    }

    /// Somebody waits, or the pool is being closed or made smaller.
    fn hand_over(&self, loan: Loan<M::Resource>, now: u64) {
        self.change_at(now, |core, now, effects| {
            core.offer(&self.idle, loan, now, effects)
        });
    }

    #[cold]
    fn tell_late(&self, loan: &Loan<M::Resource>, since: u64, now: u64) {
        lock(&self.core).counts.late_returns += 1;
        if let Some(site) = self.idle.record(&loan.place).site() {
            self.hooks.tell(&Event::ReturnedLate {
                site: Site::of(site),
                held_for: Duration::from_nanos(now.saturating_sub(since)),
            });
        }
    }

    #[cold]
    fn pardon(&self, loan: Loan<M::Resource>) {
        self.change(|core, _, effects| core.pardon(&self.idle, loan, effects));
    }

    #[cold]
    pub(crate) fn retire(&self, loan: Loan<M::Resource>, reason: CloseReason) {
        self.change(|core, _, effects| core.retire(loan, reason, effects));
    }

    /// Ends a checkout whose resource leaves the pool or is closed. False if its place was given
    /// away before.
    pub(crate) fn end(&self, loan: &Loan<M::Resource>) -> bool {
        let now = self.time.coarse();
        match self.idle.record(&loan.place).end(now, self.has_leases) {
            Return::Timely => true,
            Return::Late { since } => {
                self.tell_late(loan, since, now);
                true
            }
            Return::Abandoned => false,
        }
    }

    pub(crate) fn discard(&self, loan: Loan<M::Resource>, reason: CloseReason) {
        match self.end(&loan) {
            true => self.retire(loan, reason),
            false => self.pardon(loan),
        }
    }

    pub(crate) fn detach(&self, loan: Loan<M::Resource>) -> M::Resource {
        let is_ours = self.end(&loan);
        let Loan { place, item } = loan;
        self.change(|core, _, _| {
            if is_ours {
                core.size -= 1;
            } else {
                self.idle.record(&place).pardon();
                core.abandoned -= 1;
                core.counts.late_returns += 1;
            }
            core.counts.detached += 1;
            core.vacant.insert(place);
        });
        item.resource
    }

    // ---- The slow way ----

    /// Changes what is under the lock, lets it settle, and does what came of it.
    pub(crate) fn change<T>(
        &self,
        step: impl FnOnce(&mut Core<M>, Now, &mut Effects<M>) -> T,
    ) -> T {
        self.change_at(self.time.coarse(), step)
    }

    /// The same with a reading of the clock that was just made.
    fn change_at<T>(
        &self,
        time: u64,
        step: impl FnOnce(&mut Core<M>, Now, &mut Effects<M>) -> T,
    ) -> T {
        let mut effects = Effects::new();
        let output = {
            let mut core = lock(&self.core);
            let now = self.now_under_lock(time);
            let output = step(&mut core, now, &mut effects);
            core.settle(&self.idle, now, &mut effects);
            output
        };
        self.perform(effects);
        output
    }

    /// Does what may not be done under the lock.
    pub(crate) fn perform(&self, effects: Effects<M>) {
        let Effects {
            waker,
            wakers,
            jobs,
            retired,
            events,
            rings_bell,
        } = effects;
        if let Some(waker) = waker {
            wake(waker);
        }
        for waker in wakers {
            wake(waker);
        }
        for event in &events {
            self.hooks.tell(event);
        }
        for job in jobs {
            self.start(job);
        }
        close::all(self, retired);
        if rings_bell {
            self.bell.ring();
        }
    }

    fn start(&self, job: Job<M>) {
        // Who calls this holds a reference; only the last destructor finds none, and has no jobs.
        let Some(shared) = self.arc() else { return };
        let task: Task = match job {
            Job::Create { epoch } => Box::pin(create::run(create::Attempt::new(shared, epoch))),
            Job::Check { loan, is_promised } => {
                Box::pin(check::run(check::Checkup::new(shared, loan, is_promised)))
            }
            Job::Pause { nanos, until } => {
                Box::pin(create::pause(create::Pause::new(&shared, until), nanos))
            }
        };
        self.run(task);
    }

    /// Runs a task in the background, or leaves it to those who wait.
    pub(crate) fn run(&self, task: Task) {
        match &self.spawner {
            Some(spawner) => spawn(spawner, task),
            None => {
                self.crew.add(task, self.weak());
                // Whoever waits looks at it; who added it may not be one of them.
                self.wake_everybody();
            }
        }
    }

    /// Without a spawner, polls a task once and drops it if it has to wait.
    pub(crate) fn run_or_drop(&self, task: Task) {
        match &self.spawner {
            Some(spawner) => spawn(spawner, task),
            None => {
                let mut task = task;
                let _ = contain(|| task.as_mut().poll(&mut Context::from_waker(Waker::noop())));
                discard(task);
            }
        }
    }

    /// The generation of what is begun to be made now.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// A new resource, made or given.
    pub(crate) fn item(&self, resource: M::Resource, generation: u64) -> Box<Item<M::Resource>> {
        let created = self.time.coarse();
        let lifetime = nanos_or_never(self.rules.max_lifetime);
        let expires_at = match lifetime {
            NEVER => NEVER,
            // Spread to both sides, so that what was made together does not end together. The
            // reading may be late by its lag; so the end comes that much earlier.
            lifetime => {
                let share = self.rules.lifetime_jitter * (2.0 * random() - 1.0);
                let spread = (lifetime as f64 * share) as i64;
                let lifetime = lifetime.saturating_add_signed(spread);
                let lifetime = lifetime.saturating_sub(self.time.lag());
                created.saturating_add(lifetime.max(1))
            }
        };
        Box::new(Item {
            resource,
            created,
            expires_at,
            good_until: created
                .saturating_add(self.grace.max(FRESH))
                .min(expires_at),
            returned: created,
            generation,
            uses: 0,
            held: None,
        })
    }

    /// For how long a resource that has just passed a check is good, at least.
    pub(crate) fn grace_after_check(&self) -> u64 {
        self.grace.max(FRESH)
    }

    /// Takes a resource into the pool. It comes back if there is no room for it.
    pub(crate) fn settle_in(
        &self,
        core: &mut Core<M>,
        item: Box<Item<M::Resource>>,
        now: Now,
        effects: &mut Effects<M>,
    ) -> Result<(), Box<Item<M::Resource>>> {
        if core.is_closed || core.size - core.closing + core.creating >= core.max {
            return Err(item);
        }
        let Some(place) = core.place(&self.idle) else {
            return Err(item);
        };
        core.size += 1;
        let record = self.idle.record(&place);
        record.settle(item.created, item.expires_at);
        core.offer(&self.idle, Loan { place, item }, now, effects);
        effects.rings_bell = true;
        Ok(())
    }

    // ---- Sizes ----

    pub(crate) fn resize(&self, min: usize, max: usize) -> Result<(), ConfigError> {
        check_sizes(min, max)?;
        self.change(|core, now, effects| {
            core.min = min;
            core.set_max(max, &self.idle, now, effects);
        });
        Ok(())
    }

    /// Sets the maximum alone, unless it would be less than the minimum. Returns what it was.
    pub(crate) fn resize_max(&self, max: usize) -> Option<usize> {
        self.change(|core, now, effects| {
            if max < core.min {
                return None;
            }
            let before = core.max;
            core.set_max(max, &self.idle, now, effects);
            Some(before)
        })
    }

    // ---- Ends ----

    /// From now on what was made before is not handed out any more.
    pub(crate) fn reset(&self) {
        // Release: see `try_fast`.
        self.generation.fetch_add(1, Release);
        self.change(|core, now, effects| {
            // Everything idle is looked at once; what is over leaves.
            let idle: Vec<_> = std::iter::from_fn(|| self.idle.take_under_lock()).collect();
            for (place, item) in idle {
                core.offer(&self.idle, Loan { place, item }, now, effects);
            }
        });
    }

    pub(crate) fn close(&self) {
        self.change(|core, _, _| core.is_closed = true);
        self.crew.dismiss();
        self.bell.end();
    }
}

impl<M: Manager> Alarm for Shared<M> {
    fn wake_everybody(&self) {
        let mut wakers = Vec::new();
        {
            let mut core = lock(&self.core);
            core.line.take_wakers(&mut wakers);
            for (_, waker) in &mut core.watchers {
                wakers.extend(waker.take());
            }
        }
        for waker in wakers {
            wake(waker);
        }
    }
}

/// What was just made or checked is good for so long, so that whoever waited for it gets it without
/// another check.
const FRESH: u64 = 500_000_000;

/// Uniform from 0 to 1; only for spreading.
fn random() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}
