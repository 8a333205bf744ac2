//! A gate before creations: who is told what while it is closed, and what it is told.

use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use brolly_circuit_breaker::CircuitBreaker;
use brolly_resource_pool::{
    AcquireError, Check, CreateError, Gate, Made, OnCreateError, Pass, Refused, TryAcquireError,
};

use crate::support::{Fixed, Mode, bench, is_pending, lone, look, ms, ready, secs};

/// A gate that is opened and closed by hand, and writes down what it is told.
#[derive(Clone, Default)]
struct Turnstile(Arc<Inner>);

#[derive(Default)]
struct Inner {
    refusal: Mutex<Option<Duration>>,
    asked: AtomicUsize,
    told: Mutex<Vec<Made>>,
    dropped: AtomicUsize,
}

impl Turnstile {
    fn refuse(&self, retry_after: impl Into<Option<Duration>>) {
        *self.0.refusal.lock().unwrap() = retry_after.into();
    }

    fn told(&self) -> Vec<Made> {
        std::mem::take(&mut self.0.told.lock().unwrap())
    }

    fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }
}

struct Dropped(Arc<Inner>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

impl Gate for Turnstile {
    fn ask(&self) -> Result<Pass, Refused> {
        self.0.asked.fetch_add(1, SeqCst);
        if let Some(retry_after) = *self.0.refusal.lock().unwrap() {
            return Err(Refused::for_now(retry_after));
        }
        let inner = Arc::clone(&self.0);
        let dropped = Dropped(Arc::clone(&inner));
        Ok(Pass::new(move |made| {
            inner.told.lock().unwrap().push(made);
            std::mem::forget(dropped);
        }))
    }
}

#[test]
fn who_would_need_a_new_one_is_told_at_once_and_the_manager_is_left_alone() {
    let gate = Turnstile::default();
    gate.refuse(ms(700));
    let given = gate.clone();
    let bench = bench(|it| it.max_size(4).gate(given));
    let mut waiting: Vec<_> = (0..6).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    bench.tasks.run();
    for acquire in &mut waiting {
        let error = ready(acquire.as_mut()).unwrap_err();
        assert_eq!(error.retry_after(), Some(ms(700)));
        assert!(matches!(
            error,
            AcquireError::Create(CreateError::Refused { .. })
        ));
    }
    // What is left of the time is told from then on, without asking again.
    bench.clock.advance(ms(300));
    let asked = gate.asked();
    let mut late = pin!(bench.pool.acquire());
    let error = ready(late.as_mut()).unwrap_err();
    assert_eq!(error.retry_after(), Some(ms(400)));
    assert_eq!(
        bench.pool.try_acquire().unwrap_err(),
        TryAcquireError::Exhausted { in_use: 0, max: 4 }
    );
    assert_eq!(gate.asked(), asked);
    assert_eq!(bench.plant.attempts.load(SeqCst), 0);
    let stats = bench.assert_conserved();
    assert_eq!((stats.create_failures, stats.errors), (0, 8));
    assert_eq!(stats.gate_refusals, asked as u64);
    // And when it is over, the gate is asked, and resources are made.
    gate.refuse(None);
    bench.pass(ms(400));
    drop(bench.take());
    assert_eq!(gate.told(), [Made::Succeeded]);
}

#[test]
fn what_is_idle_is_handed_out_behind_a_closed_gate() {
    let gate = Turnstile::default();
    let given = gate.clone();
    let bench = bench(|it| it.max_size(2).gate(given));
    drop(bench.take());
    gate.refuse(secs(60));
    let held = bench.take();
    let mut second = pin!(bench.pool.acquire());
    assert!(is_pending(second.as_mut()));
    bench.tasks.run();
    assert_eq!(ready(second).unwrap_err().retry_after(), Some(secs(60)));
    drop(held);
    drop(bench.take());
}

#[test]
fn a_refusal_beside_a_failure_is_told_as_well() {
    let asked = AtomicUsize::new(0);
    let bench = bench(|it| {
        it.max_size(2)
            .gate(move || match asked.fetch_add(1, SeqCst) {
                0 => Ok(Pass::silent()),
                _ => Err(Refused::for_now(secs(60))),
            })
    });
    bench.plant.set_create(Mode::Fail);
    let mut waiting: Vec<_> = (0..2).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    // One attempt fails and makes a pause; the other, begun beside it, is refused after that.
    bench.tasks.run();
    let answers = waiting.iter_mut().map(|it| ready(it.as_mut()));
    let told: Vec<_> = answers.map(|it| it.unwrap_err().retry_after()).collect();
    assert_eq!(told, [None, Some(secs(60))]);
}

#[test]
fn what_is_promised_to_the_line_goes_to_who_came_first() {
    let gate = Turnstile::default();
    let given = gate.clone();
    let bench = bench(|it| it.max_size(2).gate(given).check(Check::Always));
    drop(bench.take());
    bench.clock.advance(secs(1));
    gate.refuse(secs(60));
    bench.plant.set_check(Mode::Gated);
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(bench.pool.acquire())).collect();
    for acquire in &mut waiting {
        assert!(is_pending(acquire.as_mut()));
    }
    bench.tasks.run();
    // One is being checked, for the first.
    assert!(is_pending(waiting[0].as_mut()));
    for acquire in &mut waiting[1..] {
        let error = ready(acquire.as_mut()).unwrap_err();
        assert_eq!(error.retry_after(), Some(secs(60)));
    }
    bench.plant.open(1);
    bench.tasks.run();
    drop(ready(waiting[0].as_mut()).unwrap());
    // If the check fails, there is nothing left to hope for.
    bench.clock.advance(secs(1));
    bench.plant.set_check(Mode::Fail);
    let mut last = pin!(bench.pool.acquire());
    assert!(is_pending(last.as_mut()));
    bench.tasks.run();
    assert!(ready(last).unwrap_err().retry_after().is_some());
}

#[test]
fn who_wants_several_gives_back_what_was_set_aside_when_it_is_refused() {
    let gate = Turnstile::default();
    let given = gate.clone();
    let bench = bench(|it| it.max_size(3).gate(given));
    drop(bench.take());
    gate.refuse(secs(60));
    let mut several = Box::pin(bench.pool.acquire_many(2));
    assert!(is_pending(several.as_mut()));
    bench.tasks.run();
    let error = ready(several.as_mut()).unwrap_err();
    assert_eq!(error.retry_after(), Some(secs(60)));
    let stats = bench.assert_conserved();
    assert_eq!((stats.idle, stats.in_use), (1, 0));
    drop(bench.take());
}

#[test]
fn who_goes_on_trying_waits_for_what_is_in_use_and_for_nothing_else() {
    let gate = Turnstile::default();
    let given = gate.clone();
    let bench = bench(|it| {
        let it = it.max_size(2).gate(given).acquire_timeout(secs(90));
        it.on_create_error(OnCreateError::RetryUntilDeadline)
    });
    let held = bench.take();
    gate.refuse(secs(60));
    let mut second = Box::pin(bench.pool.acquire());
    assert!(is_pending(second.as_mut()));
    bench.pass(secs(5));
    assert!(is_pending(second.as_mut()));
    let id = held.id;
    drop(held);
    let second = ready(second.as_mut()).unwrap();
    assert_eq!(second.id, id);
    brolly_resource_pool::Guard::discard(second);
    bench.tasks.run();
    // Nothing is in use now.
    let mut third = pin!(bench.pool.acquire());
    let first_look = look(third.as_mut());
    bench.tasks.run();
    let error = match first_look {
        Poll::Ready(answer) => answer.unwrap_err(),
        Poll::Pending => ready(third).unwrap_err(),
    };
    assert!(error.retry_after().is_some());
}

#[test]
fn who_waits_is_served_when_the_gate_opens_before_its_time() {
    let gate = Turnstile::default();
    let given = gate.clone();
    let bench = bench(|it| {
        let it = it.max_size(2).gate(given).acquire_timeout(secs(90));
        it.on_create_error(OnCreateError::RetryUntilDeadline)
    });
    let _held = bench.take();
    gate.refuse(Duration::MAX);
    let mut second = pin!(bench.pool.acquire());
    assert!(is_pending(second.as_mut()));
    bench.pass(secs(10));
    let asked = gate.asked();
    assert!((2..=13).contains(&asked), "{asked}");
    gate.refuse(None);
    bench.pass(secs(1));
    drop(ready(second).unwrap());
}

#[test]
fn a_gate_that_says_now_and_refuses_makes_no_loop() {
    let gate = Turnstile::default();
    gate.refuse(Duration::ZERO);
    for policy in [OnCreateError::FailFast, OnCreateError::RetryUntilDeadline] {
        let given = gate.clone();
        let bench = bench(|it| it.max_size(2).gate(given).on_create_error(policy));
        bench
            .pool
            .add(crate::support::Thing::new(&bench.plant))
            .unwrap();
        let _held = bench.take();
        let before = gate.asked();
        let mut waiting = Box::pin(bench.pool.acquire());
        for _ in 0..1500 {
            if look(waiting.as_mut()).is_ready() {
                waiting = Box::pin(bench.pool.acquire());
            }
            bench.pass(ms(1));
        }
        let asked = gate.asked() - before;
        assert!((2..=160).contains(&asked), "{policy:?}: {asked}");
        assert_eq!(bench.plant.attempts.load(SeqCst), 0);
    }
}

#[test]
fn a_pass_is_told_how_it_went_and_dropped_where_nobody_knows() {
    let gate = Turnstile::default();
    let given = gate.clone();
    let bench = bench(|it| it.max_size(1).create_timeout(secs(1)).gate(given));
    for (mode, made) in [
        (Mode::Fail, Some(Made::Failed)),
        (Mode::Panic, Some(Made::Failed)),
        (Mode::Hang, Some(Made::Failed)),
        (Mode::Hang, None),
        (Mode::Ready, Some(Made::Succeeded)),
    ] {
        bench.plant.set_create(mode);
        let mut acquire = Box::pin(bench.pool.acquire());
        assert!(is_pending(acquire.as_mut()));
        bench.tasks.run();
        match made {
            Some(_) => bench.pass(secs(1)),
            None => bench.tasks.shut_down(),
        }
        assert_eq!(gate.told(), Vec::from_iter(made), "{mode:?}");
        assert_eq!(gate.0.dropped.load(SeqCst), usize::from(made.is_none()));
        gate.0.dropped.store(0, SeqCst);
        drop(acquire);
        bench.pass(secs(10));
    }
}

#[test]
fn gates_and_passes_that_panic_harm_nobody() {
    let bench = bench(|it| it.max_size(1).gate(|| panic!("no gate")));
    drop(bench.take());
    let rude = |it: Fixed| {
        let gate = || Ok(Pass::new(|_| panic!("do not tell me")));
        it.max_size(1).gate(gate)
    };
    for mode in [Mode::Ready, Mode::Fail] {
        let bench = crate::support::bench(rude);
        bench.plant.set_create(mode);
        let mut acquire = pin!(bench.pool.acquire());
        assert!(is_pending(acquire.as_mut()));
        bench.tasks.run();
        assert_eq!(ready(acquire).is_ok(), mode == Mode::Ready);
    }
}

#[test]
fn warming_up_behind_a_closed_gate_is_an_error_and_no_loop() {
    for has_spawner in [true, false] {
        let gate = Turnstile::default();
        gate.refuse(secs(5));
        let given = gate.clone();
        let settings = |it: Fixed| it.max_size(4).min_size(2).gate(given);
        let bench = if has_spawner {
            bench(settings)
        } else {
            lone(settings)
        };
        let mut warm_up = pin!(bench.pool.warm_up());
        let error = match look(warm_up.as_mut()) {
            Poll::Ready(result) => result.unwrap_err(),
            Poll::Pending => {
                bench.tasks.run();
                ready(warm_up).unwrap_err()
            }
        };
        assert_eq!(error.error.retry_after(), Some(secs(5)));
    }
}

/// A closure around a breaker is all it takes.
#[test]
fn a_breaker_stops_creations_that_fail_and_lets_one_try() {
    let clock = brolly_sync::ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .consecutive_failures(3)
        .open_for(secs(30))
        .clock(clock.clone())
        .build()
        .unwrap();
    let asked = breaker.clone();
    let gate = move || match asked.try_acquire_owned() {
        Ok(permit) => Ok(Pass::new(move |made| match made {
            Made::Succeeded => permit.success(),
            Made::Failed => permit.failure(),
        })),
        Err(rejection) => {
            let retry_after = rejection.retry_after().unwrap_or(Duration::MAX);
            Err(Refused::for_now(retry_after))
        }
    };
    let bench = bench(|it| it.max_size(4).gate(gate));
    bench.plant.set_create(Mode::Fail);
    let mut told = Vec::new();
    let pass = |time| {
        clock.advance(time);
        bench.pass(time);
    };
    for _ in 0..2000 {
        let mut acquire = pin!(bench.pool.acquire());
        if let Poll::Ready(answer) = look(acquire.as_mut()) {
            told.extend(answer.unwrap_err().retry_after());
        }
        pass(ms(10));
    }
    // Three attempts opened it; in 20 s of a stream of callers there was no fourth.
    assert_eq!(bench.plant.attempts.load(SeqCst), 3);
    assert!(told.len() > 1000, "{}", told.len());
    assert!(told.iter().all(|it| *it <= secs(30)));
    // Half open, one tries and opens it for the rest.
    bench.plant.set_create(Mode::Ready);
    pass(secs(30));
    let guards: Vec<_> = (0..4).map(|_| bench.take()).collect();
    assert_eq!(bench.plant.attempts.load(SeqCst), 7);
    drop(guards);
}
